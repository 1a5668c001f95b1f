//! Tables of tag rules in lists, and of the settings of the refresh stack.

use super::*;
use crate::list::{Entry, format_age, parse};

/// Formats the rules: `exact=latest semver=^3`.
fn formatted(rules: &TagRules) -> String {
    let TagRules { exact, semver, include, exclude, suffix, newest } = rules;
    let mut parts = Vec::new();
    let mut add = |name: &str, value: String| parts.push(format!("{name}={value}"));
    exact.iter().for_each(|tag| add("exact", tag.to_string()));
    semver.iter().for_each(|range| add("semver", range.to_string()));
    include.iter().for_each(|pattern| add("include", pattern.to_string()));
    exclude.iter().for_each(|pattern| add("exclude", pattern.to_string()));
    suffix.iter().for_each(|suffix| add("suffix", suffix.clone()));
    newest.iter().for_each(|newest| add("newest", newest.to_string()));
    parts.join(" ")
}

/// Formats an entry: `LINE SOURCE [RULES] SETTINGS`.
fn line(entry: &Entry) -> String {
    let mut text = format!("{} {}", entry.line, entry.source);
    if let Some(rules) = &entry.rules {
        assert_eq!((&entry.tag, &entry.source.tag, &entry.source.digest), (&None, &None, &None));
        text += &format!(" [{}]", formatted(rules));
    }
    text += &entry.min_age.map(|age| format!(" min_age={}", format_age(age))).unwrap_or_default();
    text += if entry.prune { " prune" } else { "" };
    text += if entry.is_shared { " shared" } else { "" };
    text
}

#[track_caller]
fn check(list: &str, expected: &[&str]) {
    let entries = parse("list", list.as_bytes()).unwrap_or_else(|errors| panic!("{errors:?}"));
    assert_eq!(entries.iter().map(line).collect::<Vec<_>>(), expected, "{list}");
}

#[track_caller]
fn check_errors(list: &str, expected: &[&str]) {
    let errors = parse("list", list.as_bytes()).unwrap_err();
    assert_eq!(errors.iter().map(ToString::to_string).collect::<Vec<_>>(), expected, "{list}");
}

#[test]
fn reads_each_rule_and_setting() {
    check(
        "images:\n- source: python\n  tags:\n    exact: [latest, '3']\n    semver: ['^3.12', '>=2.7, <3']\n    \
         include: '*-slim'\n    exclude:\n    - '*-rc*'\n    - 'a*'\n    suffix: -slim\n    newest: 3\n  \
         min_age: 48h\n  prune: true\n  shared: true\n",
        &["2 docker.io/library/python [exact=latest exact=3 semver=^3.12 semver=>=2.7, <3 include=*-slim \
           exclude=*-rc* exclude=a* suffix=-slim newest=3] min_age=48h prune shared"],
    );
    check("images: [{source: a/b, tags: {include: '*'}}]", &["1 docker.io/a/b [include=*]"]);
    check("images: [{source: a/b, prune: false, shared: false}]", &["1 docker.io/a/b:latest"]);
    check("images: [{source: 'a/b:1', min_age: 90m}]", &["1 docker.io/a/b:1 min_age=90m"]);
}

#[test]
fn only_exact_tags_are_a_list_of_tags() {
    check(
        "images:\n- source: a/b\n  tags:\n    exact:\n    - '1'\n    - latest\n",
        &["5 docker.io/a/b:1", "6 docker.io/a/b:latest"],
    );
}

