//! Failures of AWS APIs other than ECR: stacks, the state table, objects and executions.

use image_copy::copy::{Failure, Operation, Problem, Side};
use image_copy::registry::Error;
use image_copy::text::SanitizedText;
use image_copy_aws::{ObjectError, ObjectErrorKind, ObjectLocation, StackError};

use super::hint::{Names, hint, proxy_hint};
use super::{MAX_LINE_CHARS, shortened};
use crate::args::ConnectionArgs;

/// Returns the error line for a stack that cannot be read.
pub(crate) fn stack_failure(error: &StackError, options: &ConnectionArgs) -> String {
    let advice = match error.is_missing() {
        true => "Check the name, or pass its --region.".into(),
        false => aws_advice(&error.cause, options),
    };
    line(&error.to_string(), &advice)
}

/// Returns the error line if the name of the state table cannot be read.
pub(crate) fn no_state_table(error: &StackError, options: &ConnectionArgs) -> String {
    let advice = match error.is_missing() {
        true => "Pass --state-table, or the provider's --region.".into(),
        false => aws_advice(&error.cause, options),
    };
    line(&format!("the state table is not known: {error}"), &advice)
}

/// Returns the error line for a state table that cannot be read.
pub(crate) fn table_failure(name: &str, cause: Error, options: &ConnectionArgs) -> String {
    let advice = match cause.has_code("ResourceNotFoundException") {
        true => "Check --state-table, or pass the table's --region.".into(),
        false => aws_advice(&cause, options),
    };
    let name = SanitizedText::from(name);
    line(&format!("the state table {name} could not be read: {cause}"), &advice)
}

/// Returns the error line for an object that cannot be read or written, which `verb` names.
pub(crate) fn object_failure(
    verb: &str,
    location: &ObjectLocation,
    error: &ObjectError,
    options: &ConnectionArgs,
) -> String {
    let advice = match error.kind {
        ObjectErrorKind::Missing => "Check that the bucket of the stack still exists.".into(),
        ObjectErrorKind::Throttled | ObjectErrorKind::Unavailable
            if !matches!(error.cause, Error::Http(_)) =>
        {
            "Retry later.".into()
        }
        _ => aws_advice(&error.cause, options),
    };
    let location = SanitizedText::from(location.to_string());
    line(&format!("{location} could not be {verb}: {}", error.cause), &advice)
}

/// Returns the error line for a report that cannot be read.
pub(crate) fn no_report(location: &ObjectLocation, error: &ObjectError, options: &ConnectionArgs) -> String {
    let location_text = SanitizedText::from(location.to_string());
    match error.kind {
        ObjectErrorKind::Missing => line(
            &format!("the run ended, but its report {location_text} does not exist: {}", error.cause),
            "Check the lifecycle rules of the bucket.",
        ),
        _ => object_failure("read", location, error, options),
    }
}

/// Returns the error line for an execution that was not started. `is_uploaded` is true after the upload of a list.
pub(crate) fn not_started(
    state_machine: &str,
    is_uploaded: bool,
    cause: Error,
    options: &ConnectionArgs,
) -> String {
    let advice = match cause.has_code("StateMachineDoesNotExist") {
        // CloudFormation does not detect the deletion of a resource outside of it.
        true => "Delete the refresh stack, and deploy it again.".into(),
        false => aws_advice(&cause, options),
    };
    let state_machine = SanitizedText::from(state_machine);
    let next = if is_uploaded { "; the next scheduled run uses the new list" } else { "" };
    line(&format!("{state_machine} could not be started: {cause}{next}"), &advice)
}

/// Returns the error line for an execution whose state cannot be read.
pub(crate) fn unknown_execution(arn: &str, cause: Error, options: &ConnectionArgs) -> String {
    let advice = aws_advice(&cause, options);
    let arn = SanitizedText::from(arn);
    line(&format!("{arn} was started, but its state is unknown: {cause}"), &advice)
}

fn aws_advice(cause: &Error, options: &ConnectionArgs) -> String {
    let failure = Failure::Registry {
        side: Side::Source,
        operation: Operation::ReadManifest,
        subject: String::new(),
        cause: cause.clone(),
    };
    match failure.problem() {
        Problem::Unreachable => format!("Check the Region{}.", proxy_hint(&failure)),
        _ => hint(&failure, options, Names::of_source("the name")),
    }
}

fn line(text: &str, advice: &str) -> String {
    let room = MAX_LINE_CHARS.saturating_sub(advice.chars().count() + 1);
    format!("{} {advice}", shortened(format!("{text}."), room))
}
