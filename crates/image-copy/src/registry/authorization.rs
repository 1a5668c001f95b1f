//! The parties of a request, and the header that authorizes it.

use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use tokio::time::Instant;

use super::challenge::Challenge;
use super::scopes::Scopes;
use super::secrets::Secrets;
use super::{Credentials, CredentialsProvider, CredentialsSent, Error};
use crate::http::{self, Network};
use crate::oci;

/// The receiver of a request, and the rights that the request needs.
pub(super) struct RequestTarget<'a> {
    /// Scheme, host and port of the receiver. Tokens for another one are never sent there.
    pub(super) origin: String,
    /// Scopes of the token. Empty: the scopes in the challenge.
    pub(super) scopes: Scopes,
    /// The registry itself. `None` for a redirect target, which gets no credentials.
    pub(super) registry: Option<RegistryTarget<'a>>,
    /// Kind of the registry in the reference.
    pub(super) network: Network,
}

/// A registry at its own base URL.
pub(super) struct RegistryTarget<'a> {
    /// The repository.
    pub(super) repository: &'a oci::Repository,
    /// CredentialsProvider for the repository.
    pub(super) credentials_provider: &'a dyn CredentialsProvider,
    /// The address of its `/v2/`, which has a challenge if anything needs one.
    pub(super) api_root: Url,
}

impl RegistryTarget<'_> {
    pub(super) async fn credentials(
        &self,
        refused: Option<&Credentials>,
    ) -> Result<Option<Credentials>, Error> {
        self.credentials_provider.credentials_for(self.repository, refused).await
    }

    /// Returns the login that replaces a refused one: `Some(None)` if there is no login any more, `None` if it
    /// is still the same.
    pub(super) async fn renewed_credentials(
        &self,
        refused: &Credentials,
    ) -> Result<Option<Option<Credentials>>, Error> {
        let next = self.credentials(Some(refused)).await?;
        Ok((next.as_ref() != Some(refused)).then_some(next))
    }

    /// Returns true if one of the scopes is about this repository.
    pub(super) fn is_in_scopes(&self, scopes: &[String]) -> bool {
        let path = self.repository.path();
        scopes.iter().any(|scope| {
            let name = scope.strip_prefix("repository:").and_then(|rest| rest.rsplit_once(':'));
            name.is_some_and(|(name, _)| name == path)
        })
    }
}

/// A header that authorizes a request, and its origin.
#[derive(Clone, Default)]
pub(super) struct Authorization {
    pub(super) header: Option<HeaderValue>,
    /// The login that the header was obtained with.
    pub(super) credentials: Option<Credentials>,
    /// The challenge that it responds to, and the scopes of the token.
    pub(super) challenge: Option<Challenge>,
    pub(super) scopes: Scopes,
    /// True if the token was fetched for this request.
    pub(super) is_fresh: bool,
}

impl Authorization {
    /// Adds the header, if there is one.
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

    /// Adds its header and login to the secrets.
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
