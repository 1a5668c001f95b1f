//! Whoever writes a template may name any registry and any secret that the function can read. The
//! login in somebody else's secret still goes nowhere but to the registry that it is for.

#![expect(clippy::unwrap_used, reason = "what cannot be set up ends the test")]

mod common;

use std::sync::Arc;

use aws_emulator::{Effect, Fault, HostileHost, ImageBuilder, LogPosition, Mutability, Profile, Registry};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use common::planted::{forms, found};
use common::{Account, failure, succeeded};
use serde_json::{Value, json};

const ATTACKER: &str = "attacker.example";
/// Names that look like part of an honest registry's.
const LOOKALIKES: [&str; 3] =
    [ATTACKER, "docker.io.attacker.example", "registry.acme.example.attacker.example"];
const HONEST: &str = "registry.acme.example";
const PASSWORD: &str = "planted+login/of=others-6Wd1";

/// Challenges of the attacker: for a password, for a token of its own service, and for a token of somebody
/// else's service, which would open a private image.
const CHALLENGES: [&str; 4] = [
    "Basic realm=\"mirror\"",
    "Bearer realm=\"https://attacker.example/token\",service=\"attacker\"",
    "Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\",scope=\"repository:acme/secret:pull\"",
    "Bearer realm=\"https://token.registry.acme.example/token\",service=\"registry.acme.example\",scope=\"repository:acme/secret:pull\"",
];

/// Somebody else's secret.
struct Secret {
    form: &'static str,
    /// What a template writes to name it.
    arn: String,
    /// The registry that it is for.
    home: &'static str,
}

struct Trap {
    account: Account,
    attacker: Arc<HostileHost>,
    secrets: Vec<Secret>,
}

fn arn(name: &str) -> String {
    format!("arn:aws:secretsmanager:eu-west-1:123456789012:secret:{name}-AbCdEf")
}

impl Trap {
    /// An account with secrets of every form, two honest registries with what these open, and an attacker.
    async fn new(challenge: &str, mirrors: &str) -> Self {
        let listed = format!("{HONEST}={}", arn("listed"));
        let variables = [("REGISTRY_CREDENTIALS", listed), ("SOURCE_MIRRORS", mirrors.to_owned())];
        let account = Account::with(Mutability::Mutable, |settings| {
            settings.environment.extend(variables.map(|(name, value)| (name.to_owned(), value)));
        })
        .await;
        let secrets = store_secrets(&account);
        let honest = account.world.emulator.add_upstream(Profile::bearer(HONEST));
        for registry in [account.world.emulator.docker_hub(), &honest] {
            registry.add_user("ann", PASSWORD);
            for (seed, secret) in (1..).zip(&secrets) {
                registry.put_image(
                    "acme/secret",
                    secret.form,
                    &ImageBuilder::new(seed).layers(&[9000]).single(),
                );
            }
            registry.make_private("acme/secret", &["ann"]);
        }
        let hosts: Vec<String> = secrets.iter().flat_map(|secret| thieves(secret.form)).collect();
        let hosts: Vec<&str> = hosts.iter().map(String::as_str).chain(LOOKALIKES).collect();
        let attacker = HostileHost::new(&hosts, challenge);
        account.world.emulator.add(attacker.clone());
        Self { account, attacker, secrets }
    }

    fn registries(&self) -> [Arc<Registry>; 2] {
        let emulator = &self.account.world.emulator;
        [emulator.docker_hub().clone(), emulator.upstream(HONEST).unwrap()]
    }

    /// The private image that a secret opens.
    fn image(&self, secret: &Secret, by_digest: bool) -> String {
        let digest = self.registries()[0].resolve("acme/secret", secret.form).unwrap();
        let digest = if by_digest { format!("@{digest}") } else { String::new() };
        format!("{}/acme/secret:{}{digest}", secret.home, secret.form)
    }

    fn properties(&self, image: &str, secret: Option<&Secret>) -> Value {
        let mut properties = self.account.properties(image);
        if let Some(secret) = secret {
            properties["CredentialArn"] = json!(secret.arn);
        }
        properties
    }

    /// That the attacker was asked since, and holds nothing of a login, nor a token that opens anything.
    fn check_nothing_was_stolen(&self, since: LogPosition, what: &str) {
        let entries = self.account.world.emulator.log().since(since);
        assert!(entries.iter().any(|entry| entry.service == "attacker"), "{what}: the attacker was asked");
        let everything = self.attacker.everything();
        for secret in [PASSWORD, &BASE64_STANDARD.encode(format!("ann:{PASSWORD}"))] {
            assert_eq!(found(secret, &everything), None, "{what}: {everything}");
        }
        for authorization in self.attacker.authorizations() {
            // Who is nobody may carry a token of nobody's.
            let token = authorization.strip_prefix("Bearer ");
            let token = token.unwrap_or_else(|| panic!("{what}: {authorization}"));
            for registry in self.registries() {
                assert!(!registry.allows_pull(token, "acme/secret"), "{what}: a token opens what is private");
            }
        }
    }
}

/// Hosts of the attacker's that one secret alone is tried at: what a host once asked is remembered.
fn thieves(form: &str) -> [String; 3] {
    LOOKALIKES.map(|host| format!("{form}.{host}"))
}

