//! Sends the requests of all endpoints, with authorization and redirects, and counts them.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Url};

use super::authorization::{Authorization, HttpContext, RegistryTarget, RequestTarget};
use super::redirects::redirect_target;
use super::secrets::Secrets;
use super::{Access, CredentialsSent, Error, ErrorResponse, RateLimit, Repository};
use crate::http::{self, Network, ReceivedResponse, Response};
use crate::oci::Digest;

const MAX_REDIRECTS: usize = 5;

/// Maximum size of a response whose body is not used, in bytes.
pub(super) const SMALL_BODY_BYTES: u64 = 1 << 20;

/// Maximum number of authorizations of one request: one for the challenge, and one if a cached token has just
/// expired.
const MAX_RENEWALS: usize = 2;

/// A response, and the facts that an error message needs.
pub(super) struct RegistryResponse {
    pub(super) received: ReceivedResponse,
    pub(super) credentials: CredentialsSent,
    /// True if the response is from a redirect target.
    pub(super) is_redirected: bool,
    /// Digest in the headers of a redirect. registry.k8s.io states it only there.
    pub(super) redirect_digest: Option<Digest>,
    /// URL of the response, after redirects.
    pub(super) url: Url,
    /// Secrets in the request.
    pub(super) secrets: Secrets,
    request: String,
}

impl RegistryResponse {
    /// Returns a response with status 2xx, or the error of any other status.
    pub(super) fn into_success(self) -> Result<Response, Error> {
        match self.received {
            ReceivedResponse::Complete(response) if response.status.is_success() => Ok(response),
            ReceivedResponse::Complete(response) => {
                Err(ErrorResponse::new(&response, self.request, self.credentials).into())
            }
            ReceivedResponse::Streaming(_) => Err(Error::Protocol("the response has an unexpected body")),
        }
    }

    pub(super) fn status(&self) -> u16 {
        match &self.received {
            ReceivedResponse::Complete(response) => response.status.as_u16(),
            ReceivedResponse::Streaming(response) => response.status().as_u16(),
        }
    }

    /// Returns the error of a response with any other status than 2xx.
    pub(super) fn to_error(&self) -> Error {
        match &self.received {
            ReceivedResponse::Complete(response) => {
                let error_response = ErrorResponse::new(response, self.request.clone(), self.credentials);
                // The signature in a redirect is valid for seconds. The registry creates a new one.
                let signature_expired =
                    self.is_redirected && matches!(error_response.status, 400 | 401 | 403);
                if signature_expired {
                    Error::AuthorizationExpired(Box::new(error_response))
                } else {
                    error_response.into()
                }
            }
            ReceivedResponse::Streaming(_) => Error::Protocol("the response has an unexpected body"),
        }
    }
}

impl Repository {
    /// Returns the URL of a path below this repository, such as `manifests/latest`.
    pub(super) async fn url(&self, path: &str) -> Result<Url, Error> {
        let base = self.client.base_url(self.name.registry()).await?;
        base.join(&format!("v2/{}/{path}", self.name.path()))
            .map_err(|_| Error::Protocol("the name is not valid in a URL"))
    }

    /// Creates a request that can be repeated. `limit` is the maximum size of the response in bytes.
    pub(super) fn request(method: Method, url: Url, limit: u64) -> http::Request {
        http::Request {
            method,
            url,
            network: Network::Public,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            limit,
            is_final: is_pull_limit,
        }
    }

    /// Adds a body and its media type.
    pub(super) fn with_body(
        mut request: http::Request,
        media_type: &str,
        body: Bytes,
    ) -> Result<http::Request, Error> {
        let value = HeaderValue::from_str(media_type)
            .map_err(|_| Error::Protocol("the media type is not a valid header value"))?;
        request.headers.insert(CONTENT_TYPE, value);
        request.body = body;
        Ok(request)
    }

    /// Sends a request and reads the response to its end.
    pub(super) async fn send(&self, request: http::Request) -> Result<RegistryResponse, Error> {
        self.send_with_redirects(request, BodyMode::Complete).await
    }

    /// Sends a request. Leaves the body of a successful response to the caller.
    pub(super) async fn send_streaming(&self, request: http::Request) -> Result<RegistryResponse, Error> {
        self.send_with_redirects(request, BodyMode::Streaming).await
    }

    /// Returns the authorization for a request with a body that cannot be repeated.
    pub(super) async fn authorization(&self, url: &Url) -> Result<Authorization, Error> {
        let target = self.target(url, self.is_registry_url(url).await?).await?;
        self.client.authorizer.initial_authorization(&target, self.http_context(&self.http())).await
    }

    /// Returns true if the response rejected an expired authorization, and a new one is available.
    pub(super) async fn is_authorization_renewed(
        &self,
        url: &Url,
        response: &Response,
        sent: &Authorization,
    ) -> Result<bool, Error> {
        let target = self.target(url, self.is_registry_url(url).await?).await?;
        let http = self.http();
        Ok(self
            .client
            .authorizer
            .renewed_authorization(response, sent, &target, self.http_context(&http))
            .await?
            .is_some())
    }

    /// Returns the network of the registry in the reference.
    pub(super) fn network(&self) -> Network {
        Network::of(self.name.registry().host())
    }

