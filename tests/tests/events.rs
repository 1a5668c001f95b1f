//! Every event has one answer, and a wrong one says in one line what to change.

mod common;

use std::time::{Duration, Instant};

use aws_emulator::Mutability;
use aws_emulator::{Effect, Fault, ImageBuilder};
use common::{Account, failure, index, succeeded};
use serde_json::{Value, json};

async fn account() -> Account {
    let account = Account::new().await;
    account.publish("3.13", &index(1));
    // Until here the function has not been started.
    account.send(json!({"RequestType": "Delete", "PhysicalResourceId": "create-failed"})).await;
    account
}

#[tokio::test]
async fn answers_a_bad_event_within_a_second() {
    let account = account().await;
    let good = account.properties("python:3.13");
    let with = |name: &str, value: Value| {
        let mut properties = good.clone();
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
        (with("Platfrom", json!("all")), "Platfrom"),
    ];
    for (properties, expected) in cases {
        let started = Instant::now();
        let answer = account.create(properties).await;
        let took = started.elapsed();
        let reason = failure(&answer);
        assert!(reason.contains(expected), "{reason}");
        assert_eq!(answer.physical_id, "create-failed");
        assert!(took < Duration::from_secs(1), "{took:?}: {reason}");
        println!("{reason}");
    }
    assert_eq!(account.repository.images(), Vec::<String>::new());
}

#[tokio::test]
async fn answers_an_event_that_is_none() {
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
        let answer = account.send(event.clone()).await;
        let reason = failure(&answer);
        println!("{reason}");
        let expected = event["PhysicalResourceId"].as_str().unwrap_or("create-failed");
        assert_eq!(answer.physical_id, expected, "{event}");
    }
}

#[tokio::test]
async fn an_update_bears_a_property_that_an_older_provider_ignored() {
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
    succeeded(&account.send(event).await);
}

#[tokio::test]
async fn the_same_create_twice_and_at_once_ends_in_the_same() {
    let account = account().await;
    let create = || account.create(account.properties("python:3.13"));
    let (first, second) = tokio::join!(create(), create());
    let third = create().await;
    for answer in [&first, &second, &third] {
        succeeded(answer);
    }
    assert_eq!(first.physical_id, second.physical_id);
    assert_eq!((&first.data, &first.physical_id), (&third.data, &third.physical_id));
    account.check_stored("3.13", &index(1));
}

#[tokio::test]
async fn names_the_permission_that_is_missing() {
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
        let answer = account.create(account.properties("python:3.13")).await;
        let reason = failure(&answer);
        assert!(reason.contains(action), "{action}: {reason}");
        println!("{reason}");
        assert_eq!(account.repository.resolve("3.13"), None);
    }
    let account = account().await;
    account.world.emulator.ecr().deny("ecr:DescribeRepositories", "*");
    succeeded(&account.create(account.properties("python:3.13")).await);
}

#[tokio::test]
async fn says_what_is_not_there() {
    let account = account().await;
    let mut nowhere = account.properties("python:3.13");
    nowhere["RepositoryArn"] = json!(account.world.emulator.repository_arn("nowhere"));
    let mut arm = account.properties("python:3.13");
    arm["Platform"] = json!("linux/s390x");
    for (properties, expected) in [
        (account.properties("python:9.99"), ["docker.io/library/python:9.99", "ImageReference"]),
        (account.properties("pyhton:3.13"), ["docker.io/library/pyhton:3.13", "ImageReference"]),
        (account.properties("registry.invalid/app:1"), ["registry.invalid", "cannot be reached"]),
        (nowhere, ["nowhere", "RepositoryArn"]),
        (arm, ["linux/amd64", "Platform"]),
    ] {
        let answer = account.create(properties).await;
        let reason = failure(&answer);
        println!("{reason}");
        for text in expected {
            assert!(reason.contains(text), "{text}: {reason}");
        }
    }
}

#[tokio::test]
async fn fails_in_time_and_says_how_far_it_came() {
    let account =
        Account::with(Mutability::Mutable, |settings| settings.timeout = Duration::from_secs(4)).await;
    let image =
        ImageBuilder::new(1).platforms(&["linux/amd64"]).layers(&[2_000_000, 1_000_000, 50_000]).index();
    account.publish("3.13", &image);
    let effect = Effect::Slow { bytes_per_second: 100_000, on: None };
    account.world.emulator.faults().add(Fault::on("blob.content", effect));
    let answer = account.create(account.properties("python:3.13")).await;
    let reason = failure(&answer);
    assert!(reason.contains("time ran out") && reason.contains("blobs"), "{reason}");
    assert_eq!(account.repository.resolve("3.13"), None);
    account.world.emulator.faults().clear();
    let mark = account.mark();
    let committed = account.repository.blobs().len();
    succeeded(&account.create(account.properties("python:3.13")).await);
    let again = account.world.emulator.log().count(mark, "upload.put");
    assert_eq!(again + committed, image.blobs.len(), "blobs that were there are not copied again");
}

#[tokio::test]
async fn the_answer_takes_its_time_but_comes_once() {
    let unavailable = |code| Effect::Status { code, headers: [].into(), body: String::new() };
    for (effect, times) in
        [(unavailable(500), 2), (unavailable(503), 1), (Effect::Reset { after_bytes: 5, on: None }, 1)]
    {
        let account = account().await;
        account.world.emulator.faults().add(Fault::on("response.put", effect).times(times));
        succeeded(&account.create(account.properties("python:3.13")).await);
        let mut defects = account.world.bucket.defects();
        defects.retain(|defect| !defect.contains("a fault reset"));
        assert_eq!(defects, Vec::<String>::new());
    }
}
