//! The token service.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::body::empty;
use crate::distribution::error_response;
use crate::fault::Effect;
use crate::service::{BoxedResponse, Request, Response, json_response, queries, response};

use super::access::can_read;
use super::blobs::now;
use super::profile::{Profile, Quirk, TokenFields};
use super::store::{State, Token};

/// User name for an identity token as password
/// (<https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md>).
const IDENTITY_TOKEN_USER: &str = "00000000-0000-0000-0000-000000000000";

/// Path of a token service that has moved.
pub(super) const MOVED_PATH: &str = "/c/token";

/// Prefix of repositories in the scopes of [`Quirk::MappedScope`].
const MAPPED_PREFIX: &str = "mapped/";

/// A token request with its parameters in the query or in a form.
struct TokenRequest<'a> {
    request: &'a Request,
    form: Option<&'a str>,
}

impl TokenRequest<'_> {
    fn values(&self, name: &str) -> Vec<String> {
        self.form.map_or_else(|| self.request.queries(name), |form| queries(form, name))
    }
}

/// Issues a token for the requested scopes that the caller can read.
pub(super) fn issue(state: &mut State, profile: &Profile, request: &Request, form: Option<&str>) -> Response {
    if profile.has(Quirk::MovedTokenService) && request.path() == profile.token_path {
        let location = format!("{MOVED_PATH}?{}", request.uri.query().unwrap_or_default());
        return response(302, &[("location", &location)], empty());
    }
    let token_request = TokenRequest { request, form };
    let user = match authenticate(state, profile, &token_request) {
        Ok(user) => user,
        Err(error) => return *error,
    };
    let scopes = token_request.values("scope").join(" ");
    let requested_scopes: Vec<_> = scopes
        .split_whitespace()
        .filter_map(|scope| scope.strip_prefix("repository:")?.rsplit_once(':'))
        .collect();
    let unknown = |(_, actions): &(&str, &str)| actions.split(',').any(|a| !matches!(a, "pull" | "push"));
    if profile.has(Quirk::RejectsUnknownActions) && requested_scopes.iter().any(unknown) {
        return error_response(400, "UNSUPPORTED", "Unable to decode repository and actions");
    }
    let repositories: HashSet<_> = requested_scopes
        .iter()
        .filter(|(_, actions)| actions.split(',').any(|action| action == "pull"))
        .filter_map(|(name, _)| repository_of_scope(profile, name))
        .filter(|repository| can_read(state, profile, user.as_deref(), repository))
        .map(ToOwned::to_owned)
        .collect();
    let error = match user {
        Some(_) => profile.errors.nothing_granted,
        None => profile.errors.nothing_granted_to_anonymous,
    };
    if let (Some(error), true, Some((repository, _))) =
        (error, repositories.is_empty(), requested_scopes.first())
    {
        return error.response(repository, "");
    }
    let all_repositories = profile.constant_scope.as_ref().is_some_and(|scope| scopes.contains(scope));
    if matches!(request.effect, Some(Effect::ExpireToken)) {
        state.tokens.clear();
    }
    let token = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
    let expires_at = Instant::now() + Duration::from_secs(profile.token_seconds);
    state.tokens.insert(token.clone(), Token { user, repositories, all_repositories, expires_at });
    json_response(200, &token_response(profile, &token))
}

/// Returns the name of a repository in scopes.
pub(super) fn name_in_scope(profile: &Profile, repository: &str) -> String {
    let prefix = if profile.has(Quirk::MappedScope) { MAPPED_PREFIX } else { "" };
    format!("{prefix}{repository}")
}

/// Returns the repository of a name in scopes.
fn repository_of_scope<'a>(profile: &Profile, name: &'a str) -> Option<&'a str> {
    if profile.has(Quirk::MappedScope) { name.strip_prefix(MAPPED_PREFIX) } else { Some(name) }
}

/// Returns the body of a token response.
fn token_response(profile: &Profile, token: &str) -> Value {
    match profile.token_fields {
        TokenFields::Token => json!({"token": token}),
        TokenFields::AccessToken => json!({"access_token": token}),
        TokenFields::All => json!({
            "token": token,
            "access_token": token,
            "expires_in": profile.token_seconds,
            "issued_at": rfc3339(now()),
        }),
        TokenFields::EmptyToken => json!({"token": "", "access_token": token, "expires_in": -1}),
        TokenFields::TextExpiry => json!({"token": token, "expires_in": profile.token_seconds.to_string()}),
    }
}

/// Returns the user of a token request. `None` is an anonymous caller.
fn authenticate(
    state: &mut State,
    profile: &Profile,
    token_request: &TokenRequest<'_>,
) -> Result<Option<String>, BoxedResponse> {
    let wrong_credentials_error = || profile.errors.wrong_credentials.response("", "");
    if token_request.request.method == http::Method::POST {
        if !profile.accepts_identity_tokens {
            return Err(error_response(401, "UNAUTHORIZED", "authentication required").into());
        }
        if token_request.values("grant_type") != ["refresh_token"]
            || token_request.values("service").is_empty()
        {
            return Err(
                error_response(400, "BAD_REQUEST", "grant_type, service and a token are required").into()
            );
        }
        let token = token_request.values("refresh_token").pop().unwrap_or_default();
        return state
            .identity_tokens
            .get(&token)
            .cloned()
            .map(Some)
            .ok_or_else(|| wrong_credentials_error().into());
    }
    if token_request.request.method != http::Method::GET {
        return Err(error_response(
            405,
            "UNSUPPORTED",
            "aws-emulator: tokens are issued for GET and POST only",
        )
        .into());
    }
    let Some((user, password)) = basic_credentials(token_request.request) else { return Ok(None) };
    let wrong_count = state.wrong_passwords.get(&user).copied().unwrap_or(0);
    if profile.lockout_threshold.is_some_and(|limit| wrong_count >= limit) {
        let message = "too many failed login attempts for username or IP address";
        return Err(error_response(429, "TOOMANYREQUESTS", message).into());
    }
    if user == IDENTITY_TOKEN_USER && profile.accepts_identity_tokens {
        return state
            .identity_tokens
            .get(&password)
            .cloned()
            .map(Some)
            .ok_or_else(|| wrong_credentials_error().into());
    }
    if state.accepts_password(&user, &password) {
        return Ok(Some(user));
    }
    *state.wrong_passwords.entry(user).or_default() += 1;
    if profile.rejects_wrong_credentials { Err(wrong_credentials_error().into()) } else { Ok(None) }
}

/// Formats seconds since 1970 as in RFC 3339.
fn rfc3339(seconds: u64) -> String {
    // https://howardhinnant.github.io/date_algorithms.html#civil_from_days
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

/// Returns user and password of basic authentication.
pub(crate) fn basic_credentials(request: &Request) -> Option<(String, String)> {
    let (scheme, value) = request.header("authorization")?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(BASE64_STANDARD.decode(value.trim()).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::rfc3339;

    #[test]
    fn formats_times() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(rfc3339(1_798_761_599), "2026-12-31T23:59:59Z");
    }
}
