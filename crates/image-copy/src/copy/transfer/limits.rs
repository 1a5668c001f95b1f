//! Limits of a transfer.

use std::sync::Arc;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// Default number of concurrent blobs. One connection to ECR transferred 24 to 28 MB/s in a measurement
/// (<https://github.com/clowdhaus/ocync/blob/main/docs/src/content/design/engine.md>). A function's network
/// is reported to transfer 50 to 90 MB/s. Six connections fill it, also while some start or end.
pub const CONCURRENT_BLOBS: usize = 6;

/// Limits of a transfer.
#[derive(Debug, Clone)]
pub struct TransferLimits {
    /// Time at which an incomplete transfer fails.
    pub deadline: Option<Instant>,
    /// Limit of concurrent blobs.
    pub concurrent_blobs: ConcurrentBlobs,
}

impl Default for TransferLimits {
    fn default() -> Self {
        Self { deadline: None, concurrent_blobs: ConcurrentBlobs::new(CONCURRENT_BLOBS) }
    }
}

/// A limit of concurrent blobs. All transfers with clones of one value share it.
#[derive(Debug, Clone)]
pub struct ConcurrentBlobs {
    maximum: usize,
    permits: Arc<Semaphore>,
}

impl ConcurrentBlobs {
    /// Creates a limit of `maximum` blobs, at least one.
    #[must_use]
    pub fn new(maximum: usize) -> Self {
        let maximum = maximum.clamp(1, Semaphore::MAX_PERMITS);
        Self { maximum, permits: Arc::new(Semaphore::new(maximum)) }
    }

    pub(super) fn maximum(&self) -> usize {
        self.maximum
    }

    /// Waits until another blob can be copied. Dropping the result ends the copy of the blob.
    pub(super) async fn permit(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed.
        self.permits.acquire().await.ok()
    }
}
