//! A template can name any registry and any secret that the function can read. The credentials in a secret
//! are still sent only to their own registry.

#![expect(clippy::unwrap_used, reason = "a failed setup ends the test")]

mod common;

use std::sync::Arc;

use aws_emulator::{Effect, Fault, HostileHost, ImageBuilder, LogPosition, Mutability, Profile, Registry};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use common::planted::{encodings, find_secret};
use common::{Account, check_success, failure_reason};
use serde_json::{Value, json};

const ATTACKER: &str = "attacker.example";
/// Hosts of the attacker. Some contain the name of a trusted registry.
const LOOKALIKES: [&str; 3] =
    [ATTACKER, "docker.io.attacker.example", "registry.acme.example.attacker.example"];
const TRUSTED: &str = "registry.acme.example";
const PASSWORD: &str = "planted+login/of=others-6Wd1";

/// Challenges of the attacker: for a password, for a token of the attacker, and for tokens of other services,
/// which would give access to private images.
const CHALLENGES: [&str; 4] = [
    "Basic realm=\"mirror\"",
    "Bearer realm=\"https://attacker.example/token\",service=\"attacker\"",
    "Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\",scope=\"repository:acme/secret:pull\"",
    "Bearer realm=\"https://token.registry.acme.example/token\",service=\"registry.acme.example\",scope=\"repository:acme/secret:pull\"",
];

/// A secret with credentials.
struct Secret {
    format: &'static str,
    /// Value of `CredentialArn`.
    arn: String,
    /// The registry of the credentials.
    registry: &'static str,
}

struct Attack {
    account: Account,
    attacker: Arc<HostileHost>,
    secrets: Vec<Secret>,
}

fn arn(name: &str) -> String {
    format!("arn:aws:secretsmanager:eu-west-1:123456789012:secret:{name}-AbCdEf")
}

impl Attack {
    /// Sets up an account with secrets of every format, two trusted registries with private images, and an
    /// attacker.
    async fn new(challenge: &str, mirrors: &str) -> Self {
        let listed = format!("{TRUSTED}={}", arn("listed"));
        let variables = [("REGISTRY_CREDENTIALS", listed), ("SOURCE_MIRRORS", mirrors.to_owned())];
        let account = Account::with(Mutability::Mutable, |settings| {
            settings.environment.extend(variables.map(|(name, value)| (name.to_owned(), value)));
        })
        .await;
        let secrets = store_secrets(&account);
        let trusted = account.world.emulator.add_upstream(Profile::bearer(TRUSTED));
        for registry in [account.world.emulator.docker_hub(), &trusted] {
            registry.add_user("ann", PASSWORD);
            for (seed, secret) in (1..).zip(&secrets) {
                registry.put_image(
                    "acme/secret",
                    secret.format,
                    &ImageBuilder::new(seed).layers(&[9000]).single(),
                );
            }
            registry.make_private("acme/secret", &["ann"]);
        }
        let hosts: Vec<String> = secrets.iter().flat_map(|secret| attacker_hosts(secret.format)).collect();
        let hosts: Vec<&str> = hosts.iter().map(String::as_str).chain(LOOKALIKES).collect();
        let attacker = HostileHost::new(&hosts, challenge);
        account.world.emulator.add(attacker.clone());
        Self { account, attacker, secrets }
    }

    fn registries(&self) -> [Arc<Registry>; 2] {
        let emulator = &self.account.world.emulator;
        [emulator.docker_hub().clone(), emulator.upstream(TRUSTED).unwrap()]
    }

    /// Returns a reference to the private image of a secret.
    fn image(&self, secret: &Secret, by_digest: bool) -> String {
        let digest = self.registries()[0].resolve("acme/secret", secret.format).unwrap();
        let digest = if by_digest { format!("@{digest}") } else { String::new() };
        format!("{}/acme/secret:{}{digest}", secret.registry, secret.format)
    }

    fn properties(&self, image: &str, secret: Option<&Secret>) -> Value {
        let mut properties = self.account.properties(image);
        if let Some(secret) = secret {
            properties["CredentialArn"] = json!(secret.arn);
        }
        properties
    }

    /// Checks that the attacker got requests, but no credentials and no token that gives access.
    fn check_no_leak(&self, since: LogPosition, case: &str) {
        let entries = self.account.world.emulator.log().since(since);
        assert!(
            entries.iter().any(|entry| entry.service == "attacker"),
            "{case}: the attacker got no request"
        );
        let everything = self.attacker.everything();
        for secret in [PASSWORD, &BASE64_STANDARD.encode(format!("ann:{PASSWORD}"))] {
            assert_eq!(find_secret(secret, &everything), None, "{case}: {everything}");
        }
        for authorization in self.attacker.authorizations() {
            // Anonymous tokens are allowed.
            let token = authorization.strip_prefix("Bearer ");
            let token = token.unwrap_or_else(|| panic!("{case}: {authorization}"));
            for registry in self.registries() {
                assert!(
                    !registry.allows_pull(token, "acme/secret"),
                    "{case}: a token gives access to private images"
                );
            }
        }
    }
}

/// Returns the attacker's hosts for one secret. Each secret has its own hosts, because the client remembers
/// challenges by host.
fn attacker_hosts(format: &str) -> [String; 3] {
    LOOKALIKES.map(|host| format!("{format}.{host}"))
}

