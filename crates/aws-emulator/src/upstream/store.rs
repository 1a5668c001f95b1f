//! What a registry holds.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Instant;

use crate::blob::Blob;
use crate::image::Manifest;

use super::limits::Limits;
use super::referrers;
use super::{Availability, RangeSupport};

/// One repository.
#[derive(Default)]
pub(super) struct Repository {
    pub(super) manifests: HashMap<String, Manifest>,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) blobs: HashMap<String, Blob>,
    /// Users that may read it; everybody when absent.
    pub(super) readers: Option<HashSet<String>>,
}

impl Repository {
    /// The manifest of a tag or digest.
    pub(super) fn manifest(&self, reference: &str) -> Option<&Manifest> {
        let digest = self.tags.get(reference).map_or(reference, String::as_str);
        self.manifests.get(digest)
    }
}

/// A token that was given out.
pub(super) struct Token {
    pub(super) user: Option<String>,
    /// Repositories it opens for reading.
    pub(super) repositories: HashSet<String>,
    /// Whether it opens all that its user may read, as a constant scope does.
    pub(super) everything: bool,
    pub(super) ends: Instant,
}

/// All of one registry.
#[derive(Default)]
pub(super) struct State {
    pub(super) repositories: HashMap<String, Repository>,
    pub(super) users: HashMap<String, String>,
    /// Users with passwords that were given out for a time, and when these end.
    pub(super) passwords: HashMap<(String, String), Instant>,
    /// Identity tokens, and whose they are.
    pub(super) identity_tokens: HashMap<String, String>,
    /// How often each user gave a wrong password.
    pub(super) wrong_logins: HashMap<String, u32>,
    pub(super) tokens: HashMap<String, Token>,
    pub(super) limits: Limits,
    pub(super) switch: Availability,
    pub(super) ranges: RangeSupport,
    pub(super) referrers: referrers::Settings,
    /// Raised to make every signed URL given out so far invalid.
    pub(super) signature: u64,
}

impl State {
    /// Whether a login is right.
    pub(super) fn knows(&self, user: &str, password: &str) -> bool {
        let key = (user.to_owned(), password.to_owned());
        let lasts = self.passwords.get(&key).is_some_and(|ends| *ends > Instant::now());
        lasts || self.users.get(user).is_some_and(|right| right == password)
    }
}
