//! An image that takes longer than one invocation.

#![expect(clippy::unwrap_used, reason = "a test may end in a panic")]

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use aws_emulator::bucket::Status;
use aws_emulator::stack::{CallOutcome, ProviderCall};
use aws_emulator::{Effect, Fault, Image, ImageBuilder, LogPosition, Mutability};
use common::{Account, answered, failure, succeeded};
use serde_json::{Value, json};

const MIB: u64 = 1 << 20;
/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// An account whose function has this much time, on a link that brings this much of each blob.
async fn account(timeout: Duration, bytes_per_second: u64) -> Account {
    let account = Account::with(Mutability::Mutable, |settings| settings.timeout = timeout).await;
    let effect = Effect::Slow { bytes_per_second, on: None };
    account.world.emulator.faults().add(Fault::on("blob.content", effect));
    account
}

fn image(layers: &[u64]) -> Image {
    ImageBuilder::new(1).platforms(&["linux/amd64"]).layers(layers).index()
}

/// Sends a Create from a stack that waits long enough.
async fn create(account: &Account, properties: &Value) -> ProviderCall {
    let stack = account.world.stack("slow", Duration::from_millis(60));
    let event = json!({"RequestType": "Create", "ResourceType": "Custom::ContainerImage", "ResourceProperties": properties});
    let call = stack.send(event).await;
    assert!(account.world.function.wait_until_idle(PATIENCE).await);
    call
}

/// The last line of each invocation: its outcome and number.
fn endings(account: &Account) -> Vec<(String, u64)> {
    let lines = account.world.function.output();
    let lines = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let ending = |line: Value| Some((line["outcome"].as_str()?.to_owned(), line["invocation"].as_u64()?));
    lines.filter_map(ending).collect()
}

/// An ECR that says again and again that it is asked too often.
fn slow_down() -> Fault {
    let body = json!({"errors": [{"code": "TOOMANYREQUESTS", "message": "Rate exceeded"}]}).to_string();
    Fault::on("manifest.put", Effect::Status { code: 429, headers: [].into(), body })
}

/// A function that may not call itself.
fn no_permission() -> Fault {
    let refusal = Effect::Status {
        code: 403,
        headers: [("x-amzn-errortype".into(), "AccessDeniedException".into())].into(),
        body: json!({"Message": "not authorized to perform: lambda:InvokeFunction"}).to_string(),
    };
    Fault::on("lambda:InvokeFunction", refusal)
}

/// How often each blob was committed, sent and read.
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
async fn a_large_image_over_a_slow_link_is_finished_by_several_invocations() {
    let account = account(Duration::from_secs(6), 5 * MIB).await;
    let image = image(&[10 * MIB; 30]);
    account.publish("3.13", &image);
    let mark = account.mark();
    let call = create(&account, &account.properties("python:3.13")).await;
    let answer = answered(call.clone());
    succeeded(&answer);
    assert_eq!(account.answers(&call).len(), 1, "one answer");
    account.check_stored("3.13", &image);
    let endings = endings(&account);
    println!("{endings:?}");
    assert!(endings.len() >= 3, "{endings:?}");
    let mut expected: Vec<_> =
        (1..endings.len() as u64).map(|number| ("continued".to_owned(), number)).collect();
    expected.push(("copied".into(), endings.len() as u64));
    assert_eq!(endings, expected);
    let invocations = account.world.function.invocations();
    for invocation in &invocations {
        assert_eq!((invocation.attempts.len(), invocation.failure_condition), (1, None));
        assert_eq!(invocation.trace_id, invocations[0].trace_id, "Lambda can tell that it is one chain");
    }
    for (digest, [committed, sent, read]) in traffic(&account, &image, mark) {
        assert_eq!(committed, 1, "{digest}");
        // Each time that a blob was read it was on its way to ECR, and that ended with the commit.
        assert!(read > 0 && read <= sent, "{digest} was sent {sent} times and read {read} times");
    }
}

#[tokio::test]
async fn one_blob_that_does_not_fit_into_an_invocation_fails_at_once() {
    let account = account(Duration::from_secs(4), MIB).await;
    account.publish("3.13", &image(&[40 * MIB, MIB, MIB]));
    let call = create(&account, &account.properties("python:3.13")).await;
    let answer = answered(call.clone());
    let reason = failure(&answer);
    println!("{reason}");
    assert!(reason.contains("of 40.0 MiB does not fit into one invocation"), "{reason}");
    assert_eq!(account.world.function.invocations().len(), 1);
    assert_eq!(account.answers(&call).len(), 1);
    assert_eq!(account.repository.resolve("3.13"), None);
}

/// An account that lacks six layers of 8 MiB of an image, and nothing else of it.
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
async fn blobs_that_keep_each_other_from_ending_are_copied_one_at_a_time() {
    let effect = Effect::SharedLink { link: (6 * MIB).into(), on: None };
    let (account, image) = account_without_large_layers(effect).await;
    let call = create(&account, &account.properties("python:3.13")).await;
    succeeded(&answered(call.clone()));
    let endings = endings(&account);
    println!("{endings:?}");
    assert!(endings.len() >= 3, "{endings:?}");
    assert_eq!(account.answers(&call).len(), 1);
    account.check_stored("3.13", &image);
}

#[tokio::test]
async fn an_invocation_that_finishes_not_even_one_blob_alone_is_the_last() {
    let (account, _) = account_without_large_layers(Effect::Slow { bytes_per_second: MIB, on: None }).await;
    let answer = answered(create(&account, &account.properties("python:3.13")).await);
    let reason = failure(&answer);
    println!("{reason}");
    assert!(reason.contains("of 8.0 MiB does not fit into one invocation"), "{reason}");
    assert_eq!(account.world.function.invocations().len(), 2);
}

