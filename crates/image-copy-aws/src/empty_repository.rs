//! A repository that is missing until the first push.

use std::collections::HashSet;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};
use image_copy::copy::{Inventory, RepositorySettings};
use image_copy::oci::{Digest, Manifest, Tag};
use image_copy::registry::{Error, ManifestId};

use crate::manifest_check;
use crate::repository::EcrRepository;

/// Inventory of a repository that counts as empty while it is missing: ECR creates it on push, or a dry run
/// does not create it.
#[derive(Clone)]
pub struct MaybeMissingRepository(EcrRepository);

impl EcrRepository {
    /// Returns an inventory that is empty while the repository is missing.
    #[must_use]
    pub fn or_empty(self) -> MaybeMissingRepository {
        MaybeMissingRepository(self)
    }
}

/// Returns `empty` if the repository is missing.
fn or_empty<T>(result: Result<T, Error>, empty: impl FnOnce() -> T) -> Result<T, Error> {
    match result {
        Err(error) if error.has_code("RepositoryNotFoundException") => Ok(empty()),
        other => other,
    }
}

impl Inventory for MaybeMissingRepository {
    fn settings<'a>(&'a self, tag: Option<&'a Tag>) -> BoxFuture<'a, Result<RepositorySettings, Error>> {
        self.0.settings(tag).map(|result| or_empty(result, RepositorySettings::default)).boxed()
    }

    fn manifests<'a>(&'a self, ids: &'a [ManifestId]) -> BoxFuture<'a, Result<Vec<Option<Manifest>>, Error>> {
        let none = || ids.iter().map(|_| None).collect();
        self.0.manifests(ids).map(move |result| or_empty(result, none)).boxed()
    }

    fn blobs<'a>(&'a self, digests: &'a [Digest]) -> BoxFuture<'a, Result<HashSet<Digest>, Error>> {
        self.0.blobs(digests).map(|result| or_empty(result, HashSet::new)).boxed()
    }

    fn manifests_guarantee_content(&self) -> bool {
        self.0.manifests_guarantee_content()
    }

    fn rejection_reason(&self, manifest: &Manifest) -> Option<String> {
        self.0.rejection_reason(manifest)
    }

    /// The blobs were pushed before, so the repository exists.
    fn tag<'a>(&'a self, manifest: &'a Manifest, tag: &'a Tag) -> BoxFuture<'a, Result<(), Error>> {
        self.0.tag(manifest, tag)
    }

    fn lists_referrers<'a>(&'a self, _: &'a Digest) -> BoxFuture<'a, Result<bool, Error>> {
        ready(Ok(true)).boxed()
    }
}

/// Inventory of a repository that a deployment is about to create. Sends nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NewRepository;

impl Inventory for NewRepository {
    fn settings<'a>(&'a self, _: Option<&'a Tag>) -> BoxFuture<'a, Result<RepositorySettings, Error>> {
        ready(Ok(RepositorySettings::default())).boxed()
    }

    fn manifests<'a>(&'a self, ids: &'a [ManifestId]) -> BoxFuture<'a, Result<Vec<Option<Manifest>>, Error>> {
        ready(Ok(ids.iter().map(|_| None).collect())).boxed()
    }

    fn blobs<'a>(&'a self, _: &'a [Digest]) -> BoxFuture<'a, Result<HashSet<Digest>, Error>> {
        ready(Ok(HashSet::new())).boxed()
    }

    fn manifests_guarantee_content(&self) -> bool {
        false
    }

    fn rejection_reason(&self, manifest: &Manifest) -> Option<String> {
        manifest_check::rejection_reason(manifest)
    }

    fn tag<'a>(&'a self, _: &'a Manifest, _: &'a Tag) -> BoxFuture<'a, Result<(), Error>> {
        ready(Err(Error::Protocol("the repository does not exist"))).boxed()
    }

    fn lists_referrers<'a>(&'a self, _: &'a Digest) -> BoxFuture<'a, Result<bool, Error>> {
        ready(Ok(true)).boxed()
    }
}
