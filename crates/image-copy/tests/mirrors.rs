//! Reading from mirrors: order, pulls, and faults of mirrors.

mod support;

use std::sync::Arc;
use std::time::Duration;

use aws_emulator::{
    Availability, Effect, Fault, Image, ImageBuilder, Profile, RateLimit, ReferrersSupport, Registry,
};
use image_copy::copy::{Mirror, Outcome, Problem};
use support::World;
use tokio::time::Instant;

const LAYER: u64 = 3_000_000;
const MIRROR: &str = "mirror.example";

fn index() -> Image {
    ImageBuilder::new(1).platforms(&["linux/amd64", "linux/arm64"]).layers(&[LAYER, 5000]).index()
}

/// Docker Hub with an image, and an empty mirror.
async fn world_with_empty_mirror() -> (World, Arc<Registry>, Image) {
    let (mut world, image) = (World::start().await, index());
    world.put_hub_image("3.13", &image);
    let mirror = world.emulator.add_upstream(Profile::bearer(MIRROR));
    world.mirrors = Mirror::parse_list("docker.io/library=mirror.example/hub").expect("a valid mirror");
    (world, mirror, image)
}

async fn world_with_mirrored_image() -> (World, Arc<Registry>, Image) {
    let (world, mirror, image) = world_with_empty_mirror().await;
    mirror.put_image("hub/python", "other", &image);
    (world, mirror, image)
}

/// Returns repository, manifests and blobs.
fn read_counts(outcome: &Outcome) -> Vec<(String, u64, u64)> {
    let counts = outcome.read_counts.iter();
    counts.map(|counts| (counts.repository.to_string(), counts.manifests, counts.blobs)).collect()
}

async fn copy(world: &World) -> Outcome {
    world.copy("python:3.13", Some("3.13"), "all").await.expect("a successful copy")
}

fn requests(world: &World, host: &str) -> usize {
    world.emulator.log().entries().iter().filter(|entry| entry.host.ends_with(host)).count()
}

#[tokio::test]
async fn a_copy_from_a_mirror_causes_no_pull() {
    let (world, _, image) = world_with_mirrored_image().await;
    let mark = world.emulator.log().mark();
    let outcome = copy(&world).await;
    world.check_stored("3.13", &image);
    let blobs = image.blobs.len() as u64;
    assert_eq!(read_counts(&outcome), [("mirror.example/hub/python".to_owned(), 3, blobs)]);
    assert_eq!(world.emulator.log().pulls(mark), 3, "all pulls are from the mirror");
    let hub: Vec<_> = world.emulator.log().since(mark);
    let hub: Vec<_> = hub.iter().filter(|e| e.host.ends_with("docker.io")).map(|e| &*e.operation).collect();
    assert_eq!(hub, ["manifest.head", "token", "manifest.head"], "only Docker Hub resolves the tag");
}

#[tokio::test]
async fn content_that_the_mirror_lacks_is_read_upstream() {
    let (world, mirror, image) = world_with_empty_mirror().await;
    let arm = image.child("linux/arm64/v8").or(image.child("linux/arm64")).unwrap().clone();
    mirror.put_manifest("hub/python", arm);
    mirror.put_blob("hub/python", image.blobs[0].clone());
    let mark = world.emulator.log().mark();
    let outcome = copy(&world).await;
    world.check_stored("3.13", &image);
    let others = image.blobs.len() as u64 - 1;
    assert_eq!(
        read_counts(&outcome),
        [("mirror.example/hub/python".to_owned(), 1, 1), ("docker.io/library/python".to_owned(), 2, others)]
    );
    let pulls = world.emulator.log().since(mark);
    let pulls = pulls.iter().filter(|entry| entry.is_pull && entry.host.ends_with("docker.io")).count();
    assert_eq!(pulls, 2);
}

