//! Behaviour of Docker Hub, through the proxy.

#![expect(clippy::unwrap_used, reason = "a test may end in a panic")]

mod common;

use aws_emulator::{
    Authorization, Availability, Effect, Fault, ImageBuilder, Profile, RangeSupport, RateLimit, Registry,
};
use common::{ACCEPT, Fixture, basic, body, header, refused};
use reqwest::Method;

const HUB: &str = "https://registry-1.docker.io";
const PYTHON: &str = "library/python";

fn manifest(reference: &str) -> String {
    format!("{HUB}/v2/{PYTHON}/manifests/{reference}")
}

async fn start() -> (Fixture, aws_emulator::Image) {
    let fixture = Fixture::start().await;
    let image = ImageBuilder::new(1).attestations().index();
    fixture.emulator.docker_hub().put_image(PYTHON, "3.13", &image);
    (fixture, image)
}

fn hub(fixture: &Fixture) -> &Registry {
    fixture.emulator.docker_hub()
}

#[tokio::test]
async fn challenges_and_names_the_token_service_and_scope() {
    let (fixture, _) = start().await;
    let ping = fixture.get(&format!("{HUB}/v2/"), "").await;
    assert_eq!(ping.status(), 401);
    let expected = "Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\"";
    assert_eq!(header(&ping, "www-authenticate"), expected);
    let asked = fixture.head(&manifest("3.13"), "").await;
    let scope = format!("{expected},scope=\"repository:library/python:pull\"");
    assert_eq!(header(&asked, "www-authenticate"), scope);
}

#[tokio::test]
async fn a_token_opens_its_own_repository_only_and_expires() {
    let (fixture, image) = start().await;
    hub(&fixture).put_image("library/other", "1", &image);
    let token = fixture.hub_token(PYTHON, None).await;
    assert_eq!(fixture.get(&format!("{HUB}/v2/"), &token).await.status(), 200);
    assert_eq!(fixture.head(&manifest("3.13"), &token).await.status(), 200);
    let other = fixture.head(&format!("{HUB}/v2/library/other/manifests/1"), &token).await;
    assert_eq!(other.status(), 401);
    assert!(header(&other, "www-authenticate").contains("error=\"insufficient_scope\""));
    hub(&fixture).expire_tokens();
    let stale = fixture.head(&manifest("3.13"), &token).await;
    assert!(header(&stale, "www-authenticate").contains("error=\"invalid_token\""));
}

#[tokio::test]
async fn private_and_missing_repositories_look_alike() {
    let (fixture, image) = start().await;
    hub(&fixture).put_image("acme/app", "1", &image);
    hub(&fixture).add_user("alice", "secret");
    hub(&fixture).make_private("acme/app", &["alice"]);
    for (repository, login, status) in [
        ("acme/app", Some(("alice", "secret")), 200),
        ("acme/app", None, 401),
        ("acme/nothing", Some(("alice", "secret")), 401),
    ] {
        let token = fixture.hub_token(repository, login).await;
        let answer = fixture.get(&format!("{HUB}/v2/{repository}/manifests/1"), &token).await;
        assert_eq!(answer.status(), status, "{repository} {login:?}");
        if status == 401 {
            assert!(header(&answer, "www-authenticate").contains("insufficient_scope"));
            assert_eq!(refused(answer).await.1, "UNAUTHORIZED");
        }
    }
}

#[tokio::test]
async fn a_get_counts_as_a_pull_and_a_head_does_not() {
    let (fixture, image) = start().await;
    let token = fixture.hub_token(PYTHON, None).await;
    let mark = fixture.emulator.log().mark();
    let asked = fixture.head(&manifest("3.13"), &token).await;
    assert_eq!(header(&asked, "docker-content-digest"), image.digest());
    assert_eq!(header(&asked, "content-length"), image.root().bytes.len().to_string());
    assert_eq!(header(&asked, "content-type"), image.root().media_type);
    assert_eq!(header(&asked, "ratelimit-limit"), "100;w=21600");
    assert_eq!(header(&asked, "ratelimit-remaining"), "100;w=21600");
    assert_eq!(header(&asked, "docker-ratelimit-source"), "203.0.113.7");
    assert_eq!(fixture.emulator.log().pulls(mark), 0);
    for (number, manifest_) in image.manifests.iter().enumerate() {
        let got = fixture.get(&manifest(&manifest_.digest), &token).await;
        assert_eq!(header(&got, "ratelimit-remaining"), format!("{};w=21600", 99 - number));
        assert_eq!(got.bytes().await.unwrap(), manifest_.bytes);
    }
    assert_eq!(fixture.emulator.log().pulls(mark), 5);
    assert_eq!(hub(&fixture).remaining_pulls(None), Some(95));
    assert_eq!(hub(&fixture).remaining_pulls(Some("alice")), Some(200), "counted per source");
}

