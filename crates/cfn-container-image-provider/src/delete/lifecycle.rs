//! Lifecycle of a Delete: take the lease, change the tag as far as its owners allow, remove the owner.
//!
//! The order of the steps follows the protocol of the state table (docs/state.md). This file does not depend
//! on ECR or DynamoDB, so that the model test runs exactly this code.

use std::future::Future;

use image_copy::oci::Digest;
use image_copy::registry::Error;
use image_copy_aws::{Owner, TagState, WriteOutcome};

use crate::event_state::{EventState, NoState, Store};
use crate::failure::{Failure, NotDeleted};

/// Removal of an owner from a tag.
pub(crate) struct DeleteEvent {
    /// Key of the item.
    pub(crate) image: String,
    pub(crate) owner: Owner,
    /// Time of the event, in seconds since 1970.
    pub(crate) time: u64,
    /// False if the settings keep every image.
    pub(crate) delete_images: bool,
    /// Reason of the removal.
    pub(crate) reason: DeleteReason,
}

/// Reason for the removal of an owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeleteReason {
    /// CloudFormation deletes the resource. The time is kept, so that older copies stop.
    ResourceDeleted,
    /// A copy failed after it was registered.
    CopyFailed,
}

/// Result of a Delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeleteOutcome {
    /// The tag was deleted, with the image if it was its last tag. Without a tag, the image was deleted.
    Deleted,
    /// The tag does not exist.
    NotFound,
    /// The tag was kept, because the image belongs to an index in the repository.
    ReferencedByIndex,
    /// The tag was restored to the image that it named before its first owner.
    Restored,
    /// The tag was kept, because another client has pushed another image under it.
    Overwritten,
    /// The settings keep every image.
    DeletionDisabled,
    /// The tag was kept, because it has other owners.
    OtherOwners,
    /// The resource does not own the tag.
    NotOwned,
    /// A later event of the resource was processed.
    Superseded,
    /// The image was kept, because the state is unknown.
    StateUnknown,
}

impl DeleteOutcome {
    /// Returns true if the tag no longer names a copy of its last owner.
    pub(crate) fn is_deleted(self) -> bool {
        matches!(self, Self::Deleted | Self::Restored)
    }
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
    /// The digest of the tag, if the tag is to be deleted.
    pub(crate) tagged: Option<Digest>,
    /// Recorded copies. Those without a tag are deleted.
    pub(crate) copies: Vec<Digest>,
    /// Child manifests. Those without a tag and without another index are deleted.
    pub(crate) children: Vec<Digest>,
}

/// The image repository.
pub(crate) trait ImageRepository: Sync {
    /// Reads the image that the tag names. Without a tag, returns `None`.
    fn tagged_image(&self) -> impl Future<Output = Result<Option<TaggedImage>, Error>> + Send;

    /// Puts the tag on the first of these images that the repository has, unless the tag already names it.
    /// Returns false if it has none, or if ECR rejects the change.
    fn set_tag(
        &self,
        current: Option<&Digest>,
        images: &[Digest],
    ) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Deletes tag and images. Returns false if the tag was kept because the image belongs to an index.
    fn delete_images(&self, plan: &DeletionPlan) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Returns the key of the item of an image without a tag.
    fn image_by_digest(&self, digest: &Digest) -> String;
}

/// Runs a Delete.
///
/// # Errors
/// [`Failure::NotDeleted`] if ECR rejected a call; [`Failure::TagBusy`]. A repeated Delete continues where
/// this one stopped.
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
    let mut stored_item = state.read(image).await?;
    loop {
        let item = stored_item.unwrap_or_else(|| TagState::new(image));
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
            stored_item = state.read(image).await?;
            continue;
        }
        let next = if is_owner { state.with_lease(item) } else { item.without_owner(owner, event.time) };
        let leased = match state.write(&next).await? {
            WriteOutcome::Conflict(found) => {
                stored_item = found;
                continue;
            }
            WriteOutcome::Written(_) if !is_owner => return Ok(Ok(DeleteOutcome::NotOwned)),
            WriteOutcome::Written(leased) => leased,
        };
        let result = state.under_lease(delete_under_lease(event, state, images, &leased)).await;
        let outcome = match result {
            Some(Ok(outcome)) => outcome,
            Some(Err(cause)) => {
                state.release(leased).await;
                let failed = NotDeleted { image: image.clone(), cause };
                return Ok(Err(Failure::NotDeleted(Box::new(failed))));
            }
            None => return Ok(Err(Failure::LeaseEnded { image: image.clone() })),
        };
        write_without_owner(event, state, leased).await;
        return Ok(Ok(outcome));
    }
}

