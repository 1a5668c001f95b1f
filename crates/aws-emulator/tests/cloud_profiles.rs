//! Behaviour of the registries of cloud providers, through the proxy.

#![expect(clippy::unwrap_used, reason = "a test may end in a panic")]

mod common;
mod registry_fixture;

use std::time::{Duration, Instant};

use aws_emulator::{ImageBuilder, Profile, PullThroughSettings};
use common::{Fixture, basic, body, header, refused};
use registry_fixture::{Case, check_words};
use reqwest::Method;

#[tokio::test]
async fn ecr_public_has_one_scope_and_odd_refusals() {
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
    let missing = refused(fixture.get("https://public.ecr.aws/v2/acme/no/manifests/1", &token).await).await;
    check_words(missing, (404, "NAME_UNKNOWN", "The repository with name 'acme/no' does not exist"));
    // The second host rejects HEAD but accepts GET.
    let blob = format!("{url}/blobs/{}", image.blobs[0].digest());
    let location = header(&fixture.head(&blob, &token).await, "location");
    assert_eq!(fixture.head(&location, "").await.status(), 401);
    assert_eq!(fixture.get(&location, "").await.status(), 200);
    registry.expire_tokens();
    for authorization in [token, basic("AWS", "anything")] {
        let stale = fixture.get(&format!("{url}/manifests/1"), &authorization).await;
        assert_eq!(header(&stale, "www-authenticate"), "");
        check_words(refused(stale).await, (400, "DENIED", "Your Authorization Token is invalid."));
    }
}

#[tokio::test]
async fn kubernetes_sends_manifests_to_a_host_that_challenges_and_blobs_to_a_bucket() {
    let repository = "k8s-artifacts-prod/images/pause";
    let case = Case::new(Profile::kubernetes(), repository, "k8s-artifacts-prod/images/other").await;
    let front = "https://registry.k8s.io/v2/pause";
    let sent = case.fixture.head(&format!("{front}/manifests/1"), "").await;
    assert_eq!(sent.status(), 307);
    assert_eq!(header(&sent, "docker-content-digest"), case.image.digest(), "stated on the way only");
    let location = header(&sent, "location");
    assert_eq!(location, case.url(&format!("{repository}/manifests/1")));
    let challenged = case.fixture.head(&location, "").await;
    assert!(header(&challenged, "www-authenticate").contains("https://europe-west1-docker.pkg.dev/v2/token"));
    let token = case.token(repository, None).await;
    let answer = case.fixture.head(&location, &token).await;
    assert_eq!((answer.status().as_u16(), header(&answer, "docker-content-digest").as_str()), (200, ""));
    let blob = case.fixture.get(&format!("{front}/blobs/{}", case.image.blobs[0].digest()), "").await;
    let location = header(&blob, "location");
    assert!(location.starts_with("https://prod-registry-k8s-io-eu-west-1.s3.dualstack."), "{location}");
    assert_eq!(case.fixture.get(&location, "").await.bytes().await.unwrap(), case.image.blobs[0].to_bytes());
    assert_eq!(case.fixture.get(&location, &token).await.status(), 400, "no login there");
}

#[tokio::test]
async fn artifact_registry_serves_blobs_from_a_path_of_its_own() {
    let case = Case::new(Profile::artifact_registry("europe-west1"), "acme/r/app", "acme/r/private").await;
    let token = case.token("acme/r/app", Some("right")).await;
    let blob = case.get(&format!("acme/r/app/blobs/{}", case.image.blobs[0].digest()), &token).await;
    let location = header(&blob, "location");
    assert!(location.starts_with("https://europe-west1-docker.pkg.dev/"), "{location}");
    assert_eq!(case.fixture.get(&location, &token).await.status(), 200, "the same host may see its login");
    let anonymous = case.token("acme/r/private", None).await;
    let refusal = refused(case.get("acme/r/private/manifests/1", &anonymous).await).await;
    check_words(refusal, (403, "DENIED", "Unauthenticated request."));
}