#[tokio::test]
async fn a_mirror_that_is_down_receives_only_one_retried_request() {
    let (world, mirror, image) = world_with_mirrored_image().await;
    for availability in [Availability::Unreachable, Availability::ServiceUnavailable] {
        mirror.set_availability(availability);
        let before = requests(&world, MIRROR);
        let outcome = copy(&world).await;
        world.check_stored("3.13", &image);
        assert_eq!(
            outcome.read_counts.len(),
            if availability == Availability::Unreachable { 1 } else { 0 },
            "{availability:?}"
        );
        assert!(requests(&world, MIRROR) - before <= 5, "not more requests than attempts");
    }
}

#[tokio::test]
async fn rejects_wrong_content_of_a_mirror() {
    let (world, mirror, image) = world_with_mirrored_image().await;
    let blob = image.blobs.iter().max_by_key(|blob| blob.size()).unwrap();
    mirror.put_corrupt_blob("hub/python", blob.digest(), aws_emulator::Blob::generated(99, blob.size()));
    copy(&world).await;
    world.check_stored("3.13", &image);
}

#[tokio::test]
async fn reads_a_manifest_upstream_if_the_mirror_returns_a_wrong_one() {
    let (world, _, image) = world_with_mirrored_image().await;
    let corrupt = Effect::Corrupt { at_byte: 5, on: None };
    world.emulator.faults().add(Fault::on("manifest.get", corrupt).host(MIRROR));
    let outcome = copy(&world).await;
    world.check_stored("3.13", &image);
    assert_eq!(outcome.read_counts[0].repository.to_string(), "docker.io/library/python");
}

#[tokio::test]
async fn continues_an_interrupted_blob_upstream_at_the_missing_byte() {
    let (world, _, image) = world_with_mirrored_image().await;
    let cut = Effect::Truncate { after_bytes: 2_000_000, on: None };
    world.emulator.faults().add(Fault::on("blob.content", cut).host("blobs.mirror.example").once());
    let denied = Effect::Status { code: 403, headers: Default::default(), body: String::new() };
    world.emulator.faults().add(Fault::on("blob.get", denied).host(MIRROR).skip(image.blobs.len()));
    copy(&world).await;
    world.check_stored("3.13", &image);
    let entries = world.emulator.log().entries();
    let read: u64 = entries.iter().filter(|e| e.operation == "blob.content").map(|e| e.response_bytes).sum();
    let all: u64 = image.blobs.iter().map(aws_emulator::Blob::size).sum();
    assert!(read < all + 500_000, "{read} of {all} bytes were read");
}

