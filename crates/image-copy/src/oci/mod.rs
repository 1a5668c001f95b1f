//! References, digests, platforms and manifests of the OCI specifications. No I/O.

mod descriptor;
mod digest;
mod manifest;
pub mod media_type;
mod platform;
mod prefix;
mod reference;
mod referrer;
mod rewrite;

pub use descriptor::Descriptor;
pub(crate) use digest::Hasher;
pub use digest::{Algorithm, Digest};
pub(crate) use manifest::MAX_MANIFEST_BYTES;
pub use manifest::{Manifest, ManifestError, ManifestKind};
pub use platform::Platform;
pub(crate) use platform::UnvalidatedPlatform;
pub use prefix::Prefix;
pub use reference::{Reference, Registry, Repository, Tag};

use crate::text::{SanitizedText, name_without_userinfo};

/// Maximum length of the text that a [`ParseError`] quotes, in characters.
const QUOTE_CHARS: usize = 100;

/// A text with an invalid format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{input}\" is not {expected}")]
pub struct ParseError {
    /// The invalid text, without user name and password, truncated.
    pub input: SanitizedText,
    /// The expected format, such as `a tag: expected …`.
    pub expected: &'static str,
}

impl ParseError {
    pub(crate) fn new(input: &str, expected: &'static str) -> Self {
        let input = SanitizedText::quotable(&name_without_userinfo(input), QUOTE_CHARS);
        Self { input, expected }
    }
}
