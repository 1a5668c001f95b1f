//! The report of a run.

use serde::Serialize;

use super::failures::FailedImage;
use super::results::{Change, ImageResult, RunResults};
use crate::input::refresh::ReportEvent;

/// The report, as it is written to S3.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RunReport {
    pub(super) execution: String,
    pub(super) owner: String,
    pub(super) started: String,
    pub(super) finished: String,
    pub(super) summary: Summary,
    /// In the order of their sources.
    pub(super) failures: Vec<FailedImage>,
    /// In the order of their names, unchanged ones last.
    pub(super) images: Vec<ImageResult>,
}

/// Counts of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Summary {
    /// Images without deletions: new, moved, unchanged, waiting and failed ones.
    pub(super) images: usize,
    pub(super) new: usize,
    pub(super) moved: usize,
    pub(super) unchanged: usize,
    pub(super) waiting: usize,
    pub(super) deleted: usize,
    pub(super) kept: usize,
    pub(super) failed: usize,
    pub(super) bytes_copied: u64,
    /// Manifests read from sources. Docker Hub counts them as pulls.
    pub(super) pulls: u64,
}

impl RunReport {
    pub(super) fn new(event: &ReportEvent, results: RunResults, finished: String) -> Self {
        let RunResults { mut images, mut failures } = results;
        let summary = Summary::new(&images, failures.len());
        failures.sort();
        let is_unchanged = |image: &ImageResult| image.change == Change::Unchanged;
        images.sort_by(|a, b| {
            let by_name = || a.image_reference.cmp(&b.image_reference);
            is_unchanged(a).cmp(&is_unchanged(b)).then_with(by_name)
        });
        Self {
            execution: event.execution.clone(),
            owner: event.owner.name().to_owned(),
            started: event.started.clone(),
            finished,
            summary,
            failures,
            images,
        }
    }

    /// Returns the images with an effect, in their order.
    pub(super) fn with_change(&self, change: Change) -> impl Iterator<Item = &ImageResult> {
        self.images.iter().filter(move |image| image.change == change)
    }
}

impl Summary {
    fn new(images: &[ImageResult], failed: usize) -> Self {
        let count = |change: Change| images.iter().filter(|image| image.change == change).count();
        let (deleted, kept) = (count(Change::Deleted), count(Change::Kept));
        Self {
            images: images.len() - deleted - kept + failed,
            new: count(Change::New),
            moved: count(Change::Moved),
            unchanged: count(Change::Unchanged),
            waiting: count(Change::Waiting),
            deleted,
            kept,
            failed,
            bytes_copied: images.iter().map(|image| image.bytes_copied).sum(),
            pulls: images.iter().map(|image| image.pulls).sum(),
        }
    }

    /// Returns true if more than this percentage of all events failed.
    pub(super) fn has_failed(&self, tolerated_percentage: f64) -> bool {
        let all = self.images + self.deleted + self.kept;
        self.failed as f64 * 100.0 > tolerated_percentage * all as f64
    }

    /// Returns true if an image changed or failed.
    pub(super) fn has_news(&self) -> bool {
        self.new + self.moved + self.deleted + self.kept + self.failed > 0
    }
}

#[cfg(test)]
pub(super) mod tests {
    use image_copy_aws::Owner;
    use serde_json::{Value, json};

    use super::*;

    /// Returns a report with these results.
    pub(in crate::refresh) fn report(images: Vec<Value>, failures: Vec<Value>) -> RunReport {
        let location: image_copy_aws::ObjectLocation = "s3://runs/a/report.json".parse().unwrap();
        let event = ReportEvent {
            manifest: None,
            failures: location.clone(),
            report: location,
            tolerated_failure_percentage: 0.0,
            owner: Owner::named("refresh/images"),
            execution: "arn:aws:states:eu-west-1:123456789012:execution:refresh:1".into(),
            started: "2026-11-21T03:00:00Z".into(),
        };
        let results = RunResults {
            images: images.into_iter().map(|image| serde_json::from_value(image).unwrap()).collect(),
            failures: failures.into_iter().map(|failed| serde_json::from_value(failed).unwrap()).collect(),
        };
        RunReport::new(&event, results, "2026-11-21T03:05:00Z".into())
    }

    /// Returns the result of a copy.
    pub(in crate::refresh) fn copied(name: &str, change: &str) -> Value {
        json!({"RequestedReference": format!("docker.io/library/{name}"), "ImageReference": format!("r/{name}"),
            "Change": change, "Digest": format!("sha256:{}", "b".repeat(64)), "BytesCopied": 5, "Pulls": 2,
            "PreviousDigest": format!("sha256:{}", "a".repeat(64)), "Message": "Done.", "Size": "12"})
    }

    /// Returns a failed image.
    pub(in crate::refresh) fn failed(name: &str) -> Value {
        json!({"Source": name, "Destination": format!("r/{name}"), "ErrorType": "NotFound",
            "Message": format!("Image {name} was not found.")})
    }

    #[test]
    fn a_report_counts_and_sorts() {
        let deleted = json!({"RequestedReference": "x:1", "ImageReference": "r/x:1", "Change": "deleted"});
        let images = vec![
            copied("a:1", "unchanged"),
            copied("c:1", "moved"),
            copied("b:1", "new"),
            copied("d:1", "waiting"),
            deleted,
        ];
        let report = report(images, vec![failed("z:1"), failed("y:1")]);
        let expected = Summary {
            images: 6,
            new: 1,
            moved: 1,
            unchanged: 1,
            waiting: 1,
            deleted: 1,
            kept: 0,
            failed: 2,
            bytes_copied: 20,
            pulls: 8,
        };
        assert_eq!(report.summary, expected);
        let names: Vec<&str> = report.images.iter().map(|image| image.image_reference.as_str()).collect();
        assert_eq!(names, ["r/b:1", "r/c:1", "r/d:1", "r/x:1", "r/a:1"]);
        assert_eq!(report.failures[0].source, "y:1");
        let document = serde_json::to_value(&report).unwrap();
        assert_eq!(document["Images"][1]["Source"], "docker.io/library/c:1");
        assert_eq!(document["Summary"]["BytesCopied"], 20);
        assert!(document["Images"][1].get("Pulls").is_none());
    }

    #[test]
    fn the_tolerated_percentage_is_not_exceeded_by_an_equal_one() {
        let summary =
            |failed, unchanged| Summary { images: failed + unchanged, failed, ..Summary::default() };
        for (summary, tolerated, expected) in [
            (summary(0, 0), 0.0, false),
            (summary(0, 9), 0.0, false),
            (summary(1, 9), 0.0, true),
            (summary(1, 9), 9.9, true),
            (summary(1, 9), 10.0, false),
            (summary(5, 195), 2.5, false),
            (summary(6, 194), 2.5, true),
            (summary(3, 0), 100.0, false),
        ] {
            assert_eq!(summary.has_failed(tolerated), expected, "{summary:?} {tolerated}");
        }
        assert!(!report(vec![copied("a:1", "waiting")], Vec::new()).summary.has_news());
        assert!(report(vec![copied("a:1", "new")], Vec::new()).summary.has_news());
    }
}
