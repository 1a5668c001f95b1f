//! Copies over real HTTP, and the requests that they send.

mod support;

use aws_emulator::{Availability, Image, ImageBuilder, Manifest, Mutability};
use image_copy::copy::{EarlierCopy, Failure, Problem, Side, TagChange};
use support::World;

fn index() -> Image {
    ImageBuilder::new(1)
        .platforms(&["linux/amd64", "linux/arm64", "linux/arm/v7"])
        .shared_layers(&[4096])
        .attestations()
        .index()
}

#[tokio::test]
async fn copies_a_whole_index_byte_for_byte() {
    let (world, image) = (World::start().await, index());
    world.put_hub_image("3.13", &image);
    let outcome = world.copy("python:3.13", Some("3.13"), "all").await.unwrap();
    world.check_stored("3.13", &image);
    assert_eq!(outcome.digest.as_str(), image.digest());
    assert_eq!(outcome.source_digest, outcome.digest);
    let platforms: Vec<String> = outcome.platforms.iter().map(ToString::to_string).collect();
    assert_eq!(platforms, ["linux/amd64", "linux/arm64", "linux/arm/v7"]);
    assert_eq!(outcome.blobs.copied, image.blobs.len() as u64, "shared layers are copied once");
    assert_eq!(outcome.tag, TagChange::Moved { from: None });
    assert_eq!(outcome.size, image.blobs.iter().map(aws_emulator::Blob::size).sum::<u64>());
}

#[tokio::test]
async fn copies_one_platform_under_its_own_digest() {
    let (world, image) = (World::start().await, index());
    world.put_hub_image("3.13", &image);
    let mark = world.emulator.log().mark();
    let outcome = world.copy("python:3.13", Some("slim"), "linux/arm64").await.unwrap();
    let child = image.child("linux/arm64/v8").or(image.child("linux/arm64")).unwrap();
    assert_eq!(outcome.digest.as_str(), child.digest);
    assert_eq!(outcome.source_digest.as_str(), image.digest());
    assert_eq!(world.ecr.resolve("slim").as_deref(), Some(child.digest.as_str()));
    assert_eq!(world.ecr.images(), std::slice::from_ref(&child.digest), "no images of other platforms");
    assert_eq!(world.emulator.log().pulls(mark), 2, "the index and the image");
}

#[tokio::test]
async fn requests_only_the_digest_from_upstream_if_nothing_changed() {
    let (world, image) = (World::start().await, index());
    world.put_hub_image("3.13", &image);
    world.copy("python:3.13", Some("3.13"), "all").await.unwrap();
    let mark = world.emulator.log().mark();
    let outcome = world.copy("python:3.13", Some("3.13"), "all").await.unwrap();
    assert_eq!(world.upstream_requests(mark), ["manifest.head"]);
    assert_eq!(outcome.tag, TagChange::Unchanged);
    assert_eq!((outcome.blobs.copied, outcome.manifests_written), (0, 0));
    assert_eq!(
        world.emulator.log().count(mark, "manifest.put"),
        0,
        "an immutable tag must not be written again"
    );
}

#[tokio::test]
async fn restores_a_tag_without_upstream_if_the_reference_has_a_digest() {
    let world = World::start().await;
    let (old, new) = (index(), ImageBuilder::new(2).platforms(&["linux/amd64"]).index());
    world.put_hub_image("3.13", &old);
    world.copy("python:3.13", Some("3.13"), "all").await.unwrap();
    world.put_hub_image("3.13", &new);
    world.copy("python:3.13", Some("3.13"), "all").await.unwrap();
    world.check_stored("3.13", &new);
    world.emulator.docker_hub().set_availability(Availability::Unreachable);
    let mark = world.emulator.log().mark();
    let outcome = world.copy(&format!("python:3.13@{}", old.digest()), Some("3.13"), "all").await.unwrap();
    world.check_stored("3.13", &old);
    assert!(world.upstream_requests(mark).is_empty());
    assert!(matches!(outcome.tag, TagChange::Moved { from: Some(from) } if from.as_str() == new.digest()));
}

#[tokio::test]
async fn copies_again_content_that_a_lifecycle_rule_deleted() {
    let (world, image) = (World::start().await, index());
    world.put_hub_image("3.13", &image);
    world.copy("python:3.13", Some("3.13"), "all").await.unwrap();
    world.ecr.expire_image(&image.manifests[0].digest);
    world.ecr.remove_blob(image.blobs[1].digest());
    world.copy("python:3.13", Some("3.13"), "all").await.unwrap();
    world.check_stored("3.13", &image);
}

#[tokio::test]
async fn copies_a_single_docker_image_and_checks_its_platform() {
    let world = World::start().await;
    let image = ImageBuilder::new(3).platforms(&["linux/amd64"]).docker().single();
    world.put_hub_image("old", &image);
    let outcome = world.copy("python:old", Some("old"), "linux/amd64").await.unwrap();
    world.check_stored("old", &image);
    assert_eq!(outcome.platforms[0].to_string(), "linux/amd64");
    let failure = world.copy("python:old", Some("arm"), "linux/arm64").await.unwrap_err();
    assert_eq!(failure.problem(), Problem::NoPlatform);
    assert_eq!(world.ecr.resolve("arm"), None);
}

