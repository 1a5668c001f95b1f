//! Registries with one public instance.

use crate::upstream::ReferrersSupport;

use super::{
    AnonymousAccess, AuthScheme, ErrorResponse, ErrorResponses, Profile, Quirk, RateHeaders, RateLimit,
    TokenFields,
};

impl Profile {
    /// Docker Hub (<https://docs.docker.com/docker-hub/usage/pulls/>).
    pub fn docker_hub() -> Self {
        Self {
            blob_host: Some("production.cloudflare.docker.com".to_owned()),
            anonymous_limit: Some(RateLimit { pulls: 100, window: 21600 }),
            user_limit: Some(RateLimit { pulls: 200, window: 21600 }),
            rate_headers: RateHeaders::DockerHub,
            rejects_wrong_credentials: true,
            // The threshold is not published (https://github.com/docker/hub-feedback/issues/2201).
            lockout_threshold: Some(5),
            referrers: ReferrersSupport::FallbackTag,
            ..Self::bearer("registry-1.docker.io").with_tokens_at(
                "auth.docker.io",
                "/token",
                "registry.docker.io",
            )
        }
    }

    /// Docker Hardened Images, where free images need credentials too
    /// (<https://docs.docker.com/dhi/how-to/use/>).
    pub fn docker_hardened() -> Self {
        Self {
            blob_host: None,
            anonymous: AnonymousAccess::Nothing,
            rejects_wrong_credentials: true,
            // https://github.com/docker/hub-feedback/issues/2530
            quirks: &[Quirk::NoChallengeOnExpiry],
            ..Self::bearer("dhi.io").with_tokens_at("dhi.io", "/token", "registry.docker.io")
        }
    }

    /// GitHub Container Registry.
    pub fn ghcr() -> Self {
        let denied = ErrorResponse::error(403, "DENIED", "requested access to the resource is denied");
        Self {
            blob_host: Some("pkg-containers.githubusercontent.com".to_owned()),
            token_fields: TokenFields::Token,
            rejects_wrong_credentials: true,
            errors: ErrorResponses {
                wrong_credentials: ErrorResponse::error(403, "DENIED", "denied"),
                nothing_granted: Some(denied),
                nothing_granted_to_anonymous: Some(denied),
                ..ErrorResponses::distribution()
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
            rejects_wrong_credentials: true,
            errors: ErrorResponses {
                wrong_credentials: ErrorResponse::error(401, "UNAUTHORIZED", "Invalid Username or Password"),
                unauthorized: ErrorResponse::error(401, "UNAUTHORIZED", words),
                ..ErrorResponses::distribution()
            },
            quirks: &[Quirk::RejectsUnknownActions],
            ..Self::bearer("quay.io").with_tokens_at("quay.io", "/v2/auth", "quay.io")
        }
    }

    /// Microsoft Container Registry.
    pub fn mcr() -> Self {
        let missing = r#"manifest tagged by "{reference}" is not found"#;
        Self {
            auth: AuthScheme::None,
            blob_host: Some("westeurope.data.mcr.microsoft.com".to_owned()),
            errors: ErrorResponses {
                missing_repository: Some(ErrorResponse::error(404, "MANIFEST_UNKNOWN", missing)),
                missing_manifest: ErrorResponse::error(404, "MANIFEST_UNKNOWN", missing),
                ..ErrorResponses::distribution()
            },
            quirks: &[Quirk::AzureStorage],
            ..Self::bearer("mcr.microsoft.com")
        }
    }

    /// Chainguard's registry, which shows only two tags to anonymous callers.
    pub fn chainguard() -> Self {
        let denied = Some(ErrorResponse::error(403, "DENIED", "requested access to the resource is denied"));
        Self {
            anonymous: AnonymousAccess::Tags(&["latest", "latest-dev"]),
            rejects_wrong_credentials: true,
            errors: ErrorResponses {
                wrong_credentials: ErrorResponse::error(401, "UNAUTHORIZED", "authentication required"),
                denied,
                denied_to_anonymous: denied,
                ..ErrorResponses::distribution()
            },
            ..Self::bearer("cgr.dev").with_tokens_at("cgr.dev", "/token", "cgr.dev")
        }
    }
}
