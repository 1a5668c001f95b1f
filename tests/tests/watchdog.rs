//! What no code of an invocation can tell is told by the watchdog, and only then.

mod common;

use std::sync::Arc;
use std::time::Duration;

use aws_emulator::bucket::Status;
use aws_emulator::lambda::{Function, FunctionSettings, Outcome};
use aws_emulator::stack::{CallOutcome, ProviderCall, StackStatus, Template};
use aws_emulator::{Effect, Fault, ImageBuilder, Mutability};
use common::{Account, answered, failure, index};
use serde_json::{Value, json};

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// An account with a function of this kind, and a watchdog that is as it should be.
async fn account(change: impl FnOnce(&mut FunctionSettings)) -> (Account, Arc<Function>) {
    let account = Account::with(Mutability::Mutable, change).await;
    let watchdog = account.world.watchdog(|_| {});
    account.publish("3.13", &index(1));
    (account, watchdog)
}

fn event(account: &Account, kind: &str) -> Value {
    let mut event = json!({
        "RequestType": kind,
        "ResourceType": "Custom::ContainerImage",
        "ResourceProperties": account.properties("python:3.13"),
    });
    if kind != "Create" {
        event["PhysicalResourceId"] = json!(format!("{}:3.13", account.repository.uri()));
    }
    event
}

