//! Registries as data: hosts, token service, error responses and quirks.
//!
//! They are taken from documentation and from reports of users and maintainers. Unusual ones have a link.
//! Registries can change some host names at any time, such as those of blobs. The names here are examples.

mod cloud;
mod errors;
mod hosted;
mod installed;
mod unusual;

use super::ReferrersSupport;

pub use errors::{ErrorResponse, ErrorResponses};

/// A pull limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Pulls per window.
    pub pulls: u64,
    /// Length of the window in seconds.
    pub window: u64,
}

/// Headers with the pull limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateHeaders {
    /// `ratelimit-limit`, `ratelimit-remaining` and `docker-ratelimit-source`.
    DockerHub,
    /// No headers.
    Absent,
}

/// Authentication of a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthScheme {
    /// No authentication.
    None,
    /// Basic authentication.
    Basic,
    /// Bearer tokens of a token service.
    Bearer,
    /// Bearer tokens or basic authentication.
    BearerOrBasic,
}

/// Public content that anonymous callers can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnonymousAccess {
    /// All content.
    Everything,
    /// Only these tags.
    Tags(&'static [&'static str]),
    /// Nothing. Free images need credentials too.
    Nothing,
}

/// Fields of a token response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenFields {
    /// `token`, `access_token`, `expires_in` and `issued_at`.
    All,
    /// Only `token`.
    Token,
    /// Only `access_token`.
    AccessToken,
    /// `access_token`, an empty `token`, and an `expires_in` of -1.
    EmptyToken,
    /// `token`, and `expires_in` as a string.
    TextExpiry,
}

/// A host that redirects all requests to the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectingHost {
    /// Host name in references.
    pub host: String,
    /// Prefix of repository names at the registry.
    pub prefix: String,
}

/// Behaviour that differs from most registries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quirk {
    /// The response for an expired token has no challenge.
    NoChallengeOnExpiry,
    /// HEAD of a blob is redirected to the second host, which rejects it.
    RejectsBlobHead,
    /// HEAD of a manifest returns another length than GET.
    WrongLengthOnHead,
    /// The challenge for HEAD has no scope.
    NoScopeOnHead,
    /// HEAD of a blob with the digest of a manifest succeeds.
    BlobHeadFindsManifests,
    /// HEAD of missing content returns 403.
    ForbiddenForMissingOnHead,
    /// Responses with a manifest have no `Docker-Content-Digest` header.
    NoDigestHeader,
    /// The second host is Azure Storage.
    AzureStorage,
    /// Only one media type per `Accept` header is supported.
    OneAcceptPerLine,
    /// The token service rejects scopes with actions other than `pull` and `push`.
    RejectsUnknownActions,
    /// The status 404 is replaced by 403 in all responses to HEAD.
    ForbiddenForNotFoundOnHead,
    /// The challenge has an empty scope.
    EmptyScope,
    /// The scope in the challenge has another repository name than the reference, and only that one is
    /// granted.
    MappedScope,
    /// The realm is an old path of the token service, which redirects to the current one.
    MovedTokenService,
    /// Only `/v2/` has a challenge. Anonymous requests for private repositories get status 404.
    ChallengeOnlyAtRoot,
}

/// Names and behaviour of a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Host of the registry API.
    pub registry_host: String,
    /// Other names of that host.
    pub aliases: &'static [&'static str],
    /// Host that redirects to the registry.
    pub redirecting_host: Option<RedirectingHost>,
    /// Authentication.
    pub auth: AuthScheme,
    /// Host of the token service.
    pub token_host: String,
    /// Path of the token service.
    pub token_path: String,
    /// `service` in the challenge.
    pub service: String,
    /// Constant scope without a repository.
    pub constant_scope: Option<String>,
    /// Fields of a token response.
    pub token_fields: TokenFields,
    /// True if the token service accepts an identity token in a POST. Otherwise it rejects all POST
    /// requests.
    pub accepts_identity_tokens: bool,
    /// Lifetime of a token in seconds.
    pub token_seconds: u64,
    /// True if the token service rejects wrong credentials. Otherwise it issues an anonymous token.
    pub rejects_wrong_credentials: bool,
    /// Number of wrong passwords that locks a user.
    pub lockout_threshold: Option<u32>,
    /// Content that anonymous callers can read.
    pub anonymous: AnonymousAccess,
    /// Host to which blobs are redirected. `None` if the registry sends them itself.
    pub blob_host: Option<String>,
    /// Pull limit of anonymous callers.
    pub anonymous_limit: Option<RateLimit>,
    /// Pull limit of users.
    pub user_limit: Option<RateLimit>,
    /// Headers with the pull limit.
    pub rate_headers: RateHeaders,
    /// Support of referrers.
    pub referrers: ReferrersSupport,
    /// Error responses.
    pub errors: ErrorResponses,
    /// Other behaviour.
    pub quirks: &'static [Quirk],
}

impl Profile {
    /// A registry with bearer tokens and the additional hosts `token.<host>` and `blobs.<host>`.
    pub fn bearer(host: &str) -> Self {
        Self {
            registry_host: host.to_owned(),
            aliases: &[],
            redirecting_host: None,
            auth: AuthScheme::Bearer,
            token_host: format!("token.{host}"),
            token_path: "/token".to_owned(),
            service: host.to_owned(),
            constant_scope: None,
            token_fields: TokenFields::All,
            accepts_identity_tokens: false,
            token_seconds: 300,
            rejects_wrong_credentials: false,
            lockout_threshold: None,
            anonymous: AnonymousAccess::Everything,
            blob_host: Some(format!("blobs.{host}")),
            anonymous_limit: None,
            user_limit: None,
            rate_headers: RateHeaders::Absent,
            referrers: ReferrersSupport::Api,
            errors: ErrorResponses::distribution(),
            quirks: &[],
        }
    }

    /// Sets the token service.
    #[must_use]
    pub(super) fn with_tokens_at(mut self, host: &str, path: &str, service: &str) -> Self {
        (self.token_host, self.token_path) = (host.to_owned(), path.to_owned());
        service.clone_into(&mut self.service);
        self
    }

    /// Returns true if a host is the registry's.
    pub(crate) fn is_registry(&self, host: &str) -> bool {
        host == self.registry_host || self.aliases.contains(&host)
    }

    /// Returns true if the registry has a quirk.
    pub(crate) fn has(&self, quirk: Quirk) -> bool {
        self.quirks.contains(&quirk)
    }

    /// Returns the host in references.
    pub fn reference_host(&self) -> &str {
        self.redirecting_host.as_ref().map_or(&self.registry_host, |redirecting| &redirecting.host)
    }
}
