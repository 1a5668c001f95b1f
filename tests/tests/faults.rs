//! One fault at every request that a copy makes, and lasting ones at some: the right bytes after a
//! retry, or FAILED in time with the cause, and then the old tag untouched.
//!
//! The table is `fixtures/faults.json`. Each case has an account and a process of its own.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_emulator::bucket::{ProviderResponse, Status};
use aws_emulator::lambda::{Attempt, Invocation, Outcome};
use aws_emulator::{Effect, Fault, ImageBuilder, Mutability};
use common::{Account, failure};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Cases at once: as many processes as two processors start without running into time-outs.
const AT_WORK: usize = 6;
/// Those that stand still cost nothing while they do.
const STANDING_STILL: usize = 20;

/// What befalls which operation, and what is expected then.
#[derive(Clone)]
struct Case {
    operation: String,
    place: String,
    /// Whether the image is in ECR already and only the tag is to be moved.
    only_tag: bool,
    name: String,
    effect: Effect,
    /// Timeout of the function, if it differs from the others'.
    timeout: Option<Duration>,
    /// What the reason of a failure says; success when absent.
    says: Option<Vec<String>>,
    why: String,
}

/// What came of a case.
struct Row {
    case: Case,
    seconds: f64,
    result: String,
}

fn fixture() -> Value {
    serde_json::from_str(include_str!("../fixtures/faults.json")).unwrap()
}

/// The effect as it applies to an operation; none where the table says why there is none.
fn effect(table: &Value, operation: &Value, name: &str) -> Option<Effect> {
    let general = match operation["has_body"].as_bool() {
        Some(false) => table["effects_without_body"].get(name),
        _ => None,
    };
    let of_all = table["effects"].get(name).or(table["lasting_effects"].get(name));
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
        place: text(&operation["where"]),
        only_tag: operation["scenario"] == "tag",
        name: name.to_owned(),
        effect: effect(table, operation, name)?,
        timeout: expected.and_then(|expected| expected["seconds"].as_u64()).map(Duration::from_secs),
        says: expected.and_then(|expected| texts(&expected["says"])),
        why: expected.map(|expected| text(&expected["why"])).unwrap_or_default(),
    })
}

/// Every operation with every effect.
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

/// The chosen ones that last.
fn lasting(table: &Value) -> Vec<Case> {
    let operations = table["operations"].as_array().unwrap();
    let chosen = table["lasting"].as_array().unwrap().iter();
    let case = |chosen: &Value| {
        let operation = operations.iter().find(|known| known["operation"] == chosen["operation"]);
        case(table, operation.unwrap(), chosen["effect"].as_str().unwrap(), Some(chosen)).unwrap()
    };
    chosen.map(case).collect()
}

/// What a case left behind.
struct Played {
    answer: ProviderResponse,
    seconds: f64,
    /// What is wrong, with the request log.
    wrong: Option<String>,
}

/// Sends a Create to an account in which `3.13` names an older image than upstream, with a fault in
/// force.
async fn play(case: &Case, fault: Fault, timeout: Duration) -> Played {
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
    let answer = account.create(account.properties(&reference)).await;
    let seconds = started.elapsed().as_secs_f64();
    let expected = if answer.status == Status::Success { &new } else { &old };
    let timed_out = |attempt: &Attempt| matches!(attempt.outcome, Outcome::Timeout);
    let stopped = |invocation: &Invocation| invocation.attempts.iter().any(timed_out);
    let wrong = if emulator.faults().hit_count() == 0 {
        Some("the fault was not met")
    } else if account.world.function.invocations().iter().any(stopped) {
        Some("it did not answer within its time, and Lambda stopped it")
    } else if account.repository.resolve("3.13").as_deref() != Some(expected.digest()) {
        Some("the tag names the wrong image")
    } else if !account.repository.integrity_errors("3.13").is_empty() {
        Some("what the tag names is not whole")
    } else {
        verdict(case, &answer)
    };
    let wrong = wrong.map(|wrong| format!("{wrong}\n{}", emulator.log().text(emulator.log().start())));
    Played { answer, seconds, wrong }
}

