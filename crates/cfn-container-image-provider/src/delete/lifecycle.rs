//! The life cycle of a Delete: take the lease, change the tag as far as owners allow, give up the owner.
//!
//! The order is that of the state table's protocol (docs/state.md). This file knows neither ECR nor
//! DynamoDB, so that the model test plays exactly this code.

use std::future::Future;

use image_copy::oci::Digest;
use image_copy::registry::Error;
use image_copy_aws::{Owner, TagState, WriteOutcome};

use crate::event_state::{EventState, NoState, Store};
use crate::failure::{Failure, NotDeleted};

/// Which owner gives up which tag.
pub(crate) struct DeleteEvent {
    /// Key of the item.
    pub(crate) image: String,
    pub(crate) owner: Owner,
    /// Time of the event, in seconds since 1970.
    pub(crate) time: u64,
    /// False if the installer keeps every image.
    pub(crate) delete_images: bool,
    /// Why the owner ends.
    pub(crate) reason: DeleteReason,
}

/// Why an owner ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeleteReason {
    /// CloudFormation deletes the resource. The time is kept: a copy that is older stops.
    ResourceDeleted,
    /// A copy failed after it was registered.
    CopyFailed,
}

/// Result of a Delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeleteOutcome {
    /// The tag was removed, and with its last tag the image; without a tag, the image.
    Removed,
    /// There was no such tag.
    NotFound,
    /// The tag stays, because an index in the repository refers to the image.
    ReferencedByIndex,
    /// The tag names again what it named before its first owner.
    Restored,
    /// The tag stays: somebody else has pushed another image under it.
    Overwritten,
    /// The installer keeps every image.
    DeletionDisabled,
    /// The tag is left to its other owners.
    OtherOwners,
    /// The resource does not own the tag.
    NotOwned,
    /// A later event of the resource was carried out.
    Superseded,
    /// The image is kept, because the state is not known.
    StateUnknown,
}

/// The image that the tag names.
pub(crate) struct TaggedImage {
    pub(crate) digest: Digest,
    /// Digests of the child manifests of an index.
    pub(crate) children: Vec<Digest>,
}

/// The tag and images to delete.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct DeletionPlan {
    /// The digest that the tag names, if the tag is to be removed.
    pub(crate) tagged: Option<Digest>,
    /// Recorded copies, deleted unless they have a tag.
    pub(crate) copies: Vec<Digest>,
    /// Child manifests, deleted unless they have a tag or another index refers to them.
    pub(crate) children: Vec<Digest>,
}

/// The image repository.
pub(crate) trait ImageRepository: Sync {
    /// Reads what the tag names. For an image without a tag: nothing.
    fn tagged_image(&self) -> impl Future<Output = Result<Option<TaggedImage>, Error>> + Send;

    /// Puts the tag on the first of these images that the repository holds, unless the tag names it.
    /// Returns false if it holds none, or refuses.
    fn set_tag(
        &self,
        named: Option<&Digest>,
        images: &[Digest],
    ) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Deletes. Returns false if the tag stays because an index refers to the image.
    fn delete_images(&self, plan: &DeletionPlan) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Key of the item of an image without a tag.
    fn image_by_digest(&self, digest: &Digest) -> String;
}

/// Carries out a Delete.
///
/// # Errors
/// [`Failure::NotDeleted`] if ECR refused; [`Failure::TagBusy`]. A repeated Delete goes on where this one
/// stopped.
pub(crate) async fn run<S: Store, I: ImageRepository>(
    event: &DeleteEvent,
    state: &EventState<S>,
    images: &I,
) -> Result<DeleteOutcome, Failure> {
    match try_run(event, state, images).await {
        Ok(result) => result,
        Err(NoState) => Ok(DeleteOutcome::StateUnknown),
    }
}

async fn try_run<S: Store, I: ImageRepository>(
    event: &DeleteEvent,
    state: &EventState<S>,
    images: &I,
) -> Result<Result<DeleteOutcome, Failure>, NoState> {
    let DeleteEvent { image, owner, .. } = event;
    let mut seen = state.read(image).await?;
    loop {
        let item = seen.unwrap_or_else(|| TagState::new(image));
        if item.owners.get(owner).is_some_and(|last| *last > event.time) {
            return Ok(Ok(DeleteOutcome::Superseded));
        }
        let is_owner = item.owners.contains_key(owner);
        if !is_owner && event.reason == DeleteReason::CopyFailed {
            return Ok(Ok(DeleteOutcome::NotOwned));
        }
        if !state.can_take_lease(&item) {
            if !state.wait_for_lease().await? {
                return Ok(Err(Failure::TagBusy { image: image.clone() }));
            }
            seen = state.read(image).await?;
            continue;
        }
        let next = if is_owner { state.with_lease(item) } else { item.without_owner(owner, event.time) };
        let held = match state.write(&next).await? {
            WriteOutcome::Conflict(found) => {
                seen = found;
                continue;
            }
            WriteOutcome::Written(_) if !is_owner => return Ok(Ok(DeleteOutcome::NotOwned)),
            WriteOutcome::Written(held) => held,
        };
        let deleted = state.under_lease(delete_under_lease(event, state, images, &held)).await;
        let deleted = match deleted {
            Some(Ok(deleted)) => deleted,
            Some(Err(cause)) => {
                state.release(held).await;
                let failed = NotDeleted { image: image.clone(), cause };
                return Ok(Err(Failure::NotDeleted(Box::new(failed))));
            }
            None => return Ok(Err(Failure::LeaseEnded)),
        };
        write_without_owner(event, state, held).await;
        return Ok(Ok(deleted));
    }
}

