//! Direct events: the function's result or error, without CloudFormation.

#![expect(clippy::unwrap_used, reason = "a test may end in a panic")]

mod common;

use std::time::Duration;

use aws_emulator::stack::{StackStatus, Template};
use aws_emulator::{Effect, Fault, Image, ImageBuilder, Mutability};
use common::direct::{event, invoke};
use common::{Account, index};
use serde_json::{Value, json};

const OWNER: &str = "terraform/base/python";

/// Event of `aws_lambda_invocation` with `lifecycle_scope = "CRUD"`.
fn terraform(account: &Account, action: &str, image: &str, tag: &str, previous: &Value) -> Value {
    event(
        account,
        image,
        &json!({"Tag": tag, "Owner": OWNER, "tf": {"action": action, "prev_input": previous}}),
    )
}

/// Input of an event, as Terraform keeps it.
fn input(event: &Value) -> Value {
    let mut input = event.clone();
    input.as_object_mut().unwrap().remove("tf");
    input
}

#[tokio::test]
async fn copies_and_reports_the_change() {
    let account = Account::new().await;
    let (first, second) = (index(1), index(2));
    account.publish("3.13", &first);
    let image = "docker.io/library/python:3.13";
    let plan = invoke(&account, event(&account, image, &json!({"DryRun": true}))).await.unwrap();
    assert_eq!((&plan["Change"], &plan["Digest"]), (&json!("new"), &json!(first.digest())));
    assert!(plan["BytesToCopy"].as_u64().unwrap() > 0, "{plan}");
    assert_eq!(account.repository.resolve("3.13"), None);
    assert_eq!(account.owners(), Vec::<String>::new());

    let copied = invoke(&account, event(&account, image, &json!({"Owner": "nightly"}))).await.unwrap();
    account.check_stored("3.13", &first);
    assert_eq!(account.owners(), ["nightly"]);
    assert_eq!(copied["ImageUri"], format!("{}@{}", account.repository.uri(), first.digest()));
    assert_eq!((&copied["Change"], &copied["PreviousDigest"]), (&json!("new"), &json!("")));
    assert_eq!(copied["Platforms"], json!(["linux/amd64", "linux/arm64"]));

    let mark = account.mark();
    let again = invoke(&account, event(&account, image, &json!({"Owner": "nightly"}))).await.unwrap();
    assert_eq!(
        (&again["Change"], &again["Pulls"], &again["BytesCopied"]),
        (&json!("unchanged"), &json!(0), &json!(0))
    );
    assert_eq!(account.source_operations(mark).len(), 1, "one HEAD request");

    account.publish("3.13", &second);
    let moved = invoke(&account, event(&account, image, &json!({"Owner": "nightly"}))).await.unwrap();
    account.check_stored("3.13", &second);
    assert_eq!((&moved["Change"], &moved["PreviousDigest"]), (&json!("moved"), &json!(first.digest())));
}

