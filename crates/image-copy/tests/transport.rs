//! Resumption, redirects, mounts, proxies and expired credentials.

mod support;

use std::sync::{Arc, Mutex};

use aws_emulator::{Authorization, Effect, Fault, Image, ImageBuilder, Profile, RangeSupport};
use image_copy::copy::Problem;
use image_copy::oci::Reference;
use image_copy::registry::{Anonymous, Client, ManifestId};
use support::World;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const LAYER: u64 = 5_000_000;

fn large_image() -> Image {
    ImageBuilder::new(7).platforms(&["linux/amd64"]).layers(&[LAYER]).single()
}

async fn world_with_large_image() -> (World, Image) {
    let (world, image) = (World::start().await, large_image());
    world.put_hub_image("large", &image);
    (world, image)
}

/// Returns the number of bytes that the blob host sent.
fn bytes_read(world: &World) -> u64 {
    let entries = world.emulator.log().entries();
    entries.iter().filter(|entry| entry.operation == "blob.content").map(|entry| entry.response_bytes).sum()
}

#[tokio::test]
async fn resumes_a_layer_after_the_source_drops_the_connection() {
    let (world, image) = world_with_large_image().await;
    let cut = Effect::Reset { after_bytes: 2_000_000, on: None };
    world.emulator.faults().add(Fault::on("blob.content", cut).times(2));
    world.copy("python:large", Some("1"), "linux/amd64").await.unwrap();
    world.check_stored("1", &image);
    assert!(bytes_read(&world) < LAYER + 2_500_000, "{} bytes were read", bytes_read(&world));
    assert_eq!(world.emulator.log().entries().iter().filter(|e| e.operation == "upload.put").count(), 2);
}

#[tokio::test]
async fn resumes_a_layer_if_the_source_does_not_support_ranges() {
    let (world, image) = world_with_large_image().await;
    world.emulator.docker_hub().set_range_support(RangeSupport::Ignored);
    let cut = Effect::Reset { after_bytes: 3_000_000, on: None };
    world.emulator.faults().add(Fault::on("blob.content", cut).once());
    world.copy("python:large", Some("1"), "linux/amd64").await.unwrap();
    world.check_stored("1", &image);
}

#[tokio::test]
async fn does_not_write_the_tag_if_a_layer_is_corrupt() {
    let (world, image) = world_with_large_image().await;
    let blob = image.blobs.iter().find(|blob| blob.size() == LAYER).unwrap();
    world.emulator.docker_hub().put_corrupt_blob(
        "library/python",
        blob.digest(),
        aws_emulator::Blob::generated(99, LAYER),
    );
    let failure = world.copy("python:large", Some("1"), "linux/amd64").await.unwrap_err();
    assert_eq!(failure.problem(), Problem::Corrupt, "{failure}");
    assert_eq!(world.ecr.resolve("1"), None);
    assert!(!world.ecr.has_blob(blob.digest()));
}

#[tokio::test]
async fn uploads_a_layer_again_after_the_destination_drops_the_connection() {
    let (world, image) = world_with_large_image().await;
    world
        .emulator
        .faults()
        .add(Fault::on("upload.put", Effect::Reset { after_bytes: 1_000_000, on: None }).times(2));
    world.copy("python:large", Some("1"), "linux/amd64").await.unwrap();
    world.check_stored("1", &image);
}

#[tokio::test]
async fn mounts_blobs_within_a_registry_and_uploads_them_if_it_does_not_mount() {
    let (world, image) = world_with_large_image().await;
    let other = world.emulator.repository_arn("team/other");
    let other = world.emulator.ecr().create_repository(&other, aws_emulator::Mutability::Mutable);
    other.put_image(Some("1"), &image);
    let mark = world.emulator.log().mark();
    world.copy(&format!("{}:1", other.uri()), Some("declined"), "linux/amd64").await.unwrap();
    world.check_stored("declined", &image);
    assert_eq!(world.emulator.log().count(mark, "upload.put"), 2);
    world.emulator.ecr().enable_blob_mounting();
    let fresh = ImageBuilder::new(8).platforms(&["linux/amd64"]).layers(&[LAYER]).single();
    other.put_image(Some("2"), &fresh);
    let mark = world.emulator.log().mark();
    world.copy(&format!("{}:2", other.uri()), Some("mounted"), "linux/amd64").await.unwrap();
    world.check_stored("mounted", &fresh);
    assert_eq!(world.emulator.log().count(mark, "upload.put"), 0);
}

