//! The steps of a transfer: blobs and child manifests, referrers, root.
//!
//! If a step fails, the tag stays unchanged.

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

/// Executes a plan. Blobs are streamed and never completely in memory.
///
/// # Errors
/// If the source or the destination fails permanently. At the deadline,
/// [`Failure::Deadline`](crate::copy::Failure::Deadline) with the progress.
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
/// The errors of [`transfer`].
pub async fn transfer_content(
    plan: &Plan,
    source: &Source,
    destination: &Destination,
    limits: &TransferLimits,
    reporter: Arc<dyn ProgressReporter>,
) -> Result<TransferredContent, Error> {
    let started = Instant::now();
    let copied = transfer_blobs_and_children(plan, source, destination, limits, reporter).await?;
    let (referrers, root_written) = match plan.request.include_referrers {
        false => (None, false),
        true => {
            let (counts, root_written) =
                referrers::copy(plan, source, destination, limits, &copied.skipped).await?;
            (Some(counts), root_written)
        }
    };
    let (blobs, skipped) = (copied.progress, copied.skipped);
    Ok(TransferredContent { blobs, skipped, referrers, root_written, elapsed: started.elapsed() })
}
