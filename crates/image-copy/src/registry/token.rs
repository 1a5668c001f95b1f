//! Requests tokens from a token service
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

use super::authorization::HttpContext;
use super::redirects::redirect_target;
use super::secrets::Secrets;
use super::{Credentials, CredentialsSent, Error, ErrorResponse};
use crate::http::{self, Network};

/// Time before its expiry at which a token is renewed. A third of its lifetime, if that is shorter.
const RENEWAL_MARGIN: Duration = Duration::from_secs(60);

/// Lifetime of a token if the response states none
/// (<https://distribution.github.io/distribution/spec/auth/token/#token-response-fields>).
const DEFAULT_LIFETIME: Duration = Duration::from_secs(60);

/// Maximum lifetime of a token. A token service can state a number that exceeds the range of an `Instant`.
const MAX_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// Maximum size of a response in bytes. Tokens are smaller, because servers accept headers of about 8 KiB.
const TOKEN_BODY_BYTES: u64 = 64 * 1024;

/// Maximum number of redirects of one request. Token services use one or two.
const MAX_REDIRECTS: usize = 3;

/// Required parameter of requests with an identity token. Token services accept any value.
const CLIENT_ID: &str = "image-copy";

/// A token of a token service.
pub(super) struct Token {
    pub(super) header: HeaderValue,
    pub(super) renew_at: Instant,
}

/// A request for a token, without its scopes and credentials.
pub(super) struct TokenRequest<'a> {
    /// URL of the token service.
    pub(super) realm: &'a str,
    pub(super) service: Option<&'a str>,
    /// Network of the registry in the reference. It decides if the realm is allowed.
    pub(super) network: Network,
}

/// Response of a token service. ACR sends only `access_token`, others send `token` or both, one of which can
/// be empty. `expires_in` is a number of seconds. Some services send a string, a negative number, or nothing.
#[derive(Deserialize)]
struct TokenResponse {
    token: Option<SecretString>,
    access_token: Option<SecretString>,
    #[serde(default)]
    expires_in: serde_json::Value,
}

impl TokenResponse {
    /// Returns the token and its lifetime.
    fn parse(response: &http::Response) -> Option<(SecretString, Duration)> {
        let Self { token, access_token, expires_in } = serde_json::from_slice(&response.body).ok()?;
        let is_given = |token: &SecretString| !token.expose_secret().is_empty();
        let token = token.filter(is_given).or(access_token.filter(is_given))?;
        let seconds = match expires_in {
            serde_json::Value::Number(number) => number.as_f64(),
            serde_json::Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        let lifetime =
            seconds.map_or(DEFAULT_LIFETIME, |seconds| match seconds > MAX_LIFETIME.as_secs_f64() {
                true => MAX_LIFETIME,
                false => Duration::try_from_secs_f64(seconds).unwrap_or(DEFAULT_LIFETIME),
            });
        Some((token, lifetime.clamp(DEFAULT_LIFETIME, MAX_LIFETIME)))
    }
}

impl TokenRequest<'_> {
    /// Requests a token for these scopes, with credentials or anonymously.
    ///
    /// # Errors
    /// If the token service rejects the request, is unreachable, or sends no token.
    pub(super) async fn fetch(
        &self,
        scopes: &[String],
        credentials: Option<&Credentials>,
        context: HttpContext<'_>,
    ) -> Result<Token, Error> {
        let url: Url =
            self.realm.parse().map_err(|_| Error::Protocol("the realm of the token service is not a URL"))?;
        let url = http::without_credentials(url);
        let started = Instant::now();
        let mut secrets = Secrets::default();
        credentials.iter().for_each(|credentials| secrets.add_credentials(credentials));
        let mut request = match credentials {
            Some(credentials) if credentials.is_identity_token() => {
                self.identity_token_request(url, scopes, &credentials.password)
            }
            _ => self.basic_request(url, scopes, credentials)?,
        };
        let mut response = send(&mut request, context, &secrets).await?;
        if response.status.is_success() && TokenResponse::parse(&response).is_none() {
            // The network can damage one response.
            response = send(&mut request, context, &secrets).await?;
        }
        if !response.status.is_success() {
            let sent = if credentials.is_some() { CredentialsSent::Yes } else { CredentialsSent::No };
            return Err(ErrorResponse::new(&response, format!("{} token", request.method), sent).into());
        }
        let Some((token, lifetime)) = TokenResponse::parse(&response) else {
            return Err(Error::Protocol("the token service returned no token"));
        };
        let header = sensitive_header(&format!("Bearer {}", token.expose_secret()))?;
        Ok(Token { header, renew_at: started + lifetime - RENEWAL_MARGIN.min(lifetime / 3) })
    }

