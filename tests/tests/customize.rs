//! `Customize` in stacks and direct events: Dockerfile lines change each image of a copy.

#![expect(clippy::unwrap_used, reason = "a test may end in a panic")]

mod common;

use aws_emulator::stack::StackStatus::{
    CreateComplete, DeleteComplete, UpdateComplete, UpdateRollbackComplete,
};
use aws_emulator::stack::{OperationReport, Resource, StackStatus, Template, Trigger};
use aws_emulator::{Availability, Image, STATE_TABLE};
use common::direct::{event, invoke};
use common::{Account, index};
use serde_json::{Value, json};

const IMAGE: &str = "docker.io/library/python:3.13";
const MKDIR: &str = "RUN mkdir -p /vault/file && chmod 777 /vault/file";
const LOST: &str = "The copy has no signatures and attestations, because Customize changed the image.";

fn lines() -> Value {
    json!([MKDIR, "VOLUME /vault/file"])
}

/// Returns a template with one image and its lines.
fn template(account: &Account, reference: &str, lines: &Value, refresh: &str) -> Template {
    let mut properties = account.properties(reference);
    properties["Customize"] = lines.clone();
    properties["Refresh"] = json!(refresh);
    Template::new().image("A", properties)
}

#[track_caller]
fn check(report: &OperationReport, status: StackStatus) {
    assert_eq!(report.status, status, "{:?}", report.failures());
}

fn document(account: &Account, reference: &str) -> Value {
    serde_json::from_slice(&account.repository.manifest(reference).expect(reference)).unwrap()
}

/// Returns the platforms of an index in ECR with the configs of their images. Checks that the blobs exist.
#[track_caller]
fn configs(account: &Account, reference: &str) -> Vec<(String, Value)> {
    assert_eq!(account.repository.integrity_errors(reference), Vec::<String>::new());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let root = document(account, reference);
    let config = |child: &Value| {
        let manifest = document(account, &text(&child["digest"]));
        let blob = account.repository.blob(&text(&manifest["config"]["digest"])).unwrap();
        (text(&child["platform"]["architecture"]), serde_json::from_slice(&blob).unwrap())
    };
    root["manifests"].as_array().unwrap().iter().map(config).collect()
}

#[tokio::test]
async fn a_stack_creates_updates_rolls_back_and_deletes_a_changed_image() {
    let (account, image) = (Account::new().await, index(1));
    account.publish("3.13", &image);
    let (stack, repository) = (&account.stack, &account.repository);
    check(&stack.create(&template(&account, "python:3.13", &lines(), "1")).await, CreateComplete);
    let first = repository.resolve("3.13").unwrap();
    assert_ne!(first, image.digest());
    let created = configs(&account, "3.13");
    let names: Vec<&str> = created.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["amd64", "arm64"], "all platforms, and no attestations");
    for (_, config) in created {
        assert_eq!(config["config"]["Volumes"], json!({"/vault/file": {}}));
        assert_eq!(config["rootfs"]["diff_ids"].as_array().unwrap().len(), 3);
    }
    let attributes = stack.resource("A").unwrap().attributes;
    assert_eq!((&attributes["Digest"], &attributes["SourceDigest"]), (&json!(first), &json!(image.digest())));
    assert_eq!(attributes["Platforms"], json!(["linux/amd64", "linux/arm64"]));

    // Another property changes: one HEAD request.
    let (mark, blobs) = (account.mark(), repository.blobs().len());
    check(&stack.update(&template(&account, "python:3.13", &lines(), "2")).await, UpdateComplete);
    assert_eq!(account.source_operations(mark), ["manifest.head"]);
    assert_eq!((repository.resolve("3.13").as_ref(), repository.blobs().len()), (Some(&first), blobs));

    // A line changes: only the configs are new, because the layer is the same.
    let changed = json!(format!("ENV A=1\n{MKDIR}\nVOLUME /vault/file"));
    let second_template = template(&account, "python:3.13", &changed, "2");
    check(&stack.update(&second_template).await, UpdateComplete);
    let second = repository.resolve("3.13").unwrap();
    assert_ne!(second, first);
    assert_eq!(repository.blobs().len(), blobs + 2);
    check(&stack.update(&template(&account, "python:3.13", &lines(), "2")).await, UpdateComplete);
    assert_eq!(repository.resolve("3.13").as_ref(), Some(&first));

    // The Update and its rollback need no source.
    account.world.emulator.docker_hub().set_availability(Availability::Unreachable);
    let failing = Resource::simulated(json!({})).fails_to_create(Trigger::Immediately, "no").depends_on("A");
    check(&stack.update(&second_template.with("S", failing)).await, UpdateRollbackComplete);
    assert_eq!(repository.resolve("3.13").as_ref(), Some(&first));
    assert_eq!(configs(&account, "3.13").len(), 2);
    check(&stack.delete().await, DeleteComplete);
    assert_eq!(repository.images(), Vec::<String>::new());
    assert_eq!(account.owners(), Vec::<String>::new());
}

