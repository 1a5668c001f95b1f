//! DynamoDB through the proxy: conditions, consistency, errors, permissions and faults.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

mod common;

use std::time::Duration;

use aws_emulator::{Direction, DynamoDb, Effect, Fault, STATE_TABLE};
use common::{Fixture, REGION, header};
use reqwest::{Method, Response};
use serde_json::{Value, json};

const NAMESPACE: &str = "com.amazonaws.dynamodb.v20120810#";

async fn send(fixture: &Fixture, host: &str, action: &str, input: &Value) -> reqwest::Result<Response> {
    let region = if host.contains("us-gov-west-1") { "us-gov-west-1" } else { REGION };
    let credential = format!("ASIAEMULATOREXAMPLE0/20260101/{region}/dynamodb/aws4_request");
    let authorization = format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0");
    let request = fixture.request(Method::POST, &format!("https://{host}/"), &authorization);
    let request = request.header("x-amz-target", format!("DynamoDB_20120810.{action}"));
    request.header("content-type", "application/x-amz-json-1.0").body(input.to_string()).send().await
}

async fn call(fixture: &Fixture, action: &str, input: Value) -> (u16, Value) {
    let response = send(fixture, "dynamodb.eu-west-1.amazonaws.com", action, &input).await.unwrap();
    assert_eq!(header(&response, "content-type"), "application/x-amz-json-1.0");
    (response.status().as_u16(), common::body(response).await)
}

/// Calls an action that must succeed.
async fn success(fixture: &Fixture, action: &str, input: Value) -> Value {
    let (status, output) = call(fixture, action, input).await;
    assert_eq!(status, 200, "{action}: {output}");
    output
}

/// Calls an action that must fail with status 400, and returns type and message.
async fn failure(fixture: &Fixture, action: &str, input: Value) -> (String, String) {
    let (status, output) = call(fixture, action, input).await;
    assert_eq!(status, 400, "{action}: {output}");
    let text = |name: &str| output[name].as_str().unwrap_or_default().to_owned();
    (text("__type"), text("message"))
}

fn key() -> Value {
    json!({"TableName": STATE_TABLE, "Key": {"Image": {"S": "registry/app:1"}}, "ConsistentRead": true})
}

fn item(version: u32) -> Value {
    json!({"Image": {"S": "registry/app:1"}, "Version": {"N": version.to_string()}})
}

/// Input of a write of a new item, or of an item with the version `seen`.
fn put(version: u32, seen: Option<u32>) -> Value {
    let mut input = json!({"TableName": STATE_TABLE, "Item": item(version)});
    condition(&mut input, seen);
    input
}

fn condition(input: &mut Value, seen: Option<u32>) {
    match seen {
        None => {
            input["ConditionExpression"] = json!("attribute_not_exists(#image)");
            input["ExpressionAttributeNames"] = json!({"#image": "Image"});
        }
        Some(seen) => {
            input["ConditionExpression"] = json!("#version = :seen");
            input["ExpressionAttributeNames"] = json!({"#version": "Version"});
            input["ExpressionAttributeValues"] = json!({":seen": {"N": seen.to_string()}});
        }
    }
}

#[tokio::test]
async fn writes_check_their_condition() {
    let fixture = Fixture::start().await;
    let table = fixture.emulator.dynamodb();
    let failed =
        (format!("{NAMESPACE}ConditionalCheckFailedException"), "The conditional request failed".to_owned());
    assert_eq!(success(&fixture, "GetItem", key()).await, json!({}));
    assert_eq!(failure(&fixture, "PutItem", put(1, Some(0))).await, failed);
    assert_eq!(success(&fixture, "PutItem", put(1, None)).await, json!({}));
    assert_eq!(success(&fixture, "GetItem", key()).await["Item"], item(1));

    assert_eq!(failure(&fixture, "PutItem", put(2, None)).await, failed);
    success(&fixture, "PutItem", put(2, Some(1))).await;
    assert_eq!(failure(&fixture, "PutItem", put(3, Some(1))).await, failed);
    assert_eq!(table.items(REGION, STATE_TABLE), [json!({"Image": "registry/app:1", "Version": 2})]);

    // The error contains the current item on request.
    let mut returning = put(3, Some(1));
    returning["ReturnValuesOnConditionCheckFailure"] = json!("ALL_OLD");
    assert_eq!(call(&fixture, "PutItem", returning).await.1["Item"], item(2));

    let delete = |seen| {
        let mut input = json!({"TableName": STATE_TABLE, "Key": key()["Key"]});
        condition(&mut input, Some(seen));
        input
    };
    assert_eq!(failure(&fixture, "DeleteItem", delete(1)).await, failed);
    success(&fixture, "DeleteItem", delete(2)).await;
    assert_eq!(failure(&fixture, "DeleteItem", delete(2)).await, failed);
    assert_eq!(table.items(REGION, STATE_TABLE), [Value::Null; 0]);
}

