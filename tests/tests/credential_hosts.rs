//! A login goes to the host it is for, whatever other hosts say.

#![expect(clippy::unwrap_used, reason = "what cannot be set up ends the test")]

mod engine;

use std::sync::Arc;

use aws_emulator::{
    Authorization, Effect, Emulator, Fault, HostileHost, Image, ImageBuilder, LogPosition, Profile,
};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use engine::{Engine, Logins};

const ATTACKER: &str = "attacker.example";
const HONEST: &str = "registry.acme.example";
const PASSWORD: &str = "right-pass+word/9";

/// Challenges of the attacker: for a password, for a token of its own service, and for a token of a service
/// that is somebody else's, by which it would be given what opens a private image.
const CHALLENGES: [&str; 4] = [
    "Basic realm=\"mirror\"",
    "Bearer realm=\"https://attacker.example/token\",service=\"attacker\"",
    "Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\",scope=\"repository:acme/secret:pull\"",
    "Bearer realm=\"https://token.registry.acme.example/token\",service=\"registry.acme.example\",scope=\"repository:acme/app:pull\"",
];

struct Trap {
    emulator: Emulator,
    attacker: Arc<HostileHost>,
    engine: Engine,
    image: Image,
}

impl Trap {
    /// Docker Hub and another registry with a private image each, logins for both, and an attacker.
    async fn new(challenge: &str) -> Self {
        let emulator = Emulator::start().await.unwrap();
        emulator.ecr().remove_rate_limits();
        let image = ImageBuilder::new(1).layers(&[20_000]).index();
        let honest = emulator.add_upstream(Profile::bearer(HONEST));
        for (registry, repository) in [(emulator.docker_hub(), "acme/secret"), (&honest, "acme/app")] {
            registry.put_image(repository, "1", &image);
            registry.add_user("ann", PASSWORD);
            registry.make_private(repository, &["ann"]);
        }
        let attacker = HostileHost::new(&[ATTACKER], challenge);
        emulator.add(attacker.clone());
        let logins =
            Logins::default().with("registry-1.docker.io", "ann", PASSWORD).with(HONEST, "ann", PASSWORD);
        let engine = Engine::new(&emulator, "team/app", logins, &[]);
        Self { emulator, attacker, engine, image }
    }

    /// Redirects this request at the honest registry to the attacker.
    fn redirect(&self, operation: &str, path: &str) {
        let location = format!("https://{ATTACKER}{path}");
        self.emulator.faults().add(Fault::on(operation, Effect::Redirect { location }));
    }

    /// That the attacker was asked, and was given no password and no token that opens anything.
    fn check_nothing_was_stolen(&self, mark: LogPosition, what: &str) {
        let everything = self.attacker.everything();
        assert!(!everything.is_empty(), "{what}: the attacker was asked");
        let encoded = BASE64_STANDARD.encode(format!("ann:{PASSWORD}"));
        for secret in [PASSWORD, &encoded, "right-pass%2Bword%2F9", "right-pass%2bword%2f9"] {
            assert!(!everything.contains(secret), "{what}: {everything}");
        }
        let basic = self.attacker.authorizations().iter().any(|value| value.starts_with("Basic"));
        assert!(!basic, "{what}: {everything}");
        // A token that was given to nobody opens nothing; one that ann's password bought would.
        for token in self.attacker.authorizations() {
            for (host, repository) in [("registry-1.docker.io", "acme/secret"), (HONEST, "acme/app")] {
                let opens = self.opens(host, repository, &token);
                assert!(!opens, "{what}: the attacker can read {host}/{repository}");
            }
        }
        let foreign = self.emulator.log().since(mark).into_iter().filter(|entry| entry.host == ATTACKER);
        for entry in foreign {
            assert_ne!(entry.authorization, Authorization::Basic, "{what}: {entry:?}");
        }
    }

