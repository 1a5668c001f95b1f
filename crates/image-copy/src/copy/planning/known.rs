//! Checks if the destination still has an earlier copy completely.

use std::collections::HashSet;

use super::missing::missing_blobs;
use super::walk::{Found, MAX_DEPTH, Walk, digests};
use crate::copy::reporting::{Error, Progress};
use crate::copy::request::Known;

/// An earlier copy that the destination has completely.
pub(super) struct Held {
    pub(super) root: Found,
    pub(super) below: Vec<Found>,
    pub(super) progress: Progress,
}

/// Reads an earlier copy at the destination. Returns `None` if a manifest or a blob is missing, because
/// a lifecycle rule can delete any of them.
pub(super) async fn held_whole(walk: &Walk<'_>, known: &Known) -> Result<Option<Held>, Error> {
    let mut found = walk.held(std::slice::from_ref(&known.digest)).await?.into_iter();
    let Some(root) = found.next().flatten() else { return Ok(None) };
    let mut below: Vec<Found> = Vec::new();
    let mut seen = HashSet::new();
    let mut level = digests(&root);
    for _ in 0..MAX_DEPTH {
        level.retain(|digest| seen.insert(digest.clone()));
        if level.is_empty() {
            break;
        }
        let Some(children) = walk.held(&level).await?.into_iter().collect::<Option<Vec<_>>>() else {
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
    Ok(Some(Held { root: Found { manifest: root, held: true }, below, progress }))
}