#[tokio::test]
async fn a_changed_image_without_a_tag_has_its_own_digest() {
    let (account, image) = (Account::new().await, index(1));
    account.publish("3.13", &image);
    let reference = format!("python@{}", image.digest());
    let (stack, repository) = (&account.stack, &account.repository);
    check(&stack.create(&template(&account, &reference, &lines(), "1")).await, CreateComplete);
    let digest = stack.resource("A").unwrap().attributes["Digest"].clone();
    assert_ne!(digest, json!(image.digest()));
    let id = format!("{}@{}", repository.uri(), digest.as_str().unwrap());
    assert_eq!(stack.physical_id("A"), Some(id.clone()));
    account.world.emulator.docker_hub().set_availability(Availability::Unreachable);
    let mark = account.mark();
    check(&stack.update(&template(&account, &reference, &lines(), "2")).await, UpdateComplete);
    assert_eq!(account.source_operations(mark), Vec::<String>::new());
    assert_eq!(stack.physical_id("A"), Some(id));
    check(&stack.delete().await, DeleteComplete);
    assert_eq!(repository.images(), Vec::<String>::new());
}

/// Makes all digests that were seen older than any minimum age.
fn make_older(account: &Account, image: &Image) {
    for mut item in account.items() {
        item["Seen"][image.digest()] = json!(1);
        put(account, &item);
    }
}

fn put(account: &Account, item: &Value) {
    account.world.emulator.dynamodb().put(&account.world.emulator.settings().region, STATE_TABLE, item);
}

#[tokio::test]
async fn direct_events_change_an_image_after_its_minimum_age() {
    let (account, image) = (Account::new().await, index(1));
    account.publish("3.13", &image);
    let keys = json!({"Customize": lines(), "MinAge": "48h"});
    let aged = event(&account, IMAGE, &keys);
    assert_eq!(invoke(&account, aged.clone()).await.unwrap()["Change"], "waiting");
    make_older(&account, &image);
    let copied = invoke(&account, aged.clone()).await.unwrap();
    assert_eq!(copied["Change"], "new");
    assert!(copied["Message"].as_str().unwrap().contains(LOST), "{copied}");
    // The digest of the changed image does not depend on the minimum age.
    for again in [aged, event(&account, IMAGE, &json!({"Customize": lines()}))] {
        let mark = account.mark();
        let copied_again = invoke(&account, again).await.unwrap();
        assert_eq!(
            (&copied_again["Change"], &copied_again["Digest"]),
            (&json!("unchanged"), &copied["Digest"])
        );
        assert_eq!(account.source_operations(mark), ["manifest.head"]);
    }
    let with_env = json!({"Customize": ["ENV A=1", MKDIR, "VOLUME /vault/file"]});
    let moved = invoke(&account, event(&account, IMAGE, &with_env)).await.unwrap();
    assert_eq!((&moved["Change"], &moved["PreviousDigest"]), (&json!("moved"), &copied["Digest"]));
    let bytes = moved["BytesCopied"].as_u64().unwrap();
    assert!((1..3000).contains(&bytes), "{bytes} bytes are more than two configs");
    let plain = invoke(&account, event(&account, IMAGE, &json!({}))).await.unwrap();
    assert_eq!((&plain["Change"], &plain["Digest"]), (&json!("moved"), &json!(image.digest())));
    let delete = event(&account, IMAGE, &json!({"Action": "delete"}));
    assert_eq!(invoke(&account, delete).await.unwrap()["Change"], "deleted");
    assert_eq!(account.repository.images(), Vec::<String>::new());
}

#[tokio::test]
async fn other_rules_for_the_same_lines_change_the_image_again() {
    let (account, image) = (Account::new().await, index(1));
    account.publish("3.13", &image);
    let event = event(&account, IMAGE, &json!({"Customize": lines()}));
    invoke(&account, event.clone()).await.unwrap();
    let mut item = account.items().remove(0);
    let digest = item["Copies"][0]["Customization"].as_str().unwrap();
    assert!(digest.starts_with("sha256:"), "{item}");
    item["Copies"][0]["Customization"] = json!(format!("sha256:{}", "0".repeat(64)));
    put(&account, &item);
    let mark = account.mark();
    invoke(&account, event).await.unwrap();
    let operations = account.source_operations(mark);
    assert!(operations.iter().any(|name| name == "manifest.get"), "{operations:?}");
    let item = account.items().remove(0);
    assert_eq!(item["Copies"].as_array().unwrap().len(), 2, "{item}");
}

#[tokio::test]
async fn an_invalid_line_changes_nothing() {
    let (account, image) = (Account::new().await, index(1));
    account.publish("3.13", &image);
    let stack = &account.stack;
    check(&stack.create(&template(&account, "python:3.13", &lines(), "1")).await, CreateComplete);
    let (digest, blobs) = (account.repository.resolve("3.13"), account.repository.blobs());
    for (lines, expected) in [
        (
            json!([MKDIR, "RUN apt-get update"]),
            "Customize is invalid: line 2: \"apt-get\" is not supported in RUN. Use mkdir,",
        ),
        (json!("RUN mkdir -p $HOME/x"), "cannot be customized: line 1: the variable HOME is not set by ENV."),
    ] {
        let updated = stack.update(&template(&account, "python:3.13", &lines, "2")).await;
        check(&updated, UpdateRollbackComplete);
        let failures = format!("{:?}", updated.failures()).replace("\\\"", "\"");
        assert!(failures.contains(expected), "{failures}");
        assert_eq!((&account.repository.resolve("3.13"), &account.repository.blobs()), (&digest, &blobs));
    }
    let keys = json!({"Customize": lines(), "IncludeReferrers": true});
    let (kind, message) = invoke(&account, event(&account, IMAGE, &keys)).await.unwrap_err();
    assert!(
        kind == "Invalid" && message.starts_with("IncludeReferrers is true with Customize:"),
        "{message}"
    );
}