#[tokio::test]
async fn failures_are_function_errors_with_a_class() {
    let account = Account::new().await;
    account.publish("3.13", &index(1));
    let image = "docker.io/library/python:3.13";
    let cases = [
        (json!({"ImageReference": 3}), "Invalid", "ImageReference is missing or not a string"),
        (json!({"Owner": "two words"}), "Invalid", "Owner is \"two words\""),
        (json!({"Platforms": "all"}), "Invalid", "Did you mean Platform?"),
        (json!({"Platform": "linux/s390x"}), "NotFound", "linux/s390x"),
        (json!({"ImageReference": "docker.io/library/python:9"}), "NotFound", "was not found"),
        (
            json!({"CredentialArn": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:x-AbCdEf"}),
            "AccessDenied",
            "secret",
        ),
        (json!({"tf": {"action": "create"}}), "Invalid", "Owner is missing"),
    ];
    for (other, kind, expected) in cases {
        let (found, message) = invoke(&account, event(&account, image, &other)).await.unwrap_err();
        assert!(found == kind && message.contains(expected), "{other}: {found} {message}");
        assert!(message.contains("(CI-") && !message.contains('\n'), "{message}");
    }
    assert_eq!(account.owners(), Vec::<String>::new());
    assert_eq!(account.repository.images(), Vec::<String>::new());
}

#[tokio::test]
async fn a_copy_that_does_not_fit_continues_with_the_repeated_event() {
    let account =
        Account::with(Mutability::Mutable, |settings| settings.timeout = Duration::from_secs(4)).await;
    let image = ImageBuilder::new(1).layers(&[400_000; 12]).single();
    account.publish("3.13", &image);
    let effect = Effect::Slow { bytes_per_second: 200_000, on: None };
    account.world.emulator.faults().add(Fault::on("blob.content", effect));
    let event = event(&account, "docker.io/library/python:3.13", &json!({"Owner": "nightly"}));
    let (kind, message) = invoke(&account, event.clone()).await.unwrap_err();
    assert_eq!(kind, "Timeout", "{message}");
    assert!(message.contains("Invoke the function with the same event again"), "{message}");
    let mut attempts = 1;
    let copied = loop {
        attempts += 1;
        assert!(attempts < 8, "no progress");
        match invoke(&account, event.clone()).await {
            Ok(copied) => break copied,
            Err((kind, message)) => assert_eq!(kind, "Timeout", "{message}"),
        }
    };
    assert_eq!(copied["Change"], "new");
    account.check_stored("3.13", &image);
}

#[tokio::test]
async fn terraform_creates_updates_and_deletes() {
    let account = Account::new().await;
    let (first, second): (Image, Image) = (index(1), index(2));
    account.publish("3.13", &first);
    account.publish("3.14", &second);
    let (old, new) = ("docker.io/library/python:3.13", "docker.io/library/python:3.14");
    let created = terraform(&account, "create", old, "base", &Value::Null);
    invoke(&account, created.clone()).await.unwrap();
    account.check_stored("base", &first);
    assert_eq!(account.owners(), [OWNER]);

    // The same tag: the image moves.
    let updated = terraform(&account, "update", new, "base", &input(&created));
    let result = invoke(&account, updated.clone()).await.unwrap();
    assert_eq!((&result["Change"], &result["PreviousDigest"]), (&json!("moved"), &json!(first.digest())));
    account.check_stored("base", &second);

    // Another tag: the previous one is deleted afterwards.
    let renamed = terraform(&account, "update", new, "latest", &input(&updated));
    let result = invoke(&account, renamed.clone()).await.unwrap();
    assert!(
        result["Message"].as_str().unwrap().contains("Previous image: The image was deleted"),
        "{result}"
    );
    assert_eq!(account.repository.resolve("base"), None);
    account.check_stored("latest", &second);

    // A failed update changes nothing. Its repetition has the failed input as the previous one.
    let failed = terraform(&account, "update", "docker.io/library/python:9", "latest", &input(&renamed));
    let (kind, _) = invoke(&account, failed.clone()).await.unwrap_err();
    assert_eq!(kind, "NotFound");
    account.check_stored("latest", &second);
    let repaired = terraform(&account, "update", old, "latest", &input(&failed));
    invoke(&account, repaired.clone()).await.unwrap();
    account.check_stored("latest", &first);

    // Events can be repeated.
    invoke(&account, repaired.clone()).await.unwrap();
    let deleted = terraform(&account, "delete", old, "latest", &input(&repaired));
    for _ in 0..2 {
        invoke(&account, deleted.clone()).await.unwrap();
        assert_eq!(account.repository.resolve("latest"), None);
        assert_eq!(account.owners(), Vec::<String>::new());
    }
    let output = account.world.function.output();
    let deleted = output.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut deleted = deleted.filter(|line| line["outcome"] == "deleted");
    let name = |tag: &str| json!(format!("{}:{tag}", account.repository.uri()));
    assert_eq!(deleted.next().unwrap()["destination"], name("base"));
    assert_eq!(deleted.next().unwrap()["destination"], name("latest"));
}

#[tokio::test]
async fn a_stack_and_terraform_on_one_tag_keep_it_for_each_other() {
    let account = Account::new().await;
    let image = index(1);
    account.publish("3.13", &image);
    let reference = "docker.io/library/python:3.13";
    let stack = Template::new().image("Python", account.properties(reference));
    account.stack.create(&stack).await;
    let created = terraform(&account, "create", reference, "3.13", &Value::Null);
    invoke(&account, created.clone()).await.unwrap();
    let deleted = terraform(&account, "delete", reference, "3.13", &input(&created));
    let result = invoke(&account, deleted).await.unwrap();
    assert!(result["Message"].as_str().unwrap().contains("another resource uses it"), "{result}");
    account.check_stored("3.13", &image);
}

#[tokio::test]
async fn a_failed_create_leaves_no_owner() {
    let account = Account::with(Mutability::Immutable, |_| {}).await;
    account.publish("3.13", &index(1));
    account.publish("3.14", &index(2));
    let reference = "docker.io/library/python:3.13";
    invoke(&account, terraform(&account, "create", reference, "base", &Value::Null)).await.unwrap();
    let mut other = terraform(&account, "create", "docker.io/library/python:3.14", "base", &Value::Null);
    other["Owner"] = json!("terraform/other");
    let (kind, message) = invoke(&account, other).await.unwrap_err();
    assert_eq!(kind, "Rejected", "{message}");
    assert_eq!(account.owners(), [OWNER]);
}

#[tokio::test]
async fn an_event_does_not_move_the_tag_of_a_stack_unless_it_is_shared() {
    let account = Account::new().await;
    let (first, second) = (index(1), index(2));
    account.publish("3.13", &first);
    let reference = "docker.io/library/python:3.13";
    let stack = Template::new().image("Python", account.properties(reference));
    account.stack.create(&stack).await;
    // The same image is no conflict.
    let nightly = event(&account, reference, &json!({"Owner": "nightly"}));
    invoke(&account, nightly.clone()).await.unwrap();

    account.publish("3.13", &second);
    let mark = account.mark();
    let (kind, message) = invoke(&account, nightly.clone()).await.unwrap_err();
    assert_eq!(kind, "Rejected", "{message}");
    assert!(
        message.contains("/Python with another image") && message.contains("so nightly cannot"),
        "{message}"
    );
    account.check_stored("3.13", &first);
    let operations = account.source_operations(mark);
    assert!(!operations.iter().any(|name| name == "blob.content"), "{operations:?}");

    // The stack does not move the tag of the event either.
    let refreshed = {
        let mut properties = account.properties(reference);
        properties["Refresh"] = json!("1");
        Template::new().image("Python", properties)
    };
    let failed = account.stack.update(&refreshed).await;
    assert_eq!(failed.status, StackStatus::UpdateRollbackComplete, "{:?}", failed.failures());
    assert!(
        failed.failures().join(" ").contains("belongs to nightly with another image"),
        "{:?}",
        failed.failures()
    );
    account.check_stored("3.13", &first);

    let shared = event(&account, reference, &json!({"Owner": "nightly", "Shared": true}));
    invoke(&account, shared).await.unwrap();
    account.check_stored("3.13", &second);
    let updated = account.stack.update(&refreshed).await;
    assert_eq!(updated.failures(), Vec::<String>::new());
}
