//! Registries with rare behaviour.

use super::{ErrorResponse, ErrorResponses, Profile, Quirk, TokenFields};

impl Profile {
    /// Oracle's registry of a region, such as `fra` (<https://github.com/jupyterhub/binderhub/pull/1586>).
    /// zot has the same scope (<https://github.com/cesanta/docker_auth/issues/146>).
    pub fn oracle(region: &str) -> Self {
        let host = format!("{region}.ocir.io");
        Self { quirks: &[Quirk::EmptyScope], ..Self::on_one_host(&host, "/20180419/docker/token") }
    }

    /// Harbor behind a proxy that has moved the token service to another path
    /// (<https://github.com/Finsys/dockhand/issues/1428>).
    pub fn moved_token_service(host: &str) -> Self {
        Self {
            quirks: &[Quirk::MovedTokenService],
            token_fields: TokenFields::TextExpiry,
            ..Self::on_one_host(host, "/service/token")
        }
    }

    /// A token service with an empty field (<https://github.com/google/go-containerregistry/pull/81>) and a
    /// negative lifetime (<https://github.com/bazel-contrib/rules_oci/pull/856>).
    pub fn empty_token_field(host: &str) -> Self {
        Self { token_fields: TokenFields::EmptyToken, ..Self::on_one_host(host, "/token") }
    }

    /// A proxy whose scopes contain the repository names of the registries behind it.
    pub fn mapped_scopes(host: &str) -> Self {
        let denied = Some(ErrorResponse::error(403, "DENIED", "requested access to the resource is denied"));
        Self {
            quirks: &[Quirk::MappedScope],
            errors: ErrorResponses {
                nothing_granted: denied,
                nothing_granted_to_anonymous: denied,
                ..ErrorResponses::distribution()
            },
            ..Self::on_one_host(host, "/token")
        }
    }

    /// A registry that hides private repositories from anonymous callers.
    pub fn hidden_repositories(host: &str) -> Self {
        let unknown =
            Some(ErrorResponse::error(404, "NAME_UNKNOWN", "repository name not known to registry"));
        Self {
            quirks: &[Quirk::ChallengeOnlyAtRoot],
            errors: ErrorResponses {
                denied: unknown,
                denied_to_anonymous: unknown,
                missing_repository: unknown,
                ..ErrorResponses::distribution()
            },
            ..Self::on_one_host(host, "/token")
        }
    }

    /// A registry that sends blobs itself and has its token service on the same host.
    fn on_one_host(host: &str, token_path: &str) -> Self {
        Self {
            blob_host: None,
            rejects_wrong_credentials: true,
            ..Self::bearer(host).with_tokens_at(host, token_path, host)
        }
    }
}
