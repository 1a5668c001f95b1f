//! One ECR repository through the ECR API: the engine's inventory of a destination.

use std::collections::HashSet;

use aws_sdk_ecr::operation::describe_repositories::DescribeRepositoriesOutput;
use aws_sdk_ecr::types::LayerAvailability;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use image_copy::copy::{Inventory, RepositorySettings};
use image_copy::oci::{Algorithm, Digest, Manifest, Tag};
use image_copy::registry::{Error, ManifestId};

use crate::arn::RepositoryArn;
use crate::images::MAX_BATCH;
use crate::retry::RetryingClient;
use crate::{manifest_check, mutability};

/// Maximum number of concurrent batches. An image has one or two, and ECR allows a thousand calls a second.
const CONCURRENT_BATCHES: usize = 4;

/// A repository of private ECR. Its calls end by the deadline from its creation.
#[derive(Clone)]
pub struct EcrRepository {
    pub(crate) arn: RepositoryArn,
    pub(crate) client: RetryingClient,
}

impl EcrRepository {
    pub(crate) fn new(arn: RepositoryArn, client: RetryingClient) -> Self {
        Self { arn, client }
    }

    /// Returns the repository's ARN.
    #[must_use]
    pub fn arn(&self) -> &RepositoryArn {
        &self.arn
    }

    /// Reads the repository's settings.
    ///
    /// # Errors
    /// ECR's error, with `RepositoryNotFoundException` if the repository is missing.
    pub(crate) async fn describe(&self) -> Result<DescribeRepositoriesOutput, Error> {
        let request = self
            .client
            .sdk
            .describe_repositories()
            .registry_id(self.arn.account())
            .repository_names(self.arn.name());
        self.client.send("ecr:DescribeRepositories", || request.clone().send()).await
    }

    async fn settings_for_tag(&self, tag: Option<&Tag>) -> Result<RepositorySettings, Error> {
        let response = match self.describe().await {
            Ok(response) => response,
            // The copy continues without them, because a principal with push permissions may lack this one.
            Err(Error::Service { code, message, .. }) if code.starts_with("AccessDenied") => {
                tracing::debug!(%message, "the repository's settings cannot be read");
                return Ok(RepositorySettings::default());
            }
            Err(error) => return Err(error),
        };
        let repository = response.repositories().first();
        let immutable = repository
            .zip(tag)
            .and_then(|(repository, tag)| mutability::is_immutable(repository, tag.as_str()));
        Ok(RepositorySettings { tag_is_immutable: immutable })
    }

    async fn available_blobs(&self, digests: &[Digest]) -> Result<HashSet<Digest>, Error> {
        let distinct: HashSet<&Digest> =
            digests.iter().filter(|digest| digest.algorithm() == Algorithm::Sha256).collect();
        let distinct: Vec<String> = distinct.into_iter().map(ToString::to_string).collect();
        let batches: Vec<_> = distinct.chunks(MAX_BATCH).map(|batch| self.available_batch(batch)).collect();
        stream::iter(batches).buffer_unordered(CONCURRENT_BATCHES).try_concat().await
    }

    async fn available_batch(&self, digests: &[String]) -> Result<HashSet<Digest>, Error> {
        let request = self
            .client
            .sdk
            .batch_check_layer_availability()
            .registry_id(self.arn.account())
            .repository_name(self.arn.name())
            .set_layer_digests(Some(digests.to_vec()));
        let response = self.client.send("ecr:BatchCheckLayerAvailability", || request.clone().send()).await?;
        // Archived layers must be pushed again. Failures are digests that ECR cannot store.
        let available = response
            .layers()
            .iter()
            .filter(|layer| layer.layer_availability() == Some(&LayerAvailability::Available));
        Ok(available.filter_map(|layer| layer.layer_digest()?.parse().ok()).collect())
    }

    /// Puts a tag on a manifest, and writes the manifest if it is missing. The repository must have its
    /// content. A tag that already names the manifest is success.
    ///
    /// # Errors
    /// ECR's error.
    pub async fn put_tag(&self, manifest: &Manifest, tag: &str) -> Result<(), Error> {
        let text = std::str::from_utf8(&manifest.bytes)
            .map_err(|_| Error::Protocol("the manifest is not UTF-8 text"))?;
        let request = self
            .client
            .sdk
            .put_image()
            .registry_id(self.arn.account())
            .repository_name(self.arn.name())
            .image_manifest(text)
            .image_manifest_media_type(&manifest.media_type)
            // ECR rejects the call if the bytes do not match the digest.
            .image_digest(manifest.digest.as_str())
            .image_tag(tag);
        match self.client.send("ecr:PutImage", || request.clone().send()).await {
            // The tag already names this manifest.
            Err(error) if error.has_code("ImageAlreadyExistsException") => Ok(()),
            other => other.map(drop),
        }
    }

    /// Like [`Self::put_tag`], also for immutable tags. ECR rejects them even if they already name the
    /// manifest
    ///
    /// # Errors
    /// ECR's error.
    pub async fn ensure_tag(&self, manifest: &Manifest, tag: &Tag) -> Result<(), Error> {
        let Err(error) = self.put_tag(manifest, tag.as_str()).await else { return Ok(()) };
        if error.has_code("ImageTagAlreadyExistsException") {
            let existing = self.read_batch(&[ManifestId::Tag(tag.clone())]).await?;
            if existing.into_iter().flatten().any(|existing| existing.digest == manifest.digest) {
                return Ok(());
            }
        }
        Err(error)
    }
}

impl Inventory for EcrRepository {
    fn settings<'a>(&'a self, tag: Option<&'a Tag>) -> BoxFuture<'a, Result<RepositorySettings, Error>> {
        self.settings_for_tag(tag).boxed()
    }

    fn manifests<'a>(&'a self, ids: &'a [ManifestId]) -> BoxFuture<'a, Result<Vec<Option<Manifest>>, Error>> {
        let batches: Vec<_> = ids.chunks(MAX_BATCH).map(|batch| self.read_batch(batch)).collect();
        stream::iter(batches).buffered(CONCURRENT_BATCHES).try_concat().boxed()
    }

    fn blobs<'a>(&'a self, digests: &'a [Digest]) -> BoxFuture<'a, Result<HashSet<Digest>, Error>> {
        self.available_blobs(digests).boxed()
    }

    /// A lifecycle rule can delete a child of an index, and layers can be archived.
    fn manifests_guarantee_content(&self) -> bool {
        false
    }

    fn rejection_reason(&self, manifest: &Manifest) -> Option<String> {
        manifest_check::rejection_reason(manifest)
    }

    fn tag<'a>(&'a self, manifest: &'a Manifest, tag: &'a Tag) -> BoxFuture<'a, Result<(), Error>> {
        self.ensure_tag(manifest, tag).boxed()
    }

    /// ECR has the referrers API since June 2024, so no fallback tag is needed
    fn lists_referrers<'a>(&'a self, _: &'a Digest) -> BoxFuture<'a, Result<bool, Error>> {
        futures_util::future::ready(Ok(true)).boxed()
    }
}

#[cfg(test)]
mod tests;
