//! ECR's registry through the proxy.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

mod common;

use aws_emulator::{Effect, Fault, Image, ImageBuilder, Manifest, Mutability, Repository, digest};
use common::{Fixture, REGISTRY, basic, body, header, registry_error};
use reqwest::Method;
use serde_json::json;

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

async fn start() -> (Fixture, Repository, String) {
    let fixture = Fixture::start().await;
    let arn = fixture.emulator.repository_arn("app");
    let repository = fixture.emulator.ecr().create_repository(&arn, Mutability::Mutable);
    let authorization = fixture.ecr_authorization().await;
    (fixture, repository, authorization)
}

/// Pushes an image and tags its root.
async fn push_image(fixture: &Fixture, authorization: &str, image: &Image, tag: &str) {
    for blob in &image.blobs {
        assert_eq!(fixture.push("app", authorization, &blob.to_bytes()).await.status(), 201);
    }
    for manifest in &image.manifests {
        let reference = if manifest.digest == image.digest() { tag } else { &manifest.digest };
        assert_eq!(put(fixture, authorization, reference, manifest).await.status(), 201);
    }
}

async fn put(
    fixture: &Fixture,
    authorization: &str,
    reference: &str,
    manifest: &Manifest,
) -> reqwest::Response {
    let body = (manifest.media_type.as_str(), &manifest.bytes[..]);
    fixture.put_manifest("app", reference, authorization, body).await
}

#[tokio::test]
async fn pushes_and_pulls_an_image() {
    let (fixture, repository, authorization) = start().await;
    let image = ImageBuilder::new(1).attestations().index();
    push_image(&fixture, &authorization, &image, "1").await;
    assert_eq!(repository.resolve("1").as_deref(), Some(image.digest()));
    assert_eq!(repository.integrity_errors("1"), [""; 0]);
    assert_eq!(repository.uri(), "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app");
    for manifest in &image.manifests {
        let url = format!("{REGISTRY}/v2/app/manifests/{}", manifest.digest);
        let head_response = fixture.head(&url, &authorization).await;
        assert_eq!(header(&head_response, "content-length"), manifest.bytes.len().to_string());
        let got = fixture.get(&url, &authorization).await;
        assert_eq!(header(&got, "content-type"), manifest.media_type);
        assert_eq!(got.bytes().await.unwrap(), manifest.bytes);
    }
    for blob in &image.blobs {
        let url = format!("{REGISTRY}/v2/app/blobs/{}", blob.digest());
        let redirect = fixture.get(&url, &authorization).await;
        assert_eq!(redirect.status(), 307);
        let location = header(&redirect, "location");
        let bucket = "https://prod-eu-west-1-starport-layer-bucket.s3.eu-west-1.amazonaws.com/";
        assert!(location.starts_with(bucket), "{location}");
        let response = fixture.get(&location, &authorization).await;
        assert_eq!(response.status(), 400);
        assert!(response.text().await.unwrap().contains("Only one auth mechanism allowed"));
        assert_eq!(fixture.get(&location, "").await.bytes().await.unwrap(), blob.to_bytes());
    }
    let tags = body(fixture.get(&format!("{REGISTRY}/v2/app/tags/list"), &authorization).await).await;
    assert_eq!(tags, json!({"name": "app", "tags": ["1"]}));
}

#[tokio::test]
async fn challenges_without_credentials_and_rejects_an_expired_token() {
    let (fixture, _, authorization) = start().await;
    let url = format!("{REGISTRY}/v2/");
    for invalid_header in ["", "Bearer x", &basic("AWS", "garbage")] {
        let response = fixture.get(&url, invalid_header).await;
        assert_eq!(response.status(), 401);
        assert!(header(&response, "www-authenticate").starts_with("Basic realm="));
    }
    assert_eq!(fixture.get(&url, &authorization).await.status(), 200);
    let other_region = "https://123456789012.dkr.ecr.us-east-1.amazonaws.com/v2/";
    assert_eq!(
        fixture.get(other_region, &authorization).await.status(),
        401,
        "the token is valid in one Region"
    );
    fixture.emulator.ecr().expire_tokens();
    let head = fixture.head(&format!("{REGISTRY}/v2/app/manifests/1"), &authorization).await;
    assert_eq!((head.status().as_u16(), head.bytes().await.unwrap().len()), (403, 0));
    let message = "Your authorization token has expired. Reauthenticate and try again.";
    let expired = registry_error(fixture.get(&url, &authorization).await).await;
    assert_eq!(expired, (403, "DENIED".to_owned(), message.to_owned()));
    let authorization = fixture.ecr_authorization().await;
    assert_eq!(fixture.get(&url, &authorization).await.status(), 200);
    let fault = Fault::on("ping", Effect::ExpireToken).once();
    fixture.emulator.faults().add(fault);
    assert_eq!(fixture.get(&url, &authorization).await.status(), 403);
}

