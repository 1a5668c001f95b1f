//! ECR's API through the proxy.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

mod common;

use aws_emulator::{Image, ImageBuilder, Mutability, PushEvent, Repository};
use common::{Fixture, REGION};
use serde_json::{Value, json};

async fn start() -> (Fixture, Repository) {
    let fixture = Fixture::start().await;
    let arn = fixture.emulator.repository_arn("team/app");
    let repository = fixture.emulator.ecr().create_repository(&arn, Mutability::Mutable);
    fixture.emulator.ecr().remove_rate_limits();
    (fixture, repository)
}

fn ids(ids: &[Value]) -> Value {
    json!({"repositoryName": "team/app", "imageIds": ids})
}

fn put(image: &Image, tag: &str) -> Value {
    json!({
        "repositoryName": "team/app", "imageTag": tag,
        "imageManifest": String::from_utf8_lossy(&image.root().bytes),
        "imageManifestMediaType": image.root().media_type,
    })
}

#[tokio::test]
async fn checks_the_signature_of_a_call() {
    let (fixture, _) = start().await;
    let signed = |credential: &str| {
        format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0")
    };
    let key = "ASIAEMULATOREXAMPLE0";
    for (authorization, name) in [
        (String::new(), "MissingAuthenticationTokenException"),
        ("Bearer x".to_owned(), "IncompleteSignatureException"),
        (signed("AKIAOTHER/20260101/eu-west-1/ecr/aws4_request"), "UnrecognizedClientException"),
        (signed(&format!("{key}/20260101/us-east-1/ecr/aws4_request")), "InvalidSignatureException"),
        (signed(&format!("{key}/20260101/eu-west-1/sts/aws4_request")), "InvalidSignatureException"),
    ] {
        let input = json!({});
        let (status, output) =
            fixture.call_signed(REGION, "GetAuthorizationToken", input, &authorization).await;
        assert_eq!((status, output["__type"].as_str()), (400, Some(name)));
    }
}

#[tokio::test]
async fn issues_a_long_token_for_twelve_hours() {
    let (fixture, _) = start().await;
    let output = fixture.call("GetAuthorizationToken", json!({})).await;
    let data = &output["authorizationData"][0];
    assert!(data["authorizationToken"].as_str().unwrap().len() > 2000);
    let endpoint = "https://123456789012.dkr.ecr.eu-west-1.amazonaws.com";
    assert_eq!(data["proxyEndpoint"], endpoint);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let hours = (data["expiresAt"].as_f64().unwrap() - now.as_secs_f64()) / 3600.0;
    assert!((11.9..12.1).contains(&hours), "{hours}");
}

#[tokio::test]
async fn names_an_action_that_is_not_implemented() {
    let (fixture, _) = start().await;
    let (name, message) = fixture.api_error("StartImageScan", json!({"repositoryName": "team/app"})).await;
    assert_eq!(name, "UnknownOperationException");
    assert!(message.contains("ecr:StartImageScan is not implemented"), "{message}");
}

#[tokio::test]
async fn checks_layers_in_batches() {
    let (fixture, repository) = start().await;
    let image = ImageBuilder::new(1).single();
    repository.put_image(Some("1"), &image);
    let known = image.blobs[0].digest();
    let unknown = aws_emulator::digest(b"unknown");
    let input = json!({"repositoryName": "team/app", "layerDigests": [known, unknown, "sha256:x"]});
    let output = fixture.call("BatchCheckLayerAvailability", input).await;
    assert_eq!(output["layers"][0]["layerAvailability"], "AVAILABLE");
    assert_eq!(output["layers"][0]["layerSize"], image.blobs[0].size());
    assert_eq!(output["layers"][1]["layerAvailability"], "UNAVAILABLE");
    assert_eq!(output["failures"][0]["failureCode"], "InvalidLayerDigest");
    let many = vec![unknown; 101];
    let input = json!({"repositoryName": "team/app", "layerDigests": many});
    let (name, _) = fixture.api_error("BatchCheckLayerAvailability", input).await;
    assert_eq!(name, "InvalidParameterException");
}

#[tokio::test]
async fn gets_images_in_batches() {
    let (fixture, repository) = start().await;
    let image = ImageBuilder::new(1).index();
    repository.put_image(Some("1"), &image);
    let input = ids(&[json!({"imageTag": "1"}), json!({"imageTag": "2"}), json!({})]);
    let output = fixture.call("BatchGetImage", input).await;
    let got = &output["images"][0];
    assert_eq!(got["imageManifest"].as_str().unwrap().as_bytes(), image.root().bytes);
    assert_eq!(got["imageId"], json!({"imageTag": "1", "imageDigest": image.digest()}));
    let codes: Vec<_> =
        output["failures"].as_array().unwrap().iter().map(|f| f["failureCode"].clone()).collect();
    assert_eq!(codes, ["ImageNotFound", "MissingDigestAndTag"]);
}

