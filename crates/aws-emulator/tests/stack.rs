//! Stacks with the fake function.

#![expect(clippy::unwrap_used, reason = "a test may end in a panic")]

mod stack_fixture;

use std::time::Duration;

use aws_emulator::bucket::SignatureVersion;
use aws_emulator::stack::{
    CallOutcome, OperationReport, Phase, Policy, ReplacementRollback, Resource, StackStatus, Template,
    Trigger,
};
use serde_json::{Value, json};
use stack_fixture::{World, world, world_with};

/// Checks the status and the calls in the order in which they were sent.
fn check(transcript: &OperationReport, status: StackStatus, requests: &[&str]) {
    assert_eq!(transcript.status, status, "{:#?}", transcript.events);
    assert_eq!(transcript.summary(), requests, "{:#?}", transcript.events);
}

fn one(properties: Value) -> Template {
    Template::new().image("Image", properties)
}

/// A simulated resource that fails.
fn failing(trigger: Trigger) -> Resource {
    Resource::simulated(json!({ "Version": 1 })).fails_to_create(trigger, "no such subnet")
}

#[tokio::test]
async fn a_life_from_create_to_delete() {
    let world = world().await;
    let World { stack, bucket, .. } = &world;
    let created = stack.create(&one(json!({ "Id": "a", "Flag": true, "Count": 3 }))).await;
    check(&created, StackStatus::CreateComplete, &["Create Image"]);
    let event = &created.calls[0].event;
    assert_eq!(event["ResourceProperties"]["Flag"], "true");
    assert_eq!(event["ResourceProperties"]["Count"], "3");
    assert_eq!(event["ServiceToken"], event["ResourceProperties"]["ServiceToken"]);
    assert!(event.get("PhysicalResourceId").is_none());
    assert_eq!(stack.physical_id("Image").unwrap(), "a");

    let same = stack.update(&one(json!({ "Id": "a", "Flag": "true", "Count": 3 }))).await;
    check(&same, StackStatus::UpdateComplete, &[]);

    let updated = stack.update(&one(json!({ "Id": "a", "Value": "new" }))).await;
    check(&updated, StackStatus::UpdateComplete, &["Update Image"]);
    let event = &updated.calls[0].event;
    assert_eq!(event["PhysicalResourceId"], "a");
    assert_eq!(event["OldResourceProperties"]["Count"], "3");
    assert_eq!(stack.resource("Image").unwrap().attributes["Value"], "new");

    let deleted = stack.delete().await;
    check(&deleted, StackStatus::DeleteComplete, &["Delete Image"]);
    assert_eq!(deleted.calls[0].physical_id(), Some("a"));
    assert!(stack.resources().is_empty());
    assert_eq!(bucket.defects(), [""; 0]);
}

#[tokio::test]
async fn a_new_id_is_a_replacement_and_the_old_one_is_cleaned_up() {
    let world = world().await;
    let World { stack, .. } = &world;
    stack.create(&one(json!({ "Id": "a" }))).await;
    let updated = stack.update(&one(json!({ "Id": "b" }))).await;
    check(&updated, StackStatus::UpdateComplete, &["Update Image", "Delete Image clean-up"]);
    assert_eq!(updated.calls[1].physical_id(), Some("a"));
    assert_eq!(updated.calls[1].event["ResourceProperties"]["Id"], "a");
    assert_eq!(stack.physical_id("Image").unwrap(), "b");
}

#[tokio::test]
async fn a_clean_up_that_fails_is_abandoned() {
    let world = world().await;
    let World { stack, .. } = &world;
    stack.create(&one(json!({ "Id": "a", "Delete": "fail" }))).await;
    let updated = stack.update(&one(json!({ "Id": "b" }))).await;
    check(&updated, StackStatus::UpdateComplete, &["Update Image", "Delete Image clean-up"]);
    check(&stack.delete().await, StackStatus::DeleteComplete, &["Delete Image"]);
}

