//! Output of the demo.

use aws_emulator::bucket::{ProviderResponse, Status};
use aws_emulator::stack::{CallOutcome, OperationReport, Phase, ProviderCall};
use aws_emulator::{Log, LogEntry, LogPosition, Repository};
use serde_json::Value;

use super::TAG;

/// Maximum number of columns.
const WIDTH: usize = 96;

/// Prints the setup.
pub(crate) fn introduction(repository: &Repository, defect: Option<&str>) {
    if let Some(defect) = defect {
        println!("{defect}\n");
    }
    println!(
        "The stack \"shop\" copies all platforms of docker.io/library/python:3.13 to the ECR repository"
    );
    println!("{}.", repository.uri());
    println!("CloudFormation, Docker Hub, ECR and DynamoDB are emulated. The function is the real program.");
    println!("The ECR Public mirror is off here, so Docker Hub counts pulls.");
}

/// Prints the title of a step.
pub(crate) fn heading(title: &str) {
    println!("\n{}", "-".repeat(WIDTH));
    print_wrapped("", title);
    println!();
}

/// Prints the events and responses of one stack operation.
pub(crate) fn events(report: &OperationReport) {
    for call in &report.calls {
        print_event(call);
        print_response(call);
    }
}

/// Prints the amounts that the function copied.
pub(crate) fn copied(log: &Log, mark: LogPosition) {
    let entries = log.since(mark);
    let uploads = entries.iter().filter(|entry| entry.operation == "upload.put");
    let [blobs, bytes] = uploads.fold([0, 0], |[n, sum], entry| [n + 1, sum + entry.request_bytes]);
    #[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
    let megabytes = bytes as f64 / 1e6;
    let is_manifest = |entry: &&LogEntry| entry.operation == "manifest.put" && !is_upstream(entry);
    let manifests = entries.iter().filter(is_manifest).count();
    println!("  Copied:    {blobs} blobs ({megabytes:.1} MB), {manifests} manifests");
}

/// Prints the tag, the number of requests and the status after one stack operation.
pub(crate) fn result(report: &OperationReport, log: &Log, mark: LogPosition, repository: &Repository) {
    let named = repository.resolve(TAG);
    println!("  Tag {TAG}:  {}", named.as_deref().unwrap_or("deleted"));
    let entries = log.since(mark);
    let count =
        |condition: &dyn Fn(&LogEntry) -> bool| entries.iter().filter(|entry| condition(entry)).count();
    println!(
        "  Requests:  {} to Docker Hub ({} counted as pulls), {} to ECR, {} to DynamoDB, {} to S3 (responses)",
        count(&is_upstream),
        log.pulls(mark),
        count(&|entry| is_ecr(entry)),
        count(&|entry| entry.service == "dynamodb"),
        count(&|entry| entry.service == "response"),
    );
    println!("  Duration:  {:.2} s. Stack status: {}", report.duration.as_secs_f64(), report.status);
}

fn print_event(call: &ProviderCall) {
    let phase = match (call.phase, call.request_type()) {
        (Phase::Rollback, _) => " (CloudFormation rolls back)",
        (Phase::CleanUp, _) => " (CloudFormation cleans up)",
        _ => "",
    };
    println!("  Event:     {} {}{phase}", call.request_type(), call.logical_id());
    let reference = call.event["ResourceProperties"]["ImageReference"].as_str();
    print_wrapped("             ", reference.unwrap_or_default());
}

fn print_response(call: &ProviderCall) {
    let took = call.duration.as_secs_f64();
    match &call.outcome {
        CallOutcome::Responded(response) => {
            let status = if response.status == Status::Success { "SUCCESS" } else { "FAILED" };
            println!("  Response:  {status} after {took:.2} s");
            println!("             Physical ID {}", response.physical_id);
            print_details(call, response);
        }
        CallOutcome::Invalid(reason) => println!("  Response:  invalid: {reason}"),
        CallOutcome::TimedOut => println!("  Response:  none that CloudFormation accepts within {took:.2} s"),
        CallOutcome::Pending | CallOutcome::Cancelled => {
            println!("  Response:  CloudFormation did not wait for it");
        }
    }
}

fn print_details(call: &ProviderCall, response: &ProviderResponse) {
    if response.status == Status::Failed {
        print_wrapped("             ", response.reason.as_deref().unwrap_or_default());
    } else if call.request_type() != "Delete" {
        let digest = response.data.get("Digest").and_then(Value::as_str).unwrap_or("?");
        println!("             Digest {digest}");
    }
}

fn is_upstream(entry: &LogEntry) -> bool {
    ["upstream", "token", "cdn"].contains(&entry.service.as_str())
}

fn is_ecr(entry: &LogEntry) -> bool {
    ["ecr", "ecr-api", "s3"].contains(&entry.service.as_str())
}

/// Prints a text, wrapped at [`WIDTH`].
fn print_wrapped(indent: &str, text: &str) {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && indent.len() + line.len() + 1 + word.len() > WIDTH {
            println!("{indent}{line}");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line += word;
    }
    if !line.is_empty() {
        println!("{indent}{line}");
    }
}
