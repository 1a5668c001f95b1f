//! The log and the manual response are as documented in docs/operations.md.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

mod common;

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::Duration;

use aws_emulator::bucket::{RequestIds, SignatureVersion, URL_VALIDITY};
use aws_emulator::{Effect, Fault, ImageBuilder, Mutability};
use common::direct::{event, invoke};
use common::{Account, check_success, failure_reason, index, response_of};
use serde_json::{Value, json};

const TEST_TIMEOUT: Duration = Duration::from_secs(60);
const OPERATIONS: &str = include_str!("../../docs/operations.md");

/// Returns the names in the first column of the tables under a heading.
fn documented(heading: &str) -> BTreeSet<String> {
    let (_, section) = OPERATIONS.split_once(&format!("### {heading}\n")).unwrap();
    let section = section.split("\n#").next().unwrap();
    let first = section.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let names = first.flat_map(|column| column.split('`')).filter(|name| !matches!(*name, "" | ", "));
    names.map(ToOwned::to_owned).collect()
}

/// Returns the identity of an event.
fn identity(account: &Account, request: &str) -> RequestIds {
    RequestIds {
        stack_id: account.stack.id().to_owned(),
        logical_id: "Python".into(),
        request_id: request.into(),
    }
}

/// Returns an account whose function has logged every outcome.
async fn account_with_every_outcome() -> Account {
    let account =
        Account::with(Mutability::Mutable, |settings| settings.timeout = Duration::from_secs(5)).await;
    account.publish("3.13", &index(1));
    let mut python = account.properties("python:3.13");
    python["IncludeReferrers"] = json!("true");
    for _ in ["copied", "unchanged"] {
        check_success(&account.create(python.clone()).await);
    }
    let delete =
        json!({"RequestType": "Delete", "PhysicalResourceId": format!("{}:3.13", account.repository.uri())});
    for _ in ["deleted", "nothing to do"] {
        check_success(&account.send(delete.clone()).await);
    }
    let waiting = event(&account, "python:3.13", &json!({"Owner": "nightly", "MinAge": "48h"}));
    invoke(&account, waiting).await.unwrap();
    failure_reason(&account.create(json!({})).await);
    let large = ImageBuilder::new(2).platforms(&["linux/amd64"]).layers(&[2 << 20; 18]).index();
    account.publish("3.14", &large);
    let slow = Effect::Slow { bytes_per_second: 1 << 20, on: None };
    account.world.emulator.faults().add(Fault::on("blob.content", slow));
    let stack = account.world.stack("slow", Duration::from_millis(100));
    let event = json!({"RequestType": "Create", "ResourceType": "Custom::ContainerImage",
        "ResourceProperties": account.properties("python:3.14")});
    check_success(&response_of(stack.send(event).await));
    let objects = account.world.emulator.objects();
    objects.create_bucket("eu-west-1", "runs");
    let object = |key: &str| json!({"Bucket": "runs", "Key": key});
    let refresh = json!({"Owner": "refresh/images", "Failures": object("failures.json")});
    for other in [
        json!({"Action": "expand", "List": {"Text": "python:3.13"}, "Items": object("items.json"),
            "Prefix": account.repository.uri().split('/').next().unwrap()}),
        json!({"Action": "report", "Report": object("report.json"), "ToleratedFailurePercentage": 0,
            "Execution": "arn", "Started": "2026-11-21T03:00:00Z"}),
    ] {
        let mut event = refresh.clone();
        event.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
        invoke(&account, event).await.unwrap();
    }
    let identity = identity(&account, "lost");
    let url = account.world.bucket.presign(&identity, SignatureVersion::V4, URL_VALIDITY);
    let record = json!({
        "requestContext": {"requestId": "gone", "condition": "RetriesExhausted", "approximateInvokeCount": 3},
        "requestPayload": {"RequestType": "Create", "ResponseURL": url, "StackId": identity.stack_id,
            "RequestId": identity.request_id, "LogicalResourceId": identity.logical_id},
    });
    account.world.function.invoke_async(record);
    assert!(account.world.function.wait_until_idle(TEST_TIMEOUT).await);
    account
}

#[tokio::test]
async fn the_last_line_of_an_invocation_is_as_documented() {
    let account = account_with_every_outcome().await;
    let output = account.world.function.output();
    let lines: Vec<Value> = output.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last: Vec<&Value> = lines.iter().filter(|line| line["outcome"].is_string()).collect();
    let outcomes: BTreeSet<String> =
        last.iter().map(|line| line["outcome"].as_str().unwrap().to_owned()).collect();
    assert_eq!(outcomes, documented("Outcomes"));
    let common = documented("Fields of every line of an event");
    let is_of_event =
        |name: &str| name == "stack_id" || name.starts_with("request_") || name == "logical_resource_id";
    for line in &last {
        // A direct event has an owner instead of the fields of CloudFormation's event.
        let expected = |field: &str| !(line["owner"].is_string() && is_of_event(field));
        assert!(common.iter().all(|field| line[field].is_string() == expected(field)), "{line}");
    }
    let keys = last.iter().flat_map(|line| line.as_object().unwrap().keys().cloned());
    let keys: BTreeSet<String> = keys.filter(|key| !common.contains(key) && key != "owner").collect();
    assert_eq!(keys, documented("Fields of the last line"));
    assert!(lines.iter().any(|line| line["message"] == "tag moved" && line["new"].is_string()));
}

#[tokio::test]
async fn the_documented_commands_send_a_response() {
    let account = Account::new().await;
    let identity = identity(&account, "by hand");
    let url = account.world.bucket.presign(&identity, SignatureVersion::V2, URL_VALIDITY);
    let json = OPERATIONS.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
    let mut response: Value = serde_json::from_str(json).unwrap();
    response["StackId"] = json!(identity.stack_id);
    response["RequestId"] = json!(identity.request_id);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("response.json"), response.to_string()).unwrap();
    let command = OPERATIONS.lines().find(|line| line.starts_with("curl ")).unwrap();
    let mut curl = Command::new("sh");
    curl.args(["-c", &format!("{command} --silent --show-error --fail")])
        .current_dir(&folder)
        .env("RESPONSE_URL", url)
        .envs(account.world.emulator.environment())
        .env("CURL_CA_BUNDLE", account.world.emulator.ca_file())
        .stdout(Stdio::null());
    // The emulator runs in this process, so waiting for the child must not block it.
    let mut child = curl.spawn().unwrap();
    let uploads = account.world.bucket.wait_for_uploads(&identity, 0);
    let uploads = tokio::time::timeout(TEST_TIMEOUT, uploads).await.unwrap();
    assert_eq!(uploads[0].status, 200);
    let read = aws_emulator::bucket::ProviderResponse::parse(&uploads[0].body, &identity).unwrap();
    assert_eq!(failure_reason(&read), "Sent by hand.");
    assert!(tokio::task::spawn_blocking(move || child.wait()).await.unwrap().unwrap().success());
}
