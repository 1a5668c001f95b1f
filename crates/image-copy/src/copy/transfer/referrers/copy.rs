//! Copies the referrers of an image, and their own referrers.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::state::ReferrerCopy;
use crate::copy::destination::Destination;
use crate::copy::planning::Plan;
use crate::copy::reporting::{Error, ReferrerCounts};
use crate::copy::source::Source;
use crate::copy::transfer::limits::TransferLimits;
use crate::copy::transfer::manifests::write_by_digest;
use crate::oci::{Digest, Tag};

/// Maximum distance from the image. A signature of the image's SBOM has distance 2. No tool creates
/// distance 4.
const MAX_DEPTH: usize = 3;

/// Maximum time that is reserved for writing the tag before a deadline. It is enough for several attempts.
const RESERVED_FOR_TAG: Duration = Duration::from_secs(30);

/// Copies the image's referrers. Returns true if it wrote the root by digest, which must exist before
/// its referrers.
///
/// # Errors
/// If the root cannot be written.
pub(in crate::copy::transfer) async fn copy(
    plan: &Plan,
    source: &Source,
    destination: &Destination,
    limits: &TransferLimits,
    skipped: &[Digest],
) -> Result<(ReferrerCounts, bool), Error> {
    let copy = ReferrerCopy {
        plan,
        source,
        destination,
        lacks_api: AtomicBool::new(false),
        root_written: AtomicBool::new(false),
        reading: AtomicU64::new(0),
        counters: Mutex::default(),
    };
    match end_time(limits) {
        None => copy.run(skipped).await?,
        // The image has priority over slow referrers.
        Some(end) => tokio::time::timeout_at(end, copy.run(skipped)).await.unwrap_or(Ok(()))?,
    }
    let root_written = copy.root_written.load(Ordering::Relaxed);
    let referrers = copy.into_counts();
    if !referrers.is_incomplete() {
        tracing::info!(%referrers, "all referrers were copied");
    } else {
        let reason = referrers.first_reason.as_deref();
        tracing::warn!(%referrers, reason, "some referrers were not copied");
    }
    Ok((referrers, root_written))
}

fn end_time(limits: &TransferLimits) -> Option<Instant> {
    let deadline = limits.deadline?;
    let left = deadline.saturating_duration_since(Instant::now());
    Some(deadline - (left / 4).min(RESERVED_FOR_TAG))
}

impl ReferrerCopy<'_> {
    async fn run(&self, skipped: &[Digest]) -> Result<(), Error> {
        let mut subjects = self.plan.subjects.clone();
        let mut seen: HashSet<(Digest, Option<Tag>)> =
            subjects.iter().map(|digest| (digest.clone(), None)).collect();
        for _ in 0..MAX_DEPTH {
            let candidates = self.look_up(&subjects, &mut seen).await;
            if candidates.is_empty() {
                break;
            }
            if candidates.iter().any(|found| found.subject == self.plan.root.digest) {
                self.write_root(skipped).await?;
            }
            subjects = self.copy_candidates(&candidates).await;
        }
        Ok(())
    }

    /// Writes the root by digest, because referrers are written after their subject and before the tag.
    async fn write_root(&self, skipped: &[Digest]) -> Result<(), Error> {
        if self.plan.root_exists || self.root_written.load(Ordering::Relaxed) {
            return Ok(());
        }
        write_by_digest(self.plan, &self.plan.root, self.destination, skipped).await?;
        self.root_written.store(true, Ordering::Relaxed);
        Ok(())
    }
}
