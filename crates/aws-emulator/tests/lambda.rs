//! Events, sandboxes, retries and the response bucket, with the fake function.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

mod common;
mod stack_fixture;

use std::collections::BTreeMap;
use std::time::Duration;

use aws_emulator::bucket::{RequestIds, SignatureVersion, URL_VALIDITY};
use aws_emulator::lambda::{FailureCondition, Function, FunctionSettings, Outcome};
use aws_emulator::{Effect, Emulator, Fault};
use common::{KEY, client};
use serde_json::{Value, json};
use stack_fixture::{StackFixture, TIMEOUT, default_stack_fixture, stack_fixture_with};
use tokio::sync::mpsc;

/// An event for a behaviour of the fake function. It has no response URL.
fn event(behaviour: &str) -> Value {
    json!({ "RequestType": "Create", "ResourceProperties": { "Create": behaviour } })
}

async fn outcomes(function: &Function, event: Value) -> Vec<Outcome> {
    let id = function.invoke_async(event);
    let invocation = function.wait_until_finished(&id, TIMEOUT).await.unwrap();
    invocation.attempts.into_iter().map(|attempt| attempt.outcome).collect()
}

#[tokio::test]
async fn reuses_an_idle_sandbox_with_its_own_environment() {
    let fixture = default_stack_fixture().await;
    let StackFixture { stack, function, .. } = &fixture;
    for _ in 0..3 {
        stack.send(event("environment")).await;
        assert!(function.wait_until_idle(TIMEOUT).await);
    }
    let sandboxes = function.sandboxes();
    assert_eq!(sandboxes.len(), 1);
    assert_eq!((sandboxes[0].invocations, &sandboxes[0].exit), (3, &None));
    assert!(sandboxes[0].peak_memory > 0 && sandboxes[0].init.unwrap() > Duration::ZERO);
    let output = function.output().join("\n");
    assert!(output.contains("AWS_LAMBDA_FUNCTION_NAME"), "{output}");
    assert!(!output.contains("CARGO"), "{output}");
    for invocation in function.invocations() {
        assert_eq!(function.output_of(&invocation.request_id).len(), 1, "{output}");
    }
    assert_eq!(function.rejected_calls(), [""; 0]);
}

#[tokio::test]
async fn kills_a_frozen_process_at_the_timeout() {
    let change = |settings: &mut FunctionSettings| {
        settings.timeout = Duration::from_millis(300);
        settings.max_retries = 0;
    };
    let fixture = stack_fixture_with(change, |_| {}).await;
    let StackFixture { function, .. } = &fixture;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("go");
    let mut event = event("wait");
    event["ResourceProperties"]["File"] = json!(file);
    let id = function.invoke_async(event);
    while !function.freeze(&id) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // Without the freeze, the process would finish now.
    std::fs::write(&file, "").unwrap();
    let invocation = function.wait_until_finished(&id, TIMEOUT).await.unwrap();
    assert_eq!(invocation.outcome(), Some(&Outcome::Timeout));
    assert!(!function.freeze(&id), "the event is finished");
}

#[tokio::test]
async fn retries_timeouts_and_reports_the_permanent_failure() {
    let fixture = stack_fixture_with(|settings| settings.timeout = Duration::from_millis(300), |_| {}).await;
    let StackFixture { function, .. } = &fixture;
    let (sender, mut records) = mpsc::unbounded_channel();
    function.on_failure(move |record| drop(sender.send(record)));
    let id = function.invoke_async(event("hang"));
    let invocation = function.wait_until_finished(&id, TIMEOUT).await.unwrap();
    assert_eq!(invocation.failure_condition, Some(FailureCondition::RetriesExhausted));
    let outcomes: Vec<_> = invocation.attempts.iter().map(|attempt| &attempt.outcome).collect();
    assert_eq!(outcomes, [&Outcome::Timeout; 3]);
    let exits: Vec<_> = function.sandboxes().into_iter().map(|sandbox| sandbox.exit).collect();
    assert_eq!(exits, vec![Some("signal: killed".to_owned()); 3]);

    let record = records.recv().await.unwrap();
    assert_eq!(record["requestContext"]["requestId"], id);
    assert_eq!(record["requestContext"]["condition"], "RetriesExhausted");
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 3);
    assert_eq!(record["requestPayload"], event("hang"));
    assert_eq!(record["responseContext"]["functionError"], "Unhandled");
    let message = record["responsePayload"]["errorMessage"].as_str().unwrap();
    assert!(message.ends_with(&format!("{id} Task timed out after 0.30 seconds")), "{message}");
}

