//! Tokens, signatures and credentials during a copy with faults of every kind.

use aws_emulator::bucket::Status;
use aws_emulator::lambda::Outcome;
use aws_emulator::stack::CallOutcome;
use aws_emulator::{Authorization, Effect, Fault};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::account;
use crate::common::create_event;
use crate::search::{BEARER, PASSWORD, SIGNATURE, check};

#[tokio::test]
async fn a_copy_with_faults_and_a_deletion_print_no_secrets() {
    let account = account().await;
    let faults = account.world.emulator.faults();
    let status = |code| Effect::Status { code, headers: [].into(), body: String::new() };
    let reset = Effect::Reset { after_bytes: 100, on: None };
    faults.add(Fault::on("manifest.get", Effect::ExpireToken).once());
    faults.add(Fault::on("token", status(503)).once());
    faults.add(Fault::on("blob.content", Effect::ExpireSignature).once());
    faults.add(Fault::on("blob.content", reset.clone()).once());
    faults.add(Fault::on("upload.start", Effect::ExpireToken).once());
    faults.add(Fault::on("upload.put", reset).once());
    faults.add(Fault::on("upload.put", status(502)).once());
    faults.add(Fault::on("ecr:BatchGetImage", status(503)).once());
    faults.add(Fault::on("response.put", status(503)).once());
    let created = account.stack.send(create_event(&account.properties("python:3.13"))).await;
    let CallOutcome::Responded(response) = &created.outcome else {
        panic!("no response: {:?}", created.outcome)
    };
    assert_eq!(response.status, Status::Success, "{response:?}");
    assert_eq!(faults.hit_count(), 9, "a fault had no effect");
    let delete = json!({
        "RequestType": "Delete",
        "PhysicalResourceId": response.physical_id,
        "ResourceProperties": account.properties("python:3.13"),
    });
    let deleted = account.stack.send(delete).await;
    assert_eq!(account.repository.resolve("3.13"), None);
    let is_detailed =
        |line: &String| line.contains("\"level\":\"DEBUG\"") || line.contains("\"level\":\"TRACE\"");
    assert!(account.world.function.output().iter().any(is_detailed), "the log has no detailed lines");
    check(&account, &[created, deleted]).await;
}

/// Sends a Create that fails because of a response with a secret. `used` must match a request with the
/// secret.
async fn check_failure(operation: &str, effect: Effect, used: impl Fn(&aws_emulator::LogEntry) -> bool) {
    let account = account().await;
    account.world.emulator.faults().add(Fault::on(operation, effect));
    let call = account.stack.send(create_event(&account.properties("python:3.13"))).await;
    let CallOutcome::Responded(response) = &call.outcome else { panic!("no response: {:?}", call.outcome) };
    assert_eq!(response.status, Status::Failed, "{operation}: {response:?}");
    let log = account.world.emulator.log();
    assert!(log.entries().iter().any(used), "{operation}: {}", log.text(log.start()));
    check(&account, &[call]).await;
}

#[tokio::test]
async fn failures_with_each_kind_of_secret_print_no_secrets() {
    let response = |body: Value| Effect::Status {
        code: 200,
        headers: [("content-type".to_owned(), "application/json".to_owned())].into(),
        body: body.to_string(),
    };
    let token = response(json!({"token": BEARER, "expires_in": 300}));
    check_failure("token", token, |entry| {
        entry.operation == "manifest.head" && entry.authorization == Authorization::Bearer
    })
    .await;
    let credentials = BASE64_STANDARD.encode(format!("AWS:{PASSWORD}"));
    let token = json!({"authorizationData": [{"authorizationToken": credentials, "expiresAt": 4e9}]});
    check_failure("ecr:GetAuthorizationToken", response(token), |entry| {
        entry.operation == "upload.start" && entry.authorization == Authorization::Basic
    })
    .await;
    let location = format!("https://production.cloudflare.docker.com/blob?expires=1&verify={SIGNATURE}");
    check_failure("blob.get", Effect::Redirect { location }, |entry| {
        entry.service == "cdn" && entry.target.contains(SIGNATURE)
    })
    .await;
    let unreachable = Effect::Redirect { location: format!("https://nobody.invalid/?verify={SIGNATURE}") };
    check_failure("blob.get", unreachable, |entry| entry.host == "nobody.invalid").await;
}

#[tokio::test]
async fn a_response_that_cannot_be_delivered_prints_no_secrets() {
    let account = account().await;
    let body = "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>";
    let expired = Effect::Status { code: 403, headers: [].into(), body: body.into() };
    account.world.emulator.faults().add(Fault::on("response.put", expired).times(2));
    let call = account.stack.send(create_event(&account.properties("python:3.13"))).await;
    let failed = account.world.function.invocations();
    let is_error = |outcome: &Outcome| matches!(outcome, Outcome::Error(_));
    assert!(failed.iter().any(|invocation| is_error(&invocation.attempts[0].outcome)), "{failed:?}");
    check(&account, &[call]).await;
}
