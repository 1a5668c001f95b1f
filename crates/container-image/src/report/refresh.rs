//! Prints the report of a refresh: a line for each image that changed or failed, and a summary, or the document.

use std::process::ExitCode;

use image_copy::text::{SanitizedText, escaped_json};
use image_copy_aws::{Execution, ExecutionStatus, ObjectLocation};
use serde::Deserialize;
use serde_json::Value;

use super::terminal_line::for_stdout;
use super::{MAX_LINE_CHARS, byte_size, fail, image_count, print, print_message, shortened};
use crate::args::Verbosity;
use crate::commands::refresh::Run;

/// Characters of a digest in a line: `sha256:` and 12 digits.
const DIGEST_CHARS: usize = 19;

/// The report of a run. docs/refresh.md describes its document.
pub(crate) struct RefreshReport {
    document: Value,
    content: Content,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Content {
    summary: Summary,
    failures: Vec<Failure>,
    images: Vec<Image>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Summary {
    images: usize,
    new: u64,
    moved: u64,
    unchanged: u64,
    waiting: u64,
    deleted: u64,
    kept: u64,
    failed: usize,
    bytes_copied: u64,
    pulls: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Failure {
    source: String,
    message: String,
}

/// An image. Fields that do not apply are missing or null.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Image {
    source: Option<String>,
    image_reference: Option<String>,
    change: String,
    digest: Option<String>,
    previous_digest: Option<String>,
    /// Digest that waits. `digest` is that of the tag.
    source_digest: Option<String>,
    waits_until: Option<String>,
    bytes_copied: Option<u64>,
    message: Option<String>,
}

impl RefreshReport {
    /// Parses the document of a report. `None` if it is none.
    pub(crate) fn parse(document: &[u8]) -> Option<Self> {
        let document: Value = serde_json::from_slice(document).ok()?;
        let content = Content::deserialize(&document).ok()?;
        Some(Self { document, content })
    }

    /// Prints the report. `code` is the exit code of the command.
    pub(crate) fn print(
        &self,
        location: &ObjectLocation,
        code: u8,
        is_json: bool,
        verbosity: Verbosity,
    ) -> ExitCode {
        if is_json {
            return print(&escaped_json(&format!("{:#}", self.document)), "");
        }
        let failures = self.content.failures.iter().map(failure_text);
        if verbosity == Verbosity::Quiet {
            // The stack tolerates the failures of a successful run.
            failures.for_each(|line| match code {
                0 => print_message(&format!("warning: {line}")),
                _ => _ = fail(&line),
            });
            return ExitCode::SUCCESS;
        }
        let images = self.content.images.iter().filter_map(|image| line(image, verbosity));
        let failures = failures.map(|line| format!("! {line}"));
        let summary = [
            self.content.summary.text(),
            format!("report: {}", SanitizedText::from(location.to_string())),
            format!("exit code {code}: {}", self.content.code_meaning(code)),
        ];
        let lines: Vec<String> =
            images.chain(failures).chain(summary).map(|line| for_stdout(&line)).collect();
        print(&lines.join("\n"), "")
    }
}

impl Summary {
    /// Formats the counts. Zeros are omitted for rare changes.
    fn text(&self) -> String {
        let Self { new, moved, unchanged, failed, bytes_copied, pulls, .. } = self;
        let rare = [(self.waiting, "waiting"), (self.deleted, "deleted"), (self.kept, "kept")];
        let rare = rare.into_iter().filter(|(count, _)| *count > 0);
        let rare: String = rare.map(|(count, name)| format!(", {count} {name}")).collect();
        let pulls = if *pulls == 1 { "1 pull".into() } else { format!("{pulls} pulls") };
        format!(
            "{}: {new} new, {moved} moved, {unchanged} unchanged{rare}, {failed} failed; {} copied, {pulls}",
            image_count(self.images),
            byte_size(*bytes_copied)
        )
    }
}

impl Content {
    fn code_meaning(&self, code: u8) -> String {
        match (code, self.summary.failed) {
            (0, 0) => self.end_of_wait().unwrap_or_else(|| "all images are up to date".into()),
            (0, failed) => format!("{} failed, as many as the stack tolerates", image_count(failed)),
            // The error line has the reason.
            (_, 0) => "the execution failed".into(),
            (_, failed) => format!("{} failed", image_count(failed)),
        }
    }

    /// Returns the number of waiting images and the first end of a wait. `None` if no image waits.
    fn end_of_wait(&self) -> Option<String> {
        let waiting = self.images.iter().filter(|image| image.change == "waiting");
        // Times of the same format and time zone are in the order of their texts.
        let until = waiting.filter_map(|image| image.waits_until.as_deref()).min()?;
        let until = SanitizedText::from(until);
        Some(match self.summary.waiting {
            1 => format!("1 image waits until {until}"),
            count => format!("{count} images wait, the first until {until}"),
        })
    }
}

/// Formats a change: symbol, source, and digest or reason. Unchanged images need `--verbose`.
fn line(image: &Image, verbosity: Verbosity) -> Option<String> {
    let name = image.source.as_ref().or(image.image_reference.as_ref())?;
    let name = SanitizedText::from(name.as_str());
    let message = || SanitizedText::from(image.message.as_deref().unwrap_or_default());
    let copied = image.bytes_copied.filter(|bytes| *bytes > 0).map(byte_size);
    let copied = copied.map(|size| format!(", {size} copied")).unwrap_or_default();
    let digest = short(image.digest.as_deref());
    Some(match image.change.as_str() {
        "unchanged" if verbosity != Verbosity::Verbose => return None,
        "unchanged" => format!("= {name} {digest}"),
        "new" => format!("+ {name} {digest}{copied}"),
        "moved" => format!("~ {name} {digest} (was {}){copied}", short(image.previous_digest.as_deref())),
        "waiting" => {
            let until = SanitizedText::from(image.waits_until.as_deref().unwrap_or_default());
            format!(". {name} {} waits until {until}", short(image.source_digest.as_deref()))
        }
        "deleted" => {
            let reference = SanitizedText::from(image.image_reference.as_deref().unwrap_or_default());
            format!("- {reference} deleted")
        }
        "kept" => format!("= {name} kept: {}", message()),
        other => format!("? {name} {}", SanitizedText::from(other)),
    })
}

/// Returns the start of a digest.
fn short(digest: Option<&str>) -> SanitizedText {
    let digest = digest.unwrap_or_default();
    SanitizedText::from(digest.get(..DIGEST_CHARS).unwrap_or(digest))
}

/// Returns the line of a failure with its source.
fn failure_text(failure: &Failure) -> String {
    let message = SanitizedText::from(failure.message.as_str());
    let source = SanitizedText::from(failure.source.as_str());
    let text = match message.contains(source.as_str()) {
        true => message.to_string(),
        false => format!("{source}: {message}"),
    };
    shortened(text, MAX_LINE_CHARS)
}

/// Returns the error line for an execution that ended without its report, or after it.
pub(crate) fn execution_failure(run: &Run, execution: &Execution) -> String {
    let Run { name, arn, .. } = run;
    let problem = match execution.status {
        ExecutionStatus::TimedOut => "reached its maximum duration".to_owned(),
        ExecutionStatus::Aborted => "was stopped".to_owned(),
        _ => match function_error(&execution.cause) {
            // The line of the function names one thing to change.
            Some(message) => return shortened(format!("execution {name} failed: {message}"), MAX_LINE_CHARS),
            None => {
                let cause = SanitizedText::quotable(&execution.cause, MAX_LINE_CHARS);
                shortened(format!("failed: {} \"{cause}\"", execution.error), MAX_LINE_CHARS - arn.len())
            }
        },
    };
    format!("execution {name} {problem}. See its history in Step Functions: {arn}")
}

/// Returns the message of a function error, which is a JSON document in the cause
/// (<https://docs.aws.amazon.com/lambda/latest/dg/invocation-retries.html>).
fn function_error(cause: &str) -> Option<SanitizedText> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct FunctionError {
        error_message: String,
    }
    let error: FunctionError = serde_json::from_str(cause).ok()?;
    Some(error.error_message.into())
}

/// Returns the error line for a stack that is not a refresh stack.
pub(crate) fn missing_output(stack: &str, region: &str, output: &str) -> String {
    let stack = SanitizedText::from(stack);
    format!(
        "stack {stack} in {region} has no valid output {output}. Pass the name of the refresh stack with --stack."
    )
}

/// Returns the line for a list without errors.
pub(crate) fn valid_list(name: &str, entries: usize, stack: &str) -> String {
    let stack = SanitizedText::from(stack);
    let entries = if entries == 1 { "1 entry".into() } else { format!("{entries} entries") };
    for_stdout(&format!("{name} is valid for stack {stack}: {entries}"))
}

/// Returns the error line for a stack without a parameter of refresh stacks.
pub(crate) fn missing_parameter(stack: &str, region: &str, parameter: &str) -> String {
    let stack = SanitizedText::from(stack);
    format!("stack {stack} in {region} has no valid parameter {parameter}. Update the refresh stack.")
}

/// Returns the error line for `--list` with a stack whose parameter contains the list.
pub(crate) fn list_in_parameter(stack: &str) -> String {
    let stack = SanitizedText::from(stack);
    format!(
        "the list of stack {stack} is in its parameter List. Update the stack with an empty List, or omit --list."
    )
}

/// Returns the error line for a report of another version.
pub(crate) fn invalid_report(location: &ObjectLocation) -> String {
    let location = SanitizedText::from(location.to_string());
    format!("the report {location} is not a report of this version. Update container-image, or the provider.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_of_a_function_error_is_the_line_of_the_failure() {
        let cause = r#"{"errorType":"NotFound","errorMessage":"List s3://b/k was not found. Upload it. (CI-1)","trace":[]}"#;
        assert_eq!(function_error(cause).unwrap(), "List s3://b/k was not found. Upload it. (CI-1)");
        assert_eq!(function_error("The function timed out"), None);
    }
}
