//! Checks if the destination still has an earlier copy completely.

use std::collections::HashSet;

use super::manifest_reader::{Below, Found, Walk};
use super::missing::missing_blobs;
use crate::copy::budget::MAX_DEPTH;
use crate::copy::reporting::{Error, Progress};
use crate::copy::request::EarlierCopy;
use crate::copy::source::Part;
use crate::oci::Manifest;

/// An earlier copy that the destination has completely.
pub(super) struct Held {
    pub(super) root: Found,
    pub(super) below: Below,
    pub(super) progress: Progress,
}

/// Reads an earlier copy at the destination. Returns `None` if a manifest or a blob is missing, because
/// a lifecycle rule can delete any of them.
pub(super) async fn held_whole(walk: &Walk<'_>, known: &EarlierCopy) -> Result<Option<Held>, Error> {
    let mut found = read(walk, &[Part::of(&known.digest)]).await?.into_iter();
    let Some(root) = found.next().flatten() else { return Ok(None) };
    let mut below: Vec<Found> = Vec::new();
    let mut seen = HashSet::new();
    let mut level = children(&root);
    for _ in 0..MAX_DEPTH {
        level.retain(|part| seen.insert(part.digest.clone()));
        if level.is_empty() {
            break;
        }
        let Some(held) = read(walk, &level).await?.into_iter().collect::<Option<Vec<_>>>() else {
            return Ok(None);
        };
        level = held.iter().flat_map(children).collect();
        below.extend(held.into_iter().map(|manifest| Found { manifest, held: true }));
    }
    let root = Found { manifest: root, held: true };
    let manifests = below.iter().chain([&root]);
    let (missing, progress) = missing_blobs(walk.request, walk.destination, manifests).await?;
    if !level.is_empty() || !missing.is_empty() {
        return Ok(None);
    }
    let below = Below { read: below, unread: Vec::new() };
    Ok(Some(Held { root, below, progress }))
}

/// Reads manifests at the destination. Each is charged before it is read.
async fn read(walk: &Walk<'_>, parts: &[Part]) -> Result<Vec<Option<Manifest>>, Error> {
    walk.charge(parts)?;
    let held = walk.held(parts).await?;
    for (part, manifest) in parts.iter().zip(&held) {
        walk.settle(part, manifest.as_ref())?;
    }
    Ok(held)
}

fn children(manifest: &Manifest) -> Vec<Part> {
    manifest.children().iter().map(Part::from).collect()
}
