//! One conversation with a token service
//! (<https://distribution.github.io/distribution/spec/auth/token/>).

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::time::Instant;

use super::{Error, Login, LoginSent, Refusal};
use crate::http::{self, Origin};

/// A token is renewed this long before it ends, or a third of its life if that is shorter.
const RENEWAL_MARGIN: Duration = Duration::from_secs(60);

/// Life of a token whose service names none
/// (<https://distribution.github.io/distribution/spec/auth/token/#token-response-fields>).
const DEFAULT_LIFE: Duration = Duration::from_secs(60);

/// Life that a token is believed to have at most: a service may name any number, also one that cannot
/// be added to a time.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 3600);

const TOKEN_BODY_BYTES: u64 = 1024 * 1024;

/// What token services are told of who asks with a form; they demand it and do not check it.
const CLIENT_ID: &str = "image-copy";

/// A token, and the login that it was given for.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) header: HeaderValue,
    pub(super) login: Option<Login>,
    pub(super) renew_at: Instant,
}

/// What a challenge wants a token for.
pub(super) struct TokenRequest<'a> {
    pub(super) realm: &'a str,
    pub(super) service: Option<&'a str>,
    pub(super) scope: Option<&'a str>,
}

/// ACR sends `access_token` alone, others `token`, some both.
#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<SecretString>,
    access_token: Option<SecretString>,
    expires_in: Option<u64>,
}

impl TokenAnswer {
    fn read(answer: &http::Answer) -> Option<(SecretString, Option<u64>)> {
        let Self { token, access_token, expires_in } = serde_json::from_slice(&answer.body).ok()?;
        let token = token.or(access_token).filter(|token| !token.expose_secret().is_empty())?;
        Some((token, expires_in))
    }
}

impl TokenRequest<'_> {
    /// Asks as the login, or as nobody. `origin` is what the reference named, for judging the realm.
    pub(super) async fn fetch(
        &self,
        origin: Origin,
        login: Option<Login>,
        http: &http::Client,
        deadline: Option<Instant>,
    ) -> Result<Token, Error> {
        let url: Url =
            self.realm.parse().map_err(|_| Error::Protocol("the token service it names is no URL"))?;
        http::check_target(&url, origin).map_err(|reason| http::forbidden(reason, &url))?;
        let started = Instant::now();
        let request = match &login {
            Some(login) if login.is_identity_token() => self.exchange(url, &login.password),
            _ => self.request(url, login.as_ref())?,
        };
        let mut answer = http.send(&request, deadline).await?;
        if answer.status.is_success() && TokenAnswer::read(&answer).is_none() {
            // What came damaged once may come whole the next time.
            answer = http.send(&request, deadline).await?;
        }
        if !answer.status.is_success() {
            let sent = if login.is_some() { LoginSent::Yes } else { LoginSent::No };
            return Err(Refusal::of(&answer, format!("{} token", request.method), sent).into());
        }
        let Some((token, expires_in)) = TokenAnswer::read(&answer) else {
            return Err(Error::Protocol("its token service sent no token"));
        };
        let life = expires_in.map_or(DEFAULT_LIFE, Duration::from_secs).clamp(DEFAULT_LIFE, LONGEST_LIFE);
        let header = sensitive(&format!("Bearer {}", token.expose_secret()))?;
        Ok(Token { header, login, renew_at: started + life - RENEWAL_MARGIN.min(life / 3) })
    }

    /// Asks with a user name and a password, or as nobody.
    fn request(&self, mut url: Url, login: Option<&Login>) -> Result<http::Request, Error> {
        url.query_pairs_mut().extend_pairs(self.parameters());
        let mut headers = HeaderMap::new();
        if let Some(login) = login {
            headers.insert(AUTHORIZATION, basic(login)?);
        }
        Ok(token_request(Method::GET, url, headers, Bytes::new()))
    }

    /// Asks with an identity token, for which there is a form alone
    /// (<https://distribution.github.io/distribution/spec/auth/oauth/>).
    fn exchange(&self, url: Url, identity_token: &SecretString) -> http::Request {
        // A form is encoded as a query is.
        let mut form = url.clone();
        form.set_query(None);
        form.query_pairs_mut()
            .append_pair("grant_type", "refresh_token")
            .append_pair("client_id", CLIENT_ID)
            .append_pair("refresh_token", identity_token.expose_secret())
            .extend_pairs(self.parameters());
        let body = Bytes::copy_from_slice(form.query().unwrap_or_default().as_bytes());
        let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
        token_request(Method::POST, url, HeaderMap::from_iter([(CONTENT_TYPE, form_type)]), body)
    }

    fn parameters(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let service = self.service.map(|service| ("service", service));
        service.into_iter().chain(self.scope.map(|scope| ("scope", scope)))
    }
}

fn token_request(method: Method, url: Url, headers: HeaderMap, body: Bytes) -> http::Request {
    // Docker Hub locks a user name after wrong passwords, and says 429: to send it again and again
    // would keep it locked (https://github.com/docker/hub-feedback/issues/2201).
    let is_final: fn(&http::Answer) -> bool = match headers.contains_key(AUTHORIZATION) {
        true => |answer| answer.status == 429 && http::retry_after(&answer.headers).is_none(),
        false => |_| false,
    };
    http::Request { method, url, headers, body, limit: TOKEN_BODY_BYTES, is_final }
}

/// A user name and a password as a header.
pub(super) fn basic(login: &Login) -> Result<HeaderValue, Error> {
    if login.is_identity_token() {
        let reason = "the login is an identity token, and the registry wants a user name and a password";
        return Err(Error::Credentials(reason.into()));
    }
    let pair = format!("{}:{}", login.username, login.password.expose_secret());
    sensitive(&format!("Basic {}", BASE64_STANDARD.encode(pair)))
}

fn sensitive(text: &str) -> Result<HeaderValue, Error> {
    let mut value =
        HeaderValue::from_str(text).map_err(|_| Error::Protocol("its token cannot be sent in a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_token_goes_into_a_form_and_into_no_address() {
        let wanted = TokenRequest {
            realm: "https://acme.azurecr.io/oauth2/token?tenant=1",
            service: Some("acme.azurecr.io"),
            scope: Some("repository:a/b:pull"),
        };
        let request = wanted.exchange(wanted.realm.parse().unwrap(), &"refresh&me".into());
        assert_eq!(request.method, Method::POST);
        assert_eq!(request.url.as_str(), wanted.realm);
        assert_eq!(
            request.body,
            "grant_type=refresh_token&client_id=image-copy&refresh_token=refresh%26me&service=acme.azurecr.io&scope=repository%3Aa%2Fb%3Apull"
        );
        let login = Login::identity_token("refresh&me".into());
        assert!(basic(&login).is_err(), "it is no password");
    }
}
