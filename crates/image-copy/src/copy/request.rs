//! The request for a copy.

use std::fmt;
use std::str::FromStr;

use crate::customize::Customization;
use crate::oci::{Digest, ParseError, Platform, Reference, Repository, Tag};

/// Request to copy one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Image to copy.
    pub source: Reference,
    /// Repository to copy to.
    pub destination: Repository,
    /// Tag in the destination. Without a tag, the image is stored by digest.
    pub tag: Option<Tag>,
    /// Platforms to copy from an index.
    pub platforms: PlatformSelection,
    /// Earlier copies that the destination can still have. The first with the same source digest and
    /// platforms is used.
    pub earlier_copies: Vec<EarlierCopy>,
    /// Also copies the image's referrers, such as signatures, SBOMs and attestations. Ignored with a
    /// customization, because they describe the source's image.
    pub include_referrers: bool,
    /// Changes to each copied image.
    pub customization: Option<Customization>,
}

/// An earlier copy. If the destination still has it, the source's manifests are not read: a copied image
/// does not contain the digest of the index that it was selected from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierCopy {
    /// Digest that the source reference named.
    pub source_digest: Digest,
    /// Requested platforms.
    pub requested: PlatformSelection,
    /// Digest of the requested customization.
    pub customization: Option<Digest>,
    /// Digest of the manifest that was pushed.
    pub digest: Digest,
    /// Platforms of the pushed manifest. Empty if they were not recorded.
    pub platforms: Vec<Platform>,
}

impl EarlierCopy {
    /// Returns true if the copy was made by an equal request from the same source.
    #[must_use]
    pub fn matches(&self, source_digest: &Digest, request: &Request) -> bool {
        self.source_digest == *source_digest
            && self.requested == request.platforms
            && self.customization.as_ref() == request.customization.as_ref().map(Customization::digest)
    }
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
    /// The image for this platform. A single image must match it.
    One(Platform),
    /// The image for this platform. A single image is copied for any platform.
    Preferred(Platform),
    /// A new index with the images for these platforms and their attestations. A single image is
    /// copied if it matches all of them.
    Several(Vec<Platform>),
}

/// Parses `all`, one platform, or a comma-separated list of platforms.
impl FromStr for PlatformSelection {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.eq_ignore_ascii_case("all") {
            return Ok(Self::All);
        }
        if text.contains(',') {
            return text.split(',').map(str::parse).collect::<Result<_, _>>().map(Self::Several);
        }
        text.parse().map(Self::One)
    }
}

/// Writes one word, which is equal for equal selections.
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
