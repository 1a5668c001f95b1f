//! Minimum age of an image. A digest of the source is copied only after it has been known for this long.
//!
//! Registries have no reliable date of a push. The state table therefore has the times at which the function
//! first saw each digest. This file does not depend on registries or DynamoDB, so that the model test runs
//! exactly this code.

use std::time::Duration;

use image_copy::oci::Digest;
use image_copy_aws::{CopyRecord, Owner, TagState, WriteOutcome};

use crate::event_state::{EventState, NoState, Store};
use crate::failure::Failure;

/// A digest whose age is judged.
pub(crate) struct AgeRequest<'a> {
    /// Key of the item with the first-seen times.
    pub(crate) image: &'a str,
    pub(crate) owner: &'a Owner,
    /// Digest that the source reference names.
    pub(crate) digest: &'a Digest,
    pub(crate) min_age: Duration,
    /// True if ECR has an image under the tag. The newest copy of the owner then does not wait.
    pub(crate) exists: bool,
}

/// Result of the judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Age {
    /// The digest is old enough, or already copied.
    Sufficient,
    /// The digest was first seen too recently.
    Waiting(WaitTime),
}

/// The wait for a minimum age. Times are in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WaitTime {
    pub(crate) first_seen: u64,
    pub(crate) until: u64,
}

/// Compares the age of a digest with the minimum age. Records the time of a digest that is seen for the first
/// time. `stored_item` is the item in the table.
///
/// # Errors
/// [`Failure::AgeUnknown`] without the state table; [`Failure::TagBusy`].
pub(crate) async fn judge<S: Store>(
    request: &AgeRequest<'_>,
    mut stored_item: Result<Option<TagState>, NoState>,
    state: &EventState<S>,
) -> Result<Age, Failure> {
    let AgeRequest { image, digest, .. } = request;
    loop {
        let Ok(item) = stored_item else { return Err(Failure::AgeUnknown { state: state.table_use() }) };
        let item = item.unwrap_or_else(|| TagState::new(image));
        let now = state.now();
        let first_seen = item.first_seen(digest).unwrap_or(now);
        let until = first_seen + request.min_age.as_secs();
        let is_current = |copy: &CopyRecord| copy.source_digest.as_ref() == Some(*digest);
        if until <= now || (request.exists && item.current_copy(request.owner).is_some_and(is_current)) {
            return Ok(Age::Sufficient);
        }
        let waiting = Age::Waiting(WaitTime { first_seen, until });
        if item.seen.get(digest).is_some() {
            return Ok(waiting);
        }
        // Only the holder of a lease writes the item.
        if !state.can_take_lease(&item) {
            match state.wait_for_lease().await {
                Ok(false) => return Err(Failure::TagBusy { image: (*image).to_owned() }),
                Ok(true) => stored_item = state.read(image).await,
                Err(no_state) => stored_item = Err(no_state),
            }
            continue;
        }
        stored_item = match state.write(&item.with_seen(digest, first_seen)).await {
            Ok(WriteOutcome::Written(_)) => return Ok(waiting),
            Ok(WriteOutcome::Conflict(found)) => Ok(found),
            Err(no_state) => Err(no_state),
        };
    }
}

#[cfg(test)]
mod tests;
