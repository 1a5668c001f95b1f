//! Tag rules of lists.

use serde_json::Value;

use crate::mirror::Mirror;

/// Publishes versions of two repositories.
fn publish(sandbox: &Mirror) {
    for (at, tag) in ["3.11", "3.12", "3.13", "3.13-slim", "3.14rc1", "latest"].iter().enumerate() {
        sandbox.publish(&format!("docker.io/library/python:{tag}"), at as u64);
    }
    for (at, tag) in ["1.0", "1.1", "edge"].iter().enumerate() {
        sandbox.publish(&format!("ghcr.io/acme/app:{tag}"), 20 + at as u64);
    }
    sandbox.create(&["python", "slim/python", "acme/app"]);
}

/// Returns the requests for tags of a repository.
fn lists(sandbox: &Mirror, repository: &str) -> usize {
    let log = sandbox.emulator.log().entries();
    let is_list = |operation: &str| operation == "tags.list";
    log.iter()
        .filter(|entry| is_list(&entry.operation) && entry.status == Some(200))
        .filter(|entry| entry.repository.as_deref() == Some(repository))
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_select_tags_from_one_list_for_each_repository() {
    let sandbox = Mirror::start().await;
    publish(&sandbox);
    sandbox.write(
        "images.yaml",
        "images:\n- {source: python, tags: {semver: ^3.11, newest: 2, exact: latest}}\n- source: python\n  \
         repository: slim/python\n  tags: {suffix: -slim}\n- {source: ghcr.io/acme/app, tags: {exclude: '1.0'}}\n",
    );
    let run = async |options: &str| sandbox.run(&format!("sync images.yaml --to MIRROR {options}")).await;
    let check = run("--check").await;
    assert_eq!(check.code, Some(3), "{check:?}");
    let dry_run = run("--dry-run").await;
    assert_eq!(dry_run.code, Some(0), "{dry_run:?}");
    for output in [&check, &dry_run] {
        assert!(output.stdout.contains("6 images: 6 new, 0 moved, 0 unchanged, 0 failed"), "{output:?}");
    }
    assert_eq!(sandbox.copied("python", "3.13"), None);
    let first = run("").await;
    assert_eq!(first.code, Some(0), "{first:?}");
    assert!(first.stdout.contains("6 images: 6 new, 0 moved, 0 unchanged, 0 failed"), "{first:?}");
    for (repository, tag, is_copied) in [
        ("python", "3.11", false),
        ("python", "3.12", true),
        ("python", "3.13", true),
        ("python", "3.13-slim", false),
        ("python", "3.14rc1", false),
        ("python", "latest", true),
        ("slim/python", "3.13-slim", true),
        ("acme/app", "1.0", false),
        ("acme/app", "1.1", true),
        ("acme/app", "edge", true),
    ] {
        assert_eq!(sandbox.copied(repository, tag).is_some(), is_copied, "{repository}:{tag}");
    }
    sandbox.publish("docker.io/library/python:3.14", 50);
    let second = run("--json").await;
    let document: Value = serde_json::from_str(&second.stdout).unwrap();
    let summary = &document["summary"];
    assert_eq!((&summary["new"], &summary["unchanged"]), (&1.into(), &5.into()), "{summary}");
    let first = &document["images"][0];
    assert_eq!((&first["source"], &first["line"]), (&"docker.io/library/python:3.14".into(), &2.into()));
    assert_eq!((lists(&sandbox, "library/python"), lists(&sandbox, "acme/app")), (4, 4), "one for each run");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_without_a_list_of_tags_is_a_failed_image() {
    let sandbox = Mirror::start().await;
    publish(&sandbox);
    sandbox.write(
        "images.yaml",
        "defaults: {tags: {newest: 1}}\nimages:\n- ghcr.io/acme/gone\n- ghcr.io/acme/app\n- unknown.example/a\n\
         - unknown.example/b\n",
    );
    let output = sandbox.run("sync images.yaml --to MIRROR --jobs 1").await;
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stdout.contains("4 images: 1 new, 0 moved, 0 unchanged, 3 failed"), "{output:?}");
    let gone = "! images.yaml:3: The tags of ghcr.io/acme/gone could not be read: ghcr.io returned 401";
    assert!(output.stdout.lines().any(|line| line.starts_with(gone)), "{output:?}");
    let unknown: Vec<&str> = output.stdout.lines().filter(|line| line.contains("unknown.example")).collect();
    assert!(unknown[0].contains(": The tags of unknown.example/"), "{unknown:?}");
    assert_eq!(
        unknown[1],
        "! 1 more image of unknown.example failed for the same reason. --verbose lists them."
    );
    assert!(sandbox.copied("acme/app", "1.1").is_some());
    let json = sandbox.run("sync images.yaml --to MIRROR --json").await;
    let document: Value = serde_json::from_str(&json.stdout).unwrap();
    let failed = &document["images"][0];
    assert_eq!((&failed["source"], &failed["status"]), (&"ghcr.io/acme/gone".into(), &"failed".into()));
    assert_eq!((&failed["line"], &failed["code"]), (&3.into(), &"CI-004".into()), "{failed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exact_tag_that_is_missing_is_a_failed_image() {
    let sandbox = Mirror::start().await;
    publish(&sandbox);
    sandbox
        .write("images.yaml", "images:\n- {source: ghcr.io/acme/app, tags: {exact: gone, semver: ^1.1}}\n");
    let output = sandbox.run("sync images.yaml --to MIRROR").await;
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stdout.contains("2 images: 1 new, 0 moved, 0 unchanged, 1 failed"), "{output:?}");
    assert!(
        output.stdout.contains("! images.yaml:2: Image ghcr.io/acme/app:gone was not found"),
        "{output:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_select_nothing_are_a_failure_with_a_reason() {
    let sandbox = Mirror::start().await;
    publish(&sandbox);
    sandbox.write(
        "images.yaml",
        "images:\n- {source: python, tags: {semver: ^4}}\n- {source: ghcr.io/acme/app, tags: {newest: 1}}\n",
    );
    for option in ["--dry-run", "--check", "", "--quiet"] {
        let output = sandbox.run(&format!("sync images.yaml --to MIRROR {option}")).await;
        assert_eq!(output.code, Some(1), "{output:?}");
        assert_eq!(
            output.stderr,
            "error: images.yaml:2: the rules select no tag of docker.io/library/python. For example, 3.13 is \
             outside the range. Correct the rules.\n"
        );
        if option != "--quiet" {
            assert!(output.stdout.contains("1 image: 1 new"), "{output:?}");
            assert!(
                output.stdout.ends_with("exit code 1: the rules of 1 entry select no tag\n"),
                "{output:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_of_the_refresh_stack_are_an_error_or_notes() {
    let sandbox = Mirror::start().await;
    publish(&sandbox);
    sandbox.write(
        "images.yaml",
        "defaults: {min_age: 48h, prune: true}\nimages:\n- {source: python, tags: {newest: 1}}\n- source: \
         ghcr.io/acme/app:1.1\n  shared: true\n  credentials: arn\n- {source: 'ghcr.io/acme/app:1.0', prune: false}\n",
    );
    let output = sandbox.run("sync images.yaml --to MIRROR").await;
    assert_eq!(output.code, Some(2), "{output:?}");
    assert_eq!(
        output.stderr,
        "error: images.yaml:3: min_age needs the state table of the refresh stack. Pass --ignore-min-age to copy \
         images of any age.\n"
    );
    assert_eq!(sandbox.emulator.log().entries().len(), 0);
    let output = sandbox.run("sync images.yaml --to MIRROR --ignore-min-age").await;
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(
        output.stderr,
        "note: credentials of 1 entry are ignored. sync uses those of docker login, and AWS credentials for Amazon \
         ECR.\nnote: prune and shared of 2 entries are ignored, because only the refresh stack uses them.\n"
    );
    assert!(output.stdout.contains("3 images: 3 new"), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn images_with_one_destination_and_rules_in_a_plan_are_usage_errors() {
    let sandbox = Mirror::start().await;
    publish(&sandbox);
    sandbox.write(
        "images.yaml",
        "images:\n- {source: python, tags: {newest: 1}}\n- {source: 'python:3.13', platform: linux/arm64}\n",
    );
    let output = sandbox.run("sync images.yaml --to MIRROR").await;
    assert_eq!(output.code, Some(2), "{output:?}");
    let expected = "error: docker.io/library/python:3.13 (images.yaml:2) and docker.io/library/python:3.13 \
                    (images.yaml:3) have different platforms for ";
    assert!(output.stderr.starts_with(expected), "{output:?}");
    let plan = sandbox.run("plan images.yaml --to MIRROR").await;
    assert_eq!(plan.code, Some(2), "{plan:?}");
    assert!(plan.stderr.contains("images.yaml:2: tag rules are not supported here. "), "{plan:?}");
    assert_eq!(sandbox.copied("python", "3.13"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn regular_expressions_of_regsync_select_tags() {
    let sandbox = Mirror::start().await;
    publish(&sandbox);
    let list = "sync:\n- source: python\n  target: MIRROR/python\n  type: repository\n  tags:\n    allow: \
                ['3\\.1[123].*', '3\\.14.*']\n    deny: ['.*rc\\d+']\n    semverRange: ['>=3.12 <4']\n";
    sandbox.write("regsync.yaml", list.replace("MIRROR", &sandbox.host));
    let output = sandbox.run("sync regsync.yaml").await;
    assert_eq!(output.code, Some(0), "{output:?}");
    let copied =
        ["3.11", "3.12", "3.13", "3.13-slim", "3.14rc1"].map(|tag| sandbox.copied("python", tag).is_some());
    assert_eq!(copied, [false, true, true, true, false], "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_selected_images_is_bounded() {
    let sandbox = Mirror::start().await;
    let image = crate::common::image(1);
    let hub = sandbox.registry("docker.io");
    (0..=20_000).for_each(|at| hub.put_image("acme/app", &format!("1.{at}"), &image));
    sandbox.write("images.yaml", "images:\n- {source: acme/app, tags: {semver: ^1}}\n");
    let output = sandbox.run("sync images.yaml --to MIRROR").await;
    assert_eq!(output.code, Some(2), "{output:?}");
    assert_eq!(
        output.stderr,
        "error: the rules select more than 20000 images. Add rules, or split the list.\n"
    );
}
