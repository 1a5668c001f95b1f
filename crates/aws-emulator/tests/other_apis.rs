//! Secrets Manager, Parameter Store and ECR Public's API through the proxy.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

mod common;

use aws_emulator::{Effect, Fault, KmsKey};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use common::{Fixture, REGION, body, registry_error};
use reqwest::Method;
use serde_json::{Value, json};

const SECRET: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:hub/login-AbCdE1";
const FOREIGN_SECRET: &str = "arn:aws:secretsmanager:eu-west-1:210987654321:secret:hub-AbCdE1";
const PARAMETER: &str = "arn:aws:ssm:eu-west-1:123456789012:parameter/hub/login";
const FOREIGN_PARAMETER: &str = "arn:aws:ssm:eu-west-1:210987654321:parameter/hub";
const PUBLIC: &str = "api.ecr-public.us-east-1.amazonaws.com";

/// Calls an action with a signature for a service and Region.
async fn call(fixture: &Fixture, host: &str, scope: &str, target: &str, input: Value) -> (u16, Value) {
    let credential = format!("ASIAEMULATOREXAMPLE0/20260101/{scope}/aws4_request");
    let authorization = format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0");
    let request = fixture.request(Method::POST, &format!("https://{host}/"), &authorization);
    let response = request.header("x-amz-target", target).body(input.to_string()).send().await.unwrap();
    (response.status().as_u16(), body(response).await)
}

async fn secret(fixture: &Fixture, input: Value) -> (u16, Value) {
    let host = format!("secretsmanager.{REGION}.amazonaws.com");
    call(fixture, &host, "eu-west-1/secretsmanager", "secretsmanager.GetSecretValue", input).await
}

async fn parameter(fixture: &Fixture, name: &str) -> (u16, Value) {
    let input = json!({"Name": name, "WithDecryption": true});
    call(fixture, "ssm.eu-west-1.amazonaws.com", "eu-west-1/ssm", "AmazonSSM.GetParameter", input).await
}

async fn public_token(fixture: &Fixture) -> (u16, Value) {
    let target = "SpencerFrontendService.GetAuthorizationToken";
    call(fixture, PUBLIC, "us-east-1/ecr-public", target, json!({})).await
}

/// Returns the value of a success, or name and message of an error.
fn outcome_text((status, output): &(u16, Value), value: &str) -> String {
    match status {
        200 => output.pointer(value).and_then(Value::as_str).unwrap_or_default().to_owned(),
        _ => format!(
            "{}: {}",
            output["__type"].as_str().unwrap(),
            output["message"].as_str().unwrap_or_default()
        ),
    }
}

#[tokio::test]
async fn finds_a_secret_by_arn_partial_arn_and_name() {
    let fixture = Fixture::start().await;
    fixture.emulator.secrets().put(SECRET, "open sesame");
    for id in [SECRET, &SECRET[..SECRET.len() - 7], "hub/login"] {
        let got = secret(&fixture, json!({"SecretId": id})).await;
        assert_eq!(outcome_text(&got, "/SecretString"), "open sesame", "{id}");
        assert_eq!((&got.1["ARN"], &got.1["Name"]), (&json!(SECRET), &json!("hub/login")));
    }
    for id in ["login", "hub", &SECRET.replace("eu-west-1", "us-east-1")] {
        let got = secret(&fixture, json!({"SecretId": id})).await;
        let expected = "ResourceNotFoundException: Secrets Manager can't find the specified secret.";
        assert_eq!(outcome_text(&got, ""), expected, "{id}");
    }
}

#[tokio::test]
async fn selects_versions_of_a_secret_by_stage_and_id() {
    let fixture = Fixture::start().await;
    let first = fixture.emulator.secrets().put(SECRET, "first");
    let second = fixture.emulator.secrets().put(SECRET, "second");
    fixture.emulator.secrets().put_staged(SECRET, "AWSPENDING", "third");
    let id = "SecretId";
    for (input, expected) in [
        (json!({id: SECRET}), "second"),
        (json!({id: SECRET, "VersionStage": "AWSCURRENT"}), "second"),
        (json!({id: SECRET, "VersionStage": "AWSPREVIOUS"}), "first"),
        (json!({id: SECRET, "VersionStage": "AWSPENDING"}), "third"),
        (json!({id: SECRET, "VersionId": first}), "first"),
        (json!({id: SECRET, "VersionId": second, "VersionStage": "AWSCURRENT"}), "second"),
        (
            json!({id: SECRET, "VersionId": first, "VersionStage": "AWSCURRENT"}),
            "InvalidRequestException: You provided a VersionStage that is not associated to the provided VersionId.",
        ),
        (
            json!({id: SECRET, "VersionStage": "BLUE"}),
            "ResourceNotFoundException: Secrets Manager can't find the specified secret value for staging label: BLUE",
        ),
    ] {
        assert_eq!(
            outcome_text(&secret(&fixture, input.clone()).await, "/SecretString"),
            expected,
            "{input}"
        );
    }
    fixture.emulator.secrets().put_binary(SECRET, b"\x00\xff");
    let got = secret(&fixture, json!({id: SECRET})).await;
    assert_eq!((got.1["SecretBinary"].as_str(), got.1.get("SecretString")), (Some("AP8="), None));
}

