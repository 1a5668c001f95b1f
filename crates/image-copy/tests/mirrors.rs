//! Reading from mirrors: who is asked, what it costs, and what a mirror can do wrong.

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

/// Docker Hub with an image, and a mirror that may have it.
async fn world() -> (World, Arc<Registry>, Image) {
    let (mut world, image) = (World::start().await, index());
    world.hub_image("3.13", &image);
    let mirror = world.emulator.add_upstream(Profile::bearer(MIRROR));
    world.mirrors = Mirror::parse_list("docker.io/library=mirror.example/hub").expect("a mirror");
    (world, mirror, image)
}

async fn with_mirrored_image() -> (World, Arc<Registry>, Image) {
    let (world, mirror, image) = world().await;
    mirror.put_image("hub/python", "elsewhere", &image);
    (world, mirror, image)
}

/// Place, manifests and blobs.
fn served(outcome: &Outcome) -> Vec<(String, u64, u64)> {
    let served = outcome.read_counts.iter();
    served.map(|served| (served.repository.to_string(), served.manifests, served.blobs)).collect()
}

async fn copy(world: &World) -> Outcome {
    world.copy("python:3.13", Some("3.13"), "all").await.expect("a copy")
}

fn requests(world: &World, host: &str) -> usize {
    world.emulator.log().entries().iter().filter(|entry| entry.host.ends_with(host)).count()
}

#[tokio::test]
async fn a_copy_from_a_mirror_costs_no_pull() {
    let (world, _, image) = with_mirrored_image().await;
    let mark = world.emulator.log().mark();
    let outcome = copy(&world).await;
    world.check_stored("3.13", &image);
    let blobs = image.blobs.len() as u64;
    assert_eq!(served(&outcome), [("mirror.example/hub/python".to_owned(), 3, blobs)]);
    assert_eq!(world.emulator.log().pulls(mark), 3, "the mirror's own");
    let hub: Vec<_> = world.emulator.log().since(mark);
    let hub: Vec<_> = hub.iter().filter(|e| e.host.ends_with("docker.io")).map(|e| &*e.operation).collect();
    assert_eq!(hub, ["manifest.head", "token", "manifest.head"], "what the tag names, it says itself");
}

#[tokio::test]
async fn what_the_mirror_lacks_is_read_where_the_reference_says() {
    let (world, mirror, image) = world().await;
    let arm = image.child("linux/arm64/v8").or(image.child("linux/arm64")).unwrap().clone();
    mirror.put_manifest("hub/python", arm);
    mirror.put_blob("hub/python", image.blobs[0].clone());
    let mark = world.emulator.log().mark();
    let outcome = copy(&world).await;
    world.check_stored("3.13", &image);
    let others = image.blobs.len() as u64 - 1;
    assert_eq!(
        served(&outcome),
        [("mirror.example/hub/python".to_owned(), 1, 1), ("docker.io/library/python".to_owned(), 2, others)]
    );
    let pulls = world.emulator.log().since(mark);
    let pulls = pulls.iter().filter(|entry| entry.is_pull && entry.host.ends_with("docker.io")).count();
    assert_eq!(pulls, 2);
}

#[tokio::test]
async fn a_mirror_that_is_down_is_asked_once() {
    let (world, mirror, image) = with_mirrored_image().await;
    for switch in [Availability::Unreachable, Availability::ServiceUnavailable] {
        mirror.set_availability(switch);
        let before = requests(&world, MIRROR);
        let outcome = copy(&world).await;
        world.check_stored("3.13", &image);
        assert_eq!(
            outcome.read_counts.len(),
            if switch == Availability::Unreachable { 1 } else { 0 },
            "{switch:?}"
        );
        assert!(requests(&world, MIRROR) - before <= 5, "as often as one request is tried");
    }
}

#[tokio::test]
async fn a_mirror_with_other_content_than_it_says_is_not_believed() {
    let (world, mirror, image) = with_mirrored_image().await;
    let blob = image.blobs.iter().max_by_key(|blob| blob.size()).unwrap();
    mirror.put_corrupt_blob("hub/python", blob.digest(), aws_emulator::Blob::generated(99, blob.size()));
    copy(&world).await;
    world.check_stored("3.13", &image);
}

#[tokio::test]
async fn a_manifest_that_is_not_what_was_asked_for_is_read_elsewhere() {
    let (world, _, image) = with_mirrored_image().await;
    let corrupt = Effect::Corrupt { at_byte: 5, on: None };
    world.emulator.faults().add(Fault::on("manifest.get", corrupt).host(MIRROR));
    let outcome = copy(&world).await;
    world.check_stored("3.13", &image);
    assert_eq!(outcome.read_counts[0].repository.to_string(), "docker.io/library/python");
}

#[tokio::test]
async fn a_blob_that_breaks_at_the_mirror_goes_on_elsewhere_at_the_missing_byte() {
    let (world, _, image) = with_mirrored_image().await;
    let cut = Effect::Truncate { after_bytes: 2_000_000, on: None };
    world.emulator.faults().add(Fault::on("blob.content", cut).host("blobs.mirror.example").once());
    let gone = Effect::Status { code: 403, headers: Default::default(), body: String::new() };
    world.emulator.faults().add(Fault::on("blob.get", gone).host(MIRROR).skip(image.blobs.len()));
    copy(&world).await;
    world.check_stored("3.13", &image);
    let entries = world.emulator.log().entries();
    let read: u64 = entries.iter().filter(|e| e.operation == "blob.content").map(|e| e.response_bytes).sum();
    let all: u64 = image.blobs.iter().map(aws_emulator::Blob::size).sum();
    assert!(read < all + 500_000, "{read} of {all} bytes were read");
}

