//! Delete, and the cleanup after a copy that failed.

pub(crate) mod lifecycle;
mod referrers;

use image_copy::copy::{Inventory as _, PlatformSelection};
use image_copy::oci::{Digest, Manifest, Reference, Tag};
use image_copy::registry::{Error, ManifestId};
use image_copy_aws::{EcrRepository, InvalidProperty, Properties, RepositoryArn, TagDeletion};
use serde_json::Value;

use crate::catch::catch_panic_or_timeout;
use crate::context::EventContext;
use crate::event_state::{EventState, StateUse, Store};
use crate::failure::Failure;
use crate::input::resource::{CREATE_FAILED, Resource};
use lifecycle::{DeleteEvent, DeleteOutcome, DeleteReason, DeletionPlan, ImageRepository, TaggedImage};
use referrers::Referrers;

/// Result of a Delete, successful or not.
pub(crate) struct DeleteReport {
    pub(crate) result: Result<DeleteOutcome, Failure>,
    pub(crate) state: StateUse,
}

/// An image in ECR, as named in physical IDs and in items of the state table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImageName {
    repository: RepositoryArn,
    image: ManifestId,
}

impl ImageName {
    /// Parses a physical ID in exactly the format of Create. Returns `None` for other IDs, such as
    /// `create-failed`, or IDs that CloudFormation generates for a Create without a response.
    pub(crate) fn parse(id: &str) -> Option<Self> {
        let reference: Reference = id.parse().ok()?;
        if reference.to_string() != id {
            return None;
        }
        let repository = RepositoryArn::from_repository(&reference.repository)?;
        let image = match (reference.tag, reference.digest) {
            (Some(tag), None) => ManifestId::Tag(tag),
            (None, Some(digest)) => ManifestId::Digest(digest),
            _ => return None,
        };
        Some(Self { repository, image })
    }

    /// Returns the image of these properties. `None` if its digest is unknown without the source.
    fn of_properties(properties: &Properties) -> Option<Self> {
        let digest = properties.source.digest.clone();
        let image = match &properties.tag {
            Some(tag) => ManifestId::Tag(tag.clone()),
            None if properties.keeps_digest() => ManifestId::Digest(digest?),
            None => return None,
        };
        Some(Self { repository: properties.repository.clone(), image })
    }

    /// Returns the key of the item.
    fn key(&self) -> String {
        let repository = self.repository.repository();
        match &self.image {
            ManifestId::Tag(tag) => repository.with_tag(tag.clone()).to_string(),
            ManifestId::Digest(digest) => repository.with_digest(digest.clone()).to_string(),
        }
    }
}

/// Returns the key of the image of these properties. `None` if they are invalid, or if the digest of an image
/// without a tag is unknown without the source.
pub(crate) fn image_key(properties: &Value, context: &EventContext<'_>) -> Option<String> {
    ImageName::of_properties(&parse_properties(properties, context)?).map(|image| image.key())
}

/// Error of properties whose image cannot be found without the source.
pub(crate) const TAG_MISSING: &str = "Tag is missing: expected a tag, because a delete must name the image";

/// Checks that the properties are valid and name an image that a Delete can find.
///
/// # Errors
/// The first invalid property, or [`TAG_MISSING`].
pub(crate) fn check(properties: &Value, context: &EventContext<'_>) -> Result<(), InvalidProperty> {
    let properties = Properties::parse(properties, &Value::Null, &default_platforms(context))?;
    ImageName::of_properties(&properties).map(|_| ()).ok_or(InvalidProperty::Missing(TAG_MISSING))
}

/// Runs a Delete.
pub(crate) async fn delete(properties: &Value, context: &EventContext<'_>) -> DeleteReport {
    let properties = parse_properties(properties, context);
    let image = match ImageName::parse(&context.resource.physical_id) {
        None if is_failed_create(context.resource) => properties.as_ref().and_then(ImageName::of_properties),
        image => image,
    };
    let state = context.state(context.deadlines.work);
    let result = match image {
        None => Ok(DeleteOutcome::NotFound),
        Some(image) => {
            let removal = remove_owner(&image, DeleteReason::ResourceDeleted, properties, &state, context);
            catch_panic_or_timeout(removal, &context.deadlines).await
        }
    };
    DeleteReport { result, state: state.table_use() }
}

/// Returns true if the physical ID is of a Create that failed or never responded. In the second case,
/// CloudFormation generates an ID from the stack's name, the logical ID and random characters.
fn is_failed_create(resource: &Resource) -> bool {
    let id = &resource.physical_id;
    let is_generated = id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        && id.contains(&format!("-{}-", resource.logical_id));
    id == CREATE_FAILED || is_generated
}

/// Cleans up after a failed copy: removes the resource from the owners of the item `registered`, to which the
/// event has added it. An Update of this image keeps it.
pub(crate) async fn clean_up(registered: &str, properties: &Value, context: &EventContext<'_>) {
    let until = context.deadlines.clean_up;
    let is_kept = registered == context.resource.physical_id;
    let Some(image) = ImageName::parse(registered).filter(|_| !is_kept) else { return };
    let state = context.state(until);
    let removal = remove_owner(
        &image,
        DeleteReason::CopyFailed,
        parse_properties(properties, context),
        &state,
        context,
    );
    match tokio::time::timeout_at(until, removal).await {
        Ok(Ok(_)) => {}
        Ok(Err(failure)) => {
            tracing::warn!(?failure, image = registered, "the cleanup after a failed copy failed");
        }
        Err(_) => tracing::warn!(image = registered, "the cleanup after a failed copy took too long"),
    }
}

