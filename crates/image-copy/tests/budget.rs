//! Limits of attempts and time for each operation, with silent and slow hosts.

mod support;

use std::sync::Arc;
use std::time::Duration;

use aws_emulator::{Effect, Fault, Image, ImageBuilder, RateLimit};
use image_copy::copy::{Failure, Mirror, Problem, Side};
use image_copy::http;
use support::World;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

const ATTEMPTS: usize = 5;

/// Returns the options for the emulator with time limits of milliseconds.
fn options(world: &World) -> http::Options {
    let options = support::options(&world.emulator);
    let backoff = http::Backoff { max_silence: Duration::from_millis(1500), ..options.backoff };
    let time = Duration::from_millis(500);
    http::Options { backoff, connect_timeout: time, read_timeout: time, ..options }
}

async fn world(change: impl FnOnce(&mut http::Options)) -> (World, Image) {
    let mut world = World::start().await;
    let image = ImageBuilder::new(7).platforms(&["linux/amd64"]).layers(&[900_000]).single();
    world.put_hub_image("1", &image);
    let mut options = options(&world);
    change(&mut options);
    world.set_options(options);
    (world, image)
}

fn status(code: u16) -> Effect {
    Effect::Status { code, headers: std::collections::BTreeMap::default(), body: String::new() }
}

/// Returns the maximum number of requests for one blob at one host.
fn max_requests_for_a_blob(world: &World, host: &str, operation: &str) -> usize {
    let entries = world.emulator.log().entries();
    let mut counts = std::collections::HashMap::<String, usize>::new();
    for entry in entries.iter().filter(|entry| entry.operation == operation && entry.host.ends_with(host)) {
        let path = entry.target.split('?').next().unwrap_or_default();
        *counts.entry(path.to_owned()).or_default() += 1;
    }
    counts.into_values().max().unwrap_or_default()
}

#[tokio::test]
async fn requests_a_blob_at_most_once_per_attempt() {
    let reset = |after_bytes| Effect::Reset { after_bytes, on: None };
    let delay = Effect::Delay { ms: 300_000 };
    for (operation, effect) in [
        ("blob.get", status(502)),
        ("blob.get", reset(0)),
        ("blob.content", status(502)),
        ("blob.content", reset(0)),
        ("blob.content", reset(9)),
        ("blob.content", Effect::Truncate { after_bytes: 9, on: None }),
        ("blob.content", delay),
        ("blob.content", Effect::Stall { after_bytes: 9, for_ms: None, on: None }),
    ] {
        let (world, _) = world(|_| {}).await;
        world.emulator.faults().add(Fault::on(operation, effect.clone()));
        let failure = world.copy("python:1", Some("1"), "linux/amd64").await.unwrap_err();
        assert_eq!(failure.side(), Side::Source, "{failure}");
        for host in ["registry-1.docker.io", "docker.com"] {
            let requests = max_requests_for_a_blob(&world, host, operation);
            assert!(requests <= ATTEMPTS, "{operation} {effect:?}: {requests} requests to {host}");
        }
        let requests = max_requests_for_a_blob(&world, "", operation);
        assert!(requests > 1, "{operation} {effect:?} was not retried");
    }
}

#[tokio::test]
async fn a_mirror_and_the_upstream_registry_have_separate_budgets() {
    let (mut world, _) = world(|_| {}).await;
    let mirror = world.emulator.add_upstream(aws_emulator::Profile::bearer("mirror.example"));
    let image = ImageBuilder::new(7).platforms(&["linux/amd64"]).layers(&[900_000]).single();
    mirror.put_image("hub/python", "1", &image);
    world.mirrors = Mirror::parse_list("docker.io/library=mirror.example/hub").unwrap();
    world.emulator.faults().add(Fault::on("blob.get", Effect::Reset { after_bytes: 0, on: None }));
    world.copy("python:1", Some("1"), "linux/amd64").await.unwrap_err();
    for host in ["mirror.example", "registry-1.docker.io"] {
        let requests = max_requests_for_a_blob(&world, host, "blob.get");
        assert!((1..=ATTEMPTS).contains(&requests), "{requests} requests to {host}");
    }
}

#[tokio::test]
async fn requests_a_token_at_most_once_per_attempt() {
    let (world, _) = world(|_| {}).await;
    world.emulator.faults().add(Fault::on("token", Effect::Reset { after_bytes: 0, on: None }));
    world.copy("python:1", Some("1"), "linux/amd64").await.unwrap_err();
    let requests = world.emulator.log().entries().iter().filter(|entry| entry.operation == "token").count();
    assert!((2..=ATTEMPTS).contains(&requests), "{requests} requests");
}

