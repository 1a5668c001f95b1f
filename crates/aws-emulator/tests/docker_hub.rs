//! Behaviour of Docker Hub, through the proxy.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

mod common;

use aws_emulator::{
    Authorization, Availability, Effect, Fault, ImageBuilder, Profile, RangeSupport, RateLimit, Registry,
};
use common::{ACCEPT, Fixture, basic, body, header, registry_error};
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
async fn challenges_with_token_service_and_scope() {
    let (fixture, _) = start().await;
    let ping = fixture.get(&format!("{HUB}/v2/"), "").await;
    assert_eq!(ping.status(), 401);
    let expected = "Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\"";
    assert_eq!(header(&ping, "www-authenticate"), expected);
    let head_response = fixture.head(&manifest("3.13"), "").await;
    let scope = format!("{expected},scope=\"repository:library/python:pull\"");
    assert_eq!(header(&head_response, "www-authenticate"), scope);
}

#[tokio::test]
async fn a_token_is_valid_for_one_repository_and_expires() {
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
async fn private_and_missing_repositories_have_the_same_response() {
    let (fixture, image) = start().await;
    hub(&fixture).put_image("acme/app", "1", &image);
    hub(&fixture).add_user("alice", "secret");
    hub(&fixture).make_private("acme/app", &["alice"]);
    for (repository, credentials, status) in [
        ("acme/app", Some(("alice", "secret")), 200),
        ("acme/app", None, 401),
        ("acme/nothing", Some(("alice", "secret")), 401),
    ] {
        let token = fixture.hub_token(repository, credentials).await;
        let response = fixture.get(&format!("{HUB}/v2/{repository}/manifests/1"), &token).await;
        assert_eq!(response.status(), status, "{repository} {credentials:?}");
        if status == 401 {
            assert!(header(&response, "www-authenticate").contains("insufficient_scope"));
            assert_eq!(registry_error(response).await.1, "UNAUTHORIZED");
        }
    }
}

#[tokio::test]
async fn only_a_get_counts_as_a_pull() {
    let (fixture, image) = start().await;
    let token = fixture.hub_token(PYTHON, None).await;
    let mark = fixture.emulator.log().mark();
    let head_response = fixture.head(&manifest("3.13"), &token).await;
    assert_eq!(header(&head_response, "docker-content-digest"), image.digest());
    assert_eq!(header(&head_response, "content-length"), image.root().bytes.len().to_string());
    assert_eq!(header(&head_response, "content-type"), image.root().media_type);
    assert_eq!(header(&head_response, "ratelimit-limit"), "100;w=21600");
    assert_eq!(header(&head_response, "ratelimit-remaining"), "100;w=21600");
    assert_eq!(header(&head_response, "docker-ratelimit-source"), "203.0.113.7");
    assert_eq!(fixture.emulator.log().pulls(mark), 0);
    for (number, manifest_) in image.manifests.iter().enumerate() {
        let got = fixture.get(&manifest(&manifest_.digest), &token).await;
        assert_eq!(header(&got, "ratelimit-remaining"), format!("{};w=21600", 99 - number));
        assert_eq!(got.bytes().await.unwrap(), manifest_.bytes);
    }
    assert_eq!(fixture.emulator.log().pulls(mark), 5);
    assert_eq!(hub(&fixture).remaining_pulls(None), Some(95));
    assert_eq!(hub(&fixture).remaining_pulls(Some("alice")), Some(200), "each user has a limit");
}

#[tokio::test]
async fn the_pull_limit_rejects_get_but_not_head() {
    let (fixture, _) = start().await;
    let token = fixture.hub_token(PYTHON, None).await;
    hub(&fixture).set_anonymous_limit(Some(RateLimit { pulls: 10, window: 3600 }));
    hub(&fixture).set_remaining_pulls(None, 1);
    assert_eq!(fixture.get(&manifest("3.13"), &token).await.status(), 200);
    let late = fixture.get(&manifest("3.13"), &token).await;
    assert_eq!(header(&late, "ratelimit-limit"), "10;w=3600");
    assert_eq!(header(&late, "ratelimit-remaining"), "0;w=3600");
    let (status, code, message) = registry_error(late).await;
    assert_eq!((status, code.as_str()), (429, "TOOMANYREQUESTS"));
    assert!(message.starts_with("You have reached your unauthenticated pull rate limit"));
    assert_eq!(fixture.head(&manifest("3.13"), &token).await.status(), 200);
}

#[tokio::test]
async fn selects_a_manifest_by_accept() {
    let (fixture, image) = start().await;
    let token = fixture.hub_token(PYTHON, None).await;
    let head_with_accept = |reference: &str, accept: &'static str| {
        let request = fixture.client.head(manifest(reference));
        let request = request.header("authorization", &token).header("accept", accept);
        async { request.send().await.unwrap() }
    };
    let image_only = "application/vnd.oci.image.manifest.v1+json";
    let single = header(&head_with_accept("3.13", image_only).await, "docker-content-digest");
    assert_eq!(single, image.child("linux/amd64").unwrap().digest);
    assert_eq!(head_with_accept(image.digest(), image_only).await.status(), 404);
    let whole = header(&head_with_accept("3.13", ACCEPT).await, "docker-content-digest");
    assert_eq!(whole, image.digest());
}

