//! The target of a request, and the header that authorizes it.

use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use tokio::time::Instant;

use super::challenge::Challenge;
use super::scopes::Scopes;
use super::secrets::Secrets;
use super::{Credentials, CredentialsProvider, CredentialsSent, Error};
use crate::http::{self, Network};
use crate::oci;

/// The target of a request, and the scopes that the request needs.
pub(super) struct RequestTarget<'a> {
    /// Scheme, host and port. A token is sent only to its own origin.
    pub(super) origin: String,
    /// Scopes of the token. If they are empty, the scopes of the challenge are used.
    pub(super) scopes: Scopes,
    /// The registry. `None` for a redirect target, which gets no credentials.
    pub(super) registry: Option<RegistryTarget<'a>>,
    /// Network of the registry in the reference.
    pub(super) network: Network,
}

/// A registry at its own base URL.
pub(super) struct RegistryTarget<'a> {
    pub(super) repository: &'a oci::Repository,
    pub(super) credentials_provider: &'a dyn CredentialsProvider,
    /// URL of `/v2/`, which sends a challenge if the registry requires authentication.
    pub(super) api_root: Url,
}

impl RegistryTarget<'_> {
    pub(super) async fn credentials(
        &self,
        rejected: Option<&Credentials>,
    ) -> Result<Option<Credentials>, Error> {
        self.credentials_provider.credentials_for(self.repository, rejected).await
    }

    /// Returns the credentials that replace rejected ones: `None` if they are unchanged, `Some(None)` if
    /// there are no credentials any more.
    pub(super) async fn renewed_credentials(
        &self,
        rejected: &Credentials,
    ) -> Result<Option<Option<Credentials>>, Error> {
        let next = self.credentials(Some(rejected)).await?;
        Ok((next.as_ref() != Some(rejected)).then_some(next))
    }

    /// Returns true if one of the scopes is for this repository.
    pub(super) fn is_in_scopes(&self, scopes: &[String]) -> bool {
        let path = self.repository.path();
        scopes.iter().any(|scope| {
            let name = scope.strip_prefix("repository:").and_then(|rest| rest.rsplit_once(':'));
            name.is_some_and(|(name, _)| name == path)
        })
    }
}

/// An `Authorization` header, and the facts from which it was created.
#[derive(Clone, Default)]
pub(super) struct Authorization {
    pub(super) header: Option<HeaderValue>,
    /// Credentials that the header was created from.
    pub(super) credentials: Option<Credentials>,
    /// Challenge that the header responds to.
    pub(super) challenge: Option<Challenge>,
    /// Scopes of the token.
    pub(super) scopes: Scopes,
    /// True if the token was requested for this request. False if it is from the cache.
    pub(super) is_fresh: bool,
}

impl Authorization {
    /// Sets or removes the header.
    pub(super) fn apply(&self, headers: &mut HeaderMap) {
        match &self.header {
            Some(value) => headers.insert(AUTHORIZATION, value.clone()),
            None => headers.remove(AUTHORIZATION),
        };
    }

    pub(super) fn credentials_sent(&self) -> CredentialsSent {
        let is_token = |header: &HeaderValue| header.as_bytes().starts_with(b"Bearer ");
        match (&self.credentials, &self.header) {
            (None, _) => CredentialsSent::No,
            (Some(_), Some(header)) if is_token(header) => CredentialsSent::ExchangedForToken,
            (Some(_), _) => CredentialsSent::Yes,
        }
    }

    /// Adds the header and the credentials to `secrets`.
    pub(super) fn add_secrets_to(&self, secrets: &mut Secrets) {
        self.header.iter().for_each(|header| secrets.add_header(header));
        self.credentials.iter().for_each(|credentials| secrets.add_credentials(credentials));
    }
}

/// HTTP client and deadline of requests for a challenge or a token.
#[derive(Clone, Copy)]
pub(super) struct HttpContext<'a> {
    pub(super) http: &'a http::Client,
    pub(super) deadline: Option<Instant>,
}