#[tokio::test]
async fn a_silent_mirror_does_not_use_all_the_time() {
    let (mut world, _, image) = world_with_mirrored_image().await;
    world.deadline = Some(Instant::now() + Duration::from_secs(8));
    let stall = Effect::Stall { after_bytes: 0, for_ms: None, on: None };
    world.emulator.faults().add(Fault::on("*", stall).host(MIRROR));
    let started = Instant::now();
    copy(&world).await;
    world.check_stored("3.13", &image);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[tokio::test]
async fn credentials_for_the_source_are_not_sent_to_its_mirror() {
    let (mut world, mirror, image) = world_with_mirrored_image().await;
    world.emulator.docker_hub().add_user("ann", "hunter2hunter2");
    mirror.add_user("ann", "hunter2hunter2");
    world.sign_in("ann", "hunter2hunter2");
    copy(&world).await;
    world.check_stored("3.13", &image);
    let entries = world.emulator.log().entries();
    let at_mirror: Vec<_> = entries.iter().filter(|entry| entry.host.ends_with(MIRROR)).collect();
    assert!(!at_mirror.is_empty());
    for entry in at_mirror {
        assert_ne!(entry.authorization, aws_emulator::Authorization::Basic, "{}", entry.target);
    }
}

/// Sets the number of pulls that Docker Hub still allows.
fn set_remaining_pulls(world: &World, pulls: u64) {
    world.emulator.docker_hub().set_anonymous_limit(Some(RateLimit { pulls: 100, window: 21600 }));
    world.emulator.docker_hub().set_remaining_pulls(None, pulls);
}

#[tokio::test]
async fn fails_before_a_pull_for_an_incomplete_image() {
    let (mut world, _, _) = world_with_empty_mirror().await;
    world.mirrors.clear();
    for (left, expected, pulled) in [
        (0, "pulls required: 1, one per manifest; 0 of 100 pulls left", 0),
        (2, "pulls required: 2, one per manifest; 1 of 100 pulls left", 1),
    ] {
        set_remaining_pulls(&world, left);
        let mark = world.emulator.log().mark();
        let failure = world.copy("python:3.13", Some("3.13"), "all").await.unwrap_err();
        assert_eq!(failure.problem(), Problem::PullLimit);
        let line = failure.summary();
        assert!(line.contains(expected) && line.contains("for 203.0.113.7 per 6 h"), "{line}");
        assert_eq!(world.emulator.log().pulls(mark), pulled, "only the index is pulled");
        let requests = world.upstream_requests(mark);
        let requests = requests.iter().filter(|operation| *operation == "manifest.get").count();
        assert_eq!(requests, pulled, "no request was rejected");
    }
    set_remaining_pulls(&world, 3);
    copy(&world).await;
}

#[tokio::test]
async fn referrers_beyond_the_pull_limit_are_left_out() {
    let (mut world, _, image) = world_with_empty_mirror().await;
    world.mirrors.clear();
    let hub = world.emulator.docker_hub();
    hub.set_referrers(ReferrersSupport::Api);
    let pulls = image.manifests.len();
    for name in ["one", "two"] {
        hub.put_referrer("library/python", &Image::referrer(image.root(), "application/x.y", name));
    }
    set_remaining_pulls(&world, pulls as u64 + 1);
    let mark = world.emulator.log().mark();
    let outcome = world.copy_with_referrers("python:3.13", "3.13", "all").await.expect("the image is copied");
    world.check_stored("3.13", &image);
    let referrers = outcome.referrers.expect("counts of referrers");
    assert_eq!(referrers.copied, 1, "{referrers:?}");
    let reason = referrers.first_reason.as_ref().map(ToString::to_string).unwrap_or_default();
    assert!(referrers.is_incomplete() && reason.contains("pulls required: "), "{reason}");
    let requests = world.upstream_requests(mark);
    let requests = requests.iter().filter(|operation| *operation == "manifest.get").count();
    assert_eq!(requests, pulls + 1, "no request was rejected");
}

#[tokio::test]
async fn waits_for_the_end_of_a_limit_only_if_it_is_before_the_deadline() {
    let rejection = |body: &str, seconds: &str| Effect::Status {
        code: 429,
        headers: [("retry-after".to_owned(), seconds.to_owned())].into(),
        body: body.into(),
    };
    let pulls =
        r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit."}]}"#;
    for (body, problem) in [(pulls, Problem::PullLimit), ("Too Many Requests", Problem::Throttled)] {
        let (mut world, _, image) = world_with_empty_mirror().await;
        world.mirrors.clear();
        world.deadline = Some(Instant::now() + Duration::from_secs(20));
        world
            .emulator
            .faults()
            .add(Fault::on("manifest.get", rejection(body, "1")).host("registry-1.docker.io").once());
        copy(&world).await;
        world.check_stored("3.13", &image);
        world.put_hub_image("3.14", &ImageBuilder::new(2).platforms(&["linux/amd64"]).index());
        let fault = Fault::on("manifest.get", rejection(body, "600")).host("registry-1.docker.io");
        world.emulator.faults().add(fault);
        let started = Instant::now();
        let failure = world.copy("python:3.14", Some("3.14"), "all").await.unwrap_err();
        assert!(started.elapsed() < Duration::from_secs(5), "no wait beyond the deadline");
        assert_eq!(failure.problem(), problem, "{failure}");
        assert!(failure.summary().contains("10 min"), "{failure}");
    }
}

#[tokio::test]
async fn reads_from_a_mirror_do_not_count_as_pulls() {
    let (world, mirror, image) = world_with_empty_mirror().await;
    for manifest in &image.manifests[..2] {
        mirror.put_manifest("hub/python", manifest.clone());
    }
    set_remaining_pulls(&world, 1);
    copy(&world).await;
    world.check_stored("3.13", &image);
}
