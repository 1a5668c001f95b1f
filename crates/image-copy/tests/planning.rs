//! Requests of `read_current_state` and `plan` to both sides.

#![expect(clippy::unwrap_used, reason = "a test may end in a panic")]

mod support;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_emulator::{Availability, Effect, Fault, Image, ImageBuilder, Log};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use image_copy::copy::{
    Destination, EarlierCopy, Failure, Inventory, NullReporter, Outcome, Problem, RepositorySettings,
    Request, Side, TransferLimits, plan, read_current_state, transfer,
};
use image_copy::http;
use image_copy::oci::{self, Digest, Tag};
use image_copy::registry::{Error, ManifestId, Repository};
use support::World;
use tokio::time::Instant;

fn index() -> Image {
    ImageBuilder::new(1).platforms(&["linux/amd64", "linux/arm64"]).attestations().index()
}

/// Behavior of an inventory before it calls the registry.
enum Start {
    Immediately,
    /// Waits until the source has received a HEAD request.
    AfterHead(Arc<Log>),
    /// Fails as ECR does if the repository does not exist.
    RepositoryNotFound,
    /// Fails at this time because the API sent nothing for this long.
    SilentUntil(Instant, Duration),
}

/// An inventory that records its calls.
struct Recorder {
    repository: Repository,
    start: Start,
    is_immutable: bool,
    calls: Mutex<Vec<String>>,
}

impl Recorder {
    fn record(&self, call: String) {
        self.calls.lock().unwrap().push(call);
    }
}

impl Inventory for Recorder {
    fn settings<'a>(&'a self, _: Option<&'a Tag>) -> BoxFuture<'a, Result<RepositorySettings, Error>> {
        self.record("settings".into());
        async { Ok(RepositorySettings { tag_is_immutable: Some(self.is_immutable) }) }.boxed()
    }

    fn manifests<'a>(
        &'a self,
        ids: &'a [ManifestId],
    ) -> BoxFuture<'a, Result<Vec<Option<oci::Manifest>>, Error>> {
        self.record(format!("manifests of {}", ids.len()));
        async {
            match &self.start {
                Start::Immediately => {}
                Start::AfterHead(log) => {
                    while log.entries().iter().all(|entry| entry.operation != "manifest.head") {
                        tokio::time::sleep(Duration::from_millis(2)).await;
                    }
                }
                Start::RepositoryNotFound => return Err(not_found()),
                Start::SilentUntil(end, time) => {
                    tokio::time::sleep_until(*end).await;
                    let kind = http::ErrorKind::Silent { time: *time, proxy: None };
                    let host = "api.ecr.eu-west-1.amazonaws.com".into();
                    return Err(http::Error { kind, host, attempts: 1, elapsed: *time }.into());
                }
            }
            self.repository.manifests(ids).await
        }
        .boxed()
    }

    fn blobs<'a>(&'a self, digests: &'a [Digest]) -> BoxFuture<'a, Result<HashSet<Digest>, Error>> {
        self.record("blobs".into());
        self.repository.blobs(digests)
    }

    /// The same value as for ECR.
    fn manifests_guarantee_content(&self) -> bool {
        false
    }

    fn rejection_reason(&self, manifest: &oci::Manifest) -> Option<String> {
        self.repository.rejection_reason(manifest)
    }

    fn tag<'a>(&'a self, manifest: &'a oci::Manifest, tag: &'a Tag) -> BoxFuture<'a, Result<(), Error>> {
        Inventory::tag(&self.repository, manifest, tag)
    }

    fn lists_referrers<'a>(&'a self, subject: &'a Digest) -> BoxFuture<'a, Result<bool, Error>> {
        self.repository.lists_referrers(subject)
    }
}

fn not_found() -> Error {
    Error::Service {
        service: "ecr:BatchGetImage".into(),
        code: "RepositoryNotFoundException".into(),
        message: "The repository with name 'team/app' does not exist".into(),
        attempts: 1,
        elapsed: Duration::ZERO,
    }
}

fn recorder(world: &World, start: Start, is_immutable: bool) -> (Arc<Recorder>, Destination) {
    let repository = world.client.repository(support::destination_name(world), None);
    let recorder =
        Arc::new(Recorder { repository: repository.clone(), start, is_immutable, calls: Mutex::default() });
    (recorder.clone(), Destination::with_inventory(repository, recorder))
}