#[tokio::test]
async fn a_failed_create_is_deleted_by_the_id_it_answered() {
    let world = world().await;
    let World { stack, .. } = &world;
    let created = stack.create(&one(json!({ "Create": "fail" }))).await;
    check(&created, StackStatus::RollbackComplete, &["Create Image", "Delete Image rollback"]);
    assert_eq!(created.calls[1].physical_id(), Some("create-failed"));
    let request = created.calls[0].event["RequestId"].as_str().unwrap();
    let expected = format!(
        "Received response status [FAILED] from custom resource. Message returned: as told \
         (RequestId: {request})"
    );
    assert_eq!(created.failures(), [expected]);
}

#[tokio::test]
async fn an_answer_without_id_fails_in_cloudformations_words() {
    let world = world().await;
    let World { stack, .. } = &world;
    let created = stack.create(&one(json!({ "Create": "no-id" }))).await;
    check(&created, StackStatus::RollbackComplete, &["Create Image", "Delete Image rollback"]);
    assert_eq!(created.failures(), ["Invalid PhysicalResourceId"]);
    assert!(created.calls[1].physical_id().unwrap().starts_with("shop-Image-"));
}

#[tokio::test]
async fn a_cancelled_create_is_deleted_while_it_runs_and_its_late_answer_is_ignored() {
    let world = world().await;
    let World { stack, emulator, function, .. } = &world;
    let file = emulator.folder().join("go-on");
    let image = json!({ "Id": "late", "Create": "wait", "File": file.to_str() });
    let template = one(image).with("Subnet", failing(Trigger::RequestSent("Image".to_owned())));
    let created = stack.create(&template).await;
    check(&created, StackStatus::RollbackComplete, &["Create Image", "Delete Image rollback"]);
    assert_eq!(created.calls[0].outcome, CallOutcome::Cancelled);
    assert!(created.failures().contains(&"Resource creation cancelled".to_owned()));
    let invented = created.calls[1].physical_id().unwrap();
    let random = invented.strip_prefix("shop-Image-").unwrap();
    assert!(random.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()));

    std::fs::write(file, "").unwrap();
    assert!(function.wait_until_idle(stack_fixture::PATIENCE).await);
    assert!(stack.resources().is_empty());
    assert_eq!(function.sandboxes().len(), 2, "the Delete ran beside the Create");
}

#[tokio::test]
async fn a_failed_update_is_rolled_back_with_the_properties_swapped() {
    let world = world().await;
    let World { stack, .. } = &world;
    stack.create(&one(json!({ "Id": "a", "Value": "old" }))).await;
    let updated = stack.update(&one(json!({ "Id": "a", "Update": "fail" }))).await;
    let requests = ["Update Image", "Update Image rollback"];
    check(&updated, StackStatus::UpdateRollbackComplete, &requests);
    let [there, back] = [0, 1].map(|index| &updated.calls[index].event);
    assert_eq!(there["ResourceProperties"], back["OldResourceProperties"]);
    assert_eq!(there["OldResourceProperties"], back["ResourceProperties"]);
    assert_ne!(there["RequestId"], back["RequestId"]);
    assert_eq!(stack.resource("Image").unwrap().attributes["Value"], "old");
    check(&stack.delete().await, StackStatus::DeleteComplete, &["Delete Image"]);
}

#[tokio::test]
async fn an_update_that_succeeded_is_undone_when_a_sibling_fails() {
    let world = world().await;
    let World { stack, .. } = &world;
    let template = |value: &str, sibling: Resource| {
        one(json!({ "Id": "a", "Value": value })).with("Task", sibling.depends_on("Image"))
    };
    stack.create(&template("old", Resource::simulated(json!({ "Version": 1 })))).await;
    let task = Resource::simulated(json!({ "Version": 2 }));
    let task = task.fails_to_update(Trigger::Immediately, "does not start");
    let updated = stack.update(&template("new", task)).await;
    let requests = ["Update Image", "Update Image rollback"];
    check(&updated, StackStatus::UpdateRollbackComplete, &requests);
    assert_eq!(updated.failures(), ["does not start"]);
    assert_eq!(stack.resource("Image").unwrap().attributes["Value"], "old");
}

