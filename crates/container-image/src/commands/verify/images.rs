//! The images that something relies on.

use std::collections::BTreeMap;

use image_copy::oci::{Digest, Reference};
use image_copy::text::SanitizedText;

/// Maximum length of an owner's name in messages, in characters.
const MAX_NAME_CHARS: usize = 200;

/// A tag or digest that something relies on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReliedImage {
    /// Repository with a tag, or with a digest.
    pub(crate) name: Reference,
    /// The copies under this name, at least one.
    pub(crate) copies: Vec<ReliedCopy>,
}

/// A copy that one owner relies on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReliedCopy {
    pub(crate) origin: Origin,
    /// Digest of the copy. `None` if it is not known.
    pub(crate) digest: Option<Digest>,
    /// `None` if it is not known.
    pub(crate) source: Option<CopySource>,
}

/// Source of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CopySource {
    pub(crate) reference: Reference,
    /// Digest that the reference named at the time of the copy. `None` if it was not recorded.
    pub(crate) digest: Option<Digest>,
}

/// Owner of a copy, which determines the advice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The file of `sync --report`.
    Report,
    /// A resource of a stack.
    Resource { stack: String, logical_id: String },
    /// An output of a stack that contains a digest.
    Output { stack: String, name: String },
    /// Another owner in the state table.
    Owner(SanitizedText),
}

impl Origin {
    /// Parses an owner in the state table: `<stack ARN>/<logical id>` for a resource.
    pub(super) fn of_owner(name: &str) -> Self {
        let fields: Vec<&str> = name.split('/').collect();
        match fields.as_slice() {
            [arn, stack, _, logical_id] if arn.starts_with("arn:") && arn.ends_with(":stack") => {
                Self::Resource { stack: (*stack).to_owned(), logical_id: (*logical_id).to_owned() }
            }
            _ => Self::Owner(SanitizedText::new(name, MAX_NAME_CHARS)),
        }
    }
}

/// Images by name. Two owners of one tag share an entry.
#[derive(Debug, Default)]
pub(super) struct ReliedImages(BTreeMap<(String, String), ReliedImage>);

impl ReliedImages {
    /// Adds a copy, unless the same one was added before.
    pub(super) fn add(&mut self, name: Reference, copy: ReliedCopy) {
        let key = (name.repository.to_string(), name.to_string());
        let image = self.0.entry(key).or_insert_with(|| ReliedImage { name, copies: Vec::new() });
        if !image.copies.contains(&copy) {
            image.copies.push(copy);
        }
    }

    /// Returns true if a copy with this digest was added under any name of the repository.
    pub(super) fn has_digest(&self, name: &Reference) -> bool {
        let in_repository = self.0.values().filter(|image| image.name.repository == name.repository);
        let mut copies = in_repository.flat_map(|image| &image.copies);
        name.digest.is_some() && copies.any(|copy| copy.digest == name.digest)
    }

    /// Returns the images by repository and name.
    pub(super) fn into_sorted(self) -> Vec<ReliedImage> {
        self.0.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_a_resource_or_a_name() {
        let owner = "arn:aws:cloudformation:eu-west-1:123456789012:stack/images/7c9e6679/Python";
        let expected = Origin::Resource { stack: "images".into(), logical_id: "Python".into() };
        assert_eq!(Origin::of_owner(owner), expected);
        for other in ["nightly", "arn:aws:states:eu-west-1:1:x/a/b/c", "arn:stack/Python", "a/b/c/d"] {
            assert_eq!(Origin::of_owner(other), Origin::Owner(other.into()));
        }
    }
}
