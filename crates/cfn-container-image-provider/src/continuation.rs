//! A copy that takes longer than one invocation: it goes on in another, which the function asks
//! for itself, with the same event.
//!
//! Blobs that were copied are not copied again, so each round has less to do. There is one answer
//! in the end: whoever hands over gives none. It ends, with an answer, when it gets nowhere, when
//! the stack's time is used up, and after a number of rounds.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use image_copy::copy::{self, Progress, Reporter};
use image_copy::oci::{Descriptor, Digest};
use image_copy_aws::NotInvoked;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::event::Envelope;
use crate::ledger::Place;

/// The one key of a continuation's payload, which no event of CloudFormation has.
pub(crate) const KEY: &str = "ContainerImageContinuation";
/// Lambda stops a function that invokes itself more than 16 times in a chain
/// (<https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html>). Its retries count
/// too, and so does the watchdog.
const MAX_ROUNDS: u64 = 10;
/// How long CloudFormation waits when the template does not say
/// (<https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-cloudformation-customresource.html>).
const SERVICE_TIMEOUT: Duration = Duration::from_secs(3600);
/// Less is not worth another round: the call may have to wait for its turn, and has to find time
/// for the answer.
const SHORTEST_ROUND: Duration = Duration::from_secs(5);

/// Which invocation of an event this is, and what the ones before left to it.
#[derive(Debug, Clone)]
pub(crate) struct Round {
    /// Counted from 1.
    pub(crate) number: u64,
    /// When the stack's time began to run.
    pub(crate) began: SystemTime,
    /// What an earlier round claimed for this event, to be withdrawn should the event fail.
    pub(crate) claimed: Option<Place>,
    /// Blobs in flight at once.
    pub(crate) concurrent_blobs: usize,
    /// The event as it came from CloudFormation, for the next round.
    event: Value,
}

/// What the payload of a continuation says. What a version before this one did not say is optional:
/// a function may be updated between two rounds.
#[derive(Serialize, Deserialize)]
struct Payload {
    round: u64,
    /// Milliseconds since 1970.
    began: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    claimed: Option<[String; 2]>,
    concurrent_blobs: Option<usize>,
    event: Value,
}

impl Round {
    /// The first round of an event. The time at which it was issued counts if it is believable:
    /// an address of the older form tells it only for one way of signing.
    pub(crate) fn first(event: Value, envelope: &Envelope, now: SystemTime) -> Self {
        let age = envelope.issued().and_then(|issued| now.duration_since(issued).ok());
        let age = age.filter(|age| *age < allowed(envelope)).unwrap_or_default();
        let began = now - age;
        Self { number: 1, began, claimed: None, concurrent_blobs: copy::CONCURRENT_BLOBS, event }
    }

    /// Reads a continuation's payload: the event, and where it stands.
    pub(crate) fn read(payload: &mut Value) -> Option<(Self, Value)> {
        let Payload { round, began, claimed, concurrent_blobs, event } =
            serde_json::from_value(payload.get_mut(KEY)?.take()).ok()?;
        let began = UNIX_EPOCH.checked_add(Duration::from_millis(began))?;
        let claimed = claimed
            .and_then(|[tag, about]| Some(Place { tag: tag.parse().ok()?, about: about.parse().ok()? }));
        let concurrent_blobs = concurrent_blobs.unwrap_or(copy::CONCURRENT_BLOBS).max(1);
        Some((Self { number: round, began, claimed, concurrent_blobs, event: event.clone() }, event))
    }

    /// How much longer CloudFormation waits for the answer.
    pub(crate) fn left(&self, envelope: &Envelope, now: SystemTime) -> Duration {
        let spent = now.duration_since(self.began).unwrap_or_default();
        allowed(envelope).saturating_sub(spent)
    }

    fn next(&self, claimed: Option<&Place>, concurrent_blobs: usize) -> Vec<u8> {
        let began = self.began.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let payload = Payload {
            round: self.number + 1,
            began: u64::try_from(began).unwrap_or(u64::MAX),
            claimed: claimed.map(|Place { tag, about }| [tag.to_string(), about.to_string()]),
            concurrent_blobs: Some(concurrent_blobs),
            event: self.event.clone(),
        };
        json!({ KEY: payload }).to_string().into()
    }
}

