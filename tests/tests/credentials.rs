//! Credentials from secrets: their hosts, and the reasons if they cannot be used.

mod common;

use std::sync::Arc;
use std::time::Duration;

use aws_emulator::{Authorization, Image, KmsKey, Mutability, Profile, Registry};
use common::{Account, check_success, failure_reason, index};
use serde_json::{Value, json};

const PRIVATE: &str = "registry.acme.example";
const PASSWORD: &str = "planted-upstream-password-5Tr1";
const REGION: &str = "eu-west-1";

fn secret(account: &str, name: &str) -> String {
    format!("arn:aws:secretsmanager:{REGION}:{account}:secret:{name}-AbCdEf")
}

/// An account, and a registry whose only image is private.
struct Case {
    account: Account,
    registry: Arc<Registry>,
    image: Image,
}

impl Case {
    async fn with(settings: &[(&str, String)]) -> Self {
        let settings: Vec<_> =
            settings.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let account =
            Account::with(Mutability::Mutable, |function| function.environment.extend(settings)).await;
        let registry = account
            .world
            .emulator
            .add_upstream(Profile { rejects_wrong_credentials: true, ..Profile::bearer(PRIVATE) });
        let image = index(7);
        registry.put_image("acme/app", "1", &image);
        registry.add_user("ann", PASSWORD);
        registry.make_private("acme/app", &["ann"]);
        Self { account, registry, image }
    }

    fn account_id(&self) -> String {
        self.account.world.emulator.settings().account.clone()
    }

    /// Stores a secret in this account. Returns its ARN.
    fn store(&self, name: &str, value: &Value) -> String {
        let arn = secret(&self.account_id(), name);
        self.account.world.emulator.secrets().put(&arn, &value.to_string());
        arn
    }

    fn properties(&self, image: &str, arn: Option<&str>) -> Value {
        let mut properties = self.account.properties(image);
        if let Some(arn) = arn {
            properties["CredentialArn"] = json!(arn);
        }
        properties
    }

    /// Returns the source hosts that got credentials.
    fn hosts_with_credentials(&self) -> Vec<String> {
        let entries = self.account.world.emulator.log().entries();
        let authorized = entries.into_iter().filter(|entry| entry.authorization == Authorization::Basic);
        let mut hosts: Vec<String> =
            authorized.map(|entry| entry.host).filter(|host| !host.contains(".dkr.ecr.")).collect();
        hosts.dedup();
        hosts
    }

    fn secret_reads(&self) -> usize {
        let entries = self.account.world.emulator.log().entries();
        entries.iter().filter(|entry| entry.operation.contains("GetSecretValue")).count()
    }
}

#[tokio::test]
async fn copies_private_images_with_a_secret_that_is_read_once() {
    let case = Case::with(&[]).await;
    let value = json!({"username": "ann", "password": PASSWORD, "registry": PRIVATE});
    let arn = case.store("acme", &json!({"acme": value.to_string()}));
    for tag in ["1", "2"] {
        case.registry.put_image("acme/app", tag, &case.image);
        let reference = format!("{PRIVATE}/acme/app:{tag}");
        let response = case.account.create(case.properties(&reference, Some(&format!("{arn}:acme::")))).await;
        check_success(&response);
        case.account.check_stored(tag, &case.image);
        // Otherwise, the next event gets a new sandbox.
        assert!(case.account.world.function.wait_until_idle(Duration::from_secs(10)).await);
    }
    assert_eq!(case.secret_reads(), 1);
    assert!(!case.account.world.function.output().join("\n").contains(PASSWORD));
}

#[tokio::test]
async fn uses_default_credentials_without_credential_arn() {
    let parameter = format!("arn:aws:ssm:{REGION}:123456789012:parameter/credentials/acme");
    let case = Case::with(&[("REGISTRY_CREDENTIALS", format!("{PRIVATE}={parameter}"))]).await;
    assert_eq!(case.account_id(), "123456789012");
    let value = json!({"username": "ann", "accessToken": PASSWORD});
    case.account.world.emulator.parameters().put(&parameter, &value.to_string());
    let response = case.account.create(case.properties(&format!("{PRIVATE}/acme/app:1"), None)).await;
    check_success(&response);
    case.account.check_stored("1", &case.image);
}

#[tokio::test]
async fn credentials_without_a_registry_are_not_sent_to_other_registries() {
    let case = Case::with(&[]).await;
    let bare = json!({"username": "ann", "password": PASSWORD});
    let arn = case.store("hub", &bare);
    let response = case.account.create(case.properties(&format!("{PRIVATE}/acme/app:1"), Some(&arn))).await;
    let reason = failure_reason(&response);
    let expected = format!("add \"registry\": \"{PRIVATE}\" to the secret");
    assert!(reason.contains(&arn) && reason.contains(&expected), "{reason}");
    assert!(!reason.contains(PASSWORD), "{reason}");
    assert_eq!(case.hosts_with_credentials(), [] as [&str; 0]);
    // A corrected secret works at once.
    case.store("hub", &json!({"username": "ann", "password": PASSWORD, "registry": [PRIVATE]}));
    check_success(&case.account.create(case.properties(&format!("{PRIVATE}/acme/app:1"), Some(&arn))).await);
}

