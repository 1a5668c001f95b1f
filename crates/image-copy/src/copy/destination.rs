//! The repository to copy to, and its content.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::oci::{Digest, Manifest, Tag};
use crate::registry::{Error, ManifestId, Repository};

/// Settings of a destination repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RepositorySettings {
    /// True if the tag cannot be moved once it is written. `None` if that is unknown.
    pub tag_is_immutable: Option<bool>,
}

/// Reads and tags the content of a destination. This is a trait because ECR answers in batches through
/// an API of its own, other registries one request at a time.
pub trait Inventory: Send + Sync {
    /// Reads the settings of the repository that apply to `tag`. Called only if the tag names another
    /// image.
    fn settings<'a>(&'a self, tag: Option<&'a Tag>) -> BoxFuture<'a, Result<RepositorySettings, Error>>;

    /// Returns the manifests in the order of `ids`, and `None` for each that is missing.
    fn manifests<'a>(&'a self, ids: &'a [ManifestId]) -> BoxFuture<'a, Result<Vec<Option<Manifest>>, Error>>;

    /// Returns the digests of those blobs that exist.
    fn blobs<'a>(&'a self, digests: &'a [Digest]) -> BoxFuture<'a, Result<HashSet<Digest>, Error>>;

    /// Returns true if a manifest that the registry holds proves that it holds the manifest's content too,
    /// as the specification requires
    /// (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-manifests>). The
    /// content is not looked up then. False for a registry in which parts of an image can be deleted and
    /// batches make the lookup cheap.
    fn manifests_guarantee_content(&self) -> bool;

    /// Returns the reason, in one line, if the registry would reject `manifest`.
    fn rejection_reason(&self, manifest: &Manifest) -> Option<String>;

    /// Tags a manifest that exists. Succeeds if the tag already names it.
    fn tag<'a>(&'a self, manifest: &'a Manifest, tag: &'a Tag) -> BoxFuture<'a, Result<(), Error>>;

    /// Returns true if the registry lists the referrers of a manifest such as `subject` by itself.
    /// Otherwise the client must write the list.
    fn lists_referrers<'a>(&'a self, subject: &'a Digest) -> BoxFuture<'a, Result<bool, Error>>;
}

/// The repository to copy to.
#[derive(Clone)]
pub struct Destination {
    /// Client for writing.
    pub repository: Repository,
    /// Client for reading.
    pub inventory: Arc<dyn Inventory>,
}

impl Destination {
    /// A registry with only the API of the distribution specification.
    #[must_use]
    pub fn of_registry(repository: Repository) -> Self {
        let repository = repository.for_push();
        Self { inventory: Arc::new(repository.clone()), repository }
    }

    /// A registry with an API of its own for its content.
    #[must_use]
    pub fn with_inventory(repository: Repository, inventory: Arc<dyn Inventory>) -> Self {
        Self { repository: repository.for_push(), inventory }
    }
}

/// Concurrent requests to a registry without batches.
const CONCURRENT_REQUESTS: usize = 8;

impl Inventory for Repository {
    fn settings<'a>(&'a self, _: Option<&'a Tag>) -> BoxFuture<'a, Result<RepositorySettings, Error>> {
        Box::pin(async { Ok(RepositorySettings::default()) })
    }

    fn manifests<'a>(&'a self, ids: &'a [ManifestId]) -> BoxFuture<'a, Result<Vec<Option<Manifest>>, Error>> {
        let asked = stream::iter(ids).map(|id| self.existing_manifest(id));
        Box::pin(asked.buffered(CONCURRENT_REQUESTS).try_collect())
    }

    fn blobs<'a>(&'a self, digests: &'a [Digest]) -> BoxFuture<'a, Result<HashSet<Digest>, Error>> {
        let asked = stream::iter(digests)
            .map(move |digest| async move { Ok((digest, self.blob_exists(digest).await?)) })
            .buffer_unordered(CONCURRENT_REQUESTS)
            .try_filter_map(|(digest, held)| async move { Ok(held.then(|| digest.clone())) });
        Box::pin(asked.try_collect())
    }

    /// ECR deletes images of an index by lifecycle rules, and archives layers.
    fn manifests_guarantee_content(&self) -> bool {
        !self.name().registry().is_ecr()
    }

    fn rejection_reason(&self, _: &Manifest) -> Option<String> {
        None
    }

    fn tag<'a>(&'a self, manifest: &'a Manifest, tag: &'a Tag) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move { self.put_manifest(manifest, &ManifestId::Tag(tag.clone())).await })
    }

    fn lists_referrers<'a>(&'a self, subject: &'a Digest) -> BoxFuture<'a, Result<bool, Error>> {
        Box::pin(async move { self.has_referrers_api(subject).await })
    }
}
