//! The response to each event, and its log lines.

use std::time::Duration;

use image_copy_aws::AwsClients;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tracing::instrument::WithSubscriber as _;

use super::*;
use crate::clients::Clients;
use crate::input::tests::fixture;
use crate::logging::subscriber;
use crate::respond::delivery::ResponseSender;
use crate::settings::Settings;
use crate::testing::{FakeAws, OWNER, TABLE, URI, clients_with_responses};

const REQUEST: &str = "8f2a1c3e-0000-4000-8000-000000000000";

fn services(aws: &FakeAws, settings: &[(&str, &str)]) -> Services {
    services_with(aws.clients(), settings)
}

fn services_with(clients: AwsClients, settings: &[(&str, &str)]) -> Services {
    let settings = Settings::read(|name| {
        let mut all = settings.iter().chain(&[("STATE_TABLE", TABLE)]);
        all.find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned())
    });
    let responses = ResponseSender::new(&[]).unwrap();
    Services { clients: Clients::new(settings, clients).unwrap(), responses }
}

fn invocation() -> Invocation {
    Invocation {
        request_id: REQUEST.into(),
        function_arn: "arn:aws:lambda:eu-west-1:123456789012:function:provider".into(),
        time_left: Duration::from_secs(10),
    }
}

/// Handles an event. Returns the response document and the log lines.
async fn handle_event(mut event: Value, services: &Services) -> (Value, Vec<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    event["ResponseURL"] =
        json!(format!("http://{}/?X-Amz-Signature=secret", listener.local_addr().unwrap()));
    let bucket = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (mut request, mut buffer) = (Vec::new(), [0; 8192]);
        let body = loop {
            let read = stream.read(&mut buffer).await.unwrap();
            request.extend_from_slice(&buffer[..read]);
            let text = String::from_utf8(request.clone()).unwrap();
            let body = text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
            if let Some(Ok(body)) = body.map(|body| serde_json::from_str::<Value>(&body)) {
                break body;
            }
        };
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        drop(stream);
        let again = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
        assert!(again.is_err(), "a second response");
        body
    });
    let lines = subscriber::tests::LogBuffer::default();
    handle(event, &invocation(), services).with_subscriber(lines.subscriber(Some("trace"))).await.unwrap();
    (bucket.await.unwrap(), lines.read())
}

#[tokio::test]
async fn responds_to_an_invalid_event() {
    let services = services(&FakeAws::default(), &[]);
    for (name, value, expected) in [
        ("RequestType", json!("Destroy"), "The event is invalid: its RequestType is \"Destroy\""),
        ("ResourceProperties", Value::Null, "The event is invalid: its ResourceProperties are missing"),
        ("ResourceProperties", json!({}), "ImageReference is missing or not a string"),
        ("LogicalResourceId", json!(17), "The event is invalid: its LogicalResourceId"),
    ] {
        for kind in ["create", "update"] {
            let mut event = fixture(kind);
            event[name] = value.clone();
            let id = event["PhysicalResourceId"].as_str().unwrap_or("create-failed").to_owned();
            let (response, _) = handle_event(event, &services).await;
            let reason = response["Reason"].as_str().unwrap();
            assert_eq!(
                (&response["Status"], &response["PhysicalResourceId"]),
                (&json!("FAILED"), &json!(id))
            );
            assert!(
                reason.starts_with(expected) && reason.ends_with(&format!("request {REQUEST})")),
                "{reason}"
            );
        }
    }
}

#[tokio::test]
async fn an_invalid_setting_fails_creates_but_no_deletes() {
    let services = services(&FakeAws::default(), &[("DEFAULT_PLATFORM", "amd64")]);
    let (response, _) = handle_event(fixture("create"), &services).await;
    assert!(response["Reason"].as_str().unwrap().starts_with("The provider's parameter DefaultPlatform"));
    let (response, _) = handle_event(fixture("delete"), &services).await;
    assert_eq!(response["Status"], "SUCCESS");
}

