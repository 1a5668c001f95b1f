//! Tests of the samples that use the command line.

#![expect(clippy::unwrap_used, reason = "a failed setup fails the test")]

mod common;

use std::collections::BTreeSet;

use common::Sandbox;
use regex::Regex;

/// The expressions must match the output of `list`. `tests/samples/renovate.cjs` runs Renovate itself.
#[test]
fn renovate_expressions_find_each_image_reference() {
    let preset = include_str!("../../../samples/renovate/renovate.json");
    let preset: serde_json::Value = serde_json::from_str(preset).unwrap();
    let manager = &preset["customManagers"][0];
    let expressions = manager["matchStrings"].as_array().unwrap();
    let [property, value] = expressions.as_slice() else { panic!("{expressions:?}") };
    let (property, value) =
        (Regex::new(property.as_str().unwrap()).unwrap(), Regex::new(value.as_str().unwrap()).unwrap());
    let template = include_str!("../../../tests/samples/template.yaml");
    let mut found = Vec::new();
    for property in property.find_iter(template) {
        let Some(parts) = value.captures(property.as_str()) else { continue };
        let part = |name| parts.name(name).map(|part| part.as_str());
        assert!(part("depName").is_some(), "{property:?}");
        found.push(parts[0].to_owned());
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("template.yaml"), template).unwrap();
    let mut list = std::process::Command::new(env!("CARGO_BIN_EXE_container-image"));
    let output = list.args(["list", "--no-filename", "--quiet"]).current_dir(folder.path()).output().unwrap();
    let listed = String::from_utf8(output.stdout).unwrap();
    found.sort();
    assert_eq!(found, listed.lines().collect::<Vec<_>>());
    assert_eq!(found.len(), 5);

    let files = manager["managerFilePatterns"][0].as_str().unwrap();
    let files = Regex::new(files.trim_matches('/')).unwrap();
    assert!(
        files.is_match("stacks/app.yaml") && files.is_match("a.template") && !files.is_match("a.yaml.md")
    );
}

/// Runs the hooks' commands with file names appended, as pre-commit does.
#[tokio::test(flavor = "multi_thread")]
async fn pre_commit_hooks_pin_and_check() {
    let sandbox = Sandbox::start().await;
    sandbox.publish("docker.io/library/python:3.9", 1);
    sandbox.write("app.yaml", "image: docker.io/library/python:3.9\n");
    let hooks = include_str!("../../../samples/pre-commit/.pre-commit-config.yaml");
    let entries = hooks.lines().filter_map(|line| line.trim().strip_prefix("entry: container-image "));
    let [pin, check] = entries.collect::<Vec<_>>()[..] else { panic!("{hooks}") };
    assert_eq!(sandbox.run(&format!("{check} app.yaml")).await.code, Some(3));
    let output = sandbox.run(&format!("{pin} app.yaml")).await;
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
    assert!(sandbox.read("app.yaml").contains("python:3.9@sha256:"));
    assert_eq!(sandbox.run(&format!("{check} app.yaml")).await.code, Some(0));
}

const NIGHTLY: &str = include_str!("../../../samples/nightly-sync.yaml");
const WORKFLOW: &str = include_str!("../../../samples/github-actions/sync-images.yaml");
const REGISTRY: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";

/// Returns a file that the nightly build writes with a here-document.
fn nightly_file(name: &str, delimiter: &str) -> String {
    let (_, text) = NIGHTLY.split_once(&format!("cat >{name} <<'{delimiter}'\n")).unwrap();
    let (text, _) = text.split_once(&format!("{delimiter}\n")).unwrap();
    text.trim_end().lines().map(|line| line.trim().to_owned() + "\n").collect()
}

/// Returns the arguments of `sync` in a sample, with this destination.
fn sync_arguments(sample: &str, destination: &str) -> String {
    let (_, command) = sample.split_once("container-image sync images.txt").unwrap();
    let command = command.lines().take_while(|line| !line.trim().is_empty()).take(2);
    let command = command.collect::<Vec<_>>().join(" ").replace("\"$DESTINATION\"", destination);
    format!("sync images.txt {}", command.trim_end_matches(" >result.json"))
}

/// Publishes the images of the nightly list. Official images are also in ECR Public.
async fn sandbox_with_list() -> Sandbox {
    let sandbox = Sandbox::start().await;
    sandbox.write("images.txt", nightly_file("images.txt", "LIST"));
    sandbox.write("lifecycle.json", nightly_file("lifecycle.json", "POLICY"));
    let list = sandbox.read("images.txt");
    let references = list.lines().filter(|line| !line.starts_with('#'));
    let references: Vec<&str> = references.filter_map(|line| line.split(' ').next_back()).collect();
    assert_eq!(references.len(), 5, "{list}");
    for (reference, seed) in references.iter().zip(1..) {
        if reference.contains('/') {
            sandbox.publish(reference, seed);
        } else {
            sandbox.publish(&format!("docker.io/library/{reference}"), seed);
            let (name, tag) = reference.split_once(':').unwrap();
            let mirror = sandbox.emulator.ecr_public();
            mirror.put_image(&format!("docker/library/{name}"), tag, &common::image(seed));
        }
    }
    sandbox
}

