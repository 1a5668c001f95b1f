//! Tokens, signatures and logins that pass by during a copy, with trouble of every kind on the way.

use aws_emulator::bucket::Status;
use aws_emulator::lambda::Outcome;
use aws_emulator::stack::CallOutcome;
use aws_emulator::{Authorization, Effect, Fault};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::account;
use crate::common::creation;
use crate::search::{BEARER, PASSWORD, SIGNATURE, check};

#[tokio::test]
async fn a_copy_that_had_trouble_on_its_way_and_a_deletion() {
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
    let created = account.stack.send(creation(&account.properties("python:3.13"))).await;
    let CallOutcome::Responded(answer) = &created.outcome else { panic!("no answer: {:?}", created.outcome) };
    assert_eq!(answer.status, Status::Success, "{answer:?}");
    assert_eq!(faults.hit_count(), 9, "all of the trouble was met");
    let delete = json!({
        "RequestType": "Delete",
        "PhysicalResourceId": answer.physical_id,
        "ResourceProperties": account.properties("python:3.13"),
    });
    let deleted = account.stack.send(delete).await;
    assert_eq!(account.repository.resolve("3.13"), None);
    let finest = |line: &String| line.contains("\"level\":\"DEBUG\"") || line.contains("\"level\":\"TRACE\"");
    assert!(account.world.function.output().iter().any(finest), "the function printed all it could");
    check(&account, &[created, deleted]).await;
}

/// Lets a Create fail over an answer that plants a secret, and tells whether the secret was used.
async fn fails_with(operation: &str, effect: Effect, used: impl Fn(&aws_emulator::LogEntry) -> bool) {
    let account = account().await;
    account.world.emulator.faults().add(Fault::on(operation, effect));
    let call = account.stack.send(creation(&account.properties("python:3.13"))).await;
    let CallOutcome::Responded(answer) = &call.outcome else { panic!("no answer: {:?}", call.outcome) };
    assert_eq!(answer.status, Status::Failed, "{operation}: {answer:?}");
    let log = account.world.emulator.log();
    assert!(log.entries().iter().any(used), "{operation}: {}", log.text(log.start()));
    check(&account, &[call]).await;
}

#[tokio::test]
async fn a_failure_over_each_kind_of_secret() {
    let answer = |body: Value| Effect::Status {
        code: 200,
        headers: [("content-type".to_owned(), "application/json".to_owned())].into(),
        body: body.to_string(),
    };
    let token = answer(json!({"token": BEARER, "expires_in": 300}));
    fails_with("token", token, |entry| {
        entry.operation == "manifest.head" && entry.authorization == Authorization::Bearer
    })
    .await;
    let login = BASE64_STANDARD.encode(format!("AWS:{PASSWORD}"));
    let login = json!({"authorizationData": [{"authorizationToken": login, "expiresAt": 4e9}]});
    fails_with("ecr:GetAuthorizationToken", answer(login), |entry| {
        entry.operation == "upload.start" && entry.authorization == Authorization::Basic
    })
    .await;
    let location = format!("https://production.cloudflare.docker.com/blob?expires=1&verify={SIGNATURE}");
    fails_with("blob.get", Effect::Redirect { location }, |entry| {
        entry.service == "cdn" && entry.target.contains(SIGNATURE)
    })
    .await;
    let unreachable = Effect::Redirect { location: format!("https://nobody.invalid/?verify={SIGNATURE}") };
    fails_with("blob.get", unreachable, |entry| entry.host == "nobody.invalid").await;
}

#[tokio::test]
async fn an_answer_that_cannot_be_delivered() {
    let account = account().await;
    let body = "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>";
    let expired = Effect::Status { code: 403, headers: [].into(), body: body.into() };
    account.world.emulator.faults().add(Fault::on("response.put", expired).times(2));
    let call = account.stack.send(creation(&account.properties("python:3.13"))).await;
    let failed = account.world.function.invocations();
    let is_error = |outcome: &Outcome| matches!(outcome, Outcome::Error(_));
    assert!(failed.iter().any(|invocation| is_error(&invocation.attempts[0].outcome)), "{failed:?}");
    check(&account, &[call]).await;
}