#[tokio::test]
async fn a_read_without_consistency_returns_the_earlier_item() {
    let fixture = Fixture::start().await;
    let table = fixture.emulator.dynamodb();
    table.set_read_lag(Duration::from_secs(3_600));
    let mut stale = key();
    stale["ConsistentRead"] = json!(false);
    let name = json!({"TableName": STATE_TABLE});
    let query = json!({"TableName": STATE_TABLE, "KeyConditionExpression": "Image = :image",
                       "ExpressionAttributeValues": {":image": {"S": "registry/app:1"}}});
    let batch = json!({"RequestItems": {STATE_TABLE: {"Keys": [key()["Key"]]}}});

    success(&fixture, "PutItem", put(1, None)).await;
    assert_eq!(success(&fixture, "GetItem", stale.clone()).await, json!({}));
    assert_eq!(success(&fixture, "Scan", name.clone()).await["Count"], 0);
    success(&fixture, "PutItem", put(2, Some(1))).await;
    // A failed write does not change what reads return.
    failure(&fixture, "PutItem", put(3, Some(1))).await;
    for _ in 0..2 {
        assert_eq!(success(&fixture, "GetItem", stale.clone()).await["Item"], item(1));
    }
    assert_eq!(success(&fixture, "Query", query.clone()).await["Items"], json!([item(1)]));
    let found = success(&fixture, "BatchGetItem", batch.clone()).await;
    assert_eq!(found["Responses"][STATE_TABLE], json!([item(1)]));
    assert_eq!(success(&fixture, "GetItem", key()).await["Item"], item(2));

    let update = json!({"TableName": STATE_TABLE, "Key": key()["Key"],
                        "UpdateExpression": "SET Version = :new",
                        "ExpressionAttributeValues": {":new": {"N": "3"}}});
    success(&fixture, "UpdateItem", update).await;
    assert_eq!(success(&fixture, "GetItem", stale.clone()).await["Item"], item(2));
    success(&fixture, "DeleteItem", json!({"TableName": STATE_TABLE, "Key": key()["Key"]})).await;
    assert_eq!(success(&fixture, "GetItem", stale.clone()).await["Item"], item(3));
    assert_eq!(success(&fixture, "GetItem", key()).await, json!({}));

    table.set_read_lag(Duration::ZERO);
    assert_eq!(success(&fixture, "GetItem", stale.clone()).await, json!({}));
    assert_eq!(success(&fixture, "Query", query).await["Count"], 0);
}

#[tokio::test]
async fn all_reads_return_items_that_a_test_stores() {
    let fixture = Fixture::start().await;
    let table = fixture.emulator.dynamodb();
    table.set_read_lag(Duration::from_secs(3_600));
    success(&fixture, "PutItem", put(1, None)).await;
    let plain =
        json!({"Image": "registry/app:1", "Version": 7, "Owners": {"stack": {"At": 5}}, "Copies": [1]});
    table.put(REGION, STATE_TABLE, &plain);
    let mut read = key();
    for consistent in [true, false] {
        read["ConsistentRead"] = json!(consistent);
        let output = success(&fixture, "GetItem", read.clone()).await;
        assert_eq!(output["Item"]["Owners"], json!({"M": {"stack": {"M": {"At": {"N": "5"}}}}}));
    }
    assert_eq!(table.items(REGION, STATE_TABLE), [plain]);
    table.remove(REGION, STATE_TABLE, "registry/app:1");
    for consistent in [true, false] {
        read["ConsistentRead"] = json!(consistent);
        assert_eq!(success(&fixture, "GetItem", read.clone()).await, json!({}));
    }
}

