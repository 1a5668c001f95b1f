//! Finds out whether an earlier copy is at the destination as a whole.

use super::plan::missing_blobs;
use super::walk::{Found, MAX_DEPTH, Walk, digests};
use super::{Error, Known, Progress};
use crate::oci::Digest;
use crate::registry::ManifestId;

/// A copy of which nothing is missing.
pub(super) struct Held {
    pub(super) root: Found,
    pub(super) below: Vec<Found>,
    pub(super) progress: Progress,
    /// What the tag asked for names now.
    pub(super) tag_names: Option<Digest>,
}

/// Reads a known copy at the destination. `None` when the manifest, a child or a layer is gone: a
/// lifecycle rule may have taken any of them.
pub(super) async fn held_whole(walk: &Walk<'_>, known: &Known) -> Result<Option<Held>, Error> {
    let mut ids = vec![ManifestId::Digest(known.digest.clone())];
    ids.extend(walk.request.tag.clone().map(ManifestId::Tag));
    let mut found = walk.held(&ids).await?.into_iter();
    let Some(root) = found.next().flatten() else { return Ok(None) };
    let tag_names = found.next().flatten().map(|manifest| manifest.digest);
    let mut below: Vec<Found> = Vec::new();
    let mut level = digests(&root);
    for _ in 0..MAX_DEPTH {
        level.retain(|digest| below.iter().all(|found| found.manifest.digest != *digest));
        if level.is_empty() {
            break;
        }
        let ids: Vec<ManifestId> = level.into_iter().map(ManifestId::Digest).collect();
        let Some(children) = walk.held(&ids).await?.into_iter().collect::<Option<Vec<_>>>() else {
            return Ok(None);
        };
        level = children.iter().flat_map(digests).collect();
        below.extend(children.into_iter().map(|manifest| Found { manifest, held: true }));
    }
    let manifests = below.iter().map(|found| &found.manifest).chain([&root]);
    let (missing, progress) = missing_blobs(walk.request, walk.destination, manifests).await?;
    if !level.is_empty() || !missing.is_empty() {
        return Ok(None);
    }
    Ok(Some(Held { root: Found { manifest: root, held: true }, below, progress, tag_names }))
}
