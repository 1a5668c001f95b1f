//! How bytes and logins travel: resumption, redirects, mounts, bounds.

mod support;

use std::sync::{Arc, Mutex};

use aws_emulator::{Authorization, Effect, Fault, Image, ImageBuilder, Profile, RangeSupport};
use image_copy::copy::Problem;
use image_copy::oci::Reference;
use image_copy::registry::{Anonymous, Client, ManifestId};
use support::World;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const LAYER: u64 = 5_000_000;

fn large() -> Image {
    ImageBuilder::new(7).platforms(&["linux/amd64"]).layers(&[LAYER]).single()
}

async fn with_large_image() -> (World, Image) {
    let (world, image) = (World::start().await, large());
    world.hub_image("large", &image);
    (world, image)
}

/// Bytes of layers that the blob host sent.
fn bytes_read(world: &World) -> u64 {
    let entries = world.emulator.log().entries();
    entries.iter().filter(|entry| entry.operation == "blob.content").map(|entry| entry.response_bytes).sum()
}

#[tokio::test]
async fn resumes_a_layer_after_the_source_drops_the_connection() {
    let (world, image) = with_large_image().await;
    let cut = Effect::Reset { after_bytes: 2_000_000, on: None };
    world.emulator.faults().add(Fault::on("blob.content", cut).times(2));
    world.copy("python:large", Some("1"), "linux/amd64").await.unwrap();
    world.check_stored("1", &image);
    assert!(bytes_read(&world) < LAYER + 2_500_000, "{} bytes were read", bytes_read(&world));
    assert_eq!(world.emulator.log().entries().iter().filter(|e| e.operation == "upload.put").count(), 2);
}

#[tokio::test]
async fn resumes_where_the_source_knows_no_ranges() {
    let (world, image) = with_large_image().await;
    world.emulator.docker_hub().set_range_support(RangeSupport::Ignored);
    let cut = Effect::Reset { after_bytes: 3_000_000, on: None };
    world.emulator.faults().add(Fault::on("blob.content", cut).once());
    world.copy("python:large", Some("1"), "linux/amd64").await.unwrap();
    world.check_stored("1", &image);
}

#[tokio::test]
async fn leaves_the_tag_alone_when_a_layer_is_corrupt() {
    let (world, image) = with_large_image().await;
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
async fn begins_a_layer_anew_when_the_destination_drops_the_upload() {
    let (world, image) = with_large_image().await;
    world
        .emulator
        .faults()
        .add(Fault::on("upload.put", Effect::Reset { after_bytes: 1_000_000, on: None }).times(2));
    world.copy("python:large", Some("1"), "linux/amd64").await.unwrap();
    world.check_stored("1", &image);
}

#[tokio::test]
async fn mounts_what_the_same_registry_has_and_uploads_what_it_declines() {
    let (world, image) = with_large_image().await;
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
async fn tells_how_long_all_of_it_took() {
    let (world, _) = with_large_image().await;
    let rate = LAYER * 2;
    world.emulator.faults().add(Fault::on("blob.content", Effect::Slow { bytes_per_second: rate, on: None }));
    let outcome = world.copy("python:large", Some("1"), "linux/amd64").await.unwrap();
    // No link of that rate carries the layer in less.
    assert!(outcome.elapsed.as_millis() >= 400, "{:?}", outcome.elapsed);
}

#[tokio::test]
async fn is_not_sent_to_the_metadata_service() {
    for location in [
        "http://169.254.169.254/latest/meta-data/",
        "https://169.254.170.2/v2/",
        "https://10.0.0.1/x",
        "http://cdn.example/x",
    ] {
        let (world, _) = with_large_image().await;
        let effect = Effect::Redirect { location: location.into() };
        world.emulator.faults().add(Fault::on("blob.get", effect));
        let failure = world.copy("python:large", Some("1"), "linux/amd64").await.unwrap_err();
        assert_eq!(failure.problem(), Problem::ForbiddenAddress, "{failure}");
        let elsewhere = world.emulator.log().entries();
        assert!(!elsewhere.iter().any(|entry| entry.service == "none"), "{location} was asked");
    }
}

#[tokio::test]
async fn sends_no_login_along_when_a_registry_redirects() {
    let (mut world, image) = with_large_image().await;
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
async fn refuses_an_endless_redirect_and_an_index_without_end() {
    let (world, _) = with_large_image().await;
    let location = "https://registry-1.docker.io/v2/library/python/manifests/large".to_owned();
    world.emulator.faults().add(Fault::on("manifest.head", Effect::Redirect { location }));
    let failure = world.copy("python:large", Some("1"), "linux/amd64").await.unwrap_err();
    assert_eq!(failure.problem(), Problem::InvalidResponse, "{failure}");

    let mut nested = large();
    for _ in 0..6 {
        nested = Image::nested(&[nested]);
    }
    let world = World::start().await;
    world.hub_image("deep", &nested);
    let failure = world.copy("python:deep", Some("1"), "all").await.unwrap_err();
    assert_eq!(failure.problem(), Problem::ImageLimitExceeded, "{failure}");
}

/// A port of this machine on which nobody listens.
async fn closed_port() -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("an address").port()
}

#[tokio::test]
async fn a_dead_proxy_is_named_and_hosts_on_this_machine_go_without() {
    let (mut world, image) = with_large_image().await;
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

/// A proxy that connects to nothing and keeps the head of each request that it is given in clear.
async fn proxy_without_tls() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let clear = Arc::new(Mutex::new(Vec::new()));
    let heads = Arc::clone(&clear);
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
                .expect("an answer");
        }
    });
    (address, clear)
}