#[tokio::test]
async fn a_mirror_that_hangs_does_not_eat_the_deadline() {
    let (mut world, _, image) = with_mirrored_image().await;
    world.deadline = Some(Instant::now() + Duration::from_secs(8));
    let stall = Effect::Stall { after_bytes: 0, for_ms: None, on: None };
    world.emulator.faults().add(Fault::on("*", stall).host(MIRROR));
    let started = Instant::now();
    copy(&world).await;
    world.check_stored("3.13", &image);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_login_for_the_source_is_not_shown_to_its_mirror() {
    let (mut world, mirror, image) = with_mirrored_image().await;
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

/// Docker Hub with so many pulls left.
fn leave(world: &World, pulls: u64) {
    world.emulator.docker_hub().set_anonymous_limit(Some(RateLimit { pulls: 100, window: 21600 }));
    world.emulator.docker_hub().set_remaining_pulls(None, pulls);
}

#[tokio::test]
async fn fails_before_the_first_pull_that_leads_nowhere() {
    let (mut world, _, _) = world().await;
    world.mirrors.clear();
    for (left, expected, pulled) in [
        (0, "pulls required: 1, one per manifest; 0 of 100 pulls left", 0),
        (2, "pulls required: 2, one per manifest; 1 of 100 pulls left", 1),
    ] {
        leave(&world, left);
        let mark = world.emulator.log().mark();
        let failure = world.copy("python:3.13", Some("3.13"), "all").await.unwrap_err();
        assert_eq!(failure.problem(), Problem::PullLimit);
        let line = failure.summary();
        assert!(line.contains(expected) && line.contains("for 203.0.113.7 per 6 h"), "{line}");
        assert_eq!(world.emulator.log().pulls(mark), pulled, "the index alone tells what is in it");
        let asked = world.upstream_requests(mark);
        let asked = asked.iter().filter(|operation| *operation == "manifest.get").count();
        assert_eq!(asked, pulled, "nothing was asked in vain");
    }
    leave(&world, 3);
    copy(&world).await;
}

#[tokio::test]
async fn referrers_beyond_the_allowance_are_left_out_with_a_warning() {
    let (mut world, _, image) = world().await;
    world.mirrors.clear();
    let hub = world.emulator.docker_hub();
    hub.set_referrers(ReferrersSupport::Api);
    let pulls = image.manifests.len();
    for name in ["one", "two"] {
        hub.put_referrer("library/python", &Image::referrer(image.root(), "application/x.y", name));
    }
    leave(&world, pulls as u64 + 1);
    let mark = world.emulator.log().mark();
    let outcome = world.copy_with_referrers("python:3.13", "3.13", "all").await.expect("the image is copied");
    world.check_stored("3.13", &image);
    let referrers = outcome.referrers.expect("referrers were asked for");
    assert_eq!(referrers.copied, 1, "{referrers:?}");
    let reason = referrers.first_reason.as_ref().map(ToString::to_string).unwrap_or_default();
    assert!(referrers.is_incomplete() && reason.contains("pulls required: "), "{reason}");
    let asked = world.upstream_requests(mark);
    let asked = asked.iter().filter(|operation| *operation == "manifest.get").count();
    assert_eq!(asked, pulls + 1, "nothing was asked in vain");
}

#[tokio::test]
async fn waits_for_the_end_of_a_limit_only_if_it_comes_in_time() {
    let refusal = |body: &str, seconds: &str| Effect::Status {
        code: 429,
        headers: [("retry-after".to_owned(), seconds.to_owned())].into(),
        body: body.into(),
    };
    let pulls =
        r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit."}]}"#;
    for (body, problem) in [(pulls, Problem::PullLimit), ("Too Many Requests", Problem::Throttled)] {
        let (mut world, _, image) = world().await;
        world.mirrors.clear();
        world.deadline = Some(Instant::now() + Duration::from_secs(20));
        world
            .emulator
            .faults()
            .add(Fault::on("manifest.get", refusal(body, "1")).host("registry-1.docker.io").once());
        copy(&world).await;
        world.check_stored("3.13", &image);
        world.hub_image("3.14", &ImageBuilder::new(2).platforms(&["linux/amd64"]).index());
        let fault = Fault::on("manifest.get", refusal(body, "600")).host("registry-1.docker.io");
        world.emulator.faults().add(fault);
        let started = Instant::now();
        let failure = world.copy("python:3.14", Some("3.14"), "all").await.unwrap_err();
        assert!(started.elapsed() < Duration::from_secs(5), "waiting is in vain");
        assert_eq!(failure.problem(), problem, "{failure}");
        assert!(failure.summary().contains("10 min"), "{failure}");
    }
}

#[tokio::test]
async fn what_a_mirror_serves_is_not_counted_against_the_allowance() {
    let (world, mirror, image) = world().await;
    for manifest in &image.manifests[..2] {
        mirror.put_manifest("hub/python", manifest.clone());
    }
    leave(&world, 1);
    copy(&world).await;
    world.check_stored("3.13", &image);
}
