//! The engine's results with every supported source registry, as one table.
//!
//! The expected table is `tests/fixtures/registries.txt`. `UPDATE_GOLDEN=1` writes it.

#![expect(clippy::unwrap_used, reason = "a failed setup ends the test")]

mod engine;
mod registry_case;

use std::fmt::Write as _;
use std::path::Path;

use aws_emulator::{AuthScheme, Effect, Fault, Log, LogPosition, Profile};
use engine::Engine;
use image_copy::copy::{Error, Outcome};
use registry_case::{RegistryCase, Upstream};

impl RegistryCase {
    /// Runs all tests with the registry. Returns one line for each result.
    async fn results(&self) -> String {
        let mut text = format!("{} ({})\n", self.name, self.host);
        let mut add = |test: &str, result: &str| writeln!(text, "  {test:<18} {result}").unwrap();
        let public = self.reference("app:1");
        let private_or_public = self.reference(if self.has_private { "private:1" } else { "app:1" });
        add("anonymous", &self.copy("anonymous", None, &public).await);
        match self.credentials() {
            None => {
                add("credentials", "not supported");
                add("wrong password", "not supported");
            }
            Some((user, password)) => {
                add("credentials", &self.copy_with_credentials((user, password), &private_or_public).await);
                let wrong = Some((user, "wrong-password"));
                add("wrong password", &self.copy("wrong password", wrong, &private_or_public).await);
            }
        }
        add("missing image", &self.copy("missing image", self.credentials(), &self.reference("app:9")).await);
        let missing = self.reference("nothing:1");
        add("missing repository", &self.copy("missing repository", self.credentials(), &missing).await);
        let private = self.reference("private:1");
        match self.has_private {
            true => add("private image", &self.copy("private image", None, &private).await),
            false => add("private image", "not supported"),
        }
        let digest = self.reference(&format!("app@{}", self.index.digest()));
        add("digest", &self.copy("digest", self.credentials(), &digest).await);
        add("tag", &self.copy("tag", self.credentials(), &self.reference("app:single")).await);
        add("index", &self.copy("index", self.credentials(), &public).await);
        add("expired token", &self.expired_token().await);
        add("resume", &self.resume().await);
        add("second copy", &self.second_copy().await);
        text
    }

    async fn copy(&self, test: &str, credentials: Option<(&str, &str)>, source: &str) -> String {
        let engine = self.engine(test, credentials);
        let mark = self.emulator.log().mark();
        let result = engine.copy(source).await;
        self.describe(&engine, mark, source, result)
    }

    /// Copies with credentials. In private ECR, the repository policy decides about access, so a shared and a
    /// denied repository are tested.
    async fn copy_with_credentials(&self, credentials: (&str, &str), source: &str) -> String {
        match self.upstream {
            Upstream::Registry(_) => self.copy("credentials", Some(credentials), source).await,
            Upstream::Ecr => {
                let shared = self.copy("credentials", Some(credentials), &self.reference("app:1")).await;
                let denied = self.copy("denied by policy", Some(credentials), source).await;
                format!("{shared}\n  {:<18} {denied}", "  denied")
            }
        }
    }

    /// Expires the token between two manifests. Registries respond differently to this.
    async fn expired_token(&self) -> String {
        let host = match &self.upstream {
            Upstream::Registry(registry)
                if matches!(registry.profile().auth, AuthScheme::Bearer | AuthScheme::BearerOrBasic) =>
            {
                registry.profile().registry_host.clone()
            }
            _ => return "no tokens".to_owned(),
        };
        let expiry = Fault::on("manifest.get", Effect::ExpireToken).host(&host).skip(1).once();
        self.emulator.faults().add(expiry);
        let result = self.copy("expired token", self.credentials(), &self.reference("app:1")).await;
        assert_eq!(self.emulator.faults().hit_count(), 1, "{}: no token expired", self.name);
        self.emulator.faults().clear();
        result
    }

    /// Interrupts the download of a layer.
    async fn resume(&self) -> String {
        let content = match &self.upstream {
            Upstream::Registry(registry) if registry.profile().blob_host.is_none() => "blob.get",
            _ => "blob.content",
        };
        let cut = Effect::Reset { after_bytes: 150_000, on: None };
        let layer = self.index.blobs.iter().find(|blob| blob.size() == 300_000).unwrap();
        self.emulator.faults().add(Fault::on(content, cut).path(layer.digest()).once());
        let mark = self.emulator.log().mark();
        let result = self.copy("resume", self.credentials(), &self.reference("app:1")).await;
        assert_eq!(self.emulator.faults().hit_count(), 1, "{}: the download was not interrupted", self.name);
        self.emulator.faults().clear();
        let entries = self.emulator.log().matching(mark, content);
        let of_layer = entries.iter().filter(|entry| entry.target.contains(layer.digest()));
        let bytes: u64 = of_layer.map(|entry| entry.response_bytes).sum();
        assert!(bytes < 450_000, "{}: {bytes} bytes were sent of a layer of 300000", self.name);
        format!("{result}, only the rest of the layer was requested again")
    }