/// Plays cases side by side and prints what came of them, in the order of the table.
async fn play_all(cases: Vec<Case>, once: bool, timeout: Duration) -> Vec<Row> {
    let at_work = Arc::new(Semaphore::new(AT_WORK));
    let standing = Arc::new(Semaphore::new(STANDING_STILL));
    let mut running = JoinSet::new();
    // What stands still takes longest, and so goes first.
    let mut order: Vec<usize> = (0..cases.len()).collect();
    order.sort_by_key(|&number| !matches!(cases[number].name.as_str(), "stall" | "late"));
    for number in order {
        let case = cases[number].clone();
        let timeout = case.timeout.unwrap_or(timeout);
        let calls = if matches!(case.name.as_str(), "stall" | "late") { &standing } else { &at_work };
        let calls = Arc::clone(calls);
        running.spawn(async move {
            let _turn = calls.acquire_owned().await.unwrap();
            let fault = Fault::on(&case.operation, case.effect.clone());
            let fault = if once { fault.once() } else { fault };
            let played = case.clone();
            let played = tokio::spawn(async move { play(&played, fault, timeout).await }).await;
            match played {
                Ok(Played { answer, seconds, wrong }) => {
                    let failed = answer.status == Status::Failed;
                    let result = if failed { failure(&answer) } else { "the right bytes" }.to_owned();
                    (number, Row { case, seconds, result }, wrong)
                }
                Err(panic) => {
                    let row = Row { case, seconds: 0.0, result: "no answer".into() };
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
    for (_, Row { case, seconds, result }, wrong) in &rows {
        let Case { place, operation, name, .. } = case;
        let mark = if wrong.is_some() { "WRONG " } else { "" };
        println!("{place:18} {operation:33} {name:21} {seconds:5.1} s  {mark}{result}");
    }
    let wrong: Vec<_> = rows.iter().filter_map(|(_, row, wrong)| Some((row, wrong.as_ref()?))).collect();
    for (row, log) in &wrong {
        println!("\n{} at {}: {}\n{log}", row.case.name, row.case.operation, row.result);
    }
    assert!(wrong.is_empty(), "{} of {} cases went wrong", wrong.len(), rows.len());
    rows.into_iter().map(|(_, row, _)| row).collect()
}

/// What is wrong with an answer, if anything is.
fn verdict(case: &Case, answer: &ProviderResponse) -> Option<&'static str> {
    match (&case.says, answer.status) {
        (None, Status::Success) => None,
        (None, Status::Failed) => Some("failed, and need not have"),
        (Some(_), Status::Success) => Some("succeeded, against what the table says"),
        (Some(texts), Status::Failed) => {
            let reason = failure(answer);
            (!texts.iter().all(|text| reason.contains(text))).then_some("the reason does not say the cause")
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_fault_at_every_request_is_got_over() {
    let cases = matrix(&fixture());
    let rows = play_all(cases, true, Duration::from_secs(60)).await;
    for row in rows.iter().filter(|row| row.case.says.is_some()) {
        println!("{} at {}: {}", row.case.name, row.case.operation, row.case.why);
        assert!(!row.case.why.is_empty(), "an exception has its reason");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lasting_fault_is_told_in_time_and_the_tag_stays() {
    play_all(lasting(&fixture()), false, Duration::from_secs(10)).await;
}

#[test]
fn the_table_names_only_what_there_is() {
    let table = fixture();
    assert!(matrix(&table).len() >= 100, "every operation meets every effect");
    assert!(lasting(&table).len() >= 12);
    for exception in table["exceptions"].as_array().unwrap() {
        let known = matrix(&table).into_iter().any(|case| {
            json!(case.operation) == exception["operation"] && json!(case.name) == exception["effect"]
        });
        assert!(known, "{exception}");
    }
}
