//! One tag in memory: the table and the repository, whose calls are steps.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;

use image_copy::oci::Digest;
use image_copy::registry::Error;
use image_copy_aws::{CopyRecord, Owner, TagState, WriteOutcome};

use crate::copy::lifecycle::{Copier, Prepared, Published};
use crate::delete::lifecycle::{Images, Named, Removal};
use crate::event_state::{EventState, Store};
use crate::failure::Failure;

pub(super) const IMAGE: &str = "host/app:1";
/// Seconds since 1970 at the beginning of each schedule.
pub(super) const START: u64 = 1_000_000;

/// Variants of the code that schedules play.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Variant {
    /// The code as it is.
    AsItIs,
    /// The table is lost at some moment.
    TableLost,
    /// Some events cannot reach the table.
    TableUnreachable,
    /// Nobody respects a lease. Must find a violation.
    NoLease,
    /// The tag is read when the copy is planned, before the lease is held. Must find a violation.
    EarlyRead,
}

#[derive(Default)]
pub(super) struct World {
    pub(super) item: Option<TagState>,
    writes: u64,
    pub(super) tag: Option<Digest>,
    /// Images in the repository, tagged or not.
    pub(super) images: BTreeSet<Digest>,
    /// Attempts that crashed. Their leases are over.
    pub(super) crashed: BTreeSet<String>,
    /// Digests that events wrote without state.
    pub(super) stateless: BTreeSet<Digest>,
}

pub(super) type Shared = Arc<Mutex<World>>;

pub(super) fn lock(world: &Shared) -> MutexGuard<'_, World> {
    world.lock().unwrap()
}

