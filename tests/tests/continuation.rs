//! Images that take longer than one invocation.

#![expect(clippy::unwrap_used, reason = "a test may end in a panic")]

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use aws_emulator::bucket::Status;
use aws_emulator::stack::{CallOutcome, ProviderCall};
use aws_emulator::{Effect, Fault, Image, ImageBuilder, LogPosition, Mutability};
use common::{Account, check_success, failure_reason, response_of};
use serde_json::{Value, json};

const MIB: u64 = 1 << 20;
/// Timeout of these tests, far longer than any of them takes.
const TEST_TIMEOUT: Duration = Duration::from_secs(120);

/// Returns an account whose function has this timeout. Blobs are sent at this rate.
async fn account(timeout: Duration, bytes_per_second: u64) -> Account {
    let account = Account::with(Mutability::Mutable, |settings| settings.timeout = timeout).await;
    let effect = Effect::Slow { bytes_per_second, on: None };
    account.world.emulator.faults().add(Fault::on("blob.content", effect));
    account
}

fn image(layers: &[u64]) -> Image {
    ImageBuilder::new(1).platforms(&["linux/amd64"]).layers(layers).index()
}

/// Sends a Create from a stack with a long timeout.
async fn create(account: &Account, properties: &Value) -> ProviderCall {
    let stack = account.world.stack("slow", Duration::from_millis(60));
    let event = json!({"RequestType": "Create", "ResourceType": "Custom::ContainerImage", "ResourceProperties": properties});
    let call = stack.send(event).await;
    assert!(account.world.function.wait_until_idle(TEST_TIMEOUT).await);
    call
}

/// Returns the outcome and the number of each invocation.
fn outcomes(account: &Account) -> Vec<(String, u64)> {
    let lines = account.world.function.output();
    let lines = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let outcome = |line: Value| Some((line["outcome"].as_str()?.to_owned(), line["invocation"].as_u64()?));
    lines.filter_map(outcome).collect()
}

/// ECR throttles every manifest.
fn throttling() -> Fault {
    let body = json!({"errors": [{"code": "TOOMANYREQUESTS", "message": "Rate exceeded"}]}).to_string();
    Fault::on("manifest.put", Effect::Status { code: 429, headers: [].into(), body })
}

/// The function has no permission to invoke itself.
fn no_permission() -> Fault {
    let refusal = Effect::Status {
        code: 403,
        headers: [("x-amzn-errortype".into(), "AccessDeniedException".into())].into(),
        body: json!({"Message": "not authorized to perform: lambda:InvokeFunction"}).to_string(),
    };
    Fault::on("lambda:InvokeFunction", refusal)
}

/// Returns the number of commits, uploads and downloads of each blob.
fn traffic(account: &Account, image: &Image, mark: LogPosition) -> BTreeMap<String, [usize; 3]> {
    let log = account.world.emulator.log();
    let (sent, read) = (log.matching(mark, "upload.put"), log.matching(mark, "blob.content"));
    let row = |digest: &str| {
        let hex = digest.strip_prefix("sha256:").unwrap();
        let puts = sent.iter().filter(|entry| entry.target.contains(hex));
        let committed = puts.clone().filter(|entry| entry.status == Some(201)).count();
        let reads = read.iter().filter(|entry| entry.target.contains(hex)).count();
        [committed, puts.count(), reads]
    };
    image.blobs.iter().map(|blob| (blob.digest().to_owned(), row(blob.digest()))).collect()
}

#[tokio::test]
async fn several_invocations_copy_a_large_image_over_a_slow_connection() {
    let account = account(Duration::from_secs(6), 5 * MIB).await;
    let image = image(&[10 * MIB; 30]);
    account.publish("3.13", &image);
    let mark = account.mark();
    let call = create(&account, &account.properties("python:3.13")).await;
    let response = response_of(call.clone());
    check_success(&response);
    assert_eq!(account.responses(&call).len(), 1);
    account.check_stored("3.13", &image);
    let outcomes = outcomes(&account);
    println!("{outcomes:?}");
    assert!(outcomes.len() >= 3, "{outcomes:?}");
    let mut expected: Vec<_> =
        (1..outcomes.len() as u64).map(|number| ("continued".to_owned(), number)).collect();
    expected.push(("copied".into(), outcomes.len() as u64));
    assert_eq!(outcomes, expected);
    let invocations = account.world.function.invocations();
    for invocation in &invocations {
        assert_eq!((invocation.attempts.len(), invocation.failure_condition), (1, None));
        assert_eq!(invocation.trace_id, invocations[0].trace_id, "the invocations have the same trace");
    }
    for (digest, [committed, sent, read]) in traffic(&account, &image, mark) {
        assert_eq!(committed, 1, "{digest}");
        // Each download belongs to an upload, and the last upload is committed.
        assert!(read > 0 && read <= sent, "{digest} was sent {sent} times and read {read} times");
    }
}

