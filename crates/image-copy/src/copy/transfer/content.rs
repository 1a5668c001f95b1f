//! The result of a transfer before the root is written.

use std::time::Duration;

use crate::copy::reporting::{Progress, ReferrerCounts};
use crate::oci::Digest;

/// The content at the destination before the root is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferredContent {
    /// Counts of blobs.
    pub blobs: Progress,
    /// Counts of referrers, if the request included them.
    pub referrers: Option<ReferrerCounts>,
    /// Foreign blobs that neither side has.
    pub(super) skipped: Vec<Digest>,
    /// True if the root was written by digest, because the image has referrers.
    pub(super) root_written: bool,
    /// Time spent on the content.
    pub(super) elapsed: Duration,
}
