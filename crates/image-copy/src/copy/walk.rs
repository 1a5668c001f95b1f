//! Finds every manifest of an image, reading each from where it is cheapest.

use std::collections::{HashMap, HashSet};

use super::{Destination, Error, Failure, Operation, Request, Side, Source};
use crate::oci::{Descriptor, Digest, Manifest};
use crate::registry::ManifestId;

/// Manifests that one image may consist of; the largest official ones have some 40.
const MAX_MANIFESTS: usize = 1000;

/// Indexes within indexes within indexes are not made by anybody's tools.
pub(super) const MAX_DEPTH: usize = 4;

/// Bytes of manifests kept in memory at once.
const MAX_BYTES: usize = 32 * 1024 * 1024;

/// A manifest, and whether the destination has it.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) manifest: Manifest,
    pub(super) held: bool,
}

/// Where manifests are read. The destination is asked first: reading there costs no pull.
pub(super) struct Walk<'a> {
    pub(super) request: &'a Request,
    pub(super) source: &'a Source,
    pub(super) destination: &'a Destination,
}

impl Walk<'_> {
    /// The root manifest, `digest`, and what the destination's tag names now.
    pub(super) async fn root(&self, digest: &Digest) -> Result<(Found, Option<Digest>), Error> {
        let mut ids = vec![ManifestId::Digest(digest.clone())];
        ids.extend(self.request.tag.clone().map(ManifestId::Tag));
        let mut found = self.held(&ids).await?.into_iter();
        let root = found.next().flatten();
        let tag_names = found.next().flatten().map(|manifest| manifest.digest);
        let mut root = self.complete(vec![root], std::slice::from_ref(digest)).await?;
        Ok((root.swap_remove(0), tag_names))
    }

    /// One child.
    pub(super) async fn child(&self, child: &Descriptor) -> Result<Found, Error> {
        let mut found = self.children(std::slice::from_ref(&child.digest)).await?;
        Ok(found.swap_remove(0))
    }

    /// Everything below `root`, in an order in which every manifest stands before those that refer
    /// to it. The root itself is not in it.
    pub(super) async fn below(&self, root: &Manifest) -> Result<Vec<Found>, Error> {
        let mut known: HashMap<Digest, Found> = HashMap::new();
        let mut order: Vec<Digest> = Vec::new();
        let mut bytes = 0;
        let mut level: Vec<Digest> = digests(root);
        for _ in 0..MAX_DEPTH {
            let mut new: Vec<Digest> =
                level.iter().filter(|digest| !known.contains_key(digest)).cloned().collect();
            new.dedup();
            if order.len() + level.len() > MAX_MANIFESTS {
                return Err(self.too_many());
            }
            for found in self.children(&new).await? {
                bytes += found.manifest.bytes.len();
                known.insert(found.manifest.digest.clone(), found);
            }
            if bytes > MAX_BYTES {
                return Err(self.too_many());
            }
            order.extend(level.iter().cloned());
            level = level
                .iter()
                .filter_map(|digest| known.get(digest))
                .flat_map(|found| digests(&found.manifest))
                .collect();
            if level.is_empty() {
                return Ok(leaves_first(order, known));
            }
        }
        Err(self.too_many())
    }

    async fn children(&self, digests: &[Digest]) -> Result<Vec<Found>, Error> {
        let ids: Vec<ManifestId> = digests.iter().cloned().map(ManifestId::Digest).collect();
        let held = self.held(&ids).await?;
        self.complete(held, digests).await
    }

    /// Reads from the source what the destination has not, all of it at once: what that costs is
    /// known before the first is read.
    async fn complete(&self, held: Vec<Option<Manifest>>, digests: &[Digest]) -> Result<Vec<Found>, Error> {
        let missing = held.iter().zip(digests).filter(|(held, _)| held.is_none());
        let missing: Vec<Digest> = missing.map(|(_, digest)| digest.clone()).collect();
        let read = self.source.manifests(&missing).await.map_err(|(digest, cause)| {
            let is_asked_for = self.request.source.digest.as_ref() == Some(&digest);
            let operation = if is_asked_for { Operation::ReadManifest } else { Operation::ReadPart };
            Failure::registry(Side::Source, operation, self.named(&digest), cause)
        })?;
        let mut read = read.into_iter();
        let found = held.into_iter().filter_map(|held| match held {
            Some(manifest) => Some(Found { manifest, held: true }),
            None => read.next().map(|manifest| Found { manifest, held: false }),
        });
        Ok(found.collect())
    }

    /// Whether the destination has a manifest.
    pub(super) async fn holds(&self, digest: &Digest) -> Result<bool, Error> {
        let found = self.held(&[ManifestId::Digest(digest.clone())]).await?;
        Ok(found.into_iter().flatten().next().is_some())
    }

    /// What the destination has of these, in their order.
    pub(super) async fn held(&self, ids: &[ManifestId]) -> Result<Vec<Option<Manifest>>, Error> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let held = self.destination.inventory.manifests(ids).await;
        held.map_err(|cause| self.request.destination_failure(Operation::ReadManifest, cause))
    }

    /// The source by the name that the user gave it where that is what is read, else by digest.
    fn named(&self, digest: &Digest) -> String {
        let source = &self.request.source;
        match &source.digest {
            Some(asked) if asked != digest => source.repository.with_digest(digest.clone()).to_string(),
            _ => source.to_string(),
        }
    }

    fn too_many(&self) -> Error {
        Box::new(Failure::TooManyManifests { subject: self.request.source.to_string(), limit: MAX_MANIFESTS })
    }
}

pub(super) fn digests(manifest: &Manifest) -> Vec<Digest> {
    manifest.children().iter().map(|child| child.digest.clone()).collect()
}

/// Turns the order of discovery around. What was found on several levels belongs to the lowest.
fn leaves_first(order: Vec<Digest>, mut known: HashMap<Digest, Found>) -> Vec<Found> {
    let mut seen = HashSet::new();
    order
        .into_iter()
        .rev()
        .filter(|digest| seen.insert(digest.clone()))
        .filter_map(|d| known.remove(&d))
        .collect()
}