#[tokio::test]
async fn redirects_blobs_to_a_host_without_credentials() {
    let (fixture, image) = start().await;
    let token = fixture.hub_token(PYTHON, None).await;
    let blob = &image.blobs[1];
    let url = format!("{HUB}/v2/{PYTHON}/blobs/{}", blob.digest());
    let head_response = fixture.head(&url, &token).await;
    assert_eq!(
        (head_response.status().as_u16(), header(&head_response, "content-length")),
        (200, blob.size().to_string())
    );
    let redirect = fixture.get(&url, &token).await;
    assert_eq!(redirect.status(), 307);
    let location = header(&redirect, "location");
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
async fn range_support_is_configurable() {
    let (fixture, image) = start().await;
    let token = fixture.hub_token(PYTHON, None).await;
    let (blob, whole) = (&image.blobs[1], image.blobs[1].to_bytes());
    let redirect = fixture.get(&format!("{HUB}/v2/{PYTHON}/blobs/{}", blob.digest()), &token).await;
    let location = header(&redirect, "location");
    let part = || async {
        let request = fixture.client.get(&location).header("range", "bytes=10-");
        let response = request.send().await.unwrap();
        let (status, content_range) = (response.status().as_u16(), header(&response, "content-range"));
        (status, content_range, response.bytes().await.unwrap())
    };
    let content_range = format!("bytes 10-{}/{}", whole.len() - 1, whole.len());
    assert_eq!(part().await, (206, content_range, whole.slice(10..)));
    hub(&fixture).set_range_support(RangeSupport::Ignored);
    assert_eq!(part().await, (200, String::new(), whole.clone()));
    hub(&fixture).set_range_support(RangeSupport::Rejected);
    assert_eq!(part().await.0, 416);
}

#[tokio::test]
async fn lists_tags_in_pages() {
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
async fn reports_missing_content_and_rejects_pushes() {
    let (fixture, _) = start().await;
    let token = fixture.hub_token(PYTHON, None).await;
    assert_eq!(registry_error(fixture.get(&manifest("4"), &token).await).await.1, "MANIFEST_UNKNOWN");
    let digest = aws_emulator::digest(b"");
    let blob = fixture.get(&format!("{HUB}/v2/{PYTHON}/blobs/{digest}"), &token).await;
    assert_eq!(registry_error(blob).await.1, "BLOB_UNKNOWN");
    let referrers = format!("{HUB}/v2/{PYTHON}/referrers/{digest}");
    assert_eq!(fixture.get(&referrers, &token).await.status(), 404);
    let url = format!("{HUB}/v2/{PYTHON}/blobs/uploads/");
    let push = fixture.request(Method::POST, &url, &token).send().await.unwrap();
    let (status, _, message) = registry_error(push).await;
    assert_eq!(status, 405);
    assert!(message.contains("upload.start is not implemented"), "{message}");
}

#[tokio::test]
async fn availability_is_configurable() {
    let (fixture, _) = start().await;
    let token = fixture.hub_token(PYTHON, None).await;
    hub(&fixture).set_availability(Availability::Unreachable);
    let sent = fixture.request(Method::HEAD, &manifest("3.13"), &token).send().await;
    assert!(sent.is_err(), "response from an unreachable registry");
    let sent = fixture.request(Method::GET, "https://auth.docker.io/token", "").send().await;
    assert!(sent.is_err(), "response from an unreachable token service");
    hub(&fixture).set_availability(Availability::ServiceUnavailable);
    assert_eq!(fixture.head(&manifest("3.13"), &token).await.status(), 503);
    hub(&fixture).set_availability(Availability::Available);
    assert_eq!(fixture.head(&manifest("3.13"), &token).await.status(), 200);
}

#[tokio::test]
async fn a_fault_expires_the_token() {
    let (fixture, _) = start().await;
    let token = fixture.hub_token(PYTHON, None).await;
    fixture.emulator.faults().add(Fault::on("manifest.get", Effect::ExpireToken).once());
    let response = fixture.get(&manifest("3.13"), &token).await;
    assert_eq!(response.status(), 401);
    assert!(header(&response, "www-authenticate").contains("invalid_token"));
    assert_eq!(fixture.get(&manifest("3.13"), &token).await.status(), 401, "the token remains expired");
    let token = fixture.hub_token(PYTHON, None).await;
    assert_eq!(fixture.get(&manifest("3.13"), &token).await.status(), 200);
}

#[tokio::test]
async fn faults_expire_tokens_and_signatures() {
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
async fn other_registries_are_profiles() {
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