/// Writes the item without the owner and without the lease.
async fn write_without_owner<S: Store>(event: &DeleteEvent, state: &EventState<S>, held: TagState) {
    let next = match event.reason {
        DeleteReason::ResourceDeleted => held.without_owner(&event.owner, event.time),
        DeleteReason::CopyFailed => held.without_failed_owner(&event.owner),
    };
    let next = next.without_lease();
    let written = if next.is_empty() { state.delete(&next).await } else { state.write(&next).await };
    if !matches!(written, Ok(WriteOutcome::Written(_))) {
        tracing::warn!(owner = %event.owner, image = event.image, "the owner could not be removed from the state table");
    }
}

async fn delete_under_lease<S: Store, I: ImageRepository>(
    event: &DeleteEvent,
    state: &EventState<S>,
    images: &I,
    held: &TagState,
) -> Result<DeleteOutcome, Error> {
    let named = images.tagged_image().await?;
    let tagged = named.as_ref().map(|named| &named.digest);
    let left = held.clone().without_failed_owner(&event.owner);
    if !left.owners.is_empty() {
        let is_own = |digest: &&Digest| {
            held.copies_of(&event.owner).any(|copy| copy.digest == **digest)
                || held.replaced.as_ref() == Some(digest)
        };
        if tagged.is_some_and(|digest| is_own(&digest)) {
            images.set_tag(tagged, &left.owned_digests()).await?;
        }
        return Ok(DeleteOutcome::OtherOwners);
    }
    let is_recorded = tagged.is_some_and(|digest| held.has_copy(digest));
    let is_ours = tagged.is_none() || is_recorded || tagged == held.replaced.as_ref();
    let restored = match &held.replaced {
        Some(replaced) if is_ours => images.set_tag(tagged, std::slice::from_ref(replaced)).await?,
        _ => false,
    };
    if !event.delete_images {
        return Ok(if restored { DeleteOutcome::Restored } else { DeleteOutcome::DeletionDisabled });
    }
    let plan = plan_deletion(state, images, held, named.as_ref().filter(|_| is_recorded && !restored)).await;
    let is_removed = images.delete_images(&plan).await?;
    Ok(match tagged {
        _ if restored => DeleteOutcome::Restored,
        _ if !is_removed => DeleteOutcome::ReferencedByIndex,
        Some(_) if !is_recorded => DeleteOutcome::Overwritten,
        None if plan == DeletionPlan::default() => DeleteOutcome::NotFound,
        _ => DeleteOutcome::Removed,
    })
}

/// Everything that is recorded for the tag, except what somebody else needs. `tagged` is what the tag
/// names, if the tag is to be removed.
async fn plan_deletion<S: Store, I: ImageRepository>(
    state: &EventState<S>,
    images: &I,
    held: &TagState,
    tagged: Option<&TaggedImage>,
) -> DeletionPlan {
    let tagged_digest = tagged.map(|named| &named.digest);
    let mut plan = DeletionPlan { tagged: tagged_digest.cloned(), ..DeletionPlan::default() };
    for digest in held.copies.iter().map(|copy| &copy.digest) {
        let is_known = Some(digest) == tagged_digest || plan.copies.contains(digest);
        if is_known || held.replaced.as_ref() == Some(digest) {
            continue;
        }
        let by_digest = images.image_by_digest(digest);
        // Another resource may have stored the same image without a tag. In doubt it stays.
        let is_free = by_digest == held.image
            || state.read(&by_digest).await.is_ok_and(|item| item.is_none_or(|item| item.owners.is_empty()));
        if is_free {
            plan.copies.push(digest.clone());
        }
    }
    let children = tagged.into_iter().flat_map(|named| &named.children);
    let recorded = held.children.iter().filter(|(index, _)| held.replaced.as_ref() != Some(index));
    for child in children.chain(recorded.flat_map(|(_, children)| children)) {
        if !plan.children.contains(child) {
            plan.children.push(child.clone());
        }
    }
    plan
}
