//! What a destination already has.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::oci::{Digest, Manifest, Tag};
use crate::registry::{Error, ManifestId, Repository};

/// What a destination knows of itself without being written to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Whether the tag that is asked for, once written, can move. `None`: not known.
    pub tag_is_immutable: Option<bool>,
}

/// A destination's inventory. Registries answer one question at a time; ECR answers in batches and
/// knows more, which is why this is a trait.
pub trait Inventory: Send + Sync {
    /// Reads the settings of the repository that apply to `tag`. Called only if the tag names another
    /// image.
    fn facts<'a>(&'a self, tag: Option<&'a Tag>) -> BoxFuture<'a, Result<Facts, Error>>;

    /// The manifests that are held, in the order asked for.
    fn manifests<'a>(&'a self, ids: &'a [ManifestId]) -> BoxFuture<'a, Result<Vec<Option<Manifest>>, Error>>;

    /// Which of these blobs are held.
    fn blobs<'a>(&'a self, digests: &'a [Digest]) -> BoxFuture<'a, Result<HashSet<Digest>, Error>>;

    /// Says in one line why the registry would not store `manifest`, before a byte is copied.
    fn objection(&self, manifest: &Manifest) -> Option<String>;

    /// Puts `tag` on a manifest that is held. A tag that names it already is success.
    fn tag<'a>(&'a self, manifest: &'a Manifest, tag: &'a Tag) -> BoxFuture<'a, Result<(), Error>>;

    /// Whether the registry finds out by itself what refers to a manifest such as `subject`. One that
    /// does not wants to be given the list.
    fn lists_referrers<'a>(&'a self, subject: &'a Digest) -> BoxFuture<'a, Result<bool, Error>>;
}

/// Where an image goes: the repository to write to, and what is known of it.
#[derive(Clone)]
pub struct Destination {
    /// The repository, for writing.
    pub repository: Repository,
    /// What it holds.
    pub inventory: Arc<dyn Inventory>,
}

impl Destination {
    /// A registry that knows no more of itself than the distribution specification asks of it.
    #[must_use]
    pub fn of_registry(repository: Repository) -> Self {
        let repository = repository.for_push();
        Self { inventory: Arc::new(repository.clone()), repository }
    }

    /// A registry with a service of its own that knows what is there.
    #[must_use]
    pub fn with_inventory(repository: Repository, inventory: Arc<dyn Inventory>) -> Self {
        Self { repository: repository.for_push(), inventory }
    }
}

/// Questions to the destination at once, where it answers one at a time.
const CONCURRENT_QUESTIONS: usize = 8;

impl Inventory for Repository {
    fn facts<'a>(&'a self, _: Option<&'a Tag>) -> BoxFuture<'a, Result<Facts, Error>> {
        Box::pin(async { Ok(Facts::default()) })
    }

    fn manifests<'a>(&'a self, ids: &'a [ManifestId]) -> BoxFuture<'a, Result<Vec<Option<Manifest>>, Error>> {
        let asked = stream::iter(ids).map(|id| self.find_manifest(id));
        Box::pin(asked.buffered(CONCURRENT_QUESTIONS).try_collect())
    }

    fn blobs<'a>(&'a self, digests: &'a [Digest]) -> BoxFuture<'a, Result<HashSet<Digest>, Error>> {
        let asked = stream::iter(digests)
            .map(move |digest| async move { Ok((digest, self.blob_exists(digest).await?)) })
            .buffer_unordered(CONCURRENT_QUESTIONS)
            .try_filter_map(|(digest, held)| async move { Ok(held.then(|| digest.clone())) });
        Box::pin(asked.try_collect())
    }

    fn objection(&self, _: &Manifest) -> Option<String> {
        None
    }

    fn tag<'a>(&'a self, manifest: &'a Manifest, tag: &'a Tag) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move { self.put_manifest(manifest, &ManifestId::Tag(tag.clone())).await })
    }

    fn lists_referrers<'a>(&'a self, subject: &'a Digest) -> BoxFuture<'a, Result<bool, Error>> {
        Box::pin(async move { Ok(self.referrers(subject).await?.is_some()) })
    }
}
