//! The OCI vocabulary as pure data: references, digests, platforms, manifests. No I/O.

mod digest;
mod manifest;
mod platform;
mod prefix;
mod reference;
mod referrer;
mod rewrite;

pub(crate) use digest::Hasher;
pub use digest::{Algorithm, Digest};
pub(crate) use manifest::MAX_MANIFEST_BYTES;
pub use manifest::{Descriptor, Kind, Manifest, ManifestError, media_type};
pub use platform::Platform;
pub use prefix::Prefix;
pub use reference::{Reference, Registry, Repository, Tag};

/// A text that does not have the form it should have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{given}\" is not {expected}")]
pub struct ParseError {
    /// The text as it was given, cut to a length that fits into one line.
    pub given: String,
    /// What would have been right, such as `a tag: …`.
    pub expected: &'static str,
}

impl ParseError {
    pub(crate) fn new(given: &str, expected: &'static str) -> Self {
        let mut given: String =
            given.chars().take(101).map(|c| if c.is_control() { '?' } else { c }).collect();
        if given.chars().count() > 100 {
            given = given.chars().take(100).chain(['…']).collect();
        }
        Self { given, expected }
    }
}
