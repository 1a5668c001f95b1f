//! Deletes by direct events, without CloudFormation and Terraform.

#![expect(clippy::unwrap_used, reason = "a test may end in a panic")]

mod common;

use aws_emulator::Mutability;
use aws_emulator::stack::Template;
use common::direct::{event, invoke};
use common::{Account, index};
use serde_json::{Value, json};

const IMAGE: &str = "docker.io/library/python:3.13";

/// Copies the image for an owner.
async fn copy(account: &Account, owner: &str) {
    let shared = json!({"Owner": owner, "Shared": true});
    invoke(account, event(account, IMAGE, &shared)).await.unwrap();
}

/// Deletes the image for an owner. Returns the change and the message.
async fn delete(account: &Account, owner: &str) -> (String, String) {
    let deleted = event(account, IMAGE, &json!({"Action": "delete", "Owner": owner}));
    let result = invoke(account, deleted).await.unwrap();
    let uri = format!("{}:3.13", account.repository.uri());
    assert_eq!((&result["ImageReference"], &result["RequestedReference"]), (&json!(uri), &json!(IMAGE)));
    let text = |name: &str| result[name].as_str().unwrap().to_owned();
    (text("Change"), text("Message"))
}

#[track_caller]
fn check((change, message): (String, String), expected: &str, text: &str) {
    assert_eq!(change, expected, "{message}");
    assert!(message.contains(text), "{message}");
}

#[tokio::test]
async fn deletes_a_tag_with_its_last_owner() {
    let account = Account::new().await;
    let (first, second) = (index(1), index(2));
    account.publish("3.13", &first);
    copy(&account, "weekly").await;
    account.publish("3.13", &second);
    copy(&account, "nightly").await;

    // The tag is set back to the image of the other owner.
    check(delete(&account, "nightly").await, "kept", "another resource uses it");
    account.check_stored("3.13", &first);
    assert_eq!(account.owners(), ["weekly"]);

    let mark = account.mark();
    check(delete(&account, "weekly").await, "deleted", "The image was deleted");
    assert_eq!(account.source_operations(mark), [] as [&str; 0]);
    assert_eq!(account.repository.resolve("3.13"), None);
    assert_eq!(account.owners(), [] as [&str; 0]);
    check(delete(&account, "weekly").await, "kept", "does not own it");
}

#[tokio::test]
async fn keeps_a_tag_that_the_owner_does_not_own() {
    let account = Account::new().await;
    let image = index(1);
    account.publish("3.13", &image);
    account.repository.put_image(Some("3.13"), &image);
    check(delete(&account, "nightly").await, "kept", "does not own it");
    account.check_stored("3.13", &image);

    let stack = Template::new().image("Python", account.properties(IMAGE));
    account.stack.create(&stack).await;
    check(delete(&account, "nightly").await, "kept", "does not own it");
    account.check_stored("3.13", &image);
    assert_eq!(account.owners(), [format!("{}/Python", account.stack.id())]);
}

#[tokio::test]
async fn keeps_the_image_without_the_state_table() {
    let account = Account::with(Mutability::Mutable, |settings| {
        settings.environment.push(("STATE_TABLE".to_owned(), "none".to_owned()));
    })
    .await;
    let image = index(1);
    account.publish("3.13", &image);
    copy(&account, "nightly").await;
    check(delete(&account, "nightly").await, "kept", "the provider has no state table");
    account.check_stored("3.13", &image);
}

#[tokio::test]
async fn rejects_events_that_name_no_image() {
    let account = Account::new().await;
    let image = index(1);
    account.publish("3.13", &image);
    let by_digest = format!("docker.io/library/python@{}", image.digest());
    let cases = [
        (IMAGE, json!({"Tagg": "3"}), "Did you mean Tag?"),
        (IMAGE, json!({"DryRun": true}), "DryRun cannot be used in a delete"),
        (&by_digest, json!({"Platform": "linux/amd64"}), "Tag is missing"),
    ];
    copy(&account, "direct").await;
    for (reference, other, expected) in cases {
        let mut deleted: Value = event(&account, reference, &other);
        deleted["Action"] = json!("delete");
        let (kind, message) = invoke(&account, deleted).await.unwrap_err();
        assert!(kind == "Invalid" && message.contains(expected), "{other}: {kind} {message}");
    }
    account.check_stored("3.13", &image);
}
