//! Upstream registries: read-only for clients, filled by the test.

mod blobs;
mod limits;
mod manifests;
mod profile;
mod referrers;
mod store;
mod token;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, Uri};

pub use profile::{Profile, RateHeaders, RateLimit};
pub use referrers::ReferrersManner;

pub(crate) use blobs::{is_signed, refuse_login, send as send_blob, sign};
pub(crate) use manifests::{accepts, send as send_manifest};
pub(crate) use referrers::{entry as referrer_entry, list as referrers_list};
pub(crate) use token::login;

use crate::blob::{Blob, Library};
use crate::body::full;
use crate::distribution::{Route, refusal};
use crate::image::{Image, Manifest};
use crate::service::{Operation, Request, Response, Service, answer};
use store::State;

/// Whether a registry is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Switch {
    /// It answers.
    #[default]
    On,
    /// Connections to any of its hosts are reset.
    Off,
    /// Every request is answered 503.
    Unavailable,
}

/// What happens to a request for a part of a blob.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RangeManner {
    /// It gets the part, with 206.
    #[default]
    Honoured,
    /// It gets the whole blob, with 200.
    Ignored,
    /// It gets 416.
    Refused,
}

/// A registry with a token service and a host for blobs.
pub struct Registry {
    profile: Profile,
    library: Arc<Library>,
    state: Mutex<State>,
}

impl Registry {
    /// Makes an empty registry.
    pub fn new(profile: Profile, library: Arc<Library>) -> Self {
        Self { profile, library, state: Mutex::default() }
    }

    /// Its profile.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Stores an image, its children and blobs, and tags its root.
    pub fn put_image(&self, repository: &str, tag: &str, image: &Image) {
        for blob in &image.blobs {
            self.put_blob(repository, blob.clone());
        }
        for manifest in &image.manifests {
            self.put_manifest(repository, manifest.clone());
        }
        self.tag(repository, tag, image.digest());
    }

    /// Stores a manifest, whatever its bytes are.
    pub fn put_manifest(&self, repository: &str, manifest: Manifest) {
        let mut state = self.lock();
        let held = state.repositories.entry(repository.to_owned()).or_default();
        held.manifests.insert(manifest.digest.clone(), manifest);
    }

    /// Stores a blob.
    pub fn put_blob(&self, repository: &str, blob: Blob) {
        self.library.learn(&blob);
        let mut state = self.lock();
        let held = state.repositories.entry(repository.to_owned()).or_default();
        held.blobs.insert(blob.digest().to_owned(), blob);
    }

    /// Stores a blob under a digest that is not its own, as a damaged registry would.
    pub fn put_damaged_blob(&self, repository: &str, digest: &str, blob: Blob) {
        let mut state = self.lock();
        let held = state.repositories.entry(repository.to_owned()).or_default();
        held.blobs.insert(digest.to_owned(), blob);
    }

    /// Lets a tag name a manifest.
    pub fn tag(&self, repository: &str, tag: &str, digest: &str) {
        let mut state = self.lock();
        let held = state.repositories.entry(repository.to_owned()).or_default();
        held.tags.insert(tag.to_owned(), digest.to_owned());
    }

    /// Takes a tag away.
    pub fn untag(&self, repository: &str, tag: &str) {
        if let Some(held) = self.lock().repositories.get_mut(repository) {
            held.tags.remove(tag);
        }
    }

    /// The digest that a tag names.
    pub fn resolve(&self, repository: &str, tag: &str) -> Option<String> {
        self.lock().repositories.get(repository)?.tags.get(tag).cloned()
    }

    /// Forgets a repository.
    pub fn delete(&self, repository: &str) {
        self.lock().repositories.remove(repository);
    }

    /// Adds a user.
    pub fn add_user(&self, user: &str, password: &str) {
        self.lock().users.insert(user.to_owned(), password.to_owned());
    }

    /// Lets only these users read a repository.
    pub fn make_private(&self, repository: &str, readers: &[&str]) {
        let mut state = self.lock();
        let held = state.repositories.entry(repository.to_owned()).or_default();
        held.readers = Some(readers.iter().map(|&reader| reader.to_owned()).collect());
    }

    /// Sets the pull limit of anonymous callers.
    pub fn set_limit(&self, limit: Option<RateLimit>) {
        self.lock().limits.anonymous = Some(limit);
    }

