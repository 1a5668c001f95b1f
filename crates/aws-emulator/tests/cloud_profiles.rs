//! Behaviour of the registries of cloud providers, through the proxy.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

mod common;
mod registry_fixture;

use std::time::{Duration, Instant};

use aws_emulator::{ImageBuilder, Profile, PullThroughSettings};
use common::{Fixture, basic, body, header, registry_error};
use registry_fixture::{RegistryFixture, assert_error};
use reqwest::Method;

#[tokio::test]
async fn ecr_public_has_a_constant_scope_and_its_own_errors() {
    let fixture = Fixture::start().await;
    let registry = fixture.emulator.ecr_public();
    let image = ImageBuilder::new(1).single();
    registry.put_image("acme/app", "1", &image);
    let url = "https://public.ecr.aws/v2/acme/app";
    let challenge = header(&fixture.get(&format!("{url}/manifests/1"), "").await, "www-authenticate");
    let expected = "Bearer realm=\"https://public.ecr.aws/token/\",service=\"public.ecr.aws\",scope=\"aws\"";
    assert_eq!(challenge, expected);
    let given = fixture.get("https://public.ecr.aws/token/?service=public.ecr.aws&scope=aws", "").await;
    let token = format!("Bearer {}", body(given).await["token"].as_str().unwrap());
    assert_eq!(fixture.get(&format!("{url}/manifests/1"), &token).await.status(), 200);
    let missing =
        registry_error(fixture.get("https://public.ecr.aws/v2/acme/no/manifests/1", &token).await).await;
    assert_error(missing, (404, "NAME_UNKNOWN", "The repository with name 'acme/no' does not exist"));
    // The second host rejects HEAD but accepts GET.
    let blob = format!("{url}/blobs/{}", image.blobs[0].digest());
    let location = header(&fixture.head(&blob, &token).await, "location");
    assert_eq!(fixture.head(&location, "").await.status(), 401);
    assert_eq!(fixture.get(&location, "").await.status(), 200);
    registry.expire_tokens();
    for authorization in [token, basic("AWS", "anything")] {
        let stale = fixture.get(&format!("{url}/manifests/1"), &authorization).await;
        assert_eq!(header(&stale, "www-authenticate"), "");
        assert_error(registry_error(stale).await, (400, "DENIED", "Your Authorization Token is invalid."));
    }
}

#[tokio::test]
async fn kubernetes_redirects_manifests_and_blobs() {
    let repository = "k8s-artifacts-prod/images/pause";
    let setup =
        RegistryFixture::new(Profile::kubernetes(), repository, "k8s-artifacts-prod/images/other").await;
    let redirecting_url = "https://registry.k8s.io/v2/pause";
    let redirect_response = setup.fixture.head(&format!("{redirecting_url}/manifests/1"), "").await;
    assert_eq!(redirect_response.status(), 307);
    assert_eq!(
        header(&redirect_response, "docker-content-digest"),
        setup.image.digest(),
        "only the redirect has the digest"
    );
    let location = header(&redirect_response, "location");
    assert_eq!(location, setup.url(&format!("{repository}/manifests/1")));
    let challenge_response = setup.fixture.head(&location, "").await;
    assert!(
        header(&challenge_response, "www-authenticate")
            .contains("https://europe-west1-docker.pkg.dev/v2/token")
    );
    let token = setup.token(repository, None).await;
    let response = setup.fixture.head(&location, &token).await;
    assert_eq!((response.status().as_u16(), header(&response, "docker-content-digest").as_str()), (200, ""));
    let blob =
        setup.fixture.get(&format!("{redirecting_url}/blobs/{}", setup.image.blobs[0].digest()), "").await;
    let location = header(&blob, "location");
    assert!(location.starts_with("https://prod-registry-k8s-io-eu-west-1.s3.dualstack."), "{location}");
    assert_eq!(
        setup.fixture.get(&location, "").await.bytes().await.unwrap(),
        setup.image.blobs[0].to_bytes()
    );
    assert_eq!(setup.fixture.get(&location, &token).await.status(), 400, "the bucket rejects credentials");
}

