//! Credentials for registries, and their source.

use futures_util::future::BoxFuture;
use secrecy::{ExposeSecret as _, SecretString};

use crate::oci;

/// A user name and a password (or access token) for one registry. The password cannot be printed.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// User name.
    pub username: String,
    /// Password or access token.
    pub password: SecretString,
}

/// Credentials are equal if user name and password are.
impl PartialEq for Credentials {
    fn eq(&self, other: &Self) -> bool {
        self.username == other.username && self.password.expose_secret() == other.password.expose_secret()
    }
}

/// User name that docker and its credential helpers use for identity tokens
/// (<https://github.com/docker/docker-credential-helpers#development>).
const IDENTITY_TOKEN: &str = "<token>";

impl Credentials {
    /// Creates credentials from an identity token, which some token services issue instead of a password,
    /// such as Azure's.
    #[must_use]
    pub(crate) fn identity_token(token: SecretString) -> Self {
        Self { username: IDENTITY_TOKEN.into(), password: token }
    }

    /// Returns true if the password is an identity token.
    #[must_use]
    pub(crate) fn is_identity_token(&self) -> bool {
        self.username == IDENTITY_TOKEN
    }
}

/// Source of credentials.
pub trait CredentialsProvider: Send + Sync {
    /// Returns the credentials for `repository`, or `None` for anonymous access. Most credentials are for a
    /// whole registry, whose API is at [`oci::Registry::api_host`].
    ///
    /// `rejected` are the credentials that the registry has just rejected. The source returns new ones, or the
    /// same ones if it cannot renew them. The same ones are not sent again.
    ///
    /// # Errors
    /// One line, if credentials are configured but unavailable.
    fn credentials_for<'a>(
        &'a self,
        repository: &'a oci::Repository,
        rejected: Option<&'a Credentials>,
    ) -> BoxFuture<'a, Result<Option<Credentials>, super::Error>>;

    /// Returns true if the registry accepts a user name and a password in the first request, as ECR does
    /// (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html>). This saves the request
    /// for a challenge.
    fn needs_no_challenge(&self, _repository: &oci::Repository) -> bool {
        false
    }
}

/// Anonymous access to all registries.
#[derive(Debug, Clone, Copy)]
pub struct Anonymous;

impl CredentialsProvider for Anonymous {
    fn credentials_for<'a>(
        &'a self,
        _: &'a oci::Repository,
        _: Option<&'a Credentials>,
    ) -> BoxFuture<'a, Result<Option<Credentials>, super::Error>> {
        Box::pin(async { Ok(None) })
    }
}
