//! Copies of a tag: reads, additions, and the number that is kept.

use image_copy::oci::Digest;

use super::copy_record::{CopyRecord, Owner};
use super::tag_state::TagState;

/// Number of copies that are kept for each tag, in addition to the newest of each owner.
const MAX_COPIES: usize = 20;

/// Maximum number of child manifests recorded for one index, so that an item with [`MAX_COPIES`] indexes
/// stays below DynamoDB's 400 KB.
const MAX_CHILDREN: usize = 150;

impl TagState {
    /// Returns the copies for an owner, newest first.
    pub fn copies_of<'a>(&'a self, owner: &'a Owner) -> impl Iterator<Item = &'a CopyRecord> {
        self.copies.iter().rev().filter(move |copy| copy.owner == *owner)
    }

    /// Returns the newest copy for an owner. `None` if it is no owner of the tag.
    #[must_use]
    pub fn current_copy(&self, owner: &Owner) -> Option<&CopyRecord> {
        let (owner, _) = self.owners.get_key_value(owner)?;
        self.copies_of(owner).next()
    }

    /// Returns the newest copy of another owner that excludes this copy: it has another digest, and one of the
    /// two is exclusive.
    #[must_use]
    pub fn conflict_with(&self, copy: &CopyRecord) -> Option<&CopyRecord> {
        let others = self.owners.keys().filter(|owner| **owner != copy.owner);
        others
            .filter_map(|owner| self.current_copy(owner))
            .find(|newest| newest.digest != copy.digest && (newest.is_exclusive || copy.is_exclusive))
    }

    /// Returns true if a copy with this digest is recorded.
    #[must_use]
    pub fn has_copy(&self, digest: &Digest) -> bool {
        self.copies.iter().any(|copy| copy.digest == *digest)
    }

    /// Returns digests of the copies of all owners, newest first, without duplicates.
    #[must_use]
    pub fn owned_digests(&self) -> Vec<Digest> {
        let mut digests: Vec<Digest> = Vec::new();
        for copy in self.copies.iter().rev().filter(|copy| self.owners.contains_key(&copy.owner)) {
            if !digests.contains(&copy.digest) {
                digests.push(copy.digest.clone());
            }
        }
        digests
    }

    /// Adds a copy as the newest, unless the newest of its owner is the same.
    #[must_use]
    pub fn with_copy(mut self, record: CopyRecord) -> Self {
        let newest = self.copies.iter_mut().rev().find(|copy| copy.owner == record.owner);
        match newest {
            Some(newest) if newest.is_same_copy(&record) => newest.time = record.time,
            _ => self.copies.push(record),
        }
        self.prune();
        self
    }

    /// Adds the child manifests of a copy that is an index.
    #[must_use]
    pub fn with_children(mut self, index: &Digest, children: &[Digest]) -> Self {
        if !children.is_empty() {
            self.children.insert(index.clone(), children.iter().take(MAX_CHILDREN).cloned().collect());
        }
        self
    }

    /// Adds a copy that is older than all others.
    #[must_use]
    pub fn with_earliest_copy(mut self, record: CopyRecord) -> Self {
        self.copies.insert(0, record);
        self
    }

    /// Keeps the newest copies and the newest of each owner.
    fn prune(&mut self) {
        let first_kept = self.copies.len().saturating_sub(MAX_COPIES);
        let keep: Vec<bool> = (0..self.copies.len())
            .map(|at| {
                let owner = &self.copies[at].owner;
                let is_newest = !self.copies[at + 1..].iter().any(|later| later.owner == *owner);
                at >= first_kept || (is_newest && self.owners.contains_key(owner))
            })
            .collect();
        let mut keep = keep.into_iter();
        self.copies.retain(|_| keep.next().unwrap_or(true));
        let copies = &self.copies;
        self.children.retain(|index, _| copies.iter().any(|copy| copy.digest == *index));
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::state_table) fn owner(name: &str) -> Owner {
        Owner::of_resource("arn:stack", name)
    }

    pub(in crate::state_table) fn copy(time: u64, name: &str, content: &str) -> CopyRecord {
        CopyRecord::new(time, owner(name), Digest::of(content.as_bytes()))
    }

    pub(in crate::state_table) fn state() -> TagState {
        TagState::new("host/app:1")
    }

    #[test]
    fn keeps_the_newest_copies_and_the_newest_of_each_owner() {
        let mut state = state().with_owner(copy(1, "Old", "old"));
        for time in 2..40 {
            state = state.with_owner(copy(time, "A", &time.to_string()));
        }
        assert_eq!(state.copies.len(), MAX_COPIES + 1);
        assert_eq!(state.copies[0], copy(1, "Old", "old"));
        assert_eq!(state.copies_of(&owner("A")).next(), Some(&copy(39, "A", "39")));
    }

    #[test]
    fn an_identical_copy_only_changes_its_time() {
        let state = state().with_owner(copy(1, "A", "a")).with_owner(copy(2, "A", "a"));
        assert_eq!(state.copies, [copy(2, "A", "a")]);
        assert_eq!(state.owners[&owner("A")], 2);
    }
}
