//! Authorization tokens of ECR and ECR Public: credentials with an expiry time.

use std::time::{Duration, SystemTime};

use aws_sdk_ecr::primitives::DateTime;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use image_copy::registry::Credentials;
use secrecy::SecretString;

/// Minimum remaining validity of a token, because it must outlast an invocation. ECR's tokens are valid for
/// 12 hours.
pub(crate) const RENEW_BEFORE: Duration = Duration::from_secs(20 * 60);
/// Assumed validity of a token without an expiry time, which the API allows.
const DEFAULT_VALIDITY: Duration = Duration::from_secs(3600);

/// Credentials with an expiry time.
pub(crate) struct AuthorizationToken {
    pub(crate) credentials: Credentials,
    // Wall-clock time, because the monotonic clock can stop while the function is frozen.
    renew: SystemTime,
}

impl AuthorizationToken {
    /// Parses a token: base64 of `AWS:<password>`.
    pub(crate) fn parse(token: &str, expires: Option<&DateTime>) -> Option<Self> {
        let text = String::from_utf8(BASE64_STANDARD.decode(token).ok()?).ok()?;
        let (username, password) = text.split_once(':')?;
        let credentials = Credentials { username: username.into(), password: SecretString::from(password) };
        let expires = expires.and_then(|expires| SystemTime::try_from(*expires).ok());
        let expires = expires.unwrap_or(SystemTime::now() + DEFAULT_VALIDITY);
        Some(Self { credentials, renew: expires.checked_sub(RENEW_BEFORE).unwrap_or(SystemTime::UNIX_EPOCH) })
    }

    /// Returns true if the token is valid and is not the one that was rejected.
    pub(crate) fn is_usable(&self, rejected: Option<&Credentials>) -> bool {
        // Only rejections that can mean an expired token reach this method, so even a new token is renewed.
        SystemTime::now() < self.renew && rejected != Some(&self.credentials)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_with_an_extreme_expiry_time_is_not_used() {
        let token = BASE64_STANDARD.encode("AWS:password");
        for seconds in [i64::MIN, i64::MIN + 1, 0] {
            let token = AuthorizationToken::parse(&token, Some(&DateTime::from_secs(seconds))).unwrap();
            assert!(!token.is_usable(None), "{seconds}");
        }
    }
}
