//! The state of copying an image's referrers, shared by concurrent lookups and copies.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::candidate::Candidate;
use crate::copy::destination::Destination;
use crate::copy::planning::Plan;
use crate::copy::reporting::{Failure, Problem, ReferrerCounts, Side};
use crate::copy::source::Source;
use crate::oci::{Digest, Tag};

/// Maximum number of referrers of one image with all platforms. Each causes some six requests, one of them
/// PutImage, which ECR limits to ten per second.
const MAX_REFERRERS: usize = 300;

/// Maximum number of warnings about single referrers. The outcome has the counts of all referrers.
const MAX_WARNINGS: usize = 5;

/// Maximum size of all referrers' blobs in bytes. The largest SBOMs have some tens of MiB.
pub(super) const MAX_BYTES: u64 = 1 << 30;

pub(super) struct ReferrerCopy<'a> {
    pub(super) plan: &'a Plan,
    pub(super) source: &'a Source,
    pub(super) destination: &'a Destination,
    /// True if the source has no referrers API.
    pub(super) lacks_api: AtomicBool,
    pub(super) root_written: AtomicBool,
    /// Referrers whose manifests are being read, each of which costs a pull.
    pub(super) reading: AtomicU64,
    pub(super) counters: Mutex<Counters>,
}

#[derive(Default)]
pub(super) struct Counters {
    pub(super) counts: ReferrerCounts,
    /// Referrers without a result yet.
    pub(super) pending: usize,
    /// Subjects whose lookup is running.
    pub(super) running_lookups: usize,
    /// Number of all referrers found.
    pub(super) found: usize,
    /// Bytes of all blobs to copy, including those already copied.
    pub(super) bytes: u64,
    /// Reason for sending no more requests to the source: the next request would fail too.
    pub(super) stopped: Option<String>,
}

/// Result of a candidate.
pub(super) enum CandidateResult {
    Copied,
    Present,
    Refused(String),
    LeftOut(String),
    /// The manifest does not refer to the subject.
    NoReferrer,
}

impl ReferrerCopy<'_> {
    /// Adds new candidates within the limit, and counts the others as left out.
    pub(super) fn add_candidates(
        &self,
        candidates: Vec<Candidate>,
        seen: &mut HashSet<(Digest, Option<Tag>)>,
        accepted: &mut Vec<Candidate>,
    ) {
        let mut counters = self.counters();
        for candidate in candidates {
            let key = (candidate.digest.clone(), candidate.tag.clone());
            if seen.contains(&key) {
                continue;
            }
            if counters.found == MAX_REFERRERS {
                counters.counts.left_out += 1;
                let reason = || format!("the image has more than {MAX_REFERRERS} referrers");
                counters.counts.first_reason.get_or_insert_with(reason);
                continue;
            }
            seen.insert(key);
            counters.found += 1;
            counters.pending += 1;
            accepted.push(candidate);
        }
    }

    pub(super) fn count_result(&self, candidate: &Candidate, result: &CandidateResult) {
        let mut counters = self.counters();
        counters.pending -= 1;
        let counts = &mut counters.counts;
        let (count, reason) = match result {
            CandidateResult::Copied => (&mut counts.copied, None),
            CandidateResult::Present => (&mut counts.present, None),
            CandidateResult::Refused(reason) => (&mut counts.refused, Some(reason)),
            CandidateResult::LeftOut(reason) => (&mut counts.left_out, Some(reason)),
            CandidateResult::NoReferrer => return,
        };
        *count += 1;
        if let Some(reason) = reason {
            let (digest, tag) = (candidate.digest.as_str(), candidate.tag.as_ref().map(ToString::to_string));
            let subject = &candidate.subject;
            if counts.refused + counts.left_out <= MAX_WARNINGS {
                tracing::warn!(digest, tag, %subject, reason, "a referrer is not copied");
            } else {
                tracing::debug!(digest, tag, %subject, reason, "a referrer is not copied");
            }
            counts.first_reason.get_or_insert_with(|| reason.clone());
        }
    }

    /// Stops requests to the source if it is unreachable, throttles, or rejects the credentials.
    pub(super) fn stop_after(&self, failure: &Failure) {
        let is_final = matches!(
            failure.problem(),
            Problem::PullLimit
                | Problem::Throttled
                | Problem::Unreachable
                | Problem::ProxyUnreachable
                | Problem::CertificateRejected
                | Problem::Interrupted
                | Problem::CredentialsUnavailable
                | Problem::CredentialsRejected
        );
        if is_final && failure.side() == Side::Source {
            self.counters().stopped.get_or_insert_with(|| failure.summary());
        }
    }

    pub(super) fn stop_reason(&self) -> Option<String> {
        self.counters().stopped.clone()
    }

    /// Returns the final counts. Pending referrers and lookups exceeded the time limit.
    pub(super) fn into_counts(self) -> ReferrerCounts {
        let Counters { mut counts, pending, running_lookups, .. } =
            self.counters.into_inner().unwrap_or_else(PoisonError::into_inner);
        counts.left_out += pending;
        counts.failed_lookups += running_lookups;
        if pending + running_lookups > 0 {
            counts.first_reason.get_or_insert_with(|| "time ran out".into());
        }
        counts
    }

    pub(super) fn counters(&self) -> MutexGuard<'_, Counters> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
