//! Injects one fault into every request of a copy, and permanent faults into some. The copy must succeed
//! after a retry, or fail before the timeout with the cause and an unchanged tag.
//!
//! The table is `fixtures/faults.json`. Each case has its own account and process.

#![allow(clippy::unwrap_used, reason = "a failed setup ends the test")]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_emulator::bucket::{ProviderResponse, Status};
use aws_emulator::lambda::{Attempt, Invocation, Outcome};
use aws_emulator::{Effect, Fault, ImageBuilder, Mutability};
use common::{Account, failure_reason};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Maximum number of concurrent cases. Two cores start this many processes without timeouts.
const CONCURRENT: usize = 6;
/// Maximum number of concurrent cases that mostly wait, which need no CPU.
const CONCURRENT_WAITING: usize = 20;

/// A fault in an operation, and the expected result.
#[derive(Clone)]
struct Case {
    operation: String,
    location: String,
    /// True if ECR has the image already, so that only the tag moves.
    only_tag: bool,
    name: String,
    effect: Effect,
    /// Timeout of the function, if it differs from the others'.
    timeout: Option<Duration>,
    /// Texts in the reason of the failure. `None` means success.
    failure: Option<Vec<String>>,
    why: String,
}

/// Result of a case in the table.
struct Row {
    case: Case,
    seconds: f64,
    result: String,
}

fn fixture() -> Value {
    serde_json::from_str(include_str!("../fixtures/faults.json")).unwrap()
}

/// Returns the effect for an operation. `None` if the table excludes it with a reason.
fn effect(table: &Value, operation: &Value, name: &str) -> Option<Effect> {
    let general = match operation["has_body"].as_bool() {
        Some(false) => table["effects_without_body"].get(name),
        _ => None,
    };
    let of_all = table["effects"].get(name).or(table["permanent_effects"].get(name));
    let effect = operation["instead"].get(name).or(general).or(of_all).unwrap();
    effect["none"].is_null().then(|| serde_json::from_value(effect.clone()).unwrap())
}

fn texts(value: &Value) -> Option<Vec<String>> {
    Some(value.as_array()?.iter().map(|text| text.as_str().unwrap().to_owned()).collect())
}

fn case(table: &Value, operation: &Value, name: &str, expected: Option<&Value>) -> Option<Case> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Some(Case {
        operation: text(&operation["operation"]),
        location: text(&operation["where"]),
        only_tag: operation["scenario"] == "tag",
        name: name.to_owned(),
        effect: effect(table, operation, name)?,
        timeout: expected.and_then(|expected| expected["seconds"].as_u64()).map(Duration::from_secs),
        failure: expected.and_then(|expected| texts(&expected["failure"])),
        why: expected.map(|expected| text(&expected["why"])).unwrap_or_default(),
    })
}

/// Returns every operation with every effect.
fn matrix(table: &Value) -> Vec<Case> {
    let exceptions = table["exceptions"].as_array().unwrap();
    let mut cases = Vec::new();
    for operation in table["operations"].as_array().unwrap() {
        for name in table["effects"].as_object().unwrap().keys() {
            let expected = exceptions.iter().find(|exception| {
                exception["operation"] == operation["operation"] && exception["effect"] == name.as_str()
            });
            cases.extend(case(table, operation, name, expected));
        }
    }
    cases
}

/// Returns the cases with permanent faults.
fn permanent(table: &Value) -> Vec<Case> {
    let operations = table["operations"].as_array().unwrap();
    let chosen = table["permanent"].as_array().unwrap().iter();
    let case = |chosen: &Value| {
        let operation = operations.iter().find(|known| known["operation"] == chosen["operation"]);
        case(table, operation.unwrap(), chosen["effect"].as_str().unwrap(), Some(chosen)).unwrap()
    };
    chosen.map(case).collect()
}

/// Result of a case.
struct CaseResult {
    response: ProviderResponse,
    seconds: f64,
    /// The problem, with the request log.
    problem: Option<String>,
}

/// Sends a Create with a fault. The tag `3.13` names an older image than at the source.
async fn run(case: &Case, fault: Fault, timeout: Duration) -> CaseResult {
    let account = Account::with(Mutability::Mutable, |settings| {
        settings.timeout = timeout;
        settings.init_timeout = Duration::from_secs(60);
    })
    .await;
    let image = |seed| {
        ImageBuilder::new(seed).platforms(&["linux/amd64", "linux/arm64"]).layers(&[50_000, 3_000]).index()
    };
    let (old, new) = (image(1), image(2));
    account.repository.put_image(Some("3.13"), &old);
    account.publish("3.13", &new);
    let mut reference = "python:3.13".to_owned();
    if case.only_tag {
        account.repository.put_image(None, &new);
        reference += &format!("@{}", new.digest());
    }
    let emulator = &account.world.emulator;
    emulator.faults().add(fault);
    let started = Instant::now();
    let response = account.create(account.properties(&reference)).await;
    let seconds = started.elapsed().as_secs_f64();
    let expected = if response.status == Status::Success { &new } else { &old };
    let timed_out = |attempt: &Attempt| matches!(attempt.outcome, Outcome::Timeout);
    let stopped = |invocation: &Invocation| invocation.attempts.iter().any(timed_out);
    let problem = if emulator.faults().hit_count() == 0 {
        Some("the fault had no effect")
    } else if account.world.function.invocations().iter().any(stopped) {
        Some("the function sent no response before Lambda stopped it")
    } else if account.repository.resolve("3.13").as_deref() != Some(expected.digest()) {
        Some("the tag names the wrong image")
    } else if !account.repository.integrity_errors("3.13").is_empty() {
        Some("the image of the tag is incomplete")
    } else {
        find_problem(case, &response)
    };
    let problem =
        problem.map(|problem| format!("{problem}\n{}", emulator.log().text(emulator.log().start())));
    CaseResult { response, seconds, problem }
}

