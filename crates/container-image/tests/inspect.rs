//! `inspect` describes an image.

#![expect(clippy::unwrap_used, reason = "a failed setup fails the test")]

mod common;

use aws_emulator::{Blob, Image, ImageBuilder, Manifest, Mutability};
use common::{RunOutput, Sandbox, image};
use serde_json::{Value, json};

/// Returns the lines of a successful run. None is longer than a terminal is wide, except the reference.
#[track_caller]
fn lines(output: &RunOutput) -> Vec<&str> {
    assert_eq!(output.code, Some(0), "{output:?}");
    for line in output.stdout.lines().filter(|line| !line.starts_with("image ")) {
        assert!(line.chars().count() <= 80, "{line}");
    }
    output.stdout.lines().collect()
}

/// Returns the values of a row of the table of platforms: size, layers and digest.
#[track_caller]
fn row<'a>(lines: &[&'a str], name: &str) -> Vec<&'a str> {
    let line = lines.iter().find(|line| line.starts_with(&format!("{name} "))).unwrap();
    line[name.len()..].split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect()
}

/// Returns the sum of the sizes of config and layers.
fn size(manifest: &Manifest) -> u64 {
    let document: Value = serde_json::from_slice(&manifest.bytes).unwrap();
    let layers = document["layers"].as_array().unwrap().iter();
    layers.chain([&document["config"]]).map(|blob| blob["size"].as_u64().unwrap()).sum()
}

fn python() -> Image {
    ImageBuilder::new(1).attestations().windows("10.0.20348.2655").layers(&[200, 300]).index()
}

