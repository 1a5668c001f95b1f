//! What `GetAuthorizationToken` gives, ECR's and ECR Public's alike: a login, and for how long.

use std::time::{Duration, SystemTime};

use aws_sdk_ecr::primitives::DateTime;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use image_copy::registry::Credentials;
use secrecy::SecretString;

/// Tokens live for 12 hours. One that would expire within an invocation is not used.
pub(crate) const RENEW_BEFORE: Duration = Duration::from_secs(20 * 60);
/// Used when the service does not say when a token expires, which its API allows.
const ASSUMED_LIFE: Duration = Duration::from_secs(3600);

/// A login that ends.
pub(crate) struct AuthorizationToken {
    pub(crate) login: Credentials,
    // Wall-clock time: a frozen function's monotonic clock may stand still.
    renew: SystemTime,
}

impl AuthorizationToken {
    /// Reads a token, which is base64 of `AWS:<password>`.
    pub(crate) fn read(token: &str, expires: Option<&DateTime>) -> Option<Self> {
        let text = String::from_utf8(BASE64_STANDARD.decode(token).ok()?).ok()?;
        let (username, password) = text.split_once(':')?;
        let login = Credentials { username: username.into(), password: SecretString::from(password) };
        let expires = expires.and_then(|expires| SystemTime::try_from(*expires).ok());
        let expires = expires.unwrap_or(SystemTime::now() + ASSUMED_LIFE);
        Some(Self { login, renew: expires.checked_sub(RENEW_BEFORE).unwrap_or(SystemTime::UNIX_EPOCH) })
    }

    /// Whether it can be used still by whoever was refused with that login.
    pub(crate) fn is_usable(&self, refused: Option<&Credentials>) -> bool {
        // Only refusals that may mean age come here, so even a new token is not defended.
        SystemTime::now() < self.renew && refused != Some(&self.login)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_ended_before_all_time_is_not_used() {
        let token = BASE64_STANDARD.encode("AWS:password");
        for seconds in [i64::MIN, i64::MIN + 1, 0] {
            let token = AuthorizationToken::read(&token, Some(&DateTime::from_secs(seconds))).unwrap();
            assert!(!token.is_usable(None), "{seconds}");
        }
    }
}
