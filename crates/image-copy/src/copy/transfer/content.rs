//! The state of a transfer before the root is written.

use std::time::Duration;

use crate::copy::reporting::{Progress, Referrers};

/// What is at the destination before the root goes under its tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// What became of the blobs.
    pub blobs: Progress,
    /// What became of what refers to the image, if that was to go along.
    pub referrers: Option<Referrers>,
    /// Whether the root was written by its digest, because something refers to it.
    pub(super) root_written: bool,
    /// How long it took.
    pub(super) elapsed: Duration,
}
