//! Destinations that refuse what a copy can do without.

#![expect(clippy::unwrap_used, reason = "a test may end in a panic")]

mod support;

use std::sync::Arc;

use image_copy::copy::{
    Destination, Error, Limits, NoReport, Outcome, Platforms, Problem, Request, Source, plan, survey,
    transfer,
};
use image_copy::http;
use image_copy::oci::Reference;
use image_copy::registry::{Anonymous, Client};
use support::loopback::{Loopback, Received, refused};

fn client() -> Client {
    let mut options = http::Options::default();
    options.backoff.attempts = 2;
    options.backoff.first = std::time::Duration::from_millis(1);
    Client::new(options, Arc::new(Anonymous)).unwrap()
}

/// Copies `source` to `destination`, both with a tag.
async fn copy(source: &str, destination: &str) -> Result<Outcome, Error> {
    let (source, destination): (Reference, Reference) =
        (source.parse().unwrap(), destination.parse().unwrap());
    let request = Request {
        destination: destination.repository,
        tag: destination.tag,
        platforms: Platforms::All,
        known: Vec::new(),
        include_referrers: source.tag.as_ref().is_some_and(|tag| tag.as_str() == "signed"),
        source,
    };
    let client = client();
    let from = Source::from(client.repository(request.source.repository.clone(), None));
    let to = Destination::of_registry(client.repository(request.destination.clone(), None));
    let plan = plan(&request, &survey(&request, &from, &to).await?, &from, &to).await?;
    transfer(&plan, &from, &to, &Limits::default(), Arc::new(NoReport)).await
}

fn is_read(request: &Received) -> bool {
    matches!(request.method.as_str(), "GET" | "HEAD") && request.target != "/v2/"
}

#[tokio::test]
async fn a_refused_mount_is_replaced_by_an_upload() {
    for status in [400, 401, 403, 404, 405, 429, 500, 502, 503] {
        let registry = Loopback::with(move |request| {
            let held = request.is("HEAD", "/v2/prod/app/blobs/").then(|| refused(404, "BLOB_UNKNOWN"));
            let mount = request.is("POST", "mount=").then(|| refused(status, "UNAUTHORIZED"));
            held.or(mount).flatten()
        });
        let image = registry.image("team/app", &[b"one", b"two"], &["1"]);
        let host = &registry.host;
        let outcome = copy(&format!("{host}/team/app:1"), &format!("{host}/prod/app:1")).await.unwrap();
        assert_eq!(outcome.blobs.copied, 3, "{status}");
        assert_eq!(registry.manifest("prod/app", "1").unwrap(), image.bytes, "{status}");
        let mounts = registry.take_log().iter().filter(|line| line.contains("mount=")).count();
        assert_eq!(mounts, 3, "{status}: a refused mount is not repeated");
    }
}

#[tokio::test]
async fn a_destination_that_refuses_reads_is_pushed_to() {
    for status in [400, 403, 404, 405] {
        let source = Loopback::start();
        let image = source.image("a/b", &[b"one"], &["1"]);
        let to = Loopback::with(move |request| is_read(request).then(|| refused(status, "DENIED")).flatten());
        copy(&format!("{}/a/b:1", source.host), &format!("{}/x/y:1", to.host)).await.unwrap();
        assert_eq!(to.manifest("x/y", "1").unwrap(), image.bytes, "{status}");
    }
}

#[tokio::test]
async fn a_destination_that_fails_or_rejects_credentials_is_an_error() {
    for (status, problem) in [(401, Problem::LoginNeeded), (500, Problem::ServerTrouble)] {
        let source = Loopback::start();
        source.image("a/b", &[b"one"], &["1"]);
        let to = Loopback::with(move |request| is_read(request).then(|| refused(status, "X")).flatten());
        let failure =
            copy(&format!("{}/a/b:1", source.host), &format!("{}/x/y:1", to.host)).await.unwrap_err();
        assert_eq!(failure.problem(), problem, "{failure}");
        assert!(to.take_log().iter().all(|line| !line.starts_with("POST")), "{status}: nothing was sent");
    }
}

#[tokio::test]
async fn a_refused_push_is_the_failure_that_is_reported() {
    let source = Loopback::start();
    source.image("a/b", &[b"one"], &["1"]);
    let to = Loopback::with(|request| {
        let code = if is_read(request) { "READ_DENIED" } else { "PUSH_DENIED" };
        (request.target != "/v2/").then(|| refused(403, code)).flatten()
    });
    let failure = copy(&format!("{}/a/b:1", source.host), &format!("{}/x/y:1", to.host)).await.unwrap_err();
    assert!(failure.to_string().contains("PUSH_DENIED"), "{failure}");
}

#[tokio::test]
async fn a_source_that_refuses_is_never_taken_for_empty() {
    let source = Loopback::with(|request| is_read(request).then(|| refused(403, "DENIED")).flatten());
    source.image("a/b", &[b"one"], &["1"]);
    let to = Loopback::start();
    let failure = copy(&format!("{}/a/b:1", source.host), &format!("{}/x/y:1", to.host)).await.unwrap_err();
    assert_eq!(failure.side(), image_copy::copy::Side::Source, "{failure}");
}

#[tokio::test]
async fn a_tag_that_names_no_manifest_is_replaced() {
    let (source, to) = (Loopback::start(), Loopback::start());
    let image = source.image("a/b", &[b"one"], &["1"]);
    to.put_manifest("x/y", "application/json", r#"{"schemaVersion":1,"name":"x"}"#, &["1"]);
    copy(&format!("{}/a/b:1", source.host), &format!("{}/x/y:1", to.host)).await.unwrap();
    assert_eq!(to.manifest("x/y", "1").unwrap(), image.bytes);
}