/// Lets others go first, once.
async fn step() {
    let mut has_waited = false;
    std::future::poll_fn(|_| {
        if std::mem::replace(&mut has_waited, true) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// The table, one call a step.
pub(super) struct SteppedStore {
    pub(super) world: Shared,
    pub(super) variant: Variant,
    pub(super) is_unreachable: bool,
}

impl SteppedStore {
    /// The item as a reader sees it, with leases of crashed holders over.
    fn seen(&self, item: Option<TagState>) -> Option<TagState> {
        let crashed = &lock(&self.world).crashed;
        item.map(|mut item| {
            let is_over = |holder: &String| self.variant == Variant::NoLease || crashed.contains(holder);
            if item.lease.as_ref().is_some_and(|lease| is_over(&lease.holder)) {
                item.lease = None;
            }
            item
        })
    }

    fn is_reachable(&self) -> Result<(), String> {
        if self.is_unreachable { Err("unreachable".into()) } else { Ok(()) }
    }

    /// Changes the item if it is still as `seen`.
    fn swap(&self, seen: &TagState, next: Option<TagState>) -> WriteOutcome {
        let mut world = lock(&self.world);
        let is_same = world.item.as_ref().map_or(0, TagState::version) == seen.version();
        if !is_same {
            let found = world.item.clone();
            drop(world);
            return WriteOutcome::Conflict(self.seen(found));
        }
        world.writes += 1;
        let version = world.writes;
        world.item = next.map(|next| next.with_version(version));
        WriteOutcome::Written(world.item.clone().unwrap_or_else(|| TagState::new(IMAGE)))
    }
}

impl Store for SteppedStore {
    async fn read(&self, image: &str) -> Result<Option<TagState>, String> {
        step().await;
        self.is_reachable()?;
        let item = lock(&self.world).item.clone().filter(|item| item.image == image);
        Ok(self.seen(item))
    }

    async fn write(&self, state: &TagState) -> Result<WriteOutcome, String> {
        step().await;
        self.is_reachable()?;
        Ok(self.swap(state, Some(state.clone())))
    }

    async fn delete(&self, state: &TagState) -> Result<WriteOutcome, String> {
        step().await;
        self.is_reachable()?;
        Ok(self.swap(state, None))
    }

    fn now(&self) -> u64 {
        START
    }

    async fn wait(&self) -> bool {
        step().await;
        true
    }

    async fn under_lease<T: Send>(&self, work: impl Future<Output = T> + Send) -> Option<T> {
        Some(work.await)
    }
}

/// The repository, one call a step.
pub(super) struct SteppedRepository {
    pub(super) world: Shared,
    pub(super) variant: Variant,
    pub(super) owner: Owner,
    pub(super) time: u64,
    pub(super) digest: Digest,
    /// True if ECR refuses to write the tag.
    pub(super) fails: bool,
    pub(super) is_stateless: bool,
}

pub(super) struct SteppedPlan {
    root_held: bool,
    tag_names: Option<Digest>,
}

impl Copier for SteppedRepository {
    type Plan = SteppedPlan;
    type Outcome = ();

    async fn prepare<S: Store>(&self, state: &EventState<S>) -> Result<Prepared<SteppedPlan>, Failure> {
        step().await;
        // The item and the repository are read at the same time, in any order.
        let survey = async {
            step().await;
            let world = lock(&self.world);
            SteppedPlan { root_held: world.images.contains(&self.digest), tag_names: world.tag.clone() }
        };
        let (seen, plan) = futures_util::join!(state.read(IMAGE), survey);
        step().await;
        Ok(Prepared {
            image: IMAGE.into(),
            seen,
            is_unchanged: plan.root_held && plan.tag_names.as_ref() == Some(&self.digest),
            plan,
            record: CopyRecord::new(self.time, self.owner.clone(), self.digest.clone()),
            children: Vec::new(),
            earlier: Vec::new(),
        })
    }

    async fn named(&self, plan: &SteppedPlan) -> Result<Option<Digest>, Failure> {
        step().await;
        match self.variant {
            Variant::EarlyRead => Ok(plan.tag_names.clone()),
            _ => Ok(lock(&self.world).tag.clone()),
        }
    }

    async fn publish(&self, plan: &SteppedPlan, named: Option<Digest>) -> Result<Published<()>, Failure> {
        step().await;
        if named.as_ref() == Some(&self.digest) {
            return Ok(Published::Done(()));
        }
        if self.fails {
            return Err(injected());
        }
        let mut world = lock(&self.world);
        // Existing content is not uploaded, and can have been deleted since.
        if plan.root_held && !world.images.contains(&self.digest) {
            return Ok(Published::Again(injected()));
        }
        world.images.insert(self.digest.clone());
        world.tag = Some(self.digest.clone());
        if self.is_stateless {
            world.stateless.insert(self.digest.clone());
        }
        Ok(Published::Done(()))
    }
}

impl Images for SteppedRepository {
    async fn named(&self) -> Result<Option<Named>, Error> {
        step().await;
        let tag = lock(&self.world).tag.clone();
        Ok(tag.map(|digest| Named { digest, children: Vec::new() }))
    }

    async fn set_tag(&self, _: Option<&Digest>, images: &[Digest]) -> Result<bool, Error> {
        step().await;
        let mut world = lock(&self.world);
        let held = images.iter().find(|digest| world.images.contains(digest)).cloned();
        let is_set = held.is_some();
        world.tag = held.or_else(|| world.tag.take());
        Ok(is_set)
    }

    async fn remove(&self, removal: &Removal) -> Result<bool, Error> {
        if removal.tagged.is_some() {
            step().await;
            let mut world = lock(&self.world);
            if let Some(digest) = world.tag.take() {
                world.images.remove(&digest);
            }
        }
        for digest in &removal.copies {
            step().await;
            let mut world = lock(&self.world);
            if world.tag.as_ref() != Some(digest) {
                world.images.remove(digest);
            }
        }
        Ok(true)
    }

    fn image_by_digest(&self, digest: &Digest) -> String {
        format!("host/app@{digest}")
    }
}

pub(super) fn injected() -> Failure {
    Failure::Setting("injected".into())
}
