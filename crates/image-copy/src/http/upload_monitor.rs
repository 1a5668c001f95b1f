//! Distinguishes a stalled upload from one that waits for its own source.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::pending_requests::PendingRequest;
use super::{ErrorKind, Options};

/// Maximum time between two checks of an upload.
const TICK: Duration = Duration::from_millis(500);

/// State of an upload's body. No total time limit fits a blob of any size, and the connection does not show
/// the side that it waits for.
#[derive(Debug)]
pub(crate) struct UploadMonitor {
    pending: Arc<PendingRequest>,
    /// Bytes that the connection has not taken yet. HTTP/1.1 drops a body with a known length at its last
    /// byte without polling its end, so only the count shows that the body is complete.
    left: AtomicU64,
}

impl UploadMonitor {
    pub(super) fn new(pending: Arc<PendingRequest>, length: u64) -> Self {
        Self { pending, left: AtomicU64::new(length) }
    }

    /// The connection asked for more, and the source has the next move.
    pub(crate) fn waiting_for_source(&self) {
        self.pending.stop_waiting();
    }

    /// The source delivered `bytes`, or failed.
    pub(crate) fn source_delivered(&self, bytes: u64) {
        let left = self.left.load(Ordering::Relaxed).saturating_sub(bytes);
        self.left.store(left, Ordering::Relaxed);
        self.pending.start_waiting();
    }

    /// Returns when the other side has been silent for too long, or takes bytes too slowly.
    pub(super) async fn wait_until_stalled(&self, options: &Options) -> ErrorKind {
        let mut waited = Duration::ZERO;
        let mut left_before = self.left.load(Ordering::Relaxed);
        loop {
            let tick = TICK.min(options.read_timeout);
            tokio::time::sleep(tick).await;
            let Some(time) = self.pending.waiting_time() else { continue };
            let left = self.left.load(Ordering::Relaxed);
            let limit = if left == 0 { options.commit_timeout } else { options.read_timeout };
            if time > limit {
                return ErrorKind::Silent { time, proxy: None };
            }
            waited += tick;
            if left > 0 && waited >= options.read_timeout {
                let taken = left_before.saturating_sub(left);
                if options.is_too_slow(taken, waited) {
                    return ErrorKind::too_slow(taken, waited);
                }
                (waited, left_before) = (Duration::ZERO, left);
            }
        }
    }
}
