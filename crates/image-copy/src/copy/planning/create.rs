//! Turns a [`Request`] and a [`CurrentState`] into a [`Plan`].
//!
//! The plan for an image that the destination holds under its tag is empty.

use std::time::Duration;

use tokio::time::Instant;

use super::current_state::CurrentState;
use super::earlier_copy;
use super::manifest_reader::{Found, Walk};
use super::missing::missing_blobs;
use super::plan::{Plan, TargetImage, tag_change};
use super::platforms::platforms_of;
use super::select::{image_children, image_for_platform, offered, selection};
use crate::copy::deadline::with_deadline;
use crate::copy::destination::Destination;
use crate::copy::reporting::{Error, Failure, Operation, Progress, TagChange};
use crate::copy::request::{PlatformSelection, Request};
use crate::copy::source::Source;
use crate::oci::{Digest, Manifest, Platform};

/// Plans the copy with the results of a survey, which are not read again.
///
/// # Errors
/// If the source or the destination cannot be read, or if the result could not be stored.
pub async fn plan(
    request: &Request,
    survey: &CurrentState,
    source: &Source,
    destination: &Destination,
) -> Result<Plan, Error> {
    let started = Instant::now();
    let elapsed = || survey.elapsed + started.elapsed();
    let walk = Walk { request, surveyed: &survey.manifests, source, destination };
    let planning = build(&walk, survey, &elapsed);
    with_deadline(source.deadline(), request, (source, destination), planning, || {
        (Progress::default(), elapsed())
    })
    .await
}

async fn build(
    walk: &Walk<'_>,
    survey: &CurrentState,
    elapsed: impl Fn() -> Duration,
) -> Result<Plan, Error> {
    let Walk { request, destination, .. } = walk;
    let source_digest = survey.source_digest.clone();
    let fitting = request
        .earlier_copies
        .iter()
        .find(|known| known.source_digest == source_digest && known.requested == request.platforms);
    if let Some(known) = fitting
        && let Some(held) = earlier_copy::held_whole(walk, known).await?
    {
        let (root, below) = (held.root, held.below);
        let tag = movable_tag(walk, survey, &root.manifest.digest).await?;
        let platforms = match known.platforms.as_slice() {
            [] => platforms_of(walk, &root, None, &below.read).await?,
            remembered => remembered.to_vec(),
        };
        let target = TargetImage { source_digest, root, below, platforms, source_platform_count: None, tag };
        return Ok(target.plan(request, Vec::new(), held.progress, elapsed()));
    }
    let top = walk.root(&source_digest).await?;
    let source_platform_count = offered(&top.manifest);
    let (root, platform) = choose(walk, top).await?;
    let root = walk.as_root(root).await?;
    let tag = movable_tag(walk, survey, &root.manifest.digest).await?;
    let below = walk.below(&root).await?;
    for found in below.read.iter().chain([&root]).filter(|found| !found.held) {
        check_storable(request, destination, &found.manifest)?;
    }
    let platforms = platforms_of(walk, &root, platform, &below.read).await?;
    let manifests = below.read.iter().chain([&root]);
    let (blobs, progress) = missing_blobs(request, destination, manifests).await?;
    let target = TargetImage { source_digest, root, below, platforms, source_platform_count, tag };
    Ok(target.plan(request, blobs, progress, elapsed()))
}

/// Returns the tag's change. Fails if an immutable tag names another image. The destination's settings
/// are read only in that case.
async fn movable_tag(walk: &Walk<'_>, survey: &CurrentState, wanted: &Digest) -> Result<TagChange, Error> {
    let request = walk.request;
    let named = survey.tagged.as_ref().map(|manifest| manifest.digest.clone());
    let tag = tag_change(request.tag.as_ref(), named, wanted);
    if let TagChange::Moved { from: Some(existing) } = &tag {
        let facts = walk.destination.inventory.settings(request.tag.as_ref()).await;
        let facts = facts.map_err(|cause| request.destination_failure(Operation::ReadSettings, cause))?;
        if facts.tag_is_immutable == Some(true) {
            return Err(Box::new(Failure::TagImmutable {
                subject: request.destination_name(),
                existing: existing.clone(),
                wanted: wanted.clone(),
            }));
        }
    }
    Ok(tag)
}

/// Returns the manifest to push, and its platform if an index states it.
async fn choose(walk: &Walk<'_>, top: Found) -> Result<(Found, Option<Platform>), Error> {
    let wanted = match &walk.request.platforms {
        PlatformSelection::All => return Ok((top, None)),
        PlatformSelection::Several(wanted) => {
            let root = match top.manifest.is_index() {
                true => selected(walk, top, wanted).await?,
                false => top,
            };
            return Ok((root, None));
        }
        PlatformSelection::One(platform) | PlatformSelection::Preferred(platform) => platform,
    };
    if !top.manifest.is_index() {
        return Ok((top, None));
    }
    if let Some(child) = image_for_platform(&top.manifest, wanted) {
        let platform = child.platform.clone();
        return Ok((walk.child(child).await?, platform));
    }
    // Rarely, the images are listed in indexes within the index.
    for found in walk.below(&top).await?.read.iter().filter(|found| found.manifest.is_index()) {
        if let Some(child) = image_for_platform(&found.manifest, wanted) {
            return Ok((walk.child(child).await?, child.platform.clone()));
        }
    }
    Err(no_platform(walk, &top.manifest, wanted))
}

/// Returns an index with only the images for `wanted`. If the source's index has no others, returns it
/// unchanged.
async fn selected(walk: &Walk<'_>, top: Found, wanted: &[Platform]) -> Result<Found, Error> {
    let root = match selection(&top.manifest, wanted) {
        Ok(root) => root,
        Err(missing) => return Err(no_platform(walk, &top.manifest, &missing)),
    };
    match root {
        None => Ok(top),
        Some(root) => {
            let held = walk.holds(&root.digest).await?;
            Ok(Found { manifest: root, held })
        }
    }
}

fn no_platform(walk: &Walk<'_>, index: &Manifest, wanted: &Platform) -> Error {
    let available = image_children(index).filter_map(|child| child.platform.clone()).collect();
    let (subject, wanted) = (walk.request.source.to_string(), wanted.clone());
    Box::new(Failure::NoPlatform { subject, wanted, available })
}

fn check_storable(request: &Request, destination: &Destination, manifest: &Manifest) -> Result<(), Error> {
    match destination.inventory.rejection_reason(manifest) {
        None => Ok(()),
        Some(reason) => {
            let subject = request.source.repository.with_digest(manifest.digest.clone()).to_string();
            Err(Box::new(Failure::NotStorable { subject, reason }))
        }
    }
}
