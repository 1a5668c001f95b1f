//! Turns a [`Request`] into a [`Plan`]: which blobs and manifests to copy, and in what order.
//!
//! Planning only reads. It asks the destination what it holds, so a plan for an image that is up to
//! date is empty, and costs the source one HEAD, or nothing when the reference carries a digest.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::select::{image_for, images};
use super::walk::{Found, Walk};
use super::{Destination, Error, Failure, Operation, Platforms, Progress, Request, Side, TagMove};
use crate::oci::{Descriptor, Digest, Manifest, Platform, media_type};
use crate::registry::{ManifestId, Repository};

/// Largest image config read into memory, in bytes.
const MAX_CONFIG_BYTES: u64 = 4 * 1024 * 1024;

/// What has to be done for one request. Empty when nothing has.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What was asked for.
    pub request: Request,
    /// What the source reference names: of an index, also when one platform of it is copied.
    pub source_digest: Digest,
    /// What is to carry the tag.
    pub root: Manifest,
    /// Whether the destination has the root already, so that only its tag may have to move.
    pub root_held: bool,
    /// Manifests to write before the root. Every one stands after those that it refers to.
    pub manifests: Vec<Manifest>,
    /// Blobs to copy, each once, largest first.
    pub blobs: Vec<Descriptor>,
    /// Platforms in the root, attestations left out.
    pub platforms: Vec<Platform>,
    /// What is to become of the tag.
    pub tag: TagMove,
    /// All blobs of the image, and those that the destination has.
    pub progress: Progress,
    /// Time spent so far.
    pub elapsed: Duration,
}

/// Finds out what has to be done.
///
/// # Errors
/// When the source or the destination cannot be read, or when the outcome could not be stored.
pub async fn plan(request: &Request, source: &Repository, destination: &Destination) -> Result<Plan, Error> {
    let started = Instant::now();
    let planning = build(request, source, destination, started);
    match source.deadline() {
        None => planning.await,
        Some(deadline) => tokio::time::timeout_at(deadline, planning).await.unwrap_or_else(|_| {
            let (subject, elapsed) = (request.source.to_string(), started.elapsed());
            Err(Box::new(Failure::Deadline { subject, progress: Progress::default(), elapsed }))
        }),
    }
}

async fn build(
    request: &Request,
    source: &Repository,
    destination: &Destination,
    started: Instant,
) -> Result<Plan, Error> {
    let walk = Walk { request, source, destination };
    let facts = destination.inventory.facts(request.tag.as_ref()).await;
    let facts = facts.map_err(|cause| destination_failure(request, Operation::Inspect, cause))?;
    let (source_digest, known) = resolve(request, source).await?;
    let (top, tag_names) = walk.root(&source_digest, known).await?;
    let (root, platform) = choose(&walk, top).await?;
    let tag = match (&request.tag, tag_names) {
        (None, _) => TagMove::Untagged,
        (Some(_), Some(digest)) if digest == root.manifest.digest => TagMove::Unchanged,
        (Some(_), from) => TagMove::Moved { from },
    };
    if let (TagMove::Moved { from: Some(existing) }, Some(true)) = (&tag, facts.tag_is_immutable) {
        let (existing, wanted) = (existing.clone(), root.manifest.digest.clone());
        return Err(Box::new(Failure::TagImmutable {
            subject: request.destination_name(),
            existing,
            wanted,
        }));
    }
    let below = walk.below(&root.manifest).await?;
    let everything = || below.iter().chain([&root]);
    for found in everything().filter(|found| !found.held) {
        check_storable(request, destination, &found.manifest)?;
    }
    let platforms = match platform {
        Some(platform) => vec![platform],
        None if root.manifest.is_index() => listed_platforms(everything().map(|found| &found.manifest)),
        None => own_platform(&walk, &root).await?.into_iter().collect(),
    };
    let (blobs, progress) =
        missing_blobs(request, destination, everything().map(|found| &found.manifest)).await?;
    Ok(Plan {
        request: request.clone(),
        source_digest,
        root: root.manifest,
        root_held: root.held,
        manifests: below.into_iter().filter(|found| !found.held).map(|found| found.manifest).collect(),
        blobs,
        platforms,
        tag,
        progress,
        elapsed: started.elapsed(),
    })
}

/// The digest that the source reference names. A digest in the reference is taken at its word: it
/// costs no request, and works while the source is down.
async fn resolve(request: &Request, source: &Repository) -> Result<(Digest, Option<Manifest>), Error> {
    let reference = &request.source;
    match (&reference.digest, &reference.tag) {
        (Some(digest), _) => Ok((digest.clone(), None)),
        (None, Some(tag)) => {
            let head = source.head_manifest(&ManifestId::Tag(tag.clone())).await;
            let head = head.map_err(|cause| {
                Failure::registry(Side::Source, Operation::ReadManifest, reference.to_string(), cause)
            })?;
            Ok((head.digest, head.manifest))
        }
        (None, None) => unreachable!("a reference has a tag or a digest"),
    }
}

