//! Lifecycle of a copy: prepare, register under a lease, write the tag, remove the lease.
//!
//! The order of the steps follows the protocol of the state table (docs/state.md). This file does not depend
//! on registries or DynamoDB, so that the model test runs exactly this code.

use std::future::Future;
use std::sync::OnceLock;

use image_copy::oci::Digest;
use image_copy_aws::{CopyRecord, Owner, TagState, WriteOutcome};

use crate::event_state::{EventState, NoState, Store};
use crate::failure::Failure;

/// Maximum number of plans for a copy. Another client can delete its content between plan and tag.
const MAX_ATTEMPTS: usize = 5;

/// The event of a copy.
pub(crate) struct CopyEvent {
    pub(crate) owner: Owner,
    /// Time of the event, in seconds since 1970.
    pub(crate) time: u64,
    /// Record for the image that an Update finds under its tag without a record: an earlier provider copied
    /// it, or the table was lost. Its digest is a placeholder.
    pub(crate) missing_record: Option<CopyRecord>,
}

/// A complete copy without its tag.
pub(crate) struct PreparedCopy<P> {
    /// Key of the item.
    pub(crate) image: String,
    /// The item before the copy was planned.
    pub(crate) stored_item: Result<Option<TagState>, NoState>,
    pub(crate) plan: P,
    pub(crate) record: CopyRecord,
    /// Digests of the child manifests of an index.
    pub(crate) children: Vec<Digest>,
    /// Earlier copies of the same owner, from the item of its previous image.
    pub(crate) earlier: Vec<CopyRecord>,
    /// True if the tag already names the image, and the image is complete.
    pub(crate) is_unchanged: bool,
}

/// Result of writing the tag.
pub(crate) enum PublishResult<O> {
    Published(O),
    /// The copy must be planned again, because content is missing in ECR or the lease was lost.
    Replan(Failure),
}

/// Steps of a copy.
pub(crate) trait CopySteps: Sync {
    type Plan: Send + Sync;
    type Outcome: Send;

    /// Reads the item and plans the copy, then transfers everything except the root manifest.
    fn prepare<S: Store>(
        &self,
        state: &EventState<S>,
    ) -> impl Future<Output = Result<PreparedCopy<Self::Plan>, Failure>> + Send;

    /// Reads the digest of the tag.
    fn tag_digest(&self, plan: &Self::Plan) -> impl Future<Output = Result<Option<Digest>, Failure>> + Send;

    /// Writes the root manifest under its tag, whose current digest is `tag_digest`.
    fn publish(
        &self,
        plan: &Self::Plan,
        tag_digest: Option<Digest>,
    ) -> impl Future<Output = Result<PublishResult<Self::Outcome>, Failure>> + Send;
}

/// Checks that the copy does not exclude that of another owner.
///
/// # Errors
/// [`Failure::OtherOwner`].
pub(crate) fn check_owners(item: Option<&TagState>, record: &CopyRecord) -> Result<(), Failure> {
    let Some((item, other)) = item.and_then(|item| Some((item, item.conflict_with(record)?))) else {
        return Ok(());
    };
    Err(Failure::OtherOwner {
        image: item.image.clone(),
        other: other.owner.clone(),
        digest: other.digest.clone(),
        owner: record.owner.clone(),
    })
}

/// Result of the registration.
enum Registration {
    /// Only the time of the event was written, because the tag is correct.
    Unchanged,
    /// The lease is held by this attempt. `before` is the item before this event.
    Leased { before: Box<TagState>, leased: Box<TagState> },
    /// The event has no state.
    Stateless,
}

/// Runs a copy. Sets `registered` to the key of the item as soon as this event may have added its resource as
/// an owner.
///
/// # Errors
/// The errors of the steps; [`Failure::Superseded`]; [`Failure::OtherOwner`]; [`Failure::TagBusy`].
pub(crate) async fn run<S: Store, C: CopySteps>(
    event: &CopyEvent,
    state: &EventState<S>,
    steps: &C,
    registered: &OnceLock<String>,
) -> Result<C::Outcome, Failure> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        let prepared = steps.prepare(state).await?;
        let published = match register(event, state, &prepared, registered).await? {
            Registration::Unchanged => steps.publish(&prepared.plan, Some(prepared.record.digest)).await?,
            Registration::Stateless => {
                let tag_digest = steps.tag_digest(&prepared.plan).await?;
                steps.publish(&prepared.plan, tag_digest).await?
            }
            Registration::Leased { before, mut leased } => {
                let work = publish_under_lease(event, state, steps, &prepared, &before, &mut leased);
                let published = state.under_lease(work).await;
                state.release(*leased).await;
                published.unwrap_or_else(|| Err(Failure::LeaseEnded { image: prepared.image.clone() }))?
            }
        };
        match published {
            PublishResult::Published(outcome) => return Ok(outcome),
            PublishResult::Replan(failure) if attempts == MAX_ATTEMPTS => return Err(failure),
            PublishResult::Replan(failure) => {
                tracing::info!(?failure, "planning the copy again");
            }
        }
    }
}