#[tokio::test(flavor = "multi_thread")]
async fn prints_platforms_and_attestations_for_one_pull_of_each_image() {
    let sandbox = Sandbox::start().await;
    let image = python();
    sandbox.registry("docker.io").put_image("library/python", "3.13", &image);
    let output = sandbox.run("inspect python:3.13").await;
    assert_eq!(output.stderr, "");
    let lines = lines(&output);
    assert_eq!(lines[0], "image    docker.io/library/python:3.13");
    assert_eq!(lines[1], format!("digest   {}", image.digest()));
    assert_eq!(lines[1].len(), 80);
    assert_eq!(lines[2], "type     application/vnd.oci.image.index.v1+json");
    assert!(
        lines[3].starts_with("created  2026-01-01T00:00:00Z (") && lines[3].ends_with(" ago), linux/amd64")
    );
    assert_eq!(lines[4], "pulls    4 manifests were read");
    assert!(lines[5].starts_with("         96 of 100 pulls left for "), "{}", lines[5]);
    let amd = image.child("linux/amd64").unwrap();
    let expected = [format!("{} bytes", size(amd)), "2".into(), amd.digest[..19].into()];
    assert_eq!(row(&lines, "linux/amd64"), expected);
    assert_eq!(row(&lines, "windows/amd64 10.0.20348.2655").len(), 3);
    let attestations: Vec<&str> =
        lines.iter().filter(|line| line.starts_with("attestation  sha256:")).copied().collect();
    assert_eq!(attestations.len(), 3);
    assert!(attestations[1].ends_with("  in the index, for linux/arm64"), "{}", attestations[1]);
    let log = sandbox.emulator.log();
    assert_eq!(log.pulls(log.start()), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_one_platform_for_two_pulls() {
    let sandbox = Sandbox::start().await;
    let image = python();
    sandbox.registry("docker.io").put_image("library/python", "3.13", &image);
    let output = sandbox.run("inspect python:3.13 --platform linux/arm64").await;
    let lines = lines(&output);
    assert!(lines[3].ends_with(" ago), linux/arm64"), "{}", lines[3]);
    assert_eq!(lines[4], "pulls    2 manifests were read");
    let arm = image.child("linux/arm64").unwrap();
    assert_eq!(row(&lines, "linux/arm64")[0], format!("{} bytes", size(arm)));
    assert_eq!(row(&lines, "linux/amd64")[..2], ["-", "-"]);
    let log = sandbox.emulator.log();
    assert_eq!(log.pulls(log.start()), 2);
    let output = sandbox.run("inspect python:3.13 --platform linux/s390x").await;
    assert_eq!(output.code, Some(1), "{output:?}");
    let start =
        "error: Image docker.io/library/python:3.13 is not available for linux/s390x. Available: linux/amd64";
    assert!(output.stderr.starts_with(start) && output.stderr.ends_with(" (CI-029)\n"), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_needs_no_pull_at_docker_hub() {
    let sandbox = Sandbox::start().await;
    let image = python();
    sandbox.registry("docker.io").put_image("library/python", "3.13", &image);
    sandbox.emulator.ecr_public().put_image("docker/library/python", "3.13", &image);
    let mirror = "inspect python:3.13 --mirror docker.io/library=public.ecr.aws/docker/library";
    let output = sandbox.run(mirror).await;
    let lines = lines(&output);
    assert_eq!(lines[4], "pulls    0 manifests were read");
    assert!(lines[5].starts_with("         100 of 100 pulls left for "), "{}", lines[5]);
    assert_eq!(row(&lines, "linux/amd64").len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_few_pulls_are_reported_before_they_are_spent() {
    let sandbox = Sandbox::start().await;
    sandbox.registry("docker.io").put_image("library/python", "3.13", &python());
    sandbox.emulator.docker_hub().set_remaining_pulls(None, 3);
    let output = sandbox.run("inspect python:3.13").await;
    assert_eq!((output.code, output.stdout.as_str()), (Some(1), ""), "{output:?}");
    assert!(output.stderr.contains("--mirror docker.io/library=public.ecr.aws/docker/library"), "{output:?}");
    let log = sandbox.emulator.log();
    assert_eq!(log.pulls(log.start()), 1, "only the index");
}

#[tokio::test(flavor = "multi_thread")]
async fn finds_signatures_in_tags_and_in_the_list_of_referrers() {
    let sandbox = Sandbox::start().await;
    let image = image(1);
    let registry = sandbox.registry("ghcr.io");
    registry.put_image("acme/app", "1", &image);
    let referrer = |artifact_type, content| Image::referrer(image.root(), artifact_type, content);
    registry.put_referrer("acme/app", &referrer("application/vnd.cncf.notary.signature", "a"));
    registry.put_referrer("acme/app", &referrer("application/spdx+json", "b"));
    registry.put_referrer("acme/app", &referrer(&format!("application/{}", "x".repeat(90)), "c"));
    let cosign = ImageBuilder::new(9).single();
    registry.put_image("acme/app", &format!("{}.sig", image.digest().replace(':', "-")), &cosign);
    let output = sandbox.run("inspect ghcr.io/acme/app:1").await;
    assert_eq!(output.stderr, "");
    let lines = lines(&output);
    let has = |kind: &str, origin: &str| {
        lines.iter().any(|line| line.starts_with(&format!("{kind:11}  sha256:")) && line.ends_with(origin))
    };
    assert!(has("signature", "  application/vnd.cncf.notary.signature"), "{lines:?}");
    assert!(has("SBOM", "  application/spdx+json"), "{lines:?}");
    assert!(has("artifact", "xxx…"), "{lines:?}");
    assert!(has("signature", "  tag of cosign"), "{lines:?}");
    let output = sandbox.run("inspect ghcr.io/acme/app:1 --json").await;
    let document: Value = serde_json::from_str(&output.stdout).unwrap();
    let referrers = document["referrers"].as_array().unwrap();
    assert_eq!(referrers.len(), 4);
    assert!(referrers.iter().all(|referrer| referrer["subject"] == image.digest()));
    let signature = referrers.iter().find(|referrer| referrer["tag"].is_string()).unwrap();
    assert_eq!(signature["digest"], cosign.digest());
}

/// An image without an index, whose config has a history with control characters.
fn with_history() -> Image {
    let layers: Vec<Blob> = (1..=2).map(|seed| Blob::generated(seed, 2048 * seed)).collect();
    let long = "x".repeat(100);
    let config = Blob::bytes(
        json!({
            "os": "linux", "architecture": "arm64", "variant": "v8", "created": "1980-01-01T00:00:01Z",
            "history": [
                {"created_by": "/bin/sh -c #(nop) ADD file:1 in / "},
                {"created_by": "ENV A=\u{1b}[31m", "empty_layer": true},
                {"created_by": format!("RUN echo {long} # buildkit")},
            ],
        })
        .to_string(),
    );
    let descriptor = |blob: &Blob, name: &str| json!({"mediaType": format!("application/vnd.oci.image.{name}"), "digest": blob.digest(), "size": blob.size()});
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor(&config, "config.v1+json"),
        "layers": layers.iter().map(|layer| descriptor(layer, "layer.v1.tar")).collect::<Vec<_>>(),
    });
    let manifest = Manifest::new(manifest.to_string(), "application/vnd.oci.image.manifest.v1+json");
    Image { manifests: vec![manifest], blobs: [vec![config], layers].concat() }
}

#[tokio::test(flavor = "multi_thread")]
async fn prints_the_history_of_an_image_without_an_index() {
    let sandbox = Sandbox::start().await;
    sandbox.registry("ghcr.io").put_image("acme/app", "1", &with_history());
    let output = sandbox.run("inspect ghcr.io/acme/app:1 --history").await;
    let lines = lines(&output);
    assert_eq!(lines[3], "created  1980-01-01T00:00:01Z (not a build time)");
    assert_eq!(lines[4], "pulls    1 manifest was read");
    assert_eq!(row(&lines, "linux/arm64/v8")[1], "2");
    assert!(lines.contains(&"no signatures, attestations or other referrers"));
    let start = lines.iter().position(|line| line.ends_with("size  step")).unwrap();
    assert_eq!(lines[start + 1], "   2.0 KiB  ADD file:1 in /");
    assert_eq!(lines[start + 2], "         -  ENV A=");
    assert!(lines[start + 3].starts_with("   4.0 KiB  RUN echo xxx") && lines[start + 3].ends_with("xx…"));
    assert_eq!(lines.len(), start + 4);
    let output = sandbox.run("inspect ghcr.io/acme/app:1 --history --json").await;
    let document: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(document["history"][2]["step"].as_str().unwrap().len(), 109);
    assert_eq!(document["history"][2]["size"], 4096);
    assert_eq!(document["history"][1]["size"], Value::Null);
    let other = sandbox.run("inspect ghcr.io/acme/app:1 --platform linux/amd64").await;
    assert_eq!(other.code, Some(1), "{other:?}");
    assert!(
        other.stderr.contains("is not available for linux/amd64. Available: linux/arm64/v8."),
        "{other:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn prints_the_state_in_ecr() {
    let (sandbox, repository) = Sandbox::with_ecr_repository().await;
    let image = image(1);
    repository.put_image(Some("1"), &image);
    let reference = format!("{}:1", repository.uri());
    let command = format!("inspect {reference}");
    let output = sandbox.run(&command).await;
    assert_eq!(output.stderr, "");
    let text = lines(&output).join("\n");
    assert!(text.contains("\npushed   20"), "{text}");
    assert!(text.contains("\nscan     none, linux/amd64\n"), "{text}");
    assert!(text.contains("\nsettings the tag can be moved, no lifecycle policy\n"), "{text}");

    repository.set_mutability(Mutability::Immutable);
    repository.scan_image(&image.child("linux/arm64").unwrap().digest, &[("HIGH", 2), ("CRITICAL", 1)]);
    let policy = json!({"rules": [{"rulePriority": 1, "action": {"type": "expire"}, "selection": {
        "tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 9}}]});
    let region = repository.arn().split(':').nth(3).unwrap().to_owned();
    let input = json!({"repositoryName": "base/python", "lifecyclePolicyText": policy.to_string()});
    sandbox.emulator.ecr().call(&region, "PutLifecyclePolicy", &input).unwrap();
    let arm = format!("{command} --platform linux/arm64");
    let output = sandbox.run(&arm).await;
    assert!(output.stdout.contains("\nscan     in progress, linux/arm64\n"), "{output:?}");
    let output = sandbox.run(&arm).await;
    assert!(output.stdout.contains("\nscan     1 critical, 2 high, linux/arm64\n"), "{output:?}");
    let settings = "\nsettings the tag is immutable, lifecycle policy with 1 rule\n";
    assert!(output.stdout.contains(settings), "{output:?}");
    let output = sandbox.run(&format!("{arm} --json")).await;
    let document: Value = serde_json::from_str(&output.stdout).unwrap();
    let ecr = &document["ecr"];
    assert_eq!(ecr["scan"], json!({"status": "COMPLETE", "findings": {"critical": 1, "high": 2}}));
    assert_eq!(ecr["tags"], json!(["1"]));
    assert_eq!((&ecr["tag_is_immutable"], &ecr["lifecycle_rules"]), (&json!(true), &json!(1)));
    assert_eq!(ecr["status"], "ACTIVE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_call_of_ecr_is_a_warning() {
    let (sandbox, repository) = Sandbox::with_ecr_repository().await;
    repository.put_image(Some("1"), &image(1));
    sandbox.emulator.ecr().deny("ecr:DescribeImageScanFindings", "*");
    let output = sandbox.run(&format!("inspect {}:1", repository.uri())).await;
    let lines = lines(&output);
    assert!(lines.iter().any(|line| line.starts_with("pushed ")), "{lines:?}");
    assert!(!lines.iter().any(|line| line.starts_with("scan ")), "{lines:?}");
    assert!(output.stderr.starts_with("warning: ") && output.stderr.lines().count() == 1, "{output:?}");
    assert!(output.stderr.contains("ecr:DescribeImageScanFindings returned AccessDenied"), "{output:?}");
    // A password of `docker login` permits to read the image, but not the state.
    let region = repository.arn().split(':').nth(3).unwrap().to_owned();
    let token = sandbox.emulator.ecr().call(&region, "GetAuthorizationToken", &json!({})).unwrap();
    let auth = &token["authorizationData"][0]["authorizationToken"];
    let host = repository.uri().split('/').next().unwrap().to_owned();
    sandbox.write_home(".docker/config.json", json!({"auths": {host: {"auth": auth}}}).to_string());
    let output = sandbox.run_without_aws_credentials(&format!("inspect {}:1", repository.uri())).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    let note = "note: the state in ECR was not read, because no AWS credentials can be loaded.\n";
    assert_eq!(output.stderr, note);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_the_children_of_an_index_without_platforms() {
    let sandbox = Sandbox::start().await;
    let nested = Image::nested(&[image(1), image(2)]);
    sandbox.registry("ghcr.io").put_image("acme/app", "1", &nested);
    let output = sandbox.run("inspect ghcr.io/acme/app:1 --history").await;
    let lines = lines(&output);
    let children: Vec<&str> = lines.iter().filter(|line| line.starts_with("-  ")).copied().collect();
    assert_eq!(children.len(), 2, "{lines:?}");
    assert!(children[0].ends_with(&format!("  -  {}", &image(1).digest()[..19])), "{children:?}");
    assert!(!lines.iter().any(|line| line.starts_with("created")), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_image_is_one_line() {
    let sandbox = Sandbox::start().await;
    sandbox.publish("docker.io/acme/app:1", 1);
    let output = sandbox.run("inspect acme/app:2").await;
    assert_eq!((output.code, output.stdout.as_str()), (Some(1), ""), "{output:?}");
    assert!(
        output.stderr.starts_with("error: Image docker.io/acme/app:2 was not found: Docker Hub returned 404")
    );
    assert!(
        output.stderr.ends_with("Check the repository, the tag and the digest in REFERENCE. (CI-001)\n"),
        "{output:?}"
    );
}
