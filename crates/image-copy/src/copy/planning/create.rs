//! Turns a [`Request`] and a [`CurrentState`] into a [`Plan`].
//!
//! The plan is empty if the destination has the image under its tag.

use std::time::Duration;

use tokio::time::Instant;

use super::current_state::CurrentState;
use super::customized::{ChangedImage, customize_images};
use super::earlier_copy;
use super::manifest_reader::{Descendants, LocatedManifest, ManifestReader};
use super::missing_blobs::missing_blobs;
use super::plan::{Plan, TargetImage, tag_change};
use super::platforms::platforms_of;
use super::select::{image_children, image_for_platform, platform_count, select_children};
use crate::copy::deadline::with_deadline;
use crate::copy::destination::Destination;
use crate::copy::reporting::{Error, Failure, Operation, Progress, TagChange};
use crate::copy::request::{PlatformSelection, Request};
use crate::copy::source::Source;
use crate::customize::Customization;
use crate::oci::{Digest, Manifest, Platform};

/// Plans the copy. Does not read again the manifests in `state`.
///
/// # Errors
/// If the source or the destination cannot be read, or if the destination would reject the image.
pub async fn plan(
    request: &Request,
    state: &CurrentState,
    source: &Source,
    destination: &Destination,
) -> Result<Plan, Error> {
    let started = Instant::now();
    let elapsed = || state.elapsed + started.elapsed();
    let reader = ManifestReader { request, current: &state.manifests, source, destination };
    let planning = build_plan(&reader, state, &elapsed);
    with_deadline(source.deadline(), request, (source, destination), planning, || {
        (Progress::default(), elapsed())
    })
    .await
}

async fn build_plan(
    reader: &ManifestReader<'_>,
    state: &CurrentState,
    elapsed: impl Fn() -> Duration,
) -> Result<Plan, Error> {
    let ManifestReader { request, destination, .. } = reader;
    let source_digest = state.source_digest.clone();
    let matching = request.earlier_copies.iter().find(|copy| copy.matches(&source_digest, request));
    if let Some(copy) = matching
        && let Some(existing) = earlier_copy::find_complete(reader, copy).await?
    {
        let (root, descendants) = (existing.root, existing.descendants);
        let tag = check_tag(reader, state, &root.manifest.digest).await?;
        let platforms = match copy.platforms.as_slice() {
            [] => platforms_of(reader, &root, None, &descendants.read).await?,
            recorded => recorded.to_vec(),
        };
        let target = TargetImage {
            source_digest,
            root,
            descendants,
            platforms,
            source_platform_count: None,
            tag,
            customized: None,
        };
        return Ok(target.into_plan(request, Vec::new(), existing.progress, elapsed()));
    }
    let top = reader.read_root(&source_digest).await?;
    let source_platform_count = platform_count(&top.manifest);
    let (root, platform) = select_root(reader, top).await?;
    let root = reader.with_sha256_digest(root).await?;
    if let Some(customization) = &request.customization {
        let base = SelectedImage { source_digest, root, platform, source_platform_count };
        return plan_customized(reader, state, customization, base, &elapsed).await;
    }
    let tag = check_tag(reader, state, &root.manifest.digest).await?;
    let descendants = reader.read_descendants(&root).await?;
    for found in descendants.read.iter().chain([&root]).filter(|found| !found.at_destination) {
        check_storable(request, destination, &found.manifest)?;
    }
    let platforms = platforms_of(reader, &root, platform, &descendants.read).await?;
    let manifests = descendants.read.iter().chain([&root]);
    let (blobs, progress) = missing_blobs(request, destination, manifests).await?;
    let target = TargetImage {
        source_digest,
        root,
        descendants,
        platforms,
        source_platform_count,
        tag,
        customized: None,
    };
    Ok(target.into_plan(request, blobs, progress, elapsed()))
}

/// The part of the source to copy.
struct SelectedImage {
    source_digest: Digest,
    root: LocatedManifest,
    /// Platform of the root, if an index states it.
    platform: Option<Platform>,
    source_platform_count: Option<usize>,
}

