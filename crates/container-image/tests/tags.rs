//! `tags` lists the tags that rules select.

mod common;

use aws_emulator::Mutability;
use common::{Sandbox, image};
use serde_json::Value;

/// Returns a sandbox with tags of the repository `python` in Docker Hub.
async fn sandbox() -> Sandbox {
    let sandbox = Sandbox::start().await;
    for tag in ["latest", "3", "3.9", "3.10", "3.10-slim", "3.11.0rc1", "3.11.2", "2.7"] {
        sandbox.publish(&format!("docker.io/library/python:{tag}"), 1);
    }
    sandbox
}

#[tokio::test(flavor = "multi_thread")]
async fn prints_the_selected_tags_newest_first_without_a_pull() {
    let sandbox = sandbox().await;
    let output = sandbox.run("tags python --semver >=3 --exact latest").await;
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(output.stdout, "3.11.2\n3.10\n3.9\n3\nlatest\n");
    assert_eq!(output.stderr, "note: 5 of 8 tags of docker.io/library/python selected.\n");
    let log = sandbox.emulator.log();
    assert_eq!(log.pulls(log.start()), 0);
    let quiet = sandbox.run("tags python --newest 1 --quiet").await;
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("3.11.2\n", ""));
    let none = sandbox.run("tags python --semver ^9").await;
    assert_eq!((none.code, none.stdout.as_str()), (Some(0), ""), "{none:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn prints_all_tags_with_their_reasons() {
    let sandbox = sandbox().await;
    let rules = "tags python --newest 2 --include 3* --exclude *.9 --exact 2.7";
    let output = sandbox.run(&format!("{rules} --all")).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    let expected = "\
in   3.11.2     is version 1 of the newest 2
out  3.11.0rc1  is a pre-release
in   3.10       is version 2 of the newest 2
out  3.10-slim  has the suffix -slim
out  3.9        is excluded by *.9
out  3          is older than the newest 2
in   2.7        is an exact tag
out  latest     matches no included pattern
";
    assert_eq!(output.stdout, expected);
    let output = sandbox.run(&format!("{rules} --json")).await;
    let document: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(document["repository"], "docker.io/library/python");
    let tags = document["tags"].as_array().unwrap();
    let lines: Vec<String> = tags
        .iter()
        .map(|tag| {
            let word = if tag["in"].as_bool().unwrap() { "in" } else { "out" };
            format!("{word:3}  {:9}  {}\n", tag["tag"].as_str().unwrap(), tag["reason"].as_str().unwrap())
        })
        .collect();
    assert_eq!(lines.concat(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_a_repository_in_ecr() {
    let (sandbox, repository) = Sandbox::with_ecr_repository().await;
    repository.set_mutability(Mutability::Immutable);
    for tag in ["1.0", "1.1", "dev"] {
        repository.put_image(Some(tag), &image(1));
    }
    let output = sandbox.run(&format!("tags {} --suffix -slim --exact dev", repository.uri())).await;
    assert_eq!((output.code, output.stdout.as_str()), (Some(0), "dev\n"), "{output:?}");
    let output = sandbox.run(&format!("tags {} --newest 1", repository.uri())).await;
    assert_eq!((output.code, output.stdout.as_str()), (Some(0), "1.1\n"), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_missing_repositories_and_tags_and_invalid_rules() {
    let sandbox = sandbox().await;
    sandbox.publish("ghcr.io/acme/app:1", 1);
    let output = sandbox.run("tags ghcr.io/acme/gone").await;
    assert_eq!(output.code, Some(1), "{output:?}");
    // Without credentials, this registry does not report a missing repository.
    assert_eq!(
        output.stderr,
        "error: The tags of ghcr.io/acme/gone could not be read: ghcr.io returned 401 UNAUTHORIZED \"authentication required\". Check REPOSITORY (many registries return this for a missing repository), or log in: docker login ghcr.io. (CI-004)\n"
    );
    let (_, repository) = Sandbox::with_ecr_repository().await;
    let missing = format!("{}-gone", repository.uri());
    let output = sandbox.run(&format!("tags {missing}")).await;
    assert_eq!(output.code, Some(1), "{output:?}");
    let line = format!("error: Repository {missing} was not found: ECR returned 404 NAME_UNKNOWN \"");
    assert!(output.stderr.starts_with(&line), "{output:?}");
    assert!(output.stderr.ends_with("Check the name in REPOSITORY. (CI-001)\n"), "{output:?}");
    let output = sandbox.run("tags ghcr.io/acme/app --exact 2").await;
    assert_eq!((output.code, output.stdout.as_str()), (Some(1), ""), "{output:?}");
    let line = "error: Tag ghcr.io/acme/app:2 was not found. Correct or remove --exact 2.\n";
    assert!(output.stderr.ends_with(line), "{output:?}");
    for (arguments, word) in [
        ("tags python:3", "without a tag"),
        ("tags python --semver 3.x.y", "expected a range"),
        ("tags python --include ^3", "is not a pattern of tags"),
        ("tags python --newest 0", "expected a number from 1"),
        ("tags python --json --all", "--all"),
    ] {
        let output = sandbox.run(arguments).await;
        assert_eq!(output.code, Some(2), "{output:?}");
        assert!(output.stderr.contains(word) && output.stderr.lines().count() == 1, "{output:?}");
    }
}
