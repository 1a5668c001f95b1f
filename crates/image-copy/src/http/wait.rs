//! Requests that wait for the other side, so that a failure at the deadline can name a silent host.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

use crate::text::SanitizedText;

/// Value of `since` while a request waits for nobody.
const NOT_WAITING: u64 = u64::MAX;

/// A host that has been silent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SilentHost {
    /// Host, with its port if that is not the usual one.
    pub host: SanitizedText,
    /// Time since its last byte.
    pub time: Duration,
}

/// One request, and how long it has waited for the other side.
#[derive(Debug)]
pub(crate) struct Wait {
    host: SanitizedText,
    started: Instant,
    /// Milliseconds from `started`.
    since: AtomicU64,
}

impl Wait {
    /// The other side has the next move.
    pub(super) fn begin(&self) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(NOT_WAITING - 1);
        self.since.store(now, Ordering::Relaxed);
    }

    /// The other side has moved.
    pub(super) fn end(&self) {
        self.since.store(NOT_WAITING, Ordering::Relaxed);
    }

    /// Returns the time of the current wait.
    pub(super) fn time(&self) -> Option<Duration> {
        let since = Some(self.since.load(Ordering::Relaxed)).filter(|since| *since != NOT_WAITING)?;
        Some(self.started.elapsed().saturating_sub(Duration::from_millis(since)))
    }
}

/// The requests of one repository that are in flight. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Waits(Arc<Mutex<Vec<Weak<Wait>>>>);

impl Waits {
    /// Adds a request that waits from now on, and is removed when it is dropped.
    pub(super) fn add(&self, host: SanitizedText) -> Arc<Wait> {
        let wait = Arc::new(Wait { host, started: Instant::now(), since: AtomicU64::new(0) });
        let mut waits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waits.retain(|wait| wait.strong_count() > 0);
        waits.push(Arc::downgrade(&wait));
        wait
    }

    /// Returns the host that has been waited for longest.
    pub(crate) fn longest(&self) -> Option<SilentHost> {
        let waits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = waits.iter().filter_map(Weak::upgrade);
        let silences =
            waiting.filter_map(|wait| Some(SilentHost { time: wait.time()?, host: wait.host.clone() }));
        silences.max_by_key(|silence| silence.time)
    }
}
