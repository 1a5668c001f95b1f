//! What a destination already has.

use std::collections::HashSet;

use futures_util::future::BoxFuture;

use crate::oci::{Digest, Manifest, Tag};
use crate::registry::{Error, ManifestId};

/// What a destination knows of itself without being written to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Whether the tag that is asked for, once written, can move. `None`: not known.
    pub tag_is_immutable: Option<bool>,
}

/// A destination's inventory. Registries answer one question at a time; ECR answers in batches and
/// knows more, which is why this is a trait.
pub trait Inventory: Send + Sync {
    /// Looks at the repository before anything else is asked: whether it is there, and whether
    /// `tag` could be moved.
    fn facts<'a>(&'a self, tag: Option<&'a Tag>) -> BoxFuture<'a, Result<Facts, Error>>;

    /// The manifests that are held, in the order asked for.
    fn manifests<'a>(&'a self, ids: &'a [ManifestId]) -> BoxFuture<'a, Result<Vec<Option<Manifest>>, Error>>;

    /// Which of these blobs are held.
    fn blobs<'a>(&'a self, digests: &'a [Digest]) -> BoxFuture<'a, Result<HashSet<Digest>, Error>>;

    /// Says in one line why the registry would not store `manifest`, before a byte is copied.
    fn objection(&self, manifest: &Manifest) -> Option<String>;

    /// Puts `tag` on a manifest that is held. A tag that names it already is success.
    fn tag<'a>(&'a self, manifest: &'a Manifest, tag: &'a Tag) -> BoxFuture<'a, Result<(), Error>>;
}
