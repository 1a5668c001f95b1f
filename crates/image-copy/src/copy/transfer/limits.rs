//! Limits of a transfer.

use tokio::time::Instant;

/// Blobs in flight at once, unless told otherwise. One connection into ECR carried 24 to 28 MB/s where
/// that was measured (<https://github.com/clowdhaus/ocync/blob/main/docs/src/content/design/engine.md>),
/// and 50 to 90 MB/s are reported of a function's link: this many fill it, also while some of them
/// begin or end.
pub const CONCURRENT_BLOBS: usize = 6;

/// What a transfer may use.
#[derive(Debug, Clone)]
pub struct Limits {
    /// When it has to end, done or not.
    pub deadline: Option<Instant>,
    /// Blobs in flight at once.
    pub concurrent_blobs: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { deadline: None, concurrent_blobs: CONCURRENT_BLOBS }
    }
}
