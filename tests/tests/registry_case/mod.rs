//! One registry with what is in it: a public and a private image, and a user.

#![expect(clippy::unwrap_used, reason = "what cannot be set up ends the test")]

use std::sync::Arc;

use aws_emulator::{AuthScheme, Emulator, Image, ImageBuilder, Mutability, Profile, Registry};

use crate::engine::{Engine, Logins, ecr_login};

/// The other account's registry that private ECR is read from.
const ECR: &str = "210987654321.dkr.ecr.us-east-1.amazonaws.com";

/// A registry that listens without TLS, and that is allowed to.
const PLAIN: &str = "plain.acme.example:5000";

/// One registry with what is in it.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) emulator: Emulator,
    pub(crate) upstream: Upstream,
    /// The host that references name.
    pub(crate) host: String,
    /// What stands before `app`.
    pub(crate) path: &'static str,
    pub(crate) login: Option<(String, String)>,
    pub(crate) has_private: bool,
    pub(crate) index: Image,
    pub(crate) single: Image,
}

pub(crate) enum Upstream {
    Registry(Arc<Registry>),
    Ecr,
}

impl Row {
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
        let has_logins = profile.auth != AuthScheme::None && profile.redirecting_host.is_none();
        let has_private = has_logins && host != "public.ecr.aws";
        let registry = match host.as_str() {
            "docker.io" => Arc::clone(emulator.docker_hub()),
            "public.ecr.aws" => Arc::clone(emulator.ecr_public()),
            _ => emulator.add_upstream(profile),
        };
        let public = format!("{stored}app");
        registry.put_image(&public, "1", &index);
        registry.put_image(&public, "single", &single);
        let user = if host == "public.ecr.aws" { "AWS" } else { "ann" };
        if has_logins {
            registry.add_user(user, "right-password");
        }
        if has_private {
            registry.put_image(&format!("{stored}private"), "1", &index);
            registry.make_private(&format!("{stored}private"), &[user]);
        }
        let login = has_logins.then(|| (user.to_owned(), "right-password".to_owned()));
        let upstream = Upstream::Registry(registry);
        Self { name, emulator, upstream, host, path, login, has_private, index, single }
    }

    fn of_ecr(name: &'static str, emulator: Emulator, index: Image, single: Image) -> Self {
        for repository in ["app", "private"] {
            let arn = format!("arn:aws:ecr:us-east-1:210987654321:repository/team/{repository}");
            let held = emulator.ecr().create_repository(&arn, Mutability::Mutable);
            held.put_image(Some("1"), &index);
            held.put_image(Some("single"), &single);
        }
        // Nobody is let in by the policy of the other account's repository.
        emulator.ecr().deny("ecr:*", "arn:aws:ecr:us-east-1:210987654321:repository/team/private");
        let login = Some(ecr_login(&emulator, "us-east-1"));
        let (host, path, upstream) = (ECR.to_owned(), "team/", Upstream::Ecr);
        Self { name, emulator, upstream, host, path, login, has_private: true, index, single }
    }

    pub(crate) fn reference(&self, rest: &str) -> String {
        format!("{}/{}{rest}", self.host, self.path)
    }

    /// An engine with a repository of its own, for one question to the registry.
    pub(crate) fn engine(&self, question: &str, login: Option<(&str, &str)>) -> Engine {
        let api_host = if self.host == "docker.io" { "registry-1.docker.io" } else { &self.host };
        let logins = match login {
            Some((user, password)) => Logins::default().with(api_host, user, password),
            None => Logins::default(),
        };
        let repository = question.replace(' ', "-");
        Engine::new(&self.emulator, &repository, logins, &[PLAIN])
    }

    pub(crate) fn right(&self) -> Option<(&str, &str)> {
        self.login.as_ref().map(|(user, password)| (user.as_str(), password.as_str()))
    }
}