#[tokio::test]
async fn reports_a_missing_table_and_a_wrong_schema() {
    let fixture = Fixture::start().await;
    let table = fixture.emulator.dynamodb();
    table.delete_table(REGION, STATE_TABLE);
    let missing =
        (format!("{NAMESPACE}ResourceNotFoundException"), "Requested resource not found".to_owned());
    assert_eq!(failure(&fixture, "GetItem", key()).await, missing);
    assert_eq!(failure(&fixture, "PutItem", put(1, None)).await, missing);
    let (name, message) = failure(&fixture, "DescribeTable", json!({"TableName": STATE_TABLE})).await;
    assert_eq!(name, missing.0);
    assert_eq!(message, format!("Requested resource not found: Table: {STATE_TABLE} not found"));

    table.create_table_with_key(REGION, STATE_TABLE, "Id");
    let schema = "com.amazon.coral.validate#ValidationException";
    let (name, message) = failure(&fixture, "GetItem", key()).await;
    assert_eq!(
        (name.as_str(), message.as_str()),
        (schema, "The provided key element does not match the schema")
    );
    let (name, message) = failure(&fixture, "PutItem", put(1, None)).await;
    assert_eq!(name, schema);
    assert_eq!(message, "One or more parameter values were invalid: Missing the key Id in the item");
}

#[tokio::test]
async fn rejects_an_item_over_400_kb() {
    let fixture = Fixture::start().await;
    let write = |size: usize| {
        let mut input = put(1, None);
        input["Item"]["Copies"] = json!({"S": "x".repeat(size)});
        input
    };
    let (name, message) = failure(&fixture, "PutItem", write(400 * 1024)).await;
    assert_eq!(name, "com.amazon.coral.validate#ValidationException");
    assert_eq!(message, "Item size has exceeded the maximum allowed size");
    success(&fixture, "PutItem", write(399 * 1024)).await;
}

#[tokio::test]
async fn creates_describes_and_deletes_tables_in_each_region() {
    let fixture = Fixture::start().await;
    let described = success(&fixture, "DescribeTable", json!({"TableName": STATE_TABLE})).await;
    let table = &described["Table"];
    assert_eq!(table["TableStatus"], "ACTIVE");
    assert_eq!(table["BillingModeSummary"]["BillingMode"], "PAY_PER_REQUEST");
    assert_eq!(table["KeySchema"], json!([{"AttributeName": "Image", "KeyType": "HASH"}]));
    let arn = format!("arn:aws:dynamodb:eu-west-1:123456789012:table/{STATE_TABLE}");
    assert_eq!(table["TableArn"], arn);

    let gov = "dynamodb.us-gov-west-1.amazonaws.com";
    let create = json!({
        "TableName": "other", "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "Image", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "Image", "AttributeType": "S"}],
    });
    let name = json!({"TableName": "other"});
    let response = send(&fixture, gov, "CreateTable", &create).await.unwrap();
    assert_eq!(response.status(), 200);
    let created = common::body(response).await;
    let arn = "arn:aws-us-gov:dynamodb:us-gov-west-1:123456789012:table/other";
    assert_eq!(created["TableDescription"]["TableArn"], arn);
    let again = send(&fixture, gov, "CreateTable", &create).await.unwrap();
    assert_eq!(common::body(again).await["__type"], format!("{NAMESPACE}ResourceInUseException"));
    assert!(failure(&fixture, "DescribeTable", name.clone()).await.0.ends_with("ResourceNotFoundException"));
    assert_eq!(send(&fixture, gov, "DeleteTable", &name).await.unwrap().status(), 200);
    assert_eq!(send(&fixture, gov, "DescribeTable", &name).await.unwrap().status(), 400);
}