/// Copies the image. Returns the result and the inventory's calls.
async fn copy(
    world: &World,
    request: &Request,
    is_immutable: bool,
) -> (Result<Outcome, image_copy::copy::Error>, Vec<String>) {
    let (recorder, to) = recorder(world, Start::Immediately, is_immutable);
    let from = world.source(request);
    let copied = async {
        let state = read_current_state(request, &from, &to).await?;
        let plan = plan(request, &state, &from, &to).await?;
        transfer(&plan, &from, &to, &TransferLimits::default(), Arc::new(NullReporter)).await
    };
    let copied = copied.await;
    let calls = recorder.calls.lock().unwrap().clone();
    (copied, calls)
}

fn with_earlier_copy(request: &Request, outcome: &Outcome) -> Request {
    let copy = EarlierCopy {
        source_digest: outcome.source_digest.clone(),
        requested: request.platforms.clone(),
        customization: None,
        digest: outcome.digest.clone(),
        platforms: outcome.platforms.clone(),
    };
    Request { earlier_copies: vec![copy], ..request.clone() }
}

#[tokio::test]
async fn one_platform_of_a_pinned_index_causes_three_calls_and_two_if_unchanged() {
    let (world, image) = (World::start().await, index());
    world.put_hub_image("3.13", &image);
    let pinned = format!("python:3.13@{}", image.digest());
    let request = world.request(&pinned, Some("3.13"), "linux/amd64");
    let (outcome, calls) = copy(&world, &request, false).await;
    assert_eq!(calls, ["manifests of 2", "manifests of 1", "blobs"]);
    let request = with_earlier_copy(&request, &outcome.unwrap());
    let mark = world.emulator.log().mark();
    let (outcome, calls) = copy(&world, &request, true).await;
    assert_eq!(outcome.unwrap().manifests_written, 0);
    assert_eq!(calls, ["manifests of 2", "blobs"]);
    assert!(world.upstream_requests(mark).is_empty());
}

#[tokio::test]
async fn a_call_that_the_deadline_ends_is_a_missed_deadline_unless_it_was_silent_for_long() {
    for (silence, is_missed_deadline) in [(50, true), (900, false)] {
        let mut world = World::start().await;
        world.put_hub_image("3.13", &index());
        let request = world.request("python:3.13", Some("3.13"), "all");
        let end = Instant::now() + Duration::from_secs(1);
        world.deadline = Some(end);
        let start = Start::SilentUntil(end, Duration::from_millis(silence));
        let (_, to) = recorder(&world, start, false);
        let failure = read_current_state(&request, &world.source(&request), &to).await.unwrap_err();
        assert_eq!(matches!(*failure, Failure::Deadline { .. }), is_missed_deadline, "{failure}");
    }
}

#[tokio::test]
async fn an_unchanged_index_causes_three_calls_with_and_without_a_digest() {
    let (world, image) = (World::start().await, index());
    world.put_hub_image("3.13", &image);
    world.copy("python:3.13", Some("3.13"), "all").await.unwrap();
    let pinned = format!("python:3.13@{}", image.digest());
    for (reference, first_call) in [("python:3.13", "manifests of 1"), (&pinned, "manifests of 2")] {
        let request = world.request(reference, Some("3.13"), "all");
        let (outcome, calls) = copy(&world, &request, true).await;
        assert_eq!(outcome.unwrap().manifests_written, 0);
        assert_eq!(calls, [first_call, "manifests of 4", "blobs"]);
        let (_, calls) = copy(
            &world,
            &with_earlier_copy(&request, &world.copy(reference, Some("3.13"), "all").await.unwrap()),
            true,
        )
        .await;
        assert_eq!(calls, [first_call, "manifests of 4", "blobs"], "with an earlier copy");
    }
}

