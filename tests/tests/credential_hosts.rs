//! The engine sends credentials only to their own host, regardless of challenges and redirects of other
//! hosts.

#![expect(clippy::unwrap_used, reason = "a failed setup ends the test")]

mod engine;

use std::sync::Arc;

use aws_emulator::{
    Authorization, Effect, Emulator, Fault, HostileHost, Image, ImageBuilder, LogPosition, Profile,
};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use engine::{Engine, StaticCredentials};

const ATTACKER: &str = "attacker.example";
const TRUSTED: &str = "registry.acme.example";
const PASSWORD: &str = "right-pass+word/9";

/// Challenges of the attacker: for a password, for a token of the attacker, and for tokens of other services,
/// which would give access to private images.
const CHALLENGES: [&str; 4] = [
    "Basic realm=\"mirror\"",
    "Bearer realm=\"https://attacker.example/token\",service=\"attacker\"",
    "Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\",scope=\"repository:acme/secret:pull\"",
    "Bearer realm=\"https://token.registry.acme.example/token\",service=\"registry.acme.example\",scope=\"repository:acme/app:pull\"",
];

struct Attack {
    emulator: Emulator,
    attacker: Arc<HostileHost>,
    engine: Engine,
    image: Image,
}

impl Attack {
    /// Sets up Docker Hub and another registry with private images, credentials for both, and an attacker.
    async fn new(challenge: &str) -> Self {
        let emulator = Emulator::start().await.unwrap();
        emulator.ecr().remove_rate_limits();
        let image = ImageBuilder::new(1).layers(&[20_000]).index();
        let trusted = emulator.add_upstream(Profile::bearer(TRUSTED));
        for (registry, repository) in [(emulator.docker_hub(), "acme/secret"), (&trusted, "acme/app")] {
            registry.put_image(repository, "1", &image);
            registry.add_user("ann", PASSWORD);
            registry.make_private(repository, &["ann"]);
        }
        let attacker = HostileHost::new(&[ATTACKER], challenge);
        emulator.add(attacker.clone());
        let credentials = StaticCredentials::default()
            .with("registry-1.docker.io", "ann", PASSWORD)
            .with(TRUSTED, "ann", PASSWORD);
        let engine = Engine::new(&emulator, "team/app", credentials, &[]);
        Self { emulator, attacker, engine, image }
    }

    /// Redirects an operation of the trusted registry to the attacker.
    fn redirect(&self, operation: &str, path: &str) {
        let location = format!("https://{ATTACKER}{path}");
        self.emulator.faults().add(Fault::on(operation, Effect::Redirect { location }));
    }

    /// Checks that the attacker got requests, but no password and no token that gives access.
    fn check_no_leak(&self, mark: LogPosition, case: &str) {
        let everything = self.attacker.everything();
        assert!(!everything.is_empty(), "{case}: the attacker got no request");
        let encoded = BASE64_STANDARD.encode(format!("ann:{PASSWORD}"));
        for secret in [PASSWORD, &encoded, "right-pass%2Bword%2F9", "right-pass%2bword%2f9"] {
            assert!(!everything.contains(secret), "{case}: {everything}");
        }
        let basic = self.attacker.authorizations().iter().any(|value| value.starts_with("Basic"));
        assert!(!basic, "{case}: {everything}");
        // An anonymous token gives no access. A token for ann's password does.
        for token in self.attacker.authorizations() {
            for (host, repository) in [("registry-1.docker.io", "acme/secret"), (TRUSTED, "acme/app")] {
                let has_access = self.has_access(host, repository, &token);
                assert!(!has_access, "{case}: the attacker can read {host}/{repository}");
            }
        }
        let foreign = self.emulator.log().since(mark).into_iter().filter(|entry| entry.host == ATTACKER);
        for entry in foreign {
            assert_ne!(entry.authorization, Authorization::Basic, "{case}: {entry:?}");
        }
    }

