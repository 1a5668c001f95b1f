//! From the results of a run to its report.

use image_copy_aws::{format_timestamp, unix_time};
use serde_json::{Value, json};

use super::failures::FailedImage;
use super::message;
use super::objects::RunObjects;
use super::report::RunReport;
use super::results::{self, RunResults};
use crate::failure::{Failure, ObjectAccess};
use crate::input::refresh::ReportEvent;
use crate::logging::refresh::RefreshCounts;

/// Maximum size of the failures of a list in bytes. 20,000 failures with 1,000 bytes each are below it.
const MAX_FAILURES_BYTES: u64 = 32 << 20;

/// Makes the report of a run, and writes it.
pub(super) async fn run(
    event: &ReportEvent,
    objects: &RunObjects,
) -> Result<(Value, RefreshCounts), Failure> {
    let mut results = match &event.manifest {
        Some(manifest) => results::read(manifest, objects).await?,
        None => RunResults::default(),
    };
    let failures = objects.read(&event.failures, MAX_FAILURES_BYTES, ObjectAccess::ReadRun).await?;
    let failures: Vec<FailedImage> =
        results::parse(&failures, &event.failures, "is not the list of failures that expand writes")?;
    results.failures.extend(failures);
    let report = RunReport::new(event, results, format_timestamp(unix_time()));
    objects.write_json(&event.report, &report).await?;
    let summary = report.summary;
    let counts = RefreshCounts {
        outcome: "reported",
        images: summary.images,
        deletes: summary.deleted + summary.kept,
        failed: summary.failed,
    };
    let result = json!({
        "Summary": summary,
        "HasFailed": summary.has_failed(event.tolerated_failure_percentage),
        "HasNews": summary.has_news(),
        "Subject": message::subject(&report),
        "Message": message::message(&report, &event.report),
        "Report": event.report,
    });
    Ok((result, counts))
}