/// Returns the ECR actions in a text.
fn ecr_actions(text: &str) -> BTreeSet<&str> {
    Regex::new(r"\becr:[A-Z]\w+").unwrap().find_iter(text).map(|found| found.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_nightly_build_copies_its_list_with_exactly_its_permissions() {
    let sandbox = sandbox_with_list().await;
    let ecr = sandbox.emulator.ecr();
    let allowed = ecr_actions(NIGHTLY);
    let documented =
        concat!(include_str!("../../../docs/cli.md"), include_str!("../../../docs/permissions.md"));
    let denied: Vec<_> = ecr_actions(documented).difference(&allowed).copied().collect();
    assert!(denied.contains(&"ecr:BatchDeleteImage") && allowed.len() > 5, "{denied:?}");
    for action in &denied {
        ecr.deny(action, "*");
    }
    let output = sandbox.run(&sync_arguments(NIGHTLY, &format!("{REGISTRY}/mirror"))).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(output.stdout.contains("5 images: 5 new, 0 moved, 0 unchanged, 0 failed"), "{output:?}");
    assert_eq!(output.stderr.matches("encryption AES256, scan on push, lifecycle policy.\n").count(), 5);
    let names = ["kubernetes/pause", "kyverno/kyverno", "nginx", "python", "redis"];
    let arns = names.map(|name| sandbox.emulator.repository_arn(&format!("mirror/{name}")));
    assert_eq!(ecr.repositories(), arns);
    let report: serde_json::Value = serde_json::from_str(&sandbox.read("report.json")).unwrap();
    assert_eq!(report.as_object().unwrap().len(), 5);
    // ECR Public has the official images.
    assert!(output.stdout.contains("\nDocker Hub: 100 of 100 pulls left for "), "{output:?}");

    for (action, number) in allowed.iter().zip(1..) {
        ecr.allow_everything();
        ecr.deny(action, "*");
        let output = sandbox.run(&sync_arguments(NIGHTLY, &format!("{REGISTRY}/without{number}"))).await;
        assert_eq!(output.code, Some(1), "{action} is not required: {output:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_workflow_copies_a_list_and_prints_json() {
    let sandbox = sandbox_with_list().await;
    let command = sync_arguments(WORKFLOW, &format!("{REGISTRY}/mirror"));
    let output = sandbox.run(&command).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    // The last step reads these fields with jq.
    let result: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    let fields = Regex::new(r"\(\$all\.(\w+)\)").unwrap();
    let fields: Vec<_> = fields.captures_iter(WORKFLOW).map(|found| found[1].to_owned()).collect();
    assert_eq!(fields, ["images", "new", "moved", "unchanged", "failed", "pulls"]);
    for field in &fields {
        assert!(result["summary"][field].is_u64(), "{field}: {result:#}");
    }
    assert_eq!(result["images"][0]["status"], "new");
    assert!(sandbox.read("report.json").contains("/mirror/nginx@sha256:"));
}

/// The list of a refresh stack is also one for `tags` and `sync`.
#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_a_refresh_stack_selects_tags() {
    let sandbox = Sandbox::start().await;
    for reference in [
        "public.ecr.aws/docker/library/nginx:1.29",
        "public.ecr.aws/docker/library/python:latest",
        "public.ecr.aws/docker/library/python:3.11.4",
        "public.ecr.aws/docker/library/python:3.12.9",
        "public.ecr.aws/docker/library/python:3.13.1",
        "public.ecr.aws/docker/library/python:3.13",
        "public.ecr.aws/docker/library/python:3.13.2",
        "public.ecr.aws/docker/library/python:3.14.0",
        "ghcr.io/acme/app:release-1.0-slim",
        "ghcr.io/acme/app:release-1.0",
        "ghcr.io/acme/app:dev-1.0-slim",
    ] {
        sandbox.publish(reference, reference.len() as u64);
    }
    sandbox.write("refresh.yaml", include_str!("../../../samples/lists/refresh.yaml"));
    let tags = sandbox.run("tags --rules refresh.yaml --quiet").await;
    let selected = "\
ghcr.io/acme/app:release-1.0-slim
public.ecr.aws/docker/library/python:3.13.2
public.ecr.aws/docker/library/python:3.13.1
public.ecr.aws/docker/library/python:latest
";
    assert_eq!((tags.code, tags.stdout.as_str()), (Some(0), selected), "{tags:?}");
    let sync = "sync refresh.yaml --to registry.example/mirror --ignore-min-age --dry-run";
    sandbox.registry("registry.example");
    let sync = sandbox.run(sync).await;
    assert_eq!(sync.code, Some(0), "{sync:?}");
    assert!(sync.stdout.contains("5 images: 5 new"), "{sync:?}");
}
