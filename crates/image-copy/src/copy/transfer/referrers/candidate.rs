//! Possible referrers, before their manifests are read.

use crate::oci::{Descriptor, Digest, Tag, media_type};

/// Something that is said to refer to `subject`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) digest: Digest,
    /// Where a list tells it.
    pub(super) media_type: Option<String>,
    pub(super) subject: Digest,
    /// The tag that makes it a referrer. `None`: it says itself what it refers to.
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

    /// Whether it is of a kind that can be read; a tag does not tell.
    pub(super) fn is_manifest(&self) -> bool {
        self.media_type.as_deref().is_none_or(|name| media_type::ALL.contains(&name))
    }
}
