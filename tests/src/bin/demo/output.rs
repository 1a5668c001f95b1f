//! Tells what happens, in the words of somebody who knows CloudFormation.

use aws_emulator::bucket::{Answer, Status};
use aws_emulator::stack::{End, Phase, Transcript, Turn};
use aws_emulator::{Entry, Log, Mark, Repository};
use serde_json::Value;

/// Columns of text.
const WIDTH: usize = 96;

/// Sets the scene.
pub(crate) fn opening(repository: &Repository) {
    println!("Stack \"shop\" keeps docker.io/library/python:3.13, all platforms, in the ECR repository");
    println!("{}.", repository.uri());
    println!("CloudFormation, Docker Hub, ECR and DynamoDB are emulated. The function is the real program.");
}

/// Begins a step.
pub(crate) fn heading(title: &str) {
    println!("\n{}", "-".repeat(WIDTH));
    wrapped("", title);
    println!();
}

/// Tells what one operation did.
pub(crate) fn account(transcript: &Transcript, log: &Log, mark: Mark) {
    for turn in &transcript.turns {
        event(turn);
        answer(turn);
    }
    let entries = log.since(mark);
    let moved = |operation: &str, upstream: bool| {
        let wanted = |entry: &&Entry| entry.operation == operation && is_upstream(entry) == upstream;
        entries.iter().filter(wanted).count()
    };
    let uploads = entries.iter().filter(|entry| entry.operation == "upload.put");
    let [blobs, bytes] = uploads.fold([0, 0], |[n, sum], entry| [n + 1, sum + entry.request_bytes]);
    #[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
    let megabytes = bytes as f64 / 1e6;
    println!("  Copied:    {blobs} blobs ({megabytes:.1} MB), {} manifests", moved("manifest.put", false));
    let count = |side: &dyn Fn(&Entry) -> bool| entries.iter().filter(|entry| side(entry)).count();
    println!(
        "  Requests:  {} to Docker Hub ({} counted as pulls), {} to ECR, {} to DynamoDB, {} to S3 (responses)",
        count(&is_upstream),
        log.pulls(mark),
        count(&|entry| is_ecr(entry)),
        count(&|entry| entry.side == "dynamodb"),
        count(&|entry| entry.side == "response"),
    );
    println!("  Took:      {:.2} s; the stack is now {}", transcript.took.as_secs_f64(), transcript.status);
}

fn event(turn: &Turn) {
    let why = match (turn.phase, turn.request_type()) {
        (Phase::Rollback, _) => " (CloudFormation rolls back)",
        (Phase::CleanUp, _) => " (CloudFormation cleans up)",
        _ => "",
    };
    println!("  Asked:     {} {}{why}", turn.request_type(), turn.logical_id());
    let reference = turn.event["ResourceProperties"]["ImageReference"].as_str();
    wrapped("             ", reference.unwrap_or_default());
}

fn answer(turn: &Turn) {
    let took = turn.took.as_secs_f64();
    match &turn.end {
        End::Answered(answer) => {
            let status = if answer.status == Status::Success { "SUCCESS" } else { "FAILED" };
            println!("  Answer:    {status} after {took:.2} s, id {}", answer.physical_id);
            details(turn, answer);
        }
        End::Invalid(reason) => println!("  Answer:    invalid: {reason}"),
        End::TimedOut => println!("  Answer:    none that CloudFormation accepts, waited {took:.2} s"),
        End::Open | End::Cancelled => println!("  Answer:    nobody waited for it"),
    }
}

fn details(turn: &Turn, answer: &Answer) {
    if answer.status == Status::Failed {
        wrapped("             ", answer.reason.as_deref().unwrap_or_default());
    } else if turn.request_type() != "Delete" {
        let digest = answer.data.get("Digest").and_then(Value::as_str).unwrap_or("?");
        println!("             Digest {digest}");
    }
}

fn is_upstream(entry: &Entry) -> bool {
    ["upstream", "token", "cdn"].contains(&entry.side.as_str())
}

fn is_ecr(entry: &Entry) -> bool {
    ["ecr", "ecr-api", "s3"].contains(&entry.side.as_str())
}

/// Prints a text in lines of bounded length.
fn wrapped(indent: &str, text: &str) {
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
