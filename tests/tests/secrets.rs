//! Nothing that the function prints or answers holds a secret, however much it is told to print.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use std::time::Duration;

use aws_emulator::bucket::Status;
use aws_emulator::lambda::Outcome;
use aws_emulator::stack::{End, Turn};
use aws_emulator::{Authorization, Effect, Fault, Mutability};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use common::{Account, index};
use serde_json::{Value, json};

/// Values that only we can have made up, so that finding one says where it came from.
const BEARER: &str = "planted-bearer-token-7Hq2";
const PASSWORD: &str = "planted-ecr-password-9Zx4";
const SIGNATURE: &str = "planted-cdn-signature-3Kd8";

/// An account whose function prints all it can.
async fn account() -> Account {
    let account = Account::with(Mutability::Mutable, |settings| {
        for name in ["RUST_LOG", "AWS_LAMBDA_LOG_LEVEL"] {
            settings.environment.push((name.into(), "TRACE".into()));
        }
    })
    .await;
    account.publish("3.13", &index(1));
    account
}

fn create(account: &Account, image: &str) -> Value {
    json!({
        "RequestType": "Create",
        "ResourceType": "Custom::ContainerImage",
        "ResourceProperties": account.properties(image),
    })
}

/// How a secret may be written: as it is, and what base64 makes of it at each of three positions.
fn forms(secret: &str) -> Vec<String> {
    let mut forms = vec![secret.to_owned()];
    for before in 0..3_usize {
        let encoded = BASE64_STANDARD.encode("x".repeat(before) + secret);
        // The ends depend on what stands beside the secret.
        let (start, end) = (before.div_ceil(3) * 4, encoded.len() - 4);
        forms.push(encoded[start..end].to_owned());
    }
    forms
}

/// Everything that the function gave to anybody who may read along.
async fn said(account: &Account, turns: &[Turn]) -> String {
    // The last line comes after the answer.
    let is_last = |line: &String| line.contains("\"outcome\":");
    let complete = |turn: &Turn| account.world.function.output_of(&turn.invocation).iter().any(is_last);
    let wait = async {
        while !turns.iter().all(complete) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        account.world.function.settled(Duration::from_secs(10)).await
    };
    assert_eq!(tokio::time::timeout(Duration::from_secs(10), wait).await, Ok(true), "the end is in the log");
    let mut said = account.world.function.output();
    for invocation in account.world.function.invocations() {
        for attempt in invocation.attempts {
            said.push(match attempt.outcome {
                Outcome::Response(text) | Outcome::Error(text) | Outcome::Crash(text) => text,
                Outcome::Timeout => String::new(),
            });
        }
    }
    said.extend(turns.iter().map(|turn| format!("{:?}", turn.end)));
    said.join("\n")
}

/// Looks for all secrets of a run, and for whatever looks like one.
async fn check(account: &Account, turns: &[Turn]) {
    let said = said(account, turns).await;
    let environment = account.world.emulator.environment();
    let credentials = environment.into_iter().filter(|(name, _)| {
        matches!(name.as_str(), "AWS_SECRET_ACCESS_KEY" | "AWS_SESSION_TOKEN" | "AWS_ACCESS_KEY_ID")
    });
    let mut secrets: Vec<String> = credentials.map(|(_, value)| value).collect();
    secrets.extend([BEARER, PASSWORD, SIGNATURE].map(ToOwned::to_owned));
    for turn in turns {
        let url = turn.event["ResponseURL"].as_str().unwrap();
        let (_, query) = url.split_once('?').unwrap();
        secrets.push(query.to_owned());
        let values = query.split('&').filter_map(|pair| pair.split_once('='));
        secrets.extend(values.filter(|(_, value)| value.len() > 16).map(|(_, value)| value.to_owned()));
    }
    for secret in &secrets {
        for form in forms(secret) {
            assert!(!said.contains(&form), "{form} was printed: {}", around(&said, &form));
        }
    }
    // `QVdTOg` is how base64 of ECR's login begins, `verify=` stands in signed addresses of blobs.
    let lower = said.to_ascii_lowercase();
    let telling =
        ["bearer ", "basic ", "aws4-hmac-sha256", "x-amz-", "signature=", "verify=", "authorization:"];
    for text in telling {
        assert!(!lower.contains(text), "{text} was printed: {}", around(&lower, text));
    }
    assert!(!said.contains("QVdTOg"), "{}", around(&said, "QVdTOg"));
    // Tokens, passwords and signatures are long numbers here; so are digests, which say so.
    for (at, run) in hex_runs(&said) {
        assert!(
            run.len() < 32 || said[..at].ends_with("sha256:"),
            "{run} was printed: {}",
            around(&said, run)
        );
    }
}

fn around<'a>(said: &'a str, part: &str) -> &'a str {
    said.lines().find(|line| line.contains(part)).unwrap_or_default()
}

/// Runs of hexadecimal digits, with their positions.
fn hex_runs(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let runs = text.split(|c: char| !c.is_ascii_hexdigit()).filter(|run| !run.is_empty());
    runs.map(|run| (run.as_ptr() as usize - text.as_ptr() as usize, run))
}

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
    let created = account.stack.send(create(&account, "python:3.13")).await;
    let End::Answered(answer) = &created.end else { panic!("no answer: {:?}", created.end) };
    assert_eq!(answer.status, Status::Success, "{answer:?}");
    assert_eq!(faults.fired(), 9, "all of the trouble was met");
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
async fn fails_with(operation: &str, effect: Effect, used: impl Fn(&aws_emulator::Entry) -> bool) {
    let account = account().await;
    account.world.emulator.faults().add(Fault::on(operation, effect));
    let turn = account.stack.send(create(&account, "python:3.13")).await;
    let End::Answered(answer) = &turn.end else { panic!("no answer: {:?}", turn.end) };
    assert_eq!(answer.status, Status::Failed, "{operation}: {answer:?}");
    let log = account.world.emulator.log();
    assert!(log.entries().iter().any(used), "{operation}: {}", log.text(log.start()));
    check(&account, &[turn]).await;
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
        entry.side == "cdn" && entry.target.contains(SIGNATURE)
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
    let turn = account.stack.send(create(&account, "python:3.13")).await;
    let failed = account.world.function.invocations();
    let is_error = |outcome: &Outcome| matches!(outcome, Outcome::Error(_));
    assert!(failed.iter().any(|invocation| is_error(&invocation.attempts[0].outcome)), "{failed:?}");
    check(&account, &[turn]).await;
}

#[test]
fn the_search_finds_what_it_looks_for() {
    let said = format!("header: Basic {}", BASE64_STANDARD.encode(format!("AWS:{PASSWORD}")));
    assert!(forms(PASSWORD).iter().any(|form| said.contains(form)));
    assert!(forms(PASSWORD).iter().all(|form| form.len() > 20));
    let token = "0123456789abcdef0123456789abcdef";
    let text = format!("token {token} of sha256:{token}");
    let runs: Vec<_> = hex_runs(&text).filter(|(_, run)| run.len() >= 32).collect();
    assert_eq!(runs.len(), 2);
    assert!(!text[..runs[0].0].ends_with("sha256:") && text[..runs[1].0].ends_with("sha256:"));
}
