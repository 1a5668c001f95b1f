//! Reads the manifests of an image, from the destination if possible.

use std::collections::{HashMap, HashSet};

use super::select::is_left_out;
use crate::copy::budget::{ImageLimit, MAX_DEPTH, MAX_MANIFESTS};
use crate::copy::destination::Destination;
use crate::copy::reporting::{Error, Failure, Operation, Side};
use crate::copy::request::Request;
use crate::copy::source::{ManifestRef, Source};
use crate::oci::{Algorithm, Descriptor, Digest, Manifest, media_type};
use crate::registry::{self, ManifestId};

/// Maximum number of bytes that are read from the destination in one call. ECR's response uses about three
/// bytes of memory for each byte of a manifest while it is parsed.
const BATCH_BYTES: u64 = 4 << 20;

/// A manifest. `at_destination` is true if the destination has it.
#[derive(Debug, Clone)]
pub(in crate::copy) struct LocatedManifest {
    pub(in crate::copy) manifest: Manifest,
    pub(in crate::copy) at_destination: bool,
}

/// Reads manifests. Prefers the destination, because reads from it do not count as pulls.
pub(in crate::copy) struct ManifestReader<'a> {
    pub(in crate::copy) request: &'a Request,
    /// Manifests that were already requested from the destination, by digest.
    pub(in crate::copy) current: &'a HashMap<Digest, Option<Manifest>>,
    pub(in crate::copy) source: &'a Source,
    pub(in crate::copy) destination: &'a Destination,
}

/// The manifests below a root.
#[derive(Default)]
pub(in crate::copy) struct Descendants {
    /// Children come before the manifests that refer to them.
    pub(in crate::copy) read: Vec<LocatedManifest>,
    /// Children that are not read, because the destination has all content of their index.
    pub(in crate::copy) unread: Vec<Digest>,
}

