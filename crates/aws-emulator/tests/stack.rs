//! Stacks with the fake function.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

mod stack_fixture;

use std::time::Duration;

use aws_emulator::bucket::SignatureVersion;
use aws_emulator::stack::{
    CallOutcome, OperationReport, Phase, Policy, ReplacementRollback, Resource, StackStatus, Template,
    Trigger,
};
use serde_json::{Value, json};
use stack_fixture::{StackFixture, default_stack_fixture, stack_fixture_with};

/// Checks the status and the calls in the order in which they were sent.
fn check(report: &OperationReport, status: StackStatus, requests: &[&str]) {
    assert_eq!(report.status, status, "{:#?}", report.events);
    assert_eq!(report.summary(), requests, "{:#?}", report.events);
}

fn template_with_image(properties: Value) -> Template {
    Template::new().image("Image", properties)
}

/// A simulated resource that fails.
fn failing(trigger: Trigger) -> Resource {
    Resource::simulated(json!({ "Version": 1 })).fails_to_create(trigger, "no such subnet")
}

#[tokio::test]
async fn creates_updates_and_deletes_a_resource() {
    let fixture = default_stack_fixture().await;
    let StackFixture { stack, bucket, .. } = &fixture;
    let created = stack.create(&template_with_image(json!({ "Id": "a", "Flag": true, "Count": 3 }))).await;
    check(&created, StackStatus::CreateComplete, &["Create Image"]);
    let event = &created.calls[0].event;
    assert_eq!(event["ResourceProperties"]["Flag"], "true");
    assert_eq!(event["ResourceProperties"]["Count"], "3");
    assert_eq!(event["ServiceToken"], event["ResourceProperties"]["ServiceToken"]);
    assert!(event.get("PhysicalResourceId").is_none());
    assert_eq!(stack.physical_id("Image").unwrap(), "a");

    let same = stack.update(&template_with_image(json!({ "Id": "a", "Flag": "true", "Count": 3 }))).await;
    check(&same, StackStatus::UpdateComplete, &[]);

    let updated = stack.update(&template_with_image(json!({ "Id": "a", "Value": "new" }))).await;
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
async fn a_new_id_replaces_the_resource_and_deletes_the_old_one() {
    let fixture = default_stack_fixture().await;
    let StackFixture { stack, .. } = &fixture;
    stack.create(&template_with_image(json!({ "Id": "a" }))).await;
    let updated = stack.update(&template_with_image(json!({ "Id": "b" }))).await;
    check(&updated, StackStatus::UpdateComplete, &["Update Image", "Delete Image clean-up"]);
    assert_eq!(updated.calls[1].physical_id(), Some("a"));
    assert_eq!(updated.calls[1].event["ResourceProperties"]["Id"], "a");
    assert_eq!(stack.physical_id("Image").unwrap(), "b");
}

#[tokio::test]
async fn ignores_a_failed_clean_up() {
    let fixture = default_stack_fixture().await;
    let StackFixture { stack, .. } = &fixture;
    stack.create(&template_with_image(json!({ "Id": "a", "Delete": "fail" }))).await;
    let updated = stack.update(&template_with_image(json!({ "Id": "b" }))).await;
    check(&updated, StackStatus::UpdateComplete, &["Update Image", "Delete Image clean-up"]);
    check(&stack.delete().await, StackStatus::DeleteComplete, &["Delete Image"]);
}

#[tokio::test]
async fn deletes_a_failed_create_by_the_id_in_its_response() {
    let fixture = default_stack_fixture().await;
    let StackFixture { stack, .. } = &fixture;
    let created = stack.create(&template_with_image(json!({ "Create": "fail" }))).await;
    check(&created, StackStatus::RollbackComplete, &["Create Image", "Delete Image rollback"]);
    assert_eq!(created.calls[1].physical_id(), Some("create-failed"));
    let request = created.calls[0].event["RequestId"].as_str().unwrap();
    let expected = format!(
        "Received response status [FAILED] from custom resource. Message returned: requested by the event \
         (RequestId: {request})"
    );
    assert_eq!(created.failures(), [expected]);
}

#[tokio::test]
async fn rejects_a_response_without_an_id() {
    let fixture = default_stack_fixture().await;
    let StackFixture { stack, .. } = &fixture;
    let created = stack.create(&template_with_image(json!({ "Create": "no-id" }))).await;
    check(&created, StackStatus::RollbackComplete, &["Create Image", "Delete Image rollback"]);
    assert_eq!(created.failures(), ["Invalid PhysicalResourceId"]);
    assert!(created.calls[1].physical_id().unwrap().starts_with("shop-Image-"));
}

#[tokio::test]
async fn deletes_a_cancelled_create_and_ignores_its_late_response() {
    let fixture = default_stack_fixture().await;
    let StackFixture { stack, emulator, function, .. } = &fixture;
    let file = emulator.folder().join("go-on");
    let image = json!({ "Id": "late", "Create": "wait", "File": file.to_str() });
    let template =
        template_with_image(image).with("Subnet", failing(Trigger::RequestSent("Image".to_owned())));
    let created = stack.create(&template).await;
    check(&created, StackStatus::RollbackComplete, &["Create Image", "Delete Image rollback"]);
    assert_eq!(created.calls[0].outcome, CallOutcome::Cancelled);
    assert!(created.failures().contains(&"Resource creation cancelled".to_owned()));
    let generated = created.calls[1].physical_id().unwrap();
    let random = generated.strip_prefix("shop-Image-").unwrap();
    assert!(random.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()));

    std::fs::write(file, "").unwrap();
    assert!(function.wait_until_idle(stack_fixture::TIMEOUT).await);
    assert!(stack.resources().is_empty());
    assert_eq!(function.sandboxes().len(), 2, "Create and Delete ran concurrently");
}

