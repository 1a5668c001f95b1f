//! Requests that are waiting for a response, so that a failure at the deadline can name a silent host.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

use crate::text::SanitizedText;

/// Value of `waiting_since` while the request does not wait for the server.
const NOT_WAITING: u64 = u64::MAX;

/// A host that has sent nothing for some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SilentHost {
    /// Host, with its port if that is not the default port.
    pub host: SanitizedText,
    /// Time since its last byte.
    pub time: Duration,
}

/// A request in flight, and the time for which it has waited for the server.
#[derive(Debug)]
pub(crate) struct PendingRequest {
    host: SanitizedText,
    started: Instant,
    /// Milliseconds after `started`.
    waiting_since: AtomicU64,
}

impl PendingRequest {
    /// Records that the server must act next.
    pub(super) fn start_waiting(&self) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(NOT_WAITING - 1);
        self.waiting_since.store(now, Ordering::Relaxed);
    }

    /// Records that the server has acted.
    pub(super) fn stop_waiting(&self) {
        self.waiting_since.store(NOT_WAITING, Ordering::Relaxed);
    }

    /// Returns the time of the current wait, or `None` if the request does not wait for the server.
    pub(super) fn waiting_time(&self) -> Option<Duration> {
        let since = Some(self.waiting_since.load(Ordering::Relaxed)).filter(|since| *since != NOT_WAITING)?;
        Some(self.started.elapsed().saturating_sub(Duration::from_millis(since)))
    }
}

/// The requests to one repository that are in flight. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct PendingRequests(Arc<Mutex<Vec<Weak<PendingRequest>>>>);

impl PendingRequests {
    /// Adds a request that waits from now on. It is removed when the returned value is dropped.
    pub(super) fn add(&self, host: SanitizedText) -> Arc<PendingRequest> {
        let (started, waiting_since) = (Instant::now(), AtomicU64::new(0));
        let request = Arc::new(PendingRequest { host, started, waiting_since });
        let mut requests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        requests.retain(|request| request.strong_count() > 0);
        requests.push(Arc::downgrade(&request));
        request
    }

    /// Returns the host of the longest wait.
    pub(crate) fn longest_silence(&self) -> Option<SilentHost> {
        let requests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let requests = requests.iter().filter_map(Weak::upgrade);
        let silent_hosts = requests.filter_map(|request| {
            Some(SilentHost { time: request.waiting_time()?, host: request.host.clone() })
        });
        silent_hosts.max_by_key(|host| host.time)
    }
}