#[tokio::test]
async fn secrets_manager_returns_its_own_errors() {
    let fixture = Fixture::start().await;
    let secrets = fixture.emulator.secrets();
    secrets.put(SECRET, "a");
    secrets.put(FOREIGN_SECRET, "b");
    let own = || secret(&fixture, json!({"SecretId": SECRET}));
    let foreign = || secret(&fixture, json!({"SecretId": FOREIGN_SECRET}));
    let caller = "arn:aws:sts::123456789012:assumed-role/emulated-role/emulated-session";
    let action = "secretsmanager:GetSecretValue";

    secrets.deny("*:secret:hub/*");
    let expected = format!(
        "AccessDeniedException: User: {caller} is not authorized to perform: {action} on resource: {SECRET} \
         because no identity-based policy allows the {action} action"
    );
    assert_eq!(outcome_text(&own().await, ""), expected);
    secrets.allow_everything();
    assert_eq!(outcome_text(&own().await, "/SecretString"), "a");

    assert!(outcome_text(&foreign().await, "").contains("because no resource-based policy allows"));
    secrets.share(FOREIGN_SECRET);
    assert!(
        outcome_text(&foreign().await, "").contains("encrypt the secret with the default KMS service key")
    );
    secrets.set_key(FOREIGN_SECRET, KmsKey::CustomerManaged);
    assert_eq!(outcome_text(&foreign().await, "/SecretString"), "b");
    secrets.set_key(FOREIGN_SECRET, KmsKey::AccessDenied);
    assert_eq!(outcome_text(&foreign().await, ""), "AccessDeniedException: Access to KMS is not allowed");
    secrets.set_key(SECRET, KmsKey::Disabled);
    assert!(outcome_text(&own().await, "").starts_with("DecryptionFailure: Secrets Manager can't decrypt"));
    secrets.delete(SECRET);
    assert!(
        outcome_text(&own().await, "")
            .starts_with("InvalidRequestException: You can't perform this operation")
    );
}

#[tokio::test]
async fn logs_calls_applies_faults_and_rejects_other_actions() {
    let fixture = Fixture::start().await;
    fixture.emulator.secrets().put(SECRET, "a");
    let mark = fixture.emulator.log().mark();
    fixture.emulator.faults().add(Fault::on("secretsmanager:GetSecretValue", Effect::ExpireToken).once());
    let input = json!({"SecretId": SECRET});
    assert!(outcome_text(&secret(&fixture, input.clone()).await, "").starts_with("ExpiredTokenException"));
    assert_eq!(secret(&fixture, input).await.0, 200);
    assert_eq!(fixture.emulator.log().count(mark, "secretsmanager:GetSecretValue"), 2);
    for (host, scope, target, name) in [
        (
            "secretsmanager.eu-west-1.amazonaws.com",
            "eu-west-1/secretsmanager",
            "secretsmanager.ListSecrets",
            "secretsmanager:ListSecrets",
        ),
        ("ssm.eu-west-1.amazonaws.com", "eu-west-1/ssm", "AmazonSSM.PutParameter", "ssm:PutParameter"),
        (
            PUBLIC,
            "us-east-1/ecr-public",
            "SpencerFrontendService.DescribeImages",
            "ecr-public:DescribeImages",
        ),
    ] {
        let got = call(&fixture, host, scope, target, json!({})).await;
        assert_eq!(
            outcome_text(&got, ""),
            format!("UnknownOperationException: aws-emulator: {name} is not implemented")
        );
    }
}