    /// Creates a request with a user name and a password, or an anonymous one.
    fn basic_request(
        &self,
        mut url: Url,
        scopes: &[String],
        credentials: Option<&Credentials>,
    ) -> Result<http::Request, Error> {
        url.query_pairs_mut().extend_pairs(self.parameters(scopes));
        let mut headers = HeaderMap::new();
        if let Some(credentials) = credentials {
            headers.insert(AUTHORIZATION, basic_header(credentials)?);
        }
        Ok(self.http_request(Method::GET, url, headers, Bytes::new()))
    }

    /// Creates a request with an identity token, which must be in a form
    /// (<https://distribution.github.io/distribution/spec/auth/oauth/>).
    fn identity_token_request(
        &self,
        url: Url,
        scopes: &[String],
        identity_token: &SecretString,
    ) -> http::Request {
        // A form has the same encoding as a query.
        let mut form = url.clone();
        form.set_query(None);
        form.query_pairs_mut()
            .append_pair("grant_type", "refresh_token")
            .append_pair("client_id", CLIENT_ID)
            .append_pair("refresh_token", identity_token.expose_secret())
            .extend_pairs(self.parameters(scopes));
        let body = Bytes::copy_from_slice(form.query().unwrap_or_default().as_bytes());
        let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
        self.http_request(Method::POST, url, HeaderMap::from_iter([(CONTENT_TYPE, form_type)]), body)
    }

    fn parameters<'a>(&'a self, scopes: &'a [String]) -> impl Iterator<Item = (&'static str, &'a str)> {
        let service = self.service.map(|service| ("service", service));
        service.into_iter().chain(scopes.iter().map(|scope| ("scope", scope.as_str())))
    }

    fn http_request(&self, method: Method, url: Url, headers: HeaderMap, body: Bytes) -> http::Request {
        // Docker Hub returns 429 for an account that is locked after wrong passwords. More attempts extend
        // the lock (https://github.com/docker/hub-feedback/issues/2201).
        let is_final: fn(&http::Response) -> bool = match headers.contains_key(AUTHORIZATION) {
            true => |response| response.status == 429 && http::retry_after(&response.headers).is_none(),
            false => |_| false,
        };
        http::Request { method, url, network: self.network, headers, body, limit: TOKEN_BODY_BYTES, is_final }
    }
}

/// Sends a request. Follows redirects within the origin, and from unencrypted HTTP to TLS at the same host.
/// No other server gets the credentials.
async fn send(
    request: &mut http::Request,
    context: HttpContext<'_>,
    secrets: &Secrets,
) -> Result<http::Response, Error> {
    for _ in 0..=MAX_REDIRECTS {
        let mut response = context.http.send(request, context.deadline).await?;
        secrets.remove_from_response(&mut response);
        let target =
            redirect_target(&response, request)?.filter(|target| is_same_service(&request.url, target));
        match target {
            Some(target) => request.url = target,
            None => return Ok(response),
        }
    }
    Err(Error::Protocol("the token service sent too many redirects"))
}

fn is_same_service(from: &Url, to: &Url) -> bool {
    let is_upgrade = (from.scheme(), to.scheme()) == ("http", "https")
        && (from.port(), to.port()) == (None, None)
        && from.host() == to.host();
    is_upgrade || from.origin() == to.origin()
}

