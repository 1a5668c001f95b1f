//! Registries of cloud providers.

use super::{AuthScheme, ErrorResponse, ErrorResponses, Profile, Quirk, RedirectingHost, TokenFields};

impl Profile {
    /// ECR Public (<https://docs.aws.amazon.com/AmazonECR/latest/public/public-registry-auth.html>).
    pub fn ecr_public() -> Self {
        let expired = "Your authorization token has expired. Reauthenticate and try again.";
        let invalid = "Your Authorization Token is invalid.";
        let unknown = "The repository with name '{repository}' does not exist in the registry";
        Self {
            // Dual-stack name.
            aliases: &["ecr-public.aws.com"],
            constant_scope: Some("aws".to_owned()),
            token_fields: TokenFields::Token,
            blob_host: Some("d5l0dvt14r5h8.cloudfront.net".to_owned()),
            rejects_wrong_credentials: true,
            token_seconds: 43_200,
            errors: ErrorResponses {
                wrong_credentials: ErrorResponse::error(403, "DENIED", expired),
                unauthorized: ErrorResponse::error(401, "DENIED", "Not Authorized"),
                // The response has no challenge (https://github.com/aws/containers-roadmap/issues/2835).
                invalid_token: Some(ErrorResponse::error(400, "DENIED", invalid)),
                missing_repository: Some(ErrorResponse::error(404, "NAME_UNKNOWN", unknown)),
                missing_manifest: ErrorResponse::error(404, "MANIFEST_UNKNOWN", "Requested image not found"),
                ..ErrorResponses::distribution()
            },
            // https://github.com/aws/containers-roadmap/issues/2671
            quirks: &[Quirk::RejectsBlobHead],
            ..Self::bearer("public.ecr.aws").with_tokens_at("public.ecr.aws", "/token/", "public.ecr.aws")
        }
    }

    /// Google Artifact Registry of a location, such as `europe-west1`.
    pub fn artifact_registry(location: &str) -> Self {
        let host = format!("{location}-docker.pkg.dev");
        let anonymous = "Unauthenticated request. Unauthenticated requests do not have permission \
                         'artifactregistry.repositories.downloadArtifacts' on resource '{repository}' (or it \
                         may not exist)";
        let denied = "Permission 'artifactregistry.repositories.downloadArtifacts' denied on resource \
                      '{repository}' (or it may not exist)";
        Self {
            // Downloads have a path on the same host.
            blob_host: Some(host.clone()),
            token_fields: TokenFields::Token,
            rejects_wrong_credentials: true,
            errors: ErrorResponses {
                wrong_credentials: ErrorResponse::error(401, "UNAUTHORIZED", "authentication failed"),
                denied: Some(ErrorResponse::error(403, "DENIED", denied)),
                denied_to_anonymous: Some(ErrorResponse::error(403, "DENIED", anonymous)),
                missing_manifest: ErrorResponse::error(
                    404,
                    "MANIFEST_UNKNOWN",
                    "Failed to fetch '{reference}'",
                ),
                ..ErrorResponses::distribution()
            },
            ..Self::bearer(&host).with_tokens_at(&host, "/v2/token", &host)
        }
    }

    /// `registry.k8s.io`, which redirects manifests to an Artifact Registry and blobs to a bucket.
    /// Repository names in the Artifact Registry have the prefix [`RedirectingHost::prefix`]
    /// (<https://github.com/kubernetes/registry.k8s.io/blob/main/cmd/archeio/docs/request-handling.md>).
    pub fn kubernetes() -> Self {
        let bucket = "prod-registry-k8s-io-eu-west-1.s3.dualstack.eu-west-1.amazonaws.com";
        let host = "registry.k8s.io".to_owned();
        let prefix = "k8s-artifacts-prod/images/".to_owned();
        let missing = ErrorResponse::error(404, "MANIFEST_UNKNOWN", "Failed to fetch '{reference}'");
        let base = Self::artifact_registry("europe-west1");
        Self {
            redirecting_host: Some(RedirectingHost { host, prefix }),
            blob_host: Some(bucket.to_owned()),
            errors: ErrorResponses { missing_repository: Some(missing), ..base.errors },
            // Only the redirect has the header.
            quirks: &[Quirk::NoDigestHeader],
            ..base
        }
    }

    /// Azure Container Registry `<name>.azurecr.io`
    /// (<https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md>).
    pub fn acr(name: &str) -> Self {
        let host = format!("{name}.azurecr.io");
        let required =
            "authentication required, visit https://aka.ms/acr/authorization for more information.";
        let unknown = "repository name not known to registry";
        Self {
            blob_host: Some("weumanaged12.blob.core.windows.net".to_owned()),
            token_fields: TokenFields::AccessToken,
            accepts_identity_tokens: true,
            rejects_wrong_credentials: true,
            errors: ErrorResponses {
                wrong_credentials: ErrorResponse::error(401, "UNAUTHORIZED", required),
                nothing_granted_to_anonymous: Some(ErrorResponse::error(401, "UNAUTHORIZED", required)),
                unauthorized: ErrorResponse::error(401, "UNAUTHORIZED", required),
                missing_repository: Some(ErrorResponse::error(404, "NAME_UNKNOWN", unknown)),
                missing_manifest: ErrorResponse::error(
                    404,
                    "MANIFEST_UNKNOWN",
                    "manifest tagged by '{reference}' is not found",
                ),
                ..ErrorResponses::distribution()
            },
            quirks: &[Quirk::AzureStorage, Quirk::ForbiddenForNotFoundOnHead],
            ..Self::bearer(&host).with_tokens_at(&host, "/oauth2/token", &host)
        }
    }

    /// A registry without authentication.
    pub fn without_auth(host: &str) -> Self {
        Self { auth: AuthScheme::None, blob_host: None, ..Self::bearer(host) }
            .reporting_missing_repositories()
    }

    /// Makes the registry report missing repositories instead of hiding them.
    #[must_use]
    pub(super) fn reporting_missing_repositories(mut self) -> Self {
        self.errors.missing_repository = Some(self.errors.missing_manifest);
        self
    }
}