/// A private address says nothing of who listens in between. Only this machine's own needs no TLS.
#[tokio::test]
async fn sends_nothing_in_clear_to_a_private_address_that_is_not_listed() {
    let mut world = World::start().await;
    let (proxy, clear) = proxy_without_tls().await;
    let mut options = support::options(&world.emulator);
    options.proxy = Some(proxy);
    world.client = Client::new(options.clone(), Arc::new(Anonymous)).unwrap();
    let failure = world.copy("10.1.2.3:5000/team/app:1", Some("1"), "all").await.unwrap_err();
    assert_eq!(failure.problem(), Problem::ProxyUnreachable, "{failure}");
    assert_eq!(*clear.lock().unwrap(), Vec::<String>::new());
    options.plain_http = vec!["10.1.2.3:5000".into()];
    world.client = Client::new(options, Arc::new(Anonymous)).unwrap();
    world.copy("10.1.2.3:5000/team/app:1", Some("1"), "all").await.unwrap_err();
    let asked = clear.lock().unwrap().first().cloned().unwrap_or_default();
    assert!(asked.contains("http://10.1.2.3:5000/v2/"), "{asked}");
}

#[tokio::test]
async fn does_not_ask_a_link_local_address_that_the_reference_names() {
    for registry in ["169.254.169.254", "[fd00:ec2::254]:80", "0.0.0.0:5000"] {
        let world = World::start().await;
        let mark = world.emulator.log().mark();
        let failure = world.copy(&format!("{registry}/team/app:1"), Some("1"), "all").await.unwrap_err();
        assert_eq!(failure.problem(), Problem::ForbiddenAddress, "{failure}");
        let asked = world.emulator.log().since(mark);
        assert!(asked.iter().all(|entry| entry.service.starts_with("ecr")), "{asked:?}");
    }
}

#[tokio::test]
async fn renews_a_login_that_ecr_calls_expired_in_the_middle_of_a_copy() {
    let (world, image) = with_large_image().await;
    world.emulator.faults().add(Fault::on("upload.put", Effect::ExpireToken).once());
    world.emulator.faults().add(Fault::on("manifest.put", Effect::ExpireToken).once());
    world.copy("python:large", Some("1"), "linux/amd64").await.unwrap();
    world.check_stored("1", &image);
}

/// Uploads that were challenged together share a login, which may end before all of them have begun.
#[tokio::test(flavor = "multi_thread")]
async fn renews_a_login_that_ends_while_several_uploads_begin() {
    for seed in 0..30 {
        let world = World::start().await;
        let image = ImageBuilder::new(seed).platforms(&["linux/amd64"]).layers(&[3000; 8]).index();
        world.hub_image("many", &image);
        world.emulator.faults().add(Fault::on("upload.put", Effect::ExpireToken).once());
        world.copy("python:many", Some("1"), "all").await.unwrap();
        world.check_stored("1", &image);
    }
}

#[tokio::test]
async fn waits_out_ecrs_ten_put_image_a_second() {
    let world = World::start().await;
    let platforms: Vec<String> = (0..30).map(|n| format!("linux/amd64/v{n}")).collect();
    let platforms: Vec<&str> = platforms.iter().map(String::as_str).collect();
    let image = ImageBuilder::new(9).platforms(&platforms).layers(&[100]).index();
    world.hub_image("wide", &image);
    let mark = world.emulator.log().mark();
    world.copy("python:wide", Some("wide"), "all").await.unwrap();
    world.check_stored("wide", &image);
    let refused =
        world.emulator.log().matching(mark, "manifest.put").iter().filter(|e| e.status == Some(429)).count();
    assert!(refused > 0, "the emulator did not throttle, so nothing was tested");
}
