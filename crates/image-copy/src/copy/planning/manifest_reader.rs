//! Reads the manifests of an image, from the destination if possible.

use std::collections::{HashMap, HashSet};

use crate::copy::budget::{ImageLimit, MAX_DEPTH, MAX_MANIFESTS};
use crate::copy::destination::Destination;
use crate::copy::reporting::{Error, Failure, Operation, Side};
use crate::copy::request::Request;
use crate::copy::source::{Part, Source};
use crate::oci::{Algorithm, Descriptor, Digest, Manifest, media_type};
use crate::registry::{self, ManifestId};

/// Bytes of manifests that are read from the destination in one call. ECR's response holds each byte
/// about three times while it is parsed.
const BATCH_BYTES: u64 = 4 << 20;

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

/// The manifests below a root.
#[derive(Default)]
pub(in crate::copy) struct Below {
    /// Each comes before those that refer to it.
    pub(in crate::copy) read: Vec<Found>,
    /// Children that are not read because the destination holds their index, with all of its content.
    pub(in crate::copy) unread: Vec<Digest>,
}

impl Walk<'_> {
    /// Reads the manifest that the source reference names.
    pub(super) async fn root(&self, digest: &Digest) -> Result<Found, Error> {
        self.read_one(Part::of(digest)).await
    }

    /// Reads one child.
    pub(super) async fn child(&self, child: &Descriptor) -> Result<Found, Error> {
        self.read_one(Part::from(child)).await
    }

    async fn read_one(&self, part: Part) -> Result<Found, Error> {
        let mut found = self.read(std::slice::from_ref(&part)).await?;
        Ok(found.swap_remove(0))
    }

    /// Returns the manifest as a root. Destinations store a tagged manifest under its SHA-256 digest,
    /// whatever the digest in the reference.
    pub(super) async fn as_root(&self, found: Found) -> Result<Found, Error> {
        if found.manifest.digest.algorithm() == Algorithm::Sha256 {
            return Ok(found);
        }
        let digest = Digest::of(&found.manifest.bytes);
        let held = self.holds(&digest).await?;
        Ok(Found { manifest: found.manifest.stored_under(digest), held })
    }

    /// Reads the manifests below `root`.
    pub(in crate::copy) async fn below(&self, root: &Found) -> Result<Below, Error> {
        let is_proved = root.held && self.destination.inventory.manifests_guarantee_content();
        let mut known: HashMap<Digest, Found> = HashMap::new();
        let mut unread: HashSet<Digest> = HashSet::new();
        let mut order: Vec<Digest> = Vec::new();
        let mut level: Vec<Part> = Vec::new();
        add_children(&root.manifest, is_proved, &mut level, &mut unread);
        for depth in 0.. {
            if level.is_empty() {
                break;
            }
            if depth == MAX_DEPTH {
                return Err(self.too_large(ImageLimit::Depth));
            }
            if order.len() + level.len() > MAX_MANIFESTS {
                return Err(self.too_large(ImageLimit::Manifests));
            }
            let mut next = Vec::new();
            let mut new: Vec<Part> = Vec::new();
            let mut seen = HashSet::new();
            for part in &level {
                if !known.contains_key(&part.digest) && seen.insert(&part.digest) {
                    new.push(part.clone());
                }
            }
            for (part, found) in new.iter().zip(self.read(&new).await?) {
                known.insert(part.digest.clone(), found);
            }
            for part in level {
                let found = known.get(&part.digest).ok_or_else(|| self.lost(&part.digest))?;
                self.check_size(&part, &found.manifest)?;
                add_children(&found.manifest, is_proved, &mut next, &mut unread);
                order.push(part.digest);
            }
            level = next;
        }
        let unread = unread.into_iter().filter(|digest| !known.contains_key(digest)).collect();
        Ok(Below { read: self.leaves_first(order, known)?, unread })
    }

    /// Reads manifests. Each is charged before it is read.
    async fn read(&self, parts: &[Part]) -> Result<Vec<Found>, Error> {
        self.charge(parts)?;
        let held = self.held(parts).await?;
        let found = self.complete(held, parts).await?;
        for (part, Found { manifest, .. }) in parts.iter().zip(&found) {
            self.check_size(part, manifest)?;
            self.settle(part, Some(manifest))?;
        }
        Ok(found)
    }

    /// Charges manifests before they are read.
    pub(super) fn charge(&self, parts: &[Part]) -> Result<(), Error> {
        let charge = |part: &Part| self.source.budget().charge(&part.digest, part.limit());
        parts.iter().try_for_each(charge).map_err(|limit| self.too_large(limit))
    }

    /// Replaces the charge of a manifest that was read, or is missing.
    pub(super) fn settle(&self, part: &Part, manifest: Option<&Manifest>) -> Result<(), Error> {
        let (bytes, descriptors) = manifest.map_or((0, 0), |one| (one.bytes.len() as u64, one.descriptors()));
        let settled = self.source.budget().settle(&part.digest, bytes, descriptors);
        settled.map_err(|limit| self.too_large(limit))
    }

    /// Reads the manifests that the destination lacks from the source, in one call, so that the number
    /// of pulls is known before the first one.
    async fn complete(&self, held: Vec<Option<Manifest>>, parts: &[Part]) -> Result<Vec<Found>, Error> {
        let missing = held.iter().zip(parts).filter(|(held, _)| held.is_none());
        let missing: Vec<Part> = missing.map(|(_, part)| part.clone()).collect();
        let read = self.source.manifests(&missing).await;
        let mut read = read.map_err(|(digest, cause)| self.failure(&digest, cause))?.into_iter();
        let found = held.into_iter().zip(parts).map(|(held, part)| match held {
            Some(manifest) => Ok(Found { manifest, held: true }),
            None => {
                let manifest = read.next().ok_or_else(|| self.lost(&part.digest))?;
                Ok(Found { manifest, held: false })
            }
        });
        found.collect()
    }

    fn check_size(&self, part: &Part, manifest: &Manifest) -> Result<(), Error> {
        let actual = manifest.bytes.len() as u64;
        match part.size {
            Some(expected) if expected != actual => {
                let cause = registry::Error::SizeMismatch { digest: part.digest.clone(), expected, actual };
                Err(self.failure(&part.digest, cause))
            }
            _ => Ok(()),
        }
    }

    fn failure(&self, digest: &Digest, cause: registry::Error) -> Error {
        let is_asked_for = self.request.source.digest.as_ref() == Some(digest);
        let operation = if is_asked_for { Operation::ReadManifest } else { Operation::ReadChildManifest };
        let subject = match cause {
            // About the image, not about one of its manifests.
            registry::Error::TooFewPulls { .. } => self.request.source.to_string(),
            _ => self.named(digest),
        };
        Failure::registry(Side::Source, operation, subject, cause)
    }

    fn lost(&self, digest: &Digest) -> Error {
        self.failure(digest, registry::Error::Protocol("a manifest of the image is missing"))
    }

    /// Returns whether the destination has a manifest.
    pub(super) async fn holds(&self, digest: &Digest) -> Result<bool, Error> {
        let found = self.held(&[Part::of(digest)]).await?;
        Ok(found.into_iter().flatten().next().is_some())
    }

    /// Returns the manifests that the destination has, in the order of `parts`. Only those that the
    /// survey did not read cause a request.
    pub(super) async fn held(&self, parts: &[Part]) -> Result<Vec<Option<Manifest>>, Error> {
        let mut batches: Vec<(u64, Vec<ManifestId>)> = Vec::new();
        for part in parts.iter().filter(|part| !self.surveyed.contains_key(&part.digest)) {
            let id = ManifestId::Digest(part.digest.clone());
            match batches.last_mut() {
                Some((bytes, ids)) if *bytes + part.limit() <= BATCH_BYTES => {
                    *bytes += part.limit();
                    ids.push(id);
                }
                _ => batches.push((part.limit(), vec![id])),
            }
        }
        let mut read = Vec::new();
        for (_, ids) in &batches {
            let held = self.destination.inventory.manifests(ids).await;
            let failure = |cause| self.request.destination_failure(Operation::ReadManifest, cause);
            read.extend(held.map_err(failure)?);
        }
        let mut read = read.into_iter();
        let result = |part: &Part| match self.surveyed.get(&part.digest) {
            Some(surveyed) => surveyed.clone(),
            None => read.next().flatten(),
        };
        Ok(parts.iter().map(result).collect())
    }

    /// Returns the source reference as the user wrote it, with the digest of the manifest unless the
    /// reference has that digest.
    fn named(&self, digest: &Digest) -> String {
        let source = &self.request.source;
        match &source.digest {
            Some(asked) if asked == digest => source.to_string(),
            _ => format!("{source} (manifest {})", digest.short()),
        }
    }

    fn too_large(&self, limit: ImageLimit) -> Error {
        Box::new(Failure::ImageLimitExceeded { subject: self.request.source.to_string(), limit })
    }

    /// Reverses the order of discovery. A manifest found on several levels belongs to the lowest.
    fn leaves_first(
        &self,
        order: Vec<Digest>,
        mut known: HashMap<Digest, Found>,
    ) -> Result<Vec<Found>, Error> {
        let mut seen = HashSet::new();
        let order = order.into_iter().rev().filter(|digest| seen.insert(digest.clone()));
        order.map(|digest| known.remove(&digest).ok_or_else(|| self.lost(&digest))).collect()
    }
}

/// Adds the children of an index to those to read. If the destination is known to hold them, only nested
/// indexes are read, because their platforms are part of the result.
fn add_children(index: &Manifest, is_proved: bool, level: &mut Vec<Part>, unread: &mut HashSet<Digest>) {
    for child in index.children() {
        let is_index = matches!(child.media_type.as_str(), media_type::OCI_INDEX | media_type::DOCKER_LIST);
        if is_proved && !is_index {
            unread.insert(child.digest.clone());
        } else {
            level.push(child.into());
        }
    }
}
