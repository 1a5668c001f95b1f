//! Stacks: physical ids, attributes, rollback and deletion.

mod common;

use aws_emulator::stack::{StackStatus, Template};
use aws_emulator::{Availability, Mutability};
use common::{Account, check_success, failure_reason, index};
use serde_json::json;

#[tokio::test]
async fn creates_updates_rolls_back_and_deletes() {
    let account = Account::new().await;
    let (first, second, third) = (index(1), index(2), index(3));
    let pinned = |digest: &str| {
        let image = format!("docker.io/library/python:3.13@{digest}");
        Template::new().image("Python", account.properties(&image))
    };
    account.publish("3.13", &first);
    let created = account.stack.create(&pinned(first.digest())).await;
    assert_eq!(created.status, StackStatus::CreateComplete, "{:?}", created.failures());
    account.check_stored("3.13", &first);
    let live = account.stack.resource("Python").unwrap();
    assert_eq!(live.physical_id, format!("{}:3.13", account.repository.uri()));
    let attribute = |name: &str| live.attributes[name].as_str().unwrap().to_owned();
    assert_eq!(attribute("ImageReference"), live.physical_id);
    assert_eq!(attribute("Digest"), first.digest());
    assert_eq!(attribute("ImageUri"), format!("{}@{}", account.repository.uri(), first.digest()));
    assert_eq!(attribute("SourceDigest"), first.digest());
    assert_eq!(attribute("SourceReference"), format!("docker.io/library/python:3.13@{}", first.digest()));
    assert_eq!(attribute("RepositoryUri"), account.repository.uri());
    assert_eq!(attribute("Tag"), "3.13");
    assert_eq!(attribute("MediaType"), first.root().media_type);
    assert_eq!(attribute("Size"), first.blobs.iter().map(aws_emulator::Blob::size).sum::<u64>().to_string());
    assert_eq!(live.attributes["Platforms"], json!(["linux/amd64", "linux/arm64"]));

    account.publish("3.13", &second);
    let updated = account.stack.update(&pinned(second.digest())).await;
    assert_eq!(updated.status, StackStatus::UpdateComplete, "{:?}", updated.failures());
    assert_eq!(updated.summary(), ["Update Python"], "the physical id must not change");
    account.check_stored("3.13", &second);
    assert!(account.repository.manifest(first.digest()).is_some(), "the old image must remain without a tag");

    account.world.emulator.docker_hub().set_availability(Availability::Unreachable);
    let failed = account.stack.update(&pinned(third.digest())).await;
    assert_eq!(failed.status, StackStatus::UpdateRollbackComplete, "{:?}", failed.failures());
    account.check_stored("3.13", &second);
    let reason = failed.failures().join(" ");
    assert!(reason.contains("Image docker.io/library/python:3.13@sha256:"), "{reason}");
    // The error depends on the connections and tokens that the update before has left.
    let errors = [
        "the connection to registry-1.docker.io was interrupted",
        "connecting to registry-1.docker.io through the proxy",
        "connecting to auth.docker.io through the proxy",
    ];
    assert!(errors.iter().any(|error| reason.contains(error)), "{reason}");

    let deleted = account.stack.delete().await;
    assert_eq!(deleted.status, StackStatus::DeleteComplete, "{:?}", deleted.failures());
    assert_eq!(account.repository.resolve("3.13"), None);
    assert!(account.repository.manifest(second.digest()).is_none());
}

#[tokio::test]
async fn restores_the_old_digest_without_source_requests() {
    let account = Account::new().await;
    let (first, second) = (index(1), index(2));
    let pinned = |digest: &str| account.properties(&format!("python:3.13@{digest}"));
    account.publish("3.13", &first);
    let before = Template::new().image("Python", pinned(first.digest()));
    account.stack.create(&before).await;
    account.publish("3.13", &second);
    let update = Template::new().image("Python", pinned(second.digest()));
    account.stack.update(&update).await;
    account.check_stored("3.13", &second);
    account.world.emulator.docker_hub().set_availability(Availability::Unreachable);
    let mark = account.mark();
    let back = account.stack.update(&before).await;
    assert_eq!(back.status, StackStatus::UpdateComplete, "{:?}", back.failures());
    assert!(account.source_operations(mark).is_empty());
    account.check_stored("3.13", &first);
}

#[tokio::test]
async fn an_unchanged_tag_costs_one_head_and_a_digest_no_request() {
    let account = Account::new().await;
    let image = index(1);
    account.publish("3.13", &image);
    check_success(&account.create(account.properties("python:3.13")).await);
    let mark = account.mark();
    check_success(&account.create(account.properties("python:3.13")).await);
    assert_eq!(account.source_operations(mark), ["manifest.head"]);
    account.world.emulator.docker_hub().set_availability(Availability::Unreachable);
    let mark = account.mark();
    let response = account.create(account.properties(&format!("python:3.13@{}", image.digest()))).await;
    check_success(&response);
    assert_eq!(account.source_operations(mark), Vec::<String>::new());
}

#[tokio::test]
async fn a_new_tag_replaces_the_old_one() {
    let account = Account::new().await;
    let image = index(1);
    account.publish("3.13", &image);
    let tagged = |tag: &str| {
        let mut properties = account.properties("python:3.13");
        properties["Tag"] = json!(tag);
        Template::new().image("Python", properties)
    };
    account.stack.create(&tagged("blue")).await;
    let updated = account.stack.update(&tagged("green")).await;
    assert_eq!(updated.status, StackStatus::UpdateComplete, "{:?}", updated.failures());
    assert_eq!(updated.summary(), ["Update Python", "Delete Python clean-up"]);
    account.check_stored("green", &image);
    assert_eq!(account.repository.resolve("blue"), None);
}