/// Plans the copy of a changed image. The tag is compared with the changed root.
async fn plan_customized(
    reader: &ManifestReader<'_>,
    state: &CurrentState,
    customization: &Customization,
    base: SelectedImage,
    elapsed: impl Fn() -> Duration,
) -> Result<Plan, Error> {
    let ManifestReader { request, destination, .. } = reader;
    let SelectedImage { source_digest, root, platform, source_platform_count } = base;
    // A destination with the base must not hide its children: each one is read and changed.
    let root = LocatedManifest { at_destination: false, ..root };
    let descendants = reader.read_descendants(&root).await?;
    let platforms = platforms_of(reader, &root, platform, &descendants.read).await?;
    let (changed, customized) =
        customize_images(reader, customization, &source_digest, root, descendants.read).await?;
    let ChangedImage { root, descendants } = changed;
    let tag = check_tag(reader, state, &root.manifest.digest).await?;
    for found in descendants.iter().chain([&root]).filter(|found| !found.at_destination) {
        check_storable(request, destination, &found.manifest)?;
    }
    let (blobs, progress) = missing_blobs(request, destination, descendants.iter().chain([&root])).await?;
    let target = TargetImage {
        source_digest,
        root,
        descendants: Descendants { read: descendants, unread: Vec::new() },
        platforms,
        source_platform_count,
        tag,
        customized: Some(customized),
    };
    Ok(target.into_plan(request, blobs, progress, elapsed()))
}

/// Returns the change of the tag. Fails if an immutable tag names another image. The destination's settings
/// are read only if the tag names another image.
async fn check_tag(
    reader: &ManifestReader<'_>,
    state: &CurrentState,
    wanted: &Digest,
) -> Result<TagChange, Error> {
    let request = reader.request;
    let current = state.tagged.as_ref().map(|manifest| manifest.digest.clone());
    let tag = tag_change(request.tag.as_ref(), current, wanted);
    if let TagChange::Moved { from: Some(existing) } = &tag {
        let settings = reader.destination.inventory.settings(request.tag.as_ref()).await;
        let settings =
            settings.map_err(|cause| request.destination_failure(Operation::ReadSettings, cause))?;
        if settings.tag_is_immutable == Some(true) {
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
async fn select_root(
    reader: &ManifestReader<'_>,
    top: LocatedManifest,
) -> Result<(LocatedManifest, Option<Platform>), Error> {
    let wanted = match &reader.request.platforms {
        PlatformSelection::All => return Ok((top, None)),
        PlatformSelection::Several(wanted) => {
            let root = match top.manifest.is_index() {
                true => select_platforms(reader, top, wanted).await?,
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
        return Ok((reader.read_child(child).await?, platform));
    }
    // Some indexes list the images in nested indexes.
    for found in reader.read_descendants(&top).await?.read.iter().filter(|found| found.manifest.is_index()) {
        if let Some(child) = image_for_platform(&found.manifest, wanted) {
            return Ok((reader.read_child(child).await?, child.platform.clone()));
        }
    }
    Err(no_platform(reader, &top.manifest, wanted))
}

/// Returns an index with only the images for `wanted`. If the source's index has no other images, returns
/// it unchanged.
async fn select_platforms(
    reader: &ManifestReader<'_>,
    top: LocatedManifest,
    wanted: &[Platform],
) -> Result<LocatedManifest, Error> {
    let root = match select_children(&top.manifest, wanted) {
        Ok(root) => root,
        Err(missing) => return Err(no_platform(reader, &top.manifest, &missing)),
    };
    match root {
        None => Ok(top),
        Some(root) => {
            let at_destination = reader.exists_at_destination(&root.digest).await?;
            Ok(LocatedManifest { manifest: root, at_destination })
        }
    }
}

fn no_platform(reader: &ManifestReader<'_>, index: &Manifest, wanted: &Platform) -> Error {
    let available = image_children(index).filter_map(|child| child.platform.clone()).collect();
    let (subject, wanted) = (reader.request.source.to_string(), wanted.clone());
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
