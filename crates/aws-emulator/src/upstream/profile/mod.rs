//! Registries as data: hosts, token service, words and manners.
//!
//! ErrorResponses and manners are those that users and maintainers report; a link stands where one is odd.
//! Hosts that registries change at will, such as those of their blobs, stand for all of their kind.

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

/// Which words a limit is refused in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateHeaders {
    /// `ratelimit-limit`, `ratelimit-remaining` and `docker-ratelimit-source`.
    DockerHub,
    /// None.
    Absent,
}

/// How a registry wants to know who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthScheme {
    /// Everybody may read everything, and nobody is asked.
    None,
    /// User and password with every request.
    Basic,
    /// A token from a token service.
    Bearer,
    /// The same, or user and password with every request.
    BearerOrBasic,
}

/// What callers without a login may read of what is public.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnonymousAccess {
    /// All of it.
    Everything,
    /// These tags only.
    Tags(&'static [&'static str]),
    /// Nothing: even what is free wants a login.
    Nothing,
}

/// The fields in which a token service gives its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenFields {
    /// `token`, `access_token`, `expires_in` and `issued_at`.
    All,
    /// `token` alone.
    Token,
    /// `access_token` alone.
    AccessToken,
    /// `access_token` beside an empty `token`, and an `expires_in` of -1.
    EmptyToken,
    /// `token`, and `expires_in` as a string.
    TextExpiry,
}

/// Another host that is asked first, and sends everybody on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectingHost {
    /// Its name, which references name.
    pub host: String,
    /// What stands before the repository at the host that answers in the end.
    pub prefix: String,
}

/// What a registry does that others do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quirk {
    /// An expired token is refused without a challenge.
    NoChallengeOnExpiry,
    /// HEAD of a blob is sent to the second host, which refuses it.
    RejectsBlobHead,
    /// HEAD of a manifest states another length than GET.
    WrongLengthOnHead,
    /// The challenge to HEAD lacks the scope.
    NoScopeOnHead,
    /// HEAD of a blob says yes to the digest of a manifest.
    BlobHeadFindsManifests,
    /// HEAD of what is missing is refused with 403.
    ForbiddenForMissingOnHead,
    /// Answers with a manifest state no digest.
    NoDigestHeader,
    /// The second host speaks as Azure's storage does.
    AzureStorage,
    /// A comma-joined `Accept` is not understood.
    OneAcceptPerLine,
    /// A token request with an action other than `pull` and `push` is refused as a whole.
    RejectsUnknownActions,
    /// A refused HEAD has no body, and its status says less than that of GET.
    ForbiddenForMissingTagOnHead,
    /// The challenge has an empty scope.
    EmptyScope,
    /// The scope in the challenge names the repository as the token service knows it, which grants no other.
    MappedScope,
    /// The realm is an earlier path of the token service, which redirects to the present one.
    MovedTokenService,
    /// Only `/v2/` has a challenge. Requests without credentials are refused as if nothing existed.
    ChallengeOnlyAtRoot,
}

/// What a registry is called, and how it behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Host of the registry API.
    pub registry_host: String,
    /// Other names of that host.
    pub aliases: &'static [&'static str],
    /// Another host before it.
    pub redirecting_host: Option<RedirectingHost>,
    /// How it wants to know who asks.
    pub auth: AuthScheme,
    /// Host of the token service.
    pub token_host: String,
    /// Path of the token service.
    pub token_path: String,
    /// `service` in the challenge.
    pub service: String,
    /// The scope when it is a constant that names no repository.
    pub constant_scope: Option<String>,
    /// The fields of a token answer.
    pub token_fields: TokenFields,
    /// Whether the token service takes an identity token by POST. Others refuse every POST.
    pub accepts_identity_tokens: bool,
    /// Seconds that a token lasts.
    pub token_seconds: u64,
    /// Whether the token service refuses a wrong login itself, instead of giving a token that opens
    /// nothing.
    pub rejects_wrong_credentials: bool,
    /// Wrong passwords after which a user is locked out.
    pub lockout_threshold: Option<u32>,
    /// What can be read without a login.
    pub anonymous: AnonymousAccess,
    /// Host that blobs are redirected to; none when the registry sends them itself.
    pub blob_host: Option<String>,
    /// How many pulls anonymous callers have.
    pub anonymous_limit: Option<RateLimit>,
    /// How many pulls a user has.
    pub user_limit: Option<RateLimit>,
    /// How limits are announced.
    pub rate_headers: RateHeaders,
    /// How referrers are told.
    pub referrers: ReferrersSupport,
    /// How it refuses.
    pub errors: ErrorResponses,
    /// What else it does.
    pub quirks: &'static [Quirk],
}

impl Profile {
    /// A registry of the usual kind, with `token.<host>` and `blobs.<host>` beside it.
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

    /// The same with its token service on its own host.
    #[must_use]
    pub(super) fn with_tokens_at(mut self, host: &str, path: &str, service: &str) -> Self {
        (self.token_host, self.token_path) = (host.to_owned(), path.to_owned());
        service.clone_into(&mut self.service);
        self
    }

    /// Whether a host is the registry itself.
    pub(crate) fn is_registry(&self, host: &str) -> bool {
        host == self.registry_host || self.aliases.contains(&host)
    }

    /// Whether it has a quirk.
    pub(crate) fn has(&self, quirk: Quirk) -> bool {
        self.quirks.contains(&quirk)
    }

    /// The host that a reference names.
    pub fn reference_host(&self) -> &str {
        self.redirecting_host.as_ref().map_or(&self.registry_host, |front| &front.host)
    }
}
