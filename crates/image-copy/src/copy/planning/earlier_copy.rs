//! Checks if the destination still has all content of an earlier copy.

use std::collections::HashSet;

use super::manifest_reader::{Descendants, LocatedManifest, ManifestReader};
use super::missing_blobs::missing_blobs;
use crate::copy::budget::MAX_DEPTH;
use crate::copy::reporting::{Error, Progress};
use crate::copy::request::EarlierCopy;
use crate::copy::source::ManifestRef;
use crate::oci::Manifest;

/// An earlier copy whose content all exists at the destination.
pub(super) struct ExistingCopy {
    pub(super) root: LocatedManifest,
    pub(super) descendants: Descendants,
    pub(super) progress: Progress,
}

/// Reads an earlier copy at the destination. Returns `None` if a manifest or a blob is missing, because
/// a lifecycle rule can delete any of them.
pub(super) async fn find_complete(
    reader: &ManifestReader<'_>,
    copy: &EarlierCopy,
) -> Result<Option<ExistingCopy>, Error> {
    let mut found = read(reader, &[ManifestRef::from_digest(&copy.digest)]).await?.into_iter();
    let Some(root) = found.next().flatten() else { return Ok(None) };
    let mut descendants: Vec<LocatedManifest> = Vec::new();
    let mut seen = HashSet::new();
    let mut level = children(&root);
    for _ in 0..MAX_DEPTH {
        level.retain(|manifest_ref| seen.insert(manifest_ref.digest.clone()));
        if level.is_empty() {
            break;
        }
        let Some(existing) = read(reader, &level).await?.into_iter().collect::<Option<Vec<_>>>() else {
            return Ok(None);
        };
        level = existing.iter().flat_map(children).collect();
        descendants
            .extend(existing.into_iter().map(|manifest| LocatedManifest { manifest, at_destination: true }));
    }
    let root = LocatedManifest { manifest: root, at_destination: true };
    let manifests = descendants.iter().chain([&root]);
    let (missing, progress) = missing_blobs(reader.request, reader.destination, manifests).await?;
    if !level.is_empty() || !missing.is_empty() {
        return Ok(None);
    }
    let descendants = Descendants { read: descendants, unread: Vec::new() };
    Ok(Some(ExistingCopy { root, descendants, progress }))
}

/// Reads manifests at the destination. Memory is reserved before each is read.
async fn read(reader: &ManifestReader<'_>, refs: &[ManifestRef]) -> Result<Vec<Option<Manifest>>, Error> {
    reader.reserve_memory(refs)?;
    let existing = reader.read_existing(refs).await?;
    for (manifest_ref, manifest) in refs.iter().zip(&existing) {
        reader.record_memory(manifest_ref, manifest.as_ref())?;
    }
    Ok(existing)
}

fn children(manifest: &Manifest) -> Vec<ManifestRef> {
    manifest.children().iter().map(ManifestRef::from).collect()
}