#[tokio::test]
async fn a_retry_has_the_same_request_id_and_can_succeed() {
    let fixture = default_stack_fixture().await;
    let StackFixture { stack, function, emulator, .. } = &fixture;
    let mut event = event("exit-once");
    event["ResourceProperties"]["File"] = json!(emulator.folder().join("tried").to_str());
    let call = stack.send(event).await;
    assert!(call.response().is_some(), "{call:?}");
    let invocation = function.wait_until_finished(&call.invocation_id, TIMEOUT).await.unwrap();
    let outcomes: Vec<_> = invocation.attempts.iter().map(|attempt| &attempt.outcome).collect();
    assert_eq!(outcomes[0], &Outcome::Crash("exit status 7".to_owned()));
    assert!(outcomes[1].is_success() && outcomes.len() == 2, "{outcomes:?}");
}

#[tokio::test]
async fn distinguishes_errors_from_crashes() {
    let fixture = stack_fixture_with(|settings| settings.max_retries = 0, |_| {}).await;
    let StackFixture { function, .. } = &fixture;
    let errors = outcomes(function, event("error")).await;
    assert_eq!(errors, [Outcome::Error("{\"errorMessage\":\"requested by the event\"}".to_owned())]);
    let crashes = outcomes(function, event("exit")).await;
    assert_eq!(crashes, [Outcome::Crash("exit status 7".to_owned())]);
}

#[tokio::test]
async fn an_exit_at_the_start_is_a_crash() {
    let exit = ("FAKE_EXIT_AT_START".to_owned(), "1".to_owned());
    let fixture = stack_fixture_with(|settings| settings.environment.push(exit), |_| {}).await;
    let crashes = outcomes(&fixture.function, event("succeed")).await;
    assert_eq!(crashes, vec![Outcome::Crash("exit status 3".to_owned()); 3]);
}

