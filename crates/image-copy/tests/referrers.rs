//! Referrers of an image: lookup, copy and faults.

#![expect(clippy::unwrap_used, reason = "a test may end in a panic")]

mod support;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use aws_emulator::{
    Availability, Blob, Effect, Fault, Image, ImageBuilder, LogPosition, Manifest, ReferrersSupport,
};
use futures_util::future::BoxFuture;
use image_copy::copy::{Destination, Inventory, Outcome, ReferrerCounts, RepositorySettings, TagChange};
use image_copy::oci::{self, Digest, Tag};
use image_copy::registry::{Error, ManifestId, Repository};
use serde_json::{Value, json};
use support::World;
use tokio::time::Instant;

const PYTHON: &str = "library/python";
const SIGNATURE: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";
const SBOM: &str = "application/spdx+json";

fn index() -> Image {
    ImageBuilder::new(1).platforms(&["linux/amd64", "linux/arm64"]).attestations().index()
}

fn tag_of(digest: &str, suffix: &str) -> String {
    format!("{}{suffix}", digest.replacen(':', "-", 1))
}

/// Creates an image as cosign does. It does not contain the digest of the signed image.
fn cosign_image(layers: &[&str]) -> Image {
    changed(&Image::referrer(index().root(), SIGNATURE, "x"), |document, blobs| {
        let layers: Vec<Blob> = layers.iter().map(|text| Blob::bytes((*text).to_owned())).collect();
        let descriptor = |blob: &Blob| json!({"mediaType": "application/vnd.dev.cosign.simplesigning.v1+json", "digest": blob.digest(), "size": blob.size()});
        document["layers"] = layers.iter().map(descriptor).collect();
        let fields = document.as_object_mut().unwrap();
        fields.remove("subject");
        fields.remove("artifactType");
        blobs.truncate(1);
        blobs.extend(layers);
    })
}

fn changed(image: &Image, change: impl FnOnce(&mut Value, &mut Vec<Blob>)) -> Image {
    let mut document: Value = serde_json::from_slice(&image.root().bytes).unwrap();
    let mut blobs = image.blobs.clone();
    change(&mut document, &mut blobs);
    let media_type = document["mediaType"].as_str().unwrap().to_owned();
    Image { manifests: vec![Manifest::new(document.to_string(), &media_type)], blobs }
}

/// Starts a world with an upstream image, and with this support of referrers upstream.
async fn world(support: ReferrersSupport) -> (World, Image) {
    let (world, image) = (World::start().await, index());
    world.put_hub_image("3.13", &image);
    world.emulator.docker_hub().set_referrers(support);
    (world, image)
}

fn put_referrer(world: &World, artifact: &Image) {
    world.emulator.docker_hub().put_referrer(PYTHON, artifact);
}

async fn copy(world: &World, platforms: &str) -> (Outcome, ReferrerCounts) {
    let outcome = world.copy_with_referrers("python:3.13", "3.13", platforms).await.unwrap();
    let referrers = outcome.referrers.clone().expect("counts of referrers");
    (outcome, referrers)
}

#[track_caller]
fn check_copied(world: &World, artifacts: &[&Image]) {
    for artifact in artifacts {
        assert_eq!(world.ecr.manifest(artifact.digest()).as_ref(), Some(&artifact.root().bytes));
        for blob in &artifact.blobs {
            assert!(world.ecr.has_blob(blob.digest()), "{}", blob.digest());
        }
    }
}

