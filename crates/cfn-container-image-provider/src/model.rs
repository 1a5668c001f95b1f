//! A model test of the state table's protocol (docs/state.md): the life cycles of copies and Deletes, as
//! they are, over one tag in memory. Every call is a step, and a random order of steps interleaves the
//! events of up to three resources, which also crash between any two steps and are repeated.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::task::{Context, Poll, Waker};

use fastrand::Rng;
use image_copy::oci::Digest;
use image_copy::registry::Error;
use image_copy_aws::{CopyRecord, Owner, TagState, Written};

use crate::copy::life_cycle::{self as copying, Copier, CopyEvent, Prepared, Published};
use crate::delete::life_cycle::{self as deleting, DeleteEvent, Ending, Images, Named, Removal};
use crate::failure::Failure;
use crate::state::{EventState, Store};

const IMAGE: &str = "host/app:1";
/// Seconds since 1970 at the beginning of each schedule.
const START: u64 = 1_000_000;

/// What is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Variant {
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
struct World {
    item: Option<TagState>,
    writes: u64,
    tag: Option<Digest>,
    /// Images in the repository, tagged or not.
    images: BTreeSet<Digest>,
    /// Attempts that crashed. Their leases are over.
    crashed: BTreeSet<String>,
    /// Digests that events wrote without state.
    stateless: BTreeSet<Digest>,
}

type Shared = Arc<Mutex<World>>;

fn lock(world: &Shared) -> MutexGuard<'_, World> {
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
struct SteppedStore {
    world: Shared,
    variant: Variant,
    is_unreachable: bool,
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
    fn swap(&self, seen: &TagState, next: Option<TagState>) -> Written {
        let mut world = lock(&self.world);
        let is_same = world.item.as_ref().map_or(0, TagState::version) == seen.version();
        if !is_same {
            let found = world.item.clone();
            drop(world);
            return Written::Conflict(self.seen(found));
        }
        world.writes += 1;
        let version = world.writes;
        world.item = next.map(|next| next.with_version(version));
        Written::Done(world.item.clone().unwrap_or_else(|| TagState::new(IMAGE)))
    }
}

impl Store for SteppedStore {
    async fn read(&self, image: &str) -> Result<Option<TagState>, String> {
        step().await;
        self.is_reachable()?;
        let item = lock(&self.world).item.clone().filter(|item| item.image == image);
        Ok(self.seen(item))
    }

    async fn write(&self, state: &TagState) -> Result<Written, String> {
        step().await;
        self.is_reachable()?;
        Ok(self.swap(state, Some(state.clone())))
    }