    fn has_access(&self, host: &str, repository: &str, token: &str) -> bool {
        let registry = match host {
            TRUSTED => self.emulator.upstream(TRUSTED).unwrap(),
            _ => Arc::clone(self.emulator.docker_hub()),
        };
        token.strip_prefix("Bearer ").is_some_and(|token| registry.allows_pull(token, repository))
    }
}

#[tokio::test]
async fn a_malicious_source_gets_no_credentials_of_other_hosts() {
    for challenge in CHALLENGES {
        let attack = Attack::new(challenge).await;
        let mark = attack.emulator.log().mark();
        let error = attack.engine.copy("attacker.example/acme/app:1").await.unwrap_err();
        attack.check_no_leak(mark, challenge);
        for entry in attack.emulator.log().matching(mark, "token") {
            assert_eq!(entry.authorization, Authorization::None, "{challenge}");
        }
        assert!(
            error.to_string().starts_with("Image attacker.example/acme/app:1 could not be read"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_mirror_gets_no_credentials_of_its_source() {
    for challenge in CHALLENGES {
        let attack = Attack::new(challenge).await;
        let mark = attack.emulator.log().mark();
        let mirror = format!("{TRUSTED}/acme={ATTACKER}/acme").parse().unwrap();
        let outcome = attack.engine.copy_with_mirrors(&format!("{TRUSTED}/acme/app:1"), &[mirror]).await;
        attack.check_no_leak(mark, challenge);
        assert_eq!(
            outcome.unwrap().digest.as_str(),
            attack.image.digest(),
            "the source must serve the image"
        );
    }
}

#[tokio::test]
async fn a_redirect_gets_no_credentials() {
    for challenge in CHALLENGES {
        for operation in ["manifest.head", "manifest.get", "blob.get", "blob.content"] {
            let attack = Attack::new(challenge).await;
            attack.redirect(operation, "/v2/acme/app/anything");
            let mark = attack.emulator.log().mark();
            let source = match operation {
                "manifest.head" => format!("{TRUSTED}/acme/app:1"),
                _ => format!("{TRUSTED}/acme/app@{}", attack.image.digest()),
            };
            let result = attack.engine.copy(&source).await;
            let case = format!("{operation}, {challenge}");
            attack.check_no_leak(mark, &case);
            // If HEAD fails, GET can succeed.
            assert!(result.is_err() || operation == "manifest.head", "{case}: {result:?}");
        }
    }
}

#[tokio::test]
async fn redirects_of_a_token_service_are_not_followed() {
    let attack = Attack::new(CHALLENGES[0]).await;
    attack.redirect("token", "/token");
    let error = attack.engine.copy(&format!("{TRUSTED}/acme/app:1")).await.unwrap_err();
    let expected =
        format!("Image {TRUSTED}/acme/app:1 could not be read: {TRUSTED} returned 307 Temporary Redirect.");
    assert_eq!(error.to_string(), expected);
    assert_eq!(attack.attacker.everything(), "", "the attacker got a request");
}

#[tokio::test]
async fn a_token_service_without_tls_or_at_a_private_address_gets_no_request() {
    for (realm, reason) in [
        ("http://attacker.example/token", "not https"),
        ("https://169.254.169.254/token", "link-local"),
        ("https://10.0.0.1/token", "private"),
        ("https://localhost/token", "loopback"),
    ] {
        let attack = Attack::new(CHALLENGES[0]).await;
        let attacker =
            HostileHost::new(&["realm.example"], &format!("Bearer realm=\"{realm}\",service=\"x\""));
        attack.emulator.add(attacker.clone());
        let credentials = StaticCredentials::default().with("realm.example", "ann", PASSWORD);
        let engine = Engine::new(&attack.emulator, "team/other", credentials, &[]);
        let error = engine.copy("realm.example/acme/app:1").await.unwrap_err().to_string();
        assert!(error.contains(reason), "{realm}: {error}");
        assert_eq!(attacker.authorizations(), Vec::<String>::new());
        assert_eq!(attack.attacker.everything(), "", "{realm}");
    }
}
