use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::*;
use crate::testing::{clients_at, clients_with, config, failure, success};

const KEY: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/python:3.13";

fn conflict(item: Option<Value>) -> http::Response<String> {
    let mut body = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",
        "message": "The conditional request failed",
    });
    if let Some(item) = item {
        body["Item"] = item;
    }
    http::Response::builder().status(400).body(body.to_string()).unwrap()
}

fn stored(version: &str) -> Value {
    json!({"Image": {"S": KEY}, "Version": {"N": version}, "Owners": {"M": {"arn:stack/A": {"N": "5"}}}})
}

type Calls = Arc<Mutex<Vec<(String, Value)>>>;

/// Returns a table with responses from `respond`, and its recorded calls.
fn table(
    respond: impl Fn(usize, &str, &Value) -> http::Response<String> + Send + Sync + 'static,
) -> (StateTable, Calls) {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&calls);
    let clients = clients_with(move |name, input| {
        let mut calls = seen.lock().unwrap();
        calls.push((name.to_owned(), input.clone()));
        respond(calls.len(), name, input)
    });
    (clients.state_table("state"), calls)
}

#[tokio::test]
async fn writes_a_new_item_only_if_none_exists() {
    let (table, calls) = table(|_, _, _| success(&json!({})));
    assert_eq!(table.get(KEY).await.unwrap(), None);
    let WriteOutcome::Written(first) = table.put(&TagState::new(KEY)).await.unwrap() else {
        panic!("a conflict")
    };
    let WriteOutcome::Written(second) = table.put(&first).await.unwrap() else { panic!("a conflict") };
    assert!(first.is_stored() && first.version != second.version);
    let calls = calls.lock().unwrap();
    assert_eq!(calls[0].1["ConsistentRead"], true);
    assert_eq!(calls[1].1["ConditionExpression"], "attribute_not_exists(#name)");
    assert_eq!(calls[1].1["ExpressionAttributeNames"], json!({"#name": "Image"}));
    assert_eq!(calls[2].1["ConditionExpression"], "#name = :seen");
    assert_eq!(calls[2].1["ExpressionAttributeValues"][":seen"]["N"], first.version.to_string());
}

#[tokio::test]
async fn a_conflict_returns_the_current_item() {
    let (table, _) = table(|_, _, _| conflict(Some(stored("77"))));
    let WriteOutcome::Conflict(Some(found)) = table.put(&TagState::new(KEY)).await.unwrap() else {
        panic!("no conflict")
    };
    assert_eq!((found.version, found.owners.len()), (77, 1));
    assert!(matches!(table.delete(&found).await.unwrap(), WriteOutcome::Conflict(Some(_))));
}

#[tokio::test]
async fn recognizes_a_write_whose_response_was_lost() {
    let (table, calls) = table(|number, _, input| match number {
        1 => http::Response::builder().status(500).body("{}".into()).unwrap(),
        // The attempt with an error response has written the item.
        _ => conflict(Some(input["Item"].clone())),
    });
    assert!(matches!(table.put(&TagState::new(KEY)).await.unwrap(), WriteOutcome::Written(_)));
    assert_eq!(calls.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_missing_item_counts_as_deleted() {
    let (table, _) = table(|_, _, _| conflict(None));
    assert!(matches!(table.delete(&TagState::new(KEY)).await.unwrap(), WriteOutcome::Written(_)));
}

#[tokio::test]
async fn retries_throttled_calls_and_no_denials() {
    let (throttled, calls) = table(|number, _, _| match number {
        1..=3 => failure("ProvisionedThroughputExceededException", "slow down"),
        _ => success(&json!({"Item": stored("7")})),
    });
    assert_eq!(throttled.get(KEY).await.unwrap().map(|state| state.version), Some(7));
    assert_eq!(calls.lock().unwrap().len(), 4);
    for code in ["ResourceNotFoundException", "AccessDeniedException", "ValidationException"] {
        let (table, calls) = table(move |_, _, _| failure(code, "because"));
        let error = table.get(KEY).await.unwrap_err();
        assert!(error.has_code(code), "{error}");
        assert_eq!(calls.lock().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn an_item_without_state_is_an_error() {
    let (table, _) = table(|_, _, _| success(&json!({"Item": {"Image": {"S": KEY}}})));
    assert!(matches!(table.get(KEY).await, Err(Error::Protocol(_))));
}

#[cfg(feature = "command-line")]
#[tokio::test]
async fn a_scan_reads_all_pages() {
    let (table, calls) = table(|number, _, _| match number {
        1 => success(&json!({"Items": [stored("7")], "LastEvaluatedKey": {"Image": {"S": KEY}}})),
        2 => failure("ProvisionedThroughputExceededException", "slow down"),
        _ => success(&json!({"Items": [{"Image": {"S": "other"}}, stored("8")]})),
    });
    let content = table.scan().await.unwrap();
    assert_eq!(content.tags.iter().map(TagState::version).collect::<Vec<_>>(), [7, 8]);
    assert_eq!(content.unreadable, 1);
    let calls = calls.lock().unwrap();
    assert_eq!(calls.len(), 3);
    assert_eq!((calls[0].0.as_str(), &calls[0].1["ConsistentRead"]), ("Scan", &json!(true)));
    assert_eq!(calls[2].1["ExclusiveStartKey"], json!({"Image": {"S": KEY}}));
}

#[tokio::test]
async fn a_silent_table_fails_within_the_budget() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let table = clients_at(&format!("http://{}", silent.local_addr().unwrap())).state_table("state");
    let started = Instant::now();
    assert!(table.get(KEY).await.is_err());
    assert!(started.elapsed() < BUDGET + ATTEMPT_TIMEOUT);
}

#[tokio::test]
async fn calls_only_the_regional_host() {
    let hosts = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&hosts);
    let http = aws_smithy_http_client::test_util::infallible_client_fn(move |request| {
        seen.lock().unwrap().push(request.uri().to_string());
        success(&json!({}))
    });
    let keys = aws_credential_types::Credentials::builder()
        .access_key_id("AKIDEXAMPLE")
        .secret_access_key("secret-key")
        .account_id("123456789012")
        .provider_name("test")
        .build();
    let keys = aws_credential_types::provider::SharedCredentialsProvider::new(keys);
    let config = config().into_builder().http_client(http).credentials_provider(keys).build();
    AwsClients::new(config, RETRY_POLICY).state_table("state").get(KEY).await.unwrap();
    assert_eq!(*hosts.lock().unwrap(), ["https://dynamodb.us-east-1.amazonaws.com/"]);
}