    async fn delete(&self, state: &TagState) -> Result<Written, String> {
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
struct SteppedRepository {
    world: Shared,
    variant: Variant,
    owner: Owner,
    time: u64,
    digest: Digest,
    /// Whether ECR refuses to write the tag.
    fails: bool,
    is_stateless: bool,
}

struct SteppedPlan {
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
        // What was there is not uploaded, and somebody may have deleted it since.
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

fn injected() -> Failure {
    Failure::Setting("injected".into())
}

/// One event of one resource.
#[derive(Debug, Clone)]
struct Event {
    owner: Owner,
    time: u64,
    kind: Kind,
    is_unreachable: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Create { digest: Digest, fails: bool },
    Update { digest: Digest },
    Delete,
}

type Running = Pin<Box<dyn Future<Output = Result<(), Failure>>>>;

/// Carries out an event as the handler does.
async fn carry_out(event: Event, world: Shared, variant: Variant, holder: String) -> Result<(), Failure> {
    let Event { owner, time, kind, is_unreachable } = event;
    let store = || SteppedStore { world: world.clone(), variant, is_unreachable };
    let state = EventState::new(Some(store()), holder);
    let (digest, fails) = match &kind {
        Kind::Create { digest, fails } => (digest.clone(), *fails),
        Kind::Update { digest } => (digest.clone(), false),
        Kind::Delete => (Digest::of(b""), false),
    };
    let repository = SteppedRepository {
        world: world.clone(),
        variant,
        owner: owner.clone(),
        time,
        fails,
        is_stateless: is_unreachable,
        digest: digest.clone(),
    };
    let delete =
        |ending| DeleteEvent { image: IMAGE.into(), owner: owner.clone(), time, delete_images: true, ending };
    if kind == Kind::Delete {
        deleting::run(&delete(Ending::Deleted), &state, &repository).await?;
        return Ok(());
    }
    let registered = OnceLock::new();
    let unrecorded = match kind {
        Kind::Update { .. } => Some(CopyRecord::new(0, owner.clone(), Digest::of(b""))),
        _ => None,
    };
    let copy = CopyEvent { owner: owner.clone(), time, unrecorded };
    match copying::run(&copy, &state, &repository, &registered).await {
        Ok(()) => Ok(()),
        Err(Failure::Superseded) => Ok(()),
        Err(failure) => {
            if registered.get().is_some() && matches!(kind, Kind::Create { .. }) {
                deleting::run(&delete(Ending::Withdrawn), &state, &repository).await?;
            }
            if failure == injected() && fails { Ok(()) } else { Err(failure) }
        }
    }
}

/// The events of each resource, in their order.
struct Scripts {
    scripts: Vec<Vec<Event>>,
    deleted: BTreeSet<Owner>,
}

fn scripts(rng: &mut Rng, variant: Variant) -> Scripts {
    let names = &["A", "B", "C"][..[1, 2, 2, 3][rng.usize(..4)]];
    let mut all = Scripts { scripts: Vec::new(), deleted: BTreeSet::new() };
    for name in names {
        let owner = Owner::of_resource("stack", name);
        let mut events = Vec::new();
        let copies = [1, 2, 3][rng.usize(..3)];
        let mut fails = false;
        for number in 0..copies {
            let time = START + number as u64 + 1;
            let digest = match rng.usize(..3) {
                0 => Digest::of(b"first"),
                1 => Digest::of(b"second"),
                _ => Digest::of(format!("{name}{number}").as_bytes()),
            };
            fails = number == 0 && rng.u8(..100) < 6;
            let kind = match number {
                0 => Kind::Create { digest, fails },
                _ => Kind::Update { digest },
            };
            let is_unreachable = variant == Variant::TableUnreachable && rng.u8(..100) < 15;
            events.push(Event { owner: owner.clone(), time, kind, is_unreachable });
            if fails {
                break;
            }
        }
        // CloudFormation deletes what failed to be created.
        if fails || rng.u8(..100) < 60 {
            let time = events.last().map_or(START, |last| last.time + 1);
            let is_unreachable = variant == Variant::TableUnreachable && rng.u8(..100) < 15;
            let delete = Event { owner: owner.clone(), time, kind: Kind::Delete, is_unreachable };
            all.deleted.insert(owner);
            if rng.u8(..100) < 40 && !fails {
                // A cancelled event: CloudFormation sends the Delete while the copy still runs.
                all.scripts.push(vec![delete]);
            } else {
                events.push(delete);
            }
        }
        all.scripts.push(events);
    }
    all
}

/// Plays one random schedule. Returns what is wrong in the end.
fn play(seed: u64, variant: Variant) -> Result<(), String> {
    let mut rng = Rng::with_seed(seed);
    let world = Shared::default();
    let old = Digest::of(b"old");
    let was_there_before = rng.u8(..100) < 30;
    if was_there_before {
        lock(&world).images.insert(old.clone());
        lock(&world).tag = Some(old.clone());
    }
    let Scripts { scripts: mut queues, deleted } = scripts(&mut rng, variant);
    let mut running: BTreeMap<usize, (Running, Event, String)> = BTreeMap::new();
    let mut context = Context::from_waker(Waker::noop());
    let (mut attempt, mut steps) = (0, 0);
    let mut has_table = true;
    let lost_at = rng.usize(10..60);
    loop {
        let active: Vec<usize> =
            (0..queues.len()).filter(|at| running.contains_key(at) || !queues[*at].is_empty()).collect();
        if active.is_empty() {
            break;
        }
        steps += 1;
        if steps > 20_000 {
            return Err("the events never end".into());
        }
        // A table is lost or restored in minutes, and leases are held for seconds.
        if has_table && variant == Variant::TableLost && steps >= lost_at {
            let mut world = lock(&world);
            if world.item.as_ref().is_none_or(|item| item.lease.is_none()) {
                world.item = None;
                has_table = false;
            }
        }
        let at = active[rng.usize(..active.len())];
        let (future, event, holder) = running.entry(at).or_insert_with(|| {
            attempt += 1;
            let (event, holder) = (queues[at].remove(0), format!("attempt {attempt}"));
            let work = carry_out(event.clone(), world.clone(), variant, holder.clone());
            (Box::pin(work), event, holder)
        });
        // Lambda or CloudFormation repeats an event whose invocation crashed.
        if rng.u8(..100) < 3 {
            lock(&world).crashed.insert(holder.clone());
            queues[at].insert(0, event.clone());
            running.remove(&at);
            continue;
        }
        if let Poll::Ready(result) = future.as_mut().poll(&mut context) {
            let (event, failed) = (event.clone(), result.err());
            running.remove(&at);
            if let Some(failure) = failed {
                return Err(format!("{event:?} failed: {failure:?}"));
            }
        }
    }
    let world = lock(&world);
    judge(&world, &deleted, was_there_before.then_some(&old), variant)
}

/// Judges the end of a schedule.
fn judge(
    world: &World,
    deleted: &BTreeSet<Owner>,
    old: Option<&Digest>,
    variant: Variant,
) -> Result<(), String> {
    let World { item, tag, images, stateless, .. } = world;
    let end = || format!("tag {tag:?}, images {images:?}, item {item:#?}");
    if let Some(digest) = tag.as_ref().filter(|digest| !images.contains(digest)) {
        return Err(format!("the tag names {digest}, which is gone: {}", end()));
    }
    let owners: BTreeSet<&Owner> = item.iter().flat_map(|item| item.owners.keys()).collect();
    let has_lost_state = matches!(variant, Variant::TableLost | Variant::TableUnreachable);
    if !has_lost_state && owners.iter().any(|owner| deleted.contains(*owner)) {
        return Err(format!("a deleted owner is left: {}", end()));
    }
    if item
        .as_ref()
        .is_some_and(|item| item.lease.as_ref().is_some_and(|l| !world.crashed.contains(&l.holder)))
    {
        return Err(format!("a lease is left: {}", end()));
    }
    if !owners.is_empty() {
        let Some(tag) = tag else { return Err(format!("an owner's image is lost: {}", end())) };
        let is_owned = item.iter().any(|item| item.owned_digests().contains(tag));
        // An event without state may have written the tag.
        if !is_owned && !stateless.contains(tag) && !has_lost_state {
            return Err(format!("the tag names no owner's copy: {}", end()));
        }
        return Ok(());
    }
    if has_lost_state {
        return Ok(());
    }
    match (old, tag) {
        (None, Some(_)) => Err(format!("a tag is left over: {}", end())),
        (Some(old), tag) if tag.as_ref() != Some(old) => Err(format!("the old tag is not back: {}", end())),
        _ if images.iter().any(|digest| Some(digest) != old) => {
            Err(format!("an image is left over: {}", end()))
        }
        _ => Ok(()),
    }
}

/// Plays schedules on two threads, until one violates the protocol.
fn first_violation(schedules: usize, variant: Variant) -> Option<String> {
    let next = AtomicUsize::new(0);
    let found = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while found.lock().unwrap().is_none() {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= schedules {
                        return;
                    }
                    if let Err(violation) = play(seed as u64, variant) {
                        *found.lock().unwrap() = Some(format!("schedule {seed}: {violation}"));
                    }
                }
            });
        }
    });
    found.into_inner().unwrap()
}

#[test]
fn no_schedule_loses_or_leaks_an_image() {
    assert_eq!(first_violation(100_000, Variant::AsItIs), None);
}

#[test]
fn a_lost_or_unreachable_table_loses_no_image_of_a_known_owner() {
    assert_eq!(first_violation(10_000, Variant::TableLost), None);
    assert_eq!(first_violation(10_000, Variant::TableUnreachable), None);
}

#[test]
fn without_the_lease_the_model_finds_a_violation() {
    assert!(first_violation(100_000, Variant::NoLease).is_some());
}

#[test]
fn reading_the_tag_before_the_lease_is_a_violation() {
    assert!(first_violation(100_000, Variant::EarlyRead).is_some());
}
