//! Checks that were not possible, and other notes.

use image_copy::registry::Error;

/// A note for the user.
#[derive(Debug)]
pub(crate) enum Note {
    /// A check that was not possible.
    Unchecked(Unchecked),
    /// Any other note: one sentence.
    Text(String),
}

/// A check that was not possible.
#[derive(Debug)]
pub(crate) struct Unchecked {
    pub(crate) check: Check,
    /// Repository, image or source.
    pub(crate) subject: String,
    pub(crate) cause: Error,
}

/// The checks of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    /// Existence of tags, digests and child manifests.
    Images,
    /// Existence of configs and layers.
    Blobs,
    /// The repository's lifecycle policy.
    Lifecycle,
    /// Findings of image scans.
    Findings,
    /// The digest of the source.
    Source,
    /// The recorded copy in the state table.
    StateTable,
    /// The deployed template, which has the sources.
    Template,
}