/// Stores credentials in a secret of each format.
fn store_secrets(account: &Account) -> Vec<Secret> {
    let basic = BASE64_STANDARD.encode(format!("ann:{PASSWORD}"));
    let config = json!({"auths": {TRUSTED: {"auth": basic}, "https://index.docker.io/v1/": {"auth": basic}}});
    let password = json!({"username": "ann", "password": PASSWORD});
    let token = json!({"username": "ann", "accessToken": PASSWORD});
    let with_registry = json!({"username": "ann", "password": PASSWORD, "registry": TRUSTED});
    let under_a_key = json!({"acme": with_registry.to_string()});
    let secrets = account.world.emulator.secrets();
    let mut stored = Vec::new();
    for (format, value, key, registry) in [
        ("password", &password, "", "docker.io"),
        ("token", &token, "", "docker.io"),
        ("with-registry", &with_registry, "", TRUSTED),
        ("under-a-key", &under_a_key, ":acme::", TRUSTED),
        ("config", &config, "", TRUSTED),
        ("listed", &password, "", TRUSTED),
    ] {
        secrets.put(&arn(format), &value.to_string());
        stored.push(Secret { format, arn: arn(format) + key, registry });
    }
    let parameter = "arn:aws:ssm:eu-west-1:123456789012:parameter/credentials/ann";
    account.world.emulator.parameters().put(parameter, &password.to_string());
    stored.push(Secret { format: "parameter", arn: parameter.to_owned(), registry: "docker.io" });
    stored
}

#[tokio::test]
async fn a_malicious_source_gets_no_credentials() {
    for challenge in CHALLENGES {
        let attack = Attack::new(challenge, "").await;
        for secret in &attack.secrets {
            for host in attacker_hosts(secret.format) {
                let case = format!("{host}, {challenge}");
                let mark = attack.account.mark();
                let image = format!("{host}/acme/secret:1");
                let response = attack.account.create(attack.properties(&image, Some(secret))).await;
                attack.check_no_leak(mark, &case);
                let reason = failure_reason(&response);
                assert!(reason.contains(&host) && !reason.contains(PASSWORD), "{case}: {reason}");
            }
        }
        // Default credentials for other registries are not sent either.
        for host in LOOKALIKES {
            let mark = attack.account.mark();
            let image = format!("{host}/acme/secret:1");
            failure_reason(&attack.account.create(attack.properties(&image, None)).await);
            attack.check_no_leak(mark, host);
        }
    }
}

#[tokio::test]
async fn a_redirect_gets_no_credentials() {
    for challenge in CHALLENGES {
        let attack = Attack::new(challenge, "").await;
        // After the second operation the image exists, so only the HEAD of the tag is still sent.
        for (operation, by_digest) in [("manifest.get", true), ("blob.get", true), ("manifest.head", false)] {
            for secret in &attack.secrets {
                let case = format!("{operation}, {}, {challenge}", secret.format);
                let host = if secret.registry == TRUSTED { TRUSTED } else { "registry-1.docker.io" };
                let location = format!("https://{ATTACKER}/v2/acme/secret/anything");
                let redirect = Fault::on(operation, Effect::Redirect { location }).host(host).once();
                attack.account.world.emulator.faults().add(redirect);
                let mark = attack.account.mark();
                let image = attack.image(secret, by_digest);
                let response = attack.account.create(attack.properties(&image, Some(secret))).await;
                attack.account.world.emulator.faults().clear();
                attack.check_no_leak(mark, &case);
                let text = format!("{response:?}");
                assert_eq!(find_secret(PASSWORD, &text), None, "{case}");
            }
        }
    }
}

#[tokio::test]
async fn redirects_of_a_token_service_are_not_followed() {
    let attack = Attack::new(CHALLENGES[0], "").await;
    let location = format!("https://{ATTACKER}/token");
    attack.account.world.emulator.faults().add(Fault::on("token", Effect::Redirect { location }));
    for secret in &attack.secrets {
        let response =
            attack.account.create(attack.properties(&attack.image(secret, false), Some(secret))).await;
        assert!(failure_reason(&response).contains("307"), "{}: {response:?}", secret.format);
    }
    assert_eq!(attack.attacker.everything(), "");
}

#[tokio::test]
async fn a_mirror_gets_no_credentials_of_its_source() {
    let mirrors = format!("docker.io/acme={ATTACKER}/acme, {TRUSTED}/acme={ATTACKER}/acme");
    for challenge in CHALLENGES {
        let attack = Attack::new(challenge, &mirrors).await;
        for secret in &attack.secrets {
            let case = format!("{}, {challenge}", secret.format);
            let mark = attack.account.mark();
            let response =
                attack.account.create(attack.properties(&attack.image(secret, false), Some(secret))).await;
            attack.check_no_leak(mark, &case);
            // The source serves the image with these credentials.
            check_success(&response);
        }
    }
}

#[tokio::test]
async fn the_attacker_gets_its_own_credentials() {
    let attack = Attack::new(CHALLENGES[0], "").await;
    let credentials = json!({"username": "ann", "password": PASSWORD, "registry": ATTACKER});
    attack.account.world.emulator.secrets().put(&arn("own"), &credentials.to_string());
    let secret = Secret { format: "own", arn: arn("own"), registry: ATTACKER };
    failure_reason(
        &attack.account.create(attack.properties(&format!("{ATTACKER}/a/b:1"), Some(&secret))).await,
    );
    assert!(find_secret(&format!("ann:{PASSWORD}"), &attack.attacker.everything()).is_some());
}

#[test]
fn the_search_finds_all_encodings() {
    let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("ann:{PASSWORD}")));
    let form = "refresh_token=planted%2Blogin%2Fof%3Dothers-6Wd1";
    for text in [PASSWORD, &basic, form, &form.to_lowercase()] {
        assert!(find_secret(PASSWORD, text).is_some(), "{text}");
    }
    assert!(encodings(PASSWORD).iter().all(|form| form.len() > 20));
    assert_eq!(find_secret(PASSWORD, "planted"), None);
}