/// Returns the `Authorization` header for a user name and a password.
pub(super) fn basic_header(credentials: &Credentials) -> Result<HeaderValue, Error> {
    if credentials.is_identity_token() {
        let reason = "the login is an identity token, and the registry wants a user name and a password";
        return Err(Error::Credentials(reason.into()));
    }
    let pair = format!("{}:{}", credentials.username, credentials.password.expose_secret());
    sensitive_header(&format!("Basic {}", BASE64_STANDARD.encode(pair)))
}

fn sensitive_header(text: &str) -> Result<HeaderValue, Error> {
    let mut value =
        HeaderValue::from_str(text).map_err(|_| Error::Protocol("the token is not a valid header value"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sends_an_identity_token_in_a_form_and_not_in_the_url() {
        let token_request = TokenRequest {
            realm: "https://acme.azurecr.io/oauth2/token?tenant=1",
            service: Some("acme.azurecr.io"),
            network: Network::Public,
        };
        let scopes = ["repository:a/b:pull,push".to_owned(), "repository:c:pull".to_owned()];
        let request = token_request.identity_token_request(
            token_request.realm.parse().unwrap(),
            &scopes,
            &"refresh&me".into(),
        );
        assert_eq!(request.method, Method::POST);
        assert_eq!(request.url.as_str(), token_request.realm);
        assert_eq!(
            request.body,
            "grant_type=refresh_token&client_id=image-copy&refresh_token=refresh%26me&service=acme.azurecr.io&scope=repository%3Aa%2Fb%3Apull%2Cpush&scope=repository%3Ac%3Apull"
        );
        let credentials = Credentials::identity_token("refresh&me".into());
        assert!(basic_header(&credentials).is_err(), "an identity token is not a password");
    }

    #[test]
    fn parses_responses_of_token_services() {
        let read = |body: &'static str| {
            let response = http::Response {
                status: reqwest::StatusCode::OK,
                headers: HeaderMap::new(),
                body: body.into(),
                attempts: 1,
                successes: 1,
                elapsed: Duration::ZERO,
            };
            TokenResponse::parse(&response)
                .map(|(token, lifetime)| (token.expose_secret().to_owned(), lifetime.as_secs()))
        };
        for (body, expected) in [
            (r#"{"token":"a","expires_in":300}"#, Some(("a", 300))),
            (r#"{"token":"","access_token":"b"}"#, Some(("b", 60))),
            (r#"{"token":null,"access_token":"b","expires_in":null}"#, Some(("b", 60))),
            (r#"{"token":"a","access_token":"","expires_in":"300"}"#, Some(("a", 300))),
            (r#"{"token":"a","expires_in":-1}"#, Some(("a", 60))),
            (r#"{"token":"a","expires_in":"-1"}"#, Some(("a", 60))),
            (r#"{"token":"a","expires_in":"soon"}"#, Some(("a", 60))),
            (r#"{"token":"a","expires_in":"NaN"}"#, Some(("a", 60))),
            (r#"{"token":"a","expires_in":[]}"#, Some(("a", 60))),
            (r#"{"token":"a","expires_in":299.5}"#, Some(("a", 299))),
            (r#"{"token":"a","expires_in":1e300}"#, Some(("a", 24 * 3600))),
            (r#"{"token":"a","expires_in":18446744073709551615}"#, Some(("a", 24 * 3600))),
            (r#"{"token":"","access_token":""}"#, None),
            ("{}", None),
            ("[]", None),
        ] {
            let expected = expected.map(|(token, lifetime)| (token.to_owned(), lifetime));
            assert_eq!(read(body), expected, "{body}");
        }
    }

    #[test]
    fn follows_redirects_only_to_the_same_token_service() {
        for (from, to, expected) in [
            ("https://a.example/t", "https://a.example/u?x=1", true),
            ("http://a.example/t", "https://a.example/t", true),
            ("https://a.example/t", "http://a.example/t", false),
            ("https://a.example/t", "https://a.example:8443/t", false),
            ("http://a.example:5000/t", "https://a.example/t", false),
            ("https://a.example/t", "https://b.example/t", false),
        ] {
            assert_eq!(
                is_same_service(&from.parse().unwrap(), &to.parse().unwrap()),
                expected,
                "{from} {to}"
            );
        }
    }
}
