//! What a registry holds.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Instant;

use crate::blob::Blob;
use crate::image::Manifest;

use super::limits::Limits;
use super::referrers;
use super::{RangeManner, Switch};

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
    pub(super) tokens: HashMap<String, Token>,
    pub(super) limits: Limits,
    pub(super) switch: Switch,
    pub(super) ranges: RangeManner,
    pub(super) referrers: referrers::Settings,
    /// Raised to make every signed URL given out so far invalid.
    pub(super) signature: u64,
}

impl State {
    /// Whether a user may read a repository that exists.
    pub(super) fn may_read(&self, user: Option<&str>, repository: &str) -> bool {
        self.repositories.get(repository).is_some_and(|repository| match &repository.readers {
            None => true,
            Some(readers) => user.is_some_and(|user| readers.contains(user)),
        })
    }
}
