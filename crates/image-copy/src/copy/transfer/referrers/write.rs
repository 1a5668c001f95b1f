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

/// Maximum number of manifests of unknown size that are read from the destination in one call.
const MANIFESTS_PER_CALL: usize = 50;

impl ReferrerCopy<'_> {
    /// Copies the candidates. Returns the digests of those that the destination has after that.
    pub(super) async fn copy_candidates(&self, candidates: &[Candidate]) -> Vec<Digest> {
        let existing = match self.existing(candidates).await {
            Ok(existing) => existing,
            Err(failure) => {
                let result = CandidateResult::Refused(failure.summary());
                candidates.iter().for_each(|candidate| self.count_result(candidate, &result));
                return Vec::new();
            }
        };
        // Maps positions, because the compiler does not accept a closure over references as `Send`
        // (https://github.com/rust-lang/rust/issues/102211).
        let copied: Vec<Option<Manifest>> = stream::iter(0..candidates.len())
            .map(|position| self.copy_candidate(&candidates[position], &existing))
            .buffered(CONCURRENT_REFERRERS)
            .collect()
            .await;
        let present = || {
            candidates
                .iter()
                .zip(&copied)
                .filter_map(|(candidate, manifest)| Some((candidate, manifest.as_ref()?)))
        };
        let mut lists: HashMap<Digest, Vec<Manifest>> = HashMap::new();
        for (candidate, manifest) in present().filter(|(candidate, _)| candidate.tag.is_none()) {
            lists.entry(candidate.subject.clone()).or_default().push(manifest.clone());
        }
        self.write_lists(&lists).await;
        present().map(|(candidate, _)| candidate.digest.clone()).collect()
    }

    /// Returns the candidates' manifests at the destination, by digest and by tag.
    async fn existing(&self, candidates: &[Candidate]) -> Result<HashMap<ManifestId, Manifest>, Error> {
        let mut ids: Vec<ManifestId> = Vec::new();
        for candidate in candidates.iter().filter(|candidate| candidate.is_manifest()) {
            ids.push(ManifestId::Digest(candidate.digest.clone()));
            ids.extend(candidate.tag.clone().map(ManifestId::Tag));
        }
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let mut found = HashMap::new();
        for ids in ids.chunks(MANIFESTS_PER_CALL) {
            let existing = self.destination.inventory.manifests(ids).await;
            let existing = existing
                .map_err(|cause| self.plan.request.destination_failure(Operation::ReadManifest, cause))?;
            let existing =
                ids.iter().zip(existing).filter_map(|(id, manifest)| Some((id.clone(), manifest?)));
            // A manifest over budget counts as missing here. The read from the source then fails.
            found.extend(existing.filter(|(_, manifest)| self.record_memory(manifest).is_ok()));
        }
        Ok(found)
    }

    fn record_memory(&self, manifest: &Manifest) -> Result<(), Error> {
        let size = manifest.bytes.len() as u64;
        let recorded = self.source.budget().record(&manifest.digest, size, manifest.descriptor_count());
        recorded.map_err(|limit| self.limit_failure(limit))
    }

    fn limit_failure(&self, limit: ImageLimit) -> Error {
        Box::new(Failure::ImageLimitExceeded { subject: self.plan.request.source.to_string(), limit })
    }

    async fn copy_candidate(
        &self,
        candidate: &Candidate,
        existing: &HashMap<ManifestId, Manifest>,
    ) -> Option<Manifest> {
        let (result, manifest) = match self.copy_if_missing(candidate, existing).await {
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
        self.count_result(candidate, &result);
        manifest.filter(|_| matches!(result, CandidateResult::Copied | CandidateResult::Present))
    }

    async fn copy_if_missing(
        &self,
        candidate: &Candidate,
        existing: &HashMap<ManifestId, Manifest>,
    ) -> Result<(CandidateResult, Option<Manifest>), Error> {
        if !candidate.is_manifest() {
            let media_type = candidate.media_type.as_deref().unwrap_or_default();
            return Ok((
                CandidateResult::Refused(format!(
                    "{} has media type {media_type}, which cannot be copied",
                    candidate.digest
                )),
                None,
            ));
        }
        let by_digest = existing.get(&ManifestId::Digest(candidate.digest.clone()));
        let by_tag = candidate.tag.as_ref().and_then(|tag| existing.get(&ManifestId::Tag(tag.clone())));
        let manifest = match (by_digest, self.stop_reason()) {
            (Some(manifest), _) => manifest.clone(),
            (None, Some(reason)) => return Ok((CandidateResult::LeftOut(reason), None)),
            (None, None) => self.read_manifest(candidate).await?,
        };
        // The list can be wrong, but the referrer's manifest names its subject.
        if candidate.tag.is_none() && manifest.subject().as_ref() != Some(&candidate.subject) {
            tracing::debug!(digest = %candidate.digest, subject = %candidate.subject, "a listed manifest does not refer to the subject");
            return Ok((CandidateResult::NoReferrer, None));
        }
        let tag_is_right =
            candidate.tag.is_none() || by_tag.is_some_and(|tagged| tagged.digest == candidate.digest);
        if by_digest.is_some() && tag_is_right {
            return Ok((CandidateResult::Present, Some(manifest)));
        }
        if let (Some(tag), Some(tagged)) = (&candidate.tag, by_tag)
            && !contains_all_content(&manifest, tagged)
        {
            // For example, the user's own signature.
            let reason = format!("tag {tag} at the destination has content that the source does not have");
            return Ok((CandidateResult::Refused(reason), None));
        }
        let current = by_tag.map(|tagged| tagged.digest.clone());
        let result = self
            .copy_as_image(
                candidate,
                LocatedManifest { manifest: manifest.clone(), at_destination: by_digest.is_some() },
                current,
            )
            .await?;
        Ok((result, Some(manifest)))
    }

    async fn read_manifest(&self, candidate: &Candidate) -> Result<Manifest, Error> {
        let reserved = self.source.budget().reserve(&candidate.digest, candidate.expected_bytes());
        reserved.map_err(|limit| self.limit_failure(limit))?;
        let reading = self.reading.fetch_add(1, Ordering::Relaxed);
        let read = async {
            self.source.wait_for_pulls(reading + 1).await?;
            let id = ManifestId::Digest(candidate.digest.clone());
            self.source.upstream().get_manifest_within(&id, candidate.limit()).await
        };
        let read = read.await;
        self.reading.fetch_sub(1, Ordering::Relaxed);
        let manifest = read.map_err(|cause| {
            // A failed read uses no memory.
            let _ = self.source.budget().record(&candidate.digest, 0, 0);
            let subject = self.source.upstream().name().with_digest(candidate.digest.clone()).to_string();
            Failure::registry(Side::Source, Operation::ReadManifest, subject, cause)
        })?;
        self.record_memory(&manifest)?;
        Ok(manifest)
    }

    /// Copies one candidate as a separate image.
    async fn copy_as_image(
        &self,
        candidate: &Candidate,
        root: LocatedManifest,
        current: Option<Digest>,
    ) -> Result<CandidateResult, Error> {
        let started = Instant::now();
        let (source, destination) = (self.source, self.destination);
        let request = Request {
            source: source.upstream().name().with_digest(candidate.digest.clone()),
            destination: self.plan.request.destination.clone(),
            tag: candidate.tag.clone(),
            platforms: PlatformSelection::All,
            earlier_copies: Vec::new(),
            include_referrers: false,
            customization: None,
        };
        let no_manifests = HashMap::new();
        let reader = ManifestReader { request: &request, current: &no_manifests, source, destination };
        let descendants = reader.read_descendants(&root).await?;
        let manifests = || descendants.read.iter().chain([&root]);
        if let Some(reason) = manifests()
            .find_map(|LocatedManifest { manifest, .. }| destination.inventory.rejection_reason(manifest))
        {
            return Ok(CandidateResult::Refused(format!("{}: {reason}", request.source)));
        }
        let (blobs, progress) = missing_blobs(&request, destination, manifests()).await?;
        if !self.reserve_bytes(progress.bytes - progress.bytes_present) {
            return Ok(CandidateResult::LeftOut(format!(
                "all referrers together have more than {} MiB",
                MAX_BYTES >> 20
            )));
        }
        let tag = tag_change(request.tag.as_ref(), current, &candidate.digest);
        let source_digest = candidate.digest.clone();
        let target = TargetImage {
            customized: None,
            source_digest,
            root,
            descendants,
            platforms: Vec::new(),
            source_platform_count: None,
            tag,
        };
        let plan = target.into_plan(&request, blobs, progress, started.elapsed());
        // The caller limits the time of all referrers.
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

    /// Writes the indexes of referrers if the destination lacks the referrers API. Keeps existing entries.
    async fn write_lists(&self, lists: &HashMap<Digest, Vec<Manifest>>) {
        let Some(first) = lists.keys().next() else { return };
        let inventory = &self.destination.inventory;
        let writing = async {
            if inventory.lists_referrers(first).await? {
                return Ok(());
            }
            for (subject, manifests) in lists {
                let Some(tag) = subject.referrers_tag() else { continue };
                let id = ManifestId::Tag(tag);
                let existing =
                    inventory.manifests(std::slice::from_ref(&id)).await?.into_iter().next().flatten();
                // This registry resolves the tag to the subject itself, so an index cannot be written.
                if existing.as_ref().is_some_and(|existing| existing.digest == *subject) {
                    continue;
                }
                if let Some(index) = Manifest::referrers_index(existing.as_ref(), manifests)? {
                    self.destination.repository.put_manifest(&index, &id).await?;
                }
            }
            Ok(())
        };
        if let Err(cause) = writing.await {
            let failure = self.plan.request.destination_failure(Operation::WriteTag, cause);
            tracing::warn!(%failure, "the index of referrers could not be written");
            let mut counters = self.counters();
            counters.counts.unlisted += lists.len();
            counters.counts.first_reason.get_or_insert_with(|| failure.summary());
        }
    }
}

/// Returns true if `new` has all layers or children of `old`, for example after a signature was added.
fn contains_all_content(new: &Manifest, old: &Manifest) -> bool {
    let digests = |manifest: &Manifest| match &manifest.kind {
        ManifestKind::Image { layers, .. } => {
            layers.iter().map(|layer| layer.digest.clone()).collect::<HashSet<_>>()
        }
        ManifestKind::Index { children } => children.iter().map(|child| child.digest.clone()).collect(),
    };
    digests(old).is_subset(&digests(new))
}