#[test]
fn an_item_overrides_each_default() {
    const DEFAULTS: &str = "defaults: {tags: {newest: 2}, min_age: 2h, prune: true, shared: true}\nimages:\n";
    let check = |item: &str, expected: &[&str]| check(&format!("{DEFAULTS}- {item}\n"), expected);
    check("nginx", &["3 docker.io/library/nginx [newest=2] min_age=2h prune shared"]);
    check("{source: nginx}", &["3 docker.io/library/nginx [newest=2] min_age=2h prune shared"]);
    check(
        "{source: nginx, tags: {semver: ^1}}",
        &["3 docker.io/library/nginx [semver=^1] min_age=2h prune shared"],
    );
    check("{source: nginx, tags: latest}", &["3 docker.io/library/nginx:latest min_age=2h prune shared"]);
    check("nginx:1.27", &["3 docker.io/library/nginx:1.27 min_age=2h prune shared"]);
    check("{source: 'nginx:1.27'}", &["3 docker.io/library/nginx:1.27 min_age=2h prune shared"]);
    check("{source: nginx, prune: false}", &["3 docker.io/library/nginx [newest=2] min_age=2h shared"]);
    check("{source: nginx, shared: false}", &["3 docker.io/library/nginx [newest=2] min_age=2h prune"]);
    check("{source: nginx, min_age: 7d}", &["3 docker.io/library/nginx [newest=2] min_age=7d prune shared"]);
}

#[test]
fn exact_tags_of_the_defaults_have_the_line_of_the_image() {
    check(
        "defaults:\n  tags: [1, 2]\nimages:\n- a/b\n- a/c:3\n",
        &["4 docker.io/a/b:1", "4 docker.io/a/b:2", "5 docker.io/a/c:3"],
    );
}

#[test]
fn each_error_has_its_line_and_key() {
    let check = |item: &str, expected: &str| {
        check_errors(
            &format!("images:\n- source: a\n  {item}\n"),
            &[&format!("list:3: images[0].{expected}")],
        );
    };
    check("tags: {}", "tags has no rule. Add a rule, such as newest: 3.");
    check("tags: {semver: null}", "tags has no rule. Add a rule, such as newest: 3.");
    check(
        "tags: {regex: '1.*', newest: 1}",
        "tags.regex is not a tag rule. Use one of exact, semver, include, exclude, suffix, newest.",
    );
    check(
        "tags: {semver: 3.x.1.2}",
        "tags.semver: \"3.x.1.2\" is not a range such as ^3.9 or \">=1.2, <2\": unexpected \
         character after wildcard in version req. Correct it.",
    );
    check(
        "tags: {exact: .x}",
        "tags.exact: \".x\" is not a tag: expected 1 to 128 letters, digits, _, . or -, not starting with . or -. \
         Correct it.",
    );
    for key in ["include", "exclude"] {
        check(
            &format!("tags: {{{key}: '^1\\.2'}}"),
            &format!(
                "tags.{key}: \"^1\\.2\" is not a pattern of tags: expected letters, digits, `.`, `_`, `-`, and `*` \
                 for any characters. Correct it."
            ),
        );
    }
    check("tags: {suffix: '-*'}", "tags.suffix: \"-*\" is not the end of a tag, such as -slim. Correct it.");
    check("tags: {suffix: [a]}", "tags.suffix is not a short text. Write one value.");
    check("tags: {newest: 0}", "tags.newest: \"0\" is not a number from 1. Correct it.");
    check("tags: {newest: 1, newest: 2}", "tags.newest occurs twice. Keep one.");
    check(
        "min_age: 2 days",
        "min_age: \"2 days\" is not an age: expected a number with m, h or d, from 1m to 60d, such as 48h. Correct it.",
    );
    check("prune: yes", "prune is not true or false. Correct it.");
    check("shared: 1", "shared is not true or false. Correct it.");
    check_errors(
        "defaults: {newest: 1}\nimages: [a]\n",
        &[
            "list:1: defaults.newest is not a key of a list. Use one of tags, platform, customize, credentials, min_age, prune, \
         shared.",
        ],
    );
    check_errors(
        "images:\n- source: a:1\n  tags: {newest: 1}\n",
        &["list:3: images[0].tags conflicts with the tag in source. Remove one of them."],
    );
}

/// Aliases repeat large rules for each image.
#[test]
fn the_number_of_values_is_bounded() {
    let patterns: String = (0..101).map(|at| format!("p{at}*,")).collect();
    let list = format!(
        "images:\n- {{source: a, tags: &t {{include: [{patterns}]}}}}\n{}",
        "- {source: a, tags: *t}\n".repeat(20_000)
    );
    check_errors(&list, &["list:101: the list has more than 10000 values in tag rules. Split it."]);
    let defaults =
        format!("defaults: {{tags: {{include: [{patterns}]}}}}\nimages:\n{}", "- a\n".repeat(20_000));
    assert_eq!(parse("list", defaults.as_bytes()).unwrap().len(), 20_000);
}