#[tokio::test]
async fn downloads_a_layer_only_if_an_image_refers_to_it() {
    let (fixture, repository) = start().await;
    let image = ImageBuilder::new(1).single();
    repository.put_image(Some("1"), &image);
    let input = json!({"repositoryName": "team/app", "layerDigest": image.blobs[1].digest()});
    let output = fixture.call("GetDownloadUrlForLayer", input.clone()).await;
    let got = fixture.get(output["downloadUrl"].as_str().unwrap(), "").await;
    assert_eq!(got.bytes().await.unwrap(), image.blobs[1].to_bytes());
    repository.expire_image(image.digest());
    assert_eq!(fixture.api_error("GetDownloadUrlForLayer", input).await.0, "LayersNotFoundException");
}

#[tokio::test]
async fn put_image_adds_a_tag_and_rejects_an_existing_one() {
    let (fixture, repository) = start().await;
    let image = ImageBuilder::new(1).single();
    repository.put_image(Some("1"), &image);
    let output = fixture.call("PutImage", put(&image, "2")).await;
    assert_eq!(output["image"]["imageId"]["imageDigest"], image.digest());
    assert_eq!(repository.resolve("2").as_deref(), Some(image.digest()));
    assert_eq!(fixture.api_error("PutImage", put(&image, "2")).await.0, "ImageAlreadyExistsException");
    let mut input = put(&image, "3");
    input["imageDigest"] = json!(aws_emulator::digest(b"other"));
    assert_eq!(fixture.api_error("PutImage", input).await.0, "ImageDigestDoesNotMatchException");
    let (name, _) = fixture.api_error("PutImage", put(&ImageBuilder::new(2).single(), "3")).await;
    assert_eq!(name, "LayersNotFoundException");
    let (name, message) = fixture.api_error("PutImage", put(&ImageBuilder::new(2).index(), "3")).await;
    assert_eq!(name, "ReferencedImagesNotFoundException");
    assert!(message.starts_with("Images with digests '[sha256:"), "{message}");
    assert_eq!(repository.resolve("3"), None);
}

#[tokio::test]
async fn immutable_tags_reject_the_identical_digest() {
    let (fixture, repository) = start().await;
    let (old, new) = (ImageBuilder::new(1).single(), ImageBuilder::new(2).single());
    repository.put_image(Some("old"), &old);
    repository.put_image(Some("new"), &new);
    repository.put_image(Some("latest"), &old);
    let filters = json!([{"filterType": "WILDCARD", "filter": "late*"}]);
    for (mode, filters, release, latest) in [
        ("MUTABLE", json!([]), true, true),
        ("IMMUTABLE", json!([]), false, false),
        ("IMMUTABLE_WITH_EXCLUSION", filters.clone(), false, true),
        ("MUTABLE_WITH_EXCLUSION", filters, true, false),
    ] {
        repository.set_tag("old", Some(old.digest()));
        repository.set_tag("latest", Some(old.digest()));
        let input = json!({"repositoryName": "team/app", "imageTagMutability": mode,
                           "imageTagMutabilityExclusionFilters": filters});
        fixture.call("PutImageTagMutability", input).await;
        for (tag, moves) in [("old", release), ("latest", latest)] {
            let (_, output) = fixture.call_in(REGION, "PutImage", put(&new, tag)).await;
            let is_rejected = output["__type"] == "ImageTagAlreadyExistsException";
            assert_eq!(is_rejected, !moves, "{mode} {tag}: {output}");
            let kept = repository.resolve(tag).unwrap();
            let (_, again) =
                fixture.call_in(REGION, "PutImage", put(if moves { &new } else { &old }, tag)).await;
            let expected =
                if moves { "ImageAlreadyExistsException" } else { "ImageTagAlreadyExistsException" };
            assert_eq!(again["__type"], expected, "{mode} {tag}, identical");
            assert_eq!(repository.resolve(tag).unwrap(), kept);
        }
    }
}