#[tokio::test]
async fn a_patch_returns_201_with_the_range_of_the_first_part() {
    let (fixture, repository, authorization) = start().await;
    let (first, second) = (vec![1; 5 * 1024 * 1024], vec![2; 100]);
    let location = fixture.open("app", &authorization).await;
    assert!(location.starts_with("https://"), "{location} is not absolute");
    for part in [&first, &second] {
        let request = fixture.request(Method::PATCH, &location, &authorization).body(part.clone());
        let response = request.send().await.unwrap();
        assert_eq!((response.status().as_u16(), header(&response, "range")), (201, "0-5242879".to_owned()));
    }
    let whole = digest(&[first, second].concat());
    let url = format!("{location}&digest={whole}");
    let closed = fixture.request(Method::PUT, &url, &authorization).send().await.unwrap();
    assert_eq!((closed.status().as_u16(), header(&closed, "docker-content-digest")), (201, whole.clone()));
    assert!(repository.has_blob(&whole));
    let location = fixture.open("app", &authorization).await;
    let small = || fixture.request(Method::PATCH, &location, &authorization).body("small");
    assert_eq!(small().send().await.unwrap().status(), 201);
    assert_eq!(small().send().await.unwrap().status(), 400, "only the last part can be small");
}

#[tokio::test]
async fn a_broken_session_cannot_be_rewound() {
    let (fixture, repository, authorization) = start().await;
    let bytes = vec![7; 100_000];
    let reset = Effect::Reset { after_bytes: 1000, on: None };
    fixture.emulator.faults().add(Fault::on("upload.put", reset).once());
    let location = fixture.open("app", &authorization).await;
    let url = format!("{location}&digest={}", digest(&bytes));
    let send = || fixture.request(Method::PUT, &url, &authorization).body(bytes.clone()).send();
    assert!(send().await.is_err());
    let (status, code, message) = registry_error(send().await.unwrap()).await;
    assert_eq!((status, code.as_str()), (416, "BLOB_UPLOAD_INVALID"));
    assert_eq!(message, "First byte of the layer part is 0 instead of 1000");
    assert!(!repository.has_blob(&digest(&bytes)));
    assert_eq!(fixture.push("app", &authorization, &bytes).await.status(), 201, "a new session works");
}

#[tokio::test]
async fn rejects_wrong_digests_and_empty_blobs() {
    let (fixture, repository, authorization) = start().await;
    let wrong_digest = digest(b"else");
    let close = |named: String| {
        let fixture = &fixture;
        let authorization = &authorization;
        async move {
            let url = format!("{}&digest={named}", fixture.open("app", authorization).await);
            fixture.request(Method::PUT, &url, authorization).body("some").send().await.unwrap()
        }
    };
    let (status, code, message) = registry_error(close(wrong_digest.clone()).await).await;
    assert_eq!((status, code.as_str()), (400, "BLOB_UPLOAD_INVALID"));
    assert_eq!(message, "None of the provided layer digests match the calculated layer digest");
    let sha512 = format!("sha512:{}", "0".repeat(128));
    assert_eq!(registry_error(close(sha512).await).await.1, "DIGEST_INVALID");
    assert_eq!(fixture.push("app", &authorization, b"").await.status(), 500);
    assert_eq!(repository.blobs(), [""; 0]);
    fixture.emulator.ecr().accept_wrong_digests();
    assert_eq!(close(wrong_digest.clone()).await.status(), 201);
    assert_eq!(repository.actual_blob_digest(&wrong_digest), Some(digest(b"some")));
}

#[tokio::test]
async fn reports_a_cancelled_session_as_unknown() {
    let (fixture, _, authorization) = start().await;
    let location = fixture.open("app", &authorization).await;
    let cancel = || fixture.request(Method::DELETE, &location, &authorization).send();
    assert_eq!(cancel().await.unwrap().status(), 204);
    assert_eq!(registry_error(cancel().await.unwrap()).await.1, "BLOB_UPLOAD_UNKNOWN");
    assert_eq!(fixture.emulator.ecr().open_uploads(), 0);
}

