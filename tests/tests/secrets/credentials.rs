//! Credentials in secrets: correct ones, wrong ones, and invalid secrets.

use aws_emulator::stack::ProviderCall;
use aws_emulator::{HostileHost, ImageBuilder, Profile};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::account_with;
use crate::common::{Account, create_event};
use crate::search::{IDENTITY, RIGHT, WRONG, check};

const TOKENS: &str = "registry.acme.example";
const BASIC: &str = "basic.acme.example";
const AZURE: &str = "acme.azurecr.io";
const HARBOR: &str = "harbor.acme.example";
const PARAMETER: &str = "arn:aws:ssm:eu-west-1:123456789012:parameter/credentials/acme";

fn arn(name: &str) -> String {
    format!("arn:aws:secretsmanager:eu-west-1:123456789012:secret:{name}-AbCdEf")
}

/// Returns an account with a private image in registries of every kind, and default credentials for Harbor.
async fn account() -> Account {
    let listed = ("REGISTRY_CREDENTIALS".to_owned(), format!("{HARBOR}={}", arn("listed")));
    let account = account_with(|settings| settings.environment.push(listed)).await;
    let emulator = &account.world.emulator;
    let profiles = [
        Profile::bearer(TOKENS),
        Profile::distribution(BASIC),
        Profile::acr("acme"),
        Profile::harbor(HARBOR),
    ];
    let added = profiles.map(|profile| emulator.add_upstream(profile));
    let image = ImageBuilder::new(3).layers(&[9000]).single();
    for registry in added.iter().chain([emulator.docker_hub()]) {
        registry.put_image("acme/app", "1", &image);
        registry.add_user("ann", RIGHT);
        registry.add_identity_token("ann", IDENTITY);
        registry.make_private("acme/app", &["ann"]);
    }
    account
}

async fn create(account: &Account, host: &str, tag: &str, arn: Option<&str>) -> ProviderCall {
    let mut properties = account.properties(&format!("{host}/acme/app:1"));
    properties["Tag"] = json!(tag);
    if let Some(arn) = arn {
        properties["CredentialArn"] = json!(arn);
    }
    account.stack.send(create_event(&properties)).await
}

fn config(host: &str, entry: Value) -> Value {
    json!({"auths": {host: entry}})
}

fn basic(password: &str) -> String {
    BASE64_STANDARD.encode(format!("ann:{password}"))
}

/// Stores the credentials in every format, and sends a Create with each.
async fn create_with_every_format(account: &Account, password: &str, identity: &str) -> Vec<ProviderCall> {
    let secrets = account.world.emulator.secrets();
    let plain = json!({"username": "ann", "password": password});
    let token = json!({"username": "ann", "accessToken": password, "registry": [TOKENS]});
    let formats = [
        ("password", "docker.io", "", plain.clone()),
        ("token", TOKENS, "", token.clone()),
        ("key", TOKENS, ":acme::", json!({"acme": token.to_string()})),
        ("config", BASIC, "", config(BASIC, json!({"auth": basic(password)}))),
        ("names", HARBOR, "", config(HARBOR, json!({"username": "ann", "password": password}))),
        ("identity", AZURE, "", config(AZURE, json!({"identitytoken": identity}))),
    ];
    let mut calls = Vec::new();
    for (name, host, key, value) in formats {
        secrets.put(&arn(name), &value.to_string());
        calls.push(create(account, host, name, Some(&(arn(name) + key))).await);
    }
    account.world.emulator.parameters().put(PARAMETER, &token.to_string());
    calls.push(create(account, TOKENS, "parameter", Some(PARAMETER)).await);
    secrets.put(&arn("listed"), &plain.to_string());
    calls.push(create(account, HARBOR, "listed", None).await);
    calls
}

fn reasons(calls: &[ProviderCall]) -> Vec<String> {
    calls.iter().map(|call| call.response().unwrap().reason.clone().unwrap()).collect()
}

