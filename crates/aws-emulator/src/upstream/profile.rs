//! Registries as data: hosts, token service and manners.

use serde::{Deserialize, Serialize};

/// A pull limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimit {
    /// Pulls per window.
    pub pulls: u64,
    /// Length of the window in seconds.
    pub window: u64,
}

/// Which words a limit is refused in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RateHeaders {
    /// `ratelimit-limit`, `ratelimit-remaining` and `docker-ratelimit-source`.
    DockerHub,
    /// None.
    Silent,
}

/// What a registry is called, and how it behaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Host of the registry API.
    pub registry_host: String,
    /// Host of the token service.
    pub token_host: String,
    /// Path of the token service.
    pub token_path: String,
    /// `service` in the challenge.
    pub service: String,
    /// The scope when it is a constant that names no repository.
    pub constant_scope: Option<String>,
    /// Host that blobs are redirected to; none when the registry sends them itself.
    pub blob_host: Option<String>,
    /// How many pulls anonymous callers have.
    pub anonymous_limit: Option<RateLimit>,
    /// How many pulls a user has.
    pub user_limit: Option<RateLimit>,
    /// How limits are announced.
    pub rate_headers: RateHeaders,
    /// Whether the token service refuses a wrong login itself with 401, instead of giving a token
    /// that opens nothing.
    pub refuses_wrong_login: bool,
    /// Seconds that a token lasts.
    pub token_seconds: u64,
    /// Whether the referrers API is there.
    pub referrers: bool,
}

impl Profile {
    /// Docker Hub (<https://docs.docker.com/docker-hub/usage/pulls/>).
    pub fn docker_hub() -> Self {
        Self {
            registry_host: "registry-1.docker.io".to_owned(),
            token_host: "auth.docker.io".to_owned(),
            token_path: "/token".to_owned(),
            service: "registry.docker.io".to_owned(),
            constant_scope: None,
            blob_host: Some("production.cloudflare.docker.com".to_owned()),
            anonymous_limit: Some(RateLimit { pulls: 100, window: 21600 }),
            user_limit: Some(RateLimit { pulls: 200, window: 21600 }),
            rate_headers: RateHeaders::DockerHub,
            refuses_wrong_login: false,
            token_seconds: 300,
            referrers: false,
        }
    }

    /// ECR Public (<https://docs.aws.amazon.com/AmazonECR/latest/public/public-registry-auth.html>).
    pub fn ecr_public() -> Self {
        Self {
            registry_host: "public.ecr.aws".to_owned(),
            token_host: "public.ecr.aws".to_owned(),
            token_path: "/token/".to_owned(),
            service: "public.ecr.aws".to_owned(),
            constant_scope: Some("aws".to_owned()),
            blob_host: Some("d2glxqk2uabbnd.cloudfront.net".to_owned()),
            refuses_wrong_login: true,
            token_seconds: 43_200,
            ..Self::bearer("public.ecr.aws")
        }
    }

    /// A registry of the usual kind, with `token.<host>` and `blobs.<host>` beside it.
    pub fn bearer(host: &str) -> Self {
        Self {
            registry_host: host.to_owned(),
            token_host: format!("token.{host}"),
            token_path: "/token".to_owned(),
            service: host.to_owned(),
            constant_scope: None,
            blob_host: Some(format!("blobs.{host}")),
            anonymous_limit: None,
            user_limit: None,
            rate_headers: RateHeaders::Silent,
            refuses_wrong_login: false,
            token_seconds: 300,
            referrers: true,
        }
    }
}