#[tokio::test]
async fn a_blob_that_does_not_fit_into_an_invocation_fails_at_once() {
    let account = account(Duration::from_secs(4), MIB).await;
    account.publish("3.13", &image(&[40 * MIB, MIB, MIB]));
    let call = create(&account, &account.properties("python:3.13")).await;
    let response = response_of(call.clone());
    let reason = failure_reason(&response);
    println!("{reason}");
    assert!(reason.contains("of 40.0 MiB does not fit into one invocation"), "{reason}");
    assert_eq!(account.world.function.invocations().len(), 1);
    assert_eq!(account.responses(&call).len(), 1);
    assert_eq!(account.repository.resolve("3.13"), None);
}

/// Returns an account that has all of an image except six layers of 8 MiB.
async fn account_without_large_layers(effect: Effect) -> (Account, Image) {
    let account =
        Account::with(Mutability::Mutable, |settings| settings.timeout = Duration::from_secs(4)).await;
    account.world.emulator.faults().add(Fault::on("blob.content", effect));
    let image = image(&[8 * MIB; 6]);
    account.publish("3.13", &image);
    account.repository.put_image(Some("3.12"), &image);
    for blob in image.blobs.iter().filter(|blob| blob.size() > MIB) {
        account.repository.remove_blob(blob.digest());
    }
    (account, image)
}

#[tokio::test]
async fn blobs_that_share_a_slow_connection_are_copied_one_at_a_time() {
    let effect = Effect::SharedLink { link: (6 * MIB).into(), on: None };
    let (account, image) = account_without_large_layers(effect).await;
    let call = create(&account, &account.properties("python:3.13")).await;
    check_success(&response_of(call.clone()));
    let outcomes = outcomes(&account);
    println!("{outcomes:?}");
    assert!(outcomes.len() >= 3, "{outcomes:?}");
    assert_eq!(account.responses(&call).len(), 1);
    account.check_stored("3.13", &image);
}

#[tokio::test]
async fn an_invocation_that_finishes_no_blob_is_the_last() {
    let (account, _) = account_without_large_layers(Effect::Slow { bytes_per_second: MIB, on: None }).await;
    let response = response_of(create(&account, &account.properties("python:3.13")).await);
    let reason = failure_reason(&response);
    println!("{reason}");
    assert!(reason.contains("of 8.0 MiB does not fit into one invocation"), "{reason}");
    assert_eq!(account.world.function.invocations().len(), 2);
}

/// Waits for the second invocation and calls `action`.
async fn in_the_second_round(account: &Account, action: impl FnOnce()) {
    while account.world.function.invocations().len() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    action();
}

#[tokio::test]
async fn the_next_invocation_continues_a_throttled_copy() {
    let account = account(Duration::from_secs(4), 100 * MIB).await;
    let image = image(&[MIB; 3]);
    account.publish("3.13", &image);
    account.world.emulator.faults().add(throttling());
    let properties = account.properties("python:3.13");
    let stop_throttling = in_the_second_round(&account, || account.world.emulator.faults().clear());
    let (call, ()) = tokio::join!(create(&account, &properties), stop_throttling);
    check_success(&response_of(call));
    assert_eq!(outcomes(&account), [("continued".to_owned(), 1), ("copied".to_owned(), 2)]);
    account.check_stored("3.13", &image);
}

#[tokio::test]
async fn the_log_has_the_progress_of_a_throttled_copy() {
    let account = account(Duration::from_secs(4), 100 * MIB).await;
    account.publish("3.13", &image(&[MIB; 3]));
    account.world.emulator.faults().add(throttling());
    account.world.emulator.faults().add(no_permission());
    let call = create(&account, &account.properties("python:3.13")).await;
    let response = response_of(call);
    let reason = failure_reason(&response);
    assert!(reason.contains("Rate exceeded"), "{reason}");
    let lines = account.world.function.output();
    let mut lines = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let last = lines.rfind(|line| line["outcome"] == "failed").unwrap();
    assert_eq!((&last["blobs"], &last["blobs_copied"]), (&json!(4), &json!(4)), "{last}");
}

