//! Results of a plan: what would fail in a deployment, and what was not checked.

use image_copy::copy::{CustomizedContent, Request};
use image_copy::oci::{Reference, Tag};
use image_copy::registry::RateLimit;

use crate::commands::sync::Change;

/// Bytes that the function copies in a second. Measured with large images (docs/operations.md).
const BYTES_PER_SECOND: u64 = 78_000_000;

/// A line about a place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) file: String,
    pub(crate) line: usize,
    /// Logical ID of the resource.
    pub(crate) resource: Option<String>,
    /// Failures: sentences with one thing to change. Otherwise a clause.
    pub(crate) text: String,
    /// Code that docs/troubleshooting.md explains.
    pub(crate) code: Option<&'static str>,
}

/// Failures, and checks that were not possible.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) failures: Vec<Finding>,
    pub(crate) not_checked: Vec<Finding>,
}

impl Findings {
    pub(crate) fn extend(&mut self, other: Self) {
        self.failures.extend(other.failures);
        self.not_checked.extend(other.not_checked);
    }
}

/// The event of a resource in the update of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// A Create.
    New,
    /// An Update with the same tag and repository.
    InPlace,
    /// An Update with another tag or repository, and a Delete of the previous one.
    Replaced { previous: String, is_kept: bool },
    /// No event, because the properties are equal.
    None,
    /// A Delete.
    Deleted { previous: String, is_kept: bool },
    /// An Update, which depends on values that only the deployment knows.
    Unknown,
}

/// The result of one image.
#[derive(Debug)]
pub(crate) struct ImagePlan {
    pub(crate) file: String,
    pub(crate) line: usize,
    /// Logical ID. `None` in a list.
    pub(crate) resource: Option<String>,
    pub(crate) source: Option<Reference>,
    /// Destination with its tag. `None` if the name of the repository is unknown.
    pub(crate) destination: Option<String>,
    /// Equal for images with the same destination.
    pub(crate) key: Option<String>,
    pub(crate) tag: Option<Tag>,
    /// `None` without a deployed stack.
    pub(crate) event: Option<Event>,
    /// `None` if the source could not be read.
    pub(crate) change: Option<Change>,
    /// Changes by `Customize` or `customize`.
    pub(crate) customized: Option<CustomizedContent>,
    /// Manifests read from Docker Hub. The copy reads them again.
    pub(crate) pulls: u64,
    pub(crate) rate_limit: Option<RateLimit>,
    pub(crate) findings: Findings,
}

impl ImagePlan {
    pub(crate) fn new(file: &str, line: usize, resource: Option<&str>) -> Self {
        Self {
            file: file.to_owned(),
            line,
            resource: resource.map(ToOwned::to_owned),
            source: None,
            destination: None,
            key: None,
            tag: None,
            event: None,
            change: None,
            customized: None,
            pulls: 0,
            rate_limit: None,
            findings: Findings::default(),
        }
    }

    pub(crate) fn set_request(&mut self, request: &Request) {
        self.source = Some(request.source.clone());
        self.destination = Some(request.destination_name());
        self.key = Some(request.destination_name());
        self.tag = request.tag.clone();
    }

    /// Adds a failure of the deployment.
    pub(crate) fn fail(&mut self, line: usize, text: impl Into<String>, code: &'static str) {
        let finding = self.finding(line, text.into(), Some(code));
        self.findings.failures.push(finding);
    }

    /// Adds a check that was not possible. The clause contains its reason.
    pub(crate) fn not_checked(&mut self, line: usize, text: impl Into<String>) {
        let finding = self.finding(line, text.into(), None);
        self.findings.not_checked.push(finding);
    }

    fn finding(&self, line: usize, text: String, code: Option<&'static str>) -> Finding {
        Finding { file: self.file.clone(), line, resource: self.resource.clone(), text, code }
    }

    /// Returns the estimated time of the copy in seconds.
    pub(crate) fn seconds(&self) -> Option<u64> {
        self.change.as_ref().map(|change| change.bytes.div_ceil(BYTES_PER_SECOND))
    }

    pub(crate) fn fails(&self) -> bool {
        !self.findings.failures.is_empty()
    }
}
