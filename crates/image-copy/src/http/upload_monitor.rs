//! Distinguishes a stalled upload from an upload that waits for its source.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::pending_requests::PendingRequest;
use super::{ErrorKind, Options};

/// Maximum time between two checks of an upload.
const TICK: Duration = Duration::from_millis(500);

/// Watches the body of an upload. A total time limit does not fit blobs of all sizes, and the connection does
/// not show if it waits for the source or for the server.
#[derive(Debug)]
pub(crate) struct UploadMonitor {
    pending: Arc<PendingRequest>,
    /// Number of bytes that the connection has not accepted yet. With HTTP/1.1, a body with a known length is
    /// dropped after its last byte without polling its end, so that only this number shows its completion.
    left: AtomicU64,
}

impl UploadMonitor {
    pub(super) fn new(pending: Arc<PendingRequest>, length: u64) -> Self {
        Self { pending, left: AtomicU64::new(length) }
    }

    /// Records that the connection waits for the source.
    pub(crate) fn waiting_for_source(&self) {
        self.pending.stop_waiting();
    }

    /// Records that the source delivered `bytes` or failed, and that the server must act next.
    pub(crate) fn source_delivered(&self, bytes: u64) {
        let left = self.left.load(Ordering::Relaxed).saturating_sub(bytes);
        self.left.store(left, Ordering::Relaxed);
        self.pending.start_waiting();
    }

    /// Returns when the server has been silent for too long, or accepts bytes too slowly.
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