#[tokio::test]
async fn deletes_images_by_tag_and_digest() {
    let (fixture, repository) = start().await;
    let image = ImageBuilder::new(1).index();
    let (root, child) = (image.digest(), image.manifests[0].digest.clone());
    repository.put_image(Some("a"), &image);
    repository.set_tag("b", Some(root));
    repository.set_tag("child", Some(&child));
    let delete = |id: Value| fixture.call("BatchDeleteImage", ids(&[id]));
    let code = |output: &Value| output["failures"][0]["failureCode"].clone();

    // AWS does not document the meaning of both in one ID.
    let both = ids(&[json!({"imageTag": "b"}), json!({"imageTag": "a", "imageDigest": root})]);
    let (name, message) = fixture.api_error("BatchDeleteImage", both).await;
    assert_eq!(name, "InvalidParameterException");
    assert!(message.starts_with("aws-emulator: BatchDeleteImage with both imageTag and imageDigest"));
    assert!(message.ends_with("is rejected, because its meaning is undocumented"), "{message}");
    assert_eq!(repository.tags().len(), 3);

    // A tag is deleted without its image if the image has another tag.
    let output = delete(json!({"imageTag": "a"})).await;
    assert_eq!(output["imageIds"], json!([{"imageTag": "a", "imageDigest": root}]));
    assert!(repository.manifest(root).is_some(), "the image has another tag");

    // A child manifest and its last tag cannot be deleted while an index refers to it.
    assert_eq!(code(&delete(json!({"imageTag": "child"})).await), "ImageReferencedByManifestList");
    assert_eq!(code(&delete(json!({"imageDigest": child})).await), "ImageReferencedByManifestList");
    assert_eq!(repository.resolve("child"), Some(child.clone()));
    repository.set_tag("child-too", Some(&child));
    assert_eq!(code(&delete(json!({"imageTag": "child"})).await), Value::Null);
    assert_eq!(repository.resolve("child"), None);

    // Deleting the last tag deletes the image, but not its children.
    assert_eq!(code(&delete(json!({"imageTag": "b"})).await), Value::Null);
    assert!(repository.manifest(root).is_none());
    assert!(repository.manifest(&child).is_some());

    // Deleting a digest deletes its tags, and the layers that no other image has.
    let layers = repository.blobs().len();
    let output = delete(json!({"imageDigest": child})).await;
    assert_eq!(output["imageIds"], json!([{"imageTag": "child-too", "imageDigest": child}]));
    assert!(repository.blobs().len() < layers);
    assert_eq!(code(&delete(json!({"imageDigest": child})).await), "ImageNotFound");
    assert_eq!(code(&delete(json!({})).await), "MissingDigestAndTag");
    assert_eq!(code(&delete(json!({"imageDigest": "sha256:x"})).await), "InvalidImageDigest");
    let (name, _) = fixture
        .api_error("BatchDeleteImage", json!({"repositoryName": "gone", "imageIds": [{"imageTag": "a"}]}))
        .await;
    assert_eq!(name, "RepositoryNotFoundException");
}

#[tokio::test]
async fn describes_and_lists_images_in_pages() {
    let (fixture, repository) = start().await;
    let image = ImageBuilder::new(1).index();
    repository.put_image(Some("1"), &image);
    let output = fixture.call("DescribeImages", ids(&[json!({"imageTag": "1"})])).await;
    let detail = &output["imageDetails"][0];
    assert_eq!(detail["imageTags"], json!(["1"]));
    assert_eq!(detail["imageManifestMediaType"], image.root().media_type);
    assert!(detail["imageSizeInBytes"].as_u64().unwrap() > 0);
    // One missing image fails the whole call.
    for missing in [json!({"imageTag": "2"}), json!({"imageDigest": ImageBuilder::new(2).single().digest()})]
    {
        let both = ids(&[json!({"imageTag": "1"}), missing]);
        let (name, _) = fixture.api_error("DescribeImages", both).await;
        assert_eq!(name, "ImageNotFoundException");
    }
    let (mut seen, mut token) = (Vec::new(), Value::Null);
    loop {
        let input = json!({"repositoryName": "team/app", "maxResults": 2, "nextToken": token});
        let output = fixture.call("ListImages", input).await;
        seen.extend(output["imageIds"].as_array().unwrap().iter().map(|id| id["imageDigest"].clone()));
        token = output["nextToken"].clone();
        if token.is_null() {
            break;
        }
    }
    assert_eq!(seen.len(), 3);
    for (status, count) in [("TAGGED", 1), ("UNTAGGED", 2)] {
        let input = json!({"repositoryName": "team/app", "filter": {"tagStatus": status}});
        for (action, name) in [("DescribeImages", "imageDetails"), ("ListImages", "imageIds")] {
            let output = fixture.call(action, input.clone()).await;
            assert_eq!(output[name].as_array().unwrap().len(), count, "{action} {status}");
        }
    }
}

