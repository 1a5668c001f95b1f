//! The content of one repository: manifests and blobs of the images that something relies on.

use std::collections::{HashMap, HashSet};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use image_copy::copy::Inventory as _;
use image_copy::oci::{Descriptor, Digest, Manifest, ManifestKind, Reference};
use image_copy::registry::{Error, ManifestId, Repository};
use image_copy_aws::EcrRepository;

use super::images::{ReliedCopy, ReliedImage};

/// Maximum depth of indexes in indexes.
const MAX_DEPTH: usize = 4;

/// Concurrent requests to a registry without batches.
const CONCURRENT_REQUESTS: usize = 8;

/// API that reads a repository.
pub(super) enum Store {
    /// ECR's API, with 100 manifests or blobs in a call.
    Ecr(EcrRepository),
    /// The API of all registries.
    Registry(Repository),
}

/// The manifests and blobs that were found. Missing ones have no entry.
#[derive(Debug, Default)]
pub(super) struct Content {
    tags: HashMap<String, Manifest>,
    manifests: HashMap<Digest, Manifest>,
    /// `None` if the registry did not permit the check.
    blobs: Option<HashSet<Digest>>,
}

/// The root manifest of a copy.
#[derive(Debug, Clone, Copy)]
pub(super) struct CopiedRoot<'a> {
    pub(super) manifest: &'a Manifest,
    /// The root itself, or the first image of an index. `None` if it is missing.
    pub(super) first_image: Option<&'a Manifest>,
}

/// Parts of an image that are missing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct MissingParts {
    pub(super) children: Vec<Descriptor>,
    pub(super) blobs: Vec<Digest>,
}

impl Store {
    /// Returns the manifests in the order of `ids`, and `None` for each that is missing.
    async fn manifests(&self, ids: &[ManifestId]) -> Result<Vec<Option<Manifest>>, Error> {
        match self {
            Self::Ecr(repository) => repository.manifests(ids).await,
            Self::Registry(repository) => {
                let reads = stream::iter(ids).map(|id| async move {
                    match repository.get_manifest(id).await {
                        Ok(manifest) => Ok(Some(manifest)),
                        Err(error) if is_missing(&error) => Ok(None),
                        Err(error) => Err(error),
                    }
                });
                reads.buffered(CONCURRENT_REQUESTS).try_collect().await
            }
        }
    }

    /// Returns those blobs that exist.
    async fn blobs(&self, digests: &[Digest]) -> Result<HashSet<Digest>, Error> {
        match self {
            Self::Ecr(repository) => repository.blobs(digests).await,
            Self::Registry(repository) => repository.blobs(digests).await,
        }
    }
}

/// Returns true if the repository or the image does not exist.
pub(super) fn is_missing(error: &Error) -> bool {
    match error {
        Error::ErrorResponse(response) => response.status == 404 && !response.is_not_from_registry,
        other => other.has_code("RepositoryNotFoundException"),
    }
}

/// Reads the images with their children and blobs. A missing repository is empty. Returns the error of the
/// blobs separately, because other permissions allow that check.
///
/// # Errors
/// If the manifests cannot be read.
pub(super) async fn read(store: &Store, images: &[&ReliedImage]) -> Result<(Content, Option<Error>), Error> {
    let mut content = Content::default();
    let tags: HashSet<_> = images.iter().filter_map(|image| image.name.tag.clone()).collect();
    let digests: HashSet<Digest> =
        images.iter().flat_map(|image| &image.copies).filter_map(|copy| copy.digest.clone()).collect();
    let ids = tags.into_iter().map(ManifestId::Tag).chain(digests.into_iter().map(ManifestId::Digest));
    let mut ids: Vec<ManifestId> = ids.collect();
    for _ in 0..MAX_DEPTH {
        let found = match store.manifests(&ids).await {
            Err(error) if is_missing(&error) => return Ok((content, None)),
            found => found?,
        };
        for (id, manifest) in ids.iter().zip(found) {
            let Some(manifest) = manifest else { continue };
            if let ManifestId::Tag(tag) = id {
                content.tags.insert(tag.as_str().to_owned(), manifest.clone());
            }
            content.manifests.insert(manifest.digest.clone(), manifest);
        }
        let requested: HashSet<&ManifestId> = ids.iter().collect();
        let children = content.manifests.values().flat_map(Manifest::children);
        let next: HashSet<ManifestId> = children
            .filter(|child| !content.manifests.contains_key(&child.digest))
            .map(|child| ManifestId::Digest(child.digest.clone()))
            .filter(|id| !requested.contains(id))
            .collect();
        if next.is_empty() {
            break;
        }
        ids = next.into_iter().collect();
    }
    let blobs: HashSet<&Digest> = content.manifests.values().flat_map(required_blobs).collect();
    let blobs: Vec<Digest> = blobs.into_iter().cloned().collect();
    match store.blobs(&blobs).await {
        Ok(found) => content.blobs = Some(found),
        Err(error) => return Ok((content, Some(error))),
    }
    Ok((content, None))
}