/// Removes the resource from the owners of an image.
async fn remove_owner<S: Store>(
    image: &ImageName,
    reason: DeleteReason,
    properties: Option<Properties>,
    state: &EventState<S>,
    context: &EventContext<'_>,
) -> Result<DeleteOutcome, Failure> {
    let event = DeleteEvent {
        image: image.key(),
        owner: context.resource.owner.clone(),
        time: context.continuation.event_time(),
        delete_images: context.clients.settings.delete_images,
        reason,
    };
    let until = match reason {
        DeleteReason::ResourceDeleted => context.deadlines.work,
        DeleteReason::CopyFailed => context.deadlines.clean_up,
    };
    let images = EcrImageRepository {
        repository: context.clients.ecr.repository(&image.repository, Some(until)),
        name: image,
        include_referrers: properties.is_some_and(|properties| properties.include_referrers),
    };
    lifecycle::run(&event, state, &images).await
}

/// Parses the properties that a Delete needs. Errors in them do not fail it.
fn parse_properties(properties: &Value, context: &EventContext<'_>) -> Option<Properties> {
    Properties::parse(properties, properties, &default_platforms(context)).ok()
}

fn default_platforms(context: &EventContext<'_>) -> PlatformSelection {
    let copy = context.clients.settings.copy.as_ref();
    copy.map_or(PlatformSelection::All, |copy| copy.default_platforms.clone())
}

/// The image repository for one item.
struct EcrImageRepository<'a> {
    repository: EcrRepository,
    name: &'a ImageName,
    include_referrers: bool,
}

impl EcrImageRepository<'_> {
    fn tag(&self) -> Option<&Tag> {
        match &self.name.image {
            ManifestId::Tag(tag) => Some(tag),
            ManifestId::Digest(_) => None,
        }
    }

    /// Reads manifests. A missing repository has none.
    async fn manifests(&self, ids: &[ManifestId]) -> Result<Vec<Option<Manifest>>, Error> {
        match self.repository.manifests(ids).await {
            Err(error) if error.has_code("RepositoryNotFoundException") => Ok(Vec::new()),
            manifests => manifests,
        }
    }
}

impl ImageRepository for EcrImageRepository<'_> {
    async fn tagged_image(&self) -> Result<Option<TaggedImage>, Error> {
        let Some(tag) = self.tag() else { return Ok(None) };
        let found = self.manifests(&[ManifestId::Tag(tag.clone())]).await?;
        Ok(found.into_iter().flatten().next().map(|manifest| TaggedImage {
            children: manifest.children().iter().map(|child| child.digest.clone()).collect(),
            digest: manifest.digest,
        }))
    }

    async fn set_tag(&self, current: Option<&Digest>, images: &[Digest]) -> Result<bool, Error> {
        let ids: Vec<ManifestId> = images.iter().cloned().map(ManifestId::Digest).collect();
        if ids.is_empty() {
            return Ok(false);
        }
        let Some(manifest) = self.manifests(&ids).await?.into_iter().flatten().next() else {
            return Ok(false);
        };
        let Some(tag) = self.tag() else { return Ok(true) };
        if current == Some(&manifest.digest) {
            return Ok(true);
        }
        match self.repository.ensure_tag(&manifest, tag).await {
            Ok(()) => {
                let old = current.map(ToString::to_string);
                tracing::info!(tag = tag.as_str(), old, new = %manifest.digest, "tag restored");
                Ok(true)
            }
            // The tag is immutable, or a lifecycle rule has deleted content of the image.
            Err(error) if is_expected_rejection(&error) => {
                tracing::warn!(%error, tag = tag.as_str(), "the tag cannot be restored and is kept");
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    async fn delete_images(&self, plan: &DeletionPlan) -> Result<bool, Error> {
        let subjects = plan.tagged.iter().chain(&plan.copies).chain(&plan.children);
        let referrers = match self.include_referrers {
            true => Referrers::list(subjects.cloned().collect(), &self.repository).await,
            false => Referrers::default(),
        };
        let removed = match (self.tag(), &plan.tagged) {
            (Some(tag), Some(_)) => self.repository.delete_tag(tag).await?,
            _ => TagDeletion::NotFound,
        };
        let candidates: Vec<Digest> = plan.copies.iter().chain(&plan.children).cloned().collect();
        let untagged = self.repository.filter_untagged(&candidates).await?;
        let (copies, children): (Vec<Digest>, Vec<Digest>) =
            untagged.into_iter().partition(|digest| plan.copies.contains(digest));
        self.repository.delete_images(&copies).await?;
        self.repository.delete_images(&children).await?;
        referrers.delete(&self.repository).await;
        Ok(removed != TagDeletion::ReferencedByIndex)
    }

    fn image_by_digest(&self, digest: &Digest) -> String {
        self.name.repository.repository().with_digest(digest.clone()).to_string()
    }
}

fn is_expected_rejection(error: &Error) -> bool {
    ["ImageTagAlreadyExistsException", "LayersNotFoundException", "ReferencedImagesNotFoundException"]
        .iter()
        .any(|code| error.has_code(code))
}

#[cfg(test)]
mod tests;