#[tokio::test]
async fn artifact_registry_has_blobs_on_the_same_host() {
    let setup =
        RegistryFixture::new(Profile::artifact_registry("europe-west1"), "acme/r/app", "acme/r/private")
            .await;
    let token = setup.token("acme/r/app", Some("right")).await;
    let blob = setup.get(&format!("acme/r/app/blobs/{}", setup.image.blobs[0].digest()), &token).await;
    let location = header(&blob, "location");
    assert!(location.starts_with("https://europe-west1-docker.pkg.dev/"), "{location}");
    assert_eq!(
        setup.fixture.get(&location, &token).await.status(),
        200,
        "credentials go to the same host only"
    );
    let anonymous = setup.token("acme/r/private", None).await;
    let error = registry_error(setup.get("acme/r/private/manifests/1", &anonymous).await).await;
    assert_error(error, (403, "DENIED", "Unauthenticated request."));
}

#[tokio::test]
async fn acr_accepts_identity_tokens_and_rejects_head_with_403() {
    let setup = RegistryFixture::new(Profile::acr("acme"), "app", "private").await;
    setup.registry.add_identity_token("ann", "identity.of.ann");
    let exchange = async |form: &str| {
        let request = setup.fixture.request(Method::POST, "https://acme.azurecr.io/oauth2/token", "");
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        request.body(form.to_owned()).send().await.unwrap()
    };
    let parameters = "service=acme.azurecr.io&scope=repository%3Aprivate%3Apull";
    let response =
        exchange(&format!("grant_type=refresh_token&refresh_token=identity.of.ann&{parameters}")).await;
    let given = body(response).await;
    assert_eq!(given.as_object().unwrap().keys().collect::<Vec<_>>(), ["access_token"]);
    let token = format!("Bearer {}", given["access_token"].as_str().unwrap());
    assert_eq!(setup.get("private/manifests/1", &token).await.status(), 200);
    let wrong = exchange(&format!("grant_type=refresh_token&refresh_token=x&{parameters}")).await;
    assert_eq!(wrong.status(), 401);
    assert_eq!(exchange(parameters).await.status(), 400, "POST without grant_type");
    // The identity token is also accepted as a password.
    let url = format!("https://acme.azurecr.io/oauth2/token?{parameters}");
    let identity_token_as_password = basic("00000000-0000-0000-0000-000000000000", "identity.of.ann");
    assert_eq!(setup.fixture.get(&url, &identity_token_as_password).await.status(), 200);
    assert_eq!(setup.head("private/manifests/9", &token).await.status(), 403);
    let reason = registry_error(setup.get("private/manifests/9", &token).await).await;
    assert_error(reason, (404, "MANIFEST_UNKNOWN", "manifest tagged by '9' is not found"));
}

const CACHE: &str = "https://123456789012.dkr.ecr.eu-west-1.amazonaws.com/v2/docker-hub/library/python";

#[tokio::test]
async fn the_pull_through_cache_copies_tags_but_not_digests() {
    let fixture = Fixture::start().await;
    let (hub, ecr) = (fixture.emulator.docker_hub(), fixture.emulator.ecr());
    let image = ImageBuilder::new(1).attestations().index();
    hub.put_image("library/python", "3.13", &image);
    let settings = PullThroughSettings { delay: Duration::from_millis(50), misses: 1 };
    ecr.pull_through(&fixture.emulator.repository_arn("docker-hub"), hub, settings);
    let authorization = fixture.ecr_authorization().await;
    let by_digest = format!("{CACHE}/manifests/{}", image.digest());
    assert_error(
        registry_error(fixture.get(&by_digest, &authorization).await).await,
        (404, "NAME_UNKNOWN", "The repository"),
    );
    let by_tag = format!("{CACHE}/manifests/3.13");
    assert_error(
        registry_error(fixture.get(&by_tag, &authorization).await).await,
        (404, "MANIFEST_UNKNOWN", "Requested"),
    );
    let started = Instant::now();
    let got = fixture.get(&by_tag, &authorization).await;
    assert!(started.elapsed() >= settings.delay);
    assert_eq!(got.bytes().await.unwrap(), image.root().bytes);
    assert_eq!(fixture.get(&by_digest, &authorization).await.status(), 200, "the image is cached now");
    let repository = ecr.repository(&fixture.emulator.repository_arn("docker-hub/library/python"));
    assert_eq!(repository.integrity_errors("3.13"), Vec::<String>::new());
    let missing = fixture.get(&format!("{CACHE}/manifests/9"), &authorization).await;
    assert_eq!(missing.status(), 404);
}

