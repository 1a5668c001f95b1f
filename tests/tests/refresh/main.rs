//! The actions `expand` and `report` of the function, with lists, items and results in emulated S3, and
//! `container-image refresh`.

#![expect(clippy::unwrap_used, reason = "a test may end in a panic")]

mod command_line;
#[path = "../common/mod.rs"]
mod common;
mod customize;
mod expand;
mod prune;
mod report;
mod sources;

use common::direct::invoke;
use common::{Account, index};
use serde_json::{Value, json};

const BUCKET: &str = "image-refresh-bucket";
const OWNER: &str = "refresh/images";
const REGISTRY: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";

/// Creates an account with the bucket, and with the tags of `library/python` at Docker Hub.
async fn account(tags: &[&str]) -> Account {
    let account = Account::new().await;
    account.world.emulator.objects().create_bucket("eu-west-1", BUCKET);
    for (seed, tag) in (1..).zip(tags) {
        account.publish(tag, &index(seed));
    }
    account
}

fn object(key: &str) -> Value {
    json!({"Bucket": BUCKET, "Key": key})
}

/// Event that expands a list.
fn expand(list: &Value) -> Value {
    json!({
        "Action": "expand", "List": list, "Prefix": REGISTRY, "Owner": OWNER,
        "Items": object("runs/1/items.json"), "Failures": object("runs/1/failures.json"),
    })
}

/// Expands a list in the event, and returns the result, the items and the failures.
async fn expand_text(account: &Account, text: &str) -> (Value, Vec<Value>, Vec<Value>) {
    let result = invoke(account, expand(&json!({"Text": text}))).await.unwrap();
    (result, read_array(account, "runs/1/items.json"), read_array(account, "runs/1/failures.json"))
}

/// Event that makes a report.
fn report(tolerated: u64) -> Value {
    json!({
        "Action": "report", "Manifest": object("runs/1/results/2/manifest.json"),
        "Failures": object("runs/1/failures.json"), "Report": object("runs/1/report.json"),
        "ToleratedFailurePercentage": tolerated, "Owner": OWNER,
        "Execution": "arn:aws:states:eu-west-1:123456789012:execution:refresh:1",
        "Started": "2026-11-21T03:00:00Z",
    })
}

fn read(account: &Account, key: &str) -> Value {
    serde_json::from_slice(&account.world.emulator.objects().get(BUCKET, key).unwrap()).unwrap()
}

fn read_array(account: &Account, key: &str) -> Vec<Value> {
    read(account, key).as_array().unwrap().clone()
}

fn write(account: &Account, key: &str, content: &Value) {
    account.world.emulator.objects().put(BUCKET, key, content.to_string());
}

fn tags(items: &[Value]) -> Vec<&str> {
    items.iter().map(|item| item["Tag"].as_str().unwrap()).collect()
}

/// Sends each item to the function, and writes the results as the ResultWriter of a Map state does
/// (<https://docs.aws.amazon.com/step-functions/latest/dg/input-output-resultwriter.html>).
async fn run_items(account: &Account, items: &[Value]) {
    let (mut succeeded, mut failed) = (Vec::new(), Vec::new());
    for item in items {
        let execution = |status: &str, other: Value| {
            let mut execution = json!({"ExecutionArn": "arn", "Input": item.to_string(), "Name": "n",
                "InputDetails": {"Included": true}, "StartDate": "2026-11-21T03:00:00Z", "Status": status});
            execution.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
            execution
        };
        match invoke(account, item.clone()).await {
            Ok(result) => succeeded.push(execution("SUCCEEDED", json!({"Output": result.to_string()}))),
            Err((kind, message)) => {
                let cause = json!({"errorType": kind, "errorMessage": message});
                failed.push(execution("FAILED", json!({"Error": kind, "Cause": cause.to_string()})));
            }
        }
    }
    let mut files = json!({"FAILED": [], "PENDING": [], "SUCCEEDED": []});
    for (status, executions) in [("SUCCEEDED", succeeded), ("FAILED", failed)] {
        if !executions.is_empty() {
            let key = format!("runs/1/results/2/{status}_0.json");
            write(account, &key, &json!(executions));
            files[status] = json!([{"Key": key, "Size": 1}]);
        }
    }
    let manifest = json!({"DestinationBucket": BUCKET, "MapRunArn": "arn", "ResultFiles": files});
    write(account, "runs/1/results/2/manifest.json", &manifest);
}
