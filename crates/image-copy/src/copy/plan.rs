//! Turns a [`Request`] into a [`Plan`]: which blobs and manifests to copy, and in what order.
//!
//! Planning only reads. The plan for an image that the destination holds under its tag is empty.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use super::deadline::in_time;
use super::known;
use super::platforms::platforms_of;
use super::select::{image_for, images, offered, selection};
use super::walk::{Found, Walk};
use super::{Destination, Error, Failure, Operation, Platforms, Progress, Request, Source, Survey, TagMove};
use crate::oci::{Descriptor, Digest, Manifest, Platform, Tag};

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
    /// Digests of all manifests below the root, held by the destination or not.
    pub children: Vec<Digest>,
    /// Manifests to write before the root. Every one stands after those that it refers to.
    pub manifests: Vec<Manifest>,
    /// Blobs to copy, each once, largest first.
    pub blobs: Vec<Descriptor>,
    /// What may be referred to, if that is to go along: every image as upstream has it.
    pub subjects: Vec<Digest>,
    /// Platforms in the root, attestations left out.
    pub platforms: Vec<Platform>,
    /// Platforms that the source offers, when its index was read.
    pub platforms_offered: Option<usize>,
    /// What is to become of the tag.
    pub tag: TagMove,
    /// All blobs of the image, and those that the destination has.
    pub progress: Progress,
    /// Time spent so far.
    pub elapsed: Duration,
}

impl Plan {
    /// Replaces what the tag names at the destination, if it was read again after planning.
    #[must_use]
    pub fn with_tag_naming(self, digest: Option<Digest>) -> Self {
        let tag = tag_move(self.request.tag.as_ref(), digest, &self.root.digest);
        Self { tag, ..self }
    }

    /// Manifests to write, the root included.
    #[must_use]
    pub fn manifests_to_write(&self) -> usize {
        self.manifests.len() + usize::from(!self.root_held)
    }
}

/// Plans the copy with the results of a survey, which are not read again.
///
/// # Errors
/// If the source or the destination cannot be read, or if the result could not be stored.
pub async fn plan(
    request: &Request,
    survey: &Survey,
    source: &Source,
    destination: &Destination,
) -> Result<Plan, Error> {
    let started = Instant::now();
    let elapsed = || survey.elapsed + started.elapsed();
    let walk = Walk { request, surveyed: &survey.manifests, source, destination };
    let planning = build(&walk, survey, &elapsed);
    in_time(source.deadline(), request, planning, || (Progress::default(), elapsed())).await
}

async fn build(walk: &Walk<'_>, survey: &Survey, elapsed: impl Fn() -> Duration) -> Result<Plan, Error> {
    let Walk { request, destination, .. } = walk;
    let source_digest = survey.source_digest.clone();
    let fitting = request
        .known
        .iter()
        .find(|known| known.source_digest == source_digest && known.selection == request.platforms);
    if let Some(known) = fitting
        && let Some(held) = known::held_whole(walk, known).await?
    {
        let (root, below) = (held.root, held.below);
        let tag = movable_tag(walk, survey, &root.manifest.digest).await?;
        let platforms = match known.platforms.as_slice() {
            [] => platforms_of(walk, &root, None, &below).await?,
            remembered => remembered.to_vec(),
        };
        let shape = Shape { source_digest, root, below, platforms, platforms_offered: None, tag };
        return Ok(shape.plan(request, Vec::new(), held.progress, elapsed()));
    }
    let top = walk.root(&source_digest).await?;
    let platforms_offered = offered(&top.manifest);
    let (root, platform) = choose(walk, top).await?;
    let tag = movable_tag(walk, survey, &root.manifest.digest).await?;
    let below = walk.below(&root.manifest).await?;
    for found in below.iter().chain([&root]).filter(|found| !found.held) {
        check_storable(request, destination, &found.manifest)?;
    }
    let platforms = platforms_of(walk, &root, platform, &below).await?;
    let manifests = below.iter().chain([&root]).map(|found| &found.manifest);
    let (blobs, progress) = missing_blobs(request, destination, manifests).await?;
    let shape = Shape { source_digest, root, below, platforms, platforms_offered, tag };
    Ok(shape.plan(request, blobs, progress, elapsed()))
}

/// What is to be at the destination in the end.
pub(super) struct Shape {
    pub(super) source_digest: Digest,
    pub(super) root: Found,
    pub(super) below: Vec<Found>,
    pub(super) platforms: Vec<Platform>,
    pub(super) platforms_offered: Option<usize>,
    pub(super) tag: TagMove,
}

