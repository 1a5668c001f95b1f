//! Tells a stalled upload from one that waits for its own source.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::Options;

/// What an upload's body is doing. No total bound fits a blob of any size, and the connection alone
/// cannot tell whom it waits for.
#[derive(Debug)]
pub(crate) struct Activity {
    started: Instant,
    last_milliseconds: AtomicU64,
    waits_for_source: AtomicBool,
    finished: AtomicBool,
}

impl Default for Activity {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            last_milliseconds: AtomicU64::new(0),
            waits_for_source: AtomicBool::new(false),
            finished: AtomicBool::new(false),
        }
    }
}

impl Activity {
    /// The connection asked for more, and the source has it yet to deliver.
    pub(crate) fn asked(&self) {
        self.waits_for_source.store(true, Ordering::Relaxed);
    }

    /// The source delivered.
    pub(crate) fn delivered(&self) {
        self.waits_for_source.store(false, Ordering::Relaxed);
        self.last_milliseconds.store(self.now(), Ordering::Relaxed);
    }

    /// The source has no more.
    pub(crate) fn finished(&self) {
        self.delivered();
        self.finished.store(true, Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Whether the other side has not asked for more, or not answered, for too long.
    pub(super) fn is_stalled(&self, options: &Options) -> bool {
        let limit =
            if self.finished.load(Ordering::Relaxed) { options.commit_timeout } else { options.read_timeout };
        let idle = self.now().saturating_sub(self.last_milliseconds.load(Ordering::Relaxed));
        !self.waits_for_source.load(Ordering::Relaxed) && Duration::from_millis(idle) > limit
    }
}
