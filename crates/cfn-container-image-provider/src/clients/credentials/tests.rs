//! Credentials for each registry, and the number of reads of a secret.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use secrecy::ExposeSecret as _;

use super::*;
use crate::testing::clients_with_responses;

const HUB: &str = "registry-1.docker.io";
const ECR: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
const BARE: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:bare-AbCdEf";
const QUAY: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:quay-AbCdEf";
const MIRROR: &str = "arn:aws:ssm:eu-west-1:123456789012:parameter/mirror";
const ABSENT: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:absent";

/// Secrets by ARN, and the recorded calls.
#[derive(Clone, Default)]
struct FakeAws(Arc<Mutex<SecretsAndCalls>>);

type SecretsAndCalls = (BTreeMap<String, String>, Vec<String>);

impl FakeAws {
    fn new() -> Self {
        let aws = Self::default();
        aws.put(BARE, r#"{"username": "hub", "password": "planted-hub-1"}"#);
        aws.put(QUAY, r#"{"username": "quay", "password": "planted-quay-1", "registry": "quay.io"}"#);
        aws.put(MIRROR, r#"{"username": "mirror", "accessToken": "planted-mirror-1"}"#);
        aws
    }

    fn put(&self, arn: &str, value: &str) {
        self.0.lock().unwrap().0.insert(arn.into(), value.into());
    }

    /// Returns and clears the recorded calls.
    fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().1)
    }

    fn response(&self, name: &str, input: &Value) -> Result<Value, &'static str> {
        let mut state = self.0.lock().unwrap();
        let (secrets, calls) = &mut *state;
        let arn = input["SecretId"].as_str().or(input["Name"].as_str());
        calls.push(arn.unwrap_or(name).to_owned());
        let found = |arn: Option<&str>| arn.and_then(|arn| secrets.get(arn)).cloned();
        match name {
            "GetSecretValue" => {
                found(arn).map(|text| json!({"SecretString": text})).ok_or("ResourceNotFoundException")
            }
            "GetParameter" => found(arn)
                .map(|text| json!({"Parameter": {"Type": "SecureString", "Value": text}}))
                .ok_or("ParameterNotFound"),
            // base64 of `AWS:ecr`.
            "GetAuthorizationToken" if input.get("registryIds").is_none() => {
                Ok(json!({"authorizationData": [{"authorizationToken": "QVdTOmVjcg=="}]}))
            }
            _ => Err("AccessDeniedException"),
        }
    }

    fn credentials(&self, listed: &str) -> Arc<SharedCredentials> {
        let aws = self.clone();
        let clients = clients_with_responses(move |target, input| {
            let (service, name) = target.rsplit_once('.').unwrap();
            let public = service.contains("Spencer");
            let response = if public { Err("AccessDeniedException") } else { aws.response(name, input) };
            response.map_err(|code| (code, "no".to_owned()))
        });
        let settings = crate::settings::Settings::read(|name| {
            (name == "REGISTRY_CREDENTIALS").then(|| listed.to_owned())
        });
        let ecr = Arc::new(EcrCredentials::new(clients.clone()));
        Arc::new(SharedCredentials::new(&clients, ecr, settings.copy.unwrap().registry_credentials))
    }
}

fn event(credentials: &Arc<SharedCredentials>, arn: Option<&str>, source: &str) -> SourceCredentials {
    SourceCredentials::new(credentials, arn.map(|arn| arn.parse().unwrap()), repository(source), None)
}

/// Returns the repository with this name, or one of the registry.
fn repository(name: &str) -> oci::Repository {
    let (host, path) = name.split_once('/').unwrap_or((name, "acme/app"));
    oci::Repository::new(host.parse().unwrap(), path).unwrap()
}

/// Returns the password for a host, or the error.
async fn password(event: &SourceCredentials, host: &str) -> Result<Option<String>, String> {
    let found = event.credentials_for(&repository(host), None).await.map_err(|error| error.to_string())?;
    Ok(found.map(|found| found.password.expose_secret().to_owned()))
}

#[tokio::test]
async fn credentials_come_from_the_template_else_the_settings_else_aws() {
    let aws = FakeAws::new();
    let credentials = aws.credentials(&format!("quay.io={QUAY},registry.acme.example={MIRROR}"));
    for (arn, named, host, expected) in [
        (Some(BARE), "docker.io", HUB, Some("planted-hub-1")),
        (Some(QUAY), "quay.io", "quay.io", Some("planted-quay-1")),
        (None, "quay.io", "quay.io", Some("planted-quay-1")),
        // The installer's list replaces Docker Hub.
        (None, "registry.acme.example", "registry.acme.example", Some("planted-mirror-1")),
        (Some(MIRROR), "registry.acme.example", "registry.acme.example", Some("planted-mirror-1")),
        (None, "docker.io", HUB, None),
        (None, ECR, ECR, Some("ecr")),
        (None, "evil.example", "evil.example", None),
        // Mirrors get the template's credentials only if they are for them, else the installer's or AWS's.
        (Some(BARE), "docker.io", "quay.io", Some("planted-quay-1")),
        (Some(BARE), "docker.io", "registry.acme.example", Some("planted-mirror-1")),
        (Some(BARE), "docker.io", ECR, Some("ecr")),
        (Some(BARE), "docker.io", "public.ecr.aws", None),
        (Some(ABSENT), "docker.io", ECR, Some("ecr")),
    ] {
        let event = event(&credentials, arn, named);
        assert_eq!(password(&event, host).await.unwrap().as_deref(), expected, "{arn:?} {named} {host}");
        assert_eq!(event.problem(), None);
    }
}

