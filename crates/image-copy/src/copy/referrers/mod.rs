//! What refers to an image goes along: signatures, SBOMs, attestations, and what refers to those.
//!
//! It is looked for upstream under the digests that upstream knows, and is at the destination before
//! the tag is. Nothing of it makes a copy fail: what cannot be had, or is refused, is counted and told.

mod find;
mod place;

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{Destination, Error, Failure, Limits, Operation, Plan, Problem, Progress, Side, Source};
use crate::oci::{Digest, Tag};
use crate::registry::ManifestId;
use find::Candidate;

/// A signature on an SBOM of an image is the second step away from it; nobody's tools make a fourth.
const MAX_DEPTH: usize = 3;

/// Referrers of one image, all platforms together. Each costs some six requests, and one of the ten
/// PutImage calls that ECR allows in a second.
const MAX_REFERRERS: usize = 300;

/// Bytes of blobs copied for referrers: the largest SBOMs have some tens of MiB.
const MAX_BYTES: u64 = 1 << 30;

/// Longest time kept back for the tag where time is limited. ECR may have to be asked more than once.
const KEPT_FOR_THE_TAG: Duration = Duration::from_secs(30);

/// What became of the referrers of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Referrers {
    /// Copied now.
    pub copied: usize,
    /// At the destination before.
    pub present: usize,
    /// Upstream did not give them, or the destination did not take them.
    pub refused: usize,
    /// There was no time left for them, or there were too many.
    pub left_out: usize,
    /// Images and referrers of which upstream did not say what refers to them.
    pub unknown: usize,
    /// Images that they could not be listed for, at a destination that makes no lists itself.
    pub unlisted: usize,
    /// Why, of the first that is refused, left out, unknown or unlisted; one line.
    pub first_reason: Option<String>,
}

impl Referrers {
    /// Whether something may be missing at the destination.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        self.refused + self.left_out + self.unknown + self.unlisted > 0
    }
}

/// `3 copied, 1 refused`
impl fmt::Display for Referrers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lookups = if self.unknown == 1 { "lookup failed" } else { "lookups failed" };
        let parts: Vec<String> = [
            (self.copied, "copied"),
            (self.present, "present"),
            (self.refused, "refused"),
            (self.left_out, "left out"),
            (self.unknown, lookups),
            (self.unlisted, "not listed"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
        if parts.is_empty() { f.write_str("none") } else { f.write_str(&parts.join(", ")) }
    }
}

/// Copies what refers to the image. Tells also whether the root was written, by its digest, because
/// something refers to it.
///
/// # Errors
/// When the root cannot be written.
pub(super) async fn copy(
    plan: &Plan,
    source: &Source,
    destination: &Destination,
    limits: &Limits,
    blobs: Progress,
) -> Result<(Referrers, bool), Error> {
    let job = Job {
        plan,
        source,
        destination,
        lacks_api: AtomicBool::new(false),
        root_written: AtomicBool::new(false),
        tally: Mutex::default(),
    };
    match end(limits) {
        None => job.run(blobs).await?,
        // The image comes first: what takes too long is left out.
        Some(end) => tokio::time::timeout_at(end, job.run(blobs)).await.unwrap_or(Ok(()))?,
    }
    let root_written = job.root_written.load(Ordering::Relaxed);
    let referrers = job.ended();
    if !referrers.is_incomplete() {
        tracing::info!(%referrers, "what refers to the image was copied");
    } else {
        let reason = referrers.first_reason.as_deref();
        tracing::warn!(%referrers, reason, "what refers to the image is not all at the destination");
    }
    Ok((referrers, root_written))
}

fn end(limits: &Limits) -> Option<Instant> {
    let deadline = limits.deadline?;
    let left = deadline.saturating_duration_since(Instant::now());
    Some(deadline - (left / 4).min(KEPT_FOR_THE_TAG))
}

struct Job<'a> {
    plan: &'a Plan,
    source: &'a Source,
    destination: &'a Destination,
    /// Set once upstream turns out to have no referrers API.
    lacks_api: AtomicBool,
    root_written: AtomicBool,
    tally: Mutex<Tally>,
}

#[derive(Default)]
struct Tally {
    counts: Referrers,
    /// Found, and neither at the destination nor given up yet.
    open: usize,
    /// Subjects of which upstream is being asked.
    asking: usize,
    /// All that was found.
    found: usize,
    /// Bytes of blobs that are or were to be copied.
    bytes: u64,
    /// Why upstream is asked no more: it would only say the same again.
    stopped: Option<String>,
}

/// What became of a candidate.
enum Fate {
    Copied,
    Present,
    Refused(String),
    LeftOut(String),
    /// It does not refer to what it was said to refer to.
    NoReferrer,
}