/// Writes the item without the owner and without the lease.
async fn write_without_owner<S: Store>(event: &DeleteEvent, state: &EventState<S>, leased: TagState) {
    let next = match event.reason {
        DeleteReason::ResourceDeleted => leased.without_owner(&event.owner, event.time),
        DeleteReason::CopyFailed => leased.without_failed_owner(&event.owner),
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
    leased: &TagState,
) -> Result<DeleteOutcome, Error> {
    let tagged_image = images.tagged_image().await?;
    let tagged = tagged_image.as_ref().map(|image| &image.digest);
    let remaining = leased.clone().without_failed_owner(&event.owner);
    if !remaining.owners.is_empty() {
        let is_own = |digest: &&Digest| {
            leased.copies_of(&event.owner).any(|copy| copy.digest == **digest)
                || leased.replaced.as_ref() == Some(digest)
        };
        if tagged.is_some_and(|digest| is_own(&digest)) {
            images.set_tag(tagged, &remaining.owned_digests()).await?;
        }
        return Ok(DeleteOutcome::OtherOwners);
    }
    let is_recorded = tagged.is_some_and(|digest| leased.has_copy(digest));
    let is_ours = tagged.is_none() || is_recorded || tagged == leased.replaced.as_ref();
    let restored = match &leased.replaced {
        Some(replaced) if is_ours => images.set_tag(tagged, std::slice::from_ref(replaced)).await?,
        _ => false,
    };
    if !event.delete_images {
        return Ok(if restored { DeleteOutcome::Restored } else { DeleteOutcome::DeletionDisabled });
    }
    let plan =
        plan_deletion(state, images, leased, tagged_image.as_ref().filter(|_| is_recorded && !restored))
            .await;
    let is_tag_deleted = images.delete_images(&plan).await?;
    Ok(match tagged {
        _ if restored => DeleteOutcome::Restored,
        _ if !is_tag_deleted => DeleteOutcome::ReferencedByIndex,
        Some(_) if !is_recorded => DeleteOutcome::Overwritten,
        None if plan == DeletionPlan::default() => DeleteOutcome::NotFound,
        _ => DeleteOutcome::Deleted,
    })
}

/// Returns everything that is recorded for the tag, except images that others need. `tagged` is the image
/// that the tag names, if the tag is to be deleted.
async fn plan_deletion<S: Store, I: ImageRepository>(
    state: &EventState<S>,
    images: &I,
    leased: &TagState,
    tagged: Option<&TaggedImage>,
) -> DeletionPlan {
    let tagged_digest = tagged.map(|image| &image.digest);
    let mut plan = DeletionPlan { tagged: tagged_digest.cloned(), ..DeletionPlan::default() };
    for digest in leased.copies.iter().map(|copy| &copy.digest) {
        let is_known = Some(digest) == tagged_digest || plan.copies.contains(digest);
        if is_known || leased.replaced.as_ref() == Some(digest) {
            continue;
        }
        let by_digest = images.image_by_digest(digest);
        // Another resource can have stored the same image without a tag. If that is unknown, the image is
        // kept.
        let is_unowned = by_digest == leased.image
            || state.read(&by_digest).await.is_ok_and(|item| item.is_none_or(|item| item.owners.is_empty()));
        if is_unowned {
            plan.copies.push(digest.clone());
        }
    }
    let children = tagged.into_iter().flat_map(|image| &image.children);
    let recorded = leased.children.iter().filter(|(index, _)| leased.replaced.as_ref() != Some(index));
    for child in children.chain(recorded.flat_map(|(_, children)| children)) {
        if !plan.children.contains(child) {
            plan.children.push(child.clone());
        }
    }
    plan
}