    async fn second_copy(&self) -> String {
        let engine = self.engine("second copy", self.credentials());
        let source = self.reference("app:1");
        engine.copy(&source).await.unwrap();
        let mark = self.emulator.log().mark();
        let result = engine.copy(&source).await;
        self.describe(&engine, mark, &source, result)
    }

    /// Describes the result of a copy: its requests to the source, or its error.
    fn describe(
        &self,
        engine: &Engine,
        mark: LogPosition,
        source: &str,
        result: Result<Outcome, Error>,
    ) -> String {
        self.check_no_credentials_for_blob_hosts(mark);
        let outcome = match result {
            Ok(outcome) => outcome,
            Err(error) => {
                assert_eq!(engine.destination().resolve("copy"), None, "{}: {error}", self.name);
                return error.to_string();
            }
        };
        let image = if source.ends_with(":single") { &self.single } else { &self.index };
        assert_eq!(outcome.digest.to_string(), image.digest(), "{} {source}", self.name);
        assert_eq!(engine.destination().resolve("copy").as_deref(), Some(image.digest()));
        assert_eq!(
            engine.destination().integrity_errors("copy"),
            Vec::<String>::new(),
            "{} {source}",
            self.name
        );
        let kind = if image.manifests.len() > 1 { "index" } else { "image" };
        let log = self.emulator.log();
        let count = |operation| self.upstream_entries(log, mark, operation);
        format!(
            "{kind} of {} blobs, {} of them copied; {} HEAD and {} GET of manifests, {} tokens",
            outcome.blobs.blobs,
            outcome.blobs.copied,
            count("manifest.head"),
            count("manifest.get"),
            count("token"),
        )
    }

    /// Returns the number of successful requests to the source.
    fn upstream_entries(&self, log: &Log, mark: LogPosition, operation: &str) -> usize {
        let destination = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
        let entries = log.matching(mark, operation);
        entries.iter().filter(|e| e.host != destination && e.status == Some(200)).count()
    }

    /// Checks that blob hosts got no credentials and no token.
    fn check_no_credentials_for_blob_hosts(&self, mark: LogPosition) {
        for entry in self.emulator.log().matching(mark, "blob.content") {
            let same_host = self.host == entry.host;
            assert!(same_host || entry.authorization == aws_emulator::Authorization::None, "{entry:?}");
        }
    }
}

/// Returns every registry with a known behavior.
async fn cases() -> Vec<RegistryCase> {
    let profiles = [
        ("Docker Hub", "acme/", Some(Profile::docker_hub())),
        ("Docker Hardened Images", "", Some(Profile::docker_hardened())),
        ("ECR Public", "acme/", Some(Profile::ecr_public())),
        ("private ECR of another account", "team/", None),
        ("GHCR", "acme/", Some(Profile::ghcr())),
        ("Quay", "acme/", Some(Profile::quay())),
        ("registry.k8s.io", "", Some(Profile::kubernetes())),
        ("Artifact Registry", "acme/apps/", Some(Profile::artifact_registry("europe-west1"))),
        ("Microsoft", "acme/", Some(Profile::mcr())),
        ("ACR", "team/", Some(Profile::acr("acme"))),
        ("GitLab", "acme/group/", Some(Profile::gitlab())),
        ("Harbor", "library/", Some(Profile::harbor("harbor.acme.example"))),
        ("Artifactory", "docker-local/", Some(Profile::artifactory("acme.jfrog.io"))),
        ("Chainguard", "acme/", Some(Profile::chainguard())),
        ("Distribution with htpasswd", "team/", Some(Profile::distribution("registry.acme.example"))),
        ("Oracle", "ns/", Some(Profile::oracle("fra"))),
        ("token service that moved", "team/", Some(Profile::moved_token_service("moved.acme.example"))),
        ("tokens in odd fields", "team/", Some(Profile::empty_token_field("odd.acme.example"))),
        ("scopes mapped by a proxy", "team/", Some(Profile::mapped_scopes("mapped.acme.example"))),
        ("challenge at /v2/ only", "team/", Some(Profile::hidden_repositories("hidden.acme.example"))),
        ("plain HTTP", "team/", Some(Profile::without_auth("plain.acme.example"))),
    ];
    let mut cases = Vec::new();
    for (seed, (name, path, profile)) in (1..).zip(profiles) {
        cases.push(RegistryCase::new(seed, name, path, profile).await);
    }
    cases
}

#[tokio::test]
async fn every_registry_has_the_expected_results() {
    let mut table = String::new();
    for case in cases().await {
        table += &case.results().await;
        table.push('\n');
    }
    println!("{table}");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/registries.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&golden, &table).unwrap();
    }
    let expected = std::fs::read_to_string(&golden).unwrap();
    for (found, expected) in table.lines().zip(expected.lines()) {
        assert_eq!(found, expected);
    }
    assert_eq!(table.lines().count(), expected.lines().count());
}