#[tokio::test]
async fn a_copy_that_fails_in_a_later_invocation_leaves_no_owner() {
    let account = account(Duration::from_secs(5), MIB).await;
    account.publish("3.13", &image(&[2 * MIB; 30]));
    let properties = account.properties("python:3.13");
    let mut registered = None;
    let reject = in_the_second_round(&account, || {
        registered = Some(account.items().len());
        account.world.emulator.faults().clear();
        // The owner is registered when the tag is written.
        let refusal = Effect::Status { code: 400, headers: [].into(), body: String::new() };
        account.world.emulator.faults().add(Fault::on("manifest.put", refusal).path("/manifests/3.13"));
    });
    let mark = account.mark();
    let (call, ()) = tokio::join!(create(&account, &properties), reject);
    let response = response_of(call);
    println!("{}", failure_reason(&response));
    assert_eq!(registered, Some(0), "the transfer must not register an owner");
    let writes = account.world.emulator.log().count(mark, "dynamodb:PutItem");
    assert!(writes > 0, "no owner was registered");
    assert_eq!(account.owners(), Vec::<String>::new());
    assert_eq!(account.repository.resolve("3.13"), None);
}

#[tokio::test]
async fn names_the_missing_permission_to_invoke_itself() {
    let account = account(Duration::from_secs(5), MIB).await;
    account.publish("3.13", &image(&[2 * MIB; 18]));
    account.world.emulator.faults().add(no_permission());
    let call = create(&account, &account.properties("python:3.13")).await;
    let response = response_of(call.clone());
    let reason = failure_reason(&response);
    println!("{reason}");
    assert!(reason.contains("Allow lambda:InvokeFunction on the function in its own role"), "{reason}");
    assert!(reason.contains("of 19 blobs"), "{reason}");
    assert_eq!(account.responses(&call).len(), 1);
}

#[tokio::test]
async fn ends_before_the_timeout_of_the_stack() {
    let account = account(Duration::from_secs(5), MIB).await;
    account.publish("3.13", &image(&[2 * MIB; 60]));
    let mut properties = account.properties("python:3.13");
    properties["ServiceTimeout"] = json!("12");
    // Not `create`, because the seconds of this stack must be real seconds.
    let stack = account.world.stack("strict", Duration::from_secs(1));
    let event = json!({"RequestType": "Create", "ResourceType": "Custom::ContainerImage", "ResourceProperties": properties});
    let call = stack.send(event).await;
    assert!(account.world.function.wait_until_idle(TEST_TIMEOUT).await);
    let response = response_of(call.clone());
    let reason = failure_reason(&response);
    println!("{reason} after {:?}", call.duration);
    assert!(reason.contains("The 12 s for which CloudFormation waits have ended"), "{reason}");
    assert_eq!(account.responses(&call).len(), 1);
    assert!(account.world.function.invocations().len() > 1);
}

#[tokio::test]
async fn an_event_delivered_again_during_its_continuation_has_the_same_result() {
    let account = account(Duration::from_secs(8), 4 * MIB).await;
    let image = image(&[4 * MIB; 60]);
    account.publish("3.13", &image);
    let function = &account.world.function;
    let again = async {
        let first = loop {
            // The second invocation is the continuation. It can start before the first one is marked as done.
            if let [one, two] = function.invocations().as_slice()
                && let Some(first) = [one, two].into_iter().find(|event| event.done)
            {
                break first.request_id.clone();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        function.redeliver(&first);
    };
    let properties = account.properties("python:3.13");
    let (call, ()) = tokio::join!(create(&account, &properties), again);
    check_success(&response_of(call.clone()));
    let responses = account.responses(&call);
    assert_eq!(responses.len(), 2);
    assert_eq!(
        (responses[0].status, &responses[0].physical_id),
        (responses[1].status, &responses[1].physical_id)
    );
    assert_eq!(responses[0].data, responses[1].data);
    account.check_stored("3.13", &image);
}

#[tokio::test]
async fn an_event_and_its_continuation_delivered_twice_have_the_same_result() {
    let account = account(Duration::from_secs(8), 4 * MIB).await;
    let image = image(&[4 * MIB; 60]);
    account.publish("3.13", &image);
    let call = create(&account, &account.properties("python:3.13")).await;
    let first = response_of(call.clone());
    check_success(&first);
    let function = &account.world.function;
    let delivered = function.invocations();
    assert!(delivered.len() > 1, "{delivered:?}");
    for invocation in &delivered {
        function.redeliver(&invocation.request_id);
    }
    assert!(function.wait_until_idle(TEST_TIMEOUT).await);
    let responses = account.responses(&call);
    assert_eq!(responses.len(), 1 + delivered.len());
    for response in &responses {
        assert_eq!(
            (response.status, &response.physical_id, &response.data),
            (Status::Success, &first.physical_id, &first.data)
        );
    }
    account.check_stored("3.13", &image);
    assert_eq!(call.outcome, CallOutcome::Responded(first));
}
