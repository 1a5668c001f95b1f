//! Logins, and where they come from.

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

/// Whether a registry that refused the one would refuse the other.
impl PartialEq for Credentials {
    fn eq(&self, other: &Self) -> bool {
        self.username == other.username && self.password.expose_secret() == other.password.expose_secret()
    }
}

/// The user name by which docker and its helpers say that the password is an identity token
/// (<https://github.com/docker/docker-credential-helpers#development>).
const IDENTITY_TOKEN: &str = "<token>";

impl Credentials {
    /// A token that the registry's token service gave for later, in place of user and password, as
    /// Azure's does.
    #[must_use]
    pub(crate) fn identity_token(token: SecretString) -> Self {
        Self { username: IDENTITY_TOKEN.into(), password: token }
    }

    /// Whether the password is an identity token.
    #[must_use]
    pub(crate) fn is_identity_token(&self) -> bool {
        self.username == IDENTITY_TOKEN
    }
}

/// Source of logins.
pub trait CredentialsProvider: Send + Sync {
    /// Returns the login for requests about `repository`, or `None`. Most logins are for a whole
    /// registry; its API is at [`oci::Registry::api_host`].
    ///
    /// `refused` is the login that the registry has just refused: a source that can renew it does,
    /// others give the same again and it is not tried a second time.
    ///
    /// # Errors
    /// One line on why the login that there should be could not be had.
    fn credentials_for<'a>(
        &'a self,
        repository: &'a oci::Repository,
        refused: Option<&'a Credentials>,
    ) -> BoxFuture<'a, Result<Option<Credentials>, super::Error>>;

    /// Returns true if the registry accepts a user name and a password in the first request, as ECR does
    /// (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html>). That saves the
    /// request that a challenge costs.
    fn needs_no_challenge(&self, _repository: &oci::Repository) -> bool {
        false
    }
}

/// No logins at all.
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
