//! The key `customize`.

use super::*;

/// Returns the line and the lines of `customize` of each entry.
#[track_caller]
fn lines(list: &str) -> Vec<(usize, Option<String>)> {
    let entries = parse("list", list.as_bytes()).unwrap_or_else(|errors| panic!("{errors:?}"));
    let text = |entry: &Entry| entry.customization.as_ref().map(|lines| lines.text().to_owned());
    entries.iter().map(|entry| (entry.line, text(entry))).collect()
}

#[test]
fn an_image_has_its_lines_or_those_of_the_defaults() {
    let list = "\
x-lines: &lines
  - ENV A=1
  - |
    # a comment
    RUN mkdir -p /data && \\
      chmod 777 /data
    VOLUME /data
defaults:
  customize: LABEL team=web
images:
  - nginx:1
  - source: redis
    customize: *lines
    tags: ['7', '8']
  - source: python:3
    customize: []
  - source: vault
    tags: {newest: 1}
    customize: |

      ENV B=2

";
    let label = Some("LABEL team=web".to_owned());
    let several =
        Some("ENV A=1\n# a comment\nRUN mkdir -p /data && \\\n  chmod 777 /data\nVOLUME /data".to_owned());
    let env = Some("\nENV B=2".to_owned());
    assert_eq!(
        lines(list),
        [(11, label), (14, several.clone()), (14, several), (15, None), (17, env.clone())]
    );
    let rules = parse("list", list.as_bytes()).unwrap().pop().unwrap();
    let selected = rules.select(&["1".parse::<Tag>().unwrap()]);
    assert_eq!(selected[0].customization.as_ref().map(|lines| lines.text()), env.as_deref());
}

#[test]
fn invalid_lines_are_errors_with_the_line_of_the_list() {
    const APT: &str = "\"apt-get\" is not supported in RUN. Use mkdir, chmod, chown, touch and ln -s, or build the image \
                       with a Dockerfile, for example in CodeBuild.";
    check_errors(
        "defaults:\n  customize: {a: b}\nimages:\n- source: a\n  customize:\n  - ENV A=1\n  - RUN apt-get update\n\
         - source: b\n  customize: |\n    ENV A=1\n    RUN apt-get update\n- source: c\n  customize: [[a]]\n\
         - source: d\n  customize: '# nothing'\n",
        &[
            "list:2: defaults.customize is not a text or a list of texts. Write Dockerfile lines.",
            &format!("list:7: images[0].customize: {APT}"),
            &format!("list:10: images[1].customize: line 2: {APT}"),
            "list:13: images[2].customize is not a text or a list of texts. Write Dockerfile lines.",
            "list:15: images[3].customize: the lines have no instruction.",
        ],
    );
}

#[test]
fn other_formats_have_no_lines() {
    check_errors(
        "--customize=lines nginx:1\n",
        &["list:1: \"--customize\" is not an option. Use --platform or --alias."],
    );
    check_errors(
        "sync:\n- {source: a, target: b.example/a, type: image, customize: ENV A=1}\n",
        &["list:2: sync[0].customize has no equivalent. Remove it."],
    );
}

#[test]
fn the_size_of_lines_is_bounded() {
    let label = |bytes: usize| format!("LABEL a={}", "x".repeat(bytes));
    let largest = label(MAX_CUSTOMIZE_BYTES - "LABEL a=".len() - 1);
    let list = format!("images:\n- source: a\n  customize: {largest}\n");
    assert_eq!(lines(&list), [(2, Some(largest.clone()))]);
    check_errors(
        format!("images:\n- source: a\n  customize: {largest}x\n"),
        &["list:3: images[0].customize has more than 32 KiB. Shorten the lines."],
    );
    // 8 MiB: by an alias for each image, and by defaults.
    let allowed = MAX_TOTAL_CUSTOMIZE_BYTES / largest.len();
    let error = |line: usize| {
        format!("list:{line}: the lines in customize have more than 8 MiB for all images. Split the list.")
    };
    let alias = |count: usize| {
        let images: String = (0..count).map(|at| format!("- {{source: a{at}, customize: *a}}\n")).collect();
        format!("x-a: &a {largest}\nimages:\n{images}")
    };
    assert_eq!(lines(&alias(allowed)).len(), allowed);
    check_errors(alias(allowed + 1), &[&error(allowed + 3)]);
    let images: String = (0..=allowed).map(|at| format!("- a{at}\n")).collect();
    check_errors(format!("defaults: {{customize: {largest}}}\nimages:\n{images}"), &[&error(allowed + 3)]);
}
