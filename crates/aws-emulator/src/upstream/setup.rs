//! Methods for tests to set up and inspect a registry.

use std::time::{Duration, Instant};

use crate::blob::Blob;
use crate::image::{Image, Manifest};

use super::access::can_read;
use super::profile::RateLimit;
use super::store::RepositoryContent;
use super::{Availability, RangeSupport, Registry};

impl Registry {
    /// Stores an image with its children and blobs, and tags its root.
    pub fn put_image(&self, repository: &str, tag: &str, image: &Image) {
        for blob in &image.blobs {
            self.put_blob(repository, blob.clone());
        }
        for manifest in &image.manifests {
            self.put_manifest(repository, manifest.clone());
        }
        self.tag(repository, tag, image.digest());
    }

    /// Stores a manifest with any content.
    pub fn put_manifest(&self, repository: &str, manifest: Manifest) {
        let mut state = self.lock();
        let content = state.repositories.entry(repository.to_owned()).or_default();
        content.manifests.insert(manifest.digest.clone(), manifest);
    }

    /// Stores a blob.
    pub fn put_blob(&self, repository: &str, blob: Blob) {
        self.generated_blobs.add(&blob);
        let mut state = self.lock();
        let content = state.repositories.entry(repository.to_owned()).or_default();
        content.blobs.insert(blob.digest().to_owned(), blob);
    }

    /// Stores a blob under a wrong digest.
    pub fn put_corrupt_blob(&self, repository: &str, digest: &str, blob: Blob) {
        let mut state = self.lock();
        let content = state.repositories.entry(repository.to_owned()).or_default();
        content.blobs.insert(digest.to_owned(), blob);
    }

    /// Sets a tag.
    pub fn tag(&self, repository: &str, tag: &str, digest: &str) {
        let mut state = self.lock();
        let content = state.repositories.entry(repository.to_owned()).or_default();
        content.tags.insert(tag.to_owned(), digest.to_owned());
    }

    /// Removes a tag.
    pub fn untag(&self, repository: &str, tag: &str) {
        if let Some(content) = self.lock().repositories.get_mut(repository) {
            content.tags.remove(tag);
        }
    }

    /// Returns the digest of a tag.
    pub fn resolve(&self, repository: &str, tag: &str) -> Option<String> {
        self.lock().repositories.get(repository)?.tags.get(tag).cloned()
    }

    /// Returns the image of a tag with all its content.
    pub(crate) fn image(&self, repository: &str, tag: &str) -> Option<Image> {
        let state = self.lock();
        let content = state.repositories.get(repository)?;
        let mut image = Image { manifests: Vec::new(), blobs: Vec::new() };
        collect_image(content, content.manifest(tag)?, &mut image);
        Some(image)
    }

    /// Deletes a repository.
    pub fn delete(&self, repository: &str) {
        self.lock().repositories.remove(repository);
    }

    /// Adds a user.
    pub fn add_user(&self, user: &str, password: &str) {
        self.lock().users.insert(user.to_owned(), password.to_owned());
    }

    /// Adds an identity token of a user.
    pub fn add_identity_token(&self, user: &str, token: &str) {
        self.lock().identity_tokens.insert(token.to_owned(), user.to_owned());
    }

    /// Unlocks users with too many wrong passwords.
    pub fn unlock_users(&self) {
        self.lock().wrong_passwords.clear();
    }

    /// Adds a password with a lifetime. The user keeps other passwords.
    pub(crate) fn add_password(&self, user: &str, password: &str, lifetime: Duration) {
        self.lock().passwords.insert((user.to_owned(), password.to_owned()), Instant::now() + lifetime);
    }

    /// Limits the readers of a repository to these users.
    pub fn make_private(&self, repository: &str, readers: &[&str]) {
        let mut state = self.lock();
        let content = state.repositories.entry(repository.to_owned()).or_default();
        content.readers = Some(readers.iter().map(|&reader| reader.to_owned()).collect());
    }

    /// Sets the pull limit of anonymous callers.
    pub fn set_anonymous_limit(&self, limit: Option<RateLimit>) {
        self.lock().limits.anonymous = Some(limit);
    }

    /// Sets the pull limit of users.
    pub fn set_user_limit(&self, limit: Option<RateLimit>) {
        self.lock().limits.users = Some(limit);
    }

    /// Sets the remaining pulls of a user, or of anonymous callers.
    pub fn set_remaining_pulls(&self, user: Option<&str>, pulls: u64) {
        self.lock().limits.set_remaining(&self.profile, user, pulls);
    }

    /// Returns the remaining pulls of a user, or of anonymous callers. `None` means unlimited.
    pub fn remaining_pulls(&self, user: Option<&str>) -> Option<u64> {
        self.lock().limits.remaining(&self.profile, user)
    }

    /// Sets the availability.
    pub fn set_availability(&self, availability: Availability) {
        self.lock().availability = availability;
    }

    /// Sets the support of ranges.
    pub fn set_range_support(&self, support: RangeSupport) {
        self.lock().ranges = support;
    }

    /// Expires all tokens issued so far.
    pub fn expire_tokens(&self) {
        let now = Instant::now();
        self.lock().tokens.values_mut().for_each(|token| token.expires_at = now);
    }

    /// Returns true if a token permits to pull from a repository.
    pub fn allows_pull(&self, token: &str, repository: &str) -> bool {
        let state = self.lock();
        let token = state.tokens.get(token).filter(|token| token.expires_at > Instant::now());
        token.is_some_and(|token| {
            let readable = can_read(&state, &self.profile, token.user.as_deref(), repository);
            token.repositories.contains(repository) || (token.all_repositories && readable)
        })
    }

    /// Expires all signed URLs issued so far.
    pub fn expire_signatures(&self) {
        self.lock().signature += 1;
    }
}

/// Adds a manifest and its content to an image, children first.
fn collect_image(content: &RepositoryContent, manifest: &Manifest, image: &mut Image) {
    let document = manifest.document();
    let digests = |name: &str| {
        let entries = document[name].as_array().cloned().unwrap_or_default();
        entries.iter().filter_map(|entry| entry["digest"].as_str().map(ToOwned::to_owned)).collect::<Vec<_>>()
    };
    for child in digests("manifests").iter().filter_map(|digest| content.manifests.get(digest)) {
        collect_image(content, child, image);
    }
    let config = document["config"]["digest"].as_str().map(ToOwned::to_owned);
    let blobs = config.into_iter().chain(digests("layers"));
    image.blobs.extend(blobs.filter_map(|digest| content.blobs.get(&digest).cloned()));
    image.manifests.push(manifest.clone());
}