    fn opens(&self, host: &str, repository: &str, token: &str) -> bool {
        let registry = match host {
            HONEST => self.emulator.upstream(HONEST).unwrap(),
            _ => Arc::clone(self.emulator.docker_hub()),
        };
        token.strip_prefix("Bearer ").is_some_and(|token| registry.allows_pull(token, repository))
    }
}

#[tokio::test]
async fn an_attacker_named_as_the_source_gets_no_login_of_others() {
    for challenge in CHALLENGES {
        let trap = Trap::new(challenge).await;
        let mark = trap.emulator.log().mark();
        let error = trap.engine.copy("attacker.example/acme/app:1").await.unwrap_err();
        trap.check_nothing_was_stolen(mark, challenge);
        for entry in trap.emulator.log().matching(mark, "token") {
            assert_eq!(entry.authorization, Authorization::None, "{challenge}: asked as nobody");
        }
        assert!(
            error.to_string().starts_with("source attacker.example/acme/app:1 cannot be read"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_mirror_gets_no_login_of_the_registry_that_it_mirrors() {
    for challenge in CHALLENGES {
        let trap = Trap::new(challenge).await;
        let mark = trap.emulator.log().mark();
        let mirror = format!("{HONEST}/acme={ATTACKER}/acme").parse().unwrap();
        let outcome = trap.engine.copy_by_way_of(&format!("{HONEST}/acme/app:1"), &[mirror]).await;
        trap.check_nothing_was_stolen(mark, challenge);
        assert_eq!(outcome.unwrap().digest.as_str(), trap.image.digest(), "the registry itself served");
    }
}

#[tokio::test]
async fn a_redirect_takes_no_login_along() {
    for challenge in CHALLENGES {
        for operation in ["manifest.head", "manifest.get", "blob.get", "blob.content"] {
            let trap = Trap::new(challenge).await;
            trap.redirect(operation, "/v2/acme/app/anything");
            let mark = trap.emulator.log().mark();
            let source = match operation {
                "manifest.head" => format!("{HONEST}/acme/app:1"),
                _ => format!("{HONEST}/acme/app@{}", trap.image.digest()),
            };
            let result = trap.engine.copy(&source).await;
            let what = format!("{operation}, {challenge}");
            trap.check_nothing_was_stolen(mark, &what);
            // What HEAD does not tell, GET may.
            assert!(result.is_err() || operation == "manifest.head", "{what}: {result:?}");
        }
    }
}

#[tokio::test]
async fn a_token_service_sends_no_login_on() {
    let trap = Trap::new(CHALLENGES[0]).await;
    trap.redirect("token", "/token");
    let error = trap.engine.copy(&format!("{HONEST}/acme/app:1")).await.unwrap_err();
    let expected =
        format!("source {HONEST}/acme/app:1 cannot be read: registry says 307 Temporary Redirect.");
    assert_eq!(error.to_string(), expected);
    assert_eq!(trap.attacker.everything(), "", "a token service is not followed anywhere");
}

#[tokio::test]
async fn a_token_service_without_tls_or_at_a_private_address_is_not_asked() {
    for (realm, reason) in [
        ("http://attacker.example/token", "not https"),
        ("https://169.254.169.254/token", "link-local"),
        ("https://10.0.0.1/token", "private"),
        ("https://localhost/token", "loopback"),
    ] {
        let trap = Trap::new(CHALLENGES[0]).await;
        let attacker =
            HostileHost::new(&["realm.example"], &format!("Bearer realm=\"{realm}\",service=\"x\""));
        trap.emulator.add(attacker.clone());
        let logins = Logins::default().with("realm.example", "ann", PASSWORD);
        let engine = Engine::new(&trap.emulator, "team/other", logins, &[]);
        let error = engine.copy("realm.example/acme/app:1").await.unwrap_err().to_string();
        assert!(error.contains(reason), "{realm}: {error}");
        assert_eq!(attacker.authorizations(), Vec::<String>::new());
        assert_eq!(trap.attacker.everything(), "", "{realm}");
    }
}
