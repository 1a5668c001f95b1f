//! Authorization and challenges.

use std::time::Instant;

use http::{HeaderValue, Method};

use crate::fault::Effect;
use crate::service::{BoxedResponse, Request, Response};

use super::profile::{AnonymousAccess, AuthScheme, Profile, Quirk};
use super::store::State;
use super::token::{self, basic_credentials};

/// An authorized caller.
pub(super) struct Caller {
    pub(super) user: Option<String>,
}

/// Returns true if a user can read a repository, or get the information that it is missing.
pub(super) fn can_read(state: &State, profile: &Profile, user: Option<&str>, repository: &str) -> bool {
    if user.is_none() && profile.anonymous == AnonymousAccess::Nothing {
        return false;
    }
    match state.repositories.get(repository) {
        None => profile.errors.missing_repository.is_some(),
        Some(content) => {
            content.readers.as_ref().is_none_or(|readers| user.is_some_and(|user| readers.contains(user)))
        }
    }
}

/// Checks the authorization of a request. Returns an error response if it is not authorized.
pub(super) fn check(
    state: &mut State,
    profile: &Profile,
    request: &Request,
    repository: Option<&str>,
) -> Result<Caller, BoxedResponse> {
    let value = request.header("authorization");
    if let (None, Some(repository), true) = (value, repository, profile.has(Quirk::ChallengeOnlyAtRoot)) {
        return match can_read(state, profile, None, repository) {
            true => Ok(Caller { user: None }),
            false => Err(denied(profile, request, repository, None).into()),
        };
    }
    let scheme = value.and_then(|value| value.split_once(' ')).map(|(scheme, _)| scheme.to_ascii_lowercase());
    match (profile.auth, scheme.as_deref()) {
        (AuthScheme::None, _) => Ok(Caller { user: None }),
        (AuthScheme::Basic | AuthScheme::BearerOrBasic, Some("basic")) => {
            basic(state, profile, request, repository)
        }
        (AuthScheme::Bearer | AuthScheme::BearerOrBasic, Some("bearer")) => {
            bearer(state, profile, request, repository)
        }
        // Credentials instead of a token count as an invalid token.
        (AuthScheme::Bearer, Some(_)) if profile.errors.invalid_token.is_some() => {
            Err(invalid_token(profile, request, repository))
        }
        _ => Err(challenge(profile, request, repository, None).into()),
    }
}

fn basic(
    state: &mut State,
    profile: &Profile,
    request: &Request,
    repository: Option<&str>,
) -> Result<Caller, BoxedResponse> {
    let Some(user) =
        basic_credentials(request).filter(|(user, password)| state.accepts_password(user, password))
    else {
        let mut error = profile.errors.wrong_credentials.response(repository.unwrap_or_default(), "");
        let challenge = challenge(profile, request, repository, None);
        for value in challenge.headers().get_all("www-authenticate") {
            error.headers_mut().append("www-authenticate", value.clone());
        }
        return Err(without_body_for_head(profile, request, error).into());
    };
    let user = Some(user.0);
    match repository {
        Some(repository) if !can_read(state, profile, user.as_deref(), repository) => {
            Err(denied(profile, request, repository, user.as_deref()).into())
        }
        _ => Ok(Caller { user }),
    }
}

fn bearer(
    state: &mut State,
    profile: &Profile,
    request: &Request,
    repository: Option<&str>,
) -> Result<Caller, BoxedResponse> {
    let value = request.header("authorization").unwrap_or_default();
    let presented = value.split_once(' ').map_or("", |(_, token)| token);
    if matches!(request.effect, Some(Effect::ExpireToken)) {
        state.tokens.remove(presented);
    }
    let token = state.tokens.get(presented).filter(|token| token.expires_at > Instant::now());
    let Some(token) = token else {
        return Err(invalid_token(profile, request, repository));
    };
    let user = token.user.clone();
    let Some(repository) = repository else {
        return Ok(Caller { user });
    };
    let readable = can_read(state, profile, user.as_deref(), repository);
    if token.repositories.contains(repository) || (token.all_repositories && readable) {
        return Ok(Caller { user });
    }
    Err(denied(profile, request, repository, user.as_deref()).into())
}

/// Rejects an expired or unknown token.
fn invalid_token(profile: &Profile, request: &Request, repository: Option<&str>) -> BoxedResponse {
    if let Some(error) = profile.errors.invalid_token {
        return without_body_for_head(profile, request, error.response(repository.unwrap_or_default(), ""))
            .into();
    }
    let mut error = challenge(profile, request, repository, Some("invalid_token"));
    if profile.has(Quirk::NoChallengeOnExpiry) {
        error.headers_mut().remove("www-authenticate");
    }
    error.into()
}

/// Rejects a known caller without permission.
fn denied(profile: &Profile, request: &Request, repository: &str, user: Option<&str>) -> Response {
    let error = if user.is_some() { profile.errors.denied } else { profile.errors.denied_to_anonymous };
    match error {
        Some(error) => without_body_for_head(profile, request, error.response(repository, "")),
        None => challenge(profile, request, Some(repository), Some("insufficient_scope")),
    }
}

/// Rejects a request with a challenge.
fn challenge(
    profile: &Profile,
    request: &Request,
    repository: Option<&str>,
    error_code: Option<&str>,
) -> Response {
    let mut error = profile.errors.unauthorized.response(repository.unwrap_or_default(), "");
    let headers = error.headers_mut();
    if profile.auth != AuthScheme::Bearer {
        headers.append("www-authenticate", HeaderValue::from_static("Basic realm=\"Registry Realm\""));
    }
    if profile.auth != AuthScheme::Basic {
        // If a repository name is invalid in a header, the challenge does not contain it.
        let scopeless = request.method == Method::HEAD && profile.has(Quirk::NoScopeOnHead);
        let value = bearer_challenge(profile, repository.filter(|_| !scopeless), error_code);
        let value = HeaderValue::try_from(value).unwrap_or(HeaderValue::from_static("Bearer"));
        headers.append("www-authenticate", value);
    }
    without_body_for_head(profile, request, error)
}

fn bearer_challenge(profile: &Profile, repository: Option<&str>, error: Option<&str>) -> String {
    let mut value = format!(
        "Bearer realm=\"https://{}{}\",service=\"{}\"",
        profile.token_host, profile.token_path, profile.service
    );
    match (&profile.constant_scope, repository) {
        (Some(scope), _) => value += &format!(",scope=\"{scope}\""),
        (None, _) if profile.has(Quirk::EmptyScope) => value += ",scope=\"\"",
        (None, Some(repository)) => {
            let name = token::name_in_scope(profile, repository);
            value += &format!(",scope=\"repository:{name}:pull\"");
        }
        (None, None) => {}
    }
    if let Some(error) = error {
        value += &format!(",error=\"{error}\"");
    }
    value
}

/// Removes the body from the response to HEAD, as HTTP requires.
pub(super) fn without_body_for_head(profile: &Profile, request: &Request, mut error: Response) -> Response {
    if request.method == Method::HEAD {
        *error.body_mut() = crate::body::empty();
        // ACR returns 403 to HEAD where it returns 404 to GET.
        if profile.has(Quirk::ForbiddenForNotFoundOnHead) && error.status() == 404 {
            *error.status_mut() = http::StatusCode::FORBIDDEN;
        }
    }
    error
}
