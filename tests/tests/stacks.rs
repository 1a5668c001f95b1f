//! What a stack sees: ids, attributes, roll-back, deletion.

mod common;

use aws_emulator::stack::{StackStatus, Template};
use aws_emulator::{Availability, Mutability};
use common::{Account, failure, index, succeeded};
use serde_json::json;

#[tokio::test]
async fn lives_from_create_over_update_and_rollback_to_delete() {
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
    assert_eq!(updated.summary(), ["Update Python"], "the id is kept, so nothing is cleaned up");
    account.check_stored("3.13", &second);
    assert!(account.repository.manifest(first.digest()).is_some(), "the old image stays, untagged");

    account.world.emulator.docker_hub().set_availability(Availability::Unreachable);
    let failed = account.stack.update(&pinned(third.digest())).await;
    assert_eq!(failed.status, StackStatus::UpdateRollbackComplete, "{:?}", failed.failures());
    account.check_stored("3.13", &second);
    let reason = failed.failures().join(" ");
    assert!(reason.contains("source docker.io/library/python:3.13@sha256:"), "{reason}");
    // It depends on whether a connection was left from the update before, and a token.
    let words = [
        "the connection to registry-1.docker.io was cut",
        "connecting to registry-1.docker.io through the proxy",
        "connecting to auth.docker.io through the proxy",
    ];
    assert!(words.iter().any(|words| reason.contains(words)), "{reason}");

    let deleted = account.stack.delete().await;
    assert_eq!(deleted.status, StackStatus::DeleteComplete, "{:?}", deleted.failures());
    assert_eq!(account.repository.resolve("3.13"), None);
    assert!(account.repository.manifest(second.digest()).is_none());
}

#[tokio::test]
async fn puts_the_old_digest_back_without_asking_upstream() {
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
    assert!(account.upstream(mark).is_empty());
    account.check_stored("3.13", &first);
}

#[tokio::test]
async fn costs_one_head_when_nothing_changed_and_nothing_with_a_digest() {
    let account = Account::new().await;
    let image = index(1);
    account.publish("3.13", &image);
    succeeded(&account.create(account.properties("python:3.13")).await);
    let mark = account.mark();
    succeeded(&account.create(account.properties("python:3.13")).await);
    assert_eq!(account.upstream(mark), ["manifest.head"]);
    account.world.emulator.docker_hub().set_availability(Availability::Unreachable);
    let mark = account.mark();
    let answer = account.create(account.properties(&format!("python:3.13@{}", image.digest()))).await;
    succeeded(&answer);
    assert_eq!(account.upstream(mark), Vec::<String>::new());
}

#[tokio::test]
async fn replaces_by_tag_and_lets_the_clean_up_remove_the_old_one() {
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
async fn takes_the_default_platform_and_says_so() {
    let account = Account::new().await;
    let image = index(1);
    account.publish("3.13", &image);
    let properties = json!({"ImageReference": "python:3.13", "RepositoryArn": account.repository.arn()});
    let answer = account.create(properties).await;
    succeeded(&answer);
    let child = image.child("linux/amd64").unwrap();
    assert_eq!(answer.data["Digest"], child.digest);
    assert_eq!(answer.data["SourceDigest"], image.digest());
    assert_eq!(answer.data["Platforms"], json!(["linux/amd64"]));
    assert_eq!(account.repository.images(), std::slice::from_ref(&child.digest));
}

#[tokio::test]
async fn a_create_that_failed_costs_no_image_that_was_there_before() {
    let account = Account::with(Mutability::Immutable, |_| {}).await;
    let (old, new) = (index(1), index(2));
    account.repository.put_image(Some("3.13"), &old);
    account.publish("3.13", &new);
    let template = Template::new().image("Python", account.properties("python:3.13"));
    let mark = account.mark();
    let created = account.stack.create(&template).await;
    assert_eq!(created.status, StackStatus::RollbackComplete);
    assert_eq!(created.summary(), ["Create Python", "Delete Python rollback"]);
    let answer = created.call("Create", "Python").unwrap().response().unwrap();
    assert_eq!(answer.physical_id, "create-failed");
    let reason = failure(answer);
    assert!(reason.contains("immutable") && reason.contains("Tag"), "{reason}");
    assert_eq!(account.world.emulator.log().count(mark, "upload.start"), 0, "not a byte was copied");
    account.check_stored("3.13", &old);
}

#[tokio::test]
async fn an_update_that_an_immutable_tag_refuses_is_rolled_back_although_upstream_moved() {
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
    let refused = updated.calls[0].response().unwrap();
    assert!(failure(refused).contains("immutable"), "{refused:?}");
    assert_eq!(updated.calls[1].response().unwrap().data["SourceDigest"], old.digest());
    let images = account.world.emulator.log().since(mark).into_iter();
    let blobs = images.filter(|entry| entry.operation == "blob.content" && entry.service == "upstream");
    assert_eq!(blobs.count(), 0, "not a byte was copied");
    account.check_stored("3.13", &old);
    assert_eq!(account.stack.delete().await.status, StackStatus::DeleteComplete);
    assert_eq!(account.repository.images(), Vec::<String>::new());
}

#[tokio::test]
async fn deletes_without_asking_what_the_properties_look_like() {
    let account = Account::new().await;
    let image = index(1);
    account.publish("3.13", &image);
    succeeded(&account.create(account.properties("python:3.13")).await);
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
            succeeded(&account.send(event).await);
        }
    }
    succeeded(&account.send(json!({"RequestType": "Delete", "PhysicalResourceId": "create-failed"})).await);
    account.check_stored("3.13", &image);
    account.repository.delete();
    let id = format!("{}:3.13", account.repository.uri());
    succeeded(&account.send(json!({"RequestType": "Delete", "PhysicalResourceId": id})).await);
}

#[tokio::test]
async fn keeps_an_image_that_has_another_tag() {
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
async fn the_installer_can_keep_every_image() {
    let keep = ("DELETE_IMAGES".to_owned(), "false".to_owned());
    let account = Account::with(Mutability::Mutable, |settings| settings.environment.push(keep)).await;
    let image = index(1);
    account.publish("3.13", &image);
    account.stack.create(&Template::new().image("Python", account.properties("python:3.13"))).await;
    assert_eq!(account.stack.delete().await.status, StackStatus::DeleteComplete);
    account.check_stored("3.13", &image);
}
