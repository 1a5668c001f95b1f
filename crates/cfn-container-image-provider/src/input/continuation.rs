//! A copy that takes longer than one invocation continues in another one: the function invokes itself with
//! the same event.
//!
//! Each invocation skips blobs that were copied. Only the last one responds. The chain ends with a response
//! if there is no progress, before CloudFormation's timeout, and after a number of invocations.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use image_copy::copy;
use image_copy::oci::Digest;
use image_copy_aws::InvokeError;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::envelope::Envelope;

/// The only key of a continuation's payload. Events of CloudFormation do not have it.
pub(crate) const KEY: &str = "ContainerImageContinuation";
/// Below Lambda's limit of 16 self-invocations in a chain
/// (<https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html>), which includes retries and the
/// watchdog.
const MAX_INVOCATIONS: u64 = 10;
/// CloudFormation's timeout without a `ServiceTimeout`
const SERVICE_TIMEOUT: Duration = Duration::from_secs(3600);
/// Minimum time for another invocation, which can be throttled and must respond.
const MIN_INVOCATION_TIME: Duration = Duration::from_secs(5);

/// State of an event's chain of invocations.
#[derive(Debug, Clone)]
pub(crate) struct ContinuationState {
    /// Number of this invocation, from 1.
    pub(crate) invocation: u64,
    /// Time at which CloudFormation issued the event, or an estimate.
    pub(crate) issued_at: SystemTime,
    /// Key of the item in which an earlier invocation registered the copy.
    pub(crate) registered: Option<String>,
    /// Maximum number of concurrent blobs.
    pub(crate) concurrent_blobs: usize,
    /// The event from CloudFormation, for the next invocation.
    event: Value,
}

/// Payload of a continuation.
#[derive(Serialize, Deserialize)]
struct Payload {
    invocation: u64,
    /// Milliseconds since 1970.
    issued_at: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    registered: Option<String>,
    concurrent_blobs: usize,
    event: Value,
}

impl ContinuationState {
    /// Creates the state of the first invocation. The issue time is used only if it is plausible. URLs in the
    /// older format contain it for one signing method only.
    pub(crate) fn first(event: Value, envelope: &Envelope, now: SystemTime) -> Self {
        let age = envelope.issue_time().and_then(|issued| now.duration_since(issued).ok());
        let age = age.filter(|age| *age < service_timeout(envelope)).unwrap_or_default();
        let concurrent_blobs = copy::CONCURRENT_BLOBS;
        Self { invocation: 1, issued_at: now - age, registered: None, concurrent_blobs, event }
    }

    /// Creates the state of a direct event, which never continues in another invocation.
    pub(crate) fn of_direct_event() -> Self {
        Self {
            invocation: 1,
            issued_at: SystemTime::now(),
            registered: None,
            concurrent_blobs: copy::CONCURRENT_BLOBS,
            event: Value::Null,
        }
    }

    /// Reads the payload of a continuation: its state and the event.
    pub(crate) fn read(payload: &mut Value) -> Option<(Self, Value)> {
        let Payload { invocation, issued_at, registered, concurrent_blobs, event } =
            serde_json::from_value(payload.get_mut(KEY)?.take()).ok()?;
        let issued_at = UNIX_EPOCH.checked_add(Duration::from_millis(issued_at))?;
        let concurrent_blobs = concurrent_blobs.max(1);
        Some((Self { invocation, issued_at, registered, concurrent_blobs, event: event.clone() }, event))
    }

    /// Returns the time until CloudFormation's timeout.
    pub(crate) fn time_left(&self, envelope: &Envelope, now: SystemTime) -> Duration {
        let spent = now.duration_since(self.issued_at).unwrap_or_default();
        service_timeout(envelope).saturating_sub(spent)
    }

    /// Returns the time of the event in seconds since 1970, the same in all its invocations.
    pub(crate) fn event_time(&self) -> u64 {
        self.issued_at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }

    fn payload(&self, registered: Option<&str>, concurrent_blobs: usize) -> Vec<u8> {
        let issued_at = self.issued_at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let payload = Payload {
            invocation: self.invocation + 1,
            issued_at: u64::try_from(issued_at).unwrap_or(u64::MAX),
            registered: registered.map(Into::into),
            concurrent_blobs,
            event: self.event.clone(),
        };
        json!({ KEY: payload }).to_string().into()
    }
}

fn service_timeout(envelope: &Envelope) -> Duration {
    envelope.service_timeout.map_or(SERVICE_TIMEOUT, Duration::from_secs)
}

/// Reason why a copy does not continue in another invocation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum StopReason {
    /// A blob is larger than the total transfer of one invocation.
    BlobTooLarge { digest: Digest, size: u64, transferred: u64 },
    /// Another invocation would make no progress.
    NoProgress,
    /// CloudFormation's timeout is near.
    ServiceTimeout { allowed: u64 },
    /// The chain has the maximum number of invocations.
    InvocationLimit(u64),
    /// The function could not be invoked.
    InvokeFailed(InvokeError),
}

impl StopReason {
    /// Returns the reason if a blob is unfinished that is larger than the total transfer. The largest blobs
    /// start first, so it would not fit into another invocation.
    pub(crate) fn blob_too_large(transferred: &TransferStats) -> Option<Self> {
        let (digest, size) = transferred.largest_unfinished.clone()?;
        (size > transferred.bytes).then_some(Self::BlobTooLarge {
            digest,
            size,
            transferred: transferred.bytes,
        })
    }
}

/// Transfer of one invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TransferStats {
    /// Bytes, including those of unfinished blobs.
    pub(crate) bytes: u64,
    pub(crate) finished_blobs: usize,
    /// Digest and size of the largest unfinished blob.
    pub(crate) largest_unfinished: Option<(Digest, u64)>,
}

impl TransferStats {
    /// Returns true if blobs were finished, and each of the others fits into another invocation.
    pub(crate) fn makes_progress(&self) -> bool {
        self.finished_blobs > 0
            && self.largest_unfinished.as_ref().is_none_or(|(_, size)| *size <= self.bytes)
    }
}

/// Returns the payload for another invocation, if that can make progress. `reserve` is the time reserved for
/// the response of this invocation.
///
/// # Errors
/// The reason why another invocation would not help.
pub(crate) fn next_payload(
    state: &ContinuationState,
    envelope: &Envelope,
    transferred: &TransferStats,
    registered: Option<&str>,
    reserve: Duration,
) -> Result<Vec<u8>, StopReason> {
    // If CloudFormation's timeout ended this invocation, only the reserve is left.
    if state.time_left(envelope, SystemTime::now()) < MIN_INVOCATION_TIME.max(reserve * 2) {
        return Err(StopReason::ServiceTimeout { allowed: service_timeout(envelope).as_secs() });
    }
    if let Some(reason) = StopReason::blob_too_large(transferred) {
        return Err(reason);
    }
    // Concurrent blobs of equal size can all be unfinished at the end. A single blob gets the full bandwidth.
    let concurrent_blobs = match transferred.finished_blobs {
        0 if state.concurrent_blobs == 1 => return Err(StopReason::NoProgress),
        0 => 1,
        _ => state.concurrent_blobs,
    };
    if state.invocation >= MAX_INVOCATIONS {
        return Err(StopReason::InvocationLimit(state.invocation));
    }
    Ok(state.payload(registered, concurrent_blobs))
}

#[cfg(test)]
mod tests;