#[tokio::test]
async fn rejects_a_source_that_is_not_allowed_without_a_call() {
    let aws = FakeAws::default();
    let services = services(&aws, &[("ALLOWED_SOURCES", "quay.io/prometheus")]);
    let mut event = fixture("create");
    event["ResourceProperties"] = json!({"ImageReference": "quay.io/promotheus/node-exporter:v1",
        "RepositoryArn": "arn:aws:ecr:eu-west-1:123456789012:repository/team/app"});
    let (response, _) = handle_event(event, &services).await;
    let reason = response["Reason"].as_str().unwrap();
    assert!(reason.contains("The nearest allowed prefix is quay.io/prometheus."), "{reason}");
    assert_eq!((&response["Status"], aws.take_calls()), (&json!("FAILED"), Vec::new()));
}

#[tokio::test]
async fn deletes_the_image_of_the_physical_id_if_the_resource_owns_it() {
    let aws = FakeAws::default();
    let image = aws.image(1, &["1"]);
    let mut event = fixture("delete");
    event["PhysicalResourceId"] = json!(format!("{URI}:1"));
    event["ResourceProperties"] = json!({"Nonsense": ["a"]});
    for (settings, reason) in [
        (&[][..], "this resource does not own it"),
        (&[("STATE_TABLE", "none")], "the provider has no state table"),
        (&[("STATE_TABLE", "missing")], "the state table could not be reached"),
        (&[("DELETE_IMAGES", "false")], "DeleteImages is false"),
    ] {
        let (response, lines) = handle_event(event.clone(), &services(&aws, settings)).await;
        assert_eq!(
            (response["Status"].as_str(), aws.has_image(&image)),
            (Some("SUCCESS"), true),
            "{settings:?}"
        );
        assert!(response["Reason"].as_str().unwrap().contains(reason), "{response}");
        let state = match settings {
            [("STATE_TABLE", "none")] => "off",
            [("STATE_TABLE", _)] => "unavailable",
            _ => "used",
        };
        assert_eq!(lines.last().unwrap()["state"], state);
        aws.register(&format!("{URI}:1"), &[(OWNER, &image)]);
    }
    aws.take_calls();
    let (response, lines) = handle_event(event, &services(&aws, &[])).await;
    assert_eq!((response["Status"].as_str(), aws.has_image(&image)), (Some("SUCCESS"), false));
    assert_eq!(response["PhysicalResourceId"], format!("{URI}:1"));
    assert_eq!((&lines.last().unwrap()["outcome"], aws.tags().len()), (&json!("deleted"), 0));
    assert_eq!(aws.take_calls(), ["GetItem", "PutItem", "BatchGetImage", "BatchDeleteImage", "PutItem"]);
    let item = aws.item(&format!("{URI}:1")).unwrap();
    assert!(item["Ended"][OWNER].is_number() && item["ExpiresAt"].is_number(), "{item}");
    assert_eq!((&item["Owners"], &item["Copies"]), (&json!({}), &json!([])));
}

#[tokio::test]
async fn a_delete_without_an_image_does_not_call_ecr() {
    let aws = FakeAws::default();
    for id in ["create-failed", "images-Python-1ABCDEFGHIJKL", "", "somebody/else:1", "2026/11/21/[$LATEST]0"]
    {
        let mut event = fixture("delete");
        event["PhysicalResourceId"] = json!(id);
        let (response, _) = handle_event(event, &services(&aws, &[])).await;
        assert_eq!(response["Status"], "SUCCESS");
        assert!(!response["PhysicalResourceId"].as_str().unwrap().is_empty());
        assert!(aws.take_calls().iter().all(|call| call.ends_with("Item")), "{id}");
    }
}

