//! Waits until a digest is old enough, with an injected clock.

use std::sync::{Arc, Mutex};

use super::*;
use crate::event_state::StateUse;

const IMAGE: &str = "host/app:1";
const HOUR: u64 = 3600;

/// An item in memory with a clock.
#[derive(Clone, Default)]
struct FakeStore {
    item: Arc<Mutex<Option<TagState>>>,
    now: Arc<Mutex<u64>>,
    writes: Arc<Mutex<u64>>,
    /// Items that other events write before each write of the test.
    others: Arc<Mutex<Vec<TagState>>>,
    is_unreachable: bool,
}

impl Store for FakeStore {
    async fn read(&self, _: &str) -> Result<Option<TagState>, String> {
        if self.is_unreachable { Err("unreachable".into()) } else { Ok(self.item.lock().unwrap().clone()) }
    }

    async fn write(&self, state: &TagState) -> Result<WriteOutcome, String> {
        let mut item = self.item.lock().unwrap();
        if let Some(other) = self.others.lock().unwrap().pop() {
            *item = Some(other);
        }
        if item.as_ref().map_or(0, TagState::version) != state.version() {
            return Ok(WriteOutcome::Conflict(item.clone()));
        }
        let mut writes = self.writes.lock().unwrap();
        *writes += 1;
        let written = state.clone().with_version(*writes);
        *item = Some(written.clone());
        Ok(WriteOutcome::Written(written))
    }

    async fn delete(&self, _: &TagState) -> Result<WriteOutcome, String> {
        unreachable!("a judgement deletes nothing")
    }

    fn now(&self) -> u64 {
        *self.now.lock().unwrap()
    }

    /// The lease ends while the event waits.
    async fn wait_for_lease(&self) -> bool {
        let mut item = self.item.lock().unwrap();
        *item = item.take().map(TagState::without_lease);
        item.is_some()
    }

    async fn under_lease<T: Send>(&self, work: impl Future<Output = T> + Send) -> Option<T> {
        Some(work.await)
    }
}

impl FakeStore {
    /// Judges a digest at a time in hours, with a minimum age of 48 hours.
    async fn judge_at(&self, hours: u64, digest: &str, exists: bool) -> Result<Age, Failure> {
        *self.now.lock().unwrap() = hours * HOUR;
        let state = EventState::new(Some(self.clone()), "attempt".into());
        let request = AgeRequest {
            image: IMAGE,
            owner: &owner(),
            digest: &Digest::of(digest.as_bytes()),
            min_age: Duration::from_secs(48 * HOUR),
            exists,
        };
        judge(&request, state.read(IMAGE).await, &state).await
    }

    fn set(&self, item: TagState) {
        *self.item.lock().unwrap() = Some(item.with_version(77));
    }

    fn item(&self) -> TagState {
        self.item.lock().unwrap().clone().unwrap()
    }

    fn writes(&self) -> u64 {
        *self.writes.lock().unwrap()
    }
}

fn owner() -> Owner {
    Owner::named("refresh/nightly")
}

fn copied(owner: Owner, hours: u64, source: &str) -> TagState {
    let mut record = CopyRecord::new(hours * HOUR, owner, Digest::of(b"copy"));
    record.source_digest = Some(Digest::of(source.as_bytes()));
    TagState::new(IMAGE).with_owner(record)
}

fn waiting(first_seen: u64) -> Result<Age, Failure> {
    Ok(Age::Waiting(WaitTime { first_seen: first_seen * HOUR, until: (first_seen + 48) * HOUR }))
}

#[tokio::test]
async fn waits_until_the_digest_is_old_enough() {
    let store = FakeStore::default();
    assert_eq!(store.judge_at(100, "a", false).await, waiting(100));
    assert_eq!(store.judge_at(147, "a", false).await, waiting(100));
    assert_eq!(store.writes(), 1, "a known digest causes no write");
    assert_eq!(store.judge_at(148, "a", false).await, Ok(Age::Sufficient));
    assert_eq!(store.writes(), 1);
}

#[tokio::test]
async fn a_digest_that_moves_again_waits_again() {
    let store = FakeStore::default();
    assert_eq!(store.judge_at(100, "a", true).await, waiting(100));
    assert_eq!(store.judge_at(140, "b", true).await, waiting(140));
    assert_eq!(store.judge_at(150, "b", true).await, waiting(140));
    // The first digest returns.
    assert_eq!(store.judge_at(150, "a", true).await, Ok(Age::Sufficient));
}

#[tokio::test]
async fn the_newest_copy_of_the_owner_does_not_wait() {
    let store = FakeStore::default();
    store.set(copied(owner(), 100, "a"));
    assert_eq!(store.judge_at(101, "a", true).await, Ok(Age::Sufficient));
    assert_eq!(store.writes(), 0);
    assert_eq!(store.judge_at(101, "a", false).await, waiting(100), "the tag is missing in ECR");
    assert_eq!(store.judge_at(101, "b", true).await, waiting(101));
    // The copy of a deleted owner or of another owner.
    store.set(copied(owner(), 100, "a").without_owner(&owner(), 100 * HOUR));
    assert_eq!(store.judge_at(101, "a", true).await, waiting(101));
    store.set(copied(Owner::named("other"), 90, "a"));
    assert_eq!(store.judge_at(101, "a", true).await, waiting(90));
    // Later copies of the other owner do not restart the wait.
    let item = store.item().with_owner(copied(Owner::named("other"), 137, "a").copies.remove(0));
    store.set(item);
    assert_eq!(store.judge_at(137, "a", true).await, waiting(90));
    assert_eq!(store.judge_at(138, "a", true).await, Ok(Age::Sufficient));
}

#[tokio::test]
async fn keeps_the_item_of_other_events() {
    let store = FakeStore::default();
    let other = copied(Owner::named("other"), 90, "x");
    store.set(other.clone().with_lease("other attempt", 1000 * HOUR));
    assert_eq!(store.judge_at(100, "a", true).await, waiting(100));
    let expected = other.clone().with_seen(&Digest::of(b"a"), 100 * HOUR);
    assert_eq!(store.item().with_version(0), expected, "waited for the lease");

    let store = FakeStore::default();
    store.others.lock().unwrap().push(other.with_version(77));
    assert_eq!(store.judge_at(100, "a", true).await, waiting(100));
    assert_eq!(store.item().with_version(0), expected, "repeated the write after a conflict");
}

#[tokio::test]
async fn needs_the_state_table() {
    let store = FakeStore { is_unreachable: true, ..FakeStore::default() };
    let unknown = Failure::AgeUnknown { state: StateUse::Unavailable };
    assert_eq!(store.judge_at(100, "a", true).await, Err(unknown));
}
