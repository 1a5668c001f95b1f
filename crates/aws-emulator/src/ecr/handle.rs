//! Methods for tests to set up and inspect ECR.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::Value;

use crate::api::{Caller, now};
use crate::image::{Image, Manifest};

use super::images::{self, NewImage};
use super::scans::Scan;
use super::store::{Layer, Mutability, PushEvent, RepositoryKey, Settings, State};
use super::{Ecr, hosts};

impl Ecr {
    /// Creates an ECR without a proxy, for tests that control the order of calls.
    pub fn standalone(account: &str) -> Arc<Self> {
        Arc::new(Self::new(account, Arc::default()))
    }

    /// Executes an action of the API.
    ///
    /// # Errors
    ///
    /// Returns name and message of the error.
    pub fn call(&self, region: &str, action: &str, input: &Value) -> Result<Value, (&'static str, String)> {
        let caller = Caller::unnamed(&self.account, region);
        super::api::call(self, &caller, region, action, input).map_err(|error| (error.name, error.message))
    }

    /// Creates a repository in any account and Region, and returns a handle.
    ///
    /// # Panics
    ///
    /// Panics if the ARN is not the ARN of a repository.
    pub fn create_repository(self: &Arc<Self>, arn: &str, mutability: Mutability) -> Repository {
        self.try_create_repository(arn, mutability).unwrap_or_else(|message| panic!("{message}"))
    }

    /// Creates a repository with an ARN from outside.
    ///
    /// # Errors
    ///
    /// Returns an error if the ARN is not the ARN of a repository.
    pub fn try_create_repository(
        self: &Arc<Self>,
        arn: &str,
        mutability: Mutability,
    ) -> Result<Repository, String> {
        let key =
            RepositoryKey::from_arn(arn).ok_or_else(|| format!("{arn} is not the ARN of a repository"))?;
        let repository = Repository { ecr: Arc::clone(self), key };
        let settings = Settings { mutability, ..Settings::default() };
        let fresh =
            super::store::Repository { settings, created: now(), ..super::store::Repository::default() };
        self.lock().repositories.insert(repository.key.clone(), fresh);
        Ok(repository)
    }

    /// Returns a handle on a repository, which can be missing.
    ///
    /// # Panics
    ///
    /// Panics if the ARN is not the ARN of a repository.
    pub fn repository(self: &Arc<Self>, arn: &str) -> Repository {
        let key =
            RepositoryKey::from_arn(arn).unwrap_or_else(|| panic!("{arn} is not the ARN of a repository"));
        Repository { ecr: Arc::clone(self), key }
    }

    /// Denies actions such as `ecr:PutImage` on resources. Both are patterns with `*`.
    pub fn deny(&self, action: &str, resource: &str) {
        self.lock().denials.add(action, resource);
    }

    /// Removes all denials.
    pub fn allow_everything(&self) {
        self.lock().denials.clear();
    }

    /// Expires all authorization tokens issued so far.
    pub fn expire_tokens(&self) {
        let now = Instant::now();
        self.lock().tokens.values_mut().for_each(|token| token.expires_at = now);
    }

    /// Sets the lifetime of new authorization tokens.
    pub fn set_token_lifetime(&self, lifetime: Duration) {
        *self.token_lifetime.lock().unwrap_or_else(PoisonError::into_inner) = lifetime;
    }

    /// Sets the permitted calls per second of an action such as `PutImage`. `None` means unlimited.
    pub fn set_rate_limit(&self, action: &str, rate: Option<f64>) {
        self.lock().rate_limits.set(action, rate);
    }

    /// Removes all limits on calls per second.
    pub fn remove_rate_limits(&self) {
        self.lock().rate_limits.remove_all();
    }

    /// Enables the account setting `BLOB_MOUNTING`, which is disabled by default as in AWS.
    pub fn enable_blob_mounting(&self) {
        self.lock().blob_mounting = true;
    }

    /// Makes ECR accept a layer whose content does not match its digest.
    pub fn accept_wrong_digests(&self) {
        self.lock().accepts_wrong_digests = true;
    }

    /// Sets the quota of repositories in an account and Region.
    pub fn set_repository_quota(&self, quota: usize) {
        self.lock().repository_quota = Some(quota);
    }

    /// Returns the ARNs of all repositories.
    pub fn repositories(&self) -> Vec<String> {
        self.lock().repositories.keys().map(RepositoryKey::arn).collect()
    }

    /// Returns the push events that ECR would send to EventBridge, oldest first.
    ///
    /// Images that a test stores through a [`Repository`] cause no events.
    pub fn push_events(&self) -> Vec<PushEvent> {
        self.lock().push_events.clone()
    }

    /// Returns the number of upload sessions that are open or broken.
    pub fn open_uploads(&self) -> usize {
        self.lock().uploads.len()
    }
}

/// A handle on a repository in ECR.
#[derive(Clone)]
pub struct Repository {
    ecr: Arc<Ecr>,
    key: RepositoryKey,
}

impl Repository {
    /// Returns the ARN.
    pub fn arn(&self) -> String {
        self.key.arn()
    }

    /// Returns the repository URI, without a tag.
    pub fn uri(&self) -> String {
        let host = hosts::registry_host(&self.key.account, &self.key.region);
        format!("{host}/{}", self.key.repository)
    }

    /// Returns true if the repository exists.
    pub fn exists(&self) -> bool {
        self.ecr.lock().repositories.contains_key(&self.key)
    }

    /// Deletes the repository with its content.
    pub fn delete(&self) {
        self.ecr.lock().repositories.remove(&self.key);
    }

    /// Sets the tag mutability.
    pub fn set_mutability(&self, mutability: Mutability) {
        self.change(|repository| repository.settings.mutability = mutability);
    }