/// Puts a login of ann's into a secret of each form.
fn store_secrets(account: &Account) -> Vec<Secret> {
    let basic = BASE64_STANDARD.encode(format!("ann:{PASSWORD}"));
    let config = json!({"auths": {HONEST: {"auth": basic}, "https://index.docker.io/v1/": {"auth": basic}}});
    let password = json!({"username": "ann", "password": PASSWORD});
    let token = json!({"username": "ann", "accessToken": PASSWORD});
    let with_registry = json!({"username": "ann", "password": PASSWORD, "registry": HONEST});
    let under_a_key = json!({"acme": with_registry.to_string()});
    let secrets = account.world.emulator.secrets();
    let mut stored = Vec::new();
    for (form, value, key, home) in [
        ("password", &password, "", "docker.io"),
        ("token", &token, "", "docker.io"),
        ("with-registry", &with_registry, "", HONEST),
        ("under-a-key", &under_a_key, ":acme::", HONEST),
        ("config", &config, "", HONEST),
        ("listed", &password, "", HONEST),
    ] {
        secrets.put(&arn(form), &value.to_string());
        stored.push(Secret { form, arn: arn(form) + key, home });
    }
    let parameter = "arn:aws:ssm:eu-west-1:123456789012:parameter/logins/ann";
    account.world.emulator.parameters().put(parameter, &password.to_string());
    stored.push(Secret { form: "parameter", arn: parameter.to_owned(), home: "docker.io" });
    stored
}

#[tokio::test]
async fn an_attacker_named_by_the_template_gets_no_login() {
    for challenge in CHALLENGES {
        let trap = Trap::new(challenge, "").await;
        for secret in &trap.secrets {
            for host in thieves(secret.form) {
                let what = format!("{host}, {challenge}");
                let mark = trap.account.mark();
                let image = format!("{host}/acme/secret:1");
                let answer = trap.account.create(trap.properties(&image, Some(secret))).await;
                trap.check_nothing_was_stolen(mark, &what);
                let reason = failure(&answer);
                assert!(reason.contains(&host) && !reason.contains(PASSWORD), "{what}: {reason}");
            }
        }
        // Nor do logins go there that the installer has listed for others.
        for host in LOOKALIKES {
            let mark = trap.account.mark();
            let image = format!("{host}/acme/secret:1");
            failure(&trap.account.create(trap.properties(&image, None)).await);
            trap.check_nothing_was_stolen(mark, host);
        }
    }
}

#[tokio::test]
async fn an_attacker_that_an_honest_registry_redirects_to_gets_no_login() {
    for challenge in CHALLENGES {
        let trap = Trap::new(challenge, "").await;
        // In this order: after the second the image is there, and a tag alone is still asked for.
        for (operation, by_digest) in [("manifest.get", true), ("blob.get", true), ("manifest.head", false)] {
            for secret in &trap.secrets {
                let what = format!("{operation}, {}, {challenge}", secret.form);
                let host = if secret.home == HONEST { HONEST } else { "registry-1.docker.io" };
                let location = format!("https://{ATTACKER}/v2/acme/secret/anything");
                let redirect = Fault::on(operation, Effect::Redirect { location }).host(host).once();
                trap.account.world.emulator.faults().add(redirect);
                let mark = trap.account.mark();
                let image = trap.image(secret, by_digest);
                let answer = trap.account.create(trap.properties(&image, Some(secret))).await;
                trap.account.world.emulator.faults().clear();
                trap.check_nothing_was_stolen(mark, &what);
                // A blob is asked for again, where it is then had.
                let text = format!("{answer:?}");
                assert_eq!(found(PASSWORD, &text), None, "{what}");
            }
        }
    }
}

#[tokio::test]
async fn an_attacker_that_a_token_service_redirects_to_is_not_asked() {
    let trap = Trap::new(CHALLENGES[0], "").await;
    let location = format!("https://{ATTACKER}/token");
    trap.account.world.emulator.faults().add(Fault::on("token", Effect::Redirect { location }));
    for secret in &trap.secrets {
        let answer = trap.account.create(trap.properties(&trap.image(secret, false), Some(secret))).await;
        assert!(failure(&answer).contains("307"), "{}: {answer:?}", secret.form);
    }
    assert_eq!(trap.attacker.everything(), "");
}

#[tokio::test]
async fn a_mirror_gets_no_login_of_what_it_mirrors() {
    let mirrors = format!("docker.io/acme={ATTACKER}/acme, {HONEST}/acme={ATTACKER}/acme");
    for challenge in CHALLENGES {
        let trap = Trap::new(challenge, &mirrors).await;
        for secret in &trap.secrets {
            let what = format!("{}, {challenge}", secret.form);
            let mark = trap.account.mark();
            let answer = trap.account.create(trap.properties(&trap.image(secret, false), Some(secret))).await;
            trap.check_nothing_was_stolen(mark, &what);
            // The registry itself served, with this very login.
            succeeded(&answer);
        }
    }
}

#[tokio::test]
async fn the_trap_catches_what_is_meant_for_it() {
    let trap = Trap::new(CHALLENGES[0], "").await;
    let own = json!({"username": "ann", "password": PASSWORD, "registry": ATTACKER});
    trap.account.world.emulator.secrets().put(&arn("own"), &own.to_string());
    let secret = Secret { form: "own", arn: arn("own"), home: ATTACKER };
    failure(&trap.account.create(trap.properties(&format!("{ATTACKER}/a/b:1"), Some(&secret))).await);
    assert!(found(&format!("ann:{PASSWORD}"), &trap.attacker.everything()).is_some());
}

#[test]
fn the_search_knows_what_it_looks_for() {
    let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("ann:{PASSWORD}")));
    let form = "refresh_token=planted%2Blogin%2Fof%3Dothers-6Wd1";
    for text in [PASSWORD, &basic, form, &form.to_lowercase()] {
        assert!(found(PASSWORD, text).is_some(), "{text}");
    }
    assert!(forms(PASSWORD).iter().all(|form| form.len() > 20));
    assert_eq!(found(PASSWORD, "planted"), None);
}
