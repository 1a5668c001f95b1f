//! The destination repository and its content.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::oci::{Digest, Manifest, Tag};
use crate::registry::{Error, ManifestId, Repository};

/// Settings of a destination repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RepositorySettings {
    /// True if an existing tag cannot be moved. `None` if this is unknown.
    pub tag_is_immutable: Option<bool>,
}

/// Reads and tags the content of a destination. ECR implements it with batch calls of its own API, other
/// registries with one request for each item.
pub trait Inventory: Send + Sync {
    /// Reads the settings of the repository that apply to `tag`. Called only if the tag names another
    /// image.
    fn settings<'a>(&'a self, tag: Option<&'a Tag>) -> BoxFuture<'a, Result<RepositorySettings, Error>>;

    /// Returns the manifests in the order of `ids`, and `None` for each that is missing.
    fn manifests<'a>(&'a self, ids: &'a [ManifestId]) -> BoxFuture<'a, Result<Vec<Option<Manifest>>, Error>>;

    /// Returns the digests of those blobs that exist.
    fn blobs<'a>(&'a self, digests: &'a [Digest]) -> BoxFuture<'a, Result<HashSet<Digest>, Error>>;

    /// Returns true if the content of every manifest in the registry exists too, as the specification
    /// requires
    /// (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-manifests>). The
    /// content is not looked up then. Returns false if child manifests or blobs can be deleted separately.
    fn manifests_guarantee_content(&self) -> bool;

    /// Returns the reason in one line if the registry would reject `manifest`.
    fn rejection_reason(&self, manifest: &Manifest) -> Option<String>;

    /// Tags an existing manifest. Succeeds if the tag already names it.
    fn tag<'a>(&'a self, manifest: &'a Manifest, tag: &'a Tag) -> BoxFuture<'a, Result<(), Error>>;

    /// Returns true if the registry itself lists the referrers of `subject`. Otherwise the client must write
    /// the index of referrers.
    fn lists_referrers<'a>(&'a self, subject: &'a Digest) -> BoxFuture<'a, Result<bool, Error>>;
}

/// The destination repository.
#[derive(Clone)]
pub struct Destination {
    /// Client for writing.
    pub repository: Repository,
    /// Client for reading.
    pub inventory: Arc<dyn Inventory>,
}

impl Destination {
    /// Creates the destination for a registry that only has the API of the distribution specification.
    #[must_use]
    pub fn of_registry(repository: Repository) -> Self {
        let repository = repository.for_push();
        Self { inventory: Arc::new(repository.clone()), repository }
    }

    /// Creates the destination for a registry that has its own API for its content.
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
        let lookups = stream::iter(ids).map(|id| self.existing_manifest(id));
        Box::pin(lookups.buffered(CONCURRENT_REQUESTS).try_collect())
    }

    fn blobs<'a>(&'a self, digests: &'a [Digest]) -> BoxFuture<'a, Result<HashSet<Digest>, Error>> {
        let lookups = stream::iter(digests)
            .map(move |digest| async move { Ok((digest, self.blob_exists(digest).await?)) })
            .buffer_unordered(CONCURRENT_REQUESTS)
            .try_filter_map(|(digest, exists)| async move { Ok(exists.then(|| digest.clone())) });
        Box::pin(lookups.try_collect())
    }

    /// ECR's lifecycle rules delete single images of an index, and archive layers.
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
