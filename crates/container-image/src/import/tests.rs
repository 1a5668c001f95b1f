//! Tables of files, lists and notes.

use std::collections::HashSet;

use clap::ValueEnum as _;
use image_copy::customize::Customization;
use image_copy::list::Entry;
use image_copy::oci::Prefix;
use proptest::prelude::*;

use super::*;

fn imported(content: &str, format: Option<Format>) -> Result<Imported, Vec<String>> {
    import(&[File { name: "file".into(), content: content.into() }], format)
}

/// Checks the list without its title, and the notes.
#[track_caller]
fn check(content: &str, list: &str, notes: &[&str]) {
    let found = imported(content, None).unwrap_or_else(|errors| panic!("{errors:?}"));
    let lines: Vec<&str> = found.list.lines().skip(1).map(str::trim_start).collect();
    assert_eq!(lines.join("\n"), list.trim(), "{content}");
    assert_eq!(found.notes, notes, "{content}");
    check_list(&found.list);
}

/// Checks that `sync` accepts a list: it is valid, and each image has its own destination.
#[track_caller]
fn check_list(text: &str) {
    let prefix: Prefix = "registry.example/mirror".parse().unwrap();
    let entries = list::parse("list", text.as_bytes()).unwrap_or_else(|errors| panic!("{errors:?}\n{text}"));
    let mut seen = HashSet::new();
    let mut sources = Vec::new();
    for entry in entries {
        assert_eq!(entry.credentials, None);
        // Complete names need no prefix. A long path can be too long below a prefix.
        let prefix = matches!(entry.target, Target::Below(_)).then_some(&prefix);
        if let Ok(destination) = entry.destination(prefix) {
            let by_digest = format!("@{} {:?}", entry.source, entry.rules);
            let tag = entry.tag.as_ref().map_or(by_digest, |tag| format!(":{tag}"));
            assert!(seen.insert(format!("{destination}{tag}")), "{destination}{tag}\n{text}");
        }
        sources.push(entry.source.to_string());
    }
    assert!(sources.is_sorted(), "{text}");
}

const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const OTHER_DIGEST: &str = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

