//! The result of a successful copy.

use std::time::Duration;

use super::progress::Progress;
use super::referrers::ReferrerCounts;
use crate::copy::source::ReadCounts;
use crate::oci::{Digest, Platform};

/// The result of a successful copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Digest that the source reference named. It is the digest of the index, also if one platform was
    /// copied.
    pub source_digest: Digest,
    /// Digest of the root, which has the tag.
    pub digest: Digest,
    /// Media type of the root.
    pub media_type: String,
    /// Platforms of the root, without attestations.
    pub platforms: Vec<Platform>,
    /// Number of platforms in the source's index, if it was read.
    pub source_platform_count: Option<usize>,
    /// Size of all blobs in bytes, each counted once.
    pub size: u64,
    /// Counts of blobs.
    pub blobs: Progress,
    /// Number of manifests written, including the root.
    pub manifests_written: usize,
    /// Counts of referrers, if the request included them.
    pub referrers: Option<ReferrerCounts>,
    /// Change of the tag.
    pub tag: TagChange,
    /// Counts for each repository that content was read from, in the order of preference.
    pub read_counts: Vec<ReadCounts>,
    /// Time spent on the whole copy.
    pub elapsed: Duration,
}

/// Change of a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagChange {
    /// The request has no tag.
    Untagged,
    /// The tag already named the image.
    Unchanged,
    /// The tag is new, or named another image before.
    Moved {
        /// Digest that the tag named before.
        from: Option<Digest>,
    },
}
