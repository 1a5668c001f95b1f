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
use serde_json::{Value, json};

use crate::event::Envelope;

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

/// Which invocation of an event this is.
#[derive(Debug, Clone)]
pub(crate) struct Round {
    /// Counted from 1.
    pub(crate) number: u64,
    /// When the stack's time began to run.
    pub(crate) began: SystemTime,
    /// The event as it came from CloudFormation, for the next round.
    event: Value,
}

impl Round {
    /// The first round of an event. The time at which it was issued counts if it is believable:
    /// an address of the older form tells it only for one way of signing.
    pub(crate) fn first(event: Value, envelope: &Envelope, now: SystemTime) -> Self {
        let age = envelope.issued().and_then(|issued| now.duration_since(issued).ok());
        let age = age.filter(|age| *age < allowed(envelope)).unwrap_or_default();
        Self { number: 1, began: now - age, event }
    }

    /// Reads a continuation's payload: the event, and where it stands.
    pub(crate) fn read(payload: &mut Value) -> Option<(u64, SystemTime, Value)> {
        let fields = payload.get_mut(KEY)?;
        let began = UNIX_EPOCH.checked_add(Duration::from_millis(fields.get("began")?.as_u64()?))?;
        let number = fields.get("round")?.as_u64()?;
        Some((number, began, fields.get_mut("event")?.take()))
    }

    /// A further round, as [`Round::read`] gave it.
    pub(crate) fn further(number: u64, began: SystemTime, event: Value) -> Self {
        Self { number, began, event }
    }

    /// How much longer CloudFormation waits for the answer.
    pub(crate) fn left(&self, envelope: &Envelope, now: SystemTime) -> Duration {
        let spent = now.duration_since(self.began).unwrap_or_default();
        allowed(envelope).saturating_sub(spent)
    }

    fn next(&self) -> Vec<u8> {
        let began = self.began.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let began = u64::try_from(began).unwrap_or(u64::MAX);
        json!({KEY: {"round": self.number + 1, "began": began, "event": self.event}}).to_string().into()
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

/// The payload for another invocation, if that leads anywhere. `reserve` is what this invocation
/// kept back for its answer.
pub(crate) fn next(
    round: &Round,
    envelope: &Envelope,
    tally: &Tally,
    progress: &Progress,
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
    if progress.copied == 0 {
        return Err(Halt::NoProgress);
    }
    if round.number >= MAX_ROUNDS {
        return Err(Halt::Rounds(round.number));
    }
    Ok(round.next())
}

/// What a transfer moved, also of blobs that it did not finish.
#[derive(Default)]
pub(crate) struct Tally {
    blobs: OnceLock<Vec<Descriptor>>,
    passed: AtomicU64,
    finished: Mutex<HashSet<Digest>>,
}

impl Tally {
    /// Takes up what there is to copy.
    pub(crate) fn of(self: &Arc<Self>, plan: &copy::Plan) -> Arc<Self> {
        self.blobs.get_or_init(|| plan.blobs.clone());
        Arc::clone(self)
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
mod tests {
    use super::*;
    use crate::event::tests::fixture;
    use crate::event::{Event, Input};

    fn event(payload: Value) -> Event {
        let Ok(Input::CloudFormation(event)) = Input::read(payload) else { panic!("no event") };
        event
    }

    fn blob(name: &str, size: u64) -> Descriptor {
        let digest = Digest::of(name.as_bytes());
        Descriptor { media_type: "application/x".into(), digest, size, platform: None, attests: None }
    }

    fn tally(blobs: &[(&str, u64)], finished: &[&str], passed: u64) -> Tally {
        let tally = Tally::default();
        tally.blobs.get_or_init(|| blobs.iter().map(|(name, size)| blob(name, *size)).collect());
        finished.iter().for_each(|name| tally.finished(&blob(name, 0)));
        tally.passed(passed);
        tally
    }

    #[track_caller]
    fn check(number: u64, spent: u64, tally: &Tally, copied: u64, expected: Result<(), Halt>) {
        let mut payload = fixture("create");
        payload["ResourceProperties"]["ServiceTimeout"] = json!("60");
        let event = event(payload);
        let now = SystemTime::now();
        let round = Round { number, began: now - Duration::from_secs(spent), event: Value::Null };
        let progress = Progress { copied, ..Progress::default() };
        let next = next(&round, &event.envelope, tally, &progress, Duration::from_secs(10));
        assert_eq!(next.map(drop), expected);
    }

    #[test]
    fn goes_on_as_long_as_it_gets_somewhere() {
        let blobs = [("a", 50), ("b", 40), ("c", 1)];
        let good = tally(&blobs, &["b", "c"], 80);
        check(1, 10, &good, 2, Ok(()));
        check(9, 10, &good, 2, Ok(()));
        check(10, 10, &good, 2, Err(Halt::Rounds(10)));
        check(1, 41, &good, 2, Err(Halt::StackTime { allowed: 60 }));
        check(1, 56, &good, 2, Err(Halt::StackTime { allowed: 60 }));
        check(1, 600, &good, 2, Err(Halt::StackTime { allowed: 60 }));
        check(1, 10, &tally(&blobs, &[], 90), 0, Err(Halt::NoProgress));
        let digest = Digest::of(b"a");
        let slow = tally(&blobs, &["b", "c"], 49);
        check(1, 10, &slow, 2, Err(Halt::BlobTooLarge { digest, size: 50, passed: 49 }));
        check(1, 10, &tally(&blobs, &["a", "b", "c"], 91), 3, Ok(()));
    }

    #[test]
    fn the_next_round_has_the_same_event_and_the_same_beginning() {
        let first = event(fixture("update"));
        let mut payload: Value = serde_json::from_slice(&first.round.next()).unwrap();
        assert_eq!(payload.as_object().unwrap().len(), 1);
        let (number, began, original) = Round::read(&mut payload.clone()).unwrap();
        assert_eq!((number, &original), (2, &fixture("update")));
        assert!(first.round.began.duration_since(began).unwrap() < Duration::from_millis(1));
        let Ok(Input::Continuation(second)) = Input::read(payload.take()) else { panic!("no continuation") };
        assert_eq!((second.round.number, second.change), (2, first.change));
        let third: Value = serde_json::from_slice(&second.round.next()).unwrap();
        assert_eq!(third[KEY]["round"], 3);
        assert_eq!(third[KEY]["event"], fixture("update"));
    }

    #[test]
    fn time_runs_from_when_the_event_was_issued_if_that_is_believable() {
        let began = |query: &str| {
            let mut payload = fixture("create");
            payload["ResponseURL"] = json!(format!("https://bucket.example/key?{query}"));
            let event = event(payload);
            SystemTime::now().duration_since(event.round.began).unwrap().as_secs()
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        assert!((600..605).contains(&began(&format!("Expires={}", now + 7200 - 600))));
        for query in [format!("Expires={}", now + 9000), format!("Expires={}", now + 3600), String::new()] {
            assert!(began(&query) < 5, "{query}");
        }
    }
}