#[tokio::test]
async fn reads_the_settings_only_if_the_tag_names_another_image() {
    let (world, image) = (World::start().await, index());
    let new = ImageBuilder::new(2).platforms(&["linux/amd64"]).index();
    world.put_hub_image("3.13", &image);
    world.copy("python:3.13", Some("3.13"), "all").await.unwrap();
    world.put_hub_image("3.13", &new);
    let request = world.request("python:3.13", Some("3.13"), "all");
    let mark = world.emulator.log().mark();
    let (rejected, calls) = copy(&world, &request, true).await;
    assert!(matches!(*rejected.unwrap_err(), Failure::TagImmutable { .. }));
    assert_eq!(calls, ["manifests of 1", "manifests of 1", "settings"]);
    assert_eq!(world.emulator.log().count(mark, "blob.get"), 0);
    let (outcome, calls) = copy(&world, &request, false).await;
    assert_eq!(outcome.unwrap().digest.as_str(), new.digest());
    assert_eq!(calls.iter().filter(|call| *call == "settings").count(), 1);
    world.check_stored("3.13", &new);
}

#[tokio::test]
async fn the_current_state_has_the_pinned_image_and_the_plan_its_children() {
    let (world, image) = (World::start().await, index());
    world.put_hub_image("3.13", &image);
    world.copy("python:3.13", Some("3.13"), "all").await.unwrap();
    let pinned = format!("python:3.13@{}", image.digest());
    let request = world.request(&pinned, Some("other"), "all");
    let (recorder, to) = recorder(&world, Start::Immediately, false);
    let from = world.source(&request);
    let state = read_current_state(&request, &from, &to).await.unwrap();
    assert_eq!(state.existing(&state.source_digest).unwrap().digest.as_str(), image.digest());
    assert!(state.tagged.is_none());
    world.ecr.expire_image(&image.manifests[0].digest);
    let plan = plan(&request, &state, &from, &to).await.unwrap();
    assert_eq!(*recorder.calls.lock().unwrap(), ["manifests of 2", "manifests of 4", "blobs"]);
    assert_eq!(plan.manifests.len(), 1, "only the missing manifest");
    let children: HashSet<&str> = plan.children.iter().map(Digest::as_str).collect();
    let expected = image.manifests.iter().map(|one| one.digest.as_str()).filter(|one| *one != image.digest());
    assert_eq!(children, expected.collect());
}

#[tokio::test]
async fn reads_both_sides_at_the_same_time() {
    let (world, image) = (World::start().await, index());
    world.put_hub_image("3.13", &image);
    let request = world.request("python:3.13", Some("3.13"), "all");
    let (_, to) = recorder(&world, Start::AfterHead(world.emulator.log().clone()), false);
    let from = world.source(&request);
    // A separate task, because the provider requires futures that are `Send`.
    let reading = tokio::spawn(async move { read_current_state(&request, &from, &to).await });
    let state = tokio::time::timeout(Duration::from_secs(10), reading).await.unwrap().unwrap().unwrap();
    assert_eq!(state.source_digest.as_str(), image.digest());
}

#[tokio::test]
async fn a_missing_repository_is_reported_before_a_missing_source() {
    let world = World::start().await;
    let request = world.request("python:3.13", Some("3.13"), "all");
    let (_, to) = recorder(&world, Start::RepositoryNotFound, false);
    for availability in [Availability::Available, Availability::Unreachable] {
        world.emulator.docker_hub().set_availability(availability);
        let failure = read_current_state(&request, &world.source(&request), &to).await.unwrap_err();
        assert_eq!((failure.side(), failure.problem()), (Side::Destination, Problem::Missing));
        assert_eq!(
            failure.summary(),
            format!(
                "Repository {} was not found: ecr:BatchGetImage returned RepositoryNotFoundException \"The repository with name 'team/app' does not exist\".",
                request.destination
            )
        );
    }
    world.emulator.docker_hub().set_availability(Availability::Available);
    let (_, to) = recorder(&world, Start::Immediately, false);
    let failure = read_current_state(&request, &world.source(&request), &to).await.unwrap_err();
    assert_eq!(failure.side(), Side::Source);
}

#[tokio::test]
async fn a_missing_repository_does_not_wait_for_a_slow_source() {
    let (world, image) = (World::start().await, index());
    world.put_hub_image("3.13", &image);
    world.emulator.faults().add(Fault::on("manifest.head", Effect::Delay { ms: 800 }));
    let request = world.request("python:3.13", Some("3.13"), "all");
    let (_, to) = recorder(&world, Start::RepositoryNotFound, false);
    let from = world.source(&request);
    let reading =
        tokio::time::timeout(Duration::from_millis(400), read_current_state(&request, &from, &to)).await;
    assert_eq!(
        reading.expect("a result before the source responds").unwrap_err().problem(),
        Problem::Missing
    );
}
