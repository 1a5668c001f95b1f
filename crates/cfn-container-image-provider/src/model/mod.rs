//! Model test of the state table's protocol (docs/state.md): the real lifecycles of copies and Deletes, with
//! one tag in memory. Each call is one step. A random schedule interleaves the steps of up to three
//! resources, and events crash between steps and are repeated.

mod schedule;
mod simulation;

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use fastrand::Rng;
use image_copy::oci::Digest;
use image_copy_aws::{CopyRecord, Owner};

use crate::copy::age::{self, AgeRequest};
use crate::copy::lifecycle::{self as copy_lifecycle, CopyEvent};
use crate::delete::lifecycle::{self as delete_lifecycle, DeleteEvent, DeleteReason};
use crate::event_state::EventState;
use crate::failure::Failure;
use schedule::{Event, ModelRequest, Schedule, random_schedule};
use simulation::{
    IMAGE, ProtocolVariant, SharedSimulation, SimulatedRepository, SimulatedStore, Simulation,
    injected_failure, lock,
};

/// Longer than any schedule, so that each digest waits.
const MIN_AGE: Duration = Duration::from_secs(3600);

type RunningEvent = Pin<Box<dyn Future<Output = Result<(), Failure>>>>;

/// Runs an event as the handler does.
async fn run_event(
    event: Event,
    simulation: SharedSimulation,
    variant: ProtocolVariant,
    holder: String,
) -> Result<(), Failure> {
    let Event { owner, time, request, is_unreachable } = event;
    let ignores_lease =
        variant == ProtocolVariant::WaitWithoutLease && matches!(request, ModelRequest::Wait { .. });
    let store = SimulatedStore {
        simulation: simulation.clone(),
        variant: if ignores_lease { ProtocolVariant::NoLease } else { variant },
        is_unreachable,
    };
    let state = EventState::new(Some(store), holder);
    if let ModelRequest::Wait { digest } = &request {
        let stored_item = state.read(IMAGE).await;
        let age = AgeRequest { image: IMAGE, owner: &owner, digest, min_age: MIN_AGE, exists: false };
        return match age::judge(&age, stored_item, &state).await {
            Err(Failure::AgeUnknown { .. }) if is_unreachable => Ok(()),
            judged => judged.map(|_| ()),
        };
    }
    let (digest, fails) = match &request {
        ModelRequest::Create { digest, fails } => (digest.clone(), *fails),
        ModelRequest::Update { digest } => (digest.clone(), false),
        ModelRequest::Wait { .. } | ModelRequest::Delete => (Digest::of(b""), false),
    };
    let repository = SimulatedRepository {
        simulation: simulation.clone(),
        variant,
        owner: owner.clone(),
        time,
        fails,
        is_stateless: is_unreachable,
        digest: digest.clone(),
    };
    let delete =
        |reason| DeleteEvent { image: IMAGE.into(), owner: owner.clone(), time, delete_images: true, reason };
    if request == ModelRequest::Delete {
        delete_lifecycle::run(&delete(DeleteReason::ResourceDeleted), &state, &repository).await?;
        return Ok(());
    }
    let registered = OnceLock::new();
    let missing_record = match request {
        ModelRequest::Update { .. } => Some(CopyRecord::new(0, owner.clone(), Digest::of(b""))),
        _ => None,
    };
    let copy = CopyEvent { owner: owner.clone(), time, missing_record };
    match copy_lifecycle::run(&copy, &state, &repository, &registered).await {
        Ok(()) => Ok(()),
        Err(Failure::Superseded) => Ok(()),
        Err(failure) => {
            if registered.get().is_some() && matches!(request, ModelRequest::Create { .. }) {
                delete_lifecycle::run(&delete(DeleteReason::CopyFailed), &state, &repository).await?;
            }
            if failure == injected_failure() && fails { Ok(()) } else { Err(failure) }
        }
    }
}

