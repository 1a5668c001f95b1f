//! The last log line of an event of a refresh workflow.

use crate::deadline::Deadlines;

/// Counts of an event that succeeded.
pub(crate) struct RefreshCounts {
    pub(crate) outcome: &'static str,
    pub(crate) images: usize,
    pub(crate) deletes: usize,
    pub(crate) failed: usize,
}

/// Logs that the event succeeded.
pub(crate) fn log_success(counts: &RefreshCounts, deadlines: &Deadlines) {
    let RefreshCounts { outcome, images, deletes, failed } = *counts;
    tracing::info!(
        outcome,
        invocation = 1,
        images,
        deletes,
        failed_images = failed,
        seconds = deadlines.started.elapsed().as_secs_f64(),
        "responded"
    );
}

/// Logs that the event failed.
pub(crate) fn log_failure(code: &str, reason: &str, deadlines: &Deadlines) {
    let seconds = deadlines.started.elapsed().as_secs_f64();
    tracing::warn!(outcome = "failed", code, reason, invocation = 1, seconds, "responded");
}