/// Runs cases concurrently and prints their results in the order of the table.
async fn run_all(cases: Vec<Case>, once: bool, timeout: Duration) -> Vec<Row> {
    let slots = Arc::new(Semaphore::new(CONCURRENT));
    let waiting_slots = Arc::new(Semaphore::new(CONCURRENT_WAITING));
    let mut running = JoinSet::new();
    // Cases that wait take longest, so they start first.
    let mut order: Vec<usize> = (0..cases.len()).collect();
    order.sort_by_key(|&number| !matches!(cases[number].name.as_str(), "stall" | "late"));
    for number in order {
        let case = cases[number].clone();
        let timeout = case.timeout.unwrap_or(timeout);
        let slots = if matches!(case.name.as_str(), "stall" | "late") { &waiting_slots } else { &slots };
        let slots = Arc::clone(slots);
        running.spawn(async move {
            let _slot = slots.acquire_owned().await.unwrap();
            let fault = Fault::on(&case.operation, case.effect.clone());
            let fault = if once { fault.once() } else { fault };
            let spawned = case.clone();
            let result = tokio::spawn(async move { run(&spawned, fault, timeout).await }).await;
            match result {
                Ok(CaseResult { response, seconds, problem }) => {
                    let failed = response.status == Status::Failed;
                    let result = if failed { failure_reason(&response) } else { "success" }.to_owned();
                    (number, Row { case, seconds, result }, problem)
                }
                Err(panic) => {
                    let row = Row { case, seconds: 0.0, result: "no response".into() };
                    (number, row, Some(panic.to_string()))
                }
            }
        });
    }
    let mut rows = Vec::new();
    while let Some(done) = running.join_next().await {
        rows.push(done.unwrap());
    }
    rows.sort_by_key(|(number, ..)| *number);
    for (_, Row { case, seconds, result }, problem) in &rows {
        let Case { location, operation, name, .. } = case;
        let mark = if problem.is_some() { "FAILED " } else { "" };
        println!("{location:18} {operation:33} {name:21} {seconds:5.1} s  {mark}{result}");
    }
    let failed: Vec<_> = rows.iter().filter_map(|(_, row, problem)| Some((row, problem.as_ref()?))).collect();
    for (row, problem) in &failed {
        println!("\n{} at {}: {}\n{problem}", row.case.name, row.case.operation, row.result);
    }
    assert!(failed.is_empty(), "{} of {} cases failed", failed.len(), rows.len());
    rows.into_iter().map(|(_, row, _)| row).collect()
}

/// Compares a response with the expected result.
fn find_problem(case: &Case, response: &ProviderResponse) -> Option<&'static str> {
    match (&case.failure, response.status) {
        (None, Status::Success) => None,
        (None, Status::Failed) => Some("failed, expected success"),
        (Some(_), Status::Success) => Some("succeeded, expected a failure"),
        (Some(texts), Status::Failed) => {
            let reason = failure_reason(response);
            (!texts.iter().all(|text| reason.contains(text)))
                .then_some("the reason does not contain the cause")
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_survives_one_fault_in_every_request() {
    let cases = matrix(&fixture());
    let rows = run_all(cases, true, Duration::from_secs(60)).await;
    for row in rows.iter().filter(|row| row.case.failure.is_some()) {
        println!("{} at {}: {}", row.case.name, row.case.operation, row.case.why);
        assert!(!row.case.why.is_empty(), "an exception without a reason");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permanent_fault_fails_before_the_timeout_and_keeps_the_tag() {
    run_all(permanent(&fixture()), false, Duration::from_secs(10)).await;
}

#[test]
fn the_table_has_all_cases_and_no_unknown_exceptions() {
    let table = fixture();
    assert!(matrix(&table).len() >= 100, "too few cases");
    assert!(permanent(&table).len() >= 12);
    for exception in table["exceptions"].as_array().unwrap() {
        let known = matrix(&table).into_iter().any(|case| {
            json!(case.operation) == exception["operation"] && json!(case.name) == exception["effect"]
        });
        assert!(known, "{exception}");
    }
}