    /// Sets the pull limit of users.
    pub fn set_user_limit(&self, limit: Option<RateLimit>) {
        self.lock().limits.users = Some(limit);
    }

    /// Sets how many pulls a user, or anonymous callers, have left.
    pub fn set_remaining(&self, user: Option<&str>, pulls: u64) {
        self.lock().limits.set_remaining(&self.profile, user, pulls);
    }

    /// How many pulls a user, or anonymous callers, have left; none without a limit.
    pub fn remaining(&self, user: Option<&str>) -> Option<u64> {
        self.lock().limits.remaining(&self.profile, user)
    }

    /// Switches the registry off or on.
    pub fn switch(&self, switch: Switch) {
        self.lock().switch = switch;
    }

    /// Decides how ranges are treated.
    pub fn set_ranges(&self, manner: RangeManner) {
        self.lock().ranges = manner;
    }

    /// Makes every token given out so far expire.
    pub fn expire_tokens(&self) {
        let now = Instant::now();
        self.lock().tokens.values_mut().for_each(|token| token.ends = now);
    }

    /// Makes every signed URL given out so far expire.
    pub fn expire_signatures(&self) {
        self.lock().signature += 1;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place(&self, host: &str, path: &str) -> Place {
        if host == self.profile.token_host && path == self.profile.token_path {
            Place::Token
        } else if Some(host) == self.profile.blob_host.as_deref() {
            Place::Content
        } else {
            Place::Api
        }
    }

    fn answer(&self, request: &Request) -> Response {
        let mut state = self.lock();
        if state.switch == Switch::Unavailable {
            let text = "<html><body><h1>503 Service Unavailable</h1></body></html>\n";
            return answer(503, &[("content-type", "text/html")], full(text));
        }
        match self.place(&request.host, request.path()) {
            Place::Token => token::issue(&mut state, &self.profile, request),
            Place::Content => blobs::content(&state, request),
            Place::Api => self.api(&mut state, request),
        }
    }

    fn api(&self, state: &mut State, request: &Request) -> Response {
        if request.path() == referrers::LOGIN_PAGE && request.host == self.profile.registry_host {
            return referrers::login_page();
        }
        let route = Route::parse(request.path());
        if route == Route::Unknown || request.host != self.profile.registry_host {
            return answer(404, &[("content-type", "text/plain")], full("404 page not found\n"));
        }
        let caller = match token::check(state, &self.profile, request, route.repository()) {
            Ok(caller) => caller,
            Err(refused) => return *refused,
        };
        let reads = matches!(request.method, Method::GET | Method::HEAD);
        match route {
            Route::Ping if reads => {
                answer(200, &[("docker-distribution-api-version", "registry/2.0")], full("{}"))
            }
            Route::Manifest { repository, reference } if reads => {
                let named = (repository.as_str(), reference.as_str());
                manifests::read(state, &self.profile, request, named, caller.user.as_deref())
            }
            Route::Blob { repository, digest } if reads => {
                blobs::read(state, &self.profile, request, (&repository, &digest))
            }
            Route::Tags { repository } if reads => manifests::tags(state, request, &repository),
            Route::Referrers { repository, digest } if reads => {
                referrers::read(state, &self.profile, request, (&repository, &digest))
            }
            _ => {
                let what = request.operation.name.as_str();
                let message = format!("aws-emulator: {what} is not implemented for upstreams");
                refusal(405, "UNSUPPORTED", &message)
            }
        }
    }
}

/// Which of a registry's services a request is for.
enum Place {
    Token,
    Content,
    Api,
}

impl Service for Registry {
    fn serves(&self, host: &str) -> bool {
        host == self.profile.registry_host
            || host == self.profile.token_host
            || Some(host) == self.profile.blob_host.as_deref()
    }

    fn reachable(&self, _: &str) -> bool {
        self.lock().switch != Switch::Off
    }

    fn operation(&self, host: &str, method: &Method, uri: &Uri, _: &HeaderMap) -> Operation {
        match self.place(host, uri.path()) {
            Place::Token => Operation::new("token", "token"),
            Place::Content => Operation::new("cdn", "blob.content"),
            Place::Api => {
                let route = Route::parse(uri.path());
                Operation {
                    repository: route.repository().map(ToOwned::to_owned),
                    ..Operation::new("upstream", route.operation(method))
                }
            }
        }
    }

    fn serve(&self, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(async move { self.answer(&request) })
    }
}
