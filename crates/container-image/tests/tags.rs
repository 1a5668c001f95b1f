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
    let note = "note: 0 of 8 tags of docker.io/library/python selected; --all prints the reasons.\n";
    assert_eq!(none.stderr, note);
    let expression = sandbox.run("tags python --exclude .*rc.* --newest 1").await;
    assert_eq!((expression.code, expression.stdout.as_str()), (Some(0), "3.11.2\n"), "{expression:?}");
    assert!(expression.stderr.ends_with("note: exclude .*rc.* matches no tag; only * is a wildcard.\n"));
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

/// A list with rules for two repositories, and images without rules.
const LIST: &str = "images:\n- {source: python, tags: {newest: 2}}\n- nginx:1\n- source: ghcr.io/acme/app\n  \
                    tags: {include: '1*', exact: edge}\n- {source: python, tags: {suffix: -slim}}\n";

#[tokio::test(flavor = "multi_thread")]
async fn applies_the_rules_of_a_list() {
    let sandbox = sandbox().await;
    for tag in ["1.0", "2.0", "edge"] {
        sandbox.publish(&format!("ghcr.io/acme/app:{tag}"), 1);
    }
    sandbox.write("images.yaml", LIST);
    let output = sandbox.run("tags --rules images.yaml").await;
    assert_eq!(output.code, Some(0), "{output:?}");
    let expected = "\
docker.io/library/python:3.11.2
docker.io/library/python:3.10
docker.io/library/python:3.10-slim
ghcr.io/acme/app:1.0
ghcr.io/acme/app:edge
";
    assert_eq!(output.stdout, expected);
    let notes = "\
note: 1 entry of images.yaml has no rules and was omitted.
note: images.yaml:2: 2 of 8 tags of docker.io/library/python selected.
note: images.yaml:6: 1 of 8 tags of docker.io/library/python selected.
note: images.yaml:4: 2 of 3 tags of ghcr.io/acme/app selected.
";
    assert_eq!(output.stderr, notes);
    let lists = sandbox.emulator.log().entries();
    let lists = lists.iter().filter(|entry| entry.operation == "tags.list" && entry.status == Some(200));
    assert_eq!(lists.count(), 2, "one for each repository");
    let quiet = sandbox.run("tags --rules images.yaml --quiet").await;
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), (expected, ""));

    let output = sandbox.run("tags ghcr.io/acme/app --rules images.yaml --all").await;
    let expected = "\
images.yaml:4: ghcr.io/acme/app
out  2.0   matches no included pattern
in   1.0   matches 1*
in   edge  is an exact tag
";
    assert_eq!((output.code, output.stdout.as_str()), (Some(0), expected), "{output:?}");
    let output = sandbox.run("tags --rules images.yaml --json").await;
    let document: Value = serde_json::from_str(&output.stdout).unwrap();
    let found = document.as_array().unwrap();
    assert_eq!(found.len(), 3);
    let app = &found[2];
    assert_eq!((&app["repository"], &app["path"]), (&"ghcr.io/acme/app".into(), &"images.yaml".into()));
    assert_eq!((&app["line"], app["tags"].as_array().unwrap().len()), (&4.into(), 3));
    assert_eq!(app["tags"][1], serde_json::json!({"tag": "1.0", "in": true, "reason": "matches 1*"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_repository_of_a_list_does_not_end_the_others() {
    let sandbox = sandbox().await;
    sandbox.write(
        "images.yaml",
        "images:\n- {source: ghcr.io/acme/gone, tags: {newest: 1}}\n- {source: python, tags: {newest: 1, exact: '4'}}\n",
    );
    sandbox.publish("ghcr.io/acme/app:1", 1);
    let output = sandbox.run("tags --rules images.yaml").await;
    assert_eq!((output.code, output.stdout.as_str()), (Some(1), "docker.io/library/python:3.11.2\n"));
    let failures: Vec<&str> = output.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(
        failures[0],
        "error: images.yaml:3: Tag docker.io/library/python:4 was not found. Correct or remove the exact tag 4."
    );
    sandbox.write("none.yaml", "images:\n- {source: python, tags: {semver: ^9}}\n");
    for (options, advice) in [("", "--all prints the reasons."), (" --all", "Correct the rules.")] {
        let output = sandbox.run(&format!("tags --rules none.yaml --quiet{options}")).await;
        let line =
            format!("error: none.yaml:2: the rules select no tag of docker.io/library/python. {advice}\n");
        assert_eq!((output.code, output.stderr), (Some(1), line));
    }
    let line = "error: images.yaml:2: The tags of ghcr.io/acme/gone could not be read: ghcr.io returned 401 ";
    assert!(failures[1].starts_with(line) && failures[1].contains(" Check the list ("), "{failures:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_of_a_list_replace_those_of_options() {
    let sandbox = sandbox().await;
    sandbox.write("images.yaml", LIST);
    sandbox.write("plain.txt", "nginx:1\n");
    sandbox.write("bad.yaml", "images:\n- {source: a, tags: {newest: x}}\n");
    for (arguments, expected) in [
        ("tags", "the following required arguments were not provided: <REPOSITORY>"),
        (
            "tags --rules images.yaml --newest 1",
            "the argument '--rules <LIST>' cannot be used with '--newest <N>'",
        ),
        (
            "tags nginx --rules images.yaml",
            "images.yaml has no tag rules for docker.io/library/nginx. Correct REPOSITORY or the list.",
        ),
        ("tags images.yaml", "images.yaml is a file. Pass --rules images.yaml."),
        ("tags --rules plain.txt", "plain.txt has no tag rules. Add rules in the key tags of an image."),
        ("tags --rules gone.yaml", "the list gone.yaml was not found. Correct the path."),
        ("tags --rules bad.yaml", "bad.yaml:2: images[0].tags.newest: \"x\" is not a number from 1."),
    ] {
        let output = sandbox.run(arguments).await;
        assert_eq!(output.code, Some(2), "{output:?}");
        assert!(output.stderr.starts_with(&format!("error: {expected}")), "{output:?}");
        assert_eq!(output.stderr.lines().count(), 1, "{output:?}");
    }
    assert_eq!(sandbox.emulator.log().entries().len(), 0);
}
