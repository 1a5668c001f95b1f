//! Registries that are one place in the world.

use crate::upstream::ReferrersManner;

use super::{Anonymous, Auth, Profile, Quirk, RateHeaders, RateLimit, Saying, TokenFields, Words};

impl Profile {
    /// Docker Hub (<https://docs.docker.com/docker-hub/usage/pulls/>).
    pub fn docker_hub() -> Self {
        Self {
            blob_host: Some("production.cloudflare.docker.com".to_owned()),
            anonymous_limit: Some(RateLimit { pulls: 100, window: 21600 }),
            user_limit: Some(RateLimit { pulls: 200, window: 21600 }),
            rate_headers: RateHeaders::DockerHub,
            refuses_wrong_login: true,
            // How many it takes is not published (https://github.com/docker/hub-feedback/issues/2201).
            locks_after: Some(5),
            referrers: ReferrersManner::FallbackTag,
            ..Self::bearer("registry-1.docker.io").with_tokens_at(
                "auth.docker.io",
                "/token",
                "registry.docker.io",
            )
        }
    }

    /// Docker Hardened Images, where even what is free wants a login
    /// (<https://docs.docker.com/dhi/how-to/use/>).
    pub fn docker_hardened() -> Self {
        Self {
            blob_host: None,
            anonymous: Anonymous::Nothing,
            refuses_wrong_login: true,
            // https://github.com/docker/hub-feedback/issues/2530
            quirks: &[Quirk::SilentExpiry],
            ..Self::bearer("dhi.io").with_tokens_at("dhi.io", "/token", "registry.docker.io")
        }
    }

    /// GitHub's registry.
    pub fn ghcr() -> Self {
        let denied = Saying::error(403, "DENIED", "requested access to the resource is denied");
        Self {
            blob_host: Some("pkg-containers.githubusercontent.com".to_owned()),
            token_fields: TokenFields::Token,
            refuses_wrong_login: true,
            words: Words {
                wrong_login: Saying::error(403, "DENIED", "denied"),
                nothing_granted: Some(denied),
                nothing_granted_to_anonymous: Some(denied),
                ..Words::usual()
            },
            ..Self::bearer("ghcr.io").with_tokens_at("ghcr.io", "/token", "ghcr.io")
        }
    }

    /// Quay.
    pub fn quay() -> Self {
        let words = "access to the requested resource is not authorized";
        Self {
            blob_host: Some("cdn01.quay.io".to_owned()),
            token_fields: TokenFields::Token,
            refuses_wrong_login: true,
            words: Words {
                wrong_login: Saying::error(401, "UNAUTHORIZED", "Invalid Username or Password"),
                unauthorized: Saying::error(401, "UNAUTHORIZED", words),
                ..Words::usual()
            },
            quirks: &[Quirk::KnownActionsOnly],
            ..Self::bearer("quay.io").with_tokens_at("quay.io", "/v2/auth", "quay.io")
        }
    }

    /// Microsoft's public registry.
    pub fn mcr() -> Self {
        let missing = r#"manifest tagged by "{reference}" is not found"#;
        Self {
            auth: Auth::Open,
            blob_host: Some("westeurope.data.mcr.microsoft.com".to_owned()),
            words: Words {
                missing_repository: Some(Saying::error(404, "MANIFEST_UNKNOWN", missing)),
                missing_manifest: Saying::error(404, "MANIFEST_UNKNOWN", missing),
                ..Words::usual()
            },
            quirks: &[Quirk::AzureStorage],
            ..Self::bearer("mcr.microsoft.com")
        }
    }

    /// Chainguard's registry, which shows callers without a login two tags only.
    pub fn chainguard() -> Self {
        let denied = Some(Saying::error(403, "DENIED", "requested access to the resource is denied"));
        Self {
            anonymous: Anonymous::Tags(&["latest", "latest-dev"]),
            refuses_wrong_login: true,
            words: Words {
                wrong_login: Saying::error(401, "UNAUTHORIZED", "authentication required"),
                denied,
                denied_to_anonymous: denied,
                ..Words::usual()
            },
            ..Self::bearer("cgr.dev").with_tokens_at("cgr.dev", "/token", "cgr.dev")
        }
    }
}
