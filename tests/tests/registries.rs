//! Every registry that images are copied from, as the engine meets it: one table.
//!
//! The expected table is `tests/fixtures/registries.txt`; `UPDATE_GOLDEN=1` writes it anew.

#![expect(clippy::unwrap_used, reason = "what cannot be set up ends the test")]

mod engine;
mod registry_case;

use std::fmt::Write as _;
use std::path::Path;

use aws_emulator::{AuthScheme, Effect, Fault, Log, LogPosition, Profile};
use engine::Engine;
use image_copy::copy::{Error, Outcome};
use registry_case::{Row, Upstream};

impl Row {
    /// Asks the registry everything, and tells what came of it, one line each.
    async fn answers(&self) -> String {
        let mut text = format!("{} ({})\n", self.name, self.host);
        let mut tell = |question: &str, answer: &str| writeln!(text, "  {question:<18} {answer}").unwrap();
        let public = self.reference("app:1");
        let own = self.reference(if self.has_private { "private:1" } else { "app:1" });
        tell("anonymous", &self.ask("anonymous", None, &public).await);
        match self.right() {
            None => {
                tell("right login", "there are none");
                tell("wrong login", "there are none");
            }
            Some((user, password)) => {
                tell("right login", &self.ask_as_whoever_may("right login", (user, password), &own).await);
                let wrong = Some((user, "wrong-password"));
                tell("wrong login", &self.ask("wrong login", wrong, &own).await);
            }
        }
        tell("missing image", &self.ask("missing image", self.right(), &self.reference("app:9")).await);
        let missing = self.reference("nothing:1");
        tell("missing repository", &self.ask("missing repository", self.right(), &missing).await);
        let private = self.reference("private:1");
        match self.has_private {
            true => tell("private image", &self.ask("private image", None, &private).await),
            false => tell("private image", "there are none"),
        }
        let digest = self.reference(&format!("app@{}", self.index.digest()));
        tell("digest", &self.ask("digest", self.right(), &digest).await);
        tell("tag", &self.ask("tag", self.right(), &self.reference("app:single")).await);
        tell("index", &self.ask("index", self.right(), &public).await);
        tell("expired token", &self.expired_token().await);
        tell("resume", &self.resume().await);
        tell("second copy", &self.second_copy().await);
        text
    }

    async fn ask(&self, question: &str, login: Option<(&str, &str)>, source: &str) -> String {
        let engine = self.engine(question, login);
        let mark = self.emulator.log().mark();
        let result = engine.copy(source).await;
        self.judge(&engine, mark, source, result)
    }

    /// In private ECR, who may read is up to the repository: there the right login reads what is shared.
    async fn ask_as_whoever_may(&self, question: &str, login: (&str, &str), source: &str) -> String {
        match self.upstream {
            Upstream::Registry(_) => self.ask(question, Some(login), source).await,
            Upstream::Ecr => {
                let shared = self.ask(question, Some(login), &self.reference("app:1")).await;
                let denied = self.ask("denied by policy", Some(login), source).await;
                format!("{shared}\n  {:<18} {denied}", "  not let in")
            }
        }
    }

    /// Lets the token end between two manifests. How each registry says so differs.
    async fn expired_token(&self) -> String {
        let host = match &self.upstream {
            Upstream::Registry(registry)
                if matches!(registry.profile().auth, AuthScheme::Bearer | AuthScheme::BearerOrBasic) =>
            {
                registry.profile().registry_host.clone()
            }
            _ => return "there are none".to_owned(),
        };
        let ends = Fault::on("manifest.get", Effect::ExpireToken).host(&host).skip(1).once();
        self.emulator.faults().add(ends);
        let answer = self.ask("expired token", self.right(), &self.reference("app:1")).await;
        assert_eq!(self.emulator.faults().hit_count(), 1, "{}: a token ended", self.name);
        self.emulator.faults().clear();
        answer
    }

    /// Breaks a layer off in the middle.
    async fn resume(&self) -> String {
        let content = match &self.upstream {
            Upstream::Registry(registry) if registry.profile().blob_host.is_none() => "blob.get",
            _ => "blob.content",
        };
        let cut = Effect::Reset { after_bytes: 150_000, on: None };
        let layer = self.index.blobs.iter().find(|blob| blob.size() == 300_000).unwrap();
        self.emulator.faults().add(Fault::on(content, cut).path(layer.digest()).once());
        let mark = self.emulator.log().mark();
        let answer = self.ask("resume", self.right(), &self.reference("app:1")).await;
        assert_eq!(self.emulator.faults().hit_count(), 1, "{}: the layer was cut", self.name);
        self.emulator.faults().clear();
        let entries = self.emulator.log().matching(mark, content);
        let of_layer = entries.iter().filter(|entry| entry.target.contains(layer.digest()));
        let bytes: u64 = of_layer.map(|entry| entry.response_bytes).sum();
        assert!(bytes < 450_000, "{}: {bytes} bytes came of a layer of 300000", self.name);
        format!("{answer}, the rest of a broken layer alone was asked for again")
    }

    async fn second_copy(&self) -> String {
        let engine = self.engine("second copy", self.right());
        let source = self.reference("app:1");
        engine.copy(&source).await.unwrap();
        let mark = self.emulator.log().mark();
        let result = engine.copy(&source).await;
        self.judge(&engine, mark, &source, result)
    }

    /// What came of a copy: what it cost upstream, or the one line that says why there is none.
    fn judge(
        &self,
        engine: &Engine,
        mark: LogPosition,
        source: &str,
        result: Result<Outcome, Error>,
    ) -> String {
        self.check_no_login_elsewhere(mark);
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
        let asked = |operation| self.upstream_entries(log, mark, operation);
        format!(
            "{kind} of {} blobs, {} of them copied; {} HEAD and {} GET of manifests, {} tokens",
            outcome.blobs.blobs,
            outcome.blobs.copied,
            asked("manifest.head"),
            asked("manifest.get"),
            asked("token"),
        )
    }

    /// Requests of one kind that were answered as wanted, at the registry itself.
    fn upstream_entries(&self, log: &Log, mark: LogPosition, operation: &str) -> usize {
        let destination = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
        let entries = log.matching(mark, operation);
        entries.iter().filter(|e| e.host != destination && e.status == Some(200)).count()
    }

    /// No login and no token ever went to a host that blobs are read from.
    fn check_no_login_elsewhere(&self, mark: LogPosition) {
        for entry in self.emulator.log().matching(mark, "blob.content") {
            let same_host = self.host == entry.host;
            assert!(same_host || entry.authorization == aws_emulator::Authorization::None, "{entry:?}");
        }
    }
}

/// Every registry of which it is known how it behaves.
async fn rows() -> Vec<Row> {
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
    let mut rows = Vec::new();
    for (seed, (name, path, profile)) in (1..).zip(profiles) {
        rows.push(Row::new(seed, name, path, profile).await);
    }
    rows
}

#[tokio::test]
async fn every_registry_answers_as_it_is_known_to() {
    let mut table = String::new();
    for row in rows().await {
        table += &row.answers().await;
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
