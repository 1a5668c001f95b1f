//! Referrers in upstream registries and in ECR.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

mod common;

use std::collections::BTreeSet;

use aws_emulator::{Image, ImageBuilder, Mutability, ReferrersSupport};
use common::{Fixture, REGISTRY, body, header};
use serde_json::{Value, json};

const HUB: &str = "https://registry-1.docker.io";
const PYTHON: &str = "library/python";
const SIGNATURE: &str = "application/x.signature";
const SBOM: &str = "application/x.sbom";

fn artifacts(image: &Image) -> Vec<Image> {
    let refer = |(n, kind): (usize, &&str)| Image::referrer(image.root(), kind, &format!("artifact {n}"));
    [SIGNATURE, SBOM, SIGNATURE].iter().enumerate().map(refer).collect()
}

fn digests(entries: &Value, name: &str) -> BTreeSet<String> {
    entries.as_array().unwrap().iter().map(|entry| entry[name].as_str().unwrap().to_owned()).collect()
}

/// Starts Docker Hub with this support of referrers and an image with three referrers.
async fn hub(support: ReferrersSupport) -> (Fixture, Image, String) {
    let (fixture, image) = (Fixture::start().await, ImageBuilder::new(1).index());
    let hub = fixture.emulator.docker_hub();
    hub.put_image(PYTHON, "3.13", &image);
    hub.set_referrers(support);
    artifacts(&image).iter().for_each(|artifact| hub.put_referrer(PYTHON, artifact));
    let token = fixture.hub_token(PYTHON, None).await;
    (fixture, image, token)
}

#[tokio::test]
async fn the_referrers_api_has_pages_and_filters() {
    let (fixture, image, token) = hub(ReferrersSupport::Api).await;
    fixture.emulator.docker_hub().set_referrers_page(2);
    let url = format!("{HUB}/v2/{PYTHON}/referrers/{}", image.digest());
    let first = fixture.get(&url, &token).await;
    let link = header(&first, "link");
    let next = link.strip_prefix('<').unwrap().split_once(">; rel=\"next\"").unwrap().0.to_owned();
    let second = fixture.get(&format!("{HUB}{next}"), &token).await;
    assert_eq!(header(&second, "link"), "");
    let mut found = digests(&body(first).await["manifests"], "digest");
    found.extend(digests(&body(second).await["manifests"], "digest"));
    assert_eq!(found, artifacts(&image).iter().map(|artifact| artifact.digest().to_owned()).collect());
    let filtered = fixture.get(&format!("{url}?artifactType={SBOM}"), &token).await;
    assert_eq!(header(&filtered, "oci-filters-applied"), "artifactType");
    assert_eq!(body(filtered).await["manifests"].as_array().unwrap().len(), 1);
    assert_eq!(
        fixture.emulator.log().pulls(fixture.emulator.log().start()),
        0,
        "referrers do not count as pulls"
    );
}

#[tokio::test]
async fn a_registry_without_the_api_has_a_fallback_tag() {
    let (fixture, image, token) = hub(ReferrersSupport::FallbackTag).await;
    let referrers = format!("{HUB}/v2/{PYTHON}/referrers/{}", image.digest());
    assert_eq!(fixture.get(&referrers, &token).await.status(), 404);
    let tag = image.digest().replacen(':', "-", 1);
    let list = body(fixture.get(&format!("{HUB}/v2/{PYTHON}/manifests/{tag}"), &token).await).await;
    assert_eq!(digests(&list["manifests"], "artifactType"), [SBOM, SIGNATURE].map(String::from).into());
    fixture.emulator.docker_hub().set_referrers(ReferrersSupport::LoginPage);
    let response = fixture.get(&referrers, &token).await;
    assert_eq!((response.status().as_u16(), header(&response, "location")), (303, "/login".to_owned()));
    let page = fixture.get(&format!("{HUB}/login"), "").await;
    assert_eq!(header(&page, "content-type"), "text/html; charset=utf-8");
}

#[tokio::test]
async fn digest_tag_support_resolves_a_fallback_tag() {
    let (fixture, image) = (Fixture::start().await, ImageBuilder::new(1).index());
    let hub = fixture.emulator.docker_hub();
    hub.put_image(PYTHON, "3.13", &image);
    let token = fixture.hub_token(PYTHON, None).await;
    let url = format!("{HUB}/v2/{PYTHON}/manifests/{}", image.digest().replacen(':', "-", 1));
    assert_eq!(fixture.head(&url, &token).await.status(), 404);
    hub.set_referrers(ReferrersSupport::DigestTag);
    let response = fixture.head(&url, &token).await;
    assert_eq!(
        (response.status().as_u16(), header(&response, "docker-content-digest")),
        (200, image.digest().to_owned())
    );
}

#[tokio::test]
async fn ecr_lists_the_referrers_of_a_deleted_image() {
    let (fixture, image) = (Fixture::start().await, ImageBuilder::new(1).index());
    let arn = fixture.emulator.repository_arn("app");
    let repository = fixture.emulator.ecr().create_repository(&arn, Mutability::Mutable);
    repository.put_image(Some("1"), &image);
    let artifacts = artifacts(&image);
    artifacts.iter().for_each(|artifact| repository.put_image(None, artifact));
    let expected: BTreeSet<String> = artifacts.iter().map(|artifact| artifact.digest().to_owned()).collect();
    let authorization = fixture.ecr_authorization().await;
    let url = format!("{REGISTRY}/v2/app/referrers/{}", image.digest());
    assert_eq!(
        digests(&body(fixture.get(&url, &authorization).await).await["manifests"], "digest"),
        expected
    );
    let input =
        json!({"repositoryName": "app", "subjectId": {"imageDigest": image.digest()}, "maxResults": 2});
    let first = fixture.call("ListImageReferrers", input.clone()).await;
    let mut rest = input.clone();
    rest["nextToken"] = first["nextToken"].clone();
    fixture.call("BatchDeleteImage", json!({"repositoryName": "app", "imageIds": [{"imageTag": "1"}]})).await;
    let rest = fixture.call("ListImageReferrers", rest).await;
    assert_eq!(rest.get("nextToken"), None);
    let mut found = digests(&first["referrers"], "digest");
    found.extend(digests(&rest["referrers"], "digest"));
    assert_eq!(found, expected, "deleting an image keeps its referrers");
    let mut wrong = input;
    wrong["maxResults"] = json!(51);
    let (kind, _) = fixture.api_error("ListImageReferrers", wrong).await;
    assert_eq!(kind, "InvalidParameterException");
}
