use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::*;
use crate::testing::{answer, clients_at, config, ecr, refusal};

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

/// A table whose calls are answered from here. The calls are kept.
fn table(
    respond: impl Fn(usize, &str, &Value) -> http::Response<String> + Send + Sync + 'static,
) -> (StateTable, Calls) {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&calls);
    let clients = ecr(move |name, input| {
        let mut calls = seen.lock().unwrap();
        calls.push((name.to_owned(), input.clone()));
        respond(calls.len(), name, input)
    });
    (clients.state_table("state"), calls)
}

#[tokio::test]
async fn a_new_item_is_written_only_if_there_is_none() {
    let (table, calls) = table(|_, _, _| answer(&json!({})));
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
async fn a_conflict_returns_what_somebody_else_wrote() {
    let (table, _) = table(|_, _, _| conflict(Some(stored("77"))));
    let WriteOutcome::Conflict(Some(found)) = table.put(&TagState::new(KEY)).await.unwrap() else {
        panic!("no conflict")
    };
    assert_eq!((found.version, found.owners.len()), (77, 1));
    assert!(matches!(table.delete(&found).await.unwrap(), WriteOutcome::Conflict(Some(_))));
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_recognized() {
    let (table, calls) = table(|number, _, input| match number {
        1 => http::Response::builder().status(500).body("{}".into()).unwrap(),
        // The attempt that was answered with an error has written the item.
        _ => conflict(Some(input["Item"].clone())),
    });
    assert!(matches!(table.put(&TagState::new(KEY)).await.unwrap(), WriteOutcome::Written(_)));
    assert_eq!(calls.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn an_item_that_is_gone_counts_as_deleted() {
    let (table, _) = table(|_, _, _| conflict(None));
    assert!(matches!(table.delete(&TagState::new(KEY)).await.unwrap(), WriteOutcome::Written(_)));
}

#[tokio::test]
async fn throttling_is_waited_out_for_a_short_time_and_a_refusal_is_final() {
    let (throttled, calls) = table(|number, _, _| match number {
        1..=3 => refusal("ProvisionedThroughputExceededException", "slow down"),
        _ => answer(&json!({"Item": stored("7")})),
    });
    assert_eq!(throttled.get(KEY).await.unwrap().map(|state| state.version), Some(7));
    assert_eq!(calls.lock().unwrap().len(), 4);
    for code in ["ResourceNotFoundException", "AccessDeniedException", "ValidationException"] {
        let (table, calls) = table(move |_, _, _| refusal(code, "because"));
        let error = table.get(KEY).await.unwrap_err();
        assert!(error.has_code(code), "{error}");
        assert_eq!(calls.lock().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn an_item_of_something_else_is_an_error() {
    let (table, _) = table(|_, _, _| answer(&json!({"Item": {"Image": {"S": KEY}}})));
    assert!(matches!(table.get(KEY).await, Err(Error::Protocol(_))));
}

#[tokio::test]
async fn a_table_that_does_not_answer_is_given_up_within_the_budget() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let table = clients_at(&format!("http://{}", silent.local_addr().unwrap())).state_table("state");
    let started = Instant::now();
    assert!(table.get(KEY).await.is_err());
    assert!(started.elapsed() < BUDGET + ATTEMPT_TIMEOUT);
}

#[tokio::test]
async fn only_the_regional_host_is_called() {
    let hosts = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&hosts);
    let http = aws_smithy_http_client::test_util::infallible_client_fn(move |request| {
        seen.lock().unwrap().push(request.uri().to_string());
        answer(&json!({}))
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