#[tokio::test]
async fn over_the_limit_a_get_is_refused_and_a_head_is_not() {
    let (fixture, _) = start().await;
    let token = fixture.hub_token(PYTHON, None).await;
    hub(&fixture).set_anonymous_limit(Some(RateLimit { pulls: 10, window: 3600 }));
    hub(&fixture).set_remaining_pulls(None, 1);
    assert_eq!(fixture.get(&manifest("3.13"), &token).await.status(), 200);
    let late = fixture.get(&manifest("3.13"), &token).await;
    assert_eq!(header(&late, "ratelimit-limit"), "10;w=3600");
    assert_eq!(header(&late, "ratelimit-remaining"), "0;w=3600");
    let (status, code, message) = refused(late).await;
    assert_eq!((status, code.as_str()), (429, "TOOMANYREQUESTS"));
    assert!(message.starts_with("You have reached your unauthenticated pull rate limit"));
    assert_eq!(fixture.head(&manifest("3.13"), &token).await.status(), 200);
}

#[tokio::test]
async fn what_is_served_follows_accept() {
    let (fixture, image) = start().await;
    let token = fixture.hub_token(PYTHON, None).await;
    let ask = |reference: &str, accept: &'static str| {
        let request = fixture.client.head(manifest(reference));
        let request = request.header("authorization", &token).header("accept", accept);
        async { request.send().await.unwrap() }
    };
    let image_only = "application/vnd.oci.image.manifest.v1+json";
    let single = header(&ask("3.13", image_only).await, "docker-content-digest");
    assert_eq!(single, image.child("linux/amd64").unwrap().digest);
    assert_eq!(ask(image.digest(), image_only).await.status(), 404);
    let whole = header(&ask("3.13", ACCEPT).await, "docker-content-digest");
    assert_eq!(whole, image.digest());
}

#[tokio::test]
async fn blobs_come_from_a_second_host_that_wants_no_login() {
    let (fixture, image) = start().await;
    let token = fixture.hub_token(PYTHON, None).await;
    let blob = &image.blobs[1];
    let url = format!("{HUB}/v2/{PYTHON}/blobs/{}", blob.digest());
    let asked = fixture.head(&url, &token).await;
    assert_eq!((asked.status().as_u16(), header(&asked, "content-length")), (200, blob.size().to_string()));
    let moved = fixture.get(&url, &token).await;
    assert_eq!(moved.status(), 307);
    let location = header(&moved, "location");
    assert!(location.starts_with("https://production.cloudflare.docker.com/"), "{location}");
    assert_eq!(fixture.get(&location, "").await.bytes().await.unwrap(), blob.to_bytes());
    assert_eq!(fixture.get(&location, &token).await.status(), 400);
    assert_eq!(fixture.get(&location.replace("verify=", "verify=0"), "").await.status(), 403);
    hub(&fixture).expire_signatures();
    assert_eq!(fixture.get(&location, "").await.status(), 403);
    let entries = fixture.emulator.log().entries();
    let content: Vec<_> = entries.iter().filter(|entry| entry.service == "cdn").collect();
    assert_eq!(content.len(), 4);
    assert!(content.iter().all(|entry| entry.operation == "blob.content"));
    assert_eq!(content[1].authorization, Authorization::Bearer);
}

#[tokio::test]
async fn a_part_of_a_blob_comes_as_the_switch_says() {
    let (fixture, image) = start().await;
    let token = fixture.hub_token(PYTHON, None).await;
    let (blob, whole) = (&image.blobs[1], image.blobs[1].to_bytes());
    let moved = fixture.get(&format!("{HUB}/v2/{PYTHON}/blobs/{}", blob.digest()), &token).await;
    let location = header(&moved, "location");
    let part = || async {
        let request = fixture.client.get(&location).header("range", "bytes=10-");
        let answer = request.send().await.unwrap();
        let (status, place) = (answer.status().as_u16(), header(&answer, "content-range"));
        (status, place, answer.bytes().await.unwrap())
    };
    let place = format!("bytes 10-{}/{}", whole.len() - 1, whole.len());
    assert_eq!(part().await, (206, place, whole.slice(10..)));
    hub(&fixture).set_range_support(RangeSupport::Ignored);
    assert_eq!(part().await, (200, String::new(), whole.clone()));
    hub(&fixture).set_range_support(RangeSupport::Refused);
    assert_eq!(part().await.0, 416);
}

#[tokio::test]
async fn tags_are_listed_in_pages() {
    let (fixture, image) = start().await;
    for tag in ["3.12", "3.9", "latest"] {
        hub(&fixture).tag(PYTHON, tag, image.digest());
    }
    let token = fixture.hub_token(PYTHON, None).await;
    let first = fixture.get(&format!("{HUB}/v2/{PYTHON}/tags/list?n=3"), &token).await;
    let link = header(&first, "link");
    assert_eq!(body(first).await["tags"], serde_json::json!(["3.12", "3.13", "3.9"]));
    let next = link.trim_start_matches('<').split('>').next().unwrap();
    let second = fixture.get(&format!("{HUB}{next}"), &token).await;
    assert_eq!(header(&second, "link"), "");
    assert_eq!(body(second).await["tags"], serde_json::json!(["latest"]));
}

