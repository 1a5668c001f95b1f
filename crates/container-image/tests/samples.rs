//! Tests of the samples for Renovate and pre-commit.

mod common;

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
