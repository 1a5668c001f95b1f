//! Conditions for another invocation, and its payload.

use super::*;
use crate::input::tests::fixture;
use crate::input::{Event, Input};

fn event(payload: Value) -> Event {
    let Ok(Input::CloudFormation(event)) = Input::read(payload) else { panic!("no event") };
    event
}

fn transferred(finished_blobs: usize, bytes: u64, largest: Option<u64>) -> TransferStats {
    let largest_unfinished = largest.map(|size| (Digest::of(b"a"), size));
    TransferStats { bytes, finished_blobs, largest_unfinished }
}

#[track_caller]
fn check(number: u64, spent: u64, transferred: &TransferStats, expected: Result<usize, StopReason>) {
    check_with(6, number, spent, transferred, expected);
}

/// Checks the number of concurrent blobs in the next invocation.
#[track_caller]
fn check_with(
    concurrent_blobs: usize,
    number: u64,
    spent: u64,
    transferred: &TransferStats,
    expected: Result<usize, StopReason>,
) {
    let mut payload = fixture("create");
    payload["ResourceProperties"]["ServiceTimeout"] = json!("60");
    let event = event(payload);
    let now = SystemTime::now();
    let issued_at = now - Duration::from_secs(spent);
    let state = ContinuationState {
        invocation: number,
        issued_at,
        registered: None,
        concurrent_blobs,
        event: Value::Null,
    };
    let next = next_payload(&state, &event.envelope, transferred, None, Duration::from_secs(10));
    let next = next.map(|payload| serde_json::from_slice::<Value>(&payload).unwrap());
    let blobs = next.map(|payload| payload[KEY]["concurrent_blobs"].as_u64().unwrap() as usize);
    assert_eq!(blobs, expected);
}

#[test]
fn continues_while_there_is_progress() {
    let good = transferred(2, 80, Some(50));
    check(1, 10, &good, Ok(6));
    check(9, 10, &good, Ok(6));
    check(10, 10, &good, Err(StopReason::InvocationLimit(10)));
    check(1, 41, &good, Err(StopReason::ServiceTimeout { allowed: 60 }));
    check(1, 56, &good, Err(StopReason::ServiceTimeout { allowed: 60 }));
    check(1, 600, &good, Err(StopReason::ServiceTimeout { allowed: 60 }));
    let nothing_finished = transferred(0, 90, Some(50));
    check(1, 10, &nothing_finished, Ok(1));
    check_with(1, 2, 10, &good, Ok(1));
    check_with(1, 2, 10, &nothing_finished, Err(StopReason::NoProgress));
    let slow = transferred(2, 49, Some(50));
    check(
        1,
        10,
        &slow,
        Err(StopReason::BlobTooLarge { digest: Digest::of(b"a"), size: 50, transferred: 49 }),
    );
    check(1, 10, &transferred(3, 91, None), Ok(6));
}

#[test]
fn the_next_invocation_has_the_same_event_and_issue_time() {
    let first = event(fixture("update"));
    let mut payload: Value =
        serde_json::from_slice(&first.continuation.payload(Some("host/app:1"), 1)).unwrap();
    assert_eq!(payload.as_object().unwrap().len(), 1);
    let (state, original) = ContinuationState::read(&mut payload.clone()).unwrap();
    assert_eq!((state.invocation, state.concurrent_blobs, &original), (2, 1, &fixture("update")));
    assert_eq!(state.registered.as_deref(), Some("host/app:1"));
    assert!(first.continuation.issued_at.duration_since(state.issued_at).unwrap() < Duration::from_millis(1));
    let Ok(Input::Continuation(second)) = Input::read(payload.take()) else { panic!("no continuation") };
    assert_eq!((second.continuation.invocation, second.operation), (2, first.operation));
    let mut third: Value = serde_json::from_slice(&second.continuation.payload(None, 6)).unwrap();
    let (state, original) = ContinuationState::read(&mut third).unwrap();
    assert_eq!((state.invocation, state.registered, original), (3, None, fixture("update")));
}

#[test]
fn uses_the_issue_time_of_the_event_if_it_is_plausible() {
    let issued_at = |query: &str| {
        let mut payload = fixture("create");
        payload["ResponseURL"] = json!(format!("https://bucket.example/key?{query}"));
        let event = event(payload);
        SystemTime::now().duration_since(event.continuation.issued_at).unwrap().as_secs()
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert!((600..605).contains(&issued_at(&format!("Expires={}", now + 7200 - 600))));
    for query in [format!("Expires={}", now + 9000), format!("Expires={}", now + 3600), String::new()] {
        assert!(issued_at(&query) < 5, "{query}");
    }
}
