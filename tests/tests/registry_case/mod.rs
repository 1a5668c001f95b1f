//! One registry with a public image, a private image and a user.

#![expect(clippy::unwrap_used, reason = "a failed setup ends the test")]

use std::sync::Arc;

use aws_emulator::{AuthScheme, Emulator, Image, ImageBuilder, Mutability, Profile, Registry};

use crate::engine::{Engine, StaticCredentials, ecr_credentials};

/// Private ECR of another account, which is the source.
const ECR: &str = "210987654321.dkr.ecr.us-east-1.amazonaws.com";

/// A registry without TLS that the engine is allowed to use.
const PLAIN: &str = "plain.acme.example:5000";

/// One registry with its content.
pub(crate) struct RegistryCase {
    pub(crate) name: &'static str,
    pub(crate) emulator: Emulator,
    pub(crate) upstream: Upstream,
    /// Host in references.
    pub(crate) host: String,
    /// Path before `app`.
    pub(crate) path: &'static str,
    pub(crate) credentials: Option<(String, String)>,
    pub(crate) has_private: bool,
    pub(crate) index: Image,
    pub(crate) single: Image,
}

pub(crate) enum Upstream {
    Registry(Arc<Registry>),
    Ecr,
}

impl RegistryCase {
    pub(crate) async fn new(
        seed: u64,
        name: &'static str,
        path: &'static str,
        profile: Option<Profile>,
    ) -> Self {
        let emulator = Emulator::start().await.unwrap();
        emulator.ecr().remove_rate_limits();
        let recipe = ImageBuilder::new(seed).layers(&[300_000, 20_000]);
        let (index, single) = (recipe.index(), ImageBuilder::new(seed + 500).layers(&[20_000]).single());
        let Some(profile) = profile else { return Self::of_ecr(name, emulator, index, single) };
        let host = match (name, profile.reference_host()) {
            ("Docker Hub", _) => "docker.io".to_owned(),
            ("plain HTTP", _) => PLAIN.to_owned(),
            (_, host) => host.to_owned(),
        };
        let stored = profile.redirecting_host.as_ref().map_or("", |front| &front.prefix).to_owned() + path;
        let has_users = profile.auth != AuthScheme::None && profile.redirecting_host.is_none();
        let has_private = has_users && host != "public.ecr.aws";
        let registry = match host.as_str() {
            "docker.io" => Arc::clone(emulator.docker_hub()),
            "public.ecr.aws" => Arc::clone(emulator.ecr_public()),
            _ => emulator.add_upstream(profile),
        };
        let public = format!("{stored}app");
        registry.put_image(&public, "1", &index);
        registry.put_image(&public, "single", &single);
        let user = if host == "public.ecr.aws" { "AWS" } else { "ann" };
        if has_users {
            registry.add_user(user, "right-password");
        }
        if has_private {
            registry.put_image(&format!("{stored}private"), "1", &index);
            registry.make_private(&format!("{stored}private"), &[user]);
        }
        let credentials = has_users.then(|| (user.to_owned(), "right-password".to_owned()));
        let upstream = Upstream::Registry(registry);
        Self { name, emulator, upstream, host, path, credentials, has_private, index, single }
    }

    fn of_ecr(name: &'static str, emulator: Emulator, index: Image, single: Image) -> Self {
        for repository in ["app", "private"] {
            let arn = format!("arn:aws:ecr:us-east-1:210987654321:repository/team/{repository}");
            let stored = emulator.ecr().create_repository(&arn, Mutability::Mutable);
            stored.put_image(Some("1"), &index);
            stored.put_image(Some("single"), &single);
        }
        // The policy of the other account's repository grants no access.
        emulator.ecr().deny("ecr:*", "arn:aws:ecr:us-east-1:210987654321:repository/team/private");
        let credentials = Some(ecr_credentials(&emulator, "us-east-1"));
        let (host, path, upstream) = (ECR.to_owned(), "team/", Upstream::Ecr);
        Self { name, emulator, upstream, host, path, credentials, has_private: true, index, single }
    }

    pub(crate) fn reference(&self, rest: &str) -> String {
        format!("{}/{}{rest}", self.host, self.path)
    }

    /// Returns an engine with its own destination repository for one test.
    pub(crate) fn engine(&self, test: &str, credentials: Option<(&str, &str)>) -> Engine {
        let api_host = if self.host == "docker.io" { "registry-1.docker.io" } else { &self.host };
        let credentials = match credentials {
            Some((user, password)) => StaticCredentials::default().with(api_host, user, password),
            None => StaticCredentials::default(),
        };
        let repository = test.replace(' ', "-");
        Engine::new(&self.emulator, &repository, credentials, &[PLAIN])
    }

    pub(crate) fn credentials(&self) -> Option<(&str, &str)> {
        self.credentials.as_ref().map(|(user, password)| (user.as_str(), password.as_str()))
    }
}
