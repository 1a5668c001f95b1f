//! What the user wants.

use crate::oci::{Platform, Reference, Repository, Tag};

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
}