/// Returns tags and digests of written manifests, in their order.
fn written_manifests(world: &World, mark: LogPosition) -> Vec<String> {
    let puts = world.emulator.log().matching(mark, "manifest.put");
    puts.iter().map(|put| put.target.rsplit('/').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn writes_signatures_after_their_subject_and_before_the_tag() {
    let (world, image) = world(ReferrersSupport::Api).await;
    let child = image.child("linux/arm64").unwrap();
    let (of_index, sbom) =
        (Image::referrer(image.root(), SIGNATURE, "index"), Image::referrer(child, SBOM, "sbom"));
    let of_sbom = Image::referrer(sbom.root(), SIGNATURE, "signature of the SBOM");
    [&of_index, &sbom, &of_sbom].iter().for_each(|artifact| {
        put_referrer(&world, artifact);
    });
    world.emulator.docker_hub().set_referrers_page(1);
    let mark = world.emulator.log().mark();
    let (outcome, referrers) = copy(&world, "all").await;
    assert_eq!(referrers, ReferrerCounts { copied: 3, ..ReferrerCounts::default() });
    assert_eq!(outcome.tag, TagChange::Moved { from: None });
    world.check_stored("3.13", &image);
    check_copied(&world, &[&of_index, &sbom, &of_sbom]);
    let written = written_manifests(&world, mark);
    let position = |name: &str| written.iter().position(|put| put == name).unwrap();
    assert!(position(child.digest.as_str()) < position(sbom.digest()));
    assert!(position(sbom.digest()) < position(of_sbom.digest()));
    assert!(position(image.digest()) < position(of_index.digest()));
    assert_eq!(position("3.13"), written.len() - 1, "{written:?}");

    let mark = world.emulator.log().mark();
    let (outcome, referrers) = copy(&world, "all").await;
    assert_eq!(referrers, ReferrerCounts { present: 3, ..ReferrerCounts::default() });
    assert_eq!((outcome.tag, world.emulator.log().pulls(mark)), (TagChange::Unchanged, 0));
    assert_eq!(world.emulator.log().count(mark, "manifest.put"), 0);

    put_referrer(&world, &Image::referrer(image.root(), SIGNATURE, "a later one"));
    let mark = world.emulator.log().mark();
    let (_, referrers) = copy(&world, "all").await;
    assert_eq!(referrers.to_string(), "1 copied, 3 present");
    assert_eq!(world.emulator.log().pulls(mark), 1, "only the new referrer");
}

#[tokio::test]
async fn reads_every_page_of_a_list() {
    let (world, image) = world(ReferrersSupport::Api).await;
    let artifacts: Vec<Image> =
        (0..5).map(|n| Image::referrer(image.root(), SIGNATURE, &format!("signature {n}"))).collect();
    artifacts.iter().for_each(|artifact| put_referrer(&world, artifact));
    world.emulator.docker_hub().set_referrers_page(2);
    let (_, referrers) = copy(&world, "all").await;
    assert_eq!(referrers.copied, 5);
    check_copied(&world, &artifacts.iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn reads_the_fallback_tag_without_the_api() {
    for support in [ReferrersSupport::FallbackTag, ReferrersSupport::LoginPage] {
        let (world, image) = world(support).await;
        let signature = Image::referrer(image.root(), SIGNATURE, "index");
        put_referrer(&world, &signature);
        let (_, referrers) = copy(&world, "all").await;
        assert_eq!(referrers, ReferrerCounts { copied: 1, ..ReferrerCounts::default() }, "{support:?}");
        check_copied(&world, &[&signature]);
        assert_eq!(world.ecr.resolve(&tag_of(image.digest(), "")), None, "ECR lists referrers itself");
    }
}

#[tokio::test]
async fn copies_cosign_images_with_their_tags() {
    let (world, image) = world(ReferrersSupport::FallbackTag).await;
    let child = image.child("linux/amd64").unwrap();
    let (signature, sbom) = (cosign_image(&["one"]), cosign_image(&["sbom"]));
    let (sig, sbom_tag) = (tag_of(image.digest(), ".sig"), tag_of(&child.digest, ".sbom"));
    world.emulator.docker_hub().put_image(PYTHON, &sig, &signature);
    world.emulator.docker_hub().put_image(PYTHON, &sbom_tag, &sbom);
    let of_sbom = tag_of(sbom.digest(), ".sig");
    world.emulator.docker_hub().put_image(PYTHON, &of_sbom, &cosign_image(&["of the SBOM"]));
    let (_, referrers) = copy(&world, "all").await;
    assert_eq!(referrers, ReferrerCounts { copied: 3, ..ReferrerCounts::default() });
    for (tag, artifact) in
        [(&sig, &signature), (&sbom_tag, &sbom), (&of_sbom, &cosign_image(&["of the SBOM"]))]
    {
        world.check_stored(tag, artifact);
    }
    let (_, again) = copy(&world, "all").await;
    assert_eq!(again, ReferrerCounts { present: 3, ..ReferrerCounts::default() });

    let more = cosign_image(&["one", "two"]);
    world.emulator.docker_hub().put_image(PYTHON, &sig, &more);
    let (_, referrers) = copy(&world, "all").await;
    assert_eq!(referrers.to_string(), "1 copied, 2 present");
    world.check_stored(&sig, &more);

    let own = cosign_image(&["one", "two", "our own"]);
    world.ecr.put_image(Some(&sig), &own);
    let (_, referrers) = copy(&world, "all").await;
    assert_eq!(referrers.to_string(), "2 present, 1 refused");
    assert!(referrers.first_reason.unwrap().contains("the source does not have"));
    world.check_stored(&sig, &own);
}

#[tokio::test]
async fn ignores_a_fallback_tag_that_resolves_to_the_image() {
    let (world, image) = world(ReferrersSupport::DigestTag).await;
    let mark = world.emulator.log().mark();
    let (_, referrers) = copy(&world, "all").await;
    assert_eq!(referrers, ReferrerCounts::default());
    assert_eq!(referrers.to_string(), "none");
    assert_eq!(world.emulator.log().pulls(mark), image.manifests.len(), "the image's own manifests");
    world.check_stored("3.13", &image);
}

#[tokio::test]
async fn does_not_copy_listed_manifests_with_another_subject() {
    let (world, image) = world(ReferrersSupport::FallbackTag).await;
    let other = ImageBuilder::new(9).single();
    let stray = Image::referrer(other.root(), SIGNATURE, "of another image");
    put_referrer(&world, &stray);
    let list = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [stray.root().descriptor(), image.root().descriptor()]});
    let list = Manifest::new(list.to_string(), "application/vnd.oci.image.index.v1+json");
    world.emulator.docker_hub().tag(PYTHON, &tag_of(image.digest(), ""), &list.digest);
    world.emulator.docker_hub().put_manifest(PYTHON, list);
    let (_, referrers) = copy(&world, "all").await;
    assert_eq!(referrers, ReferrerCounts::default());
    assert_eq!(world.ecr.manifest(stray.digest()), None);
}

#[tokio::test]
async fn copies_referrers_of_selected_images_but_not_of_the_new_index() {
    let (world, image) = (
        World::start().await,
        ImageBuilder::new(1).platforms(&["linux/amd64", "linux/arm64", "linux/s390x"]).index(),
    );
    world.put_hub_image("3.13", &image);
    world.emulator.docker_hub().set_referrers(ReferrersSupport::Api);
    let child = |platform: &str| Image::referrer(image.child(platform).unwrap(), SIGNATURE, platform);
    let (of_index, of_arm, of_s390) =
        (Image::referrer(image.root(), SIGNATURE, "index"), child("linux/arm64"), child("linux/s390x"));
    [&of_index, &of_arm, &of_s390].iter().for_each(|artifact| {
        put_referrer(&world, artifact);
    });
    let (_, referrers) = copy(&world, "linux/amd64,linux/arm64").await;
    assert_eq!(referrers, ReferrerCounts { copied: 1, ..ReferrerCounts::default() });
    check_copied(&world, &[&of_arm]);
    let (outcome, referrers) = copy(&world, "linux/s390x").await;
    assert_eq!(outcome.digest.as_str(), image.child("linux/s390x").unwrap().digest);
    assert_eq!(referrers.copied, 1);
    check_copied(&world, &[&of_s390]);
    assert_eq!(world.ecr.manifest(of_index.digest()), None, "its subject was not copied");
}

#[tokio::test]
async fn copies_the_image_and_reports_referrers_that_fail() {
    let (world, image) = world(ReferrersSupport::Api).await;
    let good = Image::referrer(image.root(), SIGNATURE, "good");
    let rejected = changed(&Image::referrer(image.root(), SBOM, "rejected"), |document, _| {
        document["subject"]["platform"] = json!({"os": "linux", "architecture": "amd64"});
    });
    let old = changed(&Image::referrer(image.root(), SBOM, "old"), |document, _| {
        document["mediaType"] = json!("application/vnd.oras.artifact.manifest.v1+json");
    });
    let broken = Image { blobs: Vec::new(), ..Image::referrer(image.root(), SBOM, "no blob") };
    for artifact in [&good, &rejected, &old, &broken] {
        put_referrer(&world, artifact);
    }
    let (outcome, referrers) = copy(&world, "all").await;
    assert_eq!(referrers.to_string(), "1 copied, 3 refused");
    let reason = referrers.first_reason.unwrap();
    let expected = ["Invalid JSON syntax", "which cannot be copied", "BLOB_UNKNOWN"];
    assert!(expected.iter().any(|part| reason.contains(part)) && !reason.contains('\n'), "{reason}");
    assert_eq!(outcome.tag, TagChange::Moved { from: None });
    world.check_stored("3.13", &image);
    check_copied(&world, &[&good]);
}

#[tokio::test]
async fn tags_an_existing_image_although_referrers_cannot_be_looked_up() {
    let (world, image) = world(ReferrersSupport::Api).await;
    put_referrer(&world, &Image::referrer(image.root(), SIGNATURE, "index"));
    copy(&world, "all").await;
    world.emulator.docker_hub().set_availability(Availability::Unreachable);
    let pinned = format!("python:3.13@{}", image.digest());
    let outcome = world.copy_with_referrers(&pinned, "again", "all").await.unwrap();
    world.check_stored("again", &image);
    let referrers = outcome.referrers.unwrap();
    assert!(referrers.failed_lookups > 0 && referrers.copied == 0, "{referrers}");
    assert!(referrers.first_reason.unwrap().starts_with("Image docker.io/library/python@sha256:"));
}

#[tokio::test]
async fn the_image_has_priority_over_slow_referrers() {
    let (mut world, image) = world(ReferrersSupport::Api).await;
    let slow = Image::referrer(image.root(), SBOM, "slow");
    put_referrer(&world, &slow);
    let stall = Effect::Stall { after_bytes: 0, for_ms: None, on: None };
    world.emulator.faults().add(Fault::on("manifest.get", stall).path(slow.digest()));
    world.deadline = Some(Instant::now() + Duration::from_secs(4));
    let (_, referrers) = copy(&world, "all").await;
    assert_eq!(referrers.to_string(), "1 left out");
    assert_eq!(referrers.first_reason.as_deref(), Some("time ran out"));
    world.check_stored("3.13", &image);
}

#[tokio::test]
async fn extends_the_index_of_referrers_at_a_destination_without_the_api() {
    let (world, image) = world(ReferrersSupport::Api).await;
    let (first, second) = (
        Image::referrer(image.root(), SIGNATURE, "first"),
        Image::referrer(image.root(), SIGNATURE, "second"),
    );
    let request = world.request_with_referrers("python:3.13", "3.13", "all");
    let to = world.destination(&request).repository;
    let destination = Destination { inventory: Arc::new(WithoutReferrersApi(to.clone())), repository: to };
    let tag = tag_of(image.digest(), "");
    let mut listed = HashSet::new();
    for artifact in [&first, &second] {
        put_referrer(&world, artifact);
        listed.insert(artifact.digest().to_owned());
        world.copy_to(&request, &destination).await.unwrap();
        let list: Value = serde_json::from_slice(&world.ecr.manifest(&tag).unwrap()).unwrap();
        let entries = list["manifests"].as_array().unwrap();
        let digests = entries.iter().map(|entry| entry["digest"].as_str().unwrap().to_owned());
        assert_eq!(digests.collect::<HashSet<_>>(), listed);
        assert!(entries.iter().all(|entry| entry["artifactType"] == SIGNATURE));
    }
    let mark = world.emulator.log().mark();
    world.copy_to(&request, &destination).await.unwrap();
    assert_eq!(world.emulator.log().count(mark, "manifest.put"), 0);
}

/// A destination without the referrers API.
struct WithoutReferrersApi(Repository);

impl Inventory for WithoutReferrersApi {
    fn settings<'a>(&'a self, tag: Option<&'a Tag>) -> BoxFuture<'a, Result<RepositorySettings, Error>> {
        self.0.settings(tag)
    }

    fn manifests<'a>(
        &'a self,
        ids: &'a [ManifestId],
    ) -> BoxFuture<'a, Result<Vec<Option<oci::Manifest>>, Error>> {
        self.0.manifests(ids)
    }

    fn blobs<'a>(&'a self, digests: &'a [Digest]) -> BoxFuture<'a, Result<HashSet<Digest>, Error>> {
        self.0.blobs(digests)
    }

    fn manifests_guarantee_content(&self) -> bool {
        self.0.manifests_guarantee_content()
    }

    fn rejection_reason(&self, manifest: &oci::Manifest) -> Option<String> {
        self.0.rejection_reason(manifest)
    }

    fn tag<'a>(&'a self, manifest: &'a oci::Manifest, tag: &'a Tag) -> BoxFuture<'a, Result<(), Error>> {
        Inventory::tag(&self.0, manifest, tag)
    }

    fn lists_referrers<'a>(&'a self, _: &'a Digest) -> BoxFuture<'a, Result<bool, Error>> {
        Box::pin(async { Ok(false) })
    }
}

#[tokio::test]
async fn resolves_a_tag_once_if_head_is_rejected() {
    let world = World::start().await;
    let upstream = world.emulator.add_upstream(aws_emulator::Profile::bearer("registry.acme.example"));
    let image = index();
    upstream.put_image("team/app", "1", &image);
    let rejected =
        Effect::Status { code: 405, headers: std::collections::BTreeMap::new(), body: String::new() };
    world.emulator.faults().add(Fault::on("manifest.head", rejected).path("manifests/1"));
    let name: oci::Reference = "registry.acme.example/team/app:1".parse().unwrap();
    let repository = world.client.repository(name.repository, None);
    let mark = world.emulator.log().mark();
    let found = repository.tag_digest(&name.tag.unwrap()).await.unwrap();
    assert_eq!(found.unwrap().as_str(), image.digest());
    let log = world.emulator.log();
    let responses =
        |operation| log.matching(mark, operation).iter().filter(|one| one.status != Some(401)).count();
    assert_eq!((responses("manifest.head"), responses("manifest.get")), (1, 1), "{:?}", log.counts(mark));
}