#[tokio::test]
async fn each_service_has_hosts_in_every_partition() {
    let fixture = Fixture::start().await;
    let get = "secretsmanager.GetSecretValue";
    for (host, region) in [
        ("secretsmanager-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("secretsmanager.eu-west-1.api.aws", "eu-west-1"),
        ("secretsmanager-fips.us-east-1.api.aws", "us-east-1"),
        ("secretsmanager.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("secretsmanager.cn-north-1.api.amazonwebservices.com.cn", "cn-north-1"),
        ("secretsmanager.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1"),
    ] {
        let partition = match &region[..2] {
            "cn" => "aws-cn",
            "eu" if region.starts_with("eusc") => "aws-eusc",
            _ if region.starts_with("us-gov") => "aws-us-gov",
            _ => "aws",
        };
        let arn = format!("arn:{partition}:secretsmanager:{region}:123456789012:secret:hub-AbCdE1");
        fixture.emulator.secrets().put(&arn, region);
        let scope = format!("{region}/secretsmanager");
        let got = call(&fixture, host, &scope, get, json!({"SecretId": "hub"})).await;
        assert_eq!(outcome_text(&got, "/SecretString"), region, "{host}");
        let got = call(&fixture, host, "sa-east-1/secretsmanager", get, json!({"SecretId": "hub"})).await;
        assert!(outcome_text(&got, "").starts_with("InvalidSignatureException"), "{host}");
    }
    for host in ["secretsmanager.cn-north-1.amazonaws.com", "api.ecr-public.eu-west-1.amazonaws.com"] {
        // The proxy rejects the tunnel, which clients see like a host name that does not resolve.
        let got = fixture.request(Method::POST, &format!("https://{host}/"), "").send().await;
        assert!(got.is_err(), "{host}");
    }
}

#[tokio::test]
async fn finds_a_parameter_by_name_version_and_arn() {
    let fixture = Fixture::start().await;
    let parameters = fixture.emulator.parameters();
    parameters.put(PARAMETER, "first");
    parameters.put(PARAMETER, "second");
    for (name, expected) in [
        ("/hub/login", "second"),
        (PARAMETER, "second"),
        ("/hub/login:1", "first"),
        ("/hub/other", "ParameterNotFound: "),
    ] {
        assert_eq!(outcome_text(&parameter(&fixture, name).await, "/Parameter/Value"), expected, "{name}");
    }
    assert!(
        outcome_text(&parameter(&fixture, "/hub/login:3").await, "").starts_with("ParameterVersionNotFound")
    );
    let scope = "eu-west-1/ssm";
    let host = "ssm.eu-west-1.api.aws";
    let input = json!({"Name": "/hub/login"});
    let (_, output) = call(&fixture, host, scope, "AmazonSSM.GetParameter", input).await;
    assert_eq!(output["Parameter"]["Type"], "SecureString");
    assert_ne!(output["Parameter"]["Value"], "second", "ciphertext without WithDecryption");
}

#[tokio::test]
async fn parameter_store_returns_its_own_errors() {
    let fixture = Fixture::start().await;
    let parameters = fixture.emulator.parameters();
    parameters.put(PARAMETER, "a");
    parameters.put(FOREIGN_PARAMETER, "b");
    parameters.deny("*:parameter/hub/*");
    let got = outcome_text(&parameter(&fixture, PARAMETER).await, "");
    assert!(
        got.contains(&format!("is not authorized to perform: ssm:GetParameter on resource: {PARAMETER}"))
    );
    parameters.allow_everything();
    parameters.set_key(PARAMETER, KmsKey::AccessDenied);
    let got = outcome_text(&parameter(&fixture, PARAMETER).await, "");
    assert!(
        got.starts_with("AccessDeniedException: The ciphertext refers to a customer master key"),
        "{got}"
    );
    parameters.set_key(PARAMETER, KmsKey::Disabled);
    assert!(outcome_text(&parameter(&fixture, PARAMETER).await, "").starts_with("InvalidKeyId: "));
    let got = outcome_text(&parameter(&fixture, FOREIGN_PARAMETER).await, "");
    assert!(got.contains("no resource-based policy"), "{got}");
    parameters.share(FOREIGN_PARAMETER);
    parameters.set_key(FOREIGN_PARAMETER, KmsKey::CustomerManaged);
    assert_eq!(outcome_text(&parameter(&fixture, FOREIGN_PARAMETER).await, "/Parameter/Value"), "b");
}

#[tokio::test]
async fn ecr_public_issues_authorization_tokens_in_us_east_1() {
    let fixture = Fixture::start().await;
    let got = public_token(&fixture).await;
    let token = outcome_text(&got, "/authorizationData/authorizationToken");
    let decoded = String::from_utf8(BASE64_STANDARD.decode(&token).unwrap()).unwrap();
    assert!(decoded.starts_with("AWS:"));
    let url = "https://public.ecr.aws/token/?service=public.ecr.aws&scope=aws";
    assert_eq!(fixture.get(url, &format!("Basic {token}")).await.status(), 200);
    let target = "SpencerFrontendService.GetAuthorizationToken";
    let west = "api.ecr-public.us-west-2.amazonaws.com";
    let got = call(&fixture, west, "us-west-2/ecr-public", target, json!({})).await;
    assert!(outcome_text(&got, "").starts_with("UnsupportedCommandException"));
    fixture.emulator.ecr_public_api().deny("sts:GetServiceBearerToken");
    let got = outcome_text(&public_token(&fixture).await, "");
    assert!(got.contains("is not authorized to perform: sts:GetServiceBearerToken on resource: *"), "{got}");
    fixture.emulator.ecr_public_api().allow_everything();
    fixture.emulator.ecr_public_api().set_token_lifetime(std::time::Duration::ZERO);
    let stale = outcome_text(&public_token(&fixture).await, "/authorizationData/authorizationToken");
    let error = registry_error(fixture.get(url, &format!("Basic {stale}")).await).await;
    assert_eq!((error.0, error.1.as_str()), (403, "DENIED"), "expired token");
}
