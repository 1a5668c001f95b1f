//! One conversation with one registry, by the distribution specification
//! (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md>).
//!
//! One module for each endpoint: [`manifests`], [`tags`], [`blobs`], [`upload`], [`referrers`]. They send
//! requests with [`session`], which follows redirects and gets the authorization from [`auth`]. That responds
//! to a [`challenge`] with tokens from [`tokens`], which requests them with [`token`]. [`secrets`] removes
//! what was sent from what is returned. Rules for single registries are in [`crate::oci::Registry`].

mod auth;
mod authorization;
mod base_url;
mod blobs;
mod challenge;
mod credentials;
pub mod docker_config;
mod error;
mod error_response;
mod manifests;
mod pages;
mod rate_limit;
mod referrers;
mod requests;
mod scopes;
mod secrets;
mod tags;
mod token;
mod token_cache;
mod upload;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::Url;
use tokio::sync::OnceCell;
use tokio::time::Instant;

pub(crate) use blobs::BlobReader;
pub use credentials::{Anonymous, Credentials, CredentialsProvider};
pub use error::Error;
pub use error_response::{CredentialsSent, ErrorEntry, ErrorResponse};
pub use manifests::{ManifestHead, ManifestId};
pub use rate_limit::RateLimit;
pub(crate) use referrers::MAX_LIST_BYTES;
pub(crate) use upload::{BlobStream, UploadError, UploadStart};

use crate::http::{PendingRequests, RetryBudget, SilentHost};
use crate::{http, oci};
use auth::Authorizer;

/// Sends requests to any number of registries. Keeps connections, challenges and tokens; clones share
/// them.
#[derive(Clone)]
pub struct Client {
    connections: Arc<Connections>,
    credentials_provider: Arc<dyn CredentialsProvider>,
    /// Challenges and tokens that were obtained with these credentials.
    authorizer: Arc<Authorizer>,
}

/// The parts that do not depend on credentials.
struct Connections {
    http: http::Client,
    base_urls: Mutex<HashMap<String, Arc<OnceCell<Url>>>>,
}

impl Client {
    /// Creates a client. Sends nothing.
    ///
    /// # Errors
    /// One line if the proxy or a certificate cannot be used.
    pub fn new(
        options: http::Options,
        credentials_provider: Arc<dyn CredentialsProvider>,
    ) -> Result<Self, String> {
        let connections = Connections { http: http::Client::new(options)?, base_urls: Mutex::default() };
        Ok(Self { connections: Arc::new(connections), credentials_provider, authorizer: Arc::default() })
    }

    /// Returns a client with other credentials. Connections and base URLs are shared, challenges and
    /// tokens are not, so that a token is used only with the credentials it was obtained with.
    #[must_use]
    pub fn with_credentials(&self, credentials_provider: Arc<dyn CredentialsProvider>) -> Self {
        Self { connections: self.connections.clone(), credentials_provider, authorizer: Arc::default() }
    }

    /// A handle on one repository, for reading. Requests are not repeated beyond `deadline`.
    #[must_use]
    pub fn repository(&self, name: oci::Repository, deadline: Option<Instant>) -> Repository {
        Repository {
            client: self.clone(),
            name,
            access: Access::Pull,
            mount_source: None,
            deadline,
            budget: None,
            usage: Arc::default(),
        }
    }
}

/// A handle on one repository of one registry.
#[derive(Clone)]
pub struct Repository {
    client: Client,
    name: oci::Repository,
    access: Access,
    /// Repository of the same registry to mount blobs from.
    mount_source: Option<oci::Repository>,
    deadline: Option<Instant>,
    /// Budget of all requests through this handle. Without one, each operation has its own.
    budget: Option<RetryBudget>,
    usage: Arc<Counters>,
}

/// What a token is asked for: some services refuse a request for more than is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Pull,
    PullAndPush,
}

impl Repository {
    /// The same repository, for writing too.
    #[must_use]
    pub fn for_push(self) -> Self {
        Self { access: Access::PullAndPush, ..self }
    }

    /// The same repository, for requests that mount a blob from `source`: their token also covers pull on
    /// `source`, if the token service grants that.
    #[must_use]
    pub(crate) fn mounting_from(&self, source: &oci::Repository) -> Self {
        Self { mount_source: Some(source.clone()), ..self.clone() }
    }

    /// Registry and path.
    #[must_use]
    pub fn name(&self) -> &oci::Repository {
        &self.name
    }

    /// When requests are no longer repeated.
    #[must_use]
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The same repository, with a nearer end to its tries.
    #[must_use]
    pub(crate) fn with_deadline(&self, end: Instant) -> Self {
        let deadline = Some(self.deadline.map_or(end, |deadline| deadline.min(end)));
        Self { deadline, ..self.clone() }
    }

    /// Starts a budget for an operation of several requests, which are then sent
    /// [`within`](Self::within) it. Within another budget, returns that one.
    #[must_use]
    pub(crate) fn retry_budget(&self) -> RetryBudget {
        let own = || RetryBudget::new(self.http_options().backoff, self.deadline, self.usage.pending.clone());
        self.budget.clone().unwrap_or_else(own)
    }

    /// The same repository, with one budget for all requests.
    #[must_use]
    pub(crate) fn with_budget(&self, budget: &RetryBudget) -> Self {
        Self { budget: Some(budget.clone()), ..self.clone() }
    }

    fn http(&self) -> http::Client {
        self.client.connections.http.with_budget(self.retry_budget())
    }

    /// Returns the host that a request of this handle or its clones has been waiting for longest.
    pub(crate) fn silent_host(&self) -> Option<SilentHost> {
        self.usage.pending.longest_silence()
    }

    /// How requests are sent.
    pub(crate) fn http_options(&self) -> &http::Options {
        self.client.connections.http.options()
    }

    /// Forgets the pull limit that the registry stated, because its window has ended.
    pub(crate) fn clear_rate_limit(&self) {
        *self.usage.rate_limit.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Counts of the requests through this handle and its clones so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        Usage {
            requests: self.usage.requests.load(Ordering::Relaxed),
            manifest_gets: self.usage.manifest_gets.load(Ordering::Relaxed),
            rate_limit: self.usage.rate_limit.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

/// Counts of requests to a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// Requests sent to the registry and to where it redirected; token services not counted.
    pub requests: u64,
    /// Manifests read by GET, which is what Docker Hub counts as a pull.
    pub manifest_gets: u64,
    /// The allowance that the registry stated, at its lowest.
    pub rate_limit: Option<RateLimit>,
}

#[derive(Default)]
struct Counters {
    requests: AtomicU64,
    manifest_gets: AtomicU64,
    rate_limit: Mutex<Option<RateLimit>>,
    pending: PendingRequests,
}
