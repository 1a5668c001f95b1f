//! Requests to ECR, and the interpretation of its responses.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use image_copy::http::ErrorKind;
use image_copy::oci::media_type;
use serde_json::{Value, json};

use super::*;
use crate::testing::{clients_with, failure, success};

const ARN: &str = "arn:aws:ecr:eu-west-1:123456789012:repository/team/app";

fn repository(
    respond: impl Fn(&str, &Value) -> http::Response<String> + Send + Sync + 'static,
) -> EcrRepository {
    clients_with(respond).repository(&ARN.parse().unwrap(), None)
}

fn manifest(name: &str) -> Manifest {
    let blob =
        json!({"mediaType": "application/x", "digest": Digest::of(name.as_bytes()).as_str(), "size": 1});
    let document =
        json!({"schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": blob, "layers": [blob]});
    Manifest::parse(document.to_string().into(), None).unwrap()
}

fn image(manifest: &Manifest, tag: Option<&str>) -> Value {
    json!({"imageId": {"imageDigest": manifest.digest.as_str(), "imageTag": tag},
        "imageManifest": String::from_utf8(manifest.bytes.to_vec()).unwrap(),
        "imageManifestMediaType": manifest.media_type})
}

fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

#[tokio::test]
async fn requests_the_settings_of_the_repository() {
    let repository = repository(|name, input| {
        assert_eq!((name, &input["registryId"]), ("DescribeRepositories", &json!("123456789012")));
        assert_eq!(input["repositoryNames"], json!(["team/app"]));
        success(&json!({"repositories": [{"imageTagMutability": "IMMUTABLE"}]}))
    });
    let settings = repository.settings(Some(&tag("1"))).await.unwrap();
    assert_eq!(settings.tag_is_immutable, Some(true));
    assert_eq!(repository.settings(None).await.unwrap().tag_is_immutable, None);
}

#[tokio::test]
async fn continues_without_the_permission_but_not_without_the_repository() {
    let denied = repository(|_, _| failure("AccessDeniedException", "not authorized"));
    assert_eq!(denied.settings(Some(&tag("1"))).await.unwrap(), RepositorySettings::default());
    let missing = repository(|_, _| failure("RepositoryNotFoundException", "The repository does not exist"));
    let error = missing.settings(None).await.unwrap_err();
    assert!(matches!(&error, Error::Service { service, code, .. }
        if service == "ecr:DescribeRepositories" && *code == *"RepositoryNotFoundException"));
}

