//! One tag in memory: simulations of the state table and the repository. Each call is one step.

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
/// Start of each schedule, in seconds since 1970.
pub(super) const START: u64 = 1_000_000;

/// Variants of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProtocolVariant {
    /// The real protocol.
    Actual,
    /// The table is lost at a random step.
    TableLost,
    /// Some events cannot reach the table.
    TableUnreachable,
    /// Leases have no effect. The model must find a violation.
    NoLease,
    /// The tag is read during planning, before the lease is held. The model must find a violation.
    EarlyRead,
    /// Events that wait for a minimum age ignore leases. The model must find a violation.
    WaitWithoutLease,
}

#[derive(Default)]
pub(super) struct Simulation {
    pub(super) item: Option<TagState>,
    writes: u64,
    pub(super) tag: Option<Digest>,
    /// Images in the repository, tagged or not.
    pub(super) images: BTreeSet<Digest>,
    /// Attempts that crashed. Their leases have expired.
    pub(super) crashed: BTreeSet<String>,
    /// Digests that events wrote without state.
    pub(super) stateless: BTreeSet<Digest>,
}

pub(super) type SharedSimulation = Arc<Mutex<Simulation>>;

pub(super) fn lock(simulation: &SharedSimulation) -> MutexGuard<'_, Simulation> {
    simulation.lock().unwrap()
}

/// Lets the scheduler choose the next step.
async fn yield_once() {
    let mut has_waited = false;
    std::future::poll_fn(|_| {
        if std::mem::replace(&mut has_waited, true) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// The state table. Each call is one step.
pub(super) struct SimulatedStore {
    pub(super) simulation: SharedSimulation,
    pub(super) variant: ProtocolVariant,
    pub(super) is_unreachable: bool,
}

impl SimulatedStore {
    /// Returns the item without the lease of a crashed attempt.
    fn without_crashed_lease(&self, item: Option<TagState>) -> Option<TagState> {
        let crashed = &lock(&self.simulation).crashed;
        item.map(|mut item| {
            let has_expired =
                |holder: &String| self.variant == ProtocolVariant::NoLease || crashed.contains(holder);
            if item.lease.as_ref().is_some_and(|lease| has_expired(&lease.holder)) {
                item.lease = None;
            }
            item
        })
    }

    fn check_reachable(&self) -> Result<(), String> {
        if self.is_unreachable { Err("unreachable".into()) } else { Ok(()) }
    }

    /// Changes the item if its version is that of `expected`.
    fn compare_and_swap(&self, expected: &TagState, next: Option<TagState>) -> WriteOutcome {
        let mut simulation = lock(&self.simulation);
        let is_same = simulation.item.as_ref().map_or(0, TagState::version) == expected.version();
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

/// The repository. Each call is one step.
pub(super) struct SimulatedRepository {
    pub(super) simulation: SharedSimulation,
    pub(super) variant: ProtocolVariant,
    pub(super) owner: Owner,
    pub(super) time: u64,
    pub(super) digest: Digest,
    /// True if ECR rejects the tag.
    pub(super) fails: bool,
    pub(super) is_stateless: bool,
}

pub(super) struct SimulatedPlan {
    has_root: bool,
    tag_digest: Option<Digest>,
}

impl CopySteps for SimulatedRepository {
    type Plan = SimulatedPlan;
    type Outcome = ();

    async fn prepare<S: Store>(&self, state: &EventState<S>) -> Result<PreparedCopy<SimulatedPlan>, Failure> {
        yield_once().await;
        // The item and the repository are read concurrently, in any order.
        let read_images = async {
            yield_once().await;
            let simulation = lock(&self.simulation);
            SimulatedPlan {
                has_root: simulation.images.contains(&self.digest),
                tag_digest: simulation.tag.clone(),
            }
        };
        let (stored_item, plan) = futures_util::join!(state.read(IMAGE), read_images);
        yield_once().await;
        Ok(PreparedCopy {
            image: IMAGE.into(),
            stored_item,
            is_unchanged: plan.has_root && plan.tag_digest.as_ref() == Some(&self.digest),
            plan,
            record: CopyRecord::new(self.time, self.owner.clone(), self.digest.clone()),
            children: Vec::new(),
            earlier: Vec::new(),
        })
    }

    async fn tag_digest(&self, plan: &SimulatedPlan) -> Result<Option<Digest>, Failure> {
        yield_once().await;
        match self.variant {
            ProtocolVariant::EarlyRead => Ok(plan.tag_digest.clone()),
            _ => Ok(lock(&self.simulation).tag.clone()),
        }
    }

    async fn publish(
        &self,
        plan: &SimulatedPlan,
        tag_digest: Option<Digest>,
    ) -> Result<PublishResult<()>, Failure> {
        yield_once().await;
        if tag_digest.as_ref() == Some(&self.digest) {
            return Ok(PublishResult::Published(()));
        }
        if self.fails {
            return Err(injected_failure());
        }
        let mut simulation = lock(&self.simulation);
        // Existing content is not uploaded, and can be deleted later.
        if plan.has_root && !simulation.images.contains(&self.digest) {
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
        let existing = images.iter().find(|digest| simulation.images.contains(digest)).cloned();
        let is_set = existing.is_some();
        simulation.tag = existing.or_else(|| simulation.tag.take());
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