#[tokio::test]
async fn acr_exchanges_identity_tokens_by_post_and_hides_its_reasons_from_head() {
    let case = Case::new(Profile::acr("acme"), "app", "private").await;
    case.registry.add_identity_token("ann", "identity.of.ann");
    let exchange = async |form: &str| {
        let request = case.fixture.request(Method::POST, "https://acme.azurecr.io/oauth2/token", "");
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        request.body(form.to_owned()).send().await.unwrap()
    };
    let wish = "service=acme.azurecr.io&scope=repository%3Aprivate%3Apull";
    let answer = exchange(&format!("grant_type=refresh_token&refresh_token=identity.of.ann&{wish}")).await;
    let given = body(answer).await;
    assert_eq!(given.as_object().unwrap().keys().collect::<Vec<_>>(), ["access_token"]);
    let token = format!("Bearer {}", given["access_token"].as_str().unwrap());
    assert_eq!(case.get("private/manifests/1", &token).await.status(), 200);
    let wrong = exchange(&format!("grant_type=refresh_token&refresh_token=x&{wish}")).await;
    assert_eq!(wrong.status(), 401);
    assert_eq!(exchange(wish).await.status(), 400, "an anonymous POST");
    // The identity token is also accepted as a password.
    let url = format!("https://acme.azurecr.io/oauth2/token?{wish}");
    let nobody = basic("00000000-0000-0000-0000-000000000000", "identity.of.ann");
    assert_eq!(case.fixture.get(&url, &nobody).await.status(), 200);
    assert_eq!(case.head("private/manifests/9", &token).await.status(), 403);
    let reason = refused(case.get("private/manifests/9", &token).await).await;
    check_words(reason, (404, "MANIFEST_UNKNOWN", "manifest tagged by '9' is not found"));
}

const CACHE: &str = "https://123456789012.dkr.ecr.eu-west-1.amazonaws.com/v2/docker-hub/library/python";

#[tokio::test]
async fn a_pull_through_repository_fills_slowly_by_tag_and_not_by_digest() {
    let fixture = Fixture::start().await;
    let (hub, ecr) = (fixture.emulator.docker_hub(), fixture.emulator.ecr());
    let image = ImageBuilder::new(1).attestations().index();
    hub.put_image("library/python", "3.13", &image);
    let settings = PullThroughSettings { delay: Duration::from_millis(50), misses: 1 };
    ecr.pull_through(&fixture.emulator.repository_arn("docker-hub"), hub, settings);
    let login = fixture.ecr_login().await;
    let by_digest = format!("{CACHE}/manifests/{}", image.digest());
    check_words(
        refused(fixture.get(&by_digest, &login).await).await,
        (404, "NAME_UNKNOWN", "The repository"),
    );
    let by_tag = format!("{CACHE}/manifests/3.13");
    check_words(refused(fixture.get(&by_tag, &login).await).await, (404, "MANIFEST_UNKNOWN", "Requested"));
    let started = Instant::now();
    let got = fixture.get(&by_tag, &login).await;
    assert!(started.elapsed() >= settings.delay);
    assert_eq!(got.bytes().await.unwrap(), image.root().bytes);
    assert_eq!(fixture.get(&by_digest, &login).await.status(), 200, "now it is here");
    let repository = ecr.repository(&fixture.emulator.repository_arn("docker-hub/library/python"));
    assert_eq!(repository.integrity_errors("3.13"), Vec::<String>::new());
    let missing = fixture.get(&format!("{CACHE}/manifests/9"), &login).await;
    assert_eq!(missing.status(), 404);
}

#[tokio::test]
async fn a_pull_through_repository_needs_permission_to_fill() {
    let fixture = Fixture::start().await;
    let (hub, ecr) = (fixture.emulator.docker_hub(), fixture.emulator.ecr());
    hub.put_image("library/python", "3.13", &ImageBuilder::new(1).single());
    ecr.pull_through(&fixture.emulator.repository_arn("docker-hub"), hub, PullThroughSettings::default());
    let login = fixture.ecr_login().await;
    for action in ["ecr:BatchImportUpstreamImage", "ecr:CreateRepository"] {
        ecr.deny(action, "*");
        let refusal = refused(fixture.get(&format!("{CACHE}/manifests/3.13"), &login).await).await;
        assert_eq!((refusal.0, refusal.1.as_str()), (403, "DENIED"));
        assert!(refusal.2.contains(action), "{}", refusal.2);
        ecr.allow_everything();
    }
    assert_eq!(fixture.get(&format!("{CACHE}/manifests/3.13"), &login).await.status(), 200);
}

#[tokio::test]
async fn ecr_answers_under_its_fips_and_dual_stack_names() {
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
async fn ecr_public_answers_under_its_dual_stack_name() {
    let fixture = Fixture::start().await;
    let ping = fixture.get("https://ecr-public.aws.com/v2/", "").await;
    assert!(header(&ping, "www-authenticate").contains("scope=\"aws\""));
}