/// Runs one random schedule. Returns a violation in the final state.
fn run_schedule(seed: u64, variant: ProtocolVariant) -> Result<(), String> {
    let mut rng = Rng::with_seed(seed);
    let simulation = SharedSimulation::default();
    let old = Digest::of(b"old");
    let had_tag_before = rng.u8(..100) < 30;
    if had_tag_before {
        lock(&simulation).images.insert(old.clone());
        lock(&simulation).tag = Some(old.clone());
    }
    let Schedule { event_queues: mut queues, deleted } = random_schedule(&mut rng, variant);
    let waited: Vec<Digest> = queues.iter().flatten().filter_map(Event::waiting_digest).collect();
    let mut running: BTreeMap<usize, (RunningEvent, Event, String)> = BTreeMap::new();
    let mut context = Context::from_waker(Waker::noop());
    let (mut attempt, mut steps) = (0, 0);
    let mut has_table = true;
    let table_lost_at_step = rng.usize(10..60);
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
        // Losing or restoring a table takes minutes, and leases last for seconds.
        if has_table && variant == ProtocolVariant::TableLost && steps >= table_lost_at_step {
            let mut simulation = lock(&simulation);
            if simulation.item.as_ref().is_none_or(|item| item.lease.is_none()) {
                simulation.item = None;
                has_table = false;
            }
        }
        let at = active[rng.usize(..active.len())];
        let (future, event, holder) = running.entry(at).or_insert_with(|| {
            attempt += 1;
            let (event, holder) = (queues[at].remove(0), format!("attempt {attempt}"));
            let work = run_event(event.clone(), simulation.clone(), variant, holder.clone());
            (Box::pin(work), event, holder)
        });
        // Lambda or CloudFormation repeats an event after a crash.
        if rng.u8(..100) < 3 {
            lock(&simulation).crashed.insert(holder.clone());
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
    let simulation = lock(&simulation);
    check_final_state(&simulation, &deleted, had_tag_before.then_some(&old), variant)?;
    let has_lost_state = matches!(variant, ProtocolVariant::TableLost | ProtocolVariant::TableUnreachable);
    let is_seen =
        |digest: &Digest| simulation.item.as_ref().is_some_and(|item| item.seen.get(digest).is_some());
    match waited.iter().find(|digest| !is_seen(digest)) {
        Some(digest) if !has_lost_state => Err(format!("the time of {digest} is lost")),
        _ => Ok(()),
    }
}

/// Checks the final state of a schedule.
fn check_final_state(
    simulation: &Simulation,
    deleted: &BTreeSet<Owner>,
    old: Option<&Digest>,
    variant: ProtocolVariant,
) -> Result<(), String> {
    let Simulation { item, tag, images, stateless, .. } = simulation;
    let final_state = || format!("tag {tag:?}, images {images:?}, item {item:#?}");
    if let Some(digest) = tag.as_ref().filter(|digest| !images.contains(digest)) {
        return Err(format!("the tag names {digest}, which is missing: {}", final_state()));
    }
    let owners: BTreeSet<&Owner> = item.iter().flat_map(|item| item.owners.keys()).collect();
    let has_lost_state = matches!(variant, ProtocolVariant::TableLost | ProtocolVariant::TableUnreachable);
    if !has_lost_state && owners.iter().any(|owner| deleted.contains(*owner)) {
        return Err(format!("a deleted owner remains: {}", final_state()));
    }
    if item
        .as_ref()
        .is_some_and(|item| item.lease.as_ref().is_some_and(|l| !simulation.crashed.contains(&l.holder)))
    {
        return Err(format!("a lease remains: {}", final_state()));
    }
    if !owners.is_empty() {
        let Some(tag) = tag else { return Err(format!("an owner's image is missing: {}", final_state())) };
        let is_owned = item.iter().any(|item| item.owned_digests().contains(tag));
        // An event without state can have written the tag.
        if !is_owned && !stateless.contains(tag) && !has_lost_state {
            return Err(format!("the tag does not name an owner's copy: {}", final_state()));
        }
        return Ok(());
    }
    if has_lost_state {
        return Ok(());
    }
    match (old, tag) {
        (None, Some(_)) => Err(format!("a tag remains: {}", final_state())),
        (Some(old), tag) if tag.as_ref() != Some(old) => {
            Err(format!("the old tag was not restored: {}", final_state()))
        }
        _ if images.iter().any(|digest| Some(digest) != old) => {
            Err(format!("an image remains: {}", final_state()))
        }
        _ => Ok(()),
    }
}

/// Runs schedules on two threads, until one violates the protocol.
fn first_violation(schedules: usize, variant: ProtocolVariant) -> Option<String> {
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
                    if let Err(violation) = run_schedule(seed as u64, variant) {
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
    assert_eq!(first_violation(100_000, ProtocolVariant::Actual), None);
}

#[test]
fn a_lost_or_unreachable_table_loses_no_image_of_a_known_owner() {
    assert_eq!(first_violation(10_000, ProtocolVariant::TableLost), None);
    assert_eq!(first_violation(10_000, ProtocolVariant::TableUnreachable), None);
}

#[test]
fn finds_a_violation_without_leases() {
    assert!(first_violation(100_000, ProtocolVariant::NoLease).is_some());
}

#[test]
fn finds_a_violation_if_a_wait_ignores_leases() {
    assert!(first_violation(100_000, ProtocolVariant::WaitWithoutLease).is_some());
}

#[test]
fn finds_a_violation_if_the_tag_is_read_before_the_lease() {
    assert!(first_violation(100_000, ProtocolVariant::EarlyRead).is_some());
}
