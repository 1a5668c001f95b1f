//! Errors and warnings of `list` and `update`.

mod common;

use aws_emulator::{Effect, Fault};
use common::{Sandbox, image};

const PIN: &str = "update --all --matching-tag --resolve-digest";

/// Returns a template with this image reference in line 5.
fn template(reference: &str) -> String {
    format!(
        "AWSTemplateFormatVersion: '2010-09-09'\nResources:\n  A:\n    Properties:\n      ImageReference: {reference}\n    Type: Custom::ContainerImage\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_template_is_a_failure() {
    let sandbox = Sandbox::start().await;
    let digest = sandbox.publish("docker.io/library/python:3.9", 1);
    sandbox.write("broken.yaml", template("python:3.9").replace("    Prop", "   Prop"));
    sandbox.write("invalid.yaml", template("Python:3.9"));
    sandbox.write("sound.yaml", template("python:3.9"));
    // These are not templates.
    sandbox.write("chart.yaml", "Resources:\n  A: {Type: AWS::S3::Bucket\n{{- if .Values.x }}\n");
    sandbox.write("notes.yml", "- of AWS:: Resources\n ]broken\n");
    let broken = "error: broken.yaml:6: the template is invalid (while parsing a block mapping, did not find expected key) and was scanned as plain text, which can miss images. Correct it, or exclude it with --exclude.\n";
    let invalid = "error: invalid.yaml:5: invalid image reference \"Python:3.9\": \"Python\" is not a repository name: expected lower-case letters and digits, separated by ., _, - or /. Correct it, or exclude the file with --exclude.\n";
    let errors = format!("{broken}{invalid}");
    let only_errors = |text: &str| -> String {
        text.split_inclusive('\n').filter(|line| line.starts_with("error: ")).collect()
    };

    let listed = sandbox.run("list").await;
    let both = "broken.yaml:python:3.9\nsound.yaml:python:3.9\n";
    assert_eq!((listed.code, listed.stdout.as_str()), (Some(1), both), "{listed:?}");
    assert_eq!(only_errors(&listed.stderr), errors);
    let check = sandbox.run(&format!("{PIN} --check")).await;
    assert_eq!((check.code, only_errors(&check.stderr)), (Some(1), errors.clone()));
    assert!(check.stdout.contains("\nsound.yaml:5: python:3.9 -> sha256:"), "{check:?}");
    let json = sandbox.run(&format!("{PIN} --check --json")).await;
    let document: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((json.code, document["failures"].as_array().map(Vec::len)), (Some(1), Some(2)), "{json:?}");
    let output = sandbox.run(PIN).await;
    assert_eq!((output.code, only_errors(&output.stderr)), (Some(1), errors), "{output:?}");
    assert_eq!(sandbox.read("sound.yaml"), template(&format!("python:3.9@{digest}")));

    let others = sandbox.run("list chart.yaml notes.yml sound.yaml").await;
    assert_eq!(others.code, Some(0), "{others:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn warns_about_a_reference_without_matches() {
    let sandbox = Sandbox::start().await;
    sandbox.write("a.yaml", template("docker.io/library/python:3.9"));
    sandbox.write("b.txt", "ghcr.io/acme/app:1\n");
    for (arguments, warning) in [
        ("--image-reference ghcr.io/acme/ap:2", "ghcr.io/acme/ap:2: no file contains this image"),
        (
            "--image-reference python:3.13",
            "python:3.13: no reference has this spelling; a.yaml:5 has docker.io/library/python:3.9",
        ),
        (
            "--image-reference ghcr.io/acme/app:2 --matching-tag",
            "ghcr.io/acme/app:2: no reference has this tag, which --matching-tag requires; b.txt:1 has ghcr.io/acme/app:1",
        ),
    ] {
        let expected = format!("warning: --image-reference {warning}.\nINFO: no files were updated\n");
        // A hook receives the changed files, and most of them do not contain the image.
        for check in ["", " --check"] {
            let output = sandbox.run(&format!("update {arguments}{check}")).await;
            assert_eq!((output.code, output.stderr.as_str()), (Some(0), expected.as_str()), "{arguments}");
        }
        assert_eq!(sandbox.run(&format!("update --quiet {arguments}")).await.stderr, "");
    }
    let output = sandbox.run("update --image-reference ghcr.io/acme/app:1").await;
    assert_eq!(output.stderr, "INFO: no files were updated\n", "the file already has the tag");
}

#[tokio::test(flavor = "multi_thread")]
async fn warns_if_all_images_move_to_latest() {
    let sandbox = Sandbox::start().await;
    let warning = "warning: --all without --matching-tag moves every image to the tag latest. Add --matching-tag to keep each tag, or --latest for the newest version.\n";
    sandbox.write("b.txt", "ghcr.io/acme/app:1 ghcr.io/acme/app:2\n");
    let output = sandbox.run("update --all --dry-run").await;
    assert_eq!(output.stderr.matches(warning).count(), 1, "{output:?}");
    assert!(!sandbox.run("update --all --matching-tag").await.stderr.contains("warning"));
    assert!(sandbox.run("update --all").await.stderr.contains(warning));
    assert_eq!(sandbox.read("b.txt"), "ghcr.io/acme/app:latest ghcr.io/acme/app:latest\n");
    assert!(!sandbox.run("update --all").await.stderr.contains("warning"), "all images have the tag latest");
}

#[tokio::test(flavor = "multi_thread")]
async fn warns_if_digests_are_removed() {
    let sandbox = Sandbox::start().await;
    let digest = sandbox.publish("ghcr.io/acme/app:1", 1);
    let pinned = format!("ghcr.io/acme/app:1@{digest} ghcr.io/acme/app@{digest} ghcr.io/acme/app:1\n");
    sandbox.write("b.txt", &pinned);
    let warning = "warning: --all --matching-tag without --resolve-digest removes 1 digests. Add --resolve-digest to keep the references pinned.\n";
    for arguments in ["--matching-tag", "--matching-tag --resolve-tag", "--matching-tag --check"] {
        let output = sandbox.run(&format!("update --all {arguments}")).await;
        assert!(output.stderr.contains(warning), "{arguments}: {output:?}");
        sandbox.write("b.txt", &pinned);
    }
    for arguments in ["--matching-tag --resolve-digest", "--latest", "--matching-tag --quiet"] {
        let output = sandbox.run(&format!("update --all {arguments}")).await;
        assert!(!output.stderr.contains("warning"), "{arguments}: {output:?}");
        sandbox.write("b.txt", &pinned);
    }
}

/// `update` counts the lines of `list`.
#[tokio::test(flavor = "multi_thread")]
async fn counts_the_lines_of_list() {
    let sandbox = Sandbox::start().await;
    let digest = sandbox.publish("ghcr.io/acme/app:1", 1);
    sandbox.write("a.txt", format!("ghcr.io/acme/app:1 ghcr.io/acme/app:2 ghcr.io/acme/app@{digest}\n"));
    let counted = async |what: &str| {
        for command in ["update --all --dry-run", "update --all --matching-tag --dry-run"] {
            let output = sandbox.run(command).await;
            assert!(output.stderr.starts_with(&format!("INFO: {what}\n")), "{output:?}");
        }
        sandbox.run("list").await.stdout.lines().count()
    };
    assert_eq!(counted("3 image references found").await, 3);
    sandbox.write("b.txt", "ghcr.io/acme/app:1 ghcr.io/acme/app:1\n");
    assert_eq!(counted("4 image references found, 3 distinct").await, 4);
}

/// Each registry that fails is reported once. Only the requests in flight reach it.
#[tokio::test(flavor = "multi_thread")]
async fn reports_a_failed_registry_once() {
    let sandbox = Sandbox::start().await;
    sandbox.registry("ghcr.io").put_image("acme/app", "1", &image(1));
    let mut text = String::from("docker.io/library/python:3.9\n");
    for number in 0..40 {
        text.push_str(&format!("ghcr.io/acme/app{number}:1\n"));
    }
    sandbox.write("a.txt", &text);
    sandbox.publish("docker.io/library/python:3.9", 1);
    let wait = [("retry-after".to_owned(), "86400".to_owned())].into();
    let limited = Effect::Status { code: 429, headers: wait, body: String::new() };
    sandbox.emulator.faults().add(Fault::on("manifest.head", limited).host("ghcr.io"));
    let mark = sandbox.emulator.log().mark();
    let output = sandbox.run(&format!("{PIN} --jobs 2")).await;
    let errors: Vec<&str> = output.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
    let [error] = errors[..] else { panic!("{output:?}") };
    assert!(error.starts_with("error: Image ghcr.io/acme/app0:1 could not be "), "{error}");
    assert!(
        error
            .contains("Found in a.txt:2; 39 other references have the same failure (--verbose lists them). "),
        "{error}"
    );
    assert_eq!(output.code, Some(1));
    assert!(sandbox.read("a.txt").starts_with("docker.io/library/python:3.9@sha256:"));
    let requests = sandbox
        .emulator
        .log()
        .matching(mark, "manifest.head")
        .into_iter()
        .filter(|one| one.host == "ghcr.io");
    let requests: std::collections::BTreeSet<String> = requests.map(|one| one.target).collect();
    assert!(requests.len() <= 2, "{requests:?}");
    let output = sandbox.run(&format!("{PIN} --jobs 2 --verbose")).await;
    assert_eq!(output.stderr.lines().filter(|line| line.starts_with("error: ")).count(), 40, "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_a_failed_proxy_once_with_its_variable() {
    let sandbox = Sandbox::start().await;
    sandbox.write("a.txt", "docker.io/library/python:3.9 ghcr.io/acme/app:1 quay.io/acme/app:1\n");
    // Nothing listens on this port.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = sandbox.command(&PIN.split(' ').chain(["--check"]).collect::<Vec<_>>());
    let output = command.env("HTTPS_PROXY", format!("http://{closed}")).output().await.unwrap();
    let err = common::without_times(&String::from_utf8(output.stderr).unwrap());
    let errors: Vec<&str> = err.lines().filter(|line| line.starts_with("error: ")).collect();
    let [error] = errors[..] else { panic!("{err}") };
    assert!(
        error.contains(&format!("through the proxy {closed} (HTTPS_PROXY) failed (Connection refused)")),
        "{error}"
    );
    assert!(error.ends_with("Found in a.txt:1; 2 other references have the same failure (--verbose lists them). Check the proxy and its connection to the host, or add the host to NO_PROXY. (CI-016)"), "{error}");
    assert_eq!(output.status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn excludes_a_file_argument() {
    let sandbox = Sandbox::start().await;
    sandbox.write("broken.yaml", "Resources:\n  A: {Type: Custom::ContainerImage\n");
    sandbox.write("sub/a", "FROM docker.io/library/python:3.9\n");
    assert_eq!(sandbox.run("list broken.yaml sub/a").await.code, Some(1));
    let output = sandbox.run("list broken.yaml sub/a --exclude broken.yaml").await;
    assert_eq!(
        (output.code, output.stdout.as_str()),
        (Some(0), "sub/a:docker.io/library/python:3.9\n"),
        "{output:?}"
    );
    let output = sandbox.run("update --all --check broken.yaml sub/a --exclude *.yaml --exclude sub").await;
    let expected =
        "INFO: 0 image references found\nwarning: --check: the files contain no image reference.\n";
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), expected));
    let output = sandbox.run("update --all --check --quiet sub/a --exclude sub").await;
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_an_empty_or_invalid_exclude_pattern() {
    let sandbox = Sandbox::start().await;
    sandbox.write("a", "FROM docker.io/library/python:3.9\n");
    for (glob, why) in [
        ("", "'' for '--exclude <GLOB>': expected a pattern such as vendor/ or '*.md'."),
        (" ", "' ' for '--exclude <GLOB>': expected"),
        ("/", "'/' for '--exclude <GLOB>': expected"),
        ("[", "'[' for '--exclude <GLOB>': unclosed character class; missing ']'."),
        ("a{b", "'a{b' for '--exclude <GLOB>': unclosed alternate group"),
    ] {
        let output = sandbox.run_with(&["update", "--all", "--check", "--exclude", glob]).await;
        assert_eq!((output.code, output.stdout.as_str()), (Some(2), ""), "{output:?}");
        assert!(output.stderr.starts_with(&format!("error: invalid value {why}")), "{output:?}");
        assert_eq!(sandbox.run_with(&["list", "--exclude", glob]).await.code, Some(2));
    }
}
