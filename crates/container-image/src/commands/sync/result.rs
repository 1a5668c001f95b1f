//! The result of one image.

use std::time::Duration;

use image_copy::copy::{Error, Outcome, Plan, TagChange};
use image_copy::oci::{Digest, Platform, Registry};
use image_copy::registry::RateLimit;

use super::images::Image;
use crate::report;

/// The result of one image.
pub(crate) struct ImageResult<'a> {
    pub(crate) image: &'a Image,
    pub(crate) change: Result<Change, Error>,
    /// Registry whose failure affects all of its images.
    pub(crate) failed_registry: Option<Registry>,
    /// Manifests read from Docker Hub, which counts each one as a pull.
    pub(crate) pulls: u64,
    /// Pull limit of Docker Hub.
    pub(crate) rate_limit: Option<RateLimit>,
    pub(crate) elapsed: Duration,
}

/// A change of the destination, done or planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) kind: ChangeKind,
    /// Digest of the image at the destination. In a check, digest of the source.
    pub(crate) digest: Digest,
    /// Empty if they were not read.
    pub(crate) platforms: Vec<Platform>,
    /// Size of all blobs in bytes. `None` if they were not read.
    pub(crate) size: Option<u64>,
    /// Bytes that were copied or would be copied.
    pub(crate) bytes: u64,
    /// Attestations of the source that a changed image does not have.
    pub(crate) attestations_left_out: usize,
    /// Referrers that were not copied.
    pub(crate) warning: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ChangeKind {
    /// The destination has the image under its tag.
    Unchanged,
    /// The tag or the digest is new.
    New,
    /// The tag named another image before.
    Moved { from: Digest },
    /// The tag already named the image, but parts of it were missing.
    Repaired,
}

impl ChangeKind {
    /// Returns the digest that the tag named before.
    pub(crate) fn previous(&self) -> Option<&Digest> {
        match self {
            Self::Moved { from } => Some(from),
            Self::Unchanged | Self::New | Self::Repaired => None,
        }
    }
}

impl Change {
    pub(crate) fn of_plan(plan: &Plan) -> Self {
        let progress = &plan.progress;
        let missing = progress.bytes - progress.bytes_present - progress.bytes_skipped;
        let writes = plan.manifests_to_write() > 0 || !plan.blobs.is_empty();
        Self {
            kind: kind(&plan.tag, writes),
            digest: plan.root.digest.clone(),
            platforms: plan.platforms.clone(),
            size: (progress.blobs > 0).then_some(progress.bytes),
            bytes: missing,
            attestations_left_out: left_out(plan),
            warning: None,
        }
    }

    pub(crate) fn of_outcome(outcome: &Outcome, plan: &Plan) -> Self {
        let blobs = &outcome.blobs;
        Self {
            kind: kind(&outcome.tag, outcome.manifests_written > 0 || blobs.copied > 0),
            digest: outcome.digest.clone(),
            platforms: outcome.platforms.clone(),
            size: (blobs.blobs > 0).then_some(outcome.size),
            bytes: blobs.bytes_copied,
            attestations_left_out: left_out(plan),
            warning: report::referrers_warning(outcome),
        }
    }
}

fn left_out(plan: &Plan) -> usize {
    plan.customized.as_ref().map_or(0, |customized| customized.attestations_left_out)
}

fn kind(tag: &TagChange, writes: bool) -> ChangeKind {
    match tag {
        TagChange::Moved { from: Some(from) } => ChangeKind::Moved { from: from.clone() },
        TagChange::Moved { from: None } => ChangeKind::New,
        TagChange::Untagged if writes => ChangeKind::New,
        TagChange::Unchanged if writes => ChangeKind::Repaired,
        TagChange::Untagged | TagChange::Unchanged => ChangeKind::Unchanged,
    }
}

/// Counts of all results.
#[derive(Debug, Clone, Default)]
pub(crate) struct Totals {
    pub(crate) unchanged: usize,
    pub(crate) new: usize,
    pub(crate) moved: usize,
    pub(crate) failed: usize,
    pub(crate) bytes: u64,
    pub(crate) pulls: u64,
    /// Lowest pull limit of Docker Hub.
    pub(crate) rate_limit: Option<RateLimit>,
}

impl Totals {
    pub(crate) fn add(&mut self, result: &ImageResult<'_>) {
        match result.change.as_ref().map(|change| &change.kind) {
            Ok(ChangeKind::Unchanged) => self.unchanged += 1,
            Ok(ChangeKind::New) => self.new += 1,
            Ok(ChangeKind::Moved { .. } | ChangeKind::Repaired) => self.moved += 1,
            Err(_) => self.failed += 1,
        }
        self.bytes = self.bytes.saturating_add(result.change.as_ref().map_or(0, |change| change.bytes));
        self.pulls += result.pulls;
        let remaining = |limit: &RateLimit| limit.remaining;
        if let Some(limit) = &result.rate_limit
            && self
                .rate_limit
                .as_ref()
                .and_then(remaining)
                .is_none_or(|lowest| limit.remaining < Some(lowest))
        {
            self.rate_limit = Some(limit.clone());
        }
    }

    pub(crate) fn images(&self) -> usize {
        self.complete() + self.failed
    }

    /// Returns the number of images that did not fail.
    pub(crate) fn complete(&self) -> usize {
        self.unchanged + self.differences()
    }

    pub(crate) fn differences(&self) -> usize {
        self.new + self.moved
    }
}
