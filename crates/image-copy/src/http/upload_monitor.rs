//! Distinguishes a stalled upload from an upload that waits for its source.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::pending_requests::PendingRequest;
use super::{ErrorKind, Options};

/// Maximum time between two checks of an upload.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// Watches the body of an upload. A total time limit does not fit blobs of all sizes. The connection does not
/// show if it waits for the source or for the server.
#[derive(Debug)]
pub(crate) struct UploadMonitor {
    pending: Arc<PendingRequest>,
    /// Number of bytes that the connection has not accepted yet. With HTTP/1.1, a body with a known length is
    /// dropped after its last byte, without polling its end. Only this number shows its completion.
    remaining: AtomicU64,
}

impl UploadMonitor {
    pub(super) fn new(pending: Arc<PendingRequest>, length: u64) -> Self {
        Self { pending, remaining: AtomicU64::new(length) }
    }

    /// Records that the connection waits for the source.
    pub(crate) fn waiting_for_source(&self) {
        self.pending.stop_waiting();
    }

    /// Records that the source delivered `bytes` or failed, and that the server must act next.
    pub(crate) fn source_delivered(&self, bytes: u64) {
        let remaining = self.remaining.load(Ordering::Relaxed).saturating_sub(bytes);
        self.remaining.store(remaining, Ordering::Relaxed);
        self.pending.start_waiting();
    }

    /// Returns when the server has been silent for too long, or accepts bytes too slowly.
    pub(super) async fn wait_until_stalled(&self, options: &Options) -> ErrorKind {
        let mut waited = Duration::ZERO;
        let mut remaining_before = self.remaining.load(Ordering::Relaxed);
        loop {
            let interval = CHECK_INTERVAL.min(options.read_timeout);
            tokio::time::sleep(interval).await;
            let Some(time) = self.pending.waiting_time() else { continue };
            let remaining = self.remaining.load(Ordering::Relaxed);
            let limit = if remaining == 0 { options.commit_timeout } else { options.read_timeout };
            if time > limit {
                return ErrorKind::Silent { time, proxy: None };
            }
            waited += interval;
            if remaining > 0 && waited >= options.read_timeout {
                let accepted = remaining_before.saturating_sub(remaining);
                if options.is_too_slow(accepted, waited) {
                    return ErrorKind::too_slow(accepted, waited);
                }
                (waited, remaining_before) = (Duration::ZERO, remaining);
            }
        }
    }
}