#[tokio::test]
async fn checks_a_hundred_blobs_per_call_and_returns_only_available_ones() {
    let digests: Vec<Digest> = (0..250u32).map(|n| Digest::of(&n.to_be_bytes())).collect();
    let calls = Arc::new(AtomicUsize::new(0));
    let (counter, unavailable) = (Arc::clone(&calls), digests[1..4].to_vec());
    let repository = repository(move |_, input| {
        counter.fetch_add(1, Ordering::SeqCst);
        let requested = input["layerDigests"].as_array().unwrap();
        assert!(requested.len() <= 100);
        let position = |digest: &Value| {
            unavailable.iter().position(|unavailable| json!(unavailable.as_str()) == *digest)
        };
        let availability = |position| ["ARCHIVED", "UNAVAILABLE"].get(position).copied();
        let layers: Vec<Value> = requested
            .iter()
            .filter(|digest| position(digest) != Some(2))
            .map(|digest| {
                let state = position(digest).and_then(availability).unwrap_or("AVAILABLE");
                json!({"layerDigest": digest, "layerAvailability": state})
            })
            .collect();
        let failures: Vec<Value> = requested.iter().filter(|digest| position(digest) == Some(2)).map(|digest| {
            json!({"layerDigest": digest, "failureCode": "InvalidLayerDigest", "failureReason": "odd"})
        }).collect();
        success(&json!({"layers": layers, "failures": failures}))
    });
    let available = repository.blobs(&digests).await.unwrap();
    assert_eq!(available.len(), 247);
    assert!(digests[1..4].iter().all(|unavailable| !available.contains(unavailable)));
    assert_eq!(calls.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn returns_manifests_in_the_order_of_the_request() {
    let (one, two) = (manifest("one"), manifest("two"));
    let images = json!([image(&two, None), image(&one, Some("1"))]);
    let repository = repository(move |_, input| {
        assert_eq!(input["acceptedMediaTypes"], json!(media_type::MANIFEST_TYPES));
        success(&json!({"images": images, "failures": [
            {"imageId": {"imageTag": "no"}, "failureCode": "ImageNotFound", "failureReason": "missing"}]}))
    });
    let ids = [ManifestId::Tag(tag("1")), ManifestId::Tag(tag("no")), ManifestId::Digest(two.digest.clone())];
    let read = repository.manifests(&ids).await.unwrap();
    assert_eq!(read, [Some(one), None, Some(two)]);
}

#[tokio::test]
async fn a_failure_in_an_http_200_response_is_an_error() {
    let repository = repository(|_, _| {
        success(&json!({"failures": [{"imageId": {"imageTag": "1"}, "failureCode": "KmsError",
            "failureReason": "key disabled"}]}))
    });
    let error = repository.manifests(&[ManifestId::Tag(tag("1"))]).await.unwrap_err();
    assert_eq!(error.to_string(), "ecr:BatchGetImage returned KmsError \"key disabled\"");
}

#[tokio::test]
async fn bytes_with_another_digest_are_an_error() {
    let (expected, other) = (manifest("expected"), manifest("other"));
    let mut wrong = image(&other, None);
    wrong["imageId"]["imageDigest"] = json!(expected.digest.as_str());
    let repository = repository(move |_, _| success(&json!({"images": [wrong]})));
    let error = repository.manifests(&[ManifestId::Digest(expected.digest.clone())]).await.unwrap_err();
    assert_eq!(error, Error::DigestMismatch { expected: expected.digest, actual: other.digest });
}

#[tokio::test]
async fn tags_a_manifest_by_its_bytes_and_digest() {
    let manifest = manifest("x");
    let (expected, digest) =
        (String::from_utf8(manifest.bytes.to_vec()).unwrap(), manifest.digest.to_string());
    let repository = repository(move |name, input| {
        assert_eq!((name, &input["imageManifest"]), ("PutImage", &json!(expected)));
        assert_eq!((&input["imageDigest"], &input["imageTag"]), (&json!(digest), &json!("1")));
        assert_eq!(input["imageManifestMediaType"], json!(media_type::OCI_MANIFEST));
        failure("ImageAlreadyExistsException", "it exists")
    });
    repository.tag(&manifest, &tag("1")).await.unwrap();
}

#[tokio::test]
async fn an_immutable_tag_that_already_names_the_manifest_is_success() {
    let (same, other) = (manifest("same"), manifest("other"));
    let image = image(&same, Some("1"));
    let repository = repository(move |name, _| match name {
        "PutImage" => failure("ImageTagAlreadyExistsException", "the tag is immutable"),
        _ => success(&json!({"images": [image]})),
    });
    repository.tag(&same, &tag("1")).await.unwrap();
    let error = repository.tag(&other, &tag("1")).await.unwrap_err();
    assert!(error.has_code("ImageTagAlreadyExistsException"));
}

#[tokio::test]
async fn retries_a_throttled_call_more_often_than_the_sdk() {
    let calls = AtomicUsize::new(0);
    let repository = repository(move |_, _| match calls.fetch_add(1, Ordering::SeqCst) {
        0..=20 => failure("ThrottlingException", "Rate exceeded"),
        _ => success(&json!({})),
    });
    repository.tag(&manifest("x"), &tag("1")).await.unwrap();
}

#[tokio::test]
async fn stops_retrying_a_throttled_call_at_the_deadline() {
    let throttled = clients_with(|_, _| failure("ThrottlingException", "Rate exceeded"));
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_millis(50);
    let repository = throttled.repository(&ARN.parse().unwrap(), Some(deadline));
    let error = repository.tag(&manifest("x"), &tag("1")).await.unwrap_err();
    assert!(error.has_code("ThrottlingException"));
    assert!(deadline.elapsed() < std::time::Duration::from_secs(2));
}

#[tokio::test]
async fn retries_a_server_error_a_limited_number_of_times() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let repository = repository(move |_, _| {
        counter.fetch_add(1, Ordering::SeqCst);
        http::Response::builder().status(502).body("<html>".to_owned()).unwrap()
    });
    let error = repository.settings(None).await.unwrap_err();
    let Error::ErrorResponse(response) = error else { panic!("{error}") };
    assert_eq!((response.status, response.attempts, calls.load(Ordering::SeqCst)), (502, 3, 3));
}

#[tokio::test]
async fn reports_a_refused_connection() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let clients = crate::testing::clients_at(&format!("http://{address}"));
    let error = clients.repository(&ARN.parse().unwrap(), None).settings(None).await.unwrap_err();
    let Error::Http(error) = error else { panic!("{error}") };
    assert!(matches!(&error.kind, ErrorKind::Connect(text) if text.contains("refused")), "{error}");
    assert_eq!((error.host.as_str(), error.attempts), ("api.ecr.eu-west-1.amazonaws.com", 3));
}
