//! The request for a copy.

use std::fmt;

use crate::oci::{Digest, Platform, Reference, Repository, Tag};

/// One image to copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Image to copy, as the user wrote it.
    pub source: Reference,
    /// Repository to copy to.
    pub destination: Repository,
    /// Tag in the destination. Without a tag, the image is stored by digest.
    pub tag: Option<Tag>,
    /// Platforms to copy from an index.
    pub platforms: PlatformSelection,
    /// Earlier copies that the destination may still have. The first that fits is used.
    pub earlier_copies: Vec<EarlierCopy>,
    /// Also copies the image's referrers: signatures, SBOMs, attestations.
    pub include_referrers: bool,
}

/// An earlier copy. It makes the source's manifests unnecessary: a selection or a single image does not
/// show the index it was taken from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierCopy {
    /// Digest that the source reference named.
    pub source_digest: Digest,
    /// Platforms that were requested.
    pub requested: PlatformSelection,
    /// Digest of the manifest that was pushed.
    pub digest: Digest,
    /// Platforms in it. Empty if they were not recorded.
    pub platforms: Vec<Platform>,
}

impl Request {
    /// Returns the destination repository, with the tag if the request has one.
    #[must_use]
    pub fn destination_name(&self) -> String {
        match &self.tag {
            Some(tag) => self.destination.with_tag(tag.clone()).to_string(),
            None => self.destination.to_string(),
        }
    }
}

/// Platforms to copy from an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlatformSelection {
    /// The whole index, byte for byte.
    All,
    /// The image for this platform. A single image must be for it.
    One(Platform),
    /// The image for this platform. A single image is copied for any platform.
    Preferred(Platform),
    /// A new index with the images for these platforms and their attestations. A single image is
    /// copied if it is for all of them.
    Several(Vec<Platform>),
}

/// One word, equal for equal selections.
impl fmt::Display for PlatformSelection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::One(platform) => platform.fmt(f),
            Self::Preferred(platform) => write!(f, "{platform}?"),
            Self::Several(platforms) => {
                let mut names: Vec<String> =
                    platforms.iter().map(|one| one.normalized().to_string()).collect();
                names.sort_unstable();
                names.dedup();
                write!(f, "[{}]", names.join(","))
            }
        }
    }
}