#[tokio::test]
async fn starts_an_upload_at_most_once_per_attempt() {
    for (operation, effect) in [
        ("upload.put", status(502)),
        ("upload.put", Effect::Reset { after_bytes: 1000, on: None }),
        ("upload.start", status(502)),
    ] {
        let (world, _) = world(|_| {}).await;
        world.emulator.faults().add(Fault::on(operation, effect.clone()));
        let failure = world.copy("python:1", Some("1"), "linux/amd64").await.unwrap_err();
        assert_eq!(failure.side(), Side::Destination, "{failure}");
        // One layer and the config.
        let entries = world.emulator.log().entries();
        let requests = entries.iter().filter(|entry| entry.operation == operation).count();
        assert!((2..=2 * ATTEMPTS).contains(&requests), "{operation} {effect:?}: {requests} requests");
    }
}

#[tokio::test]
async fn a_commit_can_take_longer_than_a_read() {
    let (world, image) = world(|options| options.commit_timeout = Duration::from_secs(20)).await;
    world.emulator.faults().add(Fault::on("upload.put", Effect::Delay { ms: 1500 }));
    let mark = world.emulator.log().mark();
    world.copy("python:1", Some("1"), "linux/amd64").await.unwrap();
    world.check_stored("1", &image);
    assert_eq!(world.emulator.log().count(mark, "upload.put"), image.blobs.len());
}

#[tokio::test]
async fn a_commit_without_a_response_ends_with_the_silent_host() {
    let (world, _) = world(|options| options.commit_timeout = Duration::from_millis(1200)).await;
    world.emulator.faults().add(Fault::on("upload.put", Effect::Delay { ms: 300_000 }));
    let failure = world.copy("python:1", Some("1"), "linux/amd64").await.unwrap_err();
    assert_eq!((failure.side(), failure.problem()), (Side::Destination, Problem::Interrupted), "{failure}");
    let line = failure.summary();
    assert!(line.contains(".dkr.ecr.") && line.contains("sent nothing for "), "{line}");
}

#[tokio::test]
async fn a_slow_blob_continues_over_a_new_connection() {
    let (world, image) = world(|_| {}).await;
    let slow = Effect::Slow { bytes_per_second: 4000, on: None };
    world.emulator.faults().add(Fault::on("blob.content", slow).once());
    world.copy("python:1", Some("1"), "linux/amd64").await.unwrap();
    world.check_stored("1", &image);
}

#[tokio::test]
async fn a_missed_deadline_names_the_silent_host() {
    for (operation, side, host) in [
        ("manifest.head", Side::Source, "registry-1.docker.io"),
        ("token", Side::Source, "auth.docker.io"),
        ("blob.content", Side::Source, "docker.com"),
        ("upload.put", Side::Destination, ".dkr.ecr."),
        ("manifest.put", Side::Destination, ".dkr.ecr."),
    ] {
        let (mut world, _) = world(|options| {
            options.read_timeout = Duration::from_secs(30);
            options.commit_timeout = Duration::from_secs(180);
        })
        .await;
        world.deadline = Some(Instant::now() + Duration::from_secs(3));
        world.emulator.faults().add(Fault::on(operation, Effect::Delay { ms: 300_000 }));
        let failure = world.copy("python:1", Some("1"), "linux/amd64").await.unwrap_err();
        let Failure::Deadline { silent_host: Some((reported_side, silent_host)), .. } = *failure else {
            panic!("{operation}: {failure}")
        };
        assert_eq!(reported_side, side, "{operation}");
        assert!(silent_host.host.to_string().contains(host), "{operation}: {silent_host:?}");
    }
}

#[tokio::test]
async fn waits_for_a_pull_limit_that_ends_before_the_deadline() {
    let (mut world, image) = world(|_| {}).await;
    world.deadline = Some(Instant::now() + Duration::from_secs(20));
    let hub = world.emulator.docker_hub();
    hub.set_anonymous_limit(Some(RateLimit { pulls: 100, window: 2 }));
    hub.set_remaining_pulls(None, 0);
    let window = async {
        tokio::time::sleep(Duration::from_millis(1000)).await;
        hub.set_remaining_pulls(None, 100);
    };
    let mark = world.emulator.log().mark();
    let (copied, ()) = tokio::join!(world.copy("python:1", Some("1"), "linux/amd64"), window);
    copied.unwrap();
    world.check_stored("1", &image);
    let requests = world.upstream_requests(mark);
    let requests = requests.iter().filter(|operation| *operation == "manifest.get").count();
    assert_eq!(requests, 1, "no pull was rejected");
}

