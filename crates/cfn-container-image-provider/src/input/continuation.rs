//! A copy that takes longer than one invocation continues in another one, which the function invokes
//! itself with the same event.
//!
//! Blobs that were copied are not copied again, so each invocation has less to do. Only the last one
//! responds. The chain ends, with a response, if it makes no progress, if CloudFormation will not wait
//! longer, and after a number of invocations.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use image_copy::copy;
use image_copy::oci::Digest;
use image_copy_aws::InvokeError;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::envelope::Envelope;

/// The only key of a continuation's payload. No event of CloudFormation has it.
pub(crate) const KEY: &str = "ContainerImageContinuation";
/// Lambda stops a function that invokes itself more than 16 times in a chain
/// (<https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html>). Retries and the watchdog
/// count too.
const MAX_INVOCATIONS: u64 = 10;
/// How long CloudFormation waits without a `ServiceTimeout`
/// (<https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-cloudformation-customresource.html>).
const SERVICE_TIMEOUT: Duration = Duration::from_secs(3600);
/// With less time left, another invocation is not worth it: it may be throttled, and needs time for
/// the response.
const MIN_INVOCATION_TIME: Duration = Duration::from_secs(5);

/// Which invocation of an event this is.
#[derive(Debug, Clone)]
pub(crate) struct ContinuationState {
    /// Counted from 1.
    pub(crate) invocation: u64,
    /// When CloudFormation issued the event, as far as is known.
    pub(crate) issued_at: SystemTime,
    /// Key of the item in the state table in which an earlier invocation registered the copy.
    pub(crate) registered: Option<String>,
    /// Maximum number of blobs in flight at once.
    pub(crate) concurrent_blobs: usize,
    /// The event as it came from CloudFormation, for the next invocation.
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
    /// The first invocation for an event. The time at which the event was issued counts if it is
    /// plausible: a URL of the older form gives it for one way of signing only.
    pub(crate) fn first(event: Value, envelope: &Envelope, now: SystemTime) -> Self {
        let age = envelope.issue_time().and_then(|issued| now.duration_since(issued).ok());
        let age = age.filter(|age| *age < service_timeout(envelope)).unwrap_or_default();
        let concurrent_blobs = copy::CONCURRENT_BLOBS;
        Self { invocation: 1, issued_at: now - age, registered: None, concurrent_blobs, event }
    }

    /// Reads a continuation's payload: which invocation this is, and the event.
    pub(crate) fn read(payload: &mut Value) -> Option<(Self, Value)> {
        let Payload { invocation, issued_at, registered, concurrent_blobs, event } =
            serde_json::from_value(payload.get_mut(KEY)?.take()).ok()?;
        let issued_at = UNIX_EPOCH.checked_add(Duration::from_millis(issued_at))?;
        let concurrent_blobs = concurrent_blobs.max(1);
        Some((Self { invocation, issued_at, registered, concurrent_blobs, event: event.clone() }, event))
    }

    /// How much longer CloudFormation waits for the response.
    pub(crate) fn time_left(&self, envelope: &Envelope, now: SystemTime) -> Duration {
        let spent = now.duration_since(self.issued_at).unwrap_or_default();
        service_timeout(envelope).saturating_sub(spent)
    }

    /// The time of the event in seconds since 1970, the same in all its invocations.
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

/// Why a copy that ran out of time does not continue.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum StopReason {
    /// A blob is larger than everything that one invocation can move.
    BlobTooLarge { digest: Digest, size: u64, transferred: u64 },
    /// Another invocation would get no further.
    NoProgress,
    /// CloudFormation will not wait much longer.
    ServiceTimeout { allowed: u64 },
    /// This was the last invocation of the chain.
    InvocationLimit(u64),
    /// The function could not be invoked.
    InvokeFailed(InvokeError),
}

/// What an invocation transferred.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TransferStats {
    /// Bytes, also of blobs that were not finished.
    pub(crate) bytes: u64,
    pub(crate) finished_blobs: usize,
    /// Digest and size of the largest blob that is not finished.
    pub(crate) largest_unfinished: Option<(Digest, u64)>,
}

impl TransferStats {
    /// Returns whether blobs were finished, and each of the others fits into another invocation.
    pub(crate) fn makes_progress(&self) -> bool {
        self.finished_blobs > 0
            && self.largest_unfinished.as_ref().is_none_or(|(_, size)| *size <= self.bytes)
    }
}

/// Returns the payload for another invocation, if that leads anywhere. `reserve` is the time that this
/// invocation keeps for its response.
///
/// # Errors
/// Why no other invocation would help.
pub(crate) fn next_payload(
    state: &ContinuationState,
    envelope: &Envelope,
    transferred: &TransferStats,
    registered: Option<&str>,
    reserve: Duration,
) -> Result<Vec<u8>, StopReason> {
    // If the stack's time ended this invocation, only the reserve is left.
    if state.time_left(envelope, SystemTime::now()) < MIN_INVOCATION_TIME.max(reserve * 2) {
        return Err(StopReason::ServiceTimeout { allowed: service_timeout(envelope).as_secs() });
    }
    // The largest blobs start first. One that is larger than everything that transferred would not fit into
    // an invocation of its own.
    if let Some((digest, size)) = transferred.largest_unfinished.clone()
        && size > transferred.bytes
    {
        return Err(StopReason::BlobTooLarge { digest, size, transferred: transferred.bytes });
    }
    // Blobs of one size that share the link may all be in flight when time ends. One at a time, each
    // has the whole link.
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
