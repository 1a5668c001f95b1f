//! Large and strange files: the time grows with their size, not with its square. A quadratic search would need
//! minutes here.

mod common;

use std::fmt::Write as _;

use common::Sandbox;

fn repeated(count: usize, item: impl Fn(usize) -> String) -> String {
    (0..count).map(item).collect()
}

/// Lists the images of a file. Returns the number of images and of notes.
async fn count(name: &str, content: String) -> (usize, usize) {
    let sandbox = Sandbox::start().await;
    sandbox.write(name, content);
    let output = sandbox.run("list").await;
    assert_eq!(output.code, Some(0), "{}", &output.stderr[..output.stderr.len().min(400)]);
    (output.stdout.lines().count(), output.stderr.lines().count())
}

fn template(containers: &str) -> String {
    format!(
        "Resources:\n  A: {{Type: AWS::ECS::TaskDefinition, Properties: {{ContainerDefinitions: [{containers}]}}}}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn many_references_on_one_line() {
    let text = repeated(200_000, |number| format!("docker.io/a/b:{number} "));
    assert_eq!(count("a.txt", text).await, (200_000, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_notes_on_one_line() {
    let containers = "{Image: \"${x}\"},".repeat(100_000);
    assert_eq!(count("a.yaml", template(&containers)).await, (0, 100_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_aliases_of_one_large_mapping() {
    let keys = repeated(100_000, |number| format!("  k{number}: 1\n"));
    let image = "  Type: AWS::Lambda::Function\n  Properties: {Code: {ImageUri: 'docker.io/a/b:1'}}\n";
    let aliases = repeated(100_000, |number| format!("  r{number}: *m\n"));
    assert_eq!(count("a.yaml", format!("X: &m\n{keys}{image}Resources:\n{aliases}")).await, (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_references_to_many_parameters() {
    let containers = repeated(50_000, |number| format!("{{Image: !Ref p{number}}},"));
    let parameters = repeated(50_000, |number| {
        format!("  p{number}: {{Type: String, Default: 'docker.io/a/b:{number}'}}\n")
    });
    assert_eq!(
        count("a.yaml", format!("{}Parameters:\n{parameters}", template(&containers))).await,
        (50_000, 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_chain_of_aliases_is_invalid() {
    let mut text = String::from("X:\n- &a0 !If [c, x/y:1, x/y:2]\n");
    for level in 1..100_000 {
        writeln!(text, "- &a{level} !If [c, *a{0}, *a{0}]", level - 1).unwrap();
    }
    let resources =
        "Resources: {A: {Type: AWS::Lambda::Function, Properties: {Code: {ImageUri: *a99999}}}}\n";
    let sandbox = Sandbox::start().await;
    sandbox.write("a.yaml", text + resources);
    let output = sandbox.run("list").await;
    let error = "error: a.yaml:301: the template is invalid (the aliases are nested too deeply)";
    assert!(output.code == Some(1) && output.stderr.starts_with(error), "{output:?}");
}
