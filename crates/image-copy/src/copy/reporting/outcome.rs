//! What was done.

use std::time::Duration;

use super::progress::Progress;
use super::referrers::Referrers;
use crate::copy::source::Served;
use crate::oci::{Digest, Platform};

/// What a copy did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Digest that the source reference named: of the index, also when one platform was copied.
    pub source_digest: Digest,
    /// Digest of what was pushed, and now carries the tag.
    pub digest: Digest,
    /// Media type of what was pushed.
    pub media_type: String,
    /// Platforms in what was pushed, attestations left out.
    pub platforms: Vec<Platform>,
    /// Platforms that the source offered, when its index was read.
    pub platforms_offered: Option<usize>,
    /// Sum of the bytes of all blobs of what was pushed, each counted once.
    pub size: u64,
    /// What became of the blobs.
    pub blobs: Progress,
    /// Manifests written, the root included.
    pub manifests_written: usize,
    /// What became of what refers to the image, if that was to go along.
    pub referrers: Option<Referrers>,
    /// What became of the tag.
    pub tag: TagMove,
    /// Who served manifests and blobs, in the order asked.
    pub served: Vec<Served>,
    /// Time spent on planning and transfer.
    pub elapsed: Duration,
}

/// What became of the tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagMove {
    /// There is none.
    Untagged,
    /// It named the image already.
    Unchanged,
    /// It is new, or named something else before.
    Moved {
        /// What it named before.
        from: Option<Digest>,
    },
}