    async fn send_with_redirects(
        &self,
        mut request: http::Request,
        body_mode: BodyMode,
    ) -> Result<RegistryResponse, Error> {
        let description = format!("{} {}", request.method, request.url.path());
        let http = self.http();
        request.network = self.network();
        let mut secrets = Secrets::default();
        let mut is_registry = self.is_registry_url(&request.url).await?;
        let mut redirect_digest = None;
        for _ in 0..=MAX_REDIRECTS {
            let sending = self.send_authorized(&mut request, is_registry, body_mode, &http, &mut secrets);
            let (received, credentials) = sending.await.map_err(|error| secrets.remove_from_error(error))?;
            let target = match &received {
                ReceivedResponse::Complete(response) => redirect_target(response, &request)?,
                ReceivedResponse::Streaming(_) => None,
            };
            let Some(target) = target else {
                let url = request.url;
                return Ok(RegistryResponse {
                    received,
                    credentials,
                    is_redirected: !is_registry,
                    redirect_digest,
                    url,
                    secrets,
                    request: description,
                });
            };
            if let ReceivedResponse::Complete(response) = &received {
                redirect_digest = redirect_digest.or(stated_digest(&response.headers));
            }
            // Credentials are not sent to another origin, nor after a redirect back from there.
            is_registry = is_registry && target.origin() == request.url.origin();
            request.url = target;
        }
        Err(Error::Protocol("too many redirects"))
    }

    async fn send_authorized(
        &self,
        request: &mut http::Request,
        is_registry: bool,
        body_mode: BodyMode,
        http: &http::Client,
        secrets: &mut Secrets,
    ) -> Result<(ReceivedResponse, CredentialsSent), Error> {
        let target = self.target(&request.url, is_registry).await?;
        let authorizer = &self.client.authorizer;
        let mut authorization = authorizer.initial_authorization(&target, self.http_context(http)).await?;
        let mut renewals = 0;
        if !is_registry {
            secrets.add_query(&request.url);
        }
        loop {
            authorization.apply(&mut request.headers);
            authorization.add_secrets_to(secrets);
            let mut received = match body_mode {
                BodyMode::Complete => ReceivedResponse::Complete(http.send(request, self.deadline).await?),
                BodyMode::Streaming => http.send_streaming(request, self.deadline).await?,
            };
            self.record_usage(&received);
            if let ReceivedResponse::Complete(response) = &mut received {
                secrets.remove_from_response(response);
                if renewals < MAX_RENEWALS
                    && let Some(next) = authorizer
                        .renewed_authorization(response, &authorization, &target, self.http_context(http))
                        .await?
                {
                    authorization = next;
                    renewals += 1;
                    continue;
                }
            }
            return Ok((received, authorization.credentials_sent()));
        }
    }

    fn http_context<'a>(&self, http: &'a http::Client) -> HttpContext<'a> {
        HttpContext { http, deadline: self.deadline }
    }

    async fn target<'a>(&'a self, url: &Url, is_registry: bool) -> Result<RequestTarget<'a>, Error> {
        let origin = url.origin().ascii_serialization();
        let network = self.network();
        if !is_registry {
            return Ok(RequestTarget { origin, scopes: Vec::new(), registry: None, network });
        }
        let actions = match self.access {
            Access::Pull => "pull",
            Access::PullAndPush => "pull,push",
        };
        let scope = format!("repository:{}:{actions}", self.name.path());
        let source = self.mount_source.iter().map(|source| format!("repository:{}:pull", source.path()));
        let base_url = self.client.base_url(self.name.registry()).await?;
        let registry = RegistryTarget {
            repository: &self.name,
            credentials_provider: &*self.client.credentials_provider,
            api_root: base_url.join("v2/").map_err(|_| Error::Protocol("the name is not valid in a URL"))?,
        };
        Ok(RequestTarget {
            origin,
            scopes: [scope].into_iter().chain(source).collect(),
            registry: Some(registry),
            network,
        })
    }

    /// Returns true if the address is at the registry's own base URL.
    async fn is_registry_url(&self, url: &Url) -> Result<bool, Error> {
        Ok(self.client.base_url(self.name.registry()).await?.origin() == url.origin())
    }

    fn record_usage(&self, received: &ReceivedResponse) {
        let (attempts, headers) = match received {
            ReceivedResponse::Complete(response) => (response.attempts, &response.headers),
            ReceivedResponse::Streaming(response) => (1, response.headers()),
        };
        self.usage.requests.fetch_add(u64::from(attempts), Ordering::Relaxed);
        if let Some(limit) = RateLimit::from_headers(headers) {
            let mut known = self.usage.rate_limit.lock().unwrap_or_else(PoisonError::into_inner);
            *known = Some(limit.merged_with(known.take()));
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum BodyMode {
    Complete,
    Streaming,
}

pub(super) fn stated_digest(headers: &HeaderMap) -> Option<Digest> {
    headers.get("docker-content-digest")?.to_str().ok()?.parse().ok()
}

/// Returns true if the pull limit is exceeded and the registry does not state its end. Docker Hub's limit on
/// requests of any kind has another message and ends within a minute
/// (<https://docs.docker.com/docker-hub/usage/>).
fn is_pull_limit(response: &Response) -> bool {
    let error_response = || ErrorResponse::new(response, "", CredentialsSent::No);
    response.status == 429
        && http::rate_limit_end(&response.headers).is_none()
        && error_response().is_pull_limit()
}
