//! Results of the child executions of a Map state, which its ResultWriter has written to S3
//! (<https://docs.aws.amazon.com/step-functions/latest/dg/input-output-resultwriter.html>).
//!
//! `manifest.json` names files with the executions of each status. Without a transformation, an execution has its
//! input and output as JSON texts. Files of failed executions also contain those that timed out or were aborted.
//! Executions that did not start are pending.

use image_copy_aws::{ObjectLocation, RepositoryArn};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::failures::{FailedImage, SanitizedLine};
use super::objects::RunObjects;
use crate::failure::{Failure, ObjectAccess, RefreshFailure};

/// Maximum size of the manifest in bytes. It has a line of about 150 bytes for each file.
const MAX_MANIFEST_BYTES: u64 = 1 << 20;

/// Maximum size of a file with executions in bytes. An execution has about 3 KB, so that this is enough for the
/// largest list in one file.
const MAX_FILE_BYTES: u64 = 128 << 20;

/// Result of one event. In the report, texts without a value are omitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ImageResult {
    /// The reference in the event.
    #[serde(rename(deserialize = "RequestedReference"), default, skip_serializing_if = "String::is_empty")]
    pub(super) source: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) image_reference: String,
    pub(super) change: Change,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) digest: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) previous_digest: String,
    /// Digest at the source. If the image waits, this is the digest that waits, and `digest` is that of the tag.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) source_digest: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) waits_until: String,
    #[serde(default)]
    pub(super) bytes_copied: u64,
    #[serde(default, skip_serializing)]
    pub(super) pulls: u64,
    #[serde(default)]
    pub(super) message: SanitizedLine,
}

/// Effect of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Change {
    New,
    Moved,
    Unchanged,
    Waiting,
    Deleted,
    Kept,
}

/// Results of all events of a run.
#[derive(Debug, Default, PartialEq)]
pub(super) struct RunResults {
    pub(super) images: Vec<ImageResult>,
    pub(super) failures: Vec<FailedImage>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Manifest {
    result_files: ResultFiles,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "UPPERCASE", default)]
struct ResultFiles {
    succeeded: Vec<ResultFile>,
    failed: Vec<ResultFile>,
    pending: Vec<ResultFile>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ResultFile {
    key: String,
}

/// A child execution.
#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct ChildExecution {
    input: String,
    output: String,
    status: String,
    error: String,
    cause: String,
}

/// The parts of an event that name its image.
#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Item {
    image_reference: String,
    repository_arn: String,
    tag: String,
}

/// Cause of a failed call of a function
/// (<https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html>).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FunctionCause {
    error_type: String,
    error_message: String,
}

/// Reads the results that a manifest names.
pub(super) async fn read(manifest: &ObjectLocation, objects: &RunObjects) -> Result<RunResults, Failure> {
    let content = objects.read(manifest, MAX_MANIFEST_BYTES, ObjectAccess::ReadRun).await?;
    let Manifest { result_files: ResultFiles { succeeded, failed, pending } } =
        parse(&content, manifest, "is not the manifest of a Map state's results")?;
    let mut results = RunResults::default();
    for file in succeeded {
        let location = ObjectLocation { bucket: manifest.bucket.clone(), key: file.key };
        for execution in read_executions(&location, objects).await? {
            let output = &execution.output;
            results.images.push(parse(
                output.as_bytes(),
                &location,
                "has an output that is not of the function",
            )?);
        }
    }
    for file in failed.into_iter().chain(pending) {
        let location = ObjectLocation { bucket: manifest.bucket.clone(), key: file.key };
        let executions = read_executions(&location, objects).await?;
        results.failures.extend(executions.into_iter().map(ChildExecution::into_failure));
    }
    Ok(results)
}

async fn read_executions(
    location: &ObjectLocation,
    objects: &RunObjects,
) -> Result<Vec<ChildExecution>, Failure> {
    let content = objects.read(location, MAX_FILE_BYTES, ObjectAccess::ReadRun).await?;
    parse(&content, location, "is not a file with results of a Map state")
}

