//! The life cycle of a copy: prepare, register under a lease, write the tag, give up the lease.
//!
//! The order is that of the state table's protocol (docs/state.md). This file knows neither registries
//! nor DynamoDB, so that the model test plays exactly this code.

use std::future::Future;
use std::sync::OnceLock;

use image_copy::oci::Digest;
use image_copy_aws::{CopyRecord, Owner, TagState, WriteOutcome};

use crate::event_state::{EventState, NoState, Store};
use crate::failure::Failure;

/// Attempts at a copy of which ECR lost a part between plan and tag, because somebody deletes at the same
/// time.
const MAX_ATTEMPTS: usize = 5;

/// The event that a copy is made for.
pub(crate) struct CopyEvent {
    pub(crate) owner: Owner,
    /// Time of the event, in seconds since 1970.
    pub(crate) time: u64,
    /// The record of what an Update finds under its own tag, if nothing is recorded for the resource:
    /// an earlier provider copied it, or the table was lost. The digest is still to be filled in.
    pub(crate) missing_record: Option<CopyRecord>,
}

/// A copy that lacks nothing but its tag.
pub(crate) struct PreparedCopy<P> {
    /// Key of the item.
    pub(crate) image: String,
    /// The item as it was read before the copy was planned.
    pub(crate) seen: Result<Option<TagState>, NoState>,
    pub(crate) plan: P,
    pub(crate) record: CopyRecord,
    /// Digests of the child manifests of an index.
    pub(crate) children: Vec<Digest>,
    /// Copies of the same owner to keep in mind, from the item of its previous image.
    pub(crate) earlier: Vec<CopyRecord>,
    /// True if the tag names the image already, and the image is complete.
    pub(crate) is_unchanged: bool,
}

/// Result of writing the tag.
pub(crate) enum PublishResult<O> {
    Published(O),
    /// The copy has to be planned again: ECR has lost a part of the image since, or the lease was lost.
    Replan(Failure),
}

/// Carries out the steps of a copy.
pub(crate) trait CopySteps: Sync {
    type Plan: Send + Sync;
    type Outcome: Send;

    /// Reads the item and plans the copy, then transfers everything but the root manifest.
    fn prepare<S: Store>(
        &self,
        state: &EventState<S>,
    ) -> impl Future<Output = Result<PreparedCopy<Self::Plan>, Failure>> + Send;

    /// Reads what the tag names.
    fn tag_digest(&self, plan: &Self::Plan) -> impl Future<Output = Result<Option<Digest>, Failure>> + Send;

    /// Writes the root manifest under its tag, which names `named` now.
    fn publish(
        &self,
        plan: &Self::Plan,
        named: Option<Digest>,
    ) -> impl Future<Output = Result<PublishResult<Self::Outcome>, Failure>> + Send;
}

/// Result of the registration.
enum Registration {
    /// Nothing but the time of the event was written: the tag is right.
    Unchanged,
    /// The lease is held. `before` is the item without this event.
    Leased { before: Box<TagState>, held: Box<TagState> },
    /// There is no state.
    Stateless,
}