#[tokio::test]
async fn reports_the_time_of_the_whole_copy() {
    let (world, _) = world_with_large_image().await;
    let rate = LAYER * 2;
    world.emulator.faults().add(Fault::on("blob.content", Effect::Slow { bytes_per_second: rate, on: None }));
    let outcome = world.copy("python:large", Some("1"), "linux/amd64").await.unwrap();
    // The throttled connection needs at least this time for the layer.
    assert!(outcome.elapsed.as_millis() >= 400, "{:?}", outcome.elapsed);
}

#[tokio::test]
async fn does_not_follow_redirects_to_forbidden_addresses() {
    for location in [
        "http://169.254.169.254/latest/meta-data/",
        "https://169.254.170.2/v2/",
        "https://10.0.0.1/x",
        "http://cdn.example/x",
    ] {
        let (world, _) = world_with_large_image().await;
        let effect = Effect::Redirect { location: location.into() };
        world.emulator.faults().add(Fault::on("blob.get", effect));
        let failure = world.copy("python:large", Some("1"), "linux/amd64").await.unwrap_err();
        assert_eq!(failure.problem(), Problem::ForbiddenAddress, "{failure}");
        let entries = world.emulator.log().entries();
        assert!(!entries.iter().any(|entry| entry.service == "none"), "a request was sent to {location}");
    }
}

#[tokio::test]
async fn sends_no_credentials_to_a_redirect_target() {
    let (mut world, image) = world_with_large_image().await;
    let trap = world.emulator.add_upstream(Profile::bearer("trap.example"));
    trap.put_image("library/python", "large", &image);
    world.emulator.docker_hub().add_user("ann", "hunter2hunter2");
    world.sign_in("ann", "hunter2hunter2");
    let location = format!("https://trap.example/v2/library/python/manifests/{}", image.digest());
    world
        .emulator
        .faults()
        .add(Fault::on("manifest.get", Effect::Redirect { location }).host("registry-1.docker.io"));
    world.copy("python:large", Some("1"), "linux/amd64").await.unwrap();
    let entries = world.emulator.log().entries();
    let trapped: Vec<_> = entries.iter().filter(|entry| entry.host.ends_with("trap.example")).collect();
    assert!(!trapped.is_empty());
    assert!(trapped.iter().all(|entry| entry.authorization != Authorization::Basic), "{trapped:#?}");
}

#[tokio::test]
async fn rejects_endless_redirects_and_deeply_nested_indexes() {
    let (world, _) = world_with_large_image().await;
    let location = "https://registry-1.docker.io/v2/library/python/manifests/large".to_owned();
    world.emulator.faults().add(Fault::on("manifest.head", Effect::Redirect { location }));
    let failure = world.copy("python:large", Some("1"), "linux/amd64").await.unwrap_err();
    assert_eq!(failure.problem(), Problem::InvalidResponse, "{failure}");

    let mut nested = large_image();
    for _ in 0..6 {
        nested = Image::nested(&[nested]);
    }
    let world = World::start().await;
    world.put_hub_image("deep", &nested);
    let failure = world.copy("python:deep", Some("1"), "all").await.unwrap_err();
    assert_eq!(failure.problem(), Problem::ImageLimitExceeded, "{failure}");
}

/// Returns a port on this machine without a listener.
async fn closed_port() -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("an address").port()
}

#[tokio::test]
async fn names_an_unreachable_proxy_and_uses_none_for_loopback_hosts() {
    let (mut world, image) = world_with_large_image().await;
    let request = world.request("python:large", Some("1"), "linux/amd64");
    let to = world.destination(&request);
    let port = closed_port().await;
    let mut options = support::options(&world.emulator);
    options.proxy = Some(format!("http://ann:hunter2@127.0.0.1:{port}"));
    world.client = Client::new(options, Arc::new(Anonymous)).unwrap();
    let failure = world.copy_to(&request, &to).await.unwrap_err();
    assert_eq!(failure.problem(), Problem::ProxyUnreachable);
    let line = failure.summary();
    assert!(
        line.contains(&format!("registry-1.docker.io through the proxy 127.0.0.1:{port} failed")),
        "{line}"
    );
    assert!(!line.contains("hunter2"), "{line}");
    let local = Profile { blob_host: None, ..Profile::bearer("127.0.0.1") };
    let registry = Arc::new(aws_emulator::Registry::new(local, Arc::default()));
    registry.put_image("team/app", "1", &image);
    let address = world.emulator.expose(registry).await.unwrap();
    let name = format!("{address}/team/app:1").parse::<Reference>().unwrap();
    let repository = world.client.repository(name.repository, None);
    let error = repository.head_manifest(&ManifestId::Tag(name.tag.unwrap())).await.unwrap_err().to_string();
    assert!(!error.contains("proxy"), "{error}");
    assert!(world.emulator.log().entries().iter().any(|entry| entry.operation == "manifest.head"), "{error}");
}