#[tokio::test]
async fn the_pull_through_cache_needs_permissions() {
    let fixture = Fixture::start().await;
    let (hub, ecr) = (fixture.emulator.docker_hub(), fixture.emulator.ecr());
    hub.put_image("library/python", "3.13", &ImageBuilder::new(1).single());
    ecr.pull_through(&fixture.emulator.repository_arn("docker-hub"), hub, PullThroughSettings::default());
    let authorization = fixture.ecr_authorization().await;
    for action in ["ecr:BatchImportUpstreamImage", "ecr:CreateRepository"] {
        ecr.deny(action, "*");
        let error =
            registry_error(fixture.get(&format!("{CACHE}/manifests/3.13"), &authorization).await).await;
        assert_eq!((error.0, error.1.as_str()), (403, "DENIED"));
        assert!(error.2.contains(action), "{}", error.2);
        ecr.allow_everything();
    }
    assert_eq!(fixture.get(&format!("{CACHE}/manifests/3.13"), &authorization).await.status(), 200);
}

#[tokio::test]
async fn ecr_has_fips_and_dual_stack_hosts() {
    let fixture = Fixture::start().await;
    let image = ImageBuilder::new(1).single();
    for (region, partition, api, registry) in [
        ("eu-west-1", "aws", "ecr.eu-west-1.api.aws", "dkr-ecr.eu-west-1.on.aws"),
        ("us-east-1", "aws", "ecr-fips.us-east-1.api.aws", "dkr-ecr-fips.us-east-1.on.aws"),
        ("us-east-1", "aws", "ecr-fips.us-east-1.amazonaws.com", "dkr.ecr-fips.us-east-1.amazonaws.com"),
        (
            "cn-north-1",
            "aws-cn",
            "ecr.cn-north-1.api.amazonwebservices.com.cn",
            "dkr-ecr.cn-north-1.on.amazonwebservices.com.cn",
        ),
        (
            "us-gov-west-1",
            "aws-us-gov",
            "api.ecr-fips.us-gov-west-1.amazonaws.com",
            "dkr.ecr-fips.us-gov-west-1.amazonaws.com",
        ),
    ] {
        let arn = format!("arn:{partition}:ecr:{region}:123456789012:repository/app");
        let repository = fixture.emulator.ecr().create_repository(&arn, aws_emulator::Mutability::Mutable);
        repository.put_image(Some("1"), &image);
        let credential = format!("ASIAEMULATOREXAMPLE0/20260101/{region}/ecr/aws4_request");
        let signed = format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0");
        let call = fixture.request(Method::POST, &format!("https://{api}/"), &signed);
        let call = call.header("x-amz-target", "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken");
        let given = body(call.body("{}").send().await.unwrap()).await;
        let token = given["authorizationData"][0]["authorizationToken"].as_str().unwrap();
        let url = format!("https://123456789012.{registry}/v2/app/manifests/1");
        let got = fixture.get(&url, &format!("Basic {token}")).await;
        assert_eq!(got.bytes().await.unwrap(), image.root().bytes, "{registry}");
        assert_eq!(
            given["authorizationData"][0]["proxyEndpoint"],
            format!("https://{}", classic(&repository))
        );
    }
}

/// Returns the IPv4 host name of a repository's registry.
fn classic(repository: &aws_emulator::Repository) -> String {
    repository.uri().split('/').next().unwrap().to_owned()
}

#[tokio::test]
async fn ecr_public_has_a_dual_stack_host() {
    let fixture = Fixture::start().await;
    let ping = fixture.get("https://ecr-public.aws.com/v2/", "").await;
    assert!(header(&ping, "www-authenticate").contains("scope=\"aws\""));
}
