//! Times at which digests of the source were first seen under a tag.

use std::collections::BTreeMap;

use image_copy::oci::Digest;

use super::tag_state::TagState;

/// Number of digests that are kept for each tag. A tag that moves every day has two or three that are
/// younger than a usual minimum age.
const MAX_DIGESTS: usize = 10;

/// Times at which digests of the source were first seen, in seconds since 1970.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeenDigests(BTreeMap<Digest, u64>);

impl SeenDigests {
    /// Returns the time at which a digest was first seen.
    #[must_use]
    pub fn get(&self, digest: &Digest) -> Option<u64> {
        self.0.get(digest).copied()
    }

    /// Returns true if no digest was seen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Digest, u64)> {
        self.0.iter().map(|(digest, time)| (digest, *time))
    }
}

impl FromIterator<(Digest, u64)> for SeenDigests {
    /// Keeps the digests that were seen last.
    fn from_iter<I: IntoIterator<Item = (Digest, u64)>>(digests: I) -> Self {
        let mut digests: Vec<(Digest, u64)> = digests.into_iter().collect();
        digests.sort_by_key(|(_, time)| std::cmp::Reverse(*time));
        digests.truncate(MAX_DIGESTS);
        Self(digests.into_iter().collect())
    }
}

impl TagState {
    /// Returns the earliest time at which the source is known to have had a digest, in seconds since 1970. A
    /// copy from this digest proves it too.
    #[must_use]
    pub fn first_seen(&self, digest: &Digest) -> Option<u64> {
        let copies = self.copies.iter().filter(|copy| copy.source_digest.as_ref() == Some(digest));
        copies.map(|copy| copy.time).chain(self.seen.get(digest)).min()
    }

    /// Records the time at which a digest was first seen.
    #[must_use]
    pub fn with_seen(mut self, digest: &Digest, time: u64) -> Self {
        let added = std::iter::once((digest.clone(), time));
        self.seen = self.seen.0.into_iter().chain(added).collect();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::super::copy_record::{CopyRecord, Owner};
    use super::*;

    fn digest(number: u64) -> Digest {
        Digest::of(number.to_string().as_bytes())
    }

    #[test]
    fn keeps_the_digests_that_were_seen_last() {
        let mut state = TagState::new("host/app:1");
        for number in 0..30 {
            state = state.with_seen(&digest(number), 100 + number);
        }
        assert_eq!(state.seen.iter().count(), MAX_DIGESTS);
        assert_eq!((state.first_seen(&digest(19)), state.first_seen(&digest(20))), (None, Some(120)));
        assert_eq!(state.first_seen(&digest(29)), Some(129));
    }

    #[test]
    fn a_copy_proves_that_the_digest_was_seen() {
        let copied = |time| CopyRecord {
            source_digest: Some(digest(1)),
            ..CopyRecord::new(time, Owner::named("nightly"), digest(2))
        };
        let state = TagState::new("host/app:1").with_owner(copied(50));
        assert_eq!((state.first_seen(&digest(1)), state.first_seen(&digest(2))), (Some(50), None));
        let state = state.with_seen(&digest(1), 50).with_owner(copied(90));
        assert_eq!(state.first_seen(&digest(1)), Some(50));
    }
}
