//! What `list` and `update` tell of what is wrong, or may not be what was meant.

mod common;

use common::World;

const PIN: &str = "update --all --matching-tag --resolve-digest";

/// A template with this as the reference of its image; it stands in line 5.
fn template(reference: &str) -> String {
    format!(
        "AWSTemplateFormatVersion: '2010-09-09'\nResources:\n  A:\n    Properties:\n      ImageReference: {reference}\n    Type: Custom::ContainerImage\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_whose_images_are_not_known_is_a_failure() {
    let world = World::start().await;
    let digest = world.publish("docker.io/library/python:3.9", 1);
    world.write("broken.yaml", template("python:3.9").replace("    Prop", "   Prop"));
    world.write("invalid.yaml", template("Python:3.9"));
    world.write("sound.yaml", template("python:3.9"));
    // No templates, whatever they look like.
    world.write("chart.yaml", "Resources:\n  A: {Type: AWS::S3::Bucket\n{{- if .Values.x }}\n");
    world.write("notes.yml", "- of AWS:: Resources\n ]broken\n");
    let broken = "error: broken.yaml:6: this template cannot be read (while parsing a block mapping, did not find expected key), so it is read as plain text, without its short names. Correct it, or leave it out by --exclude.\n";
    let invalid = "error: invalid.yaml:5: no image can be named \"Python:3.9\": \"Python\" is not a repository name: expected lower-case letters and digits, separated by ., _, - or /. Correct it, or leave the file out by --exclude.\n";
    let errors = format!("{broken}{invalid}");
    let only_errors = |text: &str| -> String {
        text.split_inclusive('\n').filter(|line| line.starts_with("error: ")).collect()
    };

    let listed = world.run("list").await;
    assert_eq!((listed.code, listed.out.as_str()), (Some(1), "sound.yaml:python:3.9\n"), "{listed:?}");
    assert_eq!(only_errors(&listed.err), errors);
    let check = world.run(&format!("{PIN} --check")).await;
    assert_eq!((check.code, only_errors(&check.err)), (Some(1), errors.clone()));
    assert!(check.out.starts_with("sound.yaml:5: python:3.9 would become "), "{check:?}");
    let json = world.run(&format!("{PIN} --check --json")).await;
    let document: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((json.code, document["failures"].as_array().map(Vec::len)), (Some(1), Some(2)), "{json:?}");
    let said = world.run(PIN).await;
    assert_eq!((said.code, only_errors(&said.err)), (Some(1), errors), "{said:?}");
    assert_eq!(world.read("sound.yaml"), template(&format!("python:3.9@{digest}")));

    let others = world.run("list chart.yaml notes.yml sound.yaml").await;
    assert_eq!(others.code, Some(0), "{others:?}");
}