/// Sends an event while `strike` hits every invocation of the function that is at work.
async fn send_under(account: &Account, event: Value, strike: fn(&Function, &str) -> bool) -> ProviderCall {
    let function = &account.world.function;
    let strikes = async {
        loop {
            for invocation in function.invocations().iter().filter(|invocation| !invocation.done) {
                strike(function, &invocation.request_id);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let call = tokio::select! {
        call = account.stack.send(event) => call,
        never = strikes => never,
    };
    assert!(function.wait_until_idle(PATIENCE).await);
    call
}

/// That the watchdog, and nobody else, answered the event, in these words.
#[track_caller]
fn check(account: &Account, call: &ProviderCall, expected: &str) {
    let answer = answered(call.clone());
    let reason = failure(&answer);
    println!("{} {reason}", call.request_type());
    assert!(reason.contains(expected), "{reason}");
    assert!(
        reason.ends_with(&format!("({})", call.invocation_id)),
        "it names the log that has more: {reason}"
    );
    let id = call.event["PhysicalResourceId"].as_str().unwrap_or("create-failed");
    assert_eq!(answer.physical_id, id);
    assert_eq!(account.answers(call).len(), 1);
}

#[tokio::test]
async fn a_function_that_is_killed() {
    let (account, watchdog) = account(|_| {}).await;
    // Nothing comes to its end before it is killed.
    let delay = Effect::Delay { ms: 60_000 };
    for operation in ["ecr:*", "dynamodb:*"] {
        account.world.emulator.faults().add(Fault::on(operation, delay.clone()));
    }
    for kind in ["Create", "Update", "Delete"] {
        let call = send_under(&account, event(&account, kind), Function::kill).await;
        check(&account, &call, "was killed, most likely for want of memory, 3 attempts");
        let invocation = account.world.function.invocation(&call.invocation_id).unwrap();
        assert_eq!(invocation.outcome(), Some(&Outcome::Crash("signal: killed".into())));
    }
    assert!(watchdog.wait_until_idle(PATIENCE).await);
    assert_eq!(watchdog.invocations().len(), 3);
}

#[tokio::test]
async fn a_function_that_exits_at_start() {
    let no_certificates = |settings: &mut FunctionSettings| {
        settings.environment.retain(|(name, _)| name != "SSL_CERT_FILE");
        settings.environment.push(("SSL_CERT_FILE".into(), "/nonexistent.pem".into()));
    };
    let (account, _watchdog) = account(no_certificates).await;
    for kind in ["Create", "Update", "Delete"] {
        let call = account.stack.send(event(&account, kind)).await;
        check(&account, &call, "crashed (exit status 101), 3 attempts");
    }
}

#[tokio::test]
async fn a_function_that_hangs_until_lambda_stops_it() {
    let (account, _watchdog) = account(|settings| {
        settings.timeout = Duration::from_secs(1);
        settings.max_retries = 1;
    })
    .await;
    let call = send_under(&account, event(&account, "Create"), Function::freeze).await;
    check(&account, &call, "was stopped by Lambda when it timed out after 1.00 seconds, 2 attempts");
    assert_eq!(account.repository.resolve("3.13"), None);
}

#[tokio::test]
async fn a_function_that_cannot_reach_the_bucket() {
    // Past the proxy, the bucket's name leads nowhere for the function, as in a VPC without a route.
    let (account, _watchdog) = account(|settings| {
        settings.timeout = Duration::from_secs(3);
        for (_, hosts) in
            settings.environment.iter_mut().filter(|(name, _)| name.eq_ignore_ascii_case("NO_PROXY"))
        {
            *hosts += ",cloudformation-custom-resource-response-euwest1.s3.eu-west-1.amazonaws.com";
        }
    })
    .await;
    let call = account.stack.send(event(&account, "Create")).await;
    check(&account, &call, "could not tell how it went: the answer could not be delivered to");
    account.check_stored("3.13", &index(1));
}

#[tokio::test]
async fn a_later_round_that_is_killed() {
    let (account, _watchdog) = account(|settings| settings.timeout = Duration::from_secs(5)).await;
    let image = ImageBuilder::new(2).platforms(&["linux/amd64"]).layers(&[2 << 20; 24]).single();
    account.publish("3.14", &image);
    let effect = Effect::Slow { bytes_per_second: 1 << 20, on: None };
    account.world.emulator.faults().add(Fault::on("blob.content", effect));
    let mut create = event(&account, "Create");
    create["ResourceProperties"] = account.properties("python:3.14");
    let call = send_under(&account, create, |function, id| {
        let is_further = |event: &Value| event.get("ResponseURL").is_none();
        function.invocation(id).is_some_and(|invocation| is_further(&invocation.event)) && function.kill(id)
    })
    .await;
    let answer = answered(call.clone());
    let reason = failure(&answer);
    println!("{reason}");
    assert!(reason.contains("was killed"), "{reason}");
    assert_eq!(answer.physical_id, "create-failed");
    assert_eq!(account.answers(&call).len(), 1);
}

#[tokio::test]
async fn comes_to_nothing_when_the_work_had_answered() {
    let (account, _) = account(|settings| settings.timeout = Duration::from_secs(2)).await;
    let watchdog = account.world.watchdog(|settings| settings.timeout = Duration::from_secs(2));
    // The bucket takes the answer, but the function never hears of it.
    let lost = Effect::Reset { after_bytes: 0, on: Some(aws_emulator::Direction::Response) };
    account.world.emulator.faults().add(Fault::on("response.put", lost));
    let created =
        account.stack.create(&Template::new().image("Python", account.properties("python:3.13"))).await;
    assert_eq!(created.status, StackStatus::CreateComplete, "{:?}", created.failures());
    assert!(
        account.world.function.wait_until_idle(PATIENCE).await && watchdog.wait_until_idle(PATIENCE).await
    );
    let call = &created.calls[0];
    let answers = account.answers(call);
    let last = answers.last().unwrap();
    assert!(failure(last).contains("could not tell how it went"), "the watchdog answered too");
    assert_eq!(
        (answers[0].status, &call.outcome),
        (Status::Success, &CallOutcome::Responded(answers[0].clone()))
    );
    assert_eq!(account.stack.status(), StackStatus::CreateComplete);
    account.check_stored("3.13", &index(1));
    // It could not deliver either, and that was the end of it.
    assert_eq!(watchdog.invocations().len(), 1);
}

#[tokio::test]
async fn a_good_function_needs_none() {
    let (account, watchdog) = account(|_| {}).await;
    let call = account.stack.send(event(&account, "Create")).await;
    common::succeeded(&answered(call));
    let nobody = account.world.function.invoke_async(json!({"hello": "world"}));
    let invocation = account.world.function.wait_until_finished(&nobody, PATIENCE).await.unwrap();
    assert!(matches!(invocation.outcome(), Some(Outcome::Error(_))));
    assert!(watchdog.wait_until_idle(PATIENCE).await);
    // It hears of the call that nobody waits for, and lets it be.
    let heard = watchdog.invocations();
    assert_eq!((heard.len(), heard[0].attempts.len()), (1, 1));
    assert!(matches!(heard[0].outcome(), Some(Outcome::Response(_))));
}
