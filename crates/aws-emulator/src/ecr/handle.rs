//! What a test does to ECR, and sees of it.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::Value;

use crate::api::{Caller, now};
use crate::image::{Image, Manifest};

use super::images::{self, Put};
use super::store::{Key, Layer, Mutability, PushEvent, State};
use super::{Ecr, hosts};

impl Ecr {
    /// An ECR of its own, behind no proxy, for whoever decides when each call happens.
    pub fn standalone(account: &str) -> Arc<Self> {
        Arc::new(Self::new(account, Arc::default()))
    }

    /// Carries out one action of the API.
    ///
    /// # Errors
    ///
    /// The name and the message of a refusal.
    pub fn call(&self, region: &str, action: &str, input: &Value) -> Result<Value, (&'static str, String)> {
        let caller = Caller::unnamed(&self.account, region);
        super::api::call(self, &caller, region, action, input)
            .map_err(|refusal| (refusal.name, refusal.message))
    }

    /// Creates a repository, in any account and Region, and gives a handle on it.
    ///
    /// # Panics
    ///
    /// When the ARN is not that of a repository.
    pub fn create_repository(self: &Arc<Self>, arn: &str, mutability: Mutability) -> Repository {
        self.try_create_repository(arn, mutability).unwrap_or_else(|message| panic!("{message}"))
    }

    /// Creates a repository whose ARN somebody typed.
    ///
    /// # Errors
    ///
    /// When the ARN is not that of a repository.
    pub fn try_create_repository(
        self: &Arc<Self>,
        arn: &str,
        mutability: Mutability,
    ) -> Result<Repository, String> {
        let key = Key::from_arn(arn).ok_or_else(|| format!("{arn} is no repository's ARN"))?;
        let repository = Repository { ecr: Arc::clone(self), key };
        let fresh =
            super::store::Repository { mutability, created: now(), ..super::store::Repository::default() };
        self.lock().repositories.insert(repository.key.clone(), fresh);
        Ok(repository)
    }

    /// A handle on a repository, which need not exist.
    ///
    /// # Panics
    ///
    /// When the ARN is not that of a repository.
    pub fn repository(self: &Arc<Self>, arn: &str) -> Repository {
        let key = Key::from_arn(arn).unwrap_or_else(|| panic!("{arn} names no repository"));
        Repository { ecr: Arc::clone(self), key }
    }

    /// Denies actions such as `ecr:PutImage` on resources; both are patterns with `*`.
    pub fn deny(&self, action: &str, resource: &str) {
        self.lock().denials.add(action, resource);
    }

    /// Takes all denials back.
    pub fn allow_everything(&self) {
        self.lock().denials.clear();
    }

    /// Makes every login given out so far expire.
    pub fn expire_tokens(&self) {
        let now = Instant::now();
        self.lock().logins.values_mut().for_each(|login| login.ends = now);
    }

    /// Decides how long new logins last.
    pub fn set_token_lifetime(&self, lasts: Duration) {
        *self.token_lasts.lock().unwrap_or_else(PoisonError::into_inner) = lasts;
    }

    /// Sets how often a second an action such as `PutImage` may be called; none lifts the limit.
    pub fn set_rate_limit(&self, action: &str, rate: Option<f64>) {
        self.lock().throttle.set(action, rate);
    }

    /// Lifts every limit on calls per second.
    pub fn remove_rate_limits(&self) {
        self.lock().throttle.lift();
    }

    /// Switches the account setting `BLOB_MOUNTING` on; it is off at first, as in AWS.
    pub fn enable_blob_mounting(&self) {
        self.lock().mounting = true;
    }

    /// Makes ECR overlook that a layer is not what its digest says.
    pub fn accept_wrong_digests(&self) {
        self.lock().overlooks_wrong_digests = true;
    }

    /// The ARNs of all repositories.
    pub fn repositories(&self) -> Vec<String> {
        self.lock().repositories.keys().map(Key::arn).collect()
    }

    /// The push events that ECR would have sent to EventBridge, oldest first. Take the length as a
    /// mark, and compare the events behind it later.
    ///
    /// Images that a test stores through a [`Repository`] are not counted.
    pub fn push_events(&self) -> Vec<PushEvent> {
        self.lock().push_events.clone()
    }

    /// How many upload sessions are open or broken.
    pub fn open_uploads(&self) -> usize {
        self.lock().uploads.len()
    }
}

/// A handle on one repository in ECR.
#[derive(Clone)]
pub struct Repository {
    ecr: Arc<Ecr>,
    key: Key,
}

impl Repository {
    /// Its ARN.
    pub fn arn(&self) -> String {
        self.key.arn()
    }

    /// What stands before `:tag` in a reference.
    pub fn uri(&self) -> String {
        let host = hosts::registry_host(&self.key.account, &self.key.region);
        format!("{host}/{}", self.key.repository)
    }