impl Shape {
    /// The root, unless it is an index that only the destination has, and the images below.
    fn subjects(&self, request: &Request) -> Vec<Digest> {
        let root = &self.root.manifest;
        let is_new = matches!(request.platforms, Platforms::Some(_)) && root.digest != self.source_digest;
        let manifests = || self.below.iter().map(|found| &found.manifest).chain([root]);
        let attestations: HashSet<&Digest> = manifests()
            .flat_map(Manifest::children)
            .filter(|child| child.is_attestation())
            .map(|child| &child.digest)
            .collect();
        let digests = manifests().rev().skip(usize::from(is_new)).map(|manifest| &manifest.digest);
        digests.filter(|digest| !attestations.contains(digest)).cloned().collect()
    }

    /// The plan that leads there, when these blobs are missing.
    pub(super) fn plan(
        self,
        request: &Request,
        blobs: Vec<Descriptor>,
        progress: Progress,
        elapsed: Duration,
    ) -> Plan {
        let subjects = if request.include_referrers { self.subjects(request) } else { Vec::new() };
        let children = self.below.iter().map(|found| found.manifest.digest.clone()).collect();
        let missing = self.below.into_iter().filter(|found| !found.held);
        Plan {
            request: request.clone(),
            subjects,
            source_digest: self.source_digest,
            root_held: self.root.held,
            root: self.root.manifest,
            children,
            manifests: missing.map(|found| found.manifest).collect(),
            blobs,
            platforms: self.platforms,
            platforms_offered: self.platforms_offered,
            tag: self.tag,
            progress,
            elapsed,
        }
    }
}

pub(super) fn tag_move(tag: Option<&Tag>, names: Option<Digest>, root: &Digest) -> TagMove {
    match (tag, names) {
        (None, _) => TagMove::Untagged,
        (Some(_), Some(digest)) if digest == *root => TagMove::Unchanged,
        (Some(_), from) => TagMove::Moved { from },
    }
}

/// Returns the tag's change. Fails if an immutable tag names another image. The destination's settings
/// are read only in that case.
async fn movable_tag(walk: &Walk<'_>, survey: &Survey, wanted: &Digest) -> Result<TagMove, Error> {
    let request = walk.request;
    let named = survey.tagged.as_ref().map(|manifest| manifest.digest.clone());
    let tag = tag_move(request.tag.as_ref(), named, wanted);
    if let TagMove::Moved { from: Some(existing) } = &tag {
        let facts = walk.destination.inventory.facts(request.tag.as_ref()).await;
        let facts = facts.map_err(|cause| request.destination_failure(Operation::Inspect, cause))?;
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

/// The manifest that is to be pushed, and its platform where an index says it.
async fn choose(walk: &Walk<'_>, top: Found) -> Result<(Found, Option<Platform>), Error> {
    let wanted = match &walk.request.platforms {
        Platforms::All => return Ok((top, None)),
        Platforms::Some(wanted) => {
            let root = match top.manifest.is_index() {
                true => selected(walk, top, wanted).await?,
                false => top,
            };
            return Ok((root, None));
        }
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
    Err(no_platform(walk, &top.manifest, wanted))
}

/// An index with the images for `wanted` alone. What is the source's own index is taken as it is.
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
    let available = images(index).filter_map(|child| child.platform.clone()).collect();
    let (subject, wanted) = (walk.request.source.to_string(), wanted.clone());
    Box::new(Failure::NoPlatform { subject, wanted, available })
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

pub(super) async fn missing_blobs(
    request: &Request,
    destination: &Destination,
    manifests: impl Iterator<Item = &Manifest>,
) -> Result<(Vec<Descriptor>, Progress), Error> {
    let all: HashMap<Digest, &Descriptor> =
        manifests.flat_map(Manifest::blobs).map(|blob| (blob.digest.clone(), blob)).collect();
    let digests: Vec<Digest> = all.keys().cloned().collect();
    let held = destination.inventory.blobs(&digests).await;
    let held = held.map_err(|cause| request.destination_failure(Operation::CheckBlobs, cause))?;
    let mut progress = Progress::default();
    let mut missing = Vec::new();
    for blob in all.into_values() {
        progress.blobs += 1;
        progress.bytes = progress.bytes.saturating_add(blob.size);
        if held.contains(&blob.digest) {
            progress.present += 1;
            progress.bytes_present = progress.bytes_present.saturating_add(blob.size);
        } else {
            missing.push(blob.clone());
        }
    }
    missing.sort_unstable_by(|a, b| b.size.cmp(&a.size).then_with(|| a.digest.cmp(&b.digest)));
    Ok((missing, progress))
}