/// Carries out a copy. `registered` gets the key of the item as soon as this event may have made its
/// resource an owner.
///
/// # Errors
/// Those of the steps; [`Failure::Superseded`]; [`Failure::TagBusy`].
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
                let named = steps.tag_digest(&prepared.plan).await?;
                steps.publish(&prepared.plan, named).await?
            }
            Registration::Leased { before, mut held } => {
                let work = publish_under_lease(event, state, steps, &prepared, &before, &mut held);
                let published = state.under_lease(work).await;
                state.release(*held).await;
                published.unwrap_or(Err(Failure::LeaseEnded))?
            }
        };
        match published {
            PublishResult::Published(outcome) => return Ok(outcome),
            PublishResult::Replan(failure) if attempts == MAX_ATTEMPTS => return Err(failure),
            PublishResult::Replan(failure) => {
                tracing::info!(?failure, "the copy is planned again");
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
    let mut seen = prepared.seen.clone();
    let mut is_unchanged = prepared.is_unchanged;
    loop {
        let Ok(item) = seen else { return Ok(Registration::Stateless) };
        let before = item.unwrap_or_else(|| TagState::new(image));
        if before.has_newer_event(&event.owner, event.time) {
            return Err(Failure::Superseded);
        }
        if !state.can_take_lease(&before) {
            match state.wait_for_lease().await {
                Ok(true) => {}
                Ok(false) => return Err(Failure::TagBusy { image: image.clone() }),
                Err(NoState) => return Ok(Registration::Stateless),
            }
            // The tag may have moved meanwhile, so it is read again under the lease.
            is_unchanged = false;
            seen = state.read(image).await;
            continue;
        }
        let newest = before.copies_of(&event.owner).next();
        is_unchanged &= before.owners.contains_key(&event.owner)
            && newest.is_some_and(|newest| newest.digest == record.digest);
        let earlier = prepared.earlier.iter().cloned();
        let next = earlier.fold(before.clone(), TagState::with_copy).with_owner(record.clone());
        let next = next.with_children(&record.digest, children);
        let next = if is_unchanged { next } else { state.with_lease(next) };
        // An owner of an earlier event stays if this one fails. The answer of the write may be lost, so a
        // new owner counts as registered from here on.
        if before.owners.get(&event.owner).is_none_or(|last| *last == event.time) {
            let _ = registered.set(image.clone());
        }
        match state.write(&next).await {
            Err(NoState) => return Ok(Registration::Stateless),
            Ok(WriteOutcome::Written(_)) if is_unchanged => return Ok(Registration::Unchanged),
            Ok(WriteOutcome::Written(held)) => {
                return Ok(Registration::Leased { before: Box::new(before), held: Box::new(held) });
            }
            Ok(WriteOutcome::Conflict(found)) => {
                is_unchanged = false;
                seen = Ok(found);
            }
        }
    }
}

/// Records what others had put under the tag, then writes the tag. `held` is the item as it is in the
/// table.
async fn publish_under_lease<S: Store, C: CopySteps>(
    event: &CopyEvent,
    state: &EventState<S>,
    steps: &C,
    prepared: &PreparedCopy<C::Plan>,
    before: &TagState,
    held: &mut TagState,
) -> Result<PublishResult<C::Outcome>, Failure> {
    let named = steps.tag_digest(&prepared.plan).await?;
    if let Some(digest) = &named
        && let Some(next) = with_replaced_image(event, &prepared.record, before, held, digest)
    {
        match state.write(&next).await {
            Ok(WriteOutcome::Written(written)) => *held = written,
            // The table was lost, or restored, since the lease was taken.
            Ok(WriteOutcome::Conflict(_)) => return Ok(PublishResult::Replan(Failure::LeaseEnded)),
            Err(NoState) => {}
        }
    }
    steps.publish(&prepared.plan, named).await
}

/// The item with what the tag named before this event, if nothing that is recorded explains it.
fn with_replaced_image(
    event: &CopyEvent,
    record: &CopyRecord,
    before: &TagState,
    held: &TagState,
    named: &Digest,
) -> Option<TagState> {
    // An image that is adopted as it is was not ours before, unless an earlier copy is recorded.
    let is_adopted = *named == record.digest && before.copies.is_empty();
    let is_foreign = !before.has_copy(named) && (*named != record.digest || is_adopted);
    if before.replaced.is_some() || !is_foreign {
        return None;
    }
    let has_record = before.copies_of(&event.owner).next().is_some();
    match event.missing_record.as_ref().filter(|_| !has_record) {
        Some(_) if is_adopted => None,
        Some(missing_record) => {
            let mut copy = missing_record.clone();
            copy.digest = named.clone();
            Some(held.clone().with_earliest_copy(copy))
        }
        None => Some(held.clone().with_replaced(named.clone())),
    }
}