#[tokio::test]
async fn a_delete_after_a_failed_create_deletes_the_tag_in_its_properties() {
    let aws = FakeAws::default();
    let mut event = fixture("delete");
    event["ResourceProperties"] = json!({"ImageReference": "nginx:1", "RepositoryArn": crate::testing::ARN});
    for id in ["create-failed", "images-Python-1ABCDEFGHIJKL"] {
        let image = aws.image(1, &["1"]);
        aws.register(&format!("{URI}:1"), &[(OWNER, &image)]);
        event["PhysicalResourceId"] = json!(id);
        let (response, _) = handle_event(event.clone(), &services(&aws, &[])).await;
        assert_eq!(
            (response["Status"].as_str(), aws.has_image(&image)),
            (Some("SUCCESS"), false),
            "{response}"
        );
    }
}

#[tokio::test]
async fn a_denied_delete_names_the_permission_and_can_be_repeated() {
    let aws = FakeAws::default();
    let image = aws.image(1, &["1"]);
    aws.register(&format!("{URI}:1"), &[(OWNER, &image)]);
    aws.ecr.deny("ecr:BatchDeleteImage", "*");
    let mut event = fixture("delete");
    event["PhysicalResourceId"] = json!(format!("{URI}:1"));
    let (response, _) = handle_event(event.clone(), &services(&aws, &[])).await;
    assert_eq!(response["Status"], "FAILED");
    assert!(response["Reason"].as_str().unwrap().contains("Allow ecr:BatchDeleteImage with"), "{response}");
    aws.ecr.allow_everything();
    let (response, _) = handle_event(event, &services(&aws, &[])).await;
    assert_eq!((response["Status"].as_str(), aws.has_image(&image)), (Some("SUCCESS"), false));
}

#[tokio::test]
async fn log_lines_identify_the_event_and_contain_no_secret() {
    let (_, lines) =
        handle_event(fixture("create"), &services(&FakeAws::default(), &[("DEFAULT_PLATFORM", "x")])).await;
    let fields =
        ["stack_id", "logical_resource_id", "request_type", "request_id", "lambda_request_id", "version"];
    for line in &lines {
        assert!(fields.iter().all(|field| line[field].is_string()), "{line}");
        assert!(!line.to_string().contains("secret"), "{line}");
    }
    let last = lines.last().unwrap();
    assert_eq!((&last["message"], &last["outcome"]), (&json!("responded"), &json!("failed")));
    assert!(last["seconds"].is_number() && last["reason"].is_string(), "{last}");
}

#[tokio::test]
async fn a_panic_has_one_response_without_content_of_the_event() {
    let services = services_with(clients_with_responses(|_, _| panic!("a defect")), &[]);
    let (response, lines) = handle_event(fixture("create"), &services).await;
    assert_eq!(response["Status"], "FAILED");
    let reason = response["Reason"].as_str().unwrap();
    assert!(reason.starts_with("Internal error in the provider."), "{reason}");
    let last = lines.last().unwrap();
    assert_eq!((&last["message"], &last["outcome"]), (&json!("responded"), &json!("failed")));
    assert!(lines.iter().all(|line| !line.to_string().contains("secret")), "{lines:?}");
}

#[tokio::test]
async fn other_payloads_and_undelivered_responses_are_errors_for_lambda() {
    let services = services(&FakeAws::default(), &[]);
    let error = handle(json!(["hello"]), &invocation(), &services).await.unwrap_err().message;
    assert!(error.contains("not an event of a CloudFormation custom resource"), "{error}");
    let mut event = fixture("delete");
    event["PhysicalResourceId"] = json!("create-failed");
    event["ResponseURL"] = json!("http://127.0.0.1:1/?X-Amz-Signature=secret");
    let short = Invocation { time_left: Duration::from_millis(600), ..invocation() };
    let error = handle(event, &short, &services).await.unwrap_err();
    assert_eq!(error.error_type, "ResponseNotSent");
    let error = error.message;
    assert!(
        error.contains("sending the response to 127.0.0.1 failed") && !error.contains("secret"),
        "{error}"
    );
}