/// Waits for the second invocation, and does something then.
async fn in_the_second_round(account: &Account, act: impl FnOnce()) {
    while account.world.function.invocations().len() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    act();
}

#[tokio::test]
async fn an_ecr_that_says_slow_down_until_time_is_up_is_asked_again_by_the_next_invocation() {
    let account = account(Duration::from_secs(4), 100 * MIB).await;
    let image = image(&[MIB; 3]);
    account.publish("3.13", &image);
    account.world.emulator.faults().add(slow_down());
    let properties = account.properties("python:3.13");
    let calm = in_the_second_round(&account, || account.world.emulator.faults().clear());
    let (call, ()) = tokio::join!(create(&account, &properties), calm);
    succeeded(&answered(call));
    assert_eq!(endings(&account), [("continued".to_owned(), 1), ("copied".to_owned(), 2)]);
    account.check_stored("3.13", &image);
}

#[tokio::test]
async fn the_log_tells_how_far_a_copy_came_that_ecr_slowed_down_to_its_end() {
    let account = account(Duration::from_secs(4), 100 * MIB).await;
    account.publish("3.13", &image(&[MIB; 3]));
    account.world.emulator.faults().add(slow_down());
    account.world.emulator.faults().add(no_permission());
    let call = create(&account, &account.properties("python:3.13")).await;
    let answer = answered(call);
    let reason = failure(&answer);
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
    let refuse = in_the_second_round(&account, || {
        registered = Some(account.items().len());
        account.world.emulator.faults().clear();
        // The owner is registered when the tag is written.
        let refusal = Effect::Status { code: 400, headers: [].into(), body: String::new() };
        account.world.emulator.faults().add(Fault::on("manifest.put", refusal).path("/manifests/3.13"));
    });
    let mark = account.mark();
    let (call, ()) = tokio::join!(create(&account, &properties), refuse);
    let answer = answered(call);
    println!("{}", failure(&answer));
    assert_eq!(registered, Some(0), "the transfer itself registers nothing");
    let writes = account.world.emulator.log().count(mark, "dynamodb:PutItem");
    assert!(writes > 0, "the owner was registered");
    assert_eq!(account.owners(), Vec::<String>::new());
    assert_eq!(account.repository.resolve("3.13"), None);
}

#[tokio::test]
async fn without_the_permission_it_fails_and_names_it() {
    let account = account(Duration::from_secs(5), MIB).await;
    account.publish("3.13", &image(&[2 * MIB; 18]));
    account.world.emulator.faults().add(no_permission());
    let call = create(&account, &account.properties("python:3.13")).await;
    let answer = answered(call.clone());
    let reason = failure(&answer);
    println!("{reason}");
    assert!(reason.contains("Allow lambda:InvokeFunction on the function itself"), "{reason}");
    assert!(reason.contains("of 19 blobs"), "{reason}");
    assert_eq!(account.answers(&call).len(), 1);
}

#[tokio::test]
async fn it_ends_with_the_time_that_the_stack_waits() {
    let account = account(Duration::from_secs(5), MIB).await;
    account.publish("3.13", &image(&[2 * MIB; 60]));
    let mut properties = account.properties("python:3.13");
    properties["ServiceTimeout"] = json!("12");
    // Not by way of `create`: 12 seconds of this stack are as long as ours.
    let stack = account.world.stack("strict", Duration::from_secs(1));
    let event = json!({"RequestType": "Create", "ResourceType": "Custom::ContainerImage", "ResourceProperties": properties});
    let call = stack.send(event).await;
    assert!(account.world.function.wait_until_idle(PATIENCE).await);
    let answer = answered(call.clone());
    let reason = failure(&answer);
    println!("{reason} after {:?}", call.duration);
    assert!(reason.contains("The 12 s for which CloudFormation waits are over"), "{reason}");
    assert_eq!(account.answers(&call).len(), 1);
    assert!(account.world.function.invocations().len() > 1);
}

#[tokio::test]
async fn an_event_delivered_again_while_its_continuation_runs_ends_in_the_same() {
    let account = account(Duration::from_secs(5), 4 * MIB).await;
    let image = image(&[4 * MIB; 40]);
    account.publish("3.13", &image);
    let function = &account.world.function;
    let again = async {
        let first = loop {
            // The second invocation is the continuation. It may run before the end of the first is noted.
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
    succeeded(&answered(call.clone()));
    let answers = account.answers(&call);
    assert_eq!(answers.len(), 2);
    assert_eq!((answers[0].status, &answers[0].physical_id), (answers[1].status, &answers[1].physical_id));
    assert_eq!(answers[0].data, answers[1].data);
    account.check_stored("3.13", &image);
}

#[tokio::test]
async fn an_event_and_its_continuation_delivered_twice_end_in_the_same() {
    let account = account(Duration::from_secs(5), 4 * MIB).await;
    let image = image(&[4 * MIB; 40]);
    account.publish("3.13", &image);
    let call = create(&account, &account.properties("python:3.13")).await;
    let first = answered(call.clone());
    succeeded(&first);
    let function = &account.world.function;
    let delivered = function.invocations();
    assert!(delivered.len() > 1, "{delivered:?}");
    for invocation in &delivered {
        function.redeliver(&invocation.request_id);
    }
    assert!(function.wait_until_idle(PATIENCE).await);
    let answers = account.answers(&call);
    assert_eq!(answers.len(), 1 + delivered.len());
    for answer in &answers {
        assert_eq!(
            (answer.status, &answer.physical_id, &answer.data),
            (Status::Success, &first.physical_id, &first.data)
        );
    }
    account.check_stored("3.13", &image);
    assert_eq!(call.outcome, CallOutcome::Responded(first));
}
