//! The one answer of each event, and what the log says.

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tracing::instrument::WithSubscriber as _;

use super::*;
use crate::event::tests::fixture;
use crate::logging;
use crate::settings::Settings;
use crate::testing::{Ecr, URI};

const REQUEST: &str = "8f2a1c3e-0000-4000-8000-000000000000";

fn services(ecr: &Ecr, settings: &[(&str, &str)]) -> Services {
    let settings = Settings::read(|name| {
        settings.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    });
    Services::new(settings, ecr.clients()).unwrap()
}

fn invocation() -> Invocation {
    Invocation {
        request_id: REQUEST.into(),
        function_arn: "arn:aws:lambda:eu-west-1:123456789012:function:provider".into(),
        left: Duration::from_secs(10),
    }
}

/// Hands an event to the handler and gives the documents that its bucket got, and the log.
async fn handled(mut event: Value, services: &Services) -> (Value, Vec<Value>) {
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
        assert!(again.is_err(), "there is one answer");
        body
    });
    let lines = logging::tests::Lines::default();
    handle(event, &invocation(), services).with_subscriber(lines.subscriber(Some("trace"))).await.unwrap();
    (bucket.await.unwrap(), lines.read())
}

#[tokio::test]
async fn what_is_wrong_with_an_event_is_answered() {
    let services = services(&Ecr::default(), &[]);
    for (name, value, expected) in [
        ("RequestType", json!("Destroy"), "the event cannot be read: its RequestType is \"Destroy\""),
        ("ResourceProperties", Value::Null, "the event cannot be read: it has no ResourceProperties"),
        ("ResourceProperties", json!({}), "ImageReference is missing or not a string"),
        ("LogicalResourceId", json!(17), "the event cannot be read: its LogicalResourceId"),
    ] {
        for kind in ["create", "update"] {
            let mut event = fixture(kind);
            event[name] = value.clone();
            let id = event["PhysicalResourceId"].as_str().unwrap_or("create-failed").to_owned();
            let (answer, _) = handled(event, &services).await;
            let reason = answer["Reason"].as_str().unwrap();
            assert_eq!((&answer["Status"], &answer["PhysicalResourceId"]), (&json!("FAILED"), &json!(id)));
            assert!(reason.starts_with(expected) && reason.ends_with(&format!("({REQUEST})")), "{reason}");
        }
    }
}

#[tokio::test]
async fn a_wrong_setting_is_told_to_whoever_waits_but_hinders_no_delete() {
    let services = services(&Ecr::default(), &[("DEFAULT_PLATFORM", "amd64")]);
    let (answer, _) = handled(fixture("create"), &services).await;
    assert!(answer["Reason"].as_str().unwrap().starts_with("the provider's setting DEFAULT_PLATFORM"));
    let (answer, _) = handled(fixture("delete"), &services).await;
    assert_eq!(answer["Status"], "SUCCESS");
}

#[tokio::test]
async fn what_the_installer_does_not_allow_is_refused_before_anybody_is_asked() {
    let ecr = Ecr::default();
    let services = services(&ecr, &[("ALLOWED_SOURCES", "quay.io/prometheus")]);
    let mut event = fixture("create");
    event["ResourceProperties"] = json!({"ImageReference": "quay.io/promotheus/node-exporter:v1",
        "RepositoryArn": "arn:aws:ecr:eu-west-1:123456789012:repository/team/app"});
    let (answer, _) = handled(event, &services).await;
    let reason = answer["Reason"].as_str().unwrap();
    assert!(reason.contains("ALLOWED_SOURCES allows is quay.io/prometheus."), "{reason}");
    assert_eq!((&answer["Status"], ecr.calls()), (&json!("FAILED"), Vec::new()));
}