/// Parses an object, or a part of it.
pub(super) fn parse<T: DeserializeOwned>(
    text: &[u8],
    location: &ObjectLocation,
    problem: &'static str,
) -> Result<T, Failure> {
    serde_json::from_slice(text).map_err(|error| {
        tracing::warn!(%error, %location, "an object cannot be parsed");
        Failure::Refresh(Box::new(RefreshFailure::InvalidObject { location: location.clone(), problem }))
    })
}

impl ChildExecution {
    fn into_failure(self) -> FailedImage {
        let Self { input, status, error, cause, .. } = self;
        let item: Item = serde_json::from_str(&input).unwrap_or_default();
        let of_function = serde_json::from_str::<FunctionCause>(&cause).ok();
        let (error_type, message) = match (of_function, status.as_str()) {
            (Some(cause), _) => (cause.error_type, cause.error_message),
            (None, "PENDING") => {
                ("NotStarted".into(), "The run ended before the event of this image was sent.".into())
            }
            (None, "TIMED_OUT") if cause.is_empty() => (error, "The child execution timed out.".into()),
            (None, "ABORTED") if cause.is_empty() => (error, "The child execution was stopped.".into()),
            (None, _) if cause.is_empty() => (error, "Step Functions reported no cause.".into()),
            (None, _) => (error, cause),
        };
        let error_type = if error_type.is_empty() { status } else { error_type };
        FailedImage {
            destination: item.destination(),
            source: item.image_reference,
            error_type,
            message: message.into(),
        }
    }
}

impl Item {
    fn destination(&self) -> String {
        let repository = match self.repository_arn.parse::<RepositoryArn>() {
            Ok(arn) => arn.repository().to_string(),
            Err(_) => self.repository_arn.clone(),
        };
        if self.tag.is_empty() { repository } else { format!("{repository}:{}", self.tag) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn failure(execution: &Value) -> FailedImage {
        serde_json::from_value::<ChildExecution>(execution.clone()).unwrap().into_failure()
    }

    #[test]
    fn each_kind_of_failed_execution_has_its_error_and_message() {
        let input = json!({
            "ImageReference": "docker.io/library/nginx:1", "Tag": "1", "Owner": "refresh/images",
            "RepositoryArn": "arn:aws:ecr:eu-west-1:123456789012:repository/mirror/nginx",
        });
        for (mut execution, error_type, message) in [
            (
                json!({"Status": "FAILED", "Error": "NotFound",
                    "Cause": r#"{"errorType":"NotFound","errorMessage":"Image x was not found."}"#}),
                "NotFound",
                "Image x was not found.",
            ),
            (
                json!({"Status": "FAILED", "Error": "Sandbox.Timedout",
                    "Cause": r#"{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: 1 Error: Task timed out after 900.00 seconds"}"#}),
                "Sandbox.Timedout",
                "RequestId: 1 Error: Task timed out after 900.00 seconds",
            ),
            (
                json!({"Status": "FAILED", "Error": "Lambda.TooManyRequestsException", "Cause": "Rate\nexceeded"}),
                "Lambda.TooManyRequestsException",
                "Rate exceeded",
            ),
            (json!({"Status": "TIMED_OUT"}), "TIMED_OUT", "The child execution timed out."),
            (json!({"Status": "ABORTED"}), "ABORTED", "The child execution was stopped."),
            (json!({"Status": "FAILED", "Error": "X"}), "X", "Step Functions reported no cause."),
            (
                json!({"Status": "PENDING"}),
                "NotStarted",
                "The run ended before the event of this image was sent.",
            ),
        ] {
            execution["Input"] = json!(input.to_string());
            let failed = failure(&execution);
            assert_eq!(
                (failed.error_type.as_str(), failed.message.to_string().as_str()),
                (error_type, message)
            );
            assert_eq!(failed.source, "docker.io/library/nginx:1");
            assert_eq!(failed.destination, "123456789012.dkr.ecr.eu-west-1.amazonaws.com/mirror/nginx:1");
        }
    }

    #[test]
    fn an_execution_without_input_still_is_a_failure() {
        let failed = failure(&json!({"Status": "FAILED", "Error": "States.Runtime", "Cause": "bad"}));
        assert_eq!((failed.source.as_str(), failed.error_type.as_str()), ("", "States.Runtime"));
    }
}
