//! The steps of a transfer: blobs and child manifests, referrers, root.
//!
//! If a step fails, the tag names what it named before.

use std::sync::Arc;

use tokio::time::Instant;

use super::blobs::transfer_blobs_and_children;
use super::content::TransferredContent;
use super::limits::TransferLimits;
use super::publish::publish;
use super::referrers;
use crate::copy::destination::Destination;
use crate::copy::planning::Plan;
use crate::copy::reporting::{Error, Outcome, ProgressReporter};
use crate::copy::source::Source;

/// Carries out a plan. Only blob bytes in transit are in memory.
///
/// # Errors
/// If a side fails permanently; [`Failure::Deadline`](crate::copy::Failure::Deadline) with the progress at the deadline.
pub async fn transfer(
    plan: &Plan,
    source: &Source,
    destination: &Destination,
    limits: &TransferLimits,
    reporter: Arc<dyn ProgressReporter>,
) -> Result<Outcome, Error> {
    let content = transfer_content(plan, source, destination, limits, reporter).await?;
    publish(plan, source, destination, limits, content).await
}

/// Copies everything except the root: blobs, child manifests and referrers. Referrers are copied before
/// the tag is written, so that admission controllers find the signatures of a tagged image.
///
/// # Errors
/// As [`transfer`].
pub async fn transfer_content(
    plan: &Plan,
    source: &Source,
    destination: &Destination,
    limits: &TransferLimits,
    reporter: Arc<dyn ProgressReporter>,
) -> Result<TransferredContent, Error> {
    let started = Instant::now();
    let parts = transfer_blobs_and_children(plan, source, destination, limits, reporter).await?;
    let (referrers, root_written) = match plan.request.include_referrers {
        false => (None, false),
        true => {
            let copied = referrers::copy(plan, source, destination, limits, &parts.skipped).await?;
            (Some(copied.0), copied.1)
        }
    };
    let (blobs, skipped) = (parts.progress, parts.skipped);
    Ok(TransferredContent { blobs, skipped, referrers, root_written, elapsed: started.elapsed() })
}