#[tokio::test]
async fn a_replacement_that_is_rolled_back_loses_the_new_id() {
    for (rollback, requests) in [
        (ReplacementRollback::DeleteNew, &["Update Image", "Delete Image clean-up"][..]),
        (
            ReplacementRollback::UpdateThenDelete,
            &["Update Image", "Update Image rollback", "Delete Image clean-up"],
        ),
    ] {
        let world = world_with(|_| {}, |settings| settings.replacement_rollback = rollback).await;
        let World { stack, .. } = &world;
        stack.create(&one(json!({ "Id": "a" }))).await;
        let template =
            one(json!({ "Id": "b" })).with("Task", failing(Trigger::Immediately).depends_on("Image"));
        let updated = stack.update(&template).await;
        check(&updated, StackStatus::UpdateRollbackComplete, requests);
        assert_eq!(updated.calls.last().unwrap().physical_id(), Some("b"));
        assert_eq!(stack.physical_id("Image").unwrap(), "a");
    }
}

#[tokio::test]
async fn a_rollback_that_fails_can_be_continued() {
    let world = world().await;
    let World { stack, .. } = &world;
    stack.create(&one(json!({ "Id": "a", "Update": "fail" }))).await;
    let updated = stack.update(&one(json!({ "Id": "a", "Update": "fail", "Value": "x" }))).await;
    let requests = ["Update Image", "Update Image rollback"];
    check(&updated, StackStatus::UpdateRollbackFailed, &requests);
    let again = stack.continue_update_rollback(&[]).await;
    check(&again, StackStatus::UpdateRollbackFailed, &["Update Image rollback"]);
    let skipped = stack.continue_update_rollback(&["Image"]).await;
    check(&skipped, StackStatus::UpdateRollbackComplete, &[]);
    check(&stack.delete().await, StackStatus::DeleteComplete, &["Delete Image"]);
}

#[tokio::test]
async fn a_renamed_resource_is_created_anew_and_the_old_one_cleaned_up() {
    let world = world().await;
    let World { stack, .. } = &world;
    stack.create(&one(json!({ "Id": "a" }))).await;
    let renamed = Template::new().image("Picture", json!({ "Id": "a" }));
    let updated = stack.update(&renamed).await;
    check(&updated, StackStatus::UpdateComplete, &["Create Picture", "Delete Image clean-up"]);

    let back = one(json!({ "Id": "a" })).with("Task", failing(Trigger::Immediately).depends_on("Image"));
    let updated = stack.update(&back).await;
    let requests = ["Create Image", "Delete Image clean-up"];
    check(&updated, StackStatus::UpdateRollbackComplete, &requests);
    assert_eq!(stack.resources().keys().collect::<Vec<_>>(), ["Picture"]);
}

#[tokio::test]
async fn a_failed_delete_leaves_the_resource_in_the_stack() {
    let world = world().await;
    let World { stack, .. } = &world;
    stack.create(&one(json!({ "Id": "a", "Delete": "fail" }))).await;
    check(&stack.delete().await, StackStatus::DeleteFailed, &["Delete Image"]);
    assert_eq!(stack.physical_id("Image").unwrap(), "a");
    check(&stack.delete().await, StackStatus::DeleteFailed, &["Delete Image"]);
}

#[tokio::test]
async fn what_is_retained_gets_no_delete() {
    let world = world().await;
    let World { stack, .. } = &world;
    let image = |id: &str| {
        let image = Resource::custom("Custom::ContainerImage", json!({ "Id": id }));
        let image = image.deletion_policy(Policy::Retain).update_replace_policy(Policy::Retain);
        Template::new().with("Image", image)
    };
    stack.create(&image("a")).await;
    check(&stack.update(&image("b")).await, StackStatus::UpdateComplete, &["Update Image"]);
    check(&stack.delete().await, StackStatus::DeleteComplete, &[]);
}