#[test]
fn selects_an_entry_for_each_tag_the_newest_first() {
    let list = "images:\n- {source: ghcr.io/a/b, repository: team/b, platform: linux/arm64, min_age: 1h, prune: true, \
                tags: {semver: ^3, exact: [edge, gone], newest: 2}}\n";
    let entry = parse("list", list.as_bytes()).unwrap().remove(0);
    let tags = ["3.1", "edge", "3.10", "4.0", "3.9", "3.10"].map(|tag| tag.parse().unwrap());
    let selected = entry.select(&tags);
    let sources: Vec<String> = selected.iter().map(|entry| entry.source.to_string()).collect();
    assert_eq!(sources, ["ghcr.io/a/b:3.10", "ghcr.io/a/b:3.9", "ghcr.io/a/b:edge", "ghcr.io/a/b:gone"]);
    for found in &selected {
        let expected = Entry {
            source: found.source.clone(),
            tag: found.source.tag.clone(),
            rules: None,
            ..entry.clone()
        };
        assert_eq!(found, &expected);
    }
    assert_eq!(entry.select(&[]).len(), 2, "exact tags");
    let plain = parse("list", b"nginx").unwrap().remove(0);
    assert_eq!(plain.select(&tags), [plain]);
}

/// Checks the entries of one item of regsync.
#[track_caller]
fn check_regsync(tags: &str, expected: &[&str]) {
    let item = format!("sync:\n- source: a/b\n  target: c.example/b\n  type: repository\n  {tags}\n");
    check(&item, expected);
}

#[test]
fn reads_the_rules_of_regsync() {
    check_regsync("", &["2 docker.io/a/b []"]);
    check_regsync("tags: {}", &["2 docker.io/a/b []"]);
    check_regsync("tags: {allow: ['1\\.2', latest], deny: ['late.*']}", &["5 docker.io/a/b:1.2"]);
    check_regsync(
        "tags: {allow: ['3\\.1[23]', latest], deny: ['.*-rc']}",
        &["2 docker.io/a/b [include=3\\.1[23] include=latest exclude=.*-rc]"],
    );
    check_regsync("tags: {deny: [latest]}", &["2 docker.io/a/b [exclude=latest]"]);
    check_regsync(
        "tags: {semverRange: ['>=1.0 <2', '^4']}",
        &["2 docker.io/a/b [semver=>=1.0.0, <2.0.0 semver=^4.0.0 include=.*]"],
    );
    check_regsync(
        "tags: {semverRange: '>=1', allow: ['1.*']}",
        &["2 docker.io/a/b [semver=>=1.0.0 include=1.*]"],
    );
    check_regsync(
        "tagSets: [{allow: ['1']}, {allow: ['2.+']}]\n  tags: {deny: [x]}",
        &["2 docker.io/a/b [exclude=x]", "5 docker.io/a/b:1", "2 docker.io/a/b [include=2.+]"],
    );
}

#[test]
fn the_rules_of_regsync_select_tags() {
    let selected = |rules: &str| {
        let list = format!("sync: [{{source: a, target: c.example/b, type: repository, tags: {{{rules}}}}}]");
        let tags = ["1.2", "1.3-slim", "v1.4", "1.5rc1", "2.0", "bookworm-1.2", "latest"];
        let entry = parse("list", list.as_bytes()).unwrap().remove(0);
        let selected = entry.select(&tags.map(|tag| tag.parse().unwrap()));
        selected.iter().map(|entry| entry.tag.as_ref().unwrap().to_string()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(selected("allow: ['.*']"), "2.0 1.5rc1 v1.4 1.3-slim 1.2 bookworm-1.2 latest");
    assert_eq!(selected("allow: ['[0-9.]+', 'l.*'], deny: ['2.*']"), "1.2 latest");
    assert_eq!(selected("semverRange: ['>=1.0 <2']"), "v1.4 1.3-slim 1.2");
    assert_eq!(selected("semverRange: ['>=1.0'], allow: ['[0-9.]+'], deny: ['2.0']"), "1.2");
}