#[tokio::test]
async fn rejects_manifests_with_missing_references() {
    let (fixture, repository, authorization) = start().await;
    let image = ImageBuilder::new(1).index();
    let (child, root) = (&image.manifests[0], image.root());
    let (status, _, message) =
        registry_error(put(&fixture, &authorization, &child.digest, child).await).await;
    assert!(status == 404 && message.starts_with("Layers with digests"), "{message}");
    for blob in &image.blobs {
        fixture.push("app", &authorization, &blob.to_bytes()).await;
    }
    let url = format!("{REGISTRY}/v2/app/blobs/{}", image.blobs[0].digest());
    assert_eq!(fixture.head(&url, &authorization).await.status(), 200);
    assert_eq!(fixture.get(&url, &authorization).await.status(), 404, "no image refers to the layer yet");
    let (status, _, message) = registry_error(put(&fixture, &authorization, "1", root).await).await;
    assert!(status == 404 && message.starts_with("Images with digests"), "{message}");
    assert_eq!(repository.images(), [""; 0]);
    for manifest in &image.manifests {
        assert_eq!(put(&fixture, &authorization, &manifest.digest, manifest).await.status(), 201);
    }
    assert_eq!(fixture.get(&url, &authorization).await.status(), 307);
}

#[tokio::test]
async fn validates_manifests() {
    let (fixture, _, authorization) = start().await;
    let manifest = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": [],
                          "config": {"digest": digest(b"{}"), "size": 2}})
    .to_string();
    let response =
        fixture.put_manifest("app", "1", &authorization, (OCI_MANIFEST, manifest.as_bytes())).await;
    let (status, code, message) = registry_error(response).await;
    assert_eq!((status, code.as_str()), (405, "UNSUPPORTED"));
    assert_eq!(
        message,
        "Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Image has to have at \
         least 1 layer'"
    );
}

#[tokio::test]
async fn an_immutable_tag_rejects_the_identical_digest() {
    let (fixture, repository, authorization) = start().await;
    repository.set_mutability(Mutability::Immutable);
    let image = ImageBuilder::new(1).single();
    push_image(&fixture, &authorization, &image, "1").await;
    let (status, code, message) =
        registry_error(put(&fixture, &authorization, "1", image.root()).await).await;
    assert_eq!((status, code.as_str()), (400, "TAG_INVALID"));
    assert!(
        message.starts_with(
            "The image tag '1' already exists in the 'app' repository and cannot be overwritten"
        )
    );
    assert_eq!(put(&fixture, &authorization, image.digest(), image.root()).await.status(), 201);
    repository.set_mutability(Mutability::Mutable);
    assert_eq!(put(&fixture, &authorization, "1", image.root()).await.status(), 201);
}

#[tokio::test]
async fn a_missing_repository_rejects_get_and_resets_pushes() {
    let (fixture, repository, authorization) = start().await;
    repository.delete();
    let response = fixture.get(&format!("{REGISTRY}/v2/app/manifests/1"), &authorization).await;
    let (status, code, message) = registry_error(response).await;
    assert_eq!((status, code.as_str()), (404, "NAME_UNKNOWN"));
    assert!(message.contains("'app'") && message.contains("'123456789012'"), "{message}");
    let url = format!("{REGISTRY}/v2/app/blobs/uploads/");
    assert!(fixture.request(Method::POST, &url, &authorization).send().await.is_err());
    let entries = fixture.emulator.log().entries();
    assert_eq!(entries.last().unwrap().status, None);
}

#[tokio::test]
async fn an_access_error_names_the_action_except_for_head() {
    let (fixture, repository, authorization) = start().await;
    fixture.emulator.ecr().deny("ecr:InitiateLayerUpload", &repository.arn());
    fixture.emulator.ecr().deny("ecr:BatchGetImage", "arn:aws:ecr:eu-west-1:*");
    let url = format!("{REGISTRY}/v2/app/blobs/uploads/");
    let push = fixture.request(Method::POST, &url, &authorization).send().await.unwrap();
    let (status, code, message) = registry_error(push).await;
    assert_eq!((status, code.as_str()), (403, "DENIED"));
    assert!(message.starts_with("User: arn:aws:sts::123456789012:assumed-role/"));
    let text = "is not authorized to perform: ecr:InitiateLayerUpload on resource: \
                arn:aws:ecr:eu-west-1:123456789012:repository/app";
    assert!(message.contains(text), "{message}");
    let head = fixture.head(&format!("{REGISTRY}/v2/app/manifests/1"), &authorization).await;
    assert_eq!((head.status().as_u16(), head.bytes().await.unwrap().len()), (403, 0));
}

#[tokio::test]
async fn mounts_blobs_only_if_enabled_and_referenced() {
    let (fixture, target, authorization) = start().await;
    let arn = fixture.emulator.repository_arn("base");
    let base = fixture.emulator.ecr().create_repository(&arn, Mutability::Mutable);
    let image = ImageBuilder::new(1).single();
    base.put_image(Some("1"), &image);
    let layer = image.blobs[1].digest();
    let url = format!("{REGISTRY}/v2/app/blobs/uploads/?mount={layer}&from=base");
    let mount = || async {
        fixture.request(Method::POST, &url, &authorization).send().await.unwrap().status().as_u16()
    };
    assert_eq!(mount().await, 202);
    fixture.emulator.ecr().enable_blob_mounting();
    fixture.emulator.faults().add(Fault::on("upload.start", Effect::DeclineMount).once());
    assert_eq!(mount().await, 202);
    assert_eq!(mount().await, 201);
    assert!(target.has_blob(layer));
    base.expire_image(image.digest());
    target.remove_blob(layer);
    assert_eq!(mount().await, 202, "no image refers to the layer any more");
}