#[tokio::test]
async fn rolls_back_a_failed_update_with_swapped_properties() {
    let fixture = default_stack_fixture().await;
    let StackFixture { stack, .. } = &fixture;
    stack.create(&template_with_image(json!({ "Id": "a", "Value": "old" }))).await;
    let updated = stack.update(&template_with_image(json!({ "Id": "a", "Update": "fail" }))).await;
    let requests = ["Update Image", "Update Image rollback"];
    check(&updated, StackStatus::UpdateRollbackComplete, &requests);
    let [update_event, rollback_event] = [0, 1].map(|index| &updated.calls[index].event);
    assert_eq!(update_event["ResourceProperties"], rollback_event["OldResourceProperties"]);
    assert_eq!(update_event["OldResourceProperties"], rollback_event["ResourceProperties"]);
    assert_ne!(update_event["RequestId"], rollback_event["RequestId"]);
    assert_eq!(stack.resource("Image").unwrap().attributes["Value"], "old");
    check(&stack.delete().await, StackStatus::DeleteComplete, &["Delete Image"]);
}

#[tokio::test]
async fn rolls_back_an_update_if_another_resource_fails() {
    let fixture = default_stack_fixture().await;
    let StackFixture { stack, .. } = &fixture;
    let template = |value: &str, task: Resource| {
        template_with_image(json!({ "Id": "a", "Value": value })).with("Task", task.depends_on("Image"))
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
async fn the_rollback_of_a_replacement_deletes_the_new_id() {
    for (rollback, requests) in [
        (ReplacementRollback::DeleteNew, &["Update Image", "Delete Image clean-up"][..]),
        (
            ReplacementRollback::UpdateThenDelete,
            &["Update Image", "Update Image rollback", "Delete Image clean-up"],
        ),
    ] {
        let fixture = stack_fixture_with(|_| {}, |settings| settings.replacement_rollback = rollback).await;
        let StackFixture { stack, .. } = &fixture;
        stack.create(&template_with_image(json!({ "Id": "a" }))).await;
        let template = template_with_image(json!({ "Id": "b" }))
            .with("Task", failing(Trigger::Immediately).depends_on("Image"));
        let updated = stack.update(&template).await;
        check(&updated, StackStatus::UpdateRollbackComplete, requests);
        assert_eq!(updated.calls.last().unwrap().physical_id(), Some("b"));
        assert_eq!(stack.physical_id("Image").unwrap(), "a");
    }
}

#[tokio::test]
async fn continues_a_failed_rollback() {
    let fixture = default_stack_fixture().await;
    let StackFixture { stack, .. } = &fixture;
    stack.create(&template_with_image(json!({ "Id": "a", "Update": "fail" }))).await;
    let updated =
        stack.update(&template_with_image(json!({ "Id": "a", "Update": "fail", "Value": "x" }))).await;
    let requests = ["Update Image", "Update Image rollback"];
    check(&updated, StackStatus::UpdateRollbackFailed, &requests);
    let again = stack.continue_update_rollback(&[]).await;
    check(&again, StackStatus::UpdateRollbackFailed, &["Update Image rollback"]);
    let skipped = stack.continue_update_rollback(&["Image"]).await;
    check(&skipped, StackStatus::UpdateRollbackComplete, &[]);
    check(&stack.delete().await, StackStatus::DeleteComplete, &["Delete Image"]);
}

#[tokio::test]
async fn creates_a_renamed_resource_and_deletes_the_old_one() {
    let fixture = default_stack_fixture().await;
    let StackFixture { stack, .. } = &fixture;
    stack.create(&template_with_image(json!({ "Id": "a" }))).await;
    let renamed = Template::new().image("Picture", json!({ "Id": "a" }));
    let updated = stack.update(&renamed).await;
    check(&updated, StackStatus::UpdateComplete, &["Create Picture", "Delete Image clean-up"]);

    let template = template_with_image(json!({ "Id": "a" }))
        .with("Task", failing(Trigger::Immediately).depends_on("Image"));
    let updated = stack.update(&template).await;
    let requests = ["Create Image", "Delete Image clean-up"];
    check(&updated, StackStatus::UpdateRollbackComplete, &requests);
    assert_eq!(stack.resources().keys().collect::<Vec<_>>(), ["Picture"]);
}

#[tokio::test]
async fn keeps_a_resource_whose_delete_fails() {
    let fixture = default_stack_fixture().await;
    let StackFixture { stack, .. } = &fixture;
    stack.create(&template_with_image(json!({ "Id": "a", "Delete": "fail" }))).await;
    check(&stack.delete().await, StackStatus::DeleteFailed, &["Delete Image"]);
    assert_eq!(stack.physical_id("Image").unwrap(), "a");
    check(&stack.delete().await, StackStatus::DeleteFailed, &["Delete Image"]);
}

#[tokio::test]
async fn sends_no_delete_for_a_retained_resource() {
    let fixture = default_stack_fixture().await;
    let StackFixture { stack, .. } = &fixture;
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
async fn resolves_attributes_and_rejects_missing_ones() {
    let fixture = default_stack_fixture().await;
    let StackFixture { stack, .. } = &fixture;
    let template = |attribute: &str| {
        template_with_image(json!({ "Id": "a", "Value": "v" })).image(
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
async fn creates_independent_resources_concurrently() {
    let fixture = default_stack_fixture().await;
    let StackFixture { stack, emulator, function, .. } = &fixture;
    let file = emulator.folder().join("both-run");
    let image = json!({ "Create": "wait", "File": file.to_str() });
    let template = Template::new().image("A", image.clone()).image("B", image);
    let both = async {
        while function.sandboxes().len() < 2 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        std::fs::write(&file, "").unwrap();
    };
    let both = tokio::time::timeout(stack_fixture::TIMEOUT, both);
    let (created, both) = tokio::join!(stack.create(&template), both);
    both.unwrap();
    assert_eq!(created.status, StackStatus::CreateComplete);
}

#[tokio::test]
async fn continues_to_wait_after_a_discarded_response() {
    for behaviour in ["null-reason", "wrong-request"] {
        let fixture = default_stack_fixture().await;
        let StackFixture { stack, .. } = &fixture;
        let properties = json!({ "Create": behaviour, "ServiceTimeout": 100 });
        let created = stack.create(&template_with_image(properties)).await;
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
async fn only_the_first_response_counts() {
    let fixture = default_stack_fixture().await;
    let StackFixture { stack, function, .. } = &fixture;
    let created = stack.create(&template_with_image(json!({ "Id": "a", "Create": "twice" }))).await;
    check(&created, StackStatus::CreateComplete, &["Create Image"]);
    assert!(function.wait_until_idle(stack_fixture::TIMEOUT).await);
    assert_eq!(stack.physical_id("Image").unwrap(), "a");
}

#[tokio::test]
async fn accepts_urls_with_signature_version_2() {
    let fixture = stack_fixture_with(|_| {}, |settings| settings.signature = SignatureVersion::V2).await;
    let StackFixture { stack, .. } = &fixture;
    check(
        &stack.create(&template_with_image(json!({}))).await,
        StackStatus::CreateComplete,
        &["Create Image"],
    );
}

#[tokio::test]
async fn completes_and_sends_a_custom_event() {
    let fixture = default_stack_fixture().await;
    let StackFixture { stack, .. } = &fixture;
    let call = stack.send(json!({ "RequestType": "Create", "Any": 1 })).await;
    assert_eq!(call.response().unwrap().physical_id, "Resource");
}
