//! The last log line of an invocation, from which metrics are made.

use std::time::Duration;

use image_copy::copy::{self, Progress, ReadCounts, ReferrerCounts, TagChange};

use crate::copy::{CopyReport, FinishedCopy, WaitingReport};
use crate::deadline::Deadlines;
use crate::delete::DeleteReport;
use crate::delete::lifecycle::DeleteOutcome;
use crate::failure::Failure;
use crate::input::resource::Resource;

/// Result of an event, for the log.
pub(crate) enum Report<'a> {
    Copy(&'a CopyReport),
    /// The copy waits for its minimum age.
    Waiting(&'a WaitingReport),
    Delete(&'a DeleteReport),
    /// The event could not be read.
    Unreadable,
}

/// The last log line of an invocation.
pub(crate) struct EventSummary<'a> {
    pub(crate) resource: &'a Resource,
    pub(crate) report: Report<'a>,
    /// Number of the invocation, from 1.
    pub(crate) invocation: u64,
    pub(crate) deadlines: Deadlines,
}

impl EventSummary<'_> {
    /// Logs that the event succeeded.
    pub(crate) fn log_success(&self, reason: &str) {
        let outcome = match &self.report {
            Report::Copy(CopyReport { result: Ok(copied), .. }) => copy_outcome(copied),
            Report::Waiting(_) => "waiting",
            Report::Delete(DeleteReport { result: Ok(deleted), .. }) => delete_outcome(*deleted),
            _ => "nothing to do",
        };
        self.write("responded", outcome, None, Some(reason), self.progress());
    }

    /// Logs that the event failed.
    pub(crate) fn log_failure(&self, failure: &Failure, code: &str, reason: &str) {
        let progress = match failure {
            Failure::Copy(failure) | Failure::Stopped { failure, .. } => match failure.as_ref() {
                copy::Failure::Deadline { progress, .. } => *progress,
                _ => self.progress(),
            },
            _ => self.progress(),
        };
        self.write("responded", "failed", Some(code), Some(reason), progress);
    }

    /// Logs that another invocation continues with the event and responds.
    pub(crate) fn log_continuation(&self, progress: Progress) {
        self.write("continued in another invocation", "continued", None, None, progress);
    }

    fn progress(&self) -> Progress {
        match &self.report {
            Report::Copy(CopyReport { result: Ok(copied), .. }) => copied.outcome.blobs,
            Report::Copy(report) => report.progress.unwrap_or_default(),
            Report::Waiting(_) | Report::Delete(_) | Report::Unreadable => Progress::default(),
        }
    }

    fn write(
        &self,
        message: &str,
        outcome: &str,
        code: Option<&str>,
        reason: Option<&str>,
        progress: Progress,
    ) {
        let (request, traffic, state) = match &self.report {
            Report::Copy(report) => (report.request.as_ref(), Some(&report.traffic), Some(report.state)),
            Report::Waiting(report) => (Some(&report.request), Some(&report.traffic), Some(report.state)),
            Report::Delete(report) => (None, None, Some(report.state)),
            Report::Unreadable => (None, None, None),
        };
        let referrers: Option<&ReferrerCounts> = match &self.report {
            Report::Copy(CopyReport { result: Ok(copied), .. }) => copied.outcome.referrers.as_ref(),
            _ => None,
        };
        let source = traffic.map(|traffic| traffic.source.clone()).unwrap_or_default();
        let destination = traffic.map(|traffic| traffic.destination.clone()).unwrap_or_default();
        // A Delete has only a physical ID, which has the format of a destination.
        let deleted = matches!(self.report, Report::Delete(_)).then(|| self.resource.physical_id.clone());
        let destination_name = request.map(copy::Request::destination_name).or(deleted);
        macro_rules! log {
            ($level:ident) => {
                tracing::$level!(
                    message,
                    outcome,
                    code,
                    reason,
                    invocation = self.invocation,
                    source = request.map(|request| request.source.to_string()),
                    destination = destination_name,
                    blobs = progress.blobs,
                    blobs_present = progress.present,
                    blobs_copied = progress.copied,
                    bytes = progress.bytes,
                    bytes_copied = progress.bytes_copied,
                    referrers_copied = referrers.map(|referrers| referrers.copied),
                    referrers_present = referrers.map(|referrers| referrers.present),
                    referrers_refused = referrers.map(|referrers| referrers.refused),
                    referrers_left_out = referrers.map(|referrers| referrers.left_out),
                    referrers_unknown = referrers.map(|referrers| referrers.failed_lookups),
                    seconds = self.deadlines.started.elapsed().as_secs_f64(),
                    source_requests = source.requests,
                    destination_requests = destination.requests,
                    source_pulls = source.manifest_gets,
                    source_pulls_left = source.rate_limit.and_then(|limit| limit.remaining),
                    source_served_by = traffic.and_then(|traffic| served_by(&traffic.served)),
                    state = state.map(|state| state.name()),
                )
            };
        }
        match outcome {
            "failed" => log!(warn),
            _ => log!(info),
        }
    }
}

/// Returns the registries and mirrors that served manifests and blobs. `None` if there are none.
fn served_by(served: &[ReadCounts]) -> Option<String> {
    let served = served.iter().map(|ReadCounts { repository, manifests, blobs }| {
        format!("{repository} ({manifests} manifests, {blobs} blobs)")
    });
    Some(served.collect::<Vec<_>>().join(", ")).filter(|places| !places.is_empty())
}

/// Logs the watchdog's response for invocations that sent none.
pub(crate) fn log_failed_invocation(code: &str, reason: &str, failed_request_id: &str, elapsed: Duration) {
    tracing::warn!(
        outcome = "no response",
        code,
        reason,
        failed_request_id,
        seconds = elapsed.as_secs_f64(),
        "responded"
    );
}

fn copy_outcome(FinishedCopy { outcome, .. }: &FinishedCopy) -> &'static str {
    match outcome.tag {
        TagChange::Moved { .. } => "copied",
        _ if outcome.blobs.copied > 0 || outcome.manifests_written > 0 => "copied",
        _ if outcome.referrers.as_ref().is_some_and(|referrers| referrers.copied > 0) => "copied",
        TagChange::Unchanged | TagChange::Untagged => "unchanged",
    }
}

fn delete_outcome(deleted: DeleteOutcome) -> &'static str {
    if deleted.is_deleted() { "deleted" } else { "nothing to do" }
}