/// Starts a proxy that rejects all connections and records the head of each unencrypted request.
async fn proxy_without_tls() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let unencrypted_heads = Arc::new(Mutex::new(Vec::new()));
    let heads = Arc::clone(&unencrypted_heads);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = vec![0; 4096];
            let length = stream.read(&mut head).await.unwrap_or_default();
            let head = String::from_utf8_lossy(&head[..length]).into_owned();
            if !head.starts_with("CONNECT ") {
                heads.lock().expect("no test panicked").push(head);
            }
            stream
                .write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
                .await
                .expect("a response");
        }
    });
    (address, unencrypted_heads)
}

/// A private network can be wiretapped. Only loopback addresses need no TLS.
#[tokio::test]
async fn sends_nothing_unencrypted_to_a_private_address_that_is_not_listed() {
    let mut world = World::start().await;
    let (proxy, unencrypted_heads) = proxy_without_tls().await;
    let mut options = support::options(&world.emulator);
    options.proxy = Some(proxy);
    world.client = Client::new(options.clone(), Arc::new(Anonymous)).unwrap();
    let failure = world.copy("10.1.2.3:5000/team/app:1", Some("1"), "all").await.unwrap_err();
    assert_eq!(failure.problem(), Problem::ProxyUnreachable, "{failure}");
    assert_eq!(*unencrypted_heads.lock().unwrap(), Vec::<String>::new());
    options.plain_http = vec!["10.1.2.3:5000".into()];
    world.client = Client::new(options, Arc::new(Anonymous)).unwrap();
    world.copy("10.1.2.3:5000/team/app:1", Some("1"), "all").await.unwrap_err();
    let requests = unencrypted_heads.lock().unwrap().first().cloned().unwrap_or_default();
    assert!(requests.contains("http://10.1.2.3:5000/v2/"), "{requests}");
}

#[tokio::test]
async fn sends_no_requests_to_a_link_local_address_in_a_reference() {
    for registry in ["169.254.169.254", "[fd00:ec2::254]:80", "0.0.0.0:5000"] {
        let world = World::start().await;
        let mark = world.emulator.log().mark();
        let failure = world.copy(&format!("{registry}/team/app:1"), Some("1"), "all").await.unwrap_err();
        assert_eq!(failure.problem(), Problem::ForbiddenAddress, "{failure}");
        let requests = world.emulator.log().since(mark);
        assert!(requests.iter().all(|entry| entry.service.starts_with("ecr")), "{requests:?}");
    }
}

#[tokio::test]
async fn renews_credentials_that_expire_during_a_copy() {
    let (world, image) = world_with_large_image().await;
    world.emulator.faults().add(Fault::on("upload.put", Effect::ExpireToken).once());
    world.emulator.faults().add(Fault::on("manifest.put", Effect::ExpireToken).once());
    world.copy("python:large", Some("1"), "linux/amd64").await.unwrap();
    world.check_stored("1", &image);
}

/// Concurrent uploads share credentials, which can expire before all uploads have started.
#[tokio::test(flavor = "multi_thread")]
async fn renews_credentials_that_expire_while_uploads_start() {
    for seed in 0..30 {
        let world = World::start().await;
        let image = ImageBuilder::new(seed).platforms(&["linux/amd64"]).layers(&[3000; 8]).index();
        world.put_hub_image("many", &image);
        world.emulator.faults().add(Fault::on("upload.put", Effect::ExpireToken).once());
        world.copy("python:many", Some("1"), "all").await.unwrap();
        world.check_stored("1", &image);
    }
}

#[tokio::test]
async fn waits_for_ecrs_rate_limit_of_put_image() {
    let world = World::start().await;
    let platforms: Vec<String> = (0..30).map(|n| format!("linux/amd64/v{n}")).collect();
    let platforms: Vec<&str> = platforms.iter().map(String::as_str).collect();
    let image = ImageBuilder::new(9).platforms(&platforms).layers(&[100]).index();
    world.put_hub_image("wide", &image);
    let mark = world.emulator.log().mark();
    world.copy("python:wide", Some("wide"), "all").await.unwrap();
    world.check_stored("wide", &image);
    let throttled =
        world.emulator.log().matching(mark, "manifest.put").iter().filter(|e| e.status == Some(429)).count();
    assert!(throttled > 0, "the emulator did not throttle, so nothing was tested");
}