#[tokio::test]
async fn credentials_for_a_path_prefix_go_only_to_matching_repositories() {
    let aws = FakeAws::new();
    let entry = |password: &str| json!({"username": "me", "password": password});
    let auths = json!({"quay.io/acme": entry("planted-acme"), "ghcr.io/mirror": entry("planted-mirror"),
        "ghcr.io/mirror/private": entry("planted-private")});
    aws.put(BARE, &json!({ "auths": auths }).to_string());
    let credentials = aws.credentials("");
    let found =
        async |source: &str, name: &str| password(&event(&credentials, Some(BARE), source), name).await;
    for (named, name, expected) in [
        ("quay.io/acme/app", "quay.io/acme/app", Some("planted-acme")),
        ("quay.io/acme/app", "ghcr.io/mirror/acme/app", Some("planted-mirror")),
        ("quay.io/acme/app", "ghcr.io/mirror/private/app", Some("planted-private")),
        ("quay.io/acme/app", "ghcr.io/other/acme/app", None),
        // A mirror in the registry of the source.
        ("quay.io/acme/app", "quay.io/mirror/app", None),
    ] {
        assert_eq!(found(named, name).await.unwrap().as_deref(), expected, "{named} {name}");
    }
    let error = found("quay.io/other/app", "quay.io/other/app").await.unwrap_err();
    assert!(error.contains("no credentials for quay.io/other/app") && !error.contains("planted"), "{error}");
}

#[tokio::test]
async fn a_secret_goes_to_no_other_registry_in_a_template() {
    let aws = FakeAws::new();
    let credentials = aws.credentials(&format!("quay.io={QUAY},registry.acme.example={MIRROR}"));
    for arn in [BARE, QUAY, MIRROR] {
        for host in ["evil.example", "docker.io.evil.example", "quay.io:8443", ECR, "public.ecr.aws"] {
            let event = event(&credentials, Some(arn), host);
            let error = password(&event, host).await.unwrap_err();
            assert!(error.contains(arn) && error.contains(host), "{error}");
            assert!(matches!(event.problem(), Some(SecretProblem::Unusable { .. })));
            assert!(!format!("{error} {:?}", event.problem()).contains("planted"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_secret_is_read_once_for_all_events() {
    let aws = FakeAws::new();
    let credentials = aws.credentials("");
    let events: Vec<_> = (0..8).map(|_| event(&credentials, Some(BARE), "docker.io")).collect();
    let all = futures_util::future::join_all(events.iter().map(|event| password(event, HUB))).await;
    assert!(all.iter().all(|found| found.as_ref().unwrap().as_deref() == Some("planted-hub-1")));
    for event in &events {
        password(event, "mirror.example").await.unwrap();
    }
    assert_eq!(aws.take_calls(), [BARE]);
}

#[tokio::test]
async fn rejected_credentials_are_read_again_and_sent_again_only_if_changed() {
    let aws = FakeAws::new();
    let credentials = aws.credentials("");
    let event = event(&credentials, Some(BARE), "docker.io");
    let first = event.credentials_for(&repository(HUB), None).await.unwrap().unwrap();
    let same = event.credentials_for(&repository(HUB), Some(&first)).await.unwrap().unwrap();
    assert_eq!(first, same, "the client does not send the same credentials again");
    aws.put(BARE, r#"{"username": "hub", "password": "planted-hub-2"}"#);
    let next = event.credentials_for(&repository(HUB), Some(&first)).await.unwrap().unwrap();
    assert_eq!(next.password.expose_secret(), "planted-hub-2");
    assert_eq!(aws.take_calls(), [BARE, BARE, BARE]);
    // A task with the old credentials gets the current ones.
    assert_eq!(event.credentials_for(&repository(HUB), Some(&first)).await.unwrap().unwrap(), next);
    assert_eq!(aws.take_calls(), [] as [&str; 0]);
    aws.0.lock().unwrap().0.clear();
    assert_eq!(
        event.credentials_for(&repository(HUB), Some(&next)).await.unwrap().unwrap(),
        next,
        "the error of the registry is more useful"
    );
}

#[tokio::test]
async fn the_next_event_uses_a_corrected_secret() {
    let aws = FakeAws::new();
    let credentials = aws.credentials("");
    assert!(password(&event(&credentials, Some(BARE), "quay.io"), "quay.io").await.is_err());
    aws.put(BARE, r#"{"username": "hub", "password": "planted-3", "registry": ["quay.io"]}"#);
    let found = password(&event(&credentials, Some(BARE), "quay.io"), "quay.io").await.unwrap();
    assert_eq!(found.as_deref(), Some("planted-3"));
    assert!(password(&event(&credentials, Some(BARE), "docker.io"), HUB).await.is_err());
}

#[tokio::test]
async fn the_problem_of_a_missing_secret_contains_the_setting() {
    let aws = FakeAws::new();
    let credentials = aws.credentials(&format!("quay.io={ABSENT}"));
    for (arn, host, expected) in [
        (Some(ABSENT), "ghcr.io", SecretSetting::CredentialArn),
        (None, "quay.io", SecretSetting::RegistryCredentials),
    ] {
        let event = event(&credentials, arn, host);
        let error = password(&event, host).await.unwrap_err();
        assert!(error.contains(ABSENT) && error.contains("ResourceNotFoundException"), "{error}");
        let Some(SecretProblem::ReadFailed { setting, .. }) = event.problem() else { panic!() };
        assert_eq!(setting, expected);
    }
}
