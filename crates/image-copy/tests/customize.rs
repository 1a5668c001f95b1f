//! Copies that change every platform.

#![expect(clippy::unwrap_used, reason = "a test may end in a panic")]

mod support;

use aws_emulator::{Image, ImageBuilder};
use image_copy::copy::{EarlierCopy, Problem, Request};
use image_copy::customize::Customization;
use serde_json::{Value, json};
use support::World;

/// The example of docs/customize.md.
const LINES: &str = "ENV VAULT_ADDR=https://vault.example\n\
    RUN mkdir -p /vault/file && chmod 777 /vault/file\n\
    VOLUME /vault/file\n";

const PLATFORMS: [&str; 8] = [
    "linux/amd64",
    "linux/arm64",
    "linux/arm/v5",
    "linux/arm/v7",
    "linux/386",
    "linux/ppc64le",
    "linux/riscv64",
    "linux/s390x",
];

fn request(world: &World, source: &str, tag: &str, platforms: &str) -> Request {
    let customization = Some(Customization::parse(LINES).unwrap());
    Request { customization, ..world.request(source, Some(tag), platforms) }
}

fn index() -> Image {
    ImageBuilder::new(1).platforms(&PLATFORMS).attestations().index()
}

/// Returns the manifest of a tag or a digest in ECR.
fn document(world: &World, digest: &str) -> Value {
    serde_json::from_slice(&world.ecr.manifest(digest).expect(digest)).unwrap()
}

#[tokio::test]
async fn changes_all_platforms_and_creates_one_layer() {
    let (world, image) = (World::start().await, index());
    world.put_hub_image("3.13", &image);
    let request = request(&world, "python:3.13", "3.13", "all");
    let plan = world.plan(&request).await.unwrap();
    let customized = plan.customized.as_ref().unwrap();
    assert_eq!((customized.changes.len(), customized.attestations_left_out), (8, 8));
    let names: Vec<String> =
        customized.changes.iter().map(|change| change.platform.as_ref().unwrap().to_string()).collect();
    assert_eq!(names, PLATFORMS);
    let outcome = world.copy_to(&request, &world.destination(&request)).await.unwrap();
    assert_eq!(outcome.manifests_written, 9);
    let platforms: Vec<String> = outcome.platforms.iter().map(ToString::to_string).collect();
    assert_eq!(platforms, PLATFORMS);
    assert_eq!(world.ecr.resolve("3.13").as_deref(), Some(outcome.digest.as_str()));
    let root = document(&world, outcome.digest.as_str());
    let base = json!({
        "org.opencontainers.image.base.name": "docker.io/library/python:3.13",
        "org.opencontainers.image.base.digest": image.digest(),
    });
    assert_eq!(root["annotations"], base);
    let children = root["manifests"].as_array().unwrap();
    assert_eq!(children.len(), 8);
    let mut layers = Vec::new();
    for (child, platform) in children.iter().zip(PLATFORMS) {
        let manifest = document(&world, child["digest"].as_str().unwrap());
        assert_eq!(manifest["annotations"], base);
        let original: Value = serde_json::from_slice(&image.child(platform).unwrap().bytes).unwrap();
        let (new, old) = (manifest["layers"].as_array().unwrap(), original["layers"].as_array().unwrap());
        assert_eq!(new[..old.len()], old[..]);
        layers.push(new[old.len()].clone());
        for blob in new.iter().chain([&manifest["config"]]) {
            let digest = blob["digest"].as_str().unwrap();
            assert_eq!(world.ecr.actual_blob_digest(digest).as_deref(), Some(digest));
        }
    }
    layers.dedup();
    assert_eq!(layers.len(), 1, "{layers:#?}");
    // The second copy finds everything.
    let again = world.copy_to(&request, &world.destination(&request)).await.unwrap();
    assert_eq!((again.digest, again.manifests_written, again.blobs.copied), (outcome.digest, 0, 0));
}

#[tokio::test]
async fn layers_of_the_base_are_not_read_again() {
    let (world, image) = (World::start().await, index());
    world.put_hub_image("3.13", &image);
    world.copy("python:3.13", Some("base"), "all").await.unwrap();
    let mark = world.emulator.log().mark();
    let request = request(&world, "python:3.13", "3.13", "all");
    let outcome = world.copy_to(&request, &world.destination(&request)).await.unwrap();
    assert_eq!(outcome.blobs.copied, 9, "8 configs and 1 layer");
    let upstream = world.upstream_requests(mark);
    let count = |name: &str| upstream.iter().filter(|operation| *operation == name).count();
    // Docker Hub redirects each of the 8 configs to its storage.
    assert_eq!(
        (count("manifest.head"), count("manifest.get"), count("blob.get")),
        (1, 0, 8),
        "{upstream:#?}"
    );
}

