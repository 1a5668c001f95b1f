//! One budget of attempts and time for each operation, and hosts that are silent or slow.

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

/// Options of the emulator with time limits of milliseconds.
fn options(world: &World) -> http::Options {
    let options = support::options(&world.emulator);
    let backoff = http::Backoff { max_silence: Duration::from_millis(1500), ..options.backoff };
    let time = Duration::from_millis(500);
    http::Options { backoff, connect_timeout: time, read_timeout: time, ..options }
}

async fn world(change: impl FnOnce(&mut http::Options)) -> (World, Image) {
    let mut world = World::start().await;
    let image = ImageBuilder::new(7).platforms(&["linux/amd64"]).layers(&[900_000]).single();
    world.hub_image("1", &image);
    let mut options = options(&world);
    change(&mut options);
    world.set_options(options);
    (world, image)
}

fn status(code: u16) -> Effect {
    Effect::Status { code, headers: std::collections::BTreeMap::default(), body: String::new() }
}

/// The largest number of requests for one blob at one host.
fn requests_for_a_blob(world: &World, host: &str, operation: &str) -> usize {
    let entries = world.emulator.log().entries();
    let mut counts = std::collections::HashMap::<String, usize>::new();
    for entry in entries.iter().filter(|entry| entry.operation == operation && entry.host.ends_with(host)) {
        let path = entry.target.split('?').next().unwrap_or_default();
        *counts.entry(path.to_owned()).or_default() += 1;
    }
    counts.into_values().max().unwrap_or_default()
}

#[tokio::test]
async fn a_blob_is_asked_for_no_more_often_than_there_are_attempts() {
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
            let asked = requests_for_a_blob(&world, host, operation);
            assert!(asked <= ATTEMPTS, "{operation} {effect:?}: {asked} requests to {host}");
        }
        let asked = requests_for_a_blob(&world, "", operation);
        assert!(asked > 1, "{operation} {effect:?} was not repeated");
    }
}

#[tokio::test]
async fn a_mirror_and_the_named_registry_have_a_budget_each() {
    let (mut world, _) = world(|_| {}).await;
    let mirror = world.emulator.add_upstream(aws_emulator::Profile::bearer("mirror.example"));
    let image = ImageBuilder::new(7).platforms(&["linux/amd64"]).layers(&[900_000]).single();
    mirror.put_image("hub/python", "1", &image);
    world.mirrors = Mirror::parse_list("docker.io/library=mirror.example/hub").unwrap();
    world.emulator.faults().add(Fault::on("blob.get", Effect::Reset { after_bytes: 0, on: None }));
    world.copy("python:1", Some("1"), "linux/amd64").await.unwrap_err();
    for host in ["mirror.example", "registry-1.docker.io"] {
        let asked = requests_for_a_blob(&world, host, "blob.get");
        assert!((1..=ATTEMPTS).contains(&asked), "{asked} requests to {host}");
    }
}

#[tokio::test]
async fn a_token_service_that_fails_is_asked_no_more_often_than_there_are_attempts() {
    let (world, _) = world(|_| {}).await;
    world.emulator.faults().add(Fault::on("token", Effect::Reset { after_bytes: 0, on: None }));
    world.copy("python:1", Some("1"), "linux/amd64").await.unwrap_err();
    let asked = world.emulator.log().entries().iter().filter(|entry| entry.operation == "token").count();
    assert!((2..=ATTEMPTS).contains(&asked), "{asked} requests");
}

#[tokio::test]
async fn an_upload_that_fails_is_begun_no_more_often_than_there_are_attempts() {
    for (operation, effect) in [
        ("upload.put", status(502)),
        ("upload.put", Effect::Reset { after_bytes: 1000, on: None }),
        ("upload.start", status(502)),
    ] {
        let (world, _) = world(|_| {}).await;
        world.emulator.faults().add(Fault::on(operation, effect.clone()));
        let failure = world.copy("python:1", Some("1"), "linux/amd64").await.unwrap_err();
        assert_eq!(failure.side(), Side::Destination, "{failure}");
        // The layer and the configuration.
        let entries = world.emulator.log().entries();
        let asked = entries.iter().filter(|entry| entry.operation == operation).count();
        assert!((2..=2 * ATTEMPTS).contains(&asked), "{operation} {effect:?}: {asked} requests");
    }
}

