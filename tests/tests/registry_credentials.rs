//! Credentials for several kinds of registries in a stack: correct ones work, and wrong ones fail with a hint.
//! `registries.rs` tests the engine with every registry.

#![expect(clippy::unwrap_used, reason = "a failed setup ends the test")]

mod common;

use std::sync::Arc;

use aws_emulator::{ImageBuilder, Mutability, Profile, Registry};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use common::planted::find_secret;
use common::{Account, check_success, failure_reason};
use serde_json::{Value, json};

const RIGHT: &str = "planted+right/password=5Tr1";
const WRONG: &str = "planted+wrong/password=8Lm6";
/// A registry without TLS.
const PLAIN: &str = "plain.acme.example:5000";
/// Private ECR of another account in another Region.
const ECR: &str = "210987654321.dkr.ecr.us-east-1.amazonaws.com";

const CHECK_SECRET: &str = "Correct the credentials in the secret of CredentialArn or of the provider's parameter \
                            RegistryCredentials. (CI-005, ";

async fn account() -> Account {
    Account::with(Mutability::Mutable, |settings| {
        let proxy = settings.environment.iter().find(|(name, _)| name == "HTTPS_PROXY").unwrap().1.clone();
        settings.environment.push(("HTTP_PROXY".into(), proxy));
        settings.environment.push(("PLAIN_HTTP_HOSTS".into(), PLAIN.into()));
    })
    .await
}

fn properties(account: &Account, image: &str, credentials: Option<Value>) -> Value {
    let mut properties = account.properties(image);
    if let Some(credentials) = credentials {
        let arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:credentials-AbCdEf";
        account.world.emulator.secrets().put(arn, &credentials.to_string());
        properties["CredentialArn"] = json!(arn);
    }
    properties
}

/// Checks that a private image can be copied with the secret for the correct password only. The wrong
/// password fails with the registry's `error` and a hint.
async fn check(
    registry: fn(&Account) -> Arc<Registry>,
    host: &str,
    secret: impl Fn(&str) -> Value,
    error: &str,
    hint: &str,
) {
    let account = account().await;
    let registry = registry(&account);
    registry.put_image("acme/app", "1", &ImageBuilder::new(7).layers(&[9000]).index());
    registry.add_user("ann", RIGHT);
    registry.add_identity_token("ann", RIGHT);
    registry.make_private("acme/app", &["ann"]);
    let image = format!("{host}/acme/app:1");
    let response = account.create(properties(&account, &image, Some(secret(WRONG)))).await;
    let reason = failure_reason(&response);
    let expected = format!("Image {image} could not be read: {error}");
    assert!(reason.starts_with(&expected) && reason.contains(hint), "{host}: {reason}");
    assert_eq!(find_secret(WRONG, reason), None, "{host}: {reason}");
    let response = account.create(properties(&account, &image, None)).await;
    assert!(failure_reason(&response).contains("set CredentialArn"), "{host}: {response:?}");
    check_success(&account.create(properties(&account, &image, Some(secret(RIGHT)))).await);
    account.check_stored("1", &ImageBuilder::new(7).layers(&[9000]).index());
}

fn secret_for(host: &str) -> impl Fn(&str) -> Value {
    move |password| json!({"username": "ann", "password": password, "registry": host})
}

#[tokio::test]
async fn docker_hub() {
    let secret = |password: &str| json!({"username": "ann", "password": password});
    let error = "Docker Hub returned 401 \"{'details':'incorrect username or password'}\".";
    check(|account| account.world.emulator.docker_hub().clone(), "docker.io", secret, error, CHECK_SECRET)
        .await;
}

#[tokio::test]
async fn ghcr() {
    let secret = |token: &str| json!({"username": "ann", "accessToken": token, "registry": "ghcr.io"});
    let add = |account: &Account| account.world.emulator.add_upstream(Profile::ghcr());
    // GHCR returns the same error for credentials without access to the image.
    let hint = "use credentials that can read the image in CredentialArn or the provider's parameter RegistryCredentials. (CI-006, ";
    check(add, "ghcr.io", secret, "ghcr.io returned 403 DENIED \"denied\".", hint).await;
}

#[tokio::test]
async fn azure_with_an_identity_token() {
    let host = "acme.azurecr.io";
    let secret = |token: &str| json!({"auths": {host: {"identitytoken": token}}});
    let add = |account: &Account| account.world.emulator.add_upstream(Profile::acr("acme"));
    check(
        add,
        host,
        secret,
        "acme.azurecr.io returned 401 UNAUTHORIZED \"authentication required, visit",
        CHECK_SECRET,
    )
    .await;
}

#[tokio::test]
async fn harbor() {
    let host = "harbor.acme.example";
    let add = |account: &Account| account.world.emulator.add_upstream(Profile::harbor("harbor.acme.example"));
    check(
        add,
        host,
        secret_for(host),
        "harbor.acme.example returned 401 UNAUTHORIZED \"unauthorized\".",
        CHECK_SECRET,
    )
    .await;
}

#[tokio::test]
async fn distribution_with_a_docker_config() {
    let host = "registry.acme.example";
    let basic = |password: &str| BASE64_STANDARD.encode(format!("ann:{password}"));
    let secret = |password: &str| json!({"auths": {host: {"auth": basic(password)}}});
    let add = |account: &Account| {
        account.world.emulator.add_upstream(Profile::distribution("registry.acme.example"))
    };
    check(add, host, secret, "registry.acme.example returned 401 Unauthorized.", CHECK_SECRET).await;
}

#[tokio::test]
async fn distribution_without_tls_on_an_allowed_host() {
    let add =
        |account: &Account| account.world.emulator.add_upstream(Profile::distribution("plain.acme.example"));
    check(add, PLAIN, secret_for(PLAIN), "plain.acme.example:5000 returned 401 Unauthorized.", CHECK_SECRET)
        .await;
}

#[tokio::test]
async fn private_ecr_of_another_account() {
    let account = account().await;
    let image = ImageBuilder::new(7).layers(&[9000]).index();
    let arn = "arn:aws:ecr:us-east-1:210987654321:repository/team/app";
    let repository = account.world.emulator.ecr().create_repository(arn, Mutability::Mutable);
    repository.put_image(Some("1"), &image);
    let source = format!("{ECR}/team/app:1");
    account.world.emulator.ecr().deny("ecr:BatchGetImage", arn);
    let response = account.create(properties(&account, &source, None)).await;
    let reason = failure_reason(&response);
    assert!(
        reason.starts_with(&format!("Image {source} could not be read: ECR returned 403 DENIED")),
        "{reason}"
    );
    let hint = "Allow ecr:BatchGetImage with the provider's parameter SourceRepositoryArns";
    assert!(reason.contains(hint), "{reason}");
    account.world.emulator.ecr().allow_everything();
    check_success(&account.create(properties(&account, &source, None)).await);
    account.check_stored("1", &image);
}