#[tokio::test]
async fn correct_credentials_work_and_are_not_printed() {
    let account = account().await;
    let calls = create_with_every_format(&account, RIGHT, IDENTITY).await;
    for call in &calls {
        crate::common::check_success(call.response().unwrap());
    }
    check(&account, &calls).await;
}

#[tokio::test]
async fn wrong_credentials_fail_and_are_not_printed() {
    let account = account().await;
    let calls = create_with_every_format(&account, WRONG, WRONG).await;
    for reason in reasons(&calls) {
        // For a wrong password, some registries return a token without access.
        let hints = [
            "Correct the credentials in the secret of CredentialArn",
            "use credentials that can read the image in CredentialArn",
        ];
        assert!(hints.iter().any(|hint| reason.contains(hint)), "{reason}");
    }
    check(&account, &calls).await;
}

#[tokio::test]
async fn invalid_secrets_are_not_printed() {
    let account = account().await;
    let secrets = account.world.emulator.secrets();
    let valid = json!({"username": "ann", "password": RIGHT, "registry": TOKENS});
    for (name, value) in [
        ("cut-off", format!(r#"{{"username": "ann", "password": "{RIGHT}""#)),
        ("bare", RIGHT.to_owned()),
        ("quoted", format!("\"{RIGHT}\"")),
        ("other-types", json!({"username": ["ann", RIGHT], "password": {"is": RIGHT}}).to_string()),
        ("no-user", json!({"password": RIGHT}).to_string()),
        ("other-registry", json!({"username": "ann", "password": RIGHT, "registry": RIGHT}).to_string()),
        ("no-base64", config(TOKENS, json!({"auth": RIGHT})).to_string()),
        ("no-colon", config(TOKENS, json!({"auth": BASE64_STANDARD.encode(RIGHT)})).to_string()),
        ("no-object", json!({"auths": {TOKENS: RIGHT}}).to_string()),
        ("other-host", config(BASIC, json!({"auth": basic(RIGHT)})).to_string()),
        ("helper", json!({"auths": {}, "credHelpers": {TOKENS: RIGHT}}).to_string()),
        ("denied", valid.to_string()),
    ] {
        secrets.put(&arn(name), &value);
    }
    secrets.deny(&arn("denied"));
    secrets.put_binary(&arn("binary"), valid.to_string().as_bytes());
    secrets.put(&arn("deleted"), &valid.to_string());
    secrets.delete(&arn("deleted"));
    account.world.emulator.parameters().put_plain(PARAMETER, &valid.to_string());
    let names = [
        "cut-off",
        "bare",
        "quoted",
        "other-types",
        "no-user",
        "other-registry",
        "no-base64",
        "no-colon",
        "no-object",
        "other-host",
        "helper",
        "denied",
        "binary",
        "deleted",
    ];
    let mut calls = Vec::new();
    for named in names.map(arn).iter().chain([&(arn("denied") + ":nothing::"), &PARAMETER.to_owned()]) {
        calls.push(create(&account, TOKENS, "x", Some(named)).await);
        let response = calls.last().and_then(ProviderCall::response).unwrap();
        let reason = crate::common::failure_reason(response);
        let arn = named.trim_end_matches(":nothing::");
        assert!(reason.contains(arn), "{named}: {reason}");
    }
    check(&account, &calls).await;
}

#[tokio::test]
async fn credentials_for_docker_hub_are_not_sent_to_another_host() {
    let account = account().await;
    account.world.emulator.add(HostileHost::new(&["attacker.example"], "Basic realm=\"x\""));
    let valid = json!({"username": "ann", "password": RIGHT});
    account.world.emulator.secrets().put(&arn("hub"), &valid.to_string());
    let call = create(&account, "attacker.example", "x", Some(&arn("hub"))).await;
    assert!(reasons(std::slice::from_ref(&call))[0].contains("add \"registry\""));
    check(&account, &[call]).await;
}
