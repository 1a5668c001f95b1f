//! `customize` in lists: `sync` copies changed images, and `verify` compares them with their sources.

use aws_emulator::{ImageBuilder, Repository};
use serde_json::{Value, json};

use crate::common::{RunOutput, Sandbox};
use crate::source_requests;

const HOST: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/base";
const SYNC: &str = "sync list.yaml --to 123456789012.dkr.ecr.eu-west-1.amazonaws.com/base";

/// Returns a sandbox with a list of `docker.io/library/python:1` with two platforms and attestations, and the
/// repository of the copy.
async fn sandbox(lines: &str) -> (Sandbox, Repository) {
    let (sandbox, repository) = Sandbox::with_ecr_repository().await;
    publish(&sandbox, &ImageBuilder::new(1).attestations());
    write_list(&sandbox, lines);
    (sandbox, repository)
}

fn publish(sandbox: &Sandbox, image: &ImageBuilder) {
    sandbox.registry("docker.io").put_image("library/python", "1", &image.clone().index());
}

fn write_list(sandbox: &Sandbox, lines: &str) {
    sandbox.write("list.yaml", format!("images:\n  - source: python:1\n    customize:\n      - {lines}\n"));
}

#[track_caller]
fn document(output: &RunOutput) -> Value {
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// Returns the only image of a JSON document.
#[track_caller]
fn image(output: &RunOutput) -> Value {
    document(output)["images"][0].clone()
}

/// Returns status and problems of the image that `verify` finds.
async fn verify(sandbox: &Sandbox) -> (Value, Value) {
    let found = image(&sandbox.run("verify report.json --json").await);
    (found["status"].clone(), found["problems"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_image_is_copied_once_until_a_line_or_the_source_changes() {
    let (sandbox, repository) = sandbox("ENV A=1").await;
    let planned = sandbox.run(&format!("{SYNC} --dry-run")).await;
    let line = "customized, linux/amd64, linux/arm64";
    assert!(planned.code == Some(0) && planned.stdout.contains(line), "{planned:?}");
    assert_eq!(repository.resolve("1"), None);

    let copied = sandbox.run(&format!("{SYNC} --report report.json")).await;
    assert!(copied.code == Some(0) && copied.stdout.contains(line), "{copied:?}");
    let left_out = "note: docker.io/library/python:1: 2 attestations were left out, because they describe the images \
                    before the change.\n";
    assert_eq!(copied.stderr, left_out);
    let digest = repository.resolve("1").unwrap();
    assert!(planned.stdout.contains(&digest[..19]), "{planned:?}");
    assert_eq!(repository.integrity_errors("1"), Vec::<String>::new());
    assert_eq!(verify(&sandbox).await, (json!("ok"), json!([])));

    // The manifests are read again, because nothing records the lines. No layer is read.
    let (mark, blobs) = (sandbox.emulator.log().mark(), repository.blobs().len());
    let again = image(&sandbox.run(&format!("{SYNC} --json")).await);
    assert_eq!((&again["status"], &again["digest"]), (&json!("unchanged"), &json!(digest)));
    assert_eq!((&again["customized"], &again["bytes"]), (&json!(true), &json!(0)));
    assert_eq!(again["pulls"], json!(3));
    let mut requests: Vec<String> =
        source_requests(&sandbox, mark).into_iter().map(|(name, _)| name).collect();
    requests.sort();
    assert_eq!(requests, ["manifest.get", "manifest.get", "manifest.get", "manifest.head"]);
    assert_eq!(sandbox.emulator.log().count(mark, "blob.get"), 2, "the configs");
    assert_eq!(sandbox.run(&format!("{SYNC} --check")).await.code, Some(0));

    write_list(&sandbox, "ENV A=2");
    assert_eq!(sandbox.run(&format!("{SYNC} --check")).await.code, Some(3));
    let changed = sandbox.run(&format!("{SYNC} --report report.json --json")).await;
    assert!(changed.stderr.starts_with(left_out), "{changed:?}");
    let changed = image(&changed);
    assert_eq!((&changed["status"], &changed["previous_digest"]), (&json!("moved"), &json!(digest)));
    assert_eq!(changed["attestations_left_out"], json!(2));
    assert_eq!(repository.blobs().len(), blobs + 2, "only the configs are new");

    publish(&sandbox, &ImageBuilder::new(8));
    let (status, problems) = verify(&sandbox).await;
    assert_eq!(status, "moved", "{problems}");
    assert_eq!(sandbox.run(&format!("{SYNC} --check")).await.code, Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_knows_the_base_of_images_in_dockers_format() {
    let (sandbox, repository) = sandbox("RUN mkdir -p /data").await;
    publish(&sandbox, &ImageBuilder::new(3).docker());
    assert_eq!(sandbox.run(&format!("{SYNC} --report report.json")).await.code, Some(0));
    let root: Value = serde_json::from_slice(&repository.manifest("1").unwrap()).unwrap();
    assert_eq!(root["mediaType"], "application/vnd.docker.distribution.manifest.list.v2+json");
    assert_eq!(verify(&sandbox).await, (json!("ok"), json!([])));
    publish(&sandbox, &ImageBuilder::new(4).docker());
    assert_eq!(verify(&sandbox).await.0, "moved");
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_of_a_changed_image_change_each_tag() {
    let (sandbox, repository) = sandbox("ENV A=1").await;
    sandbox.registry("docker.io").put_image("library/python", "2", &ImageBuilder::new(2).index());
    sandbox.write(
        "list.yaml",
        "defaults: {customize: 'LABEL a=b'}\nimages:\n- {source: python, tags: {newest: 2}}\n",
    );
    assert_eq!(sandbox.run(SYNC).await.code, Some(0));
    for tag in ["1", "2"] {
        let root: Value = serde_json::from_slice(&repository.manifest(tag).unwrap()).unwrap();
        let base = &root["annotations"]["org.opencontainers.image.base.name"];
        assert_eq!(*base, format!("docker.io/library/python:{tag}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_cannot_be_applied_name_the_list() {
    let (sandbox, repository) = sandbox("RUN mkdir -p $HOME/x").await;
    let output = sandbox.run(SYNC).await;
    let line = "! list.yaml:2: Image docker.io/library/python:1 for linux/amd64 cannot be customized: line 1: the \
                variable HOME is not set by ENV. Nothing was copied. Correct customize in the list, or select other \
                platforms in the list. (CI-034)\n";
    assert!(output.code == Some(1) && output.stdout.contains(line), "{output:?}");
    write_list(&sandbox, "RUN apt-get update");
    let output = sandbox.run(SYNC).await;
    let start = "error: list.yaml:4: images[0].customize: line 1: \"apt-get\" is not supported in RUN.";
    assert!(output.code == Some(2) && output.stderr.starts_with(start), "{output:?}");
    write_list(&sandbox, "ENV A=1");
    let output = sandbox.run(&format!("{SYNC} --include-referrers")).await;
    let error = "error: list.yaml:2: customize changes the image, which its signatures and attestations do not \
                 describe. Remove customize or --include-referrers.\n";
    assert_eq!((output.code, output.stderr.as_str()), (Some(2), error));
    sandbox.write("other.yaml", "images: [python:1]\n");
    let output = sandbox.run(&format!("sync list.yaml other.yaml --to {HOST}")).await;
    let part = "have different lines in customize for";
    assert!(output.code == Some(2) && output.stderr.contains(part), "{output:?}");
    assert!(repository.tags().is_empty() && repository.blobs().is_empty());
}