#[tokio::test]
async fn what_is_not_there_is_unknown_and_pushes_are_refused() {
    let (fixture, _) = start().await;
    let token = fixture.hub_token(PYTHON, None).await;
    assert_eq!(refused(fixture.get(&manifest("4"), &token).await).await.1, "MANIFEST_UNKNOWN");
    let digest = aws_emulator::digest(b"");
    let blob = fixture.get(&format!("{HUB}/v2/{PYTHON}/blobs/{digest}"), &token).await;
    assert_eq!(refused(blob).await.1, "BLOB_UNKNOWN");
    let referrers = format!("{HUB}/v2/{PYTHON}/referrers/{digest}");
    assert_eq!(fixture.get(&referrers, &token).await.status(), 404);
    let url = format!("{HUB}/v2/{PYTHON}/blobs/uploads/");
    let push = fixture.request(Method::POST, &url, &token).send().await.unwrap();
    let (status, _, message) = refused(push).await;
    assert_eq!(status, 405);
    assert!(message.contains("upload.start is not implemented"), "{message}");
}

#[tokio::test]
async fn a_registry_can_be_switched_off_and_on() {
    let (fixture, _) = start().await;
    let token = fixture.hub_token(PYTHON, None).await;
    hub(&fixture).set_availability(Availability::Unreachable);
    let sent = fixture.request(Method::HEAD, &manifest("3.13"), &token).send().await;
    assert!(sent.is_err(), "answered while off");
    let sent = fixture.request(Method::GET, "https://auth.docker.io/token", "").send().await;
    assert!(sent.is_err(), "the token service answered while off");
    hub(&fixture).set_availability(Availability::ServiceUnavailable);
    assert_eq!(fixture.head(&manifest("3.13"), &token).await.status(), 503);
    hub(&fixture).set_availability(Availability::Available);
    assert_eq!(fixture.head(&manifest("3.13"), &token).await.status(), 200);
}

#[tokio::test]
async fn a_fault_expires_the_token_in_mid_copy() {
    let (fixture, _) = start().await;
    let token = fixture.hub_token(PYTHON, None).await;
    fixture.emulator.faults().add(Fault::on("manifest.get", Effect::ExpireToken).once());
    let refused = fixture.get(&manifest("3.13"), &token).await;
    assert_eq!(refused.status(), 401);
    assert!(header(&refused, "www-authenticate").contains("invalid_token"));
    assert_eq!(fixture.get(&manifest("3.13"), &token).await.status(), 401, "it stays expired");
    let token = fixture.hub_token(PYTHON, None).await;
    assert_eq!(fixture.get(&manifest("3.13"), &token).await.status(), 200);
}

#[tokio::test]
async fn a_fault_expires_what_authorizes_wherever_that_is() {
    let (fixture, image) = start().await;
    let hit = |operation, effect| fixture.emulator.faults().add(Fault::on(operation, effect).once());
    let stale = fixture.hub_token(PYTHON, None).await;
    hit("token", Effect::ExpireToken);
    let token = fixture.hub_token(PYTHON, None).await;
    assert_eq!(fixture.head(&manifest("3.13"), &stale).await.status(), 401);
    let url = format!("{HUB}/v2/{PYTHON}/blobs/{}", image.blobs[0].digest());
    let location = header(&fixture.get(&url, &token).await, "location");
    hit("blob.content", Effect::ExpireSignature);
    assert_eq!(fixture.get(&location, "").await.status(), 403);
    assert_eq!(fixture.get(&location, "").await.status(), 200);
    assert_eq!(fixture.emulator.faults().hit_count(), 2);
}

#[tokio::test]
async fn any_other_registry_is_a_profile() {
    let fixture = Fixture::start().await;
    let image = ImageBuilder::new(2).docker().single();
    let mut profile = Profile::bearer("registry.example.com");
    profile.rejects_wrong_credentials = true;
    let registry = fixture.emulator.add_upstream(profile);
    registry.put_image("team/app", "1", &image);
    let signature = aws_emulator::Image::referrer(image.root(), "application/x.signature", "sig");
    registry.put_image("team/app", "sig", &signature);
    let token = "https://token.registry.example.com/token?scope=repository:team/app:pull";
    assert_eq!(fixture.get(token, &basic("bob", "wrong")).await.status(), 401);
    let given = body(fixture.get(token, "").await).await;
    let token = format!("Bearer {}", given["token"].as_str().unwrap());
    let base = "https://registry.example.com/v2/team/app";
    let got = fixture.get(&format!("{base}/manifests/1"), &token).await;
    assert_eq!(header(&got, "ratelimit-limit"), "", "no limit, no headers");
    assert_eq!(got.bytes().await.unwrap(), image.root().bytes);
    let blob = fixture.get(&format!("{base}/blobs/{}", image.blobs[0].digest()), &token).await;
    assert!(header(&blob, "location").starts_with("https://blobs.registry.example.com/"));
    let referrers = fixture.get(&format!("{base}/referrers/{}", image.digest()), &token).await;
    assert_eq!(body(referrers).await["manifests"][0]["digest"], signature.digest());
}
