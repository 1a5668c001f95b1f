//! The watchdog responds if the function cannot, and only then.

mod common;

use std::sync::Arc;
use std::time::Duration;

use aws_emulator::bucket::Status;
use aws_emulator::lambda::{Function, FunctionSettings, Outcome};
use aws_emulator::stack::{CallOutcome, ProviderCall, StackStatus, Template};
use aws_emulator::{Effect, Fault, ImageBuilder, Mutability};
use common::{Account, failure_reason, index, response_of};
use serde_json::{Value, json};

/// Timeout of these tests, far longer than any of them takes.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Returns an account with these function settings, and a watchdog.
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

/// Sends an event and calls `stop` for every running invocation of the function.
async fn send_and_stop(account: &Account, event: Value, stop: fn(&Function, &str) -> bool) -> ProviderCall {
    let function = &account.world.function;
    let stop_all = async {
        loop {
            for invocation in function.invocations().iter().filter(|invocation| !invocation.done) {
                stop(function, &invocation.request_id);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let call = tokio::select! {
        call = account.stack.send(event) => call,
        never = stop_all => never,
    };
    assert!(function.wait_until_idle(TEST_TIMEOUT).await);
    call
}

/// Checks that only the watchdog responded to the event, with this reason.
#[track_caller]
fn check(account: &Account, call: &ProviderCall, expected: &str) {
    let response = response_of(call.clone());
    let reason = failure_reason(&response);
    println!("{} {reason}", call.request_type());
    assert!(reason.contains(expected), "{reason}");
    assert!(reason.ends_with(&format!(", request {})", call.invocation_id)), "{reason}");
    let id = call.event["PhysicalResourceId"].as_str().unwrap_or("create-failed");
    assert_eq!(response.physical_id, id);
    assert_eq!(account.responses(call).len(), 1);
}

#[tokio::test]
async fn responds_if_the_function_is_killed() {
    let (account, watchdog) = account(|_| {}).await;
    // No event completes before the function is killed.
    let delay = Effect::Delay { ms: 60_000 };
    for operation in ["ecr:*", "dynamodb:*"] {
        account.world.emulator.faults().add(Fault::on(operation, delay.clone()));
    }
    for kind in ["Create", "Update", "Delete"] {
        let call = send_and_stop(&account, event(&account, kind), Function::kill).await;
        check(&account, &call, "was killed, probably because it ran out of memory, 3 attempts");
        let invocation = account.world.function.invocation(&call.invocation_id).unwrap();
        assert_eq!(invocation.outcome(), Some(&Outcome::Crash("signal: killed".into())));
    }
    assert!(watchdog.wait_until_idle(TEST_TIMEOUT).await);
    assert_eq!(watchdog.invocations().len(), 3);
}

#[tokio::test]
async fn responds_if_the_function_exits_at_start() {
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
async fn responds_if_lambda_stops_the_function() {
    let (account, _watchdog) = account(|settings| {
        settings.timeout = Duration::from_secs(1);
        settings.max_retries = 1;
    })
    .await;
    let call = send_and_stop(&account, event(&account, "Create"), Function::freeze).await;
    check(&account, &call, "timed out after 1.00 seconds, 2 attempts");
    assert_eq!(account.repository.resolve("3.13"), None);
}

#[tokio::test]
async fn responds_if_the_function_cannot_reach_the_bucket() {
    // Without the proxy the function cannot reach the bucket, as in a VPC without a route.
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
    check(&account, &call, "could not respond: sending the response to");
    account.check_stored("3.13", &index(1));
}

#[tokio::test]
async fn responds_if_a_continuation_is_killed() {
    let (account, _watchdog) = account(|settings| settings.timeout = Duration::from_secs(5)).await;
    let image = ImageBuilder::new(2).platforms(&["linux/amd64"]).layers(&[2 << 20; 24]).single();
    account.publish("3.14", &image);
    let effect = Effect::Slow { bytes_per_second: 1 << 20, on: None };
    account.world.emulator.faults().add(Fault::on("blob.content", effect));
    let mut create = event(&account, "Create");
    create["ResourceProperties"] = account.properties("python:3.14");
    let call = send_and_stop(&account, create, |function, id| {
        let is_continuation = |event: &Value| event.get("ResponseURL").is_none();
        function.invocation(id).is_some_and(|invocation| is_continuation(&invocation.event))
            && function.kill(id)
    })
    .await;
    let response = response_of(call.clone());
    let reason = failure_reason(&response);
    println!("{reason}");
    assert!(reason.contains("was killed"), "{reason}");
    assert_eq!(response.physical_id, "create-failed");
    assert_eq!(account.responses(&call).len(), 1);
}

#[tokio::test]
async fn a_late_response_of_the_watchdog_has_no_effect() {
    let (account, _) = account(|settings| settings.timeout = Duration::from_secs(2)).await;
    let watchdog = account.world.watchdog(|settings| settings.timeout = Duration::from_secs(2));
    // The bucket stores the response, but the function gets no confirmation.
    let lost = Effect::Reset { after_bytes: 0, on: Some(aws_emulator::Direction::Response) };
    account.world.emulator.faults().add(Fault::on("response.put", lost));
    let created =
        account.stack.create(&Template::new().image("Python", account.properties("python:3.13"))).await;
    assert_eq!(created.status, StackStatus::CreateComplete, "{:?}", created.failures());
    assert!(
        account.world.function.wait_until_idle(TEST_TIMEOUT).await
            && watchdog.wait_until_idle(TEST_TIMEOUT).await
    );
    let call = &created.calls[0];
    let responses = account.responses(call);
    let last = responses.last().unwrap();
    assert!(failure_reason(last).contains("could not respond"), "the watchdog did not respond");
    assert_eq!(
        (responses[0].status, &call.outcome),
        (Status::Success, &CallOutcome::Responded(responses[0].clone()))
    );
    assert_eq!(account.stack.status(), StackStatus::CreateComplete);
    account.check_stored("3.13", &index(1));
    // The watchdog could not deliver its response either. It is not invoked again.
    assert_eq!(watchdog.invocations().len(), 1);
}

#[tokio::test]
async fn does_not_respond_if_the_function_responds() {
    let (account, watchdog) = account(|_| {}).await;
    let call = account.stack.send(event(&account, "Create")).await;
    common::check_success(&response_of(call));
    let invalid = account.world.function.invoke_async(json!({"hello": "world"}));
    let invocation = account.world.function.wait_until_finished(&invalid, TEST_TIMEOUT).await.unwrap();
    assert!(matches!(invocation.outcome(), Some(Outcome::Error(_))));
    assert!(watchdog.wait_until_idle(TEST_TIMEOUT).await);
    // The watchdog is invoked for the invalid event, and sends no response.
    let invocations = watchdog.invocations();
    assert_eq!((invocations.len(), invocations[0].attempts.len()), (1, 1));
    assert!(matches!(invocations[0].outcome(), Some(Outcome::Response(_))));
}