/// Starts a server that responds to the first request of each connection with `respond`.
async fn start_server<F: Future<Output = ()> + Send>(
    respond: impl Fn(String, TcpStream) -> F + Send + Sync + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let host = listener.local_addr().expect("loopback").to_string();
    let respond = Arc::new(respond);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let respond = respond.clone();
            tokio::spawn(async move {
                let mut head = [0; 4096];
                let length = stream.read(&mut head).await.unwrap_or_default();
                // A TLS handshake starts with 0x16.
                if length > 0 && head[0] != 0x16 {
                    respond(String::from_utf8_lossy(&head[..length]).into_owned(), stream).await;
                }
            });
        }
    });
    host
}

/// Sends `start`, then `piece` repeatedly until the client closes the connection.
async fn send_slowly(mut stream: TcpStream, start: String, piece: &'static str) {
    let _ = stream.write_all(start.as_bytes()).await;
    while stream.write_all(piece.as_bytes()).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn gives_up_responses_that_never_end() {
    let cases = [
        ("informational responses", "", "HTTP/1.1 100 Continue\r\n\r\n"),
        ("early hints", "", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
        ("headers", "HTTP/1.1 200 OK\r\nX-A: ", "a"),
        ("body", "HTTP/1.1 401 Unauthorized\r\nContent-Length: 100000\r\n\r\n", "a"),
    ];
    for (name, start, piece) in cases {
        let (world, _) = world(|_| {}).await;
        let host = start_server(move |_, stream| send_slowly(stream, start.into(), piece)).await;
        let source = format!("{host}/team/app:1");
        let copying = world.copy(&source, Some("1"), "all");
        let copied = tokio::time::timeout(Duration::from_secs(30), copying).await;
        let failure = copied.unwrap_or_else(|_| panic!("{name}: still waiting")).unwrap_err();
        let line = failure.summary();
        assert_eq!(failure.problem(), Problem::Interrupted, "{name}: {line}");
        assert!(line.contains("sent nothing for") || line.contains("was too slow"), "{name}: {line}");
    }
}

#[tokio::test]
async fn huge_numbers_in_headers_cause_a_failure() {
    let responses = [
        "HTTP/1.1 429 Slow\r\nRetry-After: 18446744073709551615\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 503 Slow\r\nRetry-After: 1e308\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 429 Slow\r\nRetry-After: Fri, 31 Dec 9999 23:59:59 GMT\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 429 Slow\r\nRateLimit-Limit: 1;w=18446744073709551615\r\nRateLimit-Remaining: 0\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 429 Slow\r\nX-RateLimit-Reset: 18446744073709551615\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n",
    ];
    for response in responses {
        let (world, _) = world(|_| {}).await;
        let host = start_server(move |_, mut stream| async move {
            let _ = stream.write_all(response.as_bytes()).await;
        })
        .await;
        let source = format!("{host}/team/app:1");
        let copying = world.copy(&source, Some("1"), "all");
        let copied = tokio::time::timeout(Duration::from_secs(30), copying).await;
        let failure = copied.unwrap_or_else(|_| panic!("{response}: still waiting")).unwrap_err();
        assert!(failure.summary().ends_with('.'), "{failure}");
    }
}

#[tokio::test]
async fn gives_up_a_slow_blob_and_reports_its_rate() {
    let (world, image) = world(|_| {}).await;
    let manifest = image.manifests[0].clone();
    let layers = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = layers.clone();
    let host = start_server(move |request, mut stream| {
        let (manifest, count) = (manifest.clone(), count.clone());
        async move {
            if request.contains("/blobs/") {
                count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let start = "HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n";
                return send_slowly(stream, start.into(), "a").await;
            }
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {}\r\nDocker-Content-Digest: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                manifest.media_type,
                manifest.digest,
                manifest.bytes.len()
            );
            let _ = stream.write_all(head.as_bytes()).await;
            if request.starts_with("GET") {
                let _ = stream.write_all(&manifest.bytes).await;
            }
        }
    })
    .await;
    let failure = world.copy(&format!("{host}/team/app:1"), Some("1"), "linux/amd64").await.unwrap_err();
    assert_eq!((failure.side(), failure.problem()), (Side::Source, Problem::Interrupted), "{failure}");
    assert!(failure.summary().contains("was too slow ("), "{failure}");
    let requests = layers.load(std::sync::atomic::Ordering::Relaxed);
    assert!((2..=2 * ATTEMPTS).contains(&requests), "{requests} requests for two blobs");
}