#[tokio::test]
async fn attributes_reach_dependants_and_a_missing_one_fails_them() {
    let world = world().await;
    let World { stack, .. } = &world;
    let template = |attribute: &str| {
        one(json!({ "Id": "a", "Value": "v" })).image(
            "Next",
            json!({ "Value": { "Fn::GetAtt": ["Image", attribute] }, "Of": { "Ref": "Image" } }),
        )
    };
    let created = stack.create(&template("Value")).await;
    check(&created, StackStatus::CreateComplete, &["Create Image", "Create Next"]);
    assert_eq!(created.calls[1].event["ResourceProperties"]["Value"], "v");
    assert_eq!(created.calls[1].event["ResourceProperties"]["Of"], "a");
    let updated = stack.update(&template("Digest")).await;
    check(&updated, StackStatus::UpdateRollbackComplete, &[]);
    let reason = &updated.failures()[0];
    let expected = "CustomResource attribute error: Vendor response doesn't contain Digest key";
    assert!(reason.starts_with(expected), "{reason}");
    let order = stack.delete().await;
    check(&order, StackStatus::DeleteComplete, &["Delete Next", "Delete Image"]);
}

#[tokio::test]
async fn independent_resources_are_created_at_the_same_time() {
    let world = world().await;
    let World { stack, emulator, function, .. } = &world;
    let file = emulator.folder().join("both-run");
    let image = json!({ "Create": "wait", "File": file.to_str() });
    let template = Template::new().image("A", image.clone()).image("B", image);
    let both = async {
        while function.sandboxes().len() < 2 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        std::fs::write(&file, "").unwrap();
    };
    let both = tokio::time::timeout(stack_fixture::PATIENCE, both);
    let (created, both) = tokio::join!(stack.create(&template), both);
    both.unwrap();
    assert_eq!(created.status, StackStatus::CreateComplete);
}

#[tokio::test]
async fn an_answer_that_is_discarded_leaves_the_stack_waiting() {
    for behaviour in ["null-reason", "wrong-request"] {
        let world = world().await;
        let World { stack, .. } = &world;
        let properties = json!({ "Create": behaviour, "ServiceTimeout": 100 });
        let created = stack.create(&one(properties)).await;
        check(&created, StackStatus::RollbackComplete, &["Create Image", "Delete Image rollback"]);
        let call = &created.calls[0];
        assert_eq!((call.outcome.clone(), call.phase), (CallOutcome::TimedOut, Phase::Main));
        assert_eq!(call.discarded_responses.len(), 1, "{call:?}");
        assert!(call.duration >= Duration::from_secs(1), "{call:?}");
        let reason = &created.failures()[0];
        assert!(reason.starts_with("CloudFormation did not receive a response"), "{reason}");
    }
}

#[tokio::test]
async fn only_the_first_answer_counts() {
    let world = world().await;
    let World { stack, function, .. } = &world;
    let created = stack.create(&one(json!({ "Id": "a", "Create": "twice" }))).await;
    check(&created, StackStatus::CreateComplete, &["Create Image"]);
    assert!(function.wait_until_idle(stack_fixture::PATIENCE).await);
    assert_eq!(stack.physical_id("Image").unwrap(), "a");
}

#[tokio::test]
async fn urls_of_the_older_kind_work_too() {
    let world = world_with(|_| {}, |settings| settings.signature = SignatureVersion::V2).await;
    let World { stack, .. } = &world;
    check(&stack.create(&one(json!({}))).await, StackStatus::CreateComplete, &["Create Image"]);
}

#[tokio::test]
async fn an_event_made_by_hand_is_completed_and_awaited() {
    let world = world().await;
    let World { stack, .. } = &world;
    let call = stack.send(json!({ "RequestType": "Create", "Any": 1 })).await;
    assert_eq!(call.response().unwrap().physical_id, "Resource");
}
