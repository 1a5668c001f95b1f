//! Destinations that reject optional requests.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use image_copy::copy::Problem;
use image_copy::http;
use image_copy::oci::Digest;
use support::loopback_copy::{client, client_with, copy, copy_between};
use support::loopback_registry::{LoopbackRegistry, ReceivedRequest, error_response};

fn is_read(request: &ReceivedRequest) -> bool {
    matches!(request.method.as_str(), "GET" | "HEAD") && request.target != "/v2/"
}

#[tokio::test]
async fn a_refused_mount_is_replaced_by_an_upload() {
    for status in [400, 401, 403, 404, 405, 429, 500, 502, 503] {
        let registry = LoopbackRegistry::with_handler(move |request| {
            let missing =
                request.is("HEAD", "/v2/prod/app/blobs/").then(|| error_response(404, "BLOB_UNKNOWN"));
            let mount = request.is("POST", "mount=").then(|| error_response(status, "UNAUTHORIZED"));
            missing.or(mount).flatten()
        });
        let image = registry.image("team/app", &[b"one", b"two"], &["1"]);
        let host = &registry.host;
        let outcome =
            copy(&client(None), &format!("{host}/team/app:1"), &format!("{host}/prod/app:1")).await.unwrap();
        assert_eq!(outcome.blobs.copied, 3, "{status}");
        assert_eq!(registry.manifest("prod/app", "1").unwrap(), image.bytes, "{status}");
        let mounts = registry.take_log().iter().filter(|line| line.contains("mount=")).count();
        assert_eq!(mounts, 3, "{status}: a refused mount is not repeated");
    }
}

#[tokio::test]
async fn a_destination_that_refuses_reads_is_pushed_to() {
    for status in [400, 401, 403, 404, 405, 501] {
        let source = LoopbackRegistry::start();
        let image = source.image("a/b", &[b"one"], &["1"]);
        let to = LoopbackRegistry::with_handler(move |request| {
            is_read(request).then(|| error_response(status, "DENIED")).flatten()
        });
        copy_between(None, &source, &to).await.unwrap();
        assert_eq!(to.manifest("x/y", "1").unwrap(), image.bytes, "{status}");
    }
}

#[tokio::test]
async fn a_destination_that_fails_is_an_error() {
    let source = LoopbackRegistry::start();
    source.image("a/b", &[b"one"], &["1"]);
    let to = LoopbackRegistry::with_handler(|request| {
        is_read(request).then(|| error_response(500, "X")).flatten()
    });
    let failure = copy_between(None, &source, &to).await.unwrap_err();
    assert_eq!(failure.problem(), Problem::ServerError, "{failure}");
    assert!(to.take_log().iter().all(|line| !line.starts_with("POST")), "nothing was sent");
}

#[tokio::test]
async fn a_refused_push_is_the_failure_that_is_reported() {
    let source = LoopbackRegistry::start();
    source.image("a/b", &[b"one"], &["1"]);
    let to = LoopbackRegistry::with_handler(|request| {
        let code = if is_read(request) { "READ_DENIED" } else { "PUSH_DENIED" };
        (request.target != "/v2/").then(|| error_response(403, code)).flatten()
    });
    let failure = copy_between(None, &source, &to).await.unwrap_err();
    assert!(failure.to_string().contains("PUSH_DENIED"), "{failure}");
}

#[tokio::test]
async fn a_source_that_denies_access_is_not_treated_as_empty() {
    let source = LoopbackRegistry::with_handler(|request| {
        is_read(request).then(|| error_response(403, "DENIED")).flatten()
    });
    source.image("a/b", &[b"one"], &["1"]);
    let to = LoopbackRegistry::start();
    let failure = copy_between(None, &source, &to).await.unwrap_err();
    assert_eq!(failure.side(), image_copy::copy::Side::Source, "{failure}");
}

#[tokio::test]
async fn an_empty_response_for_a_tag_is_replaced() {
    let source = LoopbackRegistry::start();
    let image = source.image("a/b", &[b"one"], &["1"]);
    let to = LoopbackRegistry::with_handler(|request| {
        let is_tag = request.is("GET", "/v2/x/y/manifests/1") || request.is("HEAD", "/v2/x/y/manifests/1");
        is_tag.then(|| (200, vec![("Docker-Content-Digest", Digest::of(b"x").to_string())], Vec::new()))
    });
    copy_between(None, &source, &to).await.unwrap();
    assert_eq!(to.manifest("x/y", "1").unwrap(), image.bytes);
}

