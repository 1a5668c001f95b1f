//! Owners and copies in the item of a tag.

use std::collections::HashMap;
use std::fmt;

use aws_sdk_dynamodb::types::AttributeValue;
use image_copy::oci::Digest;

/// Owner of a tag: `<stack id>/<logical id>` of a resource, or the `Owner` of a direct event.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner(String);

impl Owner {
    /// Creates the owner for a resource of a stack.
    #[must_use]
    pub fn of_resource(stack_id: &str, logical_id: &str) -> Self {
        Self(format!("{stack_id}/{logical_id}"))
    }

    /// Creates an owner from its name in the table.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// Returns the name in the table.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One copy that the tag names, or named before.
#[derive(Debug, Clone, PartialEq)]
pub struct CopyRecord {
    /// Time of the event, in seconds since 1970.
    pub time: u64,
    /// The owner for which it was made.
    pub owner: Owner,
    /// The source reference in the template.
    pub source: String,
    /// Digest of the source reference. `None` if an earlier provider made the copy.
    pub source_digest: Option<Digest>,
    /// The selection of platforms, as text.
    pub selection: String,
    /// Digest of the customization, or empty.
    pub customization: String,
    /// Platforms in the copy.
    pub platforms: Vec<String>,
    /// Digest in ECR.
    pub digest: Digest,
    /// Hash of the resource's properties. An Update with the same hash is a rollback.
    pub properties: String,
    /// True if no other owner can put another image under the tag.
    pub is_exclusive: bool,
    /// Attributes that this version does not know. They are kept.
    pub(crate) unknown: HashMap<String, AttributeValue>,
}

impl CopyRecord {
    /// Creates a record of a copy with this digest in ECR. The other fields are empty.
    #[must_use]
    pub fn new(time: u64, owner: Owner, digest: Digest) -> Self {
        Self {
            time,
            owner,
            source: String::new(),
            source_digest: None,
            selection: String::new(),
            customization: String::new(),
            platforms: Vec::new(),
            digest,
            properties: String::new(),
            is_exclusive: false,
            unknown: HashMap::new(),
        }
    }

    pub(super) fn is_same_copy(&self, other: &Self) -> bool {
        Self { time: other.time, unknown: other.unknown.clone(), ..self.clone() } == *other
    }
}