#[tokio::test]
async fn a_wrong_password_is_sent_once_for_each_event() {
    let case = Case::with(&[]).await;
    let arn = case.store("acme", &json!({"username": "ann", "password": "wrong", "registry": PRIVATE}));
    let reference = format!("{PRIVATE}/acme/app:1");
    let response = case.account.create(case.properties(&reference, Some(&arn))).await;
    assert!(failure_reason(&response).contains("Correct the credentials in the secret"), "{response:?}");
    let entries = case.account.world.emulator.log().entries();
    let attempts = entries
        .iter()
        .filter(|entry| entry.authorization == Authorization::Basic && entry.host.ends_with(PRIVATE));
    let attempts: Vec<_> =
        attempts.map(|entry| (&entry.host, &entry.operation, &entry.target, entry.status)).collect();
    assert_eq!(attempts.len(), 1, "a second attempt can lock the account: {attempts:?}");
    // A rotated secret works without a new sandbox.
    case.store("acme", &json!({"username": "ann", "password": PASSWORD, "registry": PRIVATE}));
    check_success(&case.account.create(case.properties(&reference, Some(&arn))).await);
}

#[tokio::test]
async fn names_the_missing_permission_for_a_secret() {
    let case = Case::with(&[]).await;
    let value = json!({"username": "ann", "password": PASSWORD, "registry": PRIVATE}).to_string();
    let secrets = case.account.world.emulator.secrets();
    let (missing, denied) = (secret(&case.account_id(), "missing"), secret(&case.account_id(), "denied"));
    let (foreign, broken) = (secret("999988887777", "foreign"), secret(&case.account_id(), "broken"));
    for arn in [&denied, &foreign, &broken] {
        secrets.put(arn, &value);
    }
    secrets.deny(&denied);
    secrets.set_key(&broken, KmsKey::AccessDenied);
    for (arn, expected) in [
        (missing, "Check the ARN in CredentialArn."),
        (denied, "provider's parameter SecretArns"),
        (foreign, "in its policy, kms:Decrypt in its key policy"),
        (broken, "KmsKeyArns"),
    ] {
        let response =
            case.account.create(case.properties(&format!("{PRIVATE}/acme/app:1"), Some(&arn))).await;
        let reason = failure_reason(&response);
        assert!(reason.contains(&arn) && reason.contains(expected), "{reason}");
    }
    assert_eq!(case.hosts_with_credentials(), [] as [&str; 0]);
}

#[tokio::test]
async fn rejects_a_source_that_is_not_allowed_without_requests() {
    let case = Case::with(&[("ALLOWED_SOURCES", "docker.io/library, quay.io/prometheus".into())]).await;
    case.account.publish("3.13", &index(1));
    let before = case.account.mark();
    let response = case.account.create(case.account.properties("libary/python:3.13")).await;
    let reason = failure_reason(&response);
    assert!(reason.contains("Source docker.io/libary/python:3.13 is not allowed"), "{reason}");
    assert!(reason.contains("The nearest allowed prefix is docker.io/library."), "{reason}");
    let requests = case.account.world.emulator.log().since(before);
    assert!(requests.iter().all(|entry| entry.service == "response"), "{requests:?}");
    check_success(&case.account.create(case.account.properties("python:3.13")).await);
}

#[tokio::test]
async fn fips_and_dual_stack_change_only_the_hosts() {
    for (settings, host) in [
        (&["AWS_USE_FIPS_ENDPOINT"][..], ".dkr.ecr-fips."),
        (&["AWS_USE_DUALSTACK_ENDPOINT"], ".dkr-ecr."),
        (&["AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"], ".dkr-ecr-fips."),
    ] {
        let settings: Vec<_> = settings.iter().map(|name| (*name, "true".to_owned())).collect();
        let case = Case::with(&settings).await;
        case.account.publish("3.13", &index(1));
        let response = case.account.create(case.account.properties("python:3.13")).await;
        check_success(&response);
        case.account.check_stored("3.13", &index(1));
        let id = response.physical_id.clone();
        assert_eq!(id, format!("{}:3.13", case.account.repository.uri()), "{host}");
        let entries = case.account.world.emulator.log().entries();
        assert!(entries.iter().any(|entry| entry.host.contains(host)), "{host}");
        assert!(!entries.iter().any(|entry| entry.host.contains(".dkr.ecr.")), "{host}");
    }
}
