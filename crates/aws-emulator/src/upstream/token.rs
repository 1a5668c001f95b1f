//! The token service, the challenge, and the check of what comes back.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;
use serde_json::json;

use crate::distribution::refusal;
use crate::fault::Effect;
use crate::service::{Refused, Request, Response, json as json_answer};

use super::blobs::now;
use super::profile::Profile;
use super::store::{State, Token};

/// Who asks, once a token is accepted.
pub(super) struct Caller {
    pub(super) user: Option<String>,
}

/// Gives a token for the scopes asked for, as far as the caller may have them.
pub(super) fn issue(state: &mut State, profile: &Profile, request: &Request) -> Response {
    if request.method != http::Method::GET {
        return refusal(405, "UNSUPPORTED", "aws-emulator: tokens are given for GET only");
    }
    let user = match login(request) {
        None => None,
        Some((user, password)) if state.knows(&user, &password) => Some(user),
        Some(_) if profile.refuses_wrong_login => {
            return json_answer(401, &json!({"details": "incorrect username or password"}));
        }
        Some(_) => None,
    };
    let scopes = request.queries("scope").join(" ");
    let repositories: HashSet<_> = scopes
        .split_whitespace()
        .filter_map(|scope| scope.strip_prefix("repository:")?.rsplit_once(':'))
        .filter(|(_, actions)| actions.split(',').any(|action| action == "pull"))
        .filter(|(repository, _)| state.may_read(user.as_deref(), repository))
        .map(|(repository, _)| repository.to_owned())
        .collect();
    let everything = profile.constant_scope.as_ref().is_some_and(|scope| scopes.contains(scope));
    let token = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
    if matches!(request.effect, Some(Effect::ExpireToken)) {
        state.tokens.clear();
    }
    let ends = Instant::now() + Duration::from_secs(profile.token_seconds);
    state.tokens.insert(token.clone(), Token { user, repositories, everything, ends });
    json_answer(
        200,
        &json!({
            "token": token,
            "access_token": token,
            "expires_in": profile.token_seconds,
            "issued_at": rfc3339(now()),
        }),
    )
}

/// Writes seconds since 1970 as RFC 3339 does.
fn rfc3339(seconds: u64) -> String {
    // Days to a date by the era of 400 years, which begins on 1 March.
    let (days, second) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let march = (5 * day + 2) / 153;
    let (date, month) = (day - (153 * march + 2) / 5 + 1, (march + 2) % 12 + 1);
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Reads user and password of a Basic login.
pub(crate) fn login(request: &Request) -> Option<(String, String)> {
    let (scheme, value) = request.header("authorization")?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(BASE64_STANDARD.decode(value.trim()).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// Lets a request pass that carries a token good for its repository, and challenges every other.
pub(super) fn check(
    state: &mut State,
    profile: &Profile,
    request: &Request,
    repository: Option<&str>,
) -> Result<Caller, Refused> {
    let value = request.header("authorization");
    let Some((scheme, presented)) = value.and_then(|value| value.split_once(' ')) else {
        return Err(challenge(profile, repository, None).into());
    };
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(challenge(profile, repository, None).into());
    }
    if matches!(request.effect, Some(Effect::ExpireToken)) {
        state.tokens.remove(presented);
    }
    let token = state.tokens.get(presented).filter(|token| token.ends > Instant::now());
    let Some(token) = token else {
        return Err(challenge(profile, repository, Some("invalid_token")).into());
    };
    let Some(repository) = repository else {
        return Ok(Caller { user: token.user.clone() });
    };
    let opened = token.repositories.contains(repository)
        || (token.everything && state.may_read(token.user.as_deref(), repository));
    if !opened {
        return Err(challenge(profile, Some(repository), Some("insufficient_scope")).into());
    }
    Ok(Caller { user: token.user.clone() })
}

fn challenge(profile: &Profile, repository: Option<&str>, error: Option<&str>) -> Response {
    let mut value = format!(
        "Bearer realm=\"https://{}{}\",service=\"{}\"",
        profile.token_host, profile.token_path, profile.service
    );
    match (&profile.constant_scope, repository) {
        (Some(scope), _) => value += &format!(",scope=\"{scope}\""),
        (None, Some(repository)) => value += &format!(",scope=\"repository:{repository}:pull\""),
        (None, None) => {}
    }
    if let Some(error) = error {
        value += &format!(",error=\"{error}\"");
    }
    let mut response = refusal(401, "UNAUTHORIZED", "authentication required");
    // A repository name that is no header value gets a challenge without it.
    let value = HeaderValue::try_from(value).unwrap_or(HeaderValue::from_static("Bearer"));
    response.headers_mut().insert("www-authenticate", value);
    response
}

#[cfg(test)]
mod tests {
    use super::rfc3339;

    #[test]
    fn times_are_written_as_dates() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(rfc3339(1_798_761_599), "2026-12-31T23:59:59Z");
    }
}
