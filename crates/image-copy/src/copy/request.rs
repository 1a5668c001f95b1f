//! What the user wants.

use std::fmt;

use crate::oci::{Digest, Platform, Reference, Repository, Tag};

/// One image to copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What to copy, as the user wrote it.
    pub source: Reference,
    /// Where to.
    pub destination: Repository,
    /// What to call it there; without a tag it is known by its digest alone.
    pub tag: Option<Tag>,
    /// Which of the platforms of an index.
    pub platforms: Platforms,
    /// Earlier copies that may be at the destination still; the first that fits is used.
    pub known: Vec<Known>,
    /// Whether what refers to the image goes along: signatures, SBOMs, attestations.
    pub include_referrers: bool,
}

/// What became of a source once: remembered, it spares the source's manifests. A selection or a
/// single image of an index does not tell by itself which index it was taken from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Digest that the source reference named.
    pub source_digest: Digest,
    /// Which of its platforms were asked for.
    pub selection: Platforms,
    /// Digest of what was pushed.
    pub digest: Digest,
    /// Platforms in what was pushed; empty when that is not remembered.
    pub platforms: Vec<Platform>,
}

impl Request {
    /// The destination's repository with the tag, if there is one.
    #[must_use]
    pub fn destination_name(&self) -> String {
        match &self.tag {
            Some(tag) => self.destination.tagged(tag.clone()).to_string(),
            None => self.destination.to_string(),
        }
    }
}

/// Which platforms of an index are copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Platforms {
    /// The whole index, byte for byte.
    All,
    /// The image for this platform. A reference that names a single image must be for it.
    One(Platform),
    /// The image for this platform, if there is a choice: a reference that names a single image
    /// copies that, whatever it was built for.
    Preferred(Platform),
    /// A new index with the images for these platforms and their attestations. A reference that
    /// names a single image copies that, if it is for all of them.
    Some(Vec<Platform>),
}

/// One word for each selection, the same for the same selection.
impl fmt::Display for Platforms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::One(platform) => platform.fmt(f),
            Self::Preferred(platform) => write!(f, "{platform}?"),
            Self::Some(platforms) => {
                let mut names: Vec<String> =
                    platforms.iter().map(|one| one.normalized().to_string()).collect();
                names.sort_unstable();
                names.dedup();
                write!(f, "[{}]", names.join(","))
            }
        }
    }
}