#[tokio::test]
async fn kills_processes_on_request_and_with_the_function() {
    let fixture = stack_fixture_with(|settings| settings.max_retries = 0, |_| {}).await;
    let StackFixture { function, .. } = &fixture;
    let id = function.invoke_async(event("hang"));
    let kill = async {
        while !function.kill(&id) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(TIMEOUT, kill).await.unwrap();
    let invocation = function.wait_until_finished(&id, TIMEOUT).await.unwrap();
    assert_eq!(invocation.outcome(), Some(&Outcome::Crash("signal: killed".to_owned())));

    function.invoke_async(event("hang"));
    let first_event = async {
        while function.sandboxes().last().is_none_or(|sandbox| sandbox.invocations == 0) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(TIMEOUT, first_event).await.unwrap();
    let pid = function.sandboxes().last().unwrap().pid;
    drop(fixture);
    let process_ended = async {
        while std::fs::read_to_string(format!("/proc/{pid}/status"))
            .is_ok_and(|status| !status.contains("State:\tZ"))
        {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(TIMEOUT, process_ended).await.unwrap();
}

/// A request to the response bucket.
struct BucketRequest {
    method: reqwest::Method,
    content_type: Option<&'static str>,
    chunked: bool,
}

const PUT: BucketRequest = BucketRequest { method: reqwest::Method::PUT, content_type: None, chunked: false };
const POST: BucketRequest = BucketRequest { method: reqwest::Method::POST, ..PUT };

impl BucketRequest {
    /// Sends the request through the proxy and returns the status.
    async fn send(&self, emulator: &Emulator, url: &str) -> u16 {
        let mut request = client(emulator).request(self.method.clone(), url);
        if let Some(content_type) = self.content_type {
            request = request.header("content-type", content_type);
        }
        let chunks = futures_util::stream::iter([Ok::<_, std::io::Error>("{}")]);
        let request = match self.chunked {
            true => request.body(reqwest::Body::wrap_stream(chunks)),
            false => request.body("{}"),
        };
        request.send().await.unwrap().status().as_u16()
    }
}

fn request_ids() -> RequestIds {
    let [stack_id, logical_id, request_id] = ["s/1", "L", "R"].map(ToOwned::to_owned);
    RequestIds { stack_id, logical_id, request_id }
}

#[tokio::test]
async fn the_bucket_rejects_requests_as_s3_does_and_records_them() {
    let fixture = default_stack_fixture().await;
    let StackFixture { bucket, emulator, .. } = &fixture;
    let json = Some("application/json");
    for (signature, request, status) in [
        (SignatureVersion::V4, PUT, 200),
        (SignatureVersion::V4, BucketRequest { content_type: json, ..PUT }, 200),
        (SignatureVersion::V2, PUT, 200),
        (SignatureVersion::V2, BucketRequest { content_type: json, ..PUT }, 403),
        (SignatureVersion::V2, BucketRequest { content_type: Some(""), ..PUT }, 200),
        (SignatureVersion::V4, POST, 403),
        (SignatureVersion::V4, BucketRequest { chunked: true, ..PUT }, 411),
    ] {
        let url = bucket.presign(&request_ids(), signature, URL_VALIDITY);
        assert_eq!(request.send(emulator, &url).await, status, "{signature:?} {}", request.method);
        assert_eq!(bucket.uploads(&request_ids()).last().unwrap().status, status);
    }
    let url = bucket.presign(&request_ids(), SignatureVersion::V4, URL_VALIDITY);
    assert_eq!(PUT.send(emulator, &format!("{url}0")).await, 403, "wrong signature");
    let expired = bucket.presign(&request_ids(), SignatureVersion::V4, Duration::ZERO);
    assert_eq!(PUT.send(emulator, &expired).await, 403);
    assert_eq!(bucket.uploads(&request_ids()).len(), 9);
    assert_eq!(bucket.defects().len(), 2);
    let log = emulator.log().entries();
    assert!(log.iter().all(|entry| !entry.target.contains("Signature")), "{log:?}");
}

#[tokio::test]
async fn faults_hit_the_response_bucket() {
    let fixture = default_stack_fixture().await;
    let StackFixture { bucket, emulator, .. } = &fixture;
    let url = bucket.presign(&request_ids(), SignatureVersion::V4, URL_VALIDITY);
    let effect = Effect::Status { code: 500, headers: BTreeMap::new(), body: String::new() };
    emulator.faults().add(Fault::on("response.put", effect).times(2));
    for status in [500, 500, 200] {
        assert_eq!(PUT.send(emulator, &url).await, status);
    }
    assert_eq!(bucket.uploads(&request_ids()).len(), 1);
}

#[tokio::test]
async fn the_invoke_api_invokes_a_function() {
    let fixture = default_stack_fixture().await;
    let StackFixture { function, emulator, .. } = &fixture;
    let host = "https://lambda.eu-west-1.amazonaws.com/2015-03-31/functions";
    let url = format!("{host}/provider/invocations");
    let call = async |url: &str, authorization: &str, kind: &str| {
        let call = client(emulator).post(url).header("x-amz-invocation-type", kind);
        let call = call.header("authorization", authorization).body(event("error").to_string());
        call.send().await.unwrap()
    };
    let status = async |url: &str, authorization: &str, kind: &str| {
        call(url, authorization, kind).await.status().as_u16()
    };
    let own = common::signed(KEY, "lambda");
    assert_eq!(status(&url, &own, "DryRun").await, 501, "not emulated");
    assert_eq!(status(&format!("{host}/nobody/invocations"), &own, "Event").await, 404);
    assert_eq!(status(&url, &common::signed(KEY, "ecr"), "Event").await, 403);
    let synchronous = call(&url, &own, "RequestResponse").await;
    assert_eq!(
        (synchronous.status().as_u16(), &synchronous.headers()["x-amz-function-error"]),
        (200, &"Unhandled".parse().unwrap())
    );
    assert!(synchronous.text().await.unwrap().contains("errorMessage"));
    assert!(function.invocations().is_empty(), "the caller repeats a synchronous invocation, not Lambda");
    assert_eq!(status(&url, &own, "Event").await, 202);
    assert!(function.wait_until_idle(TIMEOUT).await);
    assert_eq!(function.invocations()[0].attempts.len(), 3);
}

#[tokio::test]
async fn the_api_returns_the_settings_of_a_function() {
    let change = |settings: &mut FunctionSettings| {
        settings.environment.push(("ALLOWED_SOURCES".to_owned(), "docker.io/library/".to_owned()));
    };
    let fixture = stack_fixture_with(change, |_| {}).await;
    let StackFixture { function, emulator, lambda, .. } = &fixture;
    let host = "https://lambda.eu-west-1.amazonaws.com/2015-03-31/functions";
    let get = async |name: &str, action: &str, authorization: &str| {
        let call =
            client(emulator).get(format!("{host}/{name}/{action}")).header("authorization", authorization);
        let response = call.send().await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_str::<Value>(&response.text().await.unwrap()).unwrap())
    };
    let own = common::signed(KEY, "lambda");
    let arn = function.settings().arn();
    for name in ["provider", &arn] {
        let (status, settings) = get(name, "configuration", &own).await;
        assert_eq!((status, &settings["FunctionArn"]), (200, &json!(arn)), "{settings}");
        assert_eq!(settings["Role"], json!(emulator.iam().role_arn()));
        assert_eq!(settings["Timeout"], 900);
        let variables = settings["Environment"]["Variables"].as_object().unwrap();
        assert_eq!(variables["ALLOWED_SOURCES"], "docker.io/library/");
        assert!(!variables.contains_key("AWS_ACCESS_KEY_ID"), "{variables:?}");
    }
    let (status, error) = get("nobody", "configuration", &own).await;
    let message = "Function not found: arn:aws:lambda:eu-west-1:123456789012:function:nobody";
    assert_eq!((status, &error["Message"]), (404, &json!(message)));
    assert_eq!(get("provider", "policy", &own).await.0, 501);
    assert_eq!(get("provider", "configuration", &common::signed(KEY, "ecr")).await.0, 403);
    lambda.deny("lambda:GetFunctionConfiguration", "*");
    let (status, error) = get("provider", "configuration", &own).await;
    let message = error["Message"].as_str().unwrap();
    assert!(
        status == 403 && message.contains("lambda:GetFunctionConfiguration on resource: arn:"),
        "{message}"
    );
}
