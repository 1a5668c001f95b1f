//! Limits of a transfer.

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
    /// Maximum number of concurrent blobs.
    pub concurrent_blobs: usize,
}

impl Default for TransferLimits {
    fn default() -> Self {
        Self { deadline: None, concurrent_blobs: CONCURRENT_BLOBS }
    }
}