#[tokio::test]
async fn attestations_are_not_read() {
    let world = World::start().await;
    world.put_hub_image("3.13", &index());
    let mark = world.emulator.log().mark();
    let plan = world.plan(&request(&world, "python:3.13", "3.13", "all")).await.unwrap();
    assert_eq!(plan.customized.unwrap().attestations_left_out, 8);
    let upstream = world.upstream_requests(mark);
    let manifests = upstream.iter().filter(|operation| *operation == "manifest.get").count();
    assert_eq!(manifests, 9, "the index and 8 images: {upstream:#?}");
}

#[tokio::test]
async fn an_equal_earlier_copy_costs_one_request() {
    let (world, image) = (World::start().await, index());
    world.put_hub_image("3.13", &image);
    let mut request = request(&world, "python:3.13", "3.13", "linux/arm64");
    let outcome = world.copy_to(&request, &world.destination(&request)).await.unwrap();
    let copy = EarlierCopy {
        source_digest: outcome.source_digest.clone(),
        requested: request.platforms.clone(),
        customization: request.customization.as_ref().map(|lines| lines.digest().clone()),
        digest: outcome.digest.clone(),
        platforms: outcome.platforms.clone(),
    };
    request.earlier_copies = vec![copy];
    let mark = world.emulator.log().mark();
    let plan = world.plan(&request).await.unwrap();
    assert_eq!(world.upstream_requests(mark), ["manifest.head"]);
    assert!(plan.root_exists && plan.blobs.is_empty() && plan.root.digest == outcome.digest);
    // Other lines do not use the earlier copy.
    for customization in [None, Some(Customization::parse("USER 1").unwrap())] {
        let other = Request { customization, ..request.clone() };
        assert_ne!(world.plan(&other).await.unwrap().root.digest, outcome.digest);
    }
}

#[tokio::test]
async fn a_docker_image_stays_a_docker_image() {
    let world = World::start().await;
    let image = ImageBuilder::new(3).platforms(&["linux/amd64", "linux/arm64"]).docker().index();
    world.put_hub_image("old", &image);
    let request = request(&world, "python:old", "old", "linux/amd64,linux/arm64");
    let outcome = world.copy_to(&request, &world.destination(&request)).await.unwrap();
    assert_eq!(outcome.media_type, "application/vnd.docker.distribution.manifest.list.v2+json");
    let root = document(&world, outcome.digest.as_str());
    assert_eq!(root.get("annotations"), None);
    let child = document(&world, root["manifests"][0]["digest"].as_str().unwrap());
    assert_eq!(child["mediaType"], "application/vnd.docker.distribution.manifest.v2+json");
    assert_eq!(child["layers"][2]["mediaType"], "application/vnd.docker.image.rootfs.diff.tar.gzip");
}

#[tokio::test]
async fn changes_the_images_of_nested_indexes() {
    let world = World::start().await;
    let (amd, arm) =
        (ImageBuilder::new(4).platforms(&["linux/amd64"]), ImageBuilder::new(5).platforms(&["linux/arm64"]));
    world.put_hub_image("nested", &Image::nested(&[amd.index(), arm.attestations().index()]));
    let request = request(&world, "python:nested", "nested", "all");
    let plan = world.plan(&request).await.unwrap();
    let customized = plan.customized.as_ref().unwrap();
    assert_eq!((customized.changes.len(), customized.attestations_left_out), (2, 1));
    let outcome = world.copy_to(&request, &world.destination(&request)).await.unwrap();
    assert_eq!((outcome.manifests_written, outcome.platforms.len()), (5, 2));
}

#[tokio::test]
async fn a_windows_image_is_rejected_before_anything_is_written() {
    let world = World::start().await;
    let image = ImageBuilder::new(6).platforms(&["linux/amd64"]).windows("10.0.20348.1").index();
    world.put_hub_image("win", &image);
    let mixed = request(&world, "python:win", "win", "all");
    let mark = world.emulator.log().mark();
    let failure = world.copy_to(&mixed, &world.destination(&mixed)).await.unwrap_err();
    assert_eq!(failure.problem(), Problem::NotCustomizable);
    assert_eq!(
        failure.to_string(),
        "Image docker.io/library/python:win for windows/amd64 cannot be customized: its config is not supported: \
         it is not for Linux. Nothing was copied."
    );
    assert_eq!(world.emulator.log().count(mark, "upload.start"), 0);
    let linux = request(&world, "python:win", "win", "linux/amd64");
    assert!(world.copy_to(&linux, &world.destination(&linux)).await.is_ok());
}

#[tokio::test]
async fn a_line_that_does_not_fit_the_base_is_reported() {
    let world = World::start().await;
    world.put_hub_image("3.13", &index());
    let lines = Customization::parse("ENV A=1\nRUN mkdir -p $HOME/x").unwrap();
    let request =
        Request { customization: Some(lines), ..world.request("python:3.13", Some("3.13"), "linux/amd64") };
    let failure = world.copy_to(&request, &world.destination(&request)).await.unwrap_err();
    assert_eq!(
        failure.to_string(),
        "Image docker.io/library/python:3.13 cannot be customized: line 2: the variable HOME is not set by ENV. \
         Nothing was copied."
    );
}
