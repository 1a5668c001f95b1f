//! Limits of a transfer.

use tokio::time::Instant;

/// Default number of concurrent blobs. One connection into ECR carried 24 to 28 MB/s in a measurement
/// (<https://github.com/clowdhaus/ocync/blob/main/docs/src/content/design/engine.md>),
/// and a function's link carries 50 to 90 MB/s by reports. Six connections fill it, also while some of
/// them start or end.
pub const CONCURRENT_BLOBS: usize = 6;

/// Limits of a transfer.
#[derive(Debug, Clone)]
pub struct TransferLimits {
    /// Time at which the transfer ends, complete or not.
    pub deadline: Option<Instant>,
    /// Maximum number of concurrent blobs.
    pub concurrent_blobs: usize,
}

impl Default for TransferLimits {
    fn default() -> Self {
        Self { deadline: None, concurrent_blobs: CONCURRENT_BLOBS }
    }
}
