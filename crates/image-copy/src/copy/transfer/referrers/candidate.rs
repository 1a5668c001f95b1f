//! Possible referrers, before their manifests are read.

use crate::oci::{Descriptor, Digest, Tag, media_type};

/// A manifest that a list or a tag names as a referrer of `subject`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) digest: Digest,
    /// Media type, if a list states it.
    pub(super) media_type: Option<String>,
    pub(super) subject: Digest,
    /// The tag that makes it a referrer. `None` if its manifest names the subject.
    pub(super) tag: Option<Tag>,
}

impl Candidate {
    pub(super) fn listed(subject: &Digest, entry: &Descriptor) -> Self {
        Self {
            digest: entry.digest.clone(),
            media_type: Some(entry.media_type.clone()),
            subject: subject.clone(),
            tag: None,
        }
    }

    /// Returns true if its media type is a supported manifest or unknown.
    pub(super) fn is_manifest(&self) -> bool {
        self.media_type.as_deref().is_none_or(|name| media_type::ALL.contains(&name))
    }
}