#[test]
fn reads_words_and_lines() {
    check(
        "nginx:1.27 quay.io/a/b:2 redis nginx:1.27\n",
        "- docker.io/library/nginx:1.27\n- docker.io/library/redis:latest\n- quay.io/a/b:2",
        &[],
    );
    check(
        "# tools\n  12 nginx:1\n   1 redis\n",
        "- docker.io/library/nginx:1\n- docker.io/library/redis:latest",
        &[],
    );
    check(
        &format!("docker-pullable://nginx@{DIGEST} {OTHER_DIGEST}\n"),
        &format!(
            "- docker.io/library/nginx@{DIGEST}\n\
             # file:1: the image was omitted: \"{OTHER_DIGEST}\" is an image ID without a repository. Add the reference"
        ),
        &[&format!(
            "file:1: the image was omitted: \"{OTHER_DIGEST}\" is an image ID without a repository. Add the reference"
        )],
    );
    check(
        "--platform=linux/arm64 --alias=tools/redis redis:7\nNginx:1\n",
        "# file:2: the image was omitted: \"Nginx:1\" is not a repository name: expected lower-case letters and \
         digits, separated by ., _, - or /\n- source: docker.io/library/redis:7\nrepository: tools/redis\n\
         platform: linux/arm64",
        &[
            "file:2: the image was omitted: \"Nginx:1\" is not a repository name: expected lower-case letters and \
           digits, separated by ., _, - or /",
        ],
    );
    check(
        "0a399eb16751\nnginx:1\n",
        "# file:1: the image was omitted: \"0a399eb16751\" is an image ID without a repository. Add the reference\n\
         - docker.io/library/nginx:1",
        &[
            "file:1: the image was omitted: \"0a399eb16751\" is an image ID without a repository. Add the reference",
        ],
    );
    check(r#"["nginx:1", "redis:7"]"#, "- docker.io/library/nginx:1\n- docker.io/library/redis:7", &[]);
    check("a/b:$TAG redis:7\n", LIST_WITH_VARIABLE, &[VARIABLE]);
}

const VARIABLE: &str = "file:1: the image was omitted: \"a/b:$TAG\" has the variable TAG without a default. Replace it, or import rendered files";
const LIST_WITH_VARIABLE: &str = "# file:1: the image was omitted: \"a/b:$TAG\" has the variable TAG without a default. Replace it, or import rendered files\n- docker.io/library/redis:7";

#[test]
fn a_text_that_is_no_list_is_an_error() {
    for (content, line, quoted) in [
        ("Dear team, this is no list of images.\n", 1, "Dear team, this is no list of images."),
        ("package main\n\nimport \"fmt\"\n", 1, "package main"),
        ("nginx:1\nimport \"net/http\" // x\n", 2, "import 'net/http' // x"),
        ("# syntax=docker/dockerfile:1\nFROM nginx:1\nCOPY a /b\n", 2, "FROM nginx:1"),
        ("#!/bin/sh\nset -eu\ndocker pull nginx:1\n", 2, "set -eu"),
    ] {
        let expected = format!(
            "file:{line}: the line is not a list of images: \"{quoted}\". To find the images in other files, use list --no-filename."
        );
        for format in [None, Some(Format::Lines)] {
            assert_eq!(imported(content, format).unwrap_err().join("\n"), expected);
        }
    }
}

#[test]
fn an_empty_list_is_an_error() {
    for (content, problem) in [
        (
            "0a399eb16751\n",
            "file:1: the image was omitted: \"0a399eb16751\" is an image ID without a repository. Add the reference.",
        ),
        (
            "services:\n  a: {build: ., image: 'a:1'}\n  b: {build: ., image: 'b:1'}\n",
            "file:2: services.a.image was omitted: \"a:1\" is built locally. Add it if a registry has it (1 other omitted).",
        ),
    ] {
        assert_eq!(imported(content, None).unwrap_err(), [format!("the list would be empty. {problem}")]);
    }
}

#[test]
fn one_destination_for_two_images_becomes_two() {
    check(
        "docker.io/grafana/grafana:1\nquay.io/grafana/grafana:1\nghcr.io:8443/grafana/grafana:1",
        "- docker.io/grafana/grafana:1\n- source: ghcr.io:8443/grafana/grafana:1\n\
         repository: ghcr-io-8443/grafana/grafana\n- source: quay.io/grafana/grafana:1\n\
         repository: quay-io/grafana/grafana",
        &[
            "file:3: ghcr.io:8443/grafana/grafana:1 is copied to ghcr-io-8443/grafana/grafana:1, because \
             docker.io/grafana/grafana:1 has the same destination",
            "file:2: quay.io/grafana/grafana:1 is copied to quay-io/grafana/grafana:1, because \
             docker.io/grafana/grafana:1 has the same destination",
        ],
    );
    check(
        &format!("nginx:1\nnginx:1@{DIGEST}\nnginx@{OTHER_DIGEST}"),
        &format!(
            "- docker.io/library/nginx:1\n- docker.io/library/nginx@{DIGEST}\n- docker.io/library/nginx@{OTHER_DIGEST}"
        ),
        &[&format!(
            "file:2: docker.io/library/nginx:1@{DIGEST} is copied without its tag, because \
             docker.io/library/nginx:1 has the same tag"
        )],
    );
    check(
        "--alias=a/b:1 nginx:1\n--alias=a/b:1 redis:1\n--alias=a/b:2 nginx:1",
        "# file:3: the image was omitted: \"docker.io/library/nginx:1\" is copied to tag 2, which only plain lines \
         with --alias can express\n- source: docker.io/library/nginx:1\nrepository: a/b\n\
         - docker.io/library/redis:1",
        &[
            "file:3: the image was omitted: \"docker.io/library/nginx:1\" is copied to tag 2, which only plain \
             lines with --alias can express",
            "file:2: docker.io/library/redis:1 is copied to redis:1, because docker.io/library/nginx:1 has the \
             same destination",
        ],
    );
}

#[test]
fn platforms_of_one_image_are_merged() {
    check(
        "--platform=linux/arm64 a:1\n--platform=linux/amd64 a:1\n--platform=linux/aarch64 a:1\n\
         --platform=linux/amd64 b:1\nb:1\n--platform=all c:1",
        "- source: docker.io/library/a:1\nplatform: [linux/arm64, linux/amd64]\n- docker.io/library/b:1\n\
         - source: docker.io/library/c:1\nplatform: all",
        &[],
    );
}

#[test]
fn names_that_yaml_reads_otherwise_are_quoted() {
    check("nginx:1\n[::1]:5000/app:1", "- \"[::1]:5000/app:1\"\n- docker.io/library/nginx:1", &[]);
    check("--alias=1.10 nginx:1", "- source: docker.io/library/nginx:1\nrepository: \"1.10\"", &[]);
}

#[test]
fn dockerfile_lines_stay_the_same() {
    for lines in [
        "ENV A=1",
        "ENV A='b: c' D=\"# e\" \\\n  F=g:",
        "LABEL a=é b=\u{1f980} c=\u{a0} d=\u{2028}\r\nUSER 1",
        "\n# a comment\n\nCOPY <<EOF /etc/x\n\ttab\n  null\ntrue\n- \\n \"\n\nEOF",
    ] {
        let entry = Entry {
            customization: Customization::parse(lines).ok(),
            ..Entry::new("a:1".parse().unwrap(), 1)
        };
        assert!(entry.customization.is_some(), "{lines}");
        let image = Image { entry: entry.clone(), file: "file".into(), unsupported: None };
        let text = output::list(&[image], &[]);
        let found =
            list::parse("list", text.as_bytes()).unwrap_or_else(|errors| panic!("{errors:?}\n{text}"));
        assert_eq!(found[0].customization, entry.customization, "{text}");
        // A second import keeps the list.
        check(&text, &text.lines().skip(1).map(str::trim_start).collect::<Vec<_>>().join("\n"), &[]);
    }
}

#[test]
fn equal_images_with_other_lines_have_other_names() {
    let list =
        "images:\n- a:1\n- {source: a:1, customize: ENV B=1}\n- a:1\n- {source: a:1, customize: ENV B=1}\n";
    check(
        list,
        "- docker.io/library/a:1\n- source: docker.io/library/a:1\nrepository: docker-io/library/a\ncustomize:\n\
         - ENV B=1",
        &[
            "file:3: docker.io/library/a:1 is copied to docker-io/library/a:1, because docker.io/library/a:1 has the \
           same destination",
        ],
    );
}

#[test]
fn too_many_lines_are_an_error() {
    let label = "x".repeat(30_000);
    let commands: String = (0..300).map(|at| format!("\"a{at}:1\" = [\"LABEL a={label}\"]\n")).collect();
    let images: Vec<String> = (0..300).map(|at| format!("\"a{at}:1\"")).collect();
    let file = format!(
        "namespace = \"\"\ncontainers = [{}]\nbuild_commands = {{\n{commands}}}\n",
        images.join(", ")
    );
    let errors = imported(&file, None).unwrap_err();
    assert_eq!(errors, ["the list would have more than 8 MiB of lines in customize. Import fewer files."]);
    let large =
        format!("containers = [\"a:1\"]\nbuild_commands = {{ a = [\"LABEL a={}\"] }}\n", "x".repeat(40_000));
    let found = imported(&large, None).unwrap();
    assert!(
        found.list.contains("# build_commands.a is not applied: it has more than 32 KiB\n"),
        "{}",
        &found.list[..200]
    );
}

/// Pieces of all formats.
const PIECES: [&str; 65] = [
    "\n",
    "  ",
    "- ",
    ": ",
    ":",
    "#",
    " # ",
    "[",
    "]",
    "{",
    "}",
    "\"",
    "'",
    ",",
    "&a ",
    "*a",
    "<<: *a",
    "---\n",
    "\t",
    "apiVersion: v1\nkind: Pod\n",
    "spec:\n",
    "status:\n",
    "containers:\n",
    "  - image: nginx:1\n",
    "    name: a\n",
    "containerStatuses:\n",
    "imageID: docker-pullable://nginx@",
    "services:\n  a:\n",
    "    image: ",
    "    build: .\n",
    "platform: linux/amd64\n",
    "sync:\n",
    "  - source: a:1\n",
    "    target: b.example/a:1\n",
    "    type: image\n",
    "    type: repository\n",
    "    tags: {allow: [1, '2.*'], deny: [x]}\n",
    "    tags: {allow: ['[1]'], semverRange: ['>=1 <2', x]}\n",
    "creds:\n",
    "quay.io:\n",
    "  images:\n",
    "    a/b: [1]\n",
    "  images-by-tag-regex:\n",
    "    c: ^1$\n",
    "  images-by-semver:\n",
    "    d: '>= 1.0'\n",
    "containers = [\"a:1\"]\n",
    "containers = { \"a\" = [\"1\"] }\n",
    "build_commands = { \"a:1\" = [\"RUN mkdir /a\"] }\n",
    "build_commands = { \"a\" = [\"RUN b\\u0007\\n\", \"ENV # A\"] }\n",
    "images:\n",
    "    customize: ENV A='b: c'\n",
    "namespace = \"b\"\n",
    "module \"m\" {\n",
    "nginx",
    "nginx:1",
    "docker.io/library/nginx:1",
    "quay.io/library/nginx:1",
    "${TAG:-1}",
    "${",
    "$$",
    "--platform=linux/arm64 ",
    "--alias=x:2 ",
    "REPOSITORY   TAG   DIGEST\n",
    "nginx@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
];

fn check_any(content: &str, format: Option<Format>) {
    let (list, notes) = match imported(content, format) {
        Ok(imported) => {
            check_list(&imported.list);
            (imported.list, imported.notes)
        }
        Err(errors) => (String::new(), errors),
    };
    let is_visible = |line: &str| line.chars().all(image_copy::text::is_visible);
    assert!(list.lines().all(is_visible), "{list}");
    assert!(notes.iter().all(|note| is_visible(note)), "{notes:?}");
}

proptest! {
    #[test]
    fn arbitrary_text_becomes_a_valid_list_or_an_error(
        content in any::<String>(),
        format in prop::option::of(prop::sample::select(Format::value_variants())),
    ) {
        check_any(&content, format);
    }

    #[test]
    fn pieces_of_all_formats_become_a_valid_list_or_an_error(
        pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..40),
        format in prop::option::of(prop::sample::select(Format::value_variants())),
    ) {
        check_any(&pieces.concat(), format);
    }
}