#[tokio::test]
async fn a_commit_may_take_longer_than_a_read() {
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
async fn a_blob_that_trickles_once_goes_on_over_a_new_connection() {
    let (world, image) = world(|_| {}).await;
    let slow = Effect::Slow { bytes_per_second: 4000, on: None };
    world.emulator.faults().add(Fault::on("blob.content", slow).once());
    world.copy("python:1", Some("1"), "linux/amd64").await.unwrap();
    world.check_stored("1", &image);
}

#[tokio::test]
async fn time_that_runs_out_while_a_host_is_silent_is_told_with_the_host() {
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
        let Failure::Deadline { silent_host: Some((named, silent_host)), .. } = *failure else {
            panic!("{operation}: {failure}")
        };
        assert_eq!(named, side, "{operation}");
        assert!(silent_host.host.to_string().contains(host), "{operation}: {silent_host:?}");
    }
}

#[tokio::test]
async fn a_pull_limit_whose_window_ends_in_time_is_waited_out() {
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
    let asked = world.upstream_requests(mark);
    let asked = asked.iter().filter(|operation| *operation == "manifest.get").count();
    assert_eq!(asked, 1, "no pull was tried in vain");
}

/// Answers the first request of each connection with `answer`, which can take any time.
async fn raw<F: Future<Output = ()> + Send>(
    answer: impl Fn(String, TcpStream) -> F + Send + Sync + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let host = listener.local_addr().expect("loopback").to_string();
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut head = [0; 4096];
                let length = stream.read(&mut head).await.unwrap_or_default();
                // No TLS.
                if length > 0 && head[0] != 0x16 {
                    answer(String::from_utf8_lossy(&head[..length]).into_owned(), stream).await;
                }
            });
        }
    });
    host
}

/// Repeats `piece` for as long as the client listens.
async fn trickle(mut stream: TcpStream, begin: String, piece: &'static str) {
    let _ = stream.write_all(begin.as_bytes()).await;
    while stream.write_all(piece.as_bytes()).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn responses_that_never_end_are_given_up() {
    let cases = [
        ("informational responses", "", "HTTP/1.1 100 Continue\r\n\r\n"),
        ("early hints", "", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
        ("headers", "HTTP/1.1 200 OK\r\nX-A: ", "a"),
        ("body", "HTTP/1.1 401 Unauthorized\r\nContent-Length: 100000\r\n\r\n", "a"),
    ];
    for (name, begin, piece) in cases {
        let (world, _) = world(|_| {}).await;
        let host = raw(move |_, stream| trickle(stream, begin.into(), piece)).await;
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
async fn numbers_of_a_registry_that_nothing_can_count_do_no_harm() {
    let answers = [
        "HTTP/1.1 429 Slow\r\nRetry-After: 18446744073709551615\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 503 Slow\r\nRetry-After: 1e308\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 429 Slow\r\nRetry-After: Fri, 31 Dec 9999 23:59:59 GMT\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 429 Slow\r\nRateLimit-Limit: 1;w=18446744073709551615\r\nRateLimit-Remaining: 0\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 429 Slow\r\nX-RateLimit-Reset: 18446744073709551615\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n",
    ];
    for answer in answers {
        let (world, _) = world(|_| {}).await;
        let host = raw(move |_, mut stream| async move {
            let _ = stream.write_all(answer.as_bytes()).await;
        })
        .await;
        let source = format!("{host}/team/app:1");
        let copying = world.copy(&source, Some("1"), "all");
        let copied = tokio::time::timeout(Duration::from_secs(30), copying).await;
        let failure = copied.unwrap_or_else(|_| panic!("{answer}: still waiting")).unwrap_err();
        assert!(failure.summary().ends_with('.'), "{failure}");
    }
}

#[tokio::test]
async fn a_blob_that_trickles_is_given_up_with_its_rate() {
    let (world, image) = world(|_| {}).await;
    let manifest = image.manifests[0].clone();
    let layers = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = layers.clone();
    let host = raw(move |request, mut stream| {
        let (manifest, count) = (manifest.clone(), count.clone());
        async move {
            if request.contains("/blobs/") {
                count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let begin = "HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n";
                return trickle(stream, begin.into(), "a").await;
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
    let asked = layers.load(std::sync::atomic::Ordering::Relaxed);
    assert!((2..=2 * ATTEMPTS).contains(&asked), "{asked} requests for two blobs");
}