#[tokio::test]
async fn a_tag_that_names_no_manifest_is_replaced() {
    let (source, to) = (LoopbackRegistry::start(), LoopbackRegistry::start());
    let image = source.image("a/b", &[b"one"], &["1"]);
    to.put_manifest("x/y", "application/json", r#"{"schemaVersion":1,"name":"x"}"#, &["1"]);
    copy_between(None, &source, &to).await.unwrap();
    assert_eq!(to.manifest("x/y", "1").unwrap(), image.bytes);
}

#[tokio::test]
async fn an_unchanged_image_costs_two_requests_and_an_index_one() {
    let (source, to) = (LoopbackRegistry::start(), LoopbackRegistry::start());
    let layers: Vec<Vec<u8>> = (0..120).map(|number| format!("layer {number}").into_bytes()).collect();
    let layers: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
    let image = source.image("a/b", &layers, &["image"]);
    let other = source.image("a/b", &layers[..60], &[]);
    source.index("a/b", &[(&image, "linux/amd64"), (&other, "linux/arm64")], &["index"]);
    for (tag, requests, platforms) in [("image", 2, 1), ("index", 1, 2)] {
        let (from, name) = (format!("{}/a/b:{tag}", source.host), format!("{}/x/y:{tag}", to.host));
        copy(&client(None), &from, &name).await.unwrap();
        to.take_log();
        source.take_log();
        let again = copy(&client(None), &from, &name).await.unwrap();
        assert_eq!((again.blobs.copied, again.manifests_written), (0, 0), "{tag}");
        assert_eq!(
            (again.platforms.len(), again.tag),
            (platforms, image_copy::copy::TagChange::Unchanged),
            "{tag}"
        );
        let (sent, read) = (to.take_log(), source.take_log());
        assert_eq!(sent.len(), requests, "{tag}: {sent:?}");
        assert_eq!(read.len(), 1, "{tag}: {read:?}");
    }
}

#[tokio::test]
async fn blobs_of_an_existing_manifest_are_not_requested() {
    let (source, to) = (LoopbackRegistry::start(), LoopbackRegistry::start());
    let image = source.image("a/b", &[b"one", b"two"], &["image"]);
    let other = source.image("a/b", &[b"three"], &[]);
    source.index("a/b", &[(&image, "linux/amd64"), (&other, "linux/arm64")], &["index"]);
    copy(&client(None), &format!("{}/a/b:image", source.host), &format!("{}/x/y:image", to.host))
        .await
        .unwrap();
    to.take_log();
    let outcome =
        copy(&client(None), &format!("{}/a/b:index", source.host), &format!("{}/x/y:index", to.host))
            .await
            .unwrap();
    assert_eq!((outcome.blobs.blobs, outcome.blobs.present, outcome.blobs.copied), (4, 3, 1));
    let heads: Vec<String> = to.take_log().into_iter().filter(|line| line.starts_with("HEAD")).collect();
    assert_eq!(heads.len(), 1, "{heads:?}");
}

#[tokio::test]
async fn child_manifests_are_written_four_at_once_after_their_children() {
    let (running, maximum) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let source = LoopbackRegistry::start();
    let observed = maximum.clone();
    let to = LoopbackRegistry::with_handler(move |request| {
        if request.is("PUT", "/manifests/sha256:") {
            observed.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(50));
            running.fetch_sub(1, Ordering::SeqCst);
        }
        None
    });
    let images: Vec<_> =
        (0..8).map(|number| source.image("a/b", &[format!("{number}").as_bytes()], &[])).collect();
    let children: Vec<_> = images.iter().map(|image| (image, "linux/amd64")).collect();
    let nested = source.index("a/b", &children, &[]);
    source.index("a/b", &[(&nested, "linux/amd64"), (&images[0], "linux/arm64")], &["1"]);
    copy_between(None, &source, &to).await.unwrap();
    assert_eq!(maximum.load(Ordering::SeqCst), 4);
    let log = to.take_log();
    let written: Vec<&String> =
        log.iter().filter(|line| line.starts_with("PUT /v2/x/y/manifests/")).collect();
    assert_eq!(written.len(), 10);
    assert!(written[8].ends_with(nested.digest.as_str()) && written[9].ends_with("/1"), "{written:?}");
}

#[tokio::test]
async fn the_time_of_a_silent_mount_counts_for_the_upload() {
    let counts = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let counted = counts.clone();
    let registry = LoopbackRegistry::with_handler(move |request| {
        if request.is("POST", "/blobs/uploads/") {
            counted[usize::from(request.target.contains("mount="))].fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(Duration::from_secs(10));
        }
        request.is("HEAD", "/v2/prod/app/").then(|| error_response(404, "BLOB_UNKNOWN")).flatten()
    });
    registry.image("team/app", &[b"one"], &["1"]);
    let time = Duration::from_millis(500);
    let mut options = http::Options { connect_timeout: time, read_timeout: time, ..http::Options::default() };
    options.backoff.max_silence = 3 * time;
    let (from, to) = (format!("{}/team/app:1", registry.host), format!("{}/prod/app:1", registry.host));
    let failure = copy(&client_with(None, options), &from, &to).await.unwrap_err();
    assert!(failure.to_string().contains("sent nothing for"), "{failure}");
    let [uploads, mounts] = &*counts;
    assert!(uploads.load(Ordering::Relaxed) <= mounts.load(Ordering::Relaxed), "{counts:?}");
}