#[tokio::test]
async fn logs_calls_and_denies_them_by_table() {
    let fixture = Fixture::start().await;
    let table = fixture.emulator.dynamodb();
    let mark = fixture.emulator.log().mark();
    table.deny("dynamodb:PutItem", &format!("*:table/{STATE_TABLE}"));
    let (name, message) = failure(&fixture, "PutItem", put(1, None)).await;
    assert_eq!(name, "com.amazon.coral.service#AccessDeniedException");
    assert_eq!(
        message,
        "User: arn:aws:sts::123456789012:assumed-role/emulated-role/emulated-session is not authorized to \
         perform: dynamodb:PutItem on resource: \
         arn:aws:dynamodb:eu-west-1:123456789012:table/cfn-container-image-provider-state because no \
         identity-based policy allows the dynamodb:PutItem action"
    );
    success(&fixture, "GetItem", key()).await;
    table.allow_everything();
    success(&fixture, "PutItem", put(1, None)).await;

    table.deny("dynamodb:BatchGetItem", "*:table/secret");
    let batch =
        json!({"RequestItems": {STATE_TABLE: {"Keys": [key()["Key"]]}, "secret": {"Keys": [key()["Key"]]}}});
    assert!(failure(&fixture, "BatchGetItem", batch).await.0.ends_with("AccessDeniedException"));
    let counts = fixture.emulator.log().counts(mark);
    assert_eq!((counts["dynamodb:PutItem"], counts["dynamodb:GetItem"]), (2, 1));
    let entry = &fixture.emulator.log().since(mark)[0];
    assert_eq!((entry.service.as_str(), entry.action.as_deref()), ("dynamodb", Some("dynamodb:PutItem")));
}

#[tokio::test]
async fn faults_have_the_format_of_the_service() {
    let fixture = Fixture::start().await;
    let faults = fixture.emulator.faults();
    let throttled = "The level of configured provisioned throughput for the table was exceeded";
    for (error, status, namespace) in [
        ("ProvisionedThroughputExceededException", 400, "com.amazonaws.dynamodb.v20120810"),
        ("ThrottlingException", 400, "com.amazon.coral.availability"),
        ("InternalServerError", 500, "com.amazonaws.dynamodb.v20120810"),
    ] {
        faults.add(Fault::on("dynamodb:PutItem", Effect::api_error(error, throttled)).once());
        let (received, output) = call(&fixture, "PutItem", put(1, None)).await;
        assert_eq!((received, &output["message"]), (status, &json!(throttled)));
        assert_eq!(output["__type"], format!("{namespace}#{error}"));
    }
    let table = r#"[{"match": {"operation": "dynamodb:*", "times": 1}, "effect": "api-error", "error": "RequestLimitExceeded"}]"#;
    faults.load(table).unwrap();
    assert!(failure(&fixture, "GetItem", key()).await.0.ends_with("#RequestLimitExceeded"));
    faults.add(Fault::on("dynamodb:GetItem", Effect::ExpireToken).once());
    let (name, _) = failure(&fixture, "GetItem", key()).await;
    assert_eq!(name, "com.amazon.coral.service#ExpiredTokenException");

    // No failed write has changed the table.
    assert_eq!(success(&fixture, "GetItem", key()).await, json!({}));

    // A lost request changes nothing. A lost response follows the write.
    let host = "dynamodb.eu-west-1.amazonaws.com";
    for (on, item_count) in [(Direction::Request, 0), (Direction::Response, 1)] {
        let reset = Effect::Reset { after_bytes: 0, on: Some(on) };
        faults.add(Fault::on("dynamodb:PutItem", reset).once());
        assert!(send(&fixture, host, "PutItem", &put(1, None)).await.is_err());
        assert_eq!(fixture.emulator.dynamodb().items(REGION, STATE_TABLE).len(), item_count, "{on:?}");
    }
    faults.add(Fault::on("dynamodb:GetItem", Effect::Delay { ms: 600_000 }).once());
    let input = key();
    let hanging = send(&fixture, host, "GetItem", &input);
    assert!(tokio::time::timeout(Duration::from_millis(200), hanging).await.is_err());
    success(&fixture, "GetItem", key()).await;
}