/// Writes the owner and the copy into the item and takes the lease, in one conditional write.
async fn register<S: Store, P>(
    event: &CopyEvent,
    state: &EventState<S>,
    prepared: &PreparedCopy<P>,
    registered: &OnceLock<String>,
) -> Result<Registration, Failure> {
    let PreparedCopy { image, record, children, .. } = prepared;
    let mut stored_item = prepared.stored_item.clone();
    let mut is_unchanged = prepared.is_unchanged;
    loop {
        let Ok(item) = stored_item else { return Ok(Registration::Stateless) };
        let before = item.unwrap_or_else(|| TagState::new(image));
        if before.has_newer_event(&event.owner, event.time) {
            return Err(Failure::Superseded);
        }
        check_owners(Some(&before), record)?;
        if !state.can_take_lease(&before) {
            match state.wait_for_lease().await {
                Ok(true) => {}
                Ok(false) => return Err(Failure::TagBusy { image: image.clone() }),
                Err(NoState) => return Ok(Registration::Stateless),
            }
            // The tag can have moved since, so it is read again under the lease.
            is_unchanged = false;
            stored_item = state.read(image).await;
            continue;
        }
        is_unchanged &= before.current_copy(&event.owner).is_some_and(|copy| copy.digest == record.digest);
        let earlier = prepared.earlier.iter().cloned();
        let next = earlier.fold(before.clone(), TagState::with_copy).with_owner(record.clone());
        let next = next.with_children(&record.digest, children);
        let next = if is_unchanged { next } else { state.with_lease(next) };
        // If this event fails, an owner from an earlier event stays. The response of the write can be lost,
        // so a new owner counts as registered from here.
        if before.owners.get(&event.owner).is_none_or(|last| *last == event.time) {
            let _ = registered.set(image.clone());
        }
        match state.write(&next).await {
            Err(NoState) => return Ok(Registration::Stateless),
            Ok(WriteOutcome::Written(_)) if is_unchanged => return Ok(Registration::Unchanged),
            Ok(WriteOutcome::Written(leased)) => {
                return Ok(Registration::Leased { before: Box::new(before), leased: Box::new(leased) });
            }
            Ok(WriteOutcome::Conflict(found)) => {
                is_unchanged = false;
                stored_item = Ok(found);
            }
        }
    }
}

/// Records the image that the tag named before its first owner, then writes the tag. `leased` is the item in
/// the table.
async fn publish_under_lease<S: Store, C: CopySteps>(
    event: &CopyEvent,
    state: &EventState<S>,
    steps: &C,
    prepared: &PreparedCopy<C::Plan>,
    before: &TagState,
    leased: &mut TagState,
) -> Result<PublishResult<C::Outcome>, Failure> {
    let tag_digest = steps.tag_digest(&prepared.plan).await?;
    if let Some(digest) = &tag_digest
        && let Some(next) = with_replaced_image(event, &prepared.record, before, leased, digest)
    {
        match state.write(&next).await {
            Ok(WriteOutcome::Written(written)) => *leased = written,
            // The table was lost or restored since the lease was taken.
            Ok(WriteOutcome::Conflict(_)) => {
                return Ok(PublishResult::Replan(Failure::LeaseEnded { image: prepared.image.clone() }));
            }
            Err(NoState) => {}
        }
    }
    steps.publish(&prepared.plan, tag_digest).await
}

/// Returns the item with the image that the tag named before this event, if no record explains it.
fn with_replaced_image(
    event: &CopyEvent,
    record: &CopyRecord,
    before: &TagState,
    leased: &TagState,
    tag_digest: &Digest,
) -> Option<TagState> {
    // If the tag already names the same image, another client pushed it, unless an earlier copy is recorded.
    let is_adopted = *tag_digest == record.digest && before.copies.is_empty();
    let is_foreign = !before.has_copy(tag_digest) && (*tag_digest != record.digest || is_adopted);
    if before.replaced.is_some() || !is_foreign {
        return None;
    }
    let has_record = before.copies_of(&event.owner).next().is_some();
    match event.missing_record.as_ref().filter(|_| !has_record) {
        Some(_) if is_adopted => None,
        Some(missing_record) => {
            let mut copy = missing_record.clone();
            copy.digest = tag_digest.clone();
            Some(leased.clone().with_earliest_copy(copy))
        }
        None => Some(leased.clone().with_replaced(tag_digest.clone())),
    }
}