/// Returns the blobs that every complete copy has.
fn required_blobs(manifest: &Manifest) -> impl Iterator<Item = &Digest> {
    manifest.blobs().filter(|blob| !blob.is_foreign).map(|blob| &blob.digest)
}

impl Content {
    /// Returns true if no manifest was found.
    pub(super) fn is_empty(&self) -> bool {
        self.manifests.is_empty()
    }

    /// Returns the manifest that a name has: by its digest, or else by its tag.
    pub(super) fn named(&self, name: &Reference) -> Option<&Manifest> {
        match (&name.digest, &name.tag) {
            (Some(digest), _) => self.manifests.get(digest),
            (None, tag) => self.tags.get(tag.as_ref()?.as_str()),
        }
    }

    /// Returns the root of a copy with its first image.
    pub(super) fn copied_root(&self, image: &ReliedImage, copy: &ReliedCopy) -> Option<CopiedRoot<'_>> {
        let manifest = self.copied(image, copy)?;
        let first_image = self.images_of(manifest).first().map(|(image, _)| *image);
        Some(CopiedRoot { manifest, first_image })
    }

    /// Returns the manifest of a copy: by its digest, or else by the name of the image.
    pub(super) fn copied(&self, image: &ReliedImage, copy: &ReliedCopy) -> Option<&Manifest> {
        match &copy.digest {
            Some(digest) => self.manifest(digest),
            None => self.named(&image.name),
        }
    }

    pub(super) fn manifest(&self, digest: &Digest) -> Option<&Manifest> {
        self.manifests.get(digest)
    }

    /// Returns the missing parts of a manifest that exists.
    pub(super) fn missing_parts(&self, root: &Manifest) -> MissingParts {
        let mut missing = MissingParts::default();
        let mut seen = HashSet::new();
        let mut pending = vec![root];
        while let Some(manifest) = pending.pop() {
            if !seen.insert(&manifest.digest) {
                continue;
            }
            for child in manifest.children() {
                match self.manifests.get(&child.digest) {
                    Some(child) => pending.push(child),
                    None => missing.children.push(child.clone()),
                }
            }
            if let Some(blobs) = &self.blobs {
                let absent = required_blobs(manifest).filter(|digest| !blobs.contains(*digest));
                missing.blobs.extend(absent.cloned());
            }
        }
        missing.blobs.sort();
        missing.blobs.dedup();
        missing
    }

    /// Returns the images of a manifest, without attestations: its children, or itself.
    pub(super) fn images_of<'a>(&'a self, root: &'a Manifest) -> Vec<(&'a Manifest, Option<&'a Descriptor>)> {
        match &root.kind {
            ManifestKind::Image { .. } => vec![(root, None)],
            ManifestKind::Index { children } => children
                .iter()
                .filter(|child| !child.is_attestation())
                .filter_map(|child| Some((self.manifests.get(&child.digest)?, Some(child))))
                .filter(|(manifest, _)| !manifest.is_index())
                .collect(),
        }
    }
}
