//! Waits for the end of an execution.

use image_copy::registry::Error;
use image_copy_aws::{Execution, ExecutionStatus, ItemCounts};

use super::Run;
use crate::args::Verbosity;
use crate::count_progress::CountProgress;
use crate::report;

/// Error of Step Functions for an execution that its API does not return yet.
const MISSING: &str = "ExecutionDoesNotExist";

/// Requests after which a missing execution is an error. The API is eventually consistent
/// (<https://docs.aws.amazon.com/step-functions/latest/apireference/API_DescribeExecution.html>).
const MAX_REQUESTS_WITHOUT_EXECUTION: u32 = 10;

/// Waits until the execution has ended, and shows its progress.
///
/// # Errors
/// If the execution cannot be described. It may still be running.
pub(super) async fn follow(run: &Run, verbosity: Verbosity) -> Result<Execution, Error> {
    let progress = Progress::new(verbosity);
    tokio::select! {
        execution = wait(run, &progress) => execution,
        () = progress.show() => unreachable!("the bar never completes"),
    }
}

async fn wait(run: &Run, progress: &Progress) -> Result<Execution, Error> {
    let mut counts = Counts::Unknown;
    let mut tenths = 0;
    for requests in 1_u32.. {
        match run.executions.describe(&run.arn).await {
            Ok(execution) if execution.status != ExecutionStatus::Running => return Ok(execution),
            Ok(_) => {}
            Err(error) if error.has_code(MISSING) && requests < MAX_REQUESTS_WITHOUT_EXECUTION => {}
            Err(error) => return Err(error),
        }
        counts = counts.read(run).await;
        if let Counts::MapRun(_, counts) = &counts {
            progress.update(counts, &mut tenths);
        }
        run.executions.wait(requests).await;
    }
    unreachable!("the loop has no end")
}

/// The counts of the Map Run.
enum Counts {
    /// The Map Run has not started.
    Unknown,
    /// ARN and counts of the Map Run.
    MapRun(String, ItemCounts),
    /// They cannot be read. The run is followed without them.
    Unavailable,
}

impl Counts {
    async fn read(self, run: &Run) -> Self {
        let map_run = match self {
            Self::Unknown => run.executions.map_run(&run.arn).await,
            Self::MapRun(arn, _) => Ok(Some(arn)),
            Self::Unavailable => return self,
        };
        let read = match map_run {
            Ok(None) => return Self::Unknown,
            Ok(Some(arn)) => run.executions.counts(&arn).await.map(|counts| Self::MapRun(arn, counts)),
            Err(error) => Err(error),
        };
        read.unwrap_or_else(|error| {
            report::note(&format!("the progress is unknown: {error}"));
            Self::Unavailable
        })
    }
}

/// A bar on a terminal, or lines in a log.
struct Progress {
    bar: CountProgress,
    verbosity: Verbosity,
}

impl Progress {
    fn new(verbosity: Verbosity) -> Self {
        Self { bar: CountProgress::new(0, "images"), verbosity }
    }

    /// Shows the bar. The future never completes.
    async fn show(&self) {
        if self.verbosity != Verbosity::Quiet {
            self.bar.show_after_delay().await;
        }
        std::future::pending::<()>().await;
    }

    /// Shows the counts. Without a terminal, it prints a line for each tenth of the images.
    fn update(&self, counts: &ItemCounts, tenths: &mut u64) {
        let ItemCounts { total, succeeded, failed } = *counts;
        let finished = succeeded + failed;
        self.bar.set(total, finished);
        let reached = (finished * 10).checked_div(total).unwrap_or_default();
        if reached > *tenths && self.verbosity != Verbosity::Quiet && !report::is_terminal() {
            *tenths = reached;
            report::note(&format!("{finished} of {total} images, {failed} failed"));
        }
    }
}
