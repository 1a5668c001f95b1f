//! Upstream registries. Clients can only read, and tests add the content.

mod access;
mod blobs;
mod limits;
mod manifests;
mod profile;
mod referrers;
mod setup;
mod store;
mod throttling;
mod token;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, Uri};

pub use profile::{
    AnonymousAccess, AuthScheme, ErrorResponse, ErrorResponses, Profile, Quirk, RateHeaders, RateLimit,
    RedirectingHost, TokenFields,
};
pub use referrers::ReferrersSupport;

pub(crate) use blobs::{blob_response, is_signed, reject_credentials, sign};
pub(crate) use manifests::{accepts, manifest_response};
pub(crate) use referrers::{entry as referrer_entry, list as referrers_list};
pub(crate) use token::basic_credentials;

use crate::blob::GeneratedBlobs;
use crate::body::{empty, full, read};
use crate::distribution::{Route, error_response};
use crate::service::{Operation, Request, Response, Service, reset_connection, response};
use store::State;

/// Availability of a registry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Availability {
    /// The registry works.
    #[default]
    Available,
    /// Connections to all its hosts are reset.
    Unreachable,
    /// All requests get status 503.
    ServiceUnavailable,
}

/// Response to a request for a range of a blob.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RangeSupport {
    /// The range, with status 206.
    #[default]
    Honoured,
    /// The whole blob, with status 200.
    Ignored,
    /// Status 416.
    Rejected,
}

/// A registry with a token service and a host for blobs.
pub struct Registry {
    profile: Profile,
    generated_blobs: Arc<GeneratedBlobs>,
    state: Mutex<State>,
}

impl Registry {
    /// Creates an empty registry.
    pub fn new(profile: Profile, generated_blobs: Arc<GeneratedBlobs>) -> Self {
        Self { profile, generated_blobs, state: Mutex::default() }
    }

    /// Returns the profile.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn part(&self, host: &str, path: &str) -> RegistryPart {
        let profile = &self.profile;
        let moved = profile.has(Quirk::MovedTokenService) && path == token::MOVED_PATH;
        if host == profile.token_host && (path == profile.token_path || moved) {
            RegistryPart::Token
        } else if Some(host) == profile.blob_host.as_deref()
            && (host != profile.registry_host || blobs::is_content(path))
        {
            RegistryPart::Content
        } else if profile.redirecting_host.as_ref().is_some_and(|redirecting| redirecting.host == host) {
            RegistryPart::Redirect
        } else {
            RegistryPart::Api
        }
    }

    fn respond(&self, request: &Request, form: Option<&str>) -> Response {
        let mut state = self.lock();
        if state.availability == Availability::ServiceUnavailable {
            let text = "<html><body><h1>503 Service Unavailable</h1></body></html>\n";
            return response(503, &[("content-type", "text/html")], full(text));
        }
        match self.part(&request.host, request.path()) {
            RegistryPart::Token => token::issue(&mut state, &self.profile, request, form),
            RegistryPart::Content => blobs::serve_content(&state, &self.profile, request),
            RegistryPart::Redirect => self.redirect(&state, request),
            RegistryPart::Api => self.api(&mut state, request),
        }
    }

    /// Handles a request to the host that redirects all requests.
    fn redirect(&self, state: &State, request: &Request) -> Response {
        let host = &self.profile.registry_host;
        let prefix = self.profile.redirecting_host.as_ref().map_or("", |redirecting| &redirecting.prefix);
        match Route::parse(request.path()) {
            Route::Ping => response(200, &[("docker-distribution-api-version", "registry/2.0")], empty()),
            Route::Manifest { repository, reference } => {
                let inner = format!("{prefix}{repository}");
                let location = format!("https://{host}/v2/{inner}/manifests/{reference}");
                let content = state.repositories.get(&inner).and_then(|content| content.manifest(&reference));
                let digest = content.map_or("", |manifest| &manifest.digest);
                let headers = [("location", location.as_str()), ("docker-content-digest", digest)];
                response(307, &headers[..if digest.is_empty() { 1 } else { 2 }], empty())
            }
            Route::Blob { repository, digest } => {
                let location =
                    blobs::location(state, &self.profile, &format!("{prefix}{repository}"), &digest);
                let location = location.unwrap_or_else(|| format!("https://{host}{}", request.path()));
                response(307, &[("location", &location)], empty())
            }
            _ => response(404, &[("content-type", "text/plain")], full("404 page not found\n")),
        }
    }

    fn api(&self, state: &mut State, request: &Request) -> Response {
        if request.path() == referrers::LOGIN_PAGE && request.host == self.profile.registry_host {
            return referrers::login_page();
        }
        let route = Route::parse(request.path());
        if route == Route::Unknown || !self.profile.is_registry(&request.host) {
            return response(404, &[("content-type", "text/plain")], full("404 page not found\n"));
        }
        let caller = match access::check(state, &self.profile, request, route.repository()) {
            Ok(caller) => caller,
            Err(error) => return *error,
        };
        let reads = matches!(request.method, Method::GET | Method::HEAD);
        match route {
            Route::Ping if reads => {
                response(200, &[("docker-distribution-api-version", "registry/2.0")], full("{}"))
            }
            Route::Manifest { repository, reference } if reads => {
                let named = (repository.as_str(), reference.as_str());
                manifests::serve(state, &self.profile, request, named, caller.user.as_deref())
            }
            Route::Blob { repository, digest } if reads => {
                blobs::serve(state, &self.profile, request, (&repository, &digest))
            }
            Route::Tags { repository } if reads => manifests::tags(state, request, &repository),
            Route::Referrers { repository, digest } if reads => {
                referrers::serve(state, &self.profile, request, (&repository, &digest))
            }
            _ => {
                let operation = request.operation.name.as_str();
                let message = format!("aws-emulator: {operation} is not implemented for upstreams");
                error_response(405, "UNSUPPORTED", &message)
            }
        }
    }
}

/// The part of a registry that handles a request.
enum RegistryPart {
    Token,
    Content,
    Redirect,
    Api,
}

impl Service for Registry {
    fn serves(&self, host: &str) -> bool {
        self.profile.is_registry(host)
            || host == self.profile.token_host
            || Some(host) == self.profile.blob_host.as_deref()
            || host == self.profile.reference_host()
    }

    fn reachable(&self, _: &str) -> bool {
        self.lock().availability != Availability::Unreachable
    }

    fn operation(&self, host: &str, method: &Method, uri: &Uri, _: &HeaderMap) -> Operation {
        match self.part(host, uri.path()) {
            RegistryPart::Token => Operation::new("token", "token"),
            RegistryPart::Content => Operation::new("cdn", "blob.content"),
            RegistryPart::Redirect | RegistryPart::Api => {
                let route = Route::parse(uri.path());
                Operation {
                    repository: route.repository().map(ToOwned::to_owned),
                    ..Operation::new("upstream", route.operation(method))
                }
            }
        }
    }

    fn serve(&self, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(async move {
            let mut request = request;
            let mut form = None;
            if request.method == Method::POST {
                let body = std::mem::replace(&mut request.body, empty());
                let Ok(bytes) = read(body, 64 * 1024).await else { return reset_connection() };
                form = Some(String::from_utf8_lossy(&bytes).into_owned());
            }
            self.respond(&request, form.as_deref())
        })
    }
}