#[tokio::test]
async fn delete_removes_what_its_id_names() {
    let ecr = Ecr::default();
    let image = ecr.image(1, &["1"]);
    let mut event = fixture("delete");
    event["PhysicalResourceId"] = json!(format!("{URI}:1"));
    event["ResourceProperties"] = json!({"Nonsense": ["a"]});
    for settings in [&[][..], &[("COPY_RECORDS", "false")], &[("DELETE_IMAGES", "false")]] {
        let (answer, _) = handled(event.clone(), &services(&ecr, settings)).await;
        assert_eq!((answer["Status"].as_str(), ecr.holds(&image)), (Some("SUCCESS"), true), "{settings:?}");
        // The first time, there was no claim.
        ecr.claim("1");
    }
    let (answer, lines) = handled(event, &services(&ecr, &[])).await;
    assert_eq!((answer["Status"].as_str(), ecr.holds(&image)), (Some("SUCCESS"), false));
    assert_eq!(answer["PhysicalResourceId"], format!("{URI}:1"));
    assert_eq!((&lines.last().unwrap()["outcome"], ecr.tags().len()), (&json!("deleted"), 0));
}

#[tokio::test]
async fn delete_of_an_id_that_is_not_ours_touches_nothing() {
    let ecr = Ecr::default();
    for id in ["create-failed", "images-Python-1ABCDEFGHIJKL", ""] {
        let mut event = fixture("delete");
        event["PhysicalResourceId"] = json!(id);
        let (answer, _) = handled(event, &services(&ecr, &[])).await;
        assert_eq!(answer["Status"], "SUCCESS");
        assert!(!answer["PhysicalResourceId"].as_str().unwrap().is_empty());
    }
    let looks = ["BatchGetImage"];
    assert!(ecr.calls().iter().all(|call| looks.contains(&call.as_str())), "{:?}", ecr.calls());
}

#[tokio::test]
async fn a_delete_that_is_denied_names_the_permission() {
    let ecr = Ecr::default();
    ecr.image(1, &["1"]);
    ecr.claim("1");
    ecr.api.deny("ecr:BatchDeleteImage", "*");
    let mut event = fixture("delete");
    event["PhysicalResourceId"] = json!(format!("{URI}:1"));
    let (answer, _) = handled(event, &services(&ecr, &[])).await;
    assert_eq!(answer["Status"], "FAILED");
    assert!(answer["Reason"].as_str().unwrap().contains("Allow ecr:BatchDeleteImage on"), "{answer}");
}

#[tokio::test]
async fn every_log_line_says_whose_it_is_and_none_has_a_secret() {
    let (_, lines) =
        handled(fixture("create"), &services(&Ecr::default(), &[("DEFAULT_PLATFORM", "x")])).await;
    let fields =
        ["stack_id", "logical_resource_id", "request_type", "request_id", "lambda_request_id", "version"];
    for line in &lines {
        assert!(fields.iter().all(|field| line[field].is_string()), "{line}");
        assert!(!line.to_string().contains("secret"), "{line}");
    }
    let last = lines.last().unwrap();
    assert_eq!((&last["message"], &last["outcome"]), (&json!("answered"), &json!("failed")));
    assert!(last["seconds"].is_number() && last["reason"].is_string(), "{last}");
}

#[tokio::test(start_paused = true)]
async fn a_panic_and_a_job_without_end_have_results() {
    let deadline = Deadline::new(Instant::now(), Duration::from_millis(200), None);
    let panics = async { panic!("boom") };
    assert_eq!(guarded(panics, &deadline).await.err(), Some(Failure::Panic));
    let endless = std::future::pending();
    let result = guarded(endless, &deadline).await;
    assert!(matches!(result.err(), Some(Failure::TimeRanOut { .. })));
    assert!(Instant::now() < deadline.answer);
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_and_an_answer_that_does_not_arrive_are_errors_for_lambda() {
    let services = services(&Ecr::default(), &[]);
    let error = handle(json!({"hello": "world"}), &invocation(), &services).await.unwrap_err();
    assert!(error.contains("not an event of a CloudFormation custom resource"), "{error}");
    let mut event = fixture("delete");
    event["PhysicalResourceId"] = json!("create-failed");
    event["ResponseURL"] = json!("http://127.0.0.1:1/?X-Amz-Signature=secret");
    let short = Invocation { left: Duration::from_millis(600), ..invocation() };
    let error = handle(event, &short, &services).await.unwrap_err();
    assert!(error.contains("could not be delivered") && !error.contains("secret"), "{error}");
}
