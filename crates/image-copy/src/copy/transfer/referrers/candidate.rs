//! Possible referrers, before their manifests are read.

use crate::oci::{Descriptor, Digest, MAX_MANIFEST_BYTES, Tag, media_type};

/// Maximum size in bytes of a referrer's manifest without a stated size. Four are read at once. Signatures
/// have some kilobytes.
const MAX_UNLISTED_BYTES: u64 = 1 << 20;

/// A manifest that a list or a tag names as a referrer of `subject`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) digest: Digest,
    /// Media type, if a list states it.
    pub(super) media_type: Option<String>,
    /// Size of the manifest in bytes, if a list states it.
    pub(super) size: Option<u64>,
    pub(super) subject: Digest,
    /// The tag that makes it a referrer. `None` if its manifest names the subject.
    pub(super) tag: Option<Tag>,
}

impl Candidate {
    pub(super) fn from_list_entry(subject: &Digest, entry: &Descriptor) -> Self {
        Self {
            digest: entry.digest.clone(),
            media_type: Some(entry.media_type.clone()),
            size: Some(entry.size),
            subject: subject.clone(),
            tag: None,
        }
    }

    /// Returns the number of bytes to reserve before the manifest is read.
    pub(super) fn expected_bytes(&self) -> u64 {
        self.size.unwrap_or(MAX_UNLISTED_BYTES).min(MAX_MANIFEST_BYTES)
    }

    /// Returns the maximum number of bytes to read. A small stated size is not a limit, because lists can be
    /// wrong.
    pub(super) fn limit(&self) -> u64 {
        self.expected_bytes().max(MAX_UNLISTED_BYTES)
    }

    /// Returns true if the media type is unknown or that of a supported manifest.
    pub(super) fn is_manifest(&self) -> bool {
        self.media_type.as_deref().is_none_or(|name| media_type::MANIFEST_TYPES.contains(&name))
    }
}
