//! JSON web tokens of an OpenID Connect provider.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::ids;
use crate::timestamp::since_epoch;

/// Returns a token of the provider with this expiry time. Its signature is random.
pub(super) fn issue(expires_at: SystemTime) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(&json!({"alg": "RS256", "typ": "JWT"}));
    let issued = expires_at.checked_sub(Duration::from_secs(900)).unwrap_or(SystemTime::UNIX_EPOCH);
    let payload = part(&json!({
        "iss": "https://oidc.example", "sub": "system:serviceaccount:ci:images", "aud": "sts.amazonaws.com",
        "iat": since_epoch(issued).as_secs(), "exp": since_epoch(expires_at).as_secs(),
    }));
    format!("{header}.{payload}.{}", ids::hex(64))
}

/// Returns the subject and the expiry time in seconds of a token.
pub(super) fn parse(token: &str) -> Option<(String, u64)> {
    let [_, payload, _] = token.split('.').collect::<Vec<_>>()[..] else { return None };
    let payload: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    Some((payload["sub"].as_str()?.to_owned(), payload["exp"].as_u64()?))
}
