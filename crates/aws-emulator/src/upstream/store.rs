//! Content of a registry.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Instant;

use crate::blob::Blob;
use crate::image::Manifest;

use super::limits::Limits;
use super::referrers;
use super::{Availability, RangeSupport};

/// A repository.
#[derive(Default)]
pub(super) struct RepositoryContent {
    pub(super) manifests: HashMap<String, Manifest>,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) blobs: HashMap<String, Blob>,
    /// Users that can read the repository. `None` means everyone.
    pub(super) readers: Option<HashSet<String>>,
}

impl RepositoryContent {
    /// Returns the manifest of a tag or digest.
    pub(super) fn manifest(&self, reference: &str) -> Option<&Manifest> {
        let digest = self.tags.get(reference).map_or(reference, String::as_str);
        self.manifests.get(digest)
    }
}

/// A bearer token.
pub(super) struct Token {
    pub(super) user: Option<String>,
    /// Repositories that the token can read.
    pub(super) repositories: HashSet<String>,
    /// True if the token can read all repositories of its user, as with a constant scope.
    pub(super) all_repositories: bool,
    pub(super) expires_at: Instant,
}

/// Content of a registry.
#[derive(Default)]
pub(super) struct State {
    pub(super) repositories: HashMap<String, RepositoryContent>,
    pub(super) users: HashMap<String, String>,
    /// Expiry of temporary passwords by user and password.
    pub(super) passwords: HashMap<(String, String), Instant>,
    /// Users by identity token.
    pub(super) identity_tokens: HashMap<String, String>,
    /// Number of wrong passwords by user.
    pub(super) wrong_passwords: HashMap<String, u32>,
    pub(super) tokens: HashMap<String, Token>,
    pub(super) limits: Limits,
    pub(super) availability: Availability,
    pub(super) ranges: RangeSupport,
    pub(super) referrers: referrers::Settings,
    /// Secret of signed URLs. Changing it expires them all.
    pub(super) signature: u64,
}

impl State {
    /// Returns true if the password is valid.
    pub(super) fn accepts_password(&self, user: &str, password: &str) -> bool {
        let key = (user.to_owned(), password.to_owned());
        let is_valid = self.passwords.get(&key).is_some_and(|expires_at| *expires_at > Instant::now());
        is_valid || self.users.get(user).is_some_and(|right| right == password)
    }
}