impl Job<'_> {
    async fn run(&self, blobs: Progress) -> Result<(), Error> {
        let mut subjects = self.plan.subjects.clone();
        let mut seen: HashSet<(Digest, Option<Tag>)> =
            subjects.iter().map(|digest| (digest.clone(), None)).collect();
        for _ in 0..MAX_DEPTH {
            let mut found = self.find(&subjects).await;
            found.retain(|found| seen.insert((found.digest.clone(), found.tag.clone())));
            let candidates = self.admit(found);
            if candidates.is_empty() {
                break;
            }
            if candidates.iter().any(|found| found.subject == self.plan.root.digest) {
                self.write_root(blobs).await?;
            }
            subjects = self.place(&candidates).await;
        }
        Ok(())
    }

    /// Takes up as many as there is room for.
    fn admit(&self, mut candidates: Vec<Candidate>) -> Vec<Candidate> {
        let mut tally = self.tally();
        let room = MAX_REFERRERS.saturating_sub(tally.found);
        if candidates.len() > room {
            tally.counts.left_out += candidates.len() - room;
            let reason = format!("there are more than {MAX_REFERRERS}");
            tally.counts.first_reason.get_or_insert(reason);
            candidates.truncate(room);
        }
        tally.found += candidates.len();
        tally.open += candidates.len();
        candidates
    }

    /// A referrer goes after what it refers to, which has its tag only later.
    async fn write_root(&self, blobs: Progress) -> Result<(), Error> {
        if self.plan.root_held || self.root_written.load(Ordering::Relaxed) {
            return Ok(());
        }
        let root = &self.plan.root;
        let id = ManifestId::Digest(root.digest.clone());
        let written = self.destination.repository.put_manifest(root, &id).await;
        written.map_err(|cause| self.plan.request.destination_failure(Operation::WriteManifest, cause))?;
        self.root_written.store(true, Ordering::Relaxed);
        tracing::debug!(digest = %root.digest, blobs = blobs.copied, "the root is written without its tag");
        Ok(())
    }

    fn settle(&self, candidate: &Candidate, fate: &Fate) {
        let mut tally = self.tally();
        tally.open -= 1;
        let counts = &mut tally.counts;
        let (count, reason) = match fate {
            Fate::Copied => (&mut counts.copied, None),
            Fate::Present => (&mut counts.present, None),
            Fate::Refused(reason) => (&mut counts.refused, Some(reason)),
            Fate::LeftOut(reason) => (&mut counts.left_out, Some(reason)),
            Fate::NoReferrer => return,
        };
        *count += 1;
        if let Some(reason) = reason {
            let (digest, tag) = (candidate.digest.as_str(), candidate.tag.as_ref().map(ToString::to_string));
            tracing::warn!(digest, tag, subject = %candidate.subject, reason, "a referrer is not copied");
            counts.first_reason.get_or_insert_with(|| reason.clone());
        }
    }

    /// Upstream need not be asked again when it is out of reach, or has had enough of us.
    fn stop_after(&self, failure: &Failure) {
        let is_final = matches!(
            failure.problem(),
            Problem::PullLimit
                | Problem::Throttled
                | Problem::Unreachable
                | Problem::BehindProxy
                | Problem::CertificateRefused
                | Problem::Interrupted
                | Problem::CredentialsUnavailable
                | Problem::LoginRefused
        );
        if is_final && failure.side() == Side::Source {
            self.tally().stopped.get_or_insert_with(|| failure.summary());
        }
    }

    fn stopped(&self) -> Option<String> {
        self.tally().stopped.clone()
    }

    /// The counts in the end. What is still open had no time.
    fn ended(self) -> Referrers {
        let Tally { mut counts, open, asking, .. } =
            self.tally.into_inner().unwrap_or_else(PoisonError::into_inner);
        counts.left_out += open;
        counts.unknown += asking;
        if open + asking > 0 {
            counts.first_reason.get_or_insert_with(|| "there was no time left".into());
        }
        counts
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_counts_and_leaves_out_what_is_none() {
        assert_eq!(Referrers::default().to_string(), "none");
        let some = Referrers { copied: 3, refused: 1, ..Referrers::default() };
        assert_eq!(some.to_string(), "3 copied, 1 refused");
        let all = Referrers {
            copied: 1,
            present: 2,
            refused: 3,
            left_out: 4,
            unknown: 1,
            unlisted: 2,
            first_reason: None,
        };
        assert_eq!(
            all.to_string(),
            "1 copied, 2 present, 3 refused, 4 left out, 1 lookup failed, 2 not listed"
        );
        assert!(all.is_incomplete() && !Referrers { present: 1, ..Referrers::default() }.is_incomplete());
    }
}
