//! Reads the manifests of an image, from the destination if possible.

use std::collections::{HashMap, HashSet};

use crate::copy::destination::Destination;
use crate::copy::reporting::{Error, Failure, Operation, Side};
use crate::copy::request::Request;
use crate::copy::source::Source;
use crate::oci::{Descriptor, Digest, Manifest};
use crate::registry::ManifestId;

/// Maximum number of manifests of one image. The largest official images have some 40.
const MAX_MANIFESTS: usize = 1000;

/// Maximum depth of nested indexes. Build tools nest two at most.
pub(super) const MAX_DEPTH: usize = 4;

/// Maximum size of all manifests of an image in memory, in bytes.
const MAX_BYTES: usize = 32 * 1024 * 1024;

/// A manifest; `held` is true if the destination has it.
#[derive(Debug, Clone)]
pub(in crate::copy) struct Found {
    pub(in crate::copy) manifest: Manifest,
    pub(in crate::copy) held: bool,
}

/// Reads manifests, from the destination if it has them, because that costs no pull.
pub(in crate::copy) struct Walk<'a> {
    pub(in crate::copy) request: &'a Request,
    /// Results of the survey's reads at the destination, by digest.
    pub(in crate::copy) surveyed: &'a HashMap<Digest, Option<Manifest>>,
    pub(in crate::copy) source: &'a Source,
    pub(in crate::copy) destination: &'a Destination,
}

impl Walk<'_> {
    /// Reads the manifest that the source reference names.
    pub(super) async fn root(&self, digest: &Digest) -> Result<Found, Error> {
        let mut found = self.read(std::slice::from_ref(digest)).await?;
        Ok(found.swap_remove(0))
    }

    /// Reads one child.
    pub(super) async fn child(&self, child: &Descriptor) -> Result<Found, Error> {
        let mut found = self.read(std::slice::from_ref(&child.digest)).await?;
        Ok(found.swap_remove(0))
    }

    /// Reads all manifests below `root`. Each comes before those that refer to it.
    pub(in crate::copy) async fn below(&self, root: &Manifest) -> Result<Vec<Found>, Error> {
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
            for found in self.read(&new).await? {
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

    async fn read(&self, digests: &[Digest]) -> Result<Vec<Found>, Error> {
        let held = self.held(digests).await?;
        self.complete(held, digests).await
    }

    /// Reads the manifests that the destination lacks from the source, in one call, so that the number
    /// of pulls is known before the first one.
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

    /// Returns whether the destination has a manifest.
    pub(super) async fn holds(&self, digest: &Digest) -> Result<bool, Error> {
        let found = self.held(std::slice::from_ref(digest)).await?;
        Ok(found.into_iter().flatten().next().is_some())
    }

    /// Returns the manifests that the destination has, in the order of `digests`. Only those that the
    /// survey did not read cause a request.
    pub(super) async fn held(&self, digests: &[Digest]) -> Result<Vec<Option<Manifest>>, Error> {
        let new = digests.iter().filter(|digest| !self.surveyed.contains_key(digest));
        let ids: Vec<ManifestId> = new.cloned().map(ManifestId::Digest).collect();
        let mut read = Vec::new().into_iter();
        if !ids.is_empty() {
            let held = self.destination.inventory.manifests(&ids).await;
            let failure = |cause| self.request.destination_failure(Operation::ReadManifest, cause);
            read = held.map_err(failure)?.into_iter();
        }
        let result = |digest| match self.surveyed.get(digest) {
            Some(surveyed) => surveyed.clone(),
            None => read.next().flatten(),
        };
        Ok(digests.iter().map(result).collect())
    }

    /// Returns the source reference as the user wrote it if it names this manifest, otherwise the
    /// reference by digest.
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

/// Returns the digests of the children.
pub(super) fn digests(manifest: &Manifest) -> Vec<Digest> {
    manifest.children().iter().map(|child| child.digest.clone()).collect()
}

/// Reverses the order of discovery. A manifest found on several levels belongs to the lowest.
fn leaves_first(order: Vec<Digest>, mut known: HashMap<Digest, Found>) -> Vec<Found> {
    let mut seen = HashSet::new();
    order
        .into_iter()
        .rev()
        .filter(|digest| seen.insert(digest.clone()))
        .filter_map(|d| known.remove(&d))
        .collect()
}