#[tokio::test]
async fn injects_errors_of_ecr_by_name() {
    let fixture = Fixture::start().await;
    let fault = Fault::on("ecr:DescribeImages", Effect::api_error("ServerException", "")).once();
    fixture.emulator.faults().add(fault);
    let (status, output) = fixture.call_in(REGION, "DescribeImages", json!({"repositoryName": "a"})).await;
    assert_eq!((status, output), (500, json!({"__type": "ServerException"})));
}

#[tokio::test]
async fn checks_hosts_actions_and_signatures() {
    let fixture = Fixture::start().await;
    for host in [
        "dynamodb.eu-west-1.amazonaws.com",
        "dynamodb-fips.eu-west-1.amazonaws.com",
        "dynamodb.eu-west-1.api.aws",
    ] {
        assert_eq!(send(&fixture, host, "GetItem", &key()).await.unwrap().status(), 200, "{host}");
    }
    for host in ["123456789012.ddb.eu-west-1.amazonaws.com", "123456789012.ddb.eu-west-1.api.aws"] {
        let response = send(&fixture, host, "GetItem", &key()).await.unwrap();
        assert_eq!(response.status(), 400);
        let message = common::body(response).await["message"].as_str().unwrap().to_owned();
        let expected = format!("aws-emulator: the account-based endpoint {host} is rejected");
        assert!(message.starts_with(&expected), "{message}");
    }
    let (name, message) = failure(&fixture, "TransactWriteItems", json!({})).await;
    assert_eq!(name, "com.amazon.coral.service#UnknownOperationException");
    assert_eq!(message, "aws-emulator: dynamodb:TransactWriteItems is not implemented");
    let (name, message) = failure(&fixture, "GetItem", json!({"TableName": STATE_TABLE})).await;
    assert_eq!(name, "com.amazon.coral.validate#ValidationException");
    assert!(message.contains("Value null at 'key'"), "{message}");
    let wrong = json!({"TableName": STATE_TABLE, "Key": {"Image": {"S": 1}}});
    let (name, _) = failure(&fixture, "GetItem", wrong).await;
    assert_eq!(name, "com.amazon.coral.service#SerializationException");

    let scope = "ASIAEMULATOREXAMPLE0/20260101/us-east-1/dynamodb/aws4_request";
    let authorization = format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0");
    let url = "https://dynamodb.eu-west-1.amazonaws.com/";
    let request = fixture.request(Method::POST, url, &authorization).body(key().to_string());
    let response = request.header("x-amz-target", "DynamoDB_20120810.GetItem").send().await.unwrap();
    let output = common::body(response).await;
    assert_eq!(output["__type"], "com.amazon.coral.service#InvalidSignatureException");
}

#[test]
fn works_without_a_proxy() {
    let dynamodb = DynamoDb::standalone();
    let call = |action: &str, input: Value| dynamodb.call(REGION, action, &input);
    let missing = Err(("ResourceNotFoundException", "Requested resource not found".to_owned()));
    assert_eq!(call("GetItem", key()), missing);
    dynamodb.create_table(REGION, STATE_TABLE);
    assert_eq!(call("PutItem", put(1, None)), Ok(json!({})));
    let failed = Err(("ConditionalCheckFailedException", "The conditional request failed".to_owned()));
    assert_eq!(call("PutItem", put(1, None)), failed);
    assert_eq!(call("GetItem", key()), Ok(json!({"Item": item(1)})));
    dynamodb.deny("dynamodb:*", "*");
    assert_eq!(call("GetItem", key()).unwrap_err().0, "AccessDeniedException");
}

#[tokio::test]
async fn the_environment_has_the_name_of_the_state_table() {
    let fixture = Fixture::start().await;
    let environment = fixture.emulator.environment();
    let named = ("STATE_TABLE".to_owned(), "cfn-container-image-provider-state".to_owned());
    assert!(environment.contains(&named), "{environment:?}");
}
