//! Reasons of failed events of a refresh workflow.

use image_copy_aws::ObjectErrorKind;

use super::ReasonParts;
use crate::failure::{ObjectAccess, RefreshFailure};

/// Number of a list's errors in a reason. The length of a reason limits them too.
const SHOWN_ERRORS: usize = 3;

/// Returns the parts of the reason for `failure`.
pub(super) fn parts(failure: &RefreshFailure) -> ReasonParts {
    let with = |what: String, hint: String| ReasonParts { what, subject: String::new(), hint };
    match failure {
        RefreshFailure::InvalidList(errors) => {
            let shown: Vec<String> = errors.iter().take(SHOWN_ERRORS).map(ToString::to_string).collect();
            with(format!("The list is invalid: {}", shown.join(" ")), hidden_errors(errors.len()))
        }
        RefreshFailure::Object { location, access, error } => {
            let name = location.to_string();
            let effect = match (access, error.kind) {
                (ObjectAccess::Write, _) => "could not be written",
                (_, ObjectErrorKind::Missing) => "was not found",
                _ => "could not be read",
            };
            let what = format!("Object {name} {effect}: {error}.");
            ReasonParts { what, hint: object_hint(*access, error.kind, &name), subject: name }
        }
        RefreshFailure::InvalidObject { location, problem } => {
            let name = location.to_string();
            let hint = "Use the objects of one run of cloudformation/image-refresh.yaml.".into();
            ReasonParts { what: format!("Object {name} {problem}."), hint, subject: name }
        }
        RefreshFailure::NothingSelected { repository, tags } => with(
            format!("The rules select none of the {tags} tags of {repository}."),
            "Correct tags in the list. container-image tags --rules shows the decisions.".into(),
        ),
        RefreshFailure::StateUnavailable(cause) => with(
            format!("The owners of tags in ECR could not be read: {cause}."),
            "Run the operation again, which prunes later.".into(),
        ),
        RefreshFailure::Timeout { seconds, finished, count } => with(
            format!(
                "Time ran out after {seconds} s: the tags of {finished} of {count} repositories were read."
            ),
            "Run the operation again, or split the list.".into(),
        ),
    }
}

/// Returns a note about the errors of a list that are not shown.
fn hidden_errors(count: usize) -> String {
    match count.saturating_sub(SHOWN_ERRORS) {
        0 => String::new(),
        1 => "The list has 1 more error.".into(),
        hidden => format!("The list has {hidden} more errors."),
    }
}

fn object_hint(access: ObjectAccess, kind: ObjectErrorKind, name: &str) -> String {
    match (kind, access) {
        (ObjectErrorKind::Missing, ObjectAccess::ReadList) => {
            format!("Upload the list: aws s3 cp FILE {name}")
        }
        (ObjectErrorKind::Missing, ObjectAccess::ReadRun | ObjectAccess::Write) => {
            "Start a new execution, or correct the bucket.".into()
        }
        (ObjectErrorKind::AccessDenied, ObjectAccess::ReadList | ObjectAccess::ReadRun) => {
            "Check that the object exists, and allow s3:GetObject on it in the function's role, as cloudformation/image-refresh.yaml does.".into()
        }
        (ObjectErrorKind::AccessDenied, ObjectAccess::Write) => {
            "Allow s3:PutObject on it in the function's role, as cloudformation/image-refresh.yaml does.".into()
        }
        (ObjectErrorKind::TooLarge, _) => "Split the list.".into(),
        (ObjectErrorKind::Throttled | ObjectErrorKind::Unavailable, _) => {
            "Run the operation again. In a VPC, the subnets need a route to S3.".into()
        }
        (ObjectErrorKind::Other, _) => "Check the bucket, its Region and its KMS key.".into(),
    }
}