    /// Returns all tags with their digests.
    pub fn tags(&self) -> BTreeMap<String, String> {
        self.read(|repository| repository.tags.clone()).unwrap_or_default()
    }

    /// Returns the digest of a tag.
    pub fn resolve(&self, tag: &str) -> Option<String> {
        self.read(|repository| repository.tags.get(tag).cloned())?
    }

    /// Returns the digests of all images and indexes.
    pub fn images(&self) -> Vec<String> {
        self.read(|repository| repository.images.keys().cloned().collect()).unwrap_or_default()
    }

    /// Returns the bytes of a manifest by tag or digest.
    pub fn manifest(&self, reference: &str) -> Option<Bytes> {
        let found = |repository: &super::store::Repository| {
            repository.image(reference).map(|image| image.manifest.bytes.clone())
        };
        self.read(found)?
    }

    /// Returns the digests of all blobs.
    pub fn blobs(&self) -> Vec<String> {
        self.read(|repository| repository.layers.keys().cloned().collect()).unwrap_or_default()
    }

    /// Returns true if the repository has a blob.
    pub fn has_blob(&self, digest: &str) -> bool {
        self.read(|repository| repository.layers.contains_key(digest)).unwrap_or(false)
    }

    /// Returns the content of a small blob.
    pub fn blob(&self, digest: &str) -> Option<Bytes> {
        let found = |repository: &super::store::Repository| {
            let blob = repository.layers.get(digest)?.blob.as_ref();
            blob.map(crate::blob::Blob::to_bytes)
        };
        self.read(found)?
    }

    /// Returns the digest of a blob's actual content. It differs from `digest` only after
    /// [`Ecr::accept_wrong_digests`].
    pub fn actual_blob_digest(&self, digest: &str) -> Option<String> {
        self.read(|repository| repository.layers.get(digest).map(|layer| layer.actual.clone()))?
    }

    /// Returns errors in an image: missing children and blobs, and blobs that do not match their digest.
    pub fn integrity_errors(&self, reference: &str) -> Vec<String> {
        let check = |repository: &super::store::Repository| integrity_errors(repository, reference);
        self.read(check).unwrap_or_else(|| vec![self.arn()])
    }

    /// Stores an image without permissions and rate limits, but with ECR's validation.
    ///
    /// # Panics
    ///
    /// Panics if ECR would reject the image.
    pub fn put_image(&self, tag: Option<&str>, image: &Image) {
        self.change(|repository| {
            for blob in &image.blobs {
                let (size, actual) = (blob.size(), blob.digest().to_owned());
                let layer = Layer { size, actual: actual.clone(), blob: Some(blob.clone()) };
                repository.layers.insert(actual, layer);
            }
        });
        for manifest in &image.manifests {
            let tag = tag.filter(|_| manifest.digest == image.digest());
            self.put_manifest(tag, manifest);
        }
    }

    /// Stores a manifest without permissions and rate limits, but with ECR's validation.
    ///
    /// # Panics
    ///
    /// Panics if ECR would reject the manifest.
    pub fn put_manifest(&self, tag: Option<&str>, manifest: &Manifest) {
        let new_image =
            NewImage { bytes: &manifest.bytes, media_type: Some(&manifest.media_type), tag, digest: None };
        let error = images::put(&mut self.ecr.lock(), &self.key, &new_image).err();
        assert_eq!(error, None, "ECR would reject this manifest");
    }

    /// Sets or removes a tag without any checks.
    pub fn set_tag(&self, tag: &str, digest: Option<&str>) {
        self.change(|repository| match digest {
            Some(digest) => repository.tags.insert(tag.to_owned(), digest.to_owned()),
            None => repository.tags.remove(tag),
        });
    }

    /// Deletes an image or index with its tags, as a lifecycle rule does, also if an index refers to it.
    pub fn expire_image(&self, digest: &str) {
        self.change(|repository| images::remove(repository, digest));
    }

    /// Moves the time of an image's push into the past.
    pub fn age_image(&self, digest: &str, age: Duration) {
        self.change(|repository| {
            if let Some(image) = repository.images.get_mut(digest) {
                image.pushed -= age.as_secs_f64();
            }
        });
    }

    /// Scans an image, with these numbers of findings by severity, such as `CRITICAL`. The first request
    /// for the findings returns a scan in progress.
    pub fn scan_image(&self, digest: &str, findings: &[(&str, u64)]) {
        self.change(|repository| repository.scans.insert(digest.to_owned(), Scan::new(findings)));
    }

    /// Deletes a blob, also if an image refers to it.
    pub fn remove_blob(&self, digest: &str) {
        self.change(|repository| repository.layers.remove(digest));
    }

    fn read<T>(&self, query: impl FnOnce(&super::store::Repository) -> T) -> Option<T> {
        self.ecr.lock().repositories.get(&self.key).map(query)
    }

    fn change<T>(&self, change: impl FnOnce(&mut super::store::Repository) -> T) {
        let mut state: std::sync::MutexGuard<'_, State> = self.ecr.lock();
        state.repositories.get_mut(&self.key).map(change);
    }
}

fn integrity_errors(repository: &super::store::Repository, reference: &str) -> Vec<String> {
    let Some(image) = repository.image(reference) else {
        return vec![format!("{reference} is missing")];
    };
    let mut found = Vec::new();
    for (digest, size) in &image.parsed.blobs {
        match repository.layers.get(digest) {
            None => found.push(format!("blob {digest} is missing")),
            Some(layer) if layer.actual != *digest || layer.size != *size => {
                found.push(format!("blob {digest} of {size} bytes is {} of {}", layer.actual, layer.size));
            }
            Some(_) => {}
        }
    }
    found.extend(image.parsed.children.iter().flat_map(|child| integrity_errors(repository, child)));
    found
}
