//! Every event gets one response. An invalid event gets a reason in one line.

mod common;

use std::time::{Duration, Instant};

use aws_emulator::Mutability;
use aws_emulator::{Effect, Fault, ImageBuilder};
use common::{Account, check_success, failure_reason, index};
use serde_json::{Value, json};

async fn account() -> Account {
    let account = Account::new().await;
    account.publish("3.13", &index(1));
    // Starts the function, so that later events measure no cold start.
    account.send(json!({"RequestType": "Delete", "PhysicalResourceId": "create-failed"})).await;
    account
}

#[tokio::test]
async fn rejects_invalid_properties_within_a_second() {
    let account = account().await;
    let valid = account.properties("python:3.13");
    let with = |name: &str, value: Value| {
        let mut properties = valid.clone();
        properties[name] = value;
        properties
    };
    let cases = [
        (json!({}), "ImageReference is missing or not a string"),
        (json!({"ImageReference": "python:3.13"}), "RepositoryArn is missing or not a string"),
        (with("ImageReference", json!(["python"])), "ImageReference is missing or not a string"),
        (with("ImageReference", json!("Python:3.13")), "ImageReference"),
        (with("ImageReference", json!("")), "ImageReference"),
        (with("RepositoryArn", json!("python")), "Invalid AWS ECR repository ARN: python"),
        (with("Platform", json!("linux-arm64")), "Platform"),
        (with("Tag", json!("no spaces")), "Tag"),
        (with("Tag", json!({"a": 1})), "Tag"),
        (with("PlatformList", json!("all")), "PlatformList"),
    ];
    for (properties, expected) in cases {
        let started = Instant::now();
        let response = account.create(properties).await;
        let took = started.elapsed();
        let reason = failure_reason(&response);
        assert!(reason.contains(expected), "{reason}");
        assert_eq!(response.physical_id, "create-failed");
        assert!(took < Duration::from_secs(1), "{took:?}: {reason}");
        println!("{reason}");
    }
    assert_eq!(account.repository.images(), Vec::<String>::new());
}

#[tokio::test]
async fn rejects_invalid_events() {
    let account = account().await;
    let id = format!("{}:3.13", account.repository.uri());
    for event in [
        json!({"RequestType": "Repair"}),
        json!({"RequestType": 7, "PhysicalResourceId": id}),
        json!({}),
        json!({"RequestType": "Create"}),
        json!({"RequestType": "Create", "ResourceProperties": "text"}),
        json!({"RequestType": "Update", "PhysicalResourceId": id}),
        json!({"RequestType": "Update", "PhysicalResourceId": id, "ResourceProperties": null}),
    ] {
        let response = account.send(event.clone()).await;
        let reason = failure_reason(&response);
        println!("{reason}");
        let expected = event["PhysicalResourceId"].as_str().unwrap_or("create-failed");
        assert_eq!(response.physical_id, expected, "{event}");
    }
}

#[tokio::test]
async fn an_update_accepts_unknown_properties_of_the_old_template() {
    let account = account().await;
    let mut old = account.properties("python:3.13");
    old["Nonce"] = json!("1");
    let mut new = old.clone();
    new["Nonce"] = json!("2");
    let event = json!({
        "RequestType": "Update",
        "ResourceType": "Custom::ContainerImage",
        "PhysicalResourceId": format!("{}:3.13", account.repository.uri()),
        "ResourceProperties": new,
        "OldResourceProperties": old,
    });
    check_success(&account.send(event).await);
}

#[tokio::test]
async fn repeated_and_concurrent_creates_have_the_same_result() {
    let account = account().await;
    let create = || account.create(account.properties("python:3.13"));
    let (first, second) = tokio::join!(create(), create());
    let third = create().await;
    for response in [&first, &second, &third] {
        check_success(response);
    }
    assert_eq!(first.physical_id, second.physical_id);
    assert_eq!((&first.data, &first.physical_id), (&third.data, &third.physical_id));
    account.check_stored("3.13", &index(1));
}

#[tokio::test]
async fn names_the_missing_permission() {
    for action in [
        "ecr:GetAuthorizationToken",
        "ecr:BatchCheckLayerAvailability",
        "ecr:BatchGetImage",
        "ecr:InitiateLayerUpload",
        "ecr:UploadLayerPart",
        "ecr:CompleteLayerUpload",
        "ecr:PutImage",
    ] {
        let account = account().await;
        account.world.emulator.ecr().deny(action, "*");
        let response = account.create(account.properties("python:3.13")).await;
        let reason = failure_reason(&response);
        assert!(reason.contains(action), "{action}: {reason}");
        println!("{reason}");
        assert_eq!(account.repository.resolve("3.13"), None);
    }
    let account = account().await;
    account.world.emulator.ecr().deny("ecr:DescribeRepositories", "*");
    check_success(&account.create(account.properties("python:3.13")).await);
}

#[tokio::test]
async fn names_the_missing_image_host_repository_or_platform() {
    let account = account().await;
    let mut missing = account.properties("python:3.13");
    missing["RepositoryArn"] = json!(account.world.emulator.repository_arn("missing"));
    let mut s390x = account.properties("python:3.13");
    s390x["Platform"] = json!("linux/s390x");
    for (properties, expected) in [
        (account.properties("python:9.99"), ["docker.io/library/python:9.99", "ImageReference"]),
        (account.properties("pytthon:3.13"), ["docker.io/library/pytthon:3.13", "ImageReference"]),
        (account.properties("registry.invalid/app:1"), ["registry.invalid", "could not be read"]),
        (missing, ["missing", "RepositoryArn"]),
        (s390x, ["linux/amd64", "Platform"]),
    ] {
        let response = account.create(properties).await;
        let reason = failure_reason(&response);
        println!("{reason}");
        for text in expected {
            assert!(reason.contains(text), "{text}: {reason}");
        }
    }
}

#[tokio::test]
async fn fails_before_the_timeout_and_reports_its_progress() {
    let account =
        Account::with(Mutability::Mutable, |settings| settings.timeout = Duration::from_secs(4)).await;
    let image =
        ImageBuilder::new(1).platforms(&["linux/amd64"]).layers(&[2_000_000, 1_000_000, 50_000]).index();
    account.publish("3.13", &image);
    let effect = Effect::Slow { bytes_per_second: 100_000, on: None };
    account.world.emulator.faults().add(Fault::on("blob.content", effect));
    let response = account.create(account.properties("python:3.13")).await;
    let reason = failure_reason(&response);
    assert!(reason.contains("Time ran out") && reason.contains("blobs"), "{reason}");
    assert_eq!(account.repository.resolve("3.13"), None);
    account.world.emulator.faults().clear();
    let mark = account.mark();
    let committed = account.repository.blobs().len();
    check_success(&account.create(account.properties("python:3.13")).await);
    let again = account.world.emulator.log().count(mark, "upload.put");
    assert_eq!(again + committed, image.blobs.len(), "existing blobs were copied again");
}

#[tokio::test]
async fn a_response_is_sent_again_until_the_bucket_accepts_it() {
    let unavailable = |code| Effect::Status { code, headers: [].into(), body: String::new() };
    for (effect, times) in
        [(unavailable(500), 2), (unavailable(503), 1), (Effect::Reset { after_bytes: 5, on: None }, 1)]
    {
        let account = account().await;
        account.world.emulator.faults().add(Fault::on("response.put", effect).times(times));
        check_success(&account.create(account.properties("python:3.13")).await);
        let mut defects = account.world.bucket.defects();
        defects.retain(|defect| !defect.contains("reset by a fault"));
        assert_eq!(defects, Vec::<String>::new());
    }
}