fn allowed(envelope: &Envelope) -> Duration {
    envelope.service_timeout.map_or(SERVICE_TIMEOUT, Duration::from_secs)
}

/// Why a copy that ran out of time does not go on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Halt {
    /// A blob is larger than all that one invocation can move.
    BlobTooLarge { digest: Digest, size: u64, passed: u64 },
    /// Another invocation would come no further.
    NoProgress,
    /// CloudFormation will not wait much longer.
    StackTime { allowed: u64 },
    /// It has gone on often enough.
    Rounds(u64),
    /// The function could not be invoked.
    NotInvoked(NotInvoked),
}

/// The payload for another invocation, if that leads anywhere. `claimed` is what this event claimed
/// so far, `reserve` what this invocation kept back for its answer.
pub(crate) fn next(
    round: &Round,
    envelope: &Envelope,
    tally: &Tally,
    claimed: Option<&Place>,
    reserve: Duration,
) -> Result<Vec<u8>, Halt> {
    // When the stack's time ended this round, no more than the reserve is left.
    if round.left(envelope, SystemTime::now()) < SHORTEST_ROUND.max(reserve * 2) {
        return Err(Halt::StackTime { allowed: allowed(envelope).as_secs() });
    }
    let passed = tally.passed.load(Ordering::Relaxed);
    // The largest blobs are begun first. One that is larger than all that passed meanwhile would
    // not get through in an invocation of its own either.
    if let Some(blob) = tally.largest_unfinished().filter(|blob| blob.size > passed) {
        return Err(Halt::BlobTooLarge { digest: blob.digest.clone(), size: blob.size, passed });
    }
    // Blobs of one size that share a link may all be under way when time ends. One at a time, each
    // has the link to itself.
    let concurrent_blobs = match tally.finished.lock().unwrap_or_else(PoisonError::into_inner).len() {
        0 if round.concurrent_blobs == 1 => return Err(Halt::NoProgress),
        0 => 1,
        _ => round.concurrent_blobs,
    };
    if round.number >= MAX_ROUNDS {
        return Err(Halt::Rounds(round.number));
    }
    Ok(round.next(claimed, concurrent_blobs))
}

/// What a transfer moved, also of blobs that it did not finish.
#[derive(Default)]
pub(crate) struct Tally {
    blobs: OnceLock<Vec<Descriptor>>,
    /// What the destination had before.
    before: OnceLock<Progress>,
    passed: AtomicU64,
    finished: Mutex<HashSet<Digest>>,
}

impl Tally {
    /// Takes up what there is to copy.
    pub(crate) fn of(self: &Arc<Self>, plan: &copy::Plan) -> Arc<Self> {
        self.blobs.get_or_init(|| plan.blobs.clone());
        self.before.get_or_init(|| plan.progress);
        Arc::clone(self)
    }

    /// How far it came, also where the transfer ended with something else than its progress; none
    /// before there was a plan.
    pub(crate) fn progress(&self) -> Option<Progress> {
        let (blobs, before) = (self.blobs.get()?, self.before.get()?);
        let finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        let copied = blobs.iter().filter(|blob| finished.contains(&blob.digest));
        Some(copied.fold(*before, |progress, blob| Progress {
            copied: progress.copied + 1,
            bytes_copied: progress.bytes_copied + blob.size,
            ..progress
        }))
    }

    /// Whether blobs were finished, and none of the others is larger than all that passed.
    pub(crate) fn gets_on(&self) -> bool {
        let passed = self.passed.load(Ordering::Relaxed);
        let any = !self.finished.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
        any && self.largest_unfinished().is_none_or(|blob| blob.size <= passed)
    }

    fn largest_unfinished(&self) -> Option<&Descriptor> {
        let finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        let blobs = self.blobs.get()?.iter().filter(|blob| !finished.contains(&blob.digest));
        blobs.max_by_key(|blob| blob.size)
    }
}

impl Reporter for Tally {
    fn passed(&self, bytes: u64) {
        self.passed.fetch_add(bytes, Ordering::Relaxed);
    }

    fn finished(&self, blob: &Descriptor) {
        self.finished.lock().unwrap_or_else(PoisonError::into_inner).insert(blob.digest.clone());
    }

    // What was lost went over the line all the same.
    fn lost(&self, _: u64) {}
}

#[cfg(test)]
mod tests;
