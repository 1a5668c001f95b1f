//! One item of the state table: the owners of a tag, and its copies.
//!
//! Pure functions change these values, and [`StateTable`] writes them.
//!
//! [`StateTable`]: super::StateTable

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use image_copy::oci::Digest;

use super::copy_record::{CopyRecord, Owner};
use super::seen::SeenDigests;

/// Seconds for which the time of a Delete is kept. CloudFormation waits at most an hour for a custom
/// resource, so no event older than the Delete can run after that.
const ENDED_SECONDS: u64 = 7200;

/// Seconds for which an item with first-seen times and without an owner is kept: 90 days. The longest minimum
/// age is 60 days.
const SEEN_SECONDS: u64 = 90 * 24 * 3600;

/// Temporary right to change a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Unique name of the attempt.
    pub holder: String,
    /// End in seconds since 1970.
    pub until: u64,
}

/// State of one tag.
#[derive(Debug, Clone, PartialEq)]
pub struct TagState {
    /// The key: `<registry>/<repository>:<tag>`, or `@<digest>` without a tag.
    pub image: String,
    /// Changes with every write. 0 if the item is not stored.
    pub(crate) version: u64,
    /// Owners, with the time of their last event in seconds since 1970.
    pub owners: BTreeMap<Owner, u64>,
    /// Copies, oldest first.
    pub copies: Vec<CopyRecord>,
    /// Child manifests of copies that are indexes. With them, a repeated Delete can finish after ECR has
    /// deleted the index.
    pub children: BTreeMap<Digest, Vec<Digest>>,
    /// Digest that the tag named before its first owner.
    pub replaced: Option<Digest>,
    /// Lease of the attempt that changes the tag.
    pub lease: Option<Lease>,
    /// Former owners, with the time of their Delete in seconds since 1970.
    pub ended: BTreeMap<Owner, u64>,
    /// Digests of the source, with the time at which they were first seen.
    pub seen: SeenDigests,
    /// Attributes that this version does not know. They are kept.
    pub(crate) unknown: HashMap<String, AttributeValue>,
}

impl TagState {
    /// Creates the state of a tag without an item.
    #[must_use]
    pub fn new(image: &str) -> Self {
        Self {
            image: image.to_owned(),
            version: 0,
            owners: BTreeMap::new(),
            copies: Vec::new(),
            children: BTreeMap::new(),
            replaced: None,
            lease: None,
            ended: BTreeMap::new(),
            seen: SeenDigests::default(),
            unknown: HashMap::new(),
        }
    }

    /// Returns the version that a conditional write expects in the table. 0 if the item is not stored.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Returns the item with the version of another store.
    #[must_use]
    pub fn with_version(self, version: u64) -> Self {
        Self { version, ..self }
    }

    /// Returns true if the item was read from the table.
    #[must_use]
    pub fn is_stored(&self) -> bool {
        self.version != 0
    }

    /// Returns true if `holder` can take the lease at the time `now`, in seconds since 1970.
    #[must_use]
    pub fn can_take_lease(&self, holder: &str, now: u64) -> bool {
        self.lease.as_ref().is_none_or(|lease| lease.holder == holder || lease.until < now)
    }

    /// Returns true if the owner has a later event, or a Delete that is not earlier. Times are whole seconds,
    /// so a Delete of the same second wins.
    #[must_use]
    pub fn has_newer_event(&self, owner: &Owner, time: u64) -> bool {
        self.owners.get(owner).is_some_and(|last| *last > time)
            || self.ended.get(owner).is_some_and(|ended| *ended >= time)
    }

    /// Adds an owner and its newest copy.
    #[must_use]
    pub fn with_owner(mut self, record: CopyRecord) -> Self {
        self.owners.insert(record.owner.clone(), record.time);
        self.ended.remove(&record.owner);
        self.with_copy(record)
    }

    /// Records the digest that the tag named before its first owner.
    #[must_use]
    pub fn with_replaced(self, digest: Digest) -> Self {
        Self { replaced: Some(digest), ..self }
    }

    /// Gives the lease to `holder`.
    #[must_use]
    pub fn with_lease(mut self, holder: &str, until: u64) -> Self {
        self.lease = Some(Lease { holder: holder.to_owned(), until });
        self
    }

    /// Removes the lease.
    #[must_use]
    pub fn without_lease(mut self) -> Self {
        self.lease = None;
        self
    }

    /// Removes an owner and keeps the time of its Delete. Removing the last owner removes the copies.
    #[must_use]
    pub fn without_owner(self, owner: &Owner, time: u64) -> Self {
        let mut state = self.without_failed_owner(owner);
        let ended = state.ended.entry(owner.clone()).or_default();
        *ended = time.max(*ended);
        state
    }

    /// Removes an owner whose copy failed. Removing the last owner removes the copies.
    #[must_use]
    pub fn without_failed_owner(mut self, owner: &Owner) -> Self {
        self.owners.remove(owner);
        if self.owners.is_empty() {
            self.copies.clear();
            self.children.clear();
            self.replaced = None;
        }
        self
    }

    /// Returns true if the item is empty, so that it can be deleted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.owners.is_empty()
            && self.ended.is_empty()
            && self.seen.is_empty()
            && self.lease.is_none()
            && self.unknown.is_empty()
    }

    /// Removes Deletes that are older than any event. Called before each write.
    #[must_use]
    pub(crate) fn without_old_deletes(mut self, now: u64) -> Self {
        self.ended.retain(|_, time| time.saturating_add(ENDED_SECONDS) > now);
        self
    }

    /// Returns the expiry time in seconds since 1970. `None` if the tag has an owner.
    pub(crate) fn expires_at(&self, now: u64) -> Option<u64> {
        let seconds = if self.seen.is_empty() { ENDED_SECONDS } else { SEEN_SECONDS };
        self.owners.is_empty().then(|| now + seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state_table::copies::tests::{copy, owner, state};

    #[test]
    fn a_delete_of_the_same_second_wins_over_a_copy() {
        let state = state().with_owner(copy(5, "A", "a"));
        assert!(state.has_newer_event(&owner("A"), 4) && !state.has_newer_event(&owner("A"), 5));
        let state = state.without_owner(&owner("A"), 6);
        assert!(state.has_newer_event(&owner("A"), 6) && !state.has_newer_event(&owner("A"), 7));
        assert!(state.copies.is_empty() && state.owners.is_empty());
    }

    #[test]
    fn a_lease_is_available_to_its_holder_and_after_its_end() {
        let state = state().with_lease("me", 100);
        assert!(
            state.can_take_lease("me", 50)
                && !state.can_take_lease("other", 100)
                && state.can_take_lease("other", 101)
        );
    }

    #[test]
    fn an_item_without_owners_expires_and_loses_old_deletes() {
        let state = state().with_owner(copy(5, "A", "a"));
        assert_eq!(state.expires_at(10), None);
        let state = state.without_owner(&owner("A"), 10);
        assert_eq!(state.expires_at(10), Some(7210));
        let seen = state.clone().with_seen(&Digest::of(b"a"), 10);
        assert_eq!((seen.expires_at(10), seen.is_empty()), (Some(10 + 90 * 86400), false));
        assert!(state.clone().without_old_deletes(7209).ended.contains_key(&owner("A")));
        assert!(state.without_old_deletes(7210).ended.is_empty());
    }
}
