//! Results of direct events.

use image_copy::copy::TagChange;
use image_copy_aws::format_timestamp;
use serde::Serialize;
use serde_json::Value;

use super::response::Attributes;
use super::success;
use crate::copy::{CopyReport, FinishedCopy, Traffic, WaitingReport};
use crate::delete::lifecycle::DeleteOutcome;

/// Result of a copy.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CopyResult {
    #[serde(flatten)]
    pub(crate) attributes: Attributes,
    #[serde(flatten)]
    pub(crate) change: Change,
}

/// Fields of the results of all copies.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Change {
    /// The reference in the event, so that callers can compare it.
    requested_reference: String,
    /// `new`, `moved`, `unchanged` or `waiting`.
    change: &'static str,
    /// Digest that the tag named before, or empty.
    previous_digest: String,
    bytes_copied: u64,
    /// Manifests read from the source. Docker Hub counts them as pulls.
    pulls: u64,
    /// Remaining pulls, if the source reports them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pulls_left: Option<u64>,
    /// One sentence.
    pub(crate) message: String,
}

/// Result of a copy whose digest was first seen too recently. `Digest`, `ImageUri` and `MediaType` are those
/// of the image that the tag names now.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct WaitingResult {
    /// `None` if the digest of the copy is not known yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    image_reference: Option<String>,
    #[serde(flatten)]
    current: Option<CurrentImage>,
    /// Digest that waits.
    source_digest: String,
    source_reference: String,
    repository_uri: String,
    tag: String,
    /// Time at which the digest is old enough, in the format of RFC 3339.
    waits_until: String,
    #[serde(flatten)]
    pub(crate) change: Change,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct CurrentImage {
    digest: String,
    image_uri: String,
    media_type: String,
}

/// Result of a delete.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct DeleteResult {
    /// The image that was requested. `None` if it is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    image_reference: Option<String>,
    /// The reference in the event, so that callers can compare it.
    requested_reference: String,
    /// `deleted` or `kept`.
    change: &'static str,
    /// One sentence.
    pub(crate) message: String,
}

impl CopyResult {
    /// Creates the result of a copy with these properties.
    pub(crate) fn new(properties: &Value, copied: &FinishedCopy, report: &CopyReport) -> Self {
        let outcome = &copied.outcome;
        let is_new = outcome.manifests_written > 0;
        let (change, previous) = match &outcome.tag {
            TagChange::Moved { from: Some(previous) } => ("moved", Some(previous)),
            TagChange::Moved { from: None } => ("new", None),
            TagChange::Untagged if is_new => ("new", None),
            TagChange::Untagged | TagChange::Unchanged => ("unchanged", None),
        };
        let message = success::copied(copied, report.state);
        Self {
            attributes: Attributes::new(&copied.properties, outcome),
            change: Change {
                previous_digest: previous.map(ToString::to_string).unwrap_or_default(),
                bytes_copied: outcome.blobs.bytes_copied,
                ..Change::new(properties, change, &report.traffic, message)
            },
        }
    }
}

impl WaitingResult {
    /// Creates the result of a copy that waits.
    pub(crate) fn new(properties: &Value, report: &WaitingReport) -> Self {
        let WaitingReport { image, properties: parsed, .. } = report;
        let repository = parsed.repository.repository();
        let mut source = parsed.source.clone();
        source.digest = Some(image.source_digest.clone());
        let current = image.existing.as_ref().map(|manifest| CurrentImage {
            digest: manifest.digest.to_string(),
            image_uri: repository.with_digest(manifest.digest.clone()).to_string(),
            media_type: manifest.media_type.clone(),
        });
        Self {
            image_reference: report.image_reference.clone(),
            current,
            source_digest: image.source_digest.to_string(),
            source_reference: source.to_string(),
            repository_uri: repository.to_string(),
            tag: parsed.tag.as_ref().map(ToString::to_string).unwrap_or_default(),
            waits_until: format_timestamp(image.wait.until),
            change: Change::new(properties, "waiting", &report.traffic, success::waiting(image)),
        }
    }
}

impl Change {
    fn new(properties: &Value, change: &'static str, traffic: &Traffic, message: String) -> Self {
        let source = &traffic.source;
        Self {
            requested_reference: requested_reference(properties),
            change,
            previous_digest: String::new(),
            bytes_copied: 0,
            pulls: source.manifest_gets,
            pulls_left: source.rate_limit.as_ref().and_then(|limit| limit.remaining),
            message,
        }
    }
}

impl DeleteResult {
    /// Creates the result of a delete of the image with these properties.
    pub(crate) fn new(
        properties: &Value,
        image: Option<String>,
        deleted: DeleteOutcome,
        message: &str,
    ) -> Self {
        Self {
            image_reference: image,
            requested_reference: requested_reference(properties),
            change: if deleted.is_deleted() { "deleted" } else { "kept" },
            message: message.into(),
        }
    }
}

fn requested_reference(properties: &Value) -> String {
    properties["ImageReference"].as_str().unwrap_or_default().into()
}