impl ManifestReader<'_> {
    /// Reads the manifest that the source reference names.
    pub(super) async fn read_root(&self, digest: &Digest) -> Result<LocatedManifest, Error> {
        self.read_one(ManifestRef::from_digest(digest)).await
    }

    /// Reads one child.
    pub(super) async fn read_child(&self, child: &Descriptor) -> Result<LocatedManifest, Error> {
        self.read_one(ManifestRef::from(child)).await
    }

    async fn read_one(&self, manifest_ref: ManifestRef) -> Result<LocatedManifest, Error> {
        let mut found = self.read(std::slice::from_ref(&manifest_ref)).await?;
        Ok(found.swap_remove(0))
    }

    /// Returns the root under its SHA-256 digest, because destinations use it for tagged manifests.
    pub(super) async fn with_sha256_digest(&self, found: LocatedManifest) -> Result<LocatedManifest, Error> {
        if found.manifest.digest.algorithm() == Algorithm::Sha256 {
            return Ok(found);
        }
        let digest = Digest::of(&found.manifest.bytes);
        let at_destination = self.exists_at_destination(&digest).await?;
        Ok(LocatedManifest { manifest: found.manifest.with_digest(digest), at_destination })
    }

    /// Reads the manifests below `root`. With a customization, those that it leaves out are not read, because each
    /// can count as a pull.
    pub(in crate::copy) async fn read_descendants(
        &self,
        root: &LocatedManifest,
    ) -> Result<Descendants, Error> {
        let is_guaranteed = root.at_destination && self.destination.inventory.manifests_guarantee_content();
        let mut known: HashMap<Digest, LocatedManifest> = HashMap::new();
        let mut unread: HashSet<Digest> = HashSet::new();
        let mut order: Vec<Digest> = Vec::new();
        let mut level: Vec<ManifestRef> = Vec::new();
        add_children(self.needed_children(&root.manifest), is_guaranteed, &mut level, &mut unread);
        for depth in 0.. {
            if level.is_empty() {
                break;
            }
            if depth == MAX_DEPTH {
                return Err(self.limit_failure(ImageLimit::Depth));
            }
            if order.len() + level.len() > MAX_MANIFESTS {
                return Err(self.limit_failure(ImageLimit::Manifests));
            }
            let mut next = Vec::new();
            let mut new: Vec<ManifestRef> = Vec::new();
            let mut seen = HashSet::new();
            for manifest_ref in &level {
                if !known.contains_key(&manifest_ref.digest) && seen.insert(&manifest_ref.digest) {
                    new.push(manifest_ref.clone());
                }
            }
            for (manifest_ref, found) in new.iter().zip(self.read(&new).await?) {
                known.insert(manifest_ref.digest.clone(), found);
            }
            for manifest_ref in level {
                let found = known
                    .get(&manifest_ref.digest)
                    .ok_or_else(|| self.missing_manifest(&manifest_ref.digest))?;
                self.check_size(&manifest_ref, &found.manifest)?;
                let children = self.needed_children(&found.manifest);
                add_children(children, is_guaranteed, &mut next, &mut unread);
                order.push(manifest_ref.digest);
            }
            level = next;
        }
        let unread = unread.into_iter().filter(|digest| !known.contains_key(digest)).collect();
        Ok(Descendants { read: self.leaves_first(order, known)?, unread })
    }

    fn needed_children<'m>(&self, index: &'m Manifest) -> impl Iterator<Item = &'m Descriptor> {
        let is_customized = self.request.customization.is_some();
        index.children().iter().filter(move |child| !is_customized || !is_left_out(child))
    }

    /// Reads manifests. Memory is reserved before each is read.
    async fn read(&self, refs: &[ManifestRef]) -> Result<Vec<LocatedManifest>, Error> {
        self.reserve_memory(refs)?;
        let existing = self.read_existing(refs).await?;
        let found = self.read_missing(existing, refs).await?;
        for (manifest_ref, LocatedManifest { manifest, .. }) in refs.iter().zip(&found) {
            self.check_size(manifest_ref, manifest)?;
            self.record_memory(manifest_ref, Some(manifest))?;
        }
        Ok(found)
    }

    /// Reserves memory for manifests before they are read.
    pub(super) fn reserve_memory(&self, refs: &[ManifestRef]) -> Result<(), Error> {
        let reserve = |manifest_ref: &ManifestRef| {
            self.source.budget().reserve(&manifest_ref.digest, manifest_ref.limit())
        };
        refs.iter().try_for_each(reserve).map_err(|limit| self.limit_failure(limit))
    }

    /// Replaces the reservation for a manifest that was read or is missing.
    pub(super) fn record_memory(
        &self,
        manifest_ref: &ManifestRef,
        manifest: Option<&Manifest>,
    ) -> Result<(), Error> {
        let (bytes, descriptors) =
            manifest.map_or((0, 0), |one| (one.bytes.len() as u64, one.descriptor_count()));
        let recorded = self.source.budget().record(&manifest_ref.digest, bytes, descriptors);
        recorded.map_err(|limit| self.limit_failure(limit))
    }

    /// Reads the manifests that the destination lacks from the source. All are read in one call, so that
    /// their number can be compared with the pull limit.
    async fn read_missing(
        &self,
        existing: Vec<Option<Manifest>>,
        refs: &[ManifestRef],
    ) -> Result<Vec<LocatedManifest>, Error> {
        let missing = existing.iter().zip(refs).filter(|(manifest, _)| manifest.is_none());
        let missing: Vec<ManifestRef> = missing.map(|(_, manifest_ref)| manifest_ref.clone()).collect();
        let read = self.source.read_manifests(&missing).await;
        let mut read = read.map_err(|(digest, cause)| self.failure(&digest, cause))?.into_iter();
        let found = existing.into_iter().zip(refs).map(|(manifest, manifest_ref)| match manifest {
            Some(manifest) => Ok(LocatedManifest { manifest, at_destination: true }),
            None => {
                let manifest = read.next().ok_or_else(|| self.missing_manifest(&manifest_ref.digest))?;
                Ok(LocatedManifest { manifest, at_destination: false })
            }
        });
        found.collect()
    }

    fn check_size(&self, manifest_ref: &ManifestRef, manifest: &Manifest) -> Result<(), Error> {
        let actual = manifest.bytes.len() as u64;
        match manifest_ref.size {
            Some(expected) if expected != actual => {
                let cause =
                    registry::Error::SizeMismatch { digest: manifest_ref.digest.clone(), expected, actual };
                Err(self.failure(&manifest_ref.digest, cause))
            }
            _ => Ok(()),
        }
    }

    fn failure(&self, digest: &Digest, cause: registry::Error) -> Error {
        let is_requested = self.request.source.digest.as_ref() == Some(digest);
        let operation = if is_requested { Operation::ReadManifest } else { Operation::ReadChildManifest };
        let subject = match cause {
            // The pull limit concerns the whole image.
            registry::Error::TooFewPulls { .. } => self.request.source.to_string(),
            _ => self.subject(digest),
        };
        Failure::registry(Side::Source, operation, subject, cause)
    }

    fn missing_manifest(&self, digest: &Digest) -> Error {
        self.failure(digest, registry::Error::Protocol("a manifest of the image is missing"))
    }

    /// Returns true if the destination has the manifest.
    pub(super) async fn exists_at_destination(&self, digest: &Digest) -> Result<bool, Error> {
        let found = self.read_existing(&[ManifestRef::from_digest(digest)]).await?;
        Ok(found.into_iter().flatten().next().is_some())
    }

    /// Returns the manifests that the destination has, in the order of `refs`. Only manifests that were not
    /// requested before cause a request.
    pub(super) async fn read_existing(&self, refs: &[ManifestRef]) -> Result<Vec<Option<Manifest>>, Error> {
        let mut batches: Vec<(u64, Vec<ManifestId>)> = Vec::new();
        for manifest_ref in
            refs.iter().filter(|manifest_ref| !self.current.contains_key(&manifest_ref.digest))
        {
            let id = ManifestId::Digest(manifest_ref.digest.clone());
            match batches.last_mut() {
                Some((bytes, ids)) if *bytes + manifest_ref.limit() <= BATCH_BYTES => {
                    *bytes += manifest_ref.limit();
                    ids.push(id);
                }
                _ => batches.push((manifest_ref.limit(), vec![id])),
            }
        }
        let mut read = Vec::new();
        for (_, ids) in &batches {
            let manifests = self.destination.inventory.manifests(ids).await;
            let failure = |cause| self.request.destination_failure(Operation::ReadManifest, cause);
            read.extend(manifests.map_err(failure)?);
        }
        let mut read = read.into_iter();
        let result = |manifest_ref: &ManifestRef| match self.current.get(&manifest_ref.digest) {
            Some(current) => current.clone(),
            None => read.next().flatten(),
        };
        Ok(refs.iter().map(result).collect())
    }

    /// Returns the source reference with the digest of the manifest, unless the reference has that digest.
    fn subject(&self, digest: &Digest) -> String {
        let source = &self.request.source;
        match &source.digest {
            Some(requested) if requested == digest => source.to_string(),
            _ => format!("{source} (manifest {})", digest.short()),
        }
    }

    fn limit_failure(&self, limit: ImageLimit) -> Error {
        Box::new(Failure::ImageLimitExceeded { subject: self.request.source.to_string(), limit })
    }

    /// Reverses the order of discovery. A manifest on several levels keeps its lowest position.
    fn leaves_first(
        &self,
        order: Vec<Digest>,
        mut known: HashMap<Digest, LocatedManifest>,
    ) -> Result<Vec<LocatedManifest>, Error> {
        let mut seen = HashSet::new();
        let order = order.into_iter().rev().filter(|digest| seen.insert(digest.clone()));
        order.map(|digest| known.remove(&digest).ok_or_else(|| self.missing_manifest(&digest))).collect()
    }
}

/// Adds children of an index to the manifests to read. If the destination is guaranteed to have them,
/// only nested indexes are read, because the result contains their platforms.
fn add_children<'m>(
    children: impl Iterator<Item = &'m Descriptor>,
    is_guaranteed: bool,
    level: &mut Vec<ManifestRef>,
    unread: &mut HashSet<Digest>,
) {
    for child in children {
        let is_index =
            matches!(child.media_type.as_str(), media_type::OCI_INDEX | media_type::DOCKER_MANIFEST_LIST);
        if is_guaranteed && !is_index {
            unread.insert(child.digest.clone());
        } else {
            level.push(child.into());
        }
    }
}
