//! Failures of AWS APIs other than ECR: stacks and the state table.

use image_copy::copy::{Failure, Operation, Problem, Side};
use image_copy::registry::Error;
use image_copy::text::SanitizedText;
use image_copy_aws::StackError;

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