/// The manifest that is to be pushed, and its platform where an index says it.
async fn choose(walk: &Walk<'_>, top: Found) -> Result<(Found, Option<Platform>), Error> {
    let wanted = match &walk.request.platforms {
        Platforms::All => return Ok((top, None)),
        Platforms::One(platform) | Platforms::Preferred(platform) => platform,
    };
    if !top.manifest.is_index() {
        return Ok((top, None));
    }
    if let Some(child) = image_for(&top.manifest, wanted) {
        let platform = child.platform.clone();
        return Ok((walk.child(child).await?, platform));
    }
    // Rarely, the images are listed in indexes within the index.
    for found in walk.below(&top.manifest).await?.iter().filter(|found| found.manifest.is_index()) {
        if let Some(child) = image_for(&found.manifest, wanted) {
            return Ok((walk.child(child).await?, child.platform.clone()));
        }
    }
    let available = images(&top.manifest).filter_map(|child| child.platform.clone()).collect();
    let (subject, wanted) = (walk.request.source.to_string(), wanted.clone());
    Err(Box::new(Failure::NoPlatform { subject, wanted, available }))
}

fn check_storable(request: &Request, destination: &Destination, manifest: &Manifest) -> Result<(), Error> {
    match destination.inventory.objection(manifest) {
        None => Ok(()),
        Some(objection) => {
            let subject = request.source.repository.with_digest(manifest.digest.clone()).to_string();
            Err(Box::new(Failure::NotStorable { subject, objection }))
        }
    }
}

fn listed_platforms<'a>(manifests: impl Iterator<Item = &'a Manifest>) -> Vec<Platform> {
    let mut platforms = Vec::new();
    for platform in manifests.flat_map(images).filter_map(|child| child.platform.as_ref()) {
        if !platforms.iter().any(|known: &Platform| known.to_string() == platform.to_string()) {
            platforms.push(platform.clone());
        }
    }
    platforms
}

/// The platform of an image that no index lists: only its config tells. Read at the destination when
/// that has it, so that an image can be put back while the source is down.
async fn own_platform(walk: &Walk<'_>, root: &Found) -> Result<Option<Platform>, Error> {
    let Some(config) = root.manifest.blobs().next().filter(|config| is_image_config(config)) else {
        return Ok(None);
    };
    let subject = || walk.request.source.to_string();
    let mut text = None;
    if root.held {
        text = walk.destination.repository.get_blob(config, MAX_CONFIG_BYTES).await.ok();
    }
    let text = match text {
        Some(text) => text,
        None => walk
            .source
            .get_blob(config, MAX_CONFIG_BYTES)
            .await
            .map_err(|cause| Failure::registry(Side::Source, Operation::ReadBlob, subject(), cause))?,
    };
    let platform: Option<Platform> =
        serde_json::from_slice(&text).ok().filter(|found: &Platform| !found.is_unknown());
    match (&walk.request.platforms, platform) {
        (Platforms::One(wanted), Some(platform)) if !platform.satisfies(wanted) => {
            let (wanted, available) = (wanted.clone(), vec![platform]);
            Err(Box::new(Failure::NoPlatform { subject: subject(), wanted, available }))
        }
        (Platforms::Preferred(wanted), Some(platform)) if !platform.satisfies(wanted) => {
            tracing::warn!(%platform, preferred = %wanted, "the source is a single image for another platform");
            Ok(Some(platform))
        }
        (_, platform) => Ok(platform),
    }
}

fn is_image_config(config: &Descriptor) -> bool {
    matches!(config.media_type.as_str(), media_type::OCI_CONFIG | media_type::DOCKER_CONFIG)
}

async fn missing_blobs(
    request: &Request,
    destination: &Destination,
    manifests: impl Iterator<Item = &Manifest>,
) -> Result<(Vec<Descriptor>, Progress), Error> {
    let all: HashMap<Digest, &Descriptor> =
        manifests.flat_map(Manifest::blobs).map(|blob| (blob.digest.clone(), blob)).collect();
    let digests: Vec<Digest> = all.keys().cloned().collect();
    let held = destination.inventory.blobs(&digests).await;
    let held = held.map_err(|cause| destination_failure(request, Operation::CheckBlobs, cause))?;
    let mut progress = Progress::default();
    let mut missing = Vec::new();
    for blob in all.into_values() {
        progress.blobs += 1;
        progress.bytes += blob.size;
        if held.contains(&blob.digest) {
            progress.present += 1;
            progress.bytes_present += blob.size;
        } else {
            missing.push(blob.clone());
        }
    }
    missing.sort_unstable_by(|a, b| b.size.cmp(&a.size).then_with(|| a.digest.cmp(&b.digest)));
    Ok((missing, progress))
}

fn destination_failure(request: &Request, operation: Operation, cause: crate::registry::Error) -> Error {
    Failure::registry(Side::Destination, operation, request.destination_name(), cause)
}