#[tokio::test]
async fn finds_images_in_an_index_of_indexes() {
    let world = World::start().await;
    let amd = ImageBuilder::new(4).platforms(&["linux/amd64"]).index();
    let arm = ImageBuilder::new(5).platforms(&["linux/arm/v7"]).index();
    let nested = Image::nested(&[amd, arm.clone()]);
    world.put_hub_image("nested", &nested);
    world.copy("python:nested", Some("one"), "linux/arm/v7").await.unwrap();
    let entries = world.emulator.log().entries();
    let pulls: Vec<_> = entries.iter().filter(|entry| entry.is_pull).map(|entry| &entry.target).collect();
    let once: std::collections::HashSet<_> = pulls.iter().collect();
    assert_eq!(pulls.len(), once.len(), "each manifest is read once: {pulls:#?}");
    assert_eq!(world.ecr.resolve("one"), Some(arm.child("linux/arm/v7").unwrap().digest.clone()));
    let outcome = world.copy("python:nested", Some("nested"), "all").await.unwrap();
    world.check_stored("nested", &nested);
    assert_eq!(outcome.platforms.len(), 2);
}

#[tokio::test]
async fn copies_by_digest_without_a_tag() {
    let (world, image) = (World::start().await, index());
    world.put_hub_image("3.13", &image);
    let outcome = world.copy(&format!("python@{}", image.digest()), None, "all").await.unwrap();
    assert_eq!(outcome.tag, TagChange::Untagged);
    assert!(world.ecr.manifest(image.digest()).is_some());
    assert!(world.ecr.tags().is_empty());
}

#[tokio::test]
async fn keeps_an_immutable_tag_and_reports_its_digest() {
    let world = World::with_mutability(Mutability::Immutable).await;
    let (old, new) = (index(), ImageBuilder::new(2).platforms(&["linux/amd64"]).index());
    world.put_hub_image("3.13", &old);
    world.copy("python:3.13", Some("3.13"), "all").await.unwrap();
    world.copy("python:3.13", Some("3.13"), "all").await.expect("an unchanged image is a success");
    world.put_hub_image("3.13", &new);
    let failure = world.copy("python:3.13", Some("3.13"), "all").await.unwrap_err();
    assert!(matches!(*failure, Failure::TagImmutable { .. }), "{failure}");
    assert_eq!(world.ecr.resolve("3.13").as_deref(), Some(old.digest()));
}

#[tokio::test]
async fn sends_credentials_of_a_private_image_only_to_its_registry() {
    let (mut world, image) = (World::start().await, index());
    let hub = world.emulator.docker_hub();
    hub.put_image("acme/secret", "1", &image);
    hub.add_user("ann", "hunter2hunter2");
    hub.make_private("acme/secret", &["ann"]);
    let anonymous = world.copy("acme/secret:1", Some("1"), "all").await.unwrap_err();
    assert_eq!(anonymous.problem(), Problem::CredentialsRequired, "{anonymous}");
    world.sign_in("ann", "wrong-password");
    let mark = world.emulator.log().mark();
    let wrong = world.copy("acme/secret:1", Some("1"), "all").await.unwrap_err();
    assert_eq!(wrong.problem(), Problem::CredentialsRejected, "{wrong}");
    assert_eq!(world.emulator.log().count(mark, "token"), 1, "a wrong password is not tried twice");
    world.sign_in("ann", "hunter2hunter2");
    let mark = world.emulator.log().mark();
    world.copy("acme/secret:1", Some("1"), "all").await.unwrap();
    world.check_stored("1", &image);
    for entry in world.emulator.log().since(mark).iter().filter(|entry| entry.service == "cdn") {
        assert_eq!(entry.authorization, aws_emulator::Authorization::None, "{}", entry.target);
    }
}

#[tokio::test]
async fn plans_without_writing_or_reading_layers() {
    let (world, image) = (World::start().await, index());
    world.put_hub_image("3.13", &image);
    let mark = world.emulator.log().mark();
    let plan = world.plan(&world.request("python:3.13", Some("3.13"), "all")).await.unwrap();
    assert_eq!(plan.blobs.len(), image.blobs.len());
    assert!(plan.blobs.is_sorted_by(|a, b| a.size >= b.size));
    let position = |digest: &str| plan.manifests.iter().position(|m| m.digest.as_str() == digest);
    assert_eq!(plan.manifests.len(), image.manifests.len() - 1);
    assert!(position(image.digest()).is_none(), "the root is separate");
    for operation in ["blob.get", "blob.content", "upload.start", "manifest.put"] {
        assert_eq!(world.emulator.log().count(mark, operation), 0, "{operation}");
    }
}

#[tokio::test]
async fn reports_a_missing_repository_although_ecr_closes_the_connection() {
    let (world, image) = (World::start().await, index());
    world.put_hub_image("3.13", &image);
    world.ecr.delete();
    let failure = world.copy("python:3.13", Some("3.13"), "all").await.unwrap_err();
    assert_eq!(failure.problem(), Problem::Missing, "{failure}");
    assert!(failure.summary().contains("NAME_UNKNOWN"), "{failure}");
}