    /// Whether it exists.
    pub fn exists(&self) -> bool {
        self.ecr.lock().repositories.contains_key(&self.key)
    }

    /// Removes it with all it holds.
    pub fn delete(&self) {
        self.ecr.lock().repositories.remove(&self.key);
    }

    /// Changes whether tags may be moved.
    pub fn set_mutability(&self, mutability: Mutability) {
        self.change(|repository| repository.mutability = mutability);
    }

    /// All tags with the digests they name.
    pub fn tags(&self) -> BTreeMap<String, String> {
        self.look(|repository| repository.tags.clone()).unwrap_or_default()
    }

    /// The digest that a tag names.
    pub fn resolve(&self, tag: &str) -> Option<String> {
        self.look(|repository| repository.tags.get(tag).cloned())?
    }

    /// The digests of all images and indexes.
    pub fn images(&self) -> Vec<String> {
        self.look(|repository| repository.images.keys().cloned().collect()).unwrap_or_default()
    }

    /// The bytes of a manifest, by tag or digest.
    pub fn manifest(&self, reference: &str) -> Option<Bytes> {
        let found = |repository: &super::store::Repository| {
            repository.image(reference).map(|image| image.manifest.bytes.clone())
        };
        self.look(found)?
    }

    /// The digests of all blobs.
    pub fn blobs(&self) -> Vec<String> {
        self.look(|repository| repository.layers.keys().cloned().collect()).unwrap_or_default()
    }

    /// Whether it has a blob.
    pub fn has_blob(&self, digest: &str) -> bool {
        self.look(|repository| repository.layers.contains_key(digest)).unwrap_or(false)
    }

    /// The digest of what a blob really is; another than its name only after
    /// [`Ecr::overlook_wrong_digests`].
    pub fn actual_blob_digest(&self, digest: &str) -> Option<String> {
        self.look(|repository| repository.layers.get(digest).map(|layer| layer.actual.clone()))?
    }

    /// What is missing or wrong below an image: children and blobs that are not there, or are not
    /// what their digest says. Empty when all is well.
    pub fn integrity_errors(&self, reference: &str) -> Vec<String> {
        let check = |repository: &super::store::Repository| integrity_errors(repository, reference);
        self.look(check).unwrap_or_else(|| vec![self.arn()])
    }

    /// Puts an image as somebody else would have: past permissions and rates, but by ECR's rules.
    ///
    /// # Panics
    ///
    /// When ECR would refuse it.
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

    /// Puts a manifest as somebody else would have.
    ///
    /// # Panics
    ///
    /// When ECR would refuse it.
    pub fn put_manifest(&self, tag: Option<&str>, manifest: &Manifest) {
        let put = Put { bytes: &manifest.bytes, media_type: Some(&manifest.media_type), tag, digest: None };
        let refused = images::put(&mut self.ecr.lock(), &self.key, &put).err();
        assert_eq!(refused, None, "ECR refused an image of the test");
    }

    /// Lets a tag name an image that is there, or takes the tag away, past every rule.
    pub fn set_tag(&self, tag: &str, digest: Option<&str>) {
        self.change(|repository| match digest {
            Some(digest) => repository.tags.insert(tag.to_owned(), digest.to_owned()),
            None => repository.tags.remove(tag),
        });
    }

    /// Removes an image or index with its tags, as a lifecycle rule would, whoever refers to it.
    pub fn expire_image(&self, digest: &str) {
        self.change(|repository| images::remove(repository, digest));
    }

    /// Removes a blob, whoever refers to it.
    pub fn remove_blob(&self, digest: &str) {
        self.change(|repository| repository.layers.remove(digest));
    }

    fn look<T>(&self, see: impl FnOnce(&super::store::Repository) -> T) -> Option<T> {
        self.ecr.lock().repositories.get(&self.key).map(see)
    }

    fn change<T>(&self, change: impl FnOnce(&mut super::store::Repository) -> T) {
        let mut state: std::sync::MutexGuard<'_, State> = self.ecr.lock();
        state.repositories.get_mut(&self.key).map(change);
    }
}

fn integrity_errors(repository: &super::store::Repository, reference: &str) -> Vec<String> {
    let Some(image) = repository.image(reference) else {
        return vec![format!("{reference} is not there")];
    };
    let mut found = Vec::new();
    for (digest, size) in &image.parsed.blobs {
        match repository.layers.get(digest) {
            None => found.push(format!("blob {digest} is not there")),
            Some(layer) if layer.actual != *digest || layer.size != *size => {
                found.push(format!("blob {digest} of {size} bytes is {} of {}", layer.actual, layer.size));
            }
            Some(_) => {}
        }
    }
    found.extend(image.parsed.children.iter().flat_map(|child| integrity_errors(repository, child)));
    found
}
