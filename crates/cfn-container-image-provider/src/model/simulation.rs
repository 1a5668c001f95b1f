//! One tag in memory: the table and the repository, whose calls are steps.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;

use image_copy::oci::Digest;
use image_copy::registry::Error;
use image_copy_aws::{CopyRecord, Owner, TagState, WriteOutcome};

use crate::copy::lifecycle::{CopySteps, PreparedCopy, PublishResult};
use crate::delete::lifecycle::{DeletionPlan, ImageRepository, TaggedImage};
use crate::event_state::{EventState, Store};
use crate::failure::Failure;

pub(super) const IMAGE: &str = "host/app:1";
/// Seconds since 1970 at the beginning of each schedule.
pub(super) const START: u64 = 1_000_000;

/// Variants of the code that schedules play.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProtocolVariant {
    /// The code as it is.
    Actual,
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
pub(super) struct Simulation {
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

pub(super) type SharedSimulation = Arc<Mutex<Simulation>>;

pub(super) fn lock(simulation: &SharedSimulation) -> MutexGuard<'_, Simulation> {
    simulation.lock().unwrap()
}

/// Lets others go first, once.
async fn yield_once() {
    let mut has_waited = false;
    std::future::poll_fn(|_| {
        if std::mem::replace(&mut has_waited, true) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// The table, one call a step.
pub(super) struct SimulatedStore {
    pub(super) simulation: SharedSimulation,
    pub(super) variant: ProtocolVariant,
    pub(super) is_unreachable: bool,
}

impl SimulatedStore {
    /// The item as a reader sees it, with leases of crashed holders over.
    fn without_crashed_lease(&self, item: Option<TagState>) -> Option<TagState> {
        let crashed = &lock(&self.simulation).crashed;
        item.map(|mut item| {
            let is_over =
                |holder: &String| self.variant == ProtocolVariant::NoLease || crashed.contains(holder);
            if item.lease.as_ref().is_some_and(|lease| is_over(&lease.holder)) {
                item.lease = None;
            }
            item
        })
    }

    fn check_reachable(&self) -> Result<(), String> {
        if self.is_unreachable { Err("unreachable".into()) } else { Ok(()) }
    }

    /// Changes the item if it is still as `seen`.
    fn compare_and_swap(&self, seen: &TagState, next: Option<TagState>) -> WriteOutcome {
        let mut simulation = lock(&self.simulation);
        let is_same = simulation.item.as_ref().map_or(0, TagState::version) == seen.version();
        if !is_same {
            let found = simulation.item.clone();
            drop(simulation);
            return WriteOutcome::Conflict(self.without_crashed_lease(found));
        }
        simulation.writes += 1;
        let version = simulation.writes;
        simulation.item = next.map(|next| next.with_version(version));
        WriteOutcome::Written(simulation.item.clone().unwrap_or_else(|| TagState::new(IMAGE)))
    }
}

impl Store for SimulatedStore {
    async fn read(&self, image: &str) -> Result<Option<TagState>, String> {
        yield_once().await;
        self.check_reachable()?;
        let item = lock(&self.simulation).item.clone().filter(|item| item.image == image);
        Ok(self.without_crashed_lease(item))
    }

    async fn write(&self, state: &TagState) -> Result<WriteOutcome, String> {
        yield_once().await;
        self.check_reachable()?;
        Ok(self.compare_and_swap(state, Some(state.clone())))
    }

    async fn delete(&self, state: &TagState) -> Result<WriteOutcome, String> {
        yield_once().await;
        self.check_reachable()?;
        Ok(self.compare_and_swap(state, None))
    }

    fn now(&self) -> u64 {
        START
    }

    async fn wait_for_lease(&self) -> bool {
        yield_once().await;
        true
    }

    async fn under_lease<T: Send>(&self, work: impl Future<Output = T> + Send) -> Option<T> {
        Some(work.await)
    }
}

/// The repository, one call a step.
pub(super) struct SimulatedRepository {
    pub(super) simulation: SharedSimulation,
    pub(super) variant: ProtocolVariant,
    pub(super) owner: Owner,
    pub(super) time: u64,
    pub(super) digest: Digest,
    /// True if ECR refuses to write the tag.
    pub(super) fails: bool,
    pub(super) is_stateless: bool,
}

pub(super) struct SimulatedPlan {
    root_held: bool,
    tag_names: Option<Digest>,
}

impl CopySteps for SimulatedRepository {
    type Plan = SimulatedPlan;
    type Outcome = ();

    async fn prepare<S: Store>(&self, state: &EventState<S>) -> Result<PreparedCopy<SimulatedPlan>, Failure> {
        yield_once().await;
        // The item and the repository are read at the same time, in any order.
        let survey = async {
            yield_once().await;
            let simulation = lock(&self.simulation);
            SimulatedPlan {
                root_held: simulation.images.contains(&self.digest),
                tag_names: simulation.tag.clone(),
            }
        };
        let (seen, plan) = futures_util::join!(state.read(IMAGE), survey);
        yield_once().await;
        Ok(PreparedCopy {
            image: IMAGE.into(),
            seen,
            is_unchanged: plan.root_held && plan.tag_names.as_ref() == Some(&self.digest),
            plan,
            record: CopyRecord::new(self.time, self.owner.clone(), self.digest.clone()),
            children: Vec::new(),
            earlier: Vec::new(),
        })
    }

    async fn tag_digest(&self, plan: &SimulatedPlan) -> Result<Option<Digest>, Failure> {
        yield_once().await;
        match self.variant {
            ProtocolVariant::EarlyRead => Ok(plan.tag_names.clone()),
            _ => Ok(lock(&self.simulation).tag.clone()),
        }
    }

    async fn publish(
        &self,
        plan: &SimulatedPlan,
        named: Option<Digest>,
    ) -> Result<PublishResult<()>, Failure> {
        yield_once().await;
        if named.as_ref() == Some(&self.digest) {
            return Ok(PublishResult::Published(()));
        }
        if self.fails {
            return Err(injected_failure());
        }
        let mut simulation = lock(&self.simulation);
        // Existing content is not uploaded, and can have been deleted since.
        if plan.root_held && !simulation.images.contains(&self.digest) {
            return Ok(PublishResult::Replan(injected_failure()));
        }
        simulation.images.insert(self.digest.clone());
        simulation.tag = Some(self.digest.clone());
        if self.is_stateless {
            simulation.stateless.insert(self.digest.clone());
        }
        Ok(PublishResult::Published(()))
    }
}

impl ImageRepository for SimulatedRepository {
    async fn tagged_image(&self) -> Result<Option<TaggedImage>, Error> {
        yield_once().await;
        let tag = lock(&self.simulation).tag.clone();
        Ok(tag.map(|digest| TaggedImage { digest, children: Vec::new() }))
    }

    async fn set_tag(&self, _: Option<&Digest>, images: &[Digest]) -> Result<bool, Error> {
        yield_once().await;
        let mut simulation = lock(&self.simulation);
        let held = images.iter().find(|digest| simulation.images.contains(digest)).cloned();
        let is_set = held.is_some();
        simulation.tag = held.or_else(|| simulation.tag.take());
        Ok(is_set)
    }

    async fn delete_images(&self, plan: &DeletionPlan) -> Result<bool, Error> {
        if plan.tagged.is_some() {
            yield_once().await;
            let mut simulation = lock(&self.simulation);
            if let Some(digest) = simulation.tag.take() {
                simulation.images.remove(&digest);
            }
        }
        for digest in &plan.copies {
            yield_once().await;
            let mut simulation = lock(&self.simulation);
            if simulation.tag.as_ref() != Some(digest) {
                simulation.images.remove(digest);
            }
        }
        Ok(true)
    }

    fn image_by_digest(&self, digest: &Digest) -> String {
        format!("host/app@{digest}")
    }
}

pub(super) fn injected_failure() -> Failure {
    Failure::Setting("injected".into())
}