#[tokio::test]
async fn a_new_manifest_or_tag_causes_a_push_event() {
    let (fixture, repository) = start().await;
    let image = ImageBuilder::new(1).single();
    repository.put_image(Some("setup"), &image);
    let ecr = fixture.emulator.ecr();
    assert_eq!(ecr.push_events(), []);

    fixture.call("PutImage", put(&image, "new")).await;
    fixture.api_error("PutImage", put(&image, "new")).await;
    let pushed = |image: &Image, tag: Option<&str>| PushEvent {
        repository: repository.arn(),
        digest: image.digest().to_owned(),
        tag: tag.map(ToOwned::to_owned),
    };
    assert_eq!(ecr.push_events(), [pushed(&image, Some("new"))]);

    // The registry's PUT causes events too, with and without a tag.
    let mark = ecr.push_events().len();
    let other = ImageBuilder::new(2).single();
    let authorization = fixture.ecr_authorization().await;
    for blob in &other.blobs {
        assert_eq!(fixture.push("team/app", &authorization, &blob.to_bytes()).await.status(), 201);
    }
    for reference in [other.digest(), "new", "new"] {
        let sent = (other.root().media_type.as_str(), &other.root().bytes[..]);
        let response = fixture.put_manifest("team/app", reference, &authorization, sent).await;
        assert_eq!(response.status(), 201);
    }
    assert_eq!(ecr.push_events()[mark..], [pushed(&other, None), pushed(&other, Some("new"))]);
    let mark = ecr.push_events().len();
    fixture.call("BatchDeleteImage", ids(&[json!({"imageTag": "new"})])).await;
    assert_eq!(ecr.push_events()[mark..], []);
}

#[tokio::test]
async fn creates_describes_and_deletes_repositories() {
    let (fixture, _) = start().await;
    let name = json!({"repositoryName": "new"});
    let region = "us-gov-west-1";
    let (_, output) = fixture.call_in(region, "CreateRepository", name.clone()).await;
    let arn = "arn:aws-us-gov:ecr:us-gov-west-1:123456789012:repository/new";
    assert_eq!(output["repository"]["repositoryArn"], arn);
    let (_, again) = fixture.call_in(region, "CreateRepository", name.clone()).await;
    assert_eq!(again["__type"], "RepositoryAlreadyExistsException");
    let (_, output) =
        fixture.call_in(region, "DescribeRepositories", json!({"repositoryNames": ["new"]})).await;
    assert_eq!(output["repositories"][0]["imageTagMutability"], "MUTABLE");
    fixture.emulator.ecr().repository(arn).put_image(None, &ImageBuilder::new(1).single());
    let (_, output) = fixture.call_in(region, "DeleteRepository", name).await;
    assert_eq!(output["__type"], "RepositoryNotEmptyException");
    let forced = json!({"repositoryName": "new", "force": true});
    assert_eq!(fixture.call_in(region, "DeleteRepository", forced).await.0, 200);
    let (_, output) =
        fixture.call_in(region, "DescribeRepositories", json!({"repositoryNames": ["new"]})).await;
    assert_eq!(output["__type"], "RepositoryNotFoundException");
}

#[tokio::test]
async fn faults_hit_single_actions() {
    let (fixture, _) = start().await;
    let table = r#"[
        {"match": {"operation": "ecr:ListImages", "times": 1}, "effect": "status", "code": 500, "body": "{}"},
        {"match": {"operation": "ecr:*", "times": 1}, "effect": "expire-token"}
    ]"#;
    fixture.emulator.faults().load(table).unwrap();
    let input = json!({"repositoryName": "team/app"});
    assert_eq!(fixture.call_in(REGION, "ListImages", input.clone()).await.0, 500);
    assert_eq!(fixture.api_error("ListImages", input.clone()).await.0, "ExpiredTokenException");
    fixture.call("ListImages", input).await;
}

#[tokio::test]
async fn rejects_denied_and_throttled_actions() {
    let (fixture, repository) = start().await;
    let ecr = fixture.emulator.ecr();
    ecr.deny("ecr:DescribeImages", "*");
    let input = json!({"repositoryName": "team/app"});
    let (name, message) = fixture.api_error("DescribeImages", input.clone()).await;
    assert_eq!(name, "AccessDeniedException");
    let expected = format!(
        "User: arn:aws:sts::123456789012:assumed-role/emulated-role/emulated-session is not \
         authorized to perform: ecr:DescribeImages on resource: {} because no identity-based \
         policy allows the ecr:DescribeImages action",
        repository.arn()
    );
    assert_eq!(message, expected);
    ecr.allow_everything();
    ecr.set_rate_limit("DescribeImages", Some(0.001));
    fixture.call("DescribeImages", input.clone()).await;
    assert_eq!(fixture.api_error("DescribeImages", input).await.0, "ThrottlingException");
    let entries = fixture.emulator.log().entries();
    assert!(entries.iter().all(|entry| entry.service == "ecr-api"));
    assert_eq!(entries[0].action.as_deref(), Some("ecr:DescribeImages"));
}
