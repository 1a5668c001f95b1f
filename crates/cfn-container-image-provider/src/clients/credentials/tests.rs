//! Whose login goes where, and how often a secret is read for it.

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

/// Secrets by ARN, and the calls that were made.
#[derive(Clone, Default)]
struct Aws(Arc<Mutex<Held>>);

type Held = (BTreeMap<String, String>, Vec<String>);

impl Aws {
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

    /// What was asked for since the last time.
    fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().1)
    }

    fn response(&self, name: &str, input: &Value) -> Result<Value, &'static str> {
        let mut state = self.0.lock().unwrap();
        let (secrets, calls) = &mut *state;
        let asked = input["SecretId"].as_str().or(input["Name"].as_str());
        calls.push(asked.unwrap_or(name).to_owned());
        let found = |arn: Option<&str>| arn.and_then(|arn| secrets.get(arn)).cloned();
        match name {
            "GetSecretValue" => {
                found(asked).map(|text| json!({"SecretString": text})).ok_or("ResourceNotFoundException")
            }
            "GetParameter" => found(asked)
                .map(|text| json!({"Parameter": {"Type": "SecureString", "Value": text}}))
                .ok_or("ParameterNotFound"),
            // base64 of `AWS:ecr`.
            "GetAuthorizationToken" if input.get("registryIds").is_none() => {
                Ok(json!({"authorizationData": [{"authorizationToken": "QVdTOmVjcg=="}]}))
            }
            _ => Err("AccessDeniedException"),
        }
    }

    fn logins(&self, listed: &str) -> Arc<SharedCredentials> {
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

fn event(logins: &Arc<SharedCredentials>, arn: Option<&str>, named: &str) -> SourceCredentials {
    SourceCredentials::new(logins, arn.map(|arn| arn.parse().unwrap()), repository(named), None)
}

/// A repository by its name, or one of the registry.
fn repository(name: &str) -> oci::Repository {
    let (host, path) = name.split_once('/').unwrap_or((name, "acme/app"));
    oci::Repository::new(host.parse().unwrap(), path).unwrap()
}

/// The password that goes to a host, or the error.
async fn password(event: &SourceCredentials, host: &str) -> Result<Option<String>, String> {
    let login = event.credentials_for(&repository(host), None).await.map_err(|error| error.to_string())?;
    Ok(login.map(|login| login.password.expose_secret().to_owned()))
}

#[tokio::test]
async fn a_login_comes_from_the_template_else_the_installer_else_aws() {
    let aws = Aws::new();
    let logins = aws.logins(&format!("quay.io={QUAY},registry.acme.example={MIRROR}"));
    for (arn, named, host, expected) in [
        (Some(BARE), "docker.io", HUB, Some("planted-hub-1")),
        (Some(QUAY), "quay.io", "quay.io", Some("planted-quay-1")),
        (None, "quay.io", "quay.io", Some("planted-quay-1")),
        // A bare login goes where the installer says, and no longer to Docker Hub.
        (None, "registry.acme.example", "registry.acme.example", Some("planted-mirror-1")),
        (Some(MIRROR), "registry.acme.example", "registry.acme.example", Some("planted-mirror-1")),
        (None, "docker.io", HUB, None),
        (None, ECR, ECR, Some("ecr")),
        (None, "evil.example", "evil.example", None),
        // Mirrors: of the template's login only what is theirs, else the installer's or AWS's own.
        (Some(BARE), "docker.io", "quay.io", Some("planted-quay-1")),
        (Some(BARE), "docker.io", "registry.acme.example", Some("planted-mirror-1")),
        (Some(BARE), "docker.io", ECR, Some("ecr")),
        (Some(BARE), "docker.io", "public.ecr.aws", None),
        (Some(ABSENT), "docker.io", ECR, Some("ecr")),
    ] {
        let event = event(&logins, arn, named);
        assert_eq!(password(&event, host).await.unwrap().as_deref(), expected, "{arn:?} {named} {host}");
        assert_eq!(event.problem(), None);
    }
}

#[tokio::test]
async fn a_login_for_a_part_of_a_registry_goes_to_this_part_of_the_source_and_of_mirrors() {
    let aws = Aws::new();
    let entry = |password: &str| json!({"username": "me", "password": password});
    let auths = json!({"quay.io/acme": entry("planted-acme"), "ghcr.io/mirror": entry("planted-mirror"),
        "ghcr.io/mirror/private": entry("planted-private")});
    aws.put(BARE, &json!({ "auths": auths }).to_string());
    let logins = aws.logins("");
    let found = async |named: &str, name: &str| password(&event(&logins, Some(BARE), named), name).await;
    for (named, name, expected) in [
        ("quay.io/acme/app", "quay.io/acme/app", Some("planted-acme")),
        ("quay.io/acme/app", "ghcr.io/mirror/acme/app", Some("planted-mirror")),
        ("quay.io/acme/app", "ghcr.io/mirror/private/app", Some("planted-private")),
        ("quay.io/acme/app", "ghcr.io/other/acme/app", None),
        // A mirror within the registry of the source.
        ("quay.io/acme/app", "quay.io/mirror/app", None),
    ] {
        assert_eq!(found(named, name).await.unwrap().as_deref(), expected, "{named} {name}");
    }
    let error = found("quay.io/other/app", "quay.io/other/app").await.unwrap_err();
    assert!(error.contains("without a login for quay.io/other/app") && !error.contains("planted"), "{error}");
}

#[tokio::test]
async fn a_secret_goes_to_no_registry_that_a_template_makes_up() {
    let aws = Aws::new();
    let logins = aws.logins(&format!("quay.io={QUAY},registry.acme.example={MIRROR}"));
    for arn in [BARE, QUAY, MIRROR] {
        for host in ["evil.example", "docker.io.evil.example", "quay.io:8443", ECR, "public.ecr.aws"] {
            let event = event(&logins, Some(arn), host);
            let error = password(&event, host).await.unwrap_err();
            assert!(error.contains(arn) && error.contains(host), "{error}");
            assert!(matches!(event.problem(), Some(SecretProblem::Unusable { .. })));
            assert!(!format!("{error} {:?}", event.problem()).contains("planted"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_secret_is_read_once_for_all_events() {
    let aws = Aws::new();
    let logins = aws.logins("");
    let events: Vec<_> = (0..8).map(|_| event(&logins, Some(BARE), "docker.io")).collect();
    let all = futures_util::future::join_all(events.iter().map(|event| password(event, HUB))).await;
    assert!(all.iter().all(|found| found.as_ref().unwrap().as_deref() == Some("planted-hub-1")));
    for event in &events {
        password(event, "mirror.example").await.unwrap();
    }
    assert_eq!(aws.calls(), [BARE]);
}

#[tokio::test]
async fn a_refused_login_is_read_again_and_tried_again_only_when_it_changed() {
    let aws = Aws::new();
    let logins = aws.logins("");
    let event = event(&logins, Some(BARE), "docker.io");
    let first = event.credentials_for(&repository(HUB), None).await.unwrap().unwrap();
    let same = event.credentials_for(&repository(HUB), Some(&first)).await.unwrap().unwrap();
    assert_eq!(first, same, "which the client does not send a second time");
    aws.put(BARE, r#"{"username": "hub", "password": "planted-hub-2"}"#);
    let next = event.credentials_for(&repository(HUB), Some(&first)).await.unwrap().unwrap();
    assert_eq!(next.password.expose_secret(), "planted-hub-2");
    assert_eq!(aws.calls(), [BARE, BARE, BARE]);
    // Another task that still holds the old one.
    assert_eq!(event.credentials_for(&repository(HUB), Some(&first)).await.unwrap().unwrap(), next);
    assert_eq!(aws.calls(), [] as [&str; 0]);
    aws.0.lock().unwrap().0.clear();
    assert_eq!(
        event.credentials_for(&repository(HUB), Some(&next)).await.unwrap().unwrap(),
        next,
        "the 401 says more"
    );
}

#[tokio::test]
async fn a_corrected_secret_serves_the_next_event() {
    let aws = Aws::new();
    let logins = aws.logins("");
    assert!(password(&event(&logins, Some(BARE), "quay.io"), "quay.io").await.is_err());
    aws.put(BARE, r#"{"username": "hub", "password": "planted-3", "registry": ["quay.io"]}"#);
    let found = password(&event(&logins, Some(BARE), "quay.io"), "quay.io").await.unwrap();
    assert_eq!(found.as_deref(), Some("planted-3"));
    assert!(password(&event(&logins, Some(BARE), "docker.io"), HUB).await.is_err());
}

#[tokio::test]
async fn a_secret_that_is_not_there_is_a_problem_of_whoever_named_it() {
    let aws = Aws::new();
    let logins = aws.logins(&format!("quay.io={ABSENT}"));
    for (arn, host, expected) in [
        (Some(ABSENT), "ghcr.io", SecretSetting::CredentialArn),
        (None, "quay.io", SecretSetting::RegistryCredentials),
    ] {
        let event = event(&logins, arn, host);
        let error = password(&event, host).await.unwrap_err();
        assert!(error.contains(ABSENT) && error.contains("ResourceNotFoundException"), "{error}");
        let Some(SecretProblem::ReadFailed { setting, .. }) = event.problem() else { panic!() };
        assert_eq!(setting, expected);
    }
}
