//! What `GetAuthorizationToken` gives, ECR's and ECR Public's alike: a login, and for how long.

use std::time::{Duration, SystemTime};

use aws_sdk_ecr::primitives::DateTime;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use image_copy::registry::Login;
use secrecy::SecretString;

/// Tokens live for 12 hours. One that would expire within an invocation is not used.
pub(crate) const RENEW_BEFORE: Duration = Duration::from_secs(20 * 60);
/// Used when the service does not say when a token expires, which its API allows.
const ASSUMED_LIFE: Duration = Duration::from_secs(3600);

/// A login that ends.
pub(crate) struct Token {
    pub(crate) login: Login,
    // Wall-clock time: a frozen function's monotonic clock may stand still.
    renew: SystemTime,
}

impl Token {
    /// Reads a token, which is base64 of `AWS:<password>`.
    pub(crate) fn read(token: &str, expires: Option<&DateTime>) -> Option<Self> {
        let text = String::from_utf8(BASE64_STANDARD.decode(token).ok()?).ok()?;
        let (username, password) = text.split_once(':')?;
        let login = Login { username: username.into(), password: SecretString::from(password) };
        let expires = expires.and_then(|expires| SystemTime::try_from(*expires).ok());
        Some(Self { login, renew: expires.unwrap_or(SystemTime::now() + ASSUMED_LIFE) - RENEW_BEFORE })
    }

    /// Whether it can be used still by whoever was refused with that login.
    pub(crate) fn serves(&self, refused: Option<&Login>) -> bool {
        // Only refusals that may mean age come here, so even a new token is not defended.
        SystemTime::now() < self.renew && refused != Some(&self.login)
    }
}
