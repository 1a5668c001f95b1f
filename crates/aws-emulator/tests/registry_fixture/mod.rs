//! A registry with a public and a private image.

// Each test file is a crate of its own and uses a part of this.
#![allow(dead_code, reason = "no test file uses all of it")]

use std::sync::Arc;

use aws_emulator::{Image, ImageBuilder, Profile, Registry};
use reqwest::Response;

use crate::common::{Fixture, basic, body};

pub(crate) struct RegistryFixture {
    pub(crate) fixture: Fixture,
    pub(crate) registry: Arc<Registry>,
    pub(crate) image: Image,
}

impl RegistryFixture {
    /// Creates a registry with a public and a private image and the user `ann`.
    pub(crate) async fn new(profile: Profile, public: &str, private: &str) -> Self {
        let fixture = Fixture::start().await;
        let registry = fixture.emulator.add_upstream(profile);
        let image = ImageBuilder::new(1).index();
        for repository in [public, private] {
            registry.put_image(repository, "1", &image);
        }
        registry.add_user("ann", "right");
        registry.make_private(private, &["ann"]);
        Self { fixture, registry, image }
    }

    pub(crate) fn url(&self, rest: &str) -> String {
        format!("https://{}/v2/{rest}", self.registry.profile().registry_host)
    }

    /// Sends a token request for a repository.
    pub(crate) async fn request_token(&self, repository: &str, password: Option<&str>) -> Response {
        let profile = self.registry.profile();
        let scope = format!("repository:{repository}:pull");
        let url = format!("https://{}{}?scope={scope}", profile.token_host, profile.token_path);
        let authorization = password.map(|password| basic("ann", password)).unwrap_or_default();
        self.fixture.get(&url, &authorization).await
    }

    pub(crate) async fn token(&self, repository: &str, password: Option<&str>) -> String {
        let given = body(self.request_token(repository, password).await).await;
        let token = given["token"].as_str().or(given["access_token"].as_str());
        format!("Bearer {}", token.unwrap_or_else(|| panic!("{given}")))
    }

    pub(crate) async fn get(&self, rest: &str, token: &str) -> Response {
        self.fixture.get(&self.url(rest), token).await
    }

    pub(crate) async fn head(&self, rest: &str, token: &str) -> Response {
        self.fixture.head(&self.url(rest), token).await
    }
}

/// Checks status, code and the beginning of the message.
#[track_caller]
pub(crate) fn assert_error((status, code, message): (u16, String, String), expected: (u16, &str, &str)) {
    assert_eq!((status, code.as_str()), (expected.0, expected.1), "{message}");
    assert!(message.starts_with(expected.2), "{message}");
}