#[tokio::test]
async fn copies_the_default_platform() {
    let account = Account::new().await;
    let image = index(1);
    account.publish("3.13", &image);
    let properties = json!({"ImageReference": "python:3.13", "RepositoryArn": account.repository.arn()});
    let response = account.create(properties).await;
    check_success(&response);
    let child = image.child("linux/amd64").unwrap();
    assert_eq!(response.data["Digest"], child.digest);
    assert_eq!(response.data["SourceDigest"], image.digest());
    assert_eq!(response.data["Platforms"], json!(["linux/amd64"]));
    assert_eq!(account.repository.images(), std::slice::from_ref(&child.digest));
}

#[tokio::test]
async fn a_failed_create_keeps_existing_images() {
    let account = Account::with(Mutability::Immutable, |_| {}).await;
    let (old, new) = (index(1), index(2));
    account.repository.put_image(Some("3.13"), &old);
    account.publish("3.13", &new);
    let template = Template::new().image("Python", account.properties("python:3.13"));
    let mark = account.mark();
    let created = account.stack.create(&template).await;
    assert_eq!(created.status, StackStatus::RollbackComplete);
    assert_eq!(created.summary(), ["Create Python", "Delete Python rollback"]);
    let response = created.call("Create", "Python").unwrap().response().unwrap();
    assert_eq!(response.physical_id, "create-failed");
    let reason = failure_reason(response);
    assert!(reason.contains("immutable") && reason.contains("Tag"), "{reason}");
    assert_eq!(account.world.emulator.log().count(mark, "upload.start"), 0, "blobs were copied");
    account.check_stored("3.13", &old);
}

#[tokio::test]
async fn rolls_back_an_update_of_an_immutable_tag() {
    let account = Account::with(Mutability::Immutable, |_| {}).await;
    let (old, new) = (index(1), index(2));
    account.publish("3.13", &old);
    account.stack.create(&Template::new().image("Python", account.properties("python:3.13"))).await;
    account.publish("3.13", &new);
    let pinned = account.properties(&format!("python:3.13@{}", new.digest()));
    let mark = account.mark();
    let updated = account.stack.update(&Template::new().image("Python", pinned)).await;
    assert_eq!(updated.status, StackStatus::UpdateRollbackComplete, "{:?}", updated.failures());
    assert_eq!(updated.summary(), ["Update Python", "Update Python rollback"]);
    let rejected = updated.calls[0].response().unwrap();
    assert!(failure_reason(rejected).contains("immutable"), "{rejected:?}");
    assert_eq!(updated.calls[1].response().unwrap().data["SourceDigest"], old.digest());
    let images = account.world.emulator.log().since(mark).into_iter();
    let blobs = images.filter(|entry| entry.operation == "blob.content" && entry.service == "upstream");
    assert_eq!(blobs.count(), 0, "blobs were copied");
    account.check_stored("3.13", &old);
    assert_eq!(account.stack.delete().await.status, StackStatus::DeleteComplete);
    assert_eq!(account.repository.images(), Vec::<String>::new());
}

#[tokio::test]
async fn deletes_with_any_properties() {
    let account = Account::new().await;
    let image = index(1);
    account.publish("3.13", &image);
    check_success(&account.create(account.properties("python:3.13")).await);
    for id in [
        "create-failed",
        "shop-Python-1ABCDEF2GHIJ",
        "https://x",
        "",
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com/nowhere:1",
    ] {
        for properties in [json!(null), json!("?"), json!({"ImageReference": 7}), json!({})] {
            let event =
                json!({"RequestType": "Delete", "PhysicalResourceId": id, "ResourceProperties": properties});
            check_success(&account.send(event).await);
        }
    }
    check_success(
        &account.send(json!({"RequestType": "Delete", "PhysicalResourceId": "create-failed"})).await,
    );
    account.check_stored("3.13", &image);
    account.repository.delete();
    let id = format!("{}:3.13", account.repository.uri());
    check_success(&account.send(json!({"RequestType": "Delete", "PhysicalResourceId": id})).await);
}

#[tokio::test]
async fn delete_keeps_an_image_with_another_tag() {
    let account = Account::new().await;
    let image = index(1);
    account.publish("3.13", &image);
    let template = Template::new().image("Python", account.properties("python:3.13"));
    account.stack.create(&template).await;
    account.repository.set_tag("by-hand", Some(image.digest()));
    let deleted = account.stack.delete().await;
    assert_eq!(deleted.status, StackStatus::DeleteComplete);
    assert_eq!(account.repository.resolve("3.13"), None);
    account.check_stored("by-hand", &image);
}

#[tokio::test]
async fn delete_keeps_every_image_if_delete_images_is_false() {
    let keep = ("DELETE_IMAGES".to_owned(), "false".to_owned());
    let account = Account::with(Mutability::Mutable, |settings| settings.environment.push(keep)).await;
    let image = index(1);
    account.publish("3.13", &image);
    account.stack.create(&Template::new().image("Python", account.properties("python:3.13"))).await;
    assert_eq!(account.stack.delete().await.status, StackStatus::DeleteComplete);
    account.check_stored("3.13", &image);
}
