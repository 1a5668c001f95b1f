//! Client of one registry, by the distribution specification
//! (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md>).
//!
//! One module for each endpoint: [`manifests`], [`tags`], [`blobs`], [`upload`], [`referrers`]. They send
//! requests with [`requests`], which follows redirects and gets the authorization from [`auth`]. That module
//! responds to a [`challenge`] with tokens from [`token_cache`], which requests them with [`token`].
//! [`secrets`] removes the sent secrets from responses. [`crate::oci::Registry`] contains rules for single
//! registries.

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
mod redirects;
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
pub use error::{Error, NOT_SENT};
pub use error_response::{CredentialsSent, ErrorEntry, ErrorResponse};
pub use manifests::{ManifestHead, ManifestId};
pub use rate_limit::RateLimit;
pub(crate) use upload::{BlobStream, UploadError, UploadStart};

use crate::http::{PendingRequests, RetryBudget, SilentHost};
use crate::{http, oci};
use auth::Authorizer;

/// Client for any number of registries. Clones share connections, challenges and tokens.
#[derive(Clone)]
pub struct Client {
    connections: Arc<Connections>,
    credentials_provider: Arc<dyn CredentialsProvider>,
    /// Challenges and tokens that were obtained with these credentials.
    authorizer: Arc<Authorizer>,
}

/// The parts of a client that do not depend on credentials.
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

    /// Returns a client with other credentials. It shares connections and base URLs. It does not share
    /// challenges and tokens, so that each token is used only with its credentials.
    #[must_use]
    pub fn with_credentials(&self, credentials_provider: Arc<dyn CredentialsProvider>) -> Self {
        Self { connections: self.connections.clone(), credentials_provider, authorizer: Arc::default() }
    }

    /// Returns a handle to one repository, for reading. Requests are not repeated after `deadline`.
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

/// Handle to one repository of one registry.
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

/// Actions of a token. Some token services reject a request for more actions than they grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Pull,
    PullAndPush,
}

impl Repository {
    /// Returns a handle for reading and writing.
    #[must_use]
    pub fn for_push(self) -> Self {
        Self { access: Access::PullAndPush, ..self }
    }

    /// Returns a handle for requests that mount a blob from `source`. Their token includes pull access to
    /// `source` if the token service grants it.
    #[must_use]
    pub(crate) fn with_mount_source(&self, source: &oci::Repository) -> Self {
        Self { mount_source: Some(source.clone()), ..self.clone() }
    }

    /// Registry and path of the repository.
    #[must_use]
    pub fn name(&self) -> &oci::Repository {
        &self.name
    }

    /// Time after which requests are not repeated.
    #[must_use]
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Returns a handle with an earlier deadline.
    #[must_use]
    pub(crate) fn with_deadline(&self, end: Instant) -> Self {
        let deadline = Some(self.deadline.map_or(end, |deadline| deadline.min(end)));
        Self { deadline, ..self.clone() }
    }

    /// Returns the budget of this handle, or a new one for an operation of several requests, which are sent
    /// [`with_budget`](Self::with_budget).
    #[must_use]
    pub(crate) fn retry_budget(&self) -> RetryBudget {
        let new_budget =
            || RetryBudget::new(self.http_options().backoff, self.deadline, self.usage.pending.clone());
        self.budget.clone().unwrap_or_else(new_budget)
    }

    /// Returns a handle whose requests share a budget.
    #[must_use]
    pub(crate) fn with_budget(&self, budget: &RetryBudget) -> Self {
        Self { budget: Some(budget.clone()), ..self.clone() }
    }

    fn http(&self) -> http::Client {
        self.client.connections.http.with_budget(self.retry_budget())
    }

    /// Returns the host that has been silent for the longest time, of all requests of this handle and its
    /// clones.
    pub(crate) fn silent_host(&self) -> Option<SilentHost> {
        self.usage.pending.longest_silence()
    }

    pub(crate) fn http_options(&self) -> &http::Options {
        self.client.connections.http.options()
    }

    /// Removes the recorded pull limit, because its window has ended.
    pub(crate) fn clear_rate_limit(&self) {
        *self.usage.rate_limit.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Returns the number of requests of this handle and its clones so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        Usage {
            requests: self.usage.requests.load(Ordering::Relaxed),
            manifest_gets: self.usage.manifest_gets.load(Ordering::Relaxed),
            rate_limit: self.usage.rate_limit.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

/// Number of requests to a repository, and the pull limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// Number of requests to the registry and its redirect targets, without token services.
    pub requests: u64,
    /// Number of manifests read with GET. Docker Hub counts each one as a pull.
    pub manifest_gets: u64,
    /// Lowest pull limit that the registry stated.
    pub rate_limit: Option<RateLimit>,
}

#[derive(Default)]
struct Counters {
    requests: AtomicU64,
    manifest_gets: AtomicU64,
    rate_limit: Mutex<Option<RateLimit>>,
    pending: PendingRequests,
}