#[tokio::test]
async fn a_selection_is_a_new_index_of_the_sources_children() {
    let (world, image) = (World::start().await, index());
    world.put_hub_image("3.13", &image);
    let wanted = "linux/arm/v7,linux/amd64";
    let outcome = world.copy("python:3.13", Some("3.13"), wanted).await.unwrap();
    assert_eq!((outcome.platforms.len(), outcome.source_platform_count), (2, Some(3)));
    assert_eq!(outcome.source_digest.as_str(), image.digest());
    assert_ne!(outcome.source_digest, outcome.digest);
    assert_eq!(world.ecr.integrity_errors("3.13"), Vec::<String>::new());
    assert_eq!(world.ecr.resolve("3.13").as_deref(), Some(outcome.digest.as_str()));
    assert_eq!(world.ecr.images().len(), 5, "the index, two images and their attestations");
    let again = world.copy("python:3.13", Some("other"), "linux/amd64,linux/arm/v7").await.unwrap();
    assert_eq!((again.digest, again.blobs.copied), (outcome.digest, 0));
    let Err(failure) = world.copy("python:3.13", Some("x"), "linux/amd64,linux/s390x").await else {
        panic!("the platform does not exist");
    };
    assert_eq!(failure.problem(), Problem::NoPlatform);
}

#[tokio::test]
async fn tags_a_complete_earlier_copy_without_reading_the_sources_manifests() {
    let (world, image) = (World::start().await, index());
    world.put_hub_image("3.13", &image);
    for platforms in ["linux/amd64", "linux/amd64,linux/arm64"] {
        let first = world.copy("python:3.13", Some("3.13"), platforms).await.unwrap();
        let mut request = world.request("python:3.13", Some("again"), platforms);
        request.earlier_copies = vec![EarlierCopy {
            source_digest: first.source_digest.clone(),
            requested: request.platforms.clone(),
            customization: None,
            digest: first.digest.clone(),
            platforms: first.platforms.clone(),
        }];
        let mark = world.emulator.log().mark();
        let plan = world.plan(&request).await.unwrap();
        assert_eq!(world.upstream_requests(mark), ["manifest.head"]);
        assert!(plan.root_exists && plan.manifests.is_empty() && plan.blobs.is_empty());
        assert_eq!((&plan.root.digest, &plan.platforms), (&first.digest, &first.platforms));
        let layer = image.blobs.iter().find(|blob| blob.size() == 4096).unwrap();
        world.ecr.remove_blob(layer.digest());
        let plan = world.plan(&request).await.unwrap();
        assert_eq!(plan.blobs.len(), 1, "a copy without a layer is incomplete");
        world.copy("python:3.13", Some("3.13"), "all").await.unwrap();
    }
}

#[tokio::test]
async fn sizes_whose_sum_overflows_cause_a_failure() {
    let (world, image) = (World::start().await, ImageBuilder::new(1).layers(&[4000, 3000]).single());
    world.put_hub_image("3.13", &image);
    let text = String::from_utf8(image.root().bytes.to_vec()).unwrap();
    let with_huge_size = |text: String, blob: &aws_emulator::Blob| {
        text.replace(&format!("\"size\":{}", blob.size()), "\"size\":18446744073709551615")
    };
    let layers = image.blobs.iter().filter(|blob| blob.size() >= 3000);
    let manifest = Manifest::new(layers.fold(text, with_huge_size), &image.root().media_type);
    world.emulator.docker_hub().put_manifest("library/python", manifest.clone());
    world.emulator.docker_hub().tag("library/python", "3.13", &manifest.digest);
    // The registry rejects an upload of that length.
    let error = world.copy("python:3.13", Some("3.13"), "all").await.unwrap_err();
    assert_eq!((error.problem(), error.side()), (Problem::Rejected, Side::Destination), "{error}");
    assert_eq!(world.ecr.resolve("3.13"), None);
}

/// Returns the digest of a manifest by the other registered algorithm
/// (<https://github.com/opencontainers/image-spec/blob/main/descriptor.md#sha-512>).
fn sha512(manifest: &Manifest) -> String {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA512, &manifest.bytes);
    let hex: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha512:{hex}")
}

#[tokio::test]
async fn a_manifest_can_be_requested_by_a_sha512_digest() {
    let world = World::start().await;
    let mut image = ImageBuilder::new(1).layers(&[500]).single();
    let root = image.manifests.last_mut().unwrap();
    let sha256 = root.digest.clone();
    root.digest = sha512(root);
    let requested = root.digest.clone();
    world.emulator.docker_hub().put_image("library/python", "3.13", &image);
    let outcome = world.copy(&format!("python@{requested}"), Some("x"), "all").await.unwrap();
    assert_eq!(
        (outcome.source_digest.as_str(), outcome.digest.as_str()),
        (requested.as_str(), sha256.as_str())
    );
    assert_eq!(world.ecr.resolve("x"), Some(sha256));
}
