//! Self-managed registries.

use crate::upstream::ReferrersSupport;

use super::{AnonymousAccess, AuthScheme, ErrorResponse, ErrorResponses, Profile, Quirk, TokenFields};

impl Profile {
    /// GitLab, whose token service is on another host than the registry
    /// (<https://docs.gitlab.com/user/packages/container_registry/>).
    pub fn gitlab() -> Self {
        let forbidden = ErrorResponse::error(403, "DENIED", "access forbidden");
        Self {
            blob_host: Some("cdn.registry.gitlab-static.net".to_owned()),
            token_fields: TokenFields::Token,
            rejects_wrong_credentials: true,
            referrers: ReferrersSupport::DigestTag,
            errors: ErrorResponses {
                wrong_credentials: forbidden,
                nothing_granted_to_anonymous: Some(forbidden),
                ..ErrorResponses::distribution()
            },
            quirks: &[],
            ..Self::bearer("registry.gitlab.com").with_tokens_at(
                "gitlab.com",
                "/jwt/auth",
                "container_registry",
            )
        }
    }

    /// Harbor.
    pub fn harbor(host: &str) -> Self {
        let unauthorized = "unauthorized to access repository: {repository}, action: pull: unauthorized to \
                            access repository: {repository}, action: pull";
        let missing = ErrorResponse::error(404, "NOT_FOUND", "artifact {repository}:{reference} not found");
        Self {
            blob_host: None,
            rejects_wrong_credentials: true,
            errors: ErrorResponses {
                wrong_credentials: ErrorResponse::error(401, "UNAUTHORIZED", "unauthorized"),
                unauthorized: ErrorResponse::error(401, "UNAUTHORIZED", unauthorized),
                missing_repository: Some(missing),
                missing_manifest: missing,
                ..ErrorResponses::distribution()
            },
            quirks: &[Quirk::WrongLengthOnHead, Quirk::OneAcceptPerLine],
            ..Self::bearer(host).with_tokens_at(host, "/service/token", "harbor-registry")
        }
    }

    /// Artifactory, where repository names start with the key of an Artifactory repository.
    pub fn artifactory(host: &str) -> Self {
        let unknown = "The named manifest is not known to the registry.";
        let denied = "The client does not have permission for manifest";
        let missing = ErrorResponse::error(404, "MANIFEST_UNKNOWN", unknown);
        Self {
            auth: AuthScheme::BearerOrBasic,
            blob_host: None,
            token_fields: TokenFields::Token,
            rejects_wrong_credentials: true,
            errors: ErrorResponses {
                wrong_credentials: ErrorResponse::json(
                    401,
                    r#"{"errors":[{"status":401,"message":"Bad credentials"}]}"#,
                ),
                denied: Some(ErrorResponse::error(403, "DENIED", denied)),
                missing_repository: Some(missing),
                missing_manifest: missing,
                ..ErrorResponses::distribution()
            },
            // https://github.com/containerd/containerd/issues/7390 and pull request 2169
            quirks: &[Quirk::NoScopeOnHead, Quirk::BlobHeadFindsManifests, Quirk::ForbiddenForMissingOnHead],
            // The service name contains the HTTPS port:
            // https://github.com/containerd/containerd/issues/3556
            ..Self::bearer(host).with_tokens_at(host, "/v2/token", &format!("{host}:443"))
        }
    }

    /// The Distribution registry with a password file.
    pub fn distribution(host: &str) -> Self {
        let profile = Self {
            auth: AuthScheme::Basic,
            blob_host: None,
            anonymous: AnonymousAccess::Nothing,
            errors: ErrorResponses {
                wrong_credentials: ErrorResponse::error(401, "UNAUTHORIZED", "authentication required"),
                ..ErrorResponses::distribution()
            },
            referrers: ReferrersSupport::FallbackTag,
            ..Self::bearer(host)
        };
        profile.reporting_missing_repositories()
    }
}
