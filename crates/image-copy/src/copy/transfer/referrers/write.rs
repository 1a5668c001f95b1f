//! Copies referrers that the destination lacks.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::{StreamExt as _, stream};
use tokio::time::Instant;

use super::candidate::Candidate;
use super::state::{CandidateResult, MAX_BYTES, ReferrerCopy};
use crate::copy::budget::ImageLimit;
use crate::copy::planning::{LocatedManifest, ManifestReader, TargetImage, missing_blobs, tag_change};
use crate::copy::reporting::{Error, Failure, NullReporter, Operation, Problem, Side};
use crate::copy::request::{PlatformSelection, Request};
use crate::copy::transfer::blobs::{CopiedContent, transfer_blobs_and_children};
use crate::copy::transfer::content::TransferredContent;
use crate::copy::transfer::limits::TransferLimits;
use crate::copy::transfer::publish::publish;
use crate::oci::{Digest, Manifest, ManifestKind};
use crate::registry::ManifestId;

/// Concurrent copies of referrers.
const CONCURRENT_REFERRERS: usize = 4;

/// Manifests that are read from the destination in one call, whose sizes are not known.
const MANIFESTS_PER_CALL: usize = 50;

impl ReferrerCopy<'_> {
    /// Copies the candidates. Returns the digests of those that the destination has afterwards.
    pub(super) async fn copy_candidates(&self, candidates: &[Candidate]) -> Vec<Digest> {
        let held = match self.held(candidates).await {
            Ok(held) => held,
            Err(failure) => {
                let result = CandidateResult::Refused(failure.summary());
                candidates.iter().for_each(|candidate| self.count_result(candidate, &result));
                return Vec::new();
            }
        };
        // By position: a closure over references makes a future that is not `Send` to the compiler
        // (https://github.com/rust-lang/rust/issues/102211).
        let placed: Vec<Option<Manifest>> = stream::iter(0..candidates.len())
            .map(|position| self.copy_candidate(&candidates[position], &held))
            .buffered(CONCURRENT_REFERRERS)
            .collect()
            .await;
        let there =
            || candidates.iter().zip(&placed).filter_map(|(found, placed)| Some((found, placed.as_ref()?)));
        let mut lists: HashMap<Digest, Vec<Manifest>> = HashMap::new();
        for (found, manifest) in there().filter(|(found, _)| found.tag.is_none()) {
            lists.entry(found.subject.clone()).or_default().push(manifest.clone());
        }
        self.list(&lists).await;
        there().map(|(found, _)| found.digest.clone()).collect()
    }

    /// Returns the candidates' manifests at the destination, by digest and by tag.
    async fn held(&self, candidates: &[Candidate]) -> Result<HashMap<ManifestId, Manifest>, Error> {
        let mut ids: Vec<ManifestId> = Vec::new();
        for found in candidates.iter().filter(|found| found.is_manifest()) {
            ids.push(ManifestId::Digest(found.digest.clone()));
            ids.extend(found.tag.clone().map(ManifestId::Tag));
        }
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let mut found = HashMap::new();
        for ids in ids.chunks(MANIFESTS_PER_CALL) {
            let held = self.destination.inventory.manifests(ids).await;
            let held =
                held.map_err(|cause| self.plan.request.destination_failure(Operation::ReadManifest, cause))?;
            let held = ids.iter().zip(held).filter_map(|(id, manifest)| Some((id.clone(), manifest?)));
            // A manifest over budget counts as missing, and is left out when it is read from the source.
            found.extend(held.filter(|(_, manifest)| self.keep(manifest).is_ok()));
        }
        Ok(found)
    }

    fn keep(&self, manifest: &Manifest) -> Result<(), Error> {
        let size = manifest.bytes.len() as u64;
        let kept = self.source.budget().record(&manifest.digest, size, manifest.descriptor_count());
        kept.map_err(|limit| self.over_budget(limit))
    }

    fn over_budget(&self, limit: ImageLimit) -> Error {
        Box::new(Failure::ImageLimitExceeded { subject: self.plan.request.source.to_string(), limit })
    }

    async fn copy_candidate(
        &self,
        found: &Candidate,
        held: &HashMap<ManifestId, Manifest>,
    ) -> Option<Manifest> {
        let (result, manifest) = match self.copy_if_missing(found, held).await {
            Ok((result, manifest)) => (result, manifest),
            Err(failure) => {
                self.stop_after(&failure);
                let result = match failure.problem() {
                    Problem::ImageLimitExceeded => CandidateResult::LeftOut,
                    _ => CandidateResult::Refused,
                };
                (result(failure.summary()), None)
            }
        };
        self.count_result(found, &result);
        manifest.filter(|_| matches!(result, CandidateResult::Copied | CandidateResult::Present))
    }

    async fn copy_if_missing(
        &self,
        found: &Candidate,
        held: &HashMap<ManifestId, Manifest>,
    ) -> Result<(CandidateResult, Option<Manifest>), Error> {
        if !found.is_manifest() {
            let kind = found.media_type.as_deref().unwrap_or_default();
            return Ok((
                CandidateResult::Refused(format!(
                    "{} is of type {kind}, which cannot be copied",
                    found.digest
                )),
                None,
            ));
        }
        let here = held.get(&ManifestId::Digest(found.digest.clone()));
        let theirs = found.tag.as_ref().and_then(|tag| held.get(&ManifestId::Tag(tag.clone())));
        let manifest = match (here, self.stopped()) {
            (Some(here), _) => here.clone(),
            (None, Some(reason)) => return Ok((CandidateResult::LeftOut(reason), None)),
            (None, None) => self.read(found).await?,
        };
        // A list can be wrong; a referrer's manifest names its subject.
        if found.tag.is_none() && manifest.subject().as_ref() != Some(&found.subject) {
            tracing::debug!(digest = %found.digest, subject = %found.subject, "listed, but it refers to something else");
            return Ok((CandidateResult::NoReferrer, None));
        }
        let tag_is_right = found.tag.is_none() || theirs.is_some_and(|theirs| theirs.digest == found.digest);
        if here.is_some() && tag_is_right {
            return Ok((CandidateResult::Present, Some(manifest)));
        }
        if let (Some(tag), Some(theirs)) = (&found.tag, theirs)
            && !contains(&manifest, theirs)
        {
            // For example a company's own signature.
            let reason = format!("tag {tag} at the destination has content that the source does not have");
            return Ok((CandidateResult::Refused(reason), None));
        }
        let names = theirs.map(|theirs| theirs.digest.clone());
        let result = self
            .copy_as_image(
                found,
                LocatedManifest { manifest: manifest.clone(), at_destination: here.is_some() },
                names,
            )
            .await?;
        Ok((result, Some(manifest)))
    }

    async fn read(&self, found: &Candidate) -> Result<Manifest, Error> {
        let charged = self.source.budget().reserve(&found.digest, found.expected_bytes());
        charged.map_err(|limit| self.over_budget(limit))?;
        let reading = self.reading.fetch_add(1, Ordering::Relaxed);
        let read = async {
            self.source.wait_for_pulls(reading + 1).await?;
            let id = ManifestId::Digest(found.digest.clone());
            self.source.upstream().get_manifest_within(&id, found.limit()).await
        };
        let read = read.await;
        self.reading.fetch_sub(1, Ordering::Relaxed);
        let manifest = read.map_err(|cause| {
            // It takes up no memory.
            let _ = self.source.budget().record(&found.digest, 0, 0);
            let subject = self.source.upstream().name().with_digest(found.digest.clone()).to_string();
            Failure::registry(Side::Source, Operation::ReadManifest, subject, cause)
        })?;
        self.keep(&manifest)?;
        Ok(manifest)
    }

    /// Copies one candidate as an image of its own.
    async fn copy_as_image(
        &self,
        found: &Candidate,
        root: LocatedManifest,
        names: Option<Digest>,
    ) -> Result<CandidateResult, Error> {
        let started = Instant::now();
        let (source, destination) = (self.source, self.destination);
        let request = Request {
            source: source.upstream().name().with_digest(found.digest.clone()),
            destination: self.plan.request.destination.clone(),
            tag: found.tag.clone(),
            platforms: PlatformSelection::All,
            earlier_copies: Vec::new(),
            include_referrers: false,
        };
        let current = HashMap::new();
        let reader = ManifestReader { request: &request, current: &current, source, destination };
        let descendants = reader.descendants(&root).await?;
        let manifests = || descendants.read.iter().chain([&root]);
        if let Some(objection) = manifests()
            .find_map(|LocatedManifest { manifest, .. }| destination.inventory.rejection_reason(manifest))
        {
            return Ok(CandidateResult::Refused(format!("{}: {objection}", request.source)));
        }
        let (blobs, progress) = missing_blobs(&request, destination, manifests()).await?;
        if !self.reserve_bytes(progress.bytes - progress.bytes_present) {
            return Ok(CandidateResult::LeftOut(format!(
                "all referrers together have more than {} MiB",
                MAX_BYTES >> 20
            )));
        }
        let tag = tag_change(request.tag.as_ref(), names, &found.digest);
        let source_digest = found.digest.clone();
        let target = TargetImage {
            source_digest,
            root,
            descendants,
            platforms: Vec::new(),
            source_platform_count: None,
            tag,
        };
        let plan = target.plan(&request, blobs, progress, started.elapsed());
        // The caller limits the time of all referrers together.
        let limits = TransferLimits::default();
        let CopiedContent { progress: blobs, skipped } =
            transfer_blobs_and_children(&plan, source, destination, &limits, Arc::new(NullReporter)).await?;
        let elapsed = started.elapsed();
        let content = TransferredContent { blobs, skipped, referrers: None, root_written: false, elapsed };
        publish(&plan, source, destination, &limits, content).await?;
        Ok(CandidateResult::Copied)
    }

    fn reserve_bytes(&self, bytes: u64) -> bool {
        let mut counters = self.counters();
        let fits = counters.bytes.saturating_add(bytes) <= MAX_BYTES;
        if fits {
            counters.bytes += bytes;
        }
        fits
    }

    /// Writes lists of referrers if the destination does not create them itself. Keeps existing entries.
    async fn list(&self, lists: &HashMap<Digest, Vec<Manifest>>) {
        let Some(first) = lists.keys().next() else { return };
        let inventory = &self.destination.inventory;
        let listed = async {
            if inventory.lists_referrers(first).await? {
                return Ok(());
            }
            for (subject, manifests) in lists {
                let Some(tag) = subject.referrers_tag() else { continue };
                let id = ManifestId::Tag(tag);
                let there =
                    inventory.manifests(std::slice::from_ref(&id)).await?.into_iter().next().flatten();
                // The registry treats this tag as the subject's digest, so a list cannot be written.
                if there.as_ref().is_some_and(|there| there.digest == *subject) {
                    continue;
                }
                if let Some(index) = Manifest::referrers_index(there.as_ref(), manifests)? {
                    self.destination.repository.put_manifest(&index, &id).await?;
                }
            }
            Ok(())
        };
        if let Err(cause) = listed.await {
            let failure = self.plan.request.destination_failure(Operation::WriteTag, cause);
            tracing::warn!(%failure, "what was copied is not listed as referring to the image");
            let mut counters = self.counters();
            counters.counts.unlisted += lists.len();
            counters.counts.first_reason.get_or_insert_with(|| failure.summary());
        }
    }
}

/// Returns true if `new` has all parts of `old`, for example after a signature was added.
fn contains(new: &Manifest, old: &Manifest) -> bool {
    let parts = |manifest: &Manifest| match &manifest.kind {
        ManifestKind::Image { layers, .. } => {
            layers.iter().map(|layer| layer.digest.clone()).collect::<HashSet<_>>()
        }
        ManifestKind::Index { children } => children.iter().map(|child| child.digest.clone()).collect(),
    };
    parts(old).is_subset(&parts(new))
}