#[tokio::test]
async fn throttles_put_image() {
    let (fixture, repository, authorization) = start().await;
    let image = ImageBuilder::new(1).single();
    repository.put_image(None, &image);
    let mut errors = Vec::new();
    for _ in 0..100 {
        let response = put(&fixture, &authorization, "1", image.root()).await;
        if response.status() != 201 {
            assert_eq!(header(&response, "retry-after"), "");
            errors.push(registry_error(response).await);
        }
    }
    let expected = (429, "TOOMANYREQUESTS".to_owned(), "Rate exceeded".to_owned());
    assert_eq!(errors.first(), Some(&expected));
}

#[tokio::test]
async fn deletes_images_and_limits_tag_lists() {
    let (fixture, repository, authorization) = start().await;
    let image = ImageBuilder::new(1).index();
    repository.put_image(Some("1"), &image);
    let delete = |reference: &str| {
        let url = format!("{REGISTRY}/v2/app/manifests/{reference}");
        fixture.request(Method::DELETE, &url, &authorization).send()
    };
    let child = &image.manifests[0].digest;
    assert_eq!(delete(child).await.unwrap().status(), 400, "the index refers to the child");
    assert_eq!(delete("1").await.unwrap().status(), 202);
    assert_eq!(delete("1").await.unwrap().status(), 404);
    assert_eq!(repository.manifest(image.digest()), None);
    let url = format!("{REGISTRY}/v2/app/tags/list?n=1001");
    assert_eq!(fixture.get(&url, &authorization).await.status(), 405);
}

#[tokio::test]
async fn logs_the_iam_actions_of_a_push() {
    let (fixture, _, authorization) = start().await;
    let mark = fixture.emulator.log().mark();
    push_image(&fixture, &authorization, &ImageBuilder::new(1).single(), "1").await;
    let entries = fixture.emulator.log().since(mark);
    let actions: std::collections::BTreeSet<_> =
        entries.iter().filter_map(|entry| entry.action.as_deref()).collect();
    let expected = ["ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart ecr:CompleteLayerUpload"];
    assert_eq!(actions.into_iter().collect::<Vec<_>>(), expected);
    assert!(entries.iter().all(|entry| entry.service == "ecr" && entry.repository.as_deref() == Some("app")));
}

#[tokio::test]
async fn accepts_a_large_layer_without_storing_it() {
    let (fixture, repository, authorization) = start().await;
    let size = 64 * 1024 * 1024;
    let image = ImageBuilder::new(3).platforms(&["linux/amd64"]).layers(&[size]).single();
    fixture.emulator.docker_hub().put_image("library/big", "1", &image);
    let token = fixture.hub_token("library/big", None).await;
    let layer = image.blobs.iter().find(|blob| blob.size() == size).unwrap();
    let url = format!("https://registry-1.docker.io/v2/library/big/blobs/{}", layer.digest());
    let redirect = fixture.get(&url, &token).await;
    let started = std::time::Instant::now();
    let source = fixture.get(&header(&redirect, "location"), "").await;
    let url = format!("{}&digest={}", fixture.open("app", &authorization).await, layer.digest());
    let request = fixture.request(Method::PUT, &url, &authorization).header("content-length", size);
    let body = reqwest::Body::wrap_stream(source.bytes_stream());
    assert_eq!(request.body(body).send().await.unwrap().status(), 201);
    let elapsed = started.elapsed();
    println!("{:.0} MB/s", size as f64 / 1e6 / elapsed.as_secs_f64());
    for blob in image.blobs.iter().filter(|blob| blob.size() != size) {
        fixture.push("app", &authorization, &blob.to_bytes()).await;
    }
    assert_eq!(put(&fixture, &authorization, "1", image.root()).await.status(), 201);
    assert_eq!(repository.integrity_errors("1"), [""; 0]);
    let redirect = fixture.get(&format!("{REGISTRY}/v2/app/blobs/{}", layer.digest()), &authorization).await;
    let part = fixture.client.get(header(&redirect, "location")).header("range", "bytes=1000-1999");
    let part = part.send().await.unwrap().bytes().await.unwrap();
    assert_eq!(part, layer.to_bytes().slice(1000..2000), "generated again from its seed");
}
