//! Rollbacks and Deletes after the state was lost, damaged, or never written, and of images without a tag.

use aws_emulator::stack::StackStatus::{
    CreateComplete, DeleteComplete, UpdateComplete, UpdateRollbackComplete,
};
use aws_emulator::stack::{Resource, Template};
use aws_emulator::{Availability, STATE_TABLE};
use serde_json::json;

use crate::scenario::{Scene, check, failing, play, sibling};

/// Plays an Update that is rolled back, and a Delete, after others have damaged the state. The Delete removes
/// the image only if the Update can make the resource an owner again.
async fn after_damage(damage: impl Fn(&Scene), is_owner_again: bool) {
    play(|scene| {
        let damage = &damage;
        async move {
            let stack = &scene.account.stack;
            scene.publish(0);
            check(&stack.create(&scene.image("A", 0).with("S", sibling("A"))).await, CreateComplete);
            damage(&scene);
            scene.publish(1);
            let target = usize::from(scene.moves());
            let back = stack.update(&scene.image("A", target).with("S", failing("A"))).await;
            check(&back, UpdateRollbackComplete);
            scene.names("3.13", 0);
            check(&stack.delete().await, DeleteComplete);
            // In an immutable repository the template changes only the sibling. Without an Update the
            // resource does not become an owner again.
            match is_owner_again && scene.moves() {
                true => scene.is_empty(),
                false => scene.names("3.13", 0),
            }
        }
    })
    .await;
}

#[tokio::test]
async fn the_item_is_lost() {
    let remove = |scene: &Scene| {
        let emulator = &scene.account.world.emulator;
        let image = format!("{}:3.13", scene.account.repository.uri());
        assert_eq!(scene.account.items().len(), 1);
        emulator.dynamodb().remove(&emulator.settings().region, STATE_TABLE, &image);
        assert_eq!(scene.account.items().len(), 0);
    };
    after_damage(remove, true).await;
}

#[tokio::test]
async fn the_owners_are_damaged() {
    let damage = |scene: &Scene| {
        let emulator = &scene.account.world.emulator;
        let mut item = scene.account.items().remove(0);
        item["Owners"] = json!("text");
        emulator.dynamodb().put(&emulator.settings().region, STATE_TABLE, &item);
    };
    after_damage(damage, false).await;
}

#[tokio::test]
async fn the_table_is_lost() {
    let lose = |scene: &Scene| {
        let emulator = &scene.account.world.emulator;
        emulator.dynamodb().delete_table(&emulator.settings().region, STATE_TABLE);
    };
    after_damage(lose, false).await;
}

#[tokio::test]
async fn an_image_without_a_tag_is_stored_by_digest() {
    play(|scene| async move {
        let stack = &scene.account.stack;
        let repository = &scene.account.repository;
        scene.publish(0);
        let reference = format!("python@{}", scene.images[0].digest());
        let template = |refresh: &str| {
            let mut properties = scene.properties(&reference);
            properties["Refresh"] = json!(refresh);
            Template::new().image("A", properties)
        };
        check(&stack.create(&template("1")).await, CreateComplete);
        let id = format!("{}@{}", repository.uri(), scene.digest(0));
        assert_eq!(stack.physical_id("A"), Some(id.clone()));
        assert_eq!(scene.account.items()[0]["Image"], json!(id));
        assert_eq!((repository.tags().len(), repository.integrity_errors(&scene.digest(0))), (0, Vec::new()));
        scene.upstream(Availability::Unreachable);
        let (again, requests) = scene.counted(stack.update(&template("2"))).await;
        check(&again, UpdateComplete);
        assert_eq!(requests, Vec::<String>::new());
        check(&stack.delete().await, DeleteComplete);
        scene.is_empty();
    })
    .await;
}

#[tokio::test]
async fn a_platform_without_a_tag_is_replaced_by_another() {
    play(|scene| async move {
        let (stack, repository) = (&scene.account.stack, &scene.account.repository);
        scene.publish(0);
        let template = |platform: &str, refresh: &str| {
            let mut properties = scene.properties(&format!("python@{}", scene.images[0].digest()));
            properties["Platform"] = json!(platform);
            properties["Refresh"] = json!(refresh);
            Template::new().image("A", properties)
        };
        let digest = |platform: &str| scene.images[0].child(platform).unwrap().digest.clone();
        check(&stack.create(&template("linux/amd64", "1")).await, CreateComplete);
        let updated = stack.update(&template("linux/arm64", "1")).await;
        check(&updated, UpdateComplete);
        assert_eq!(updated.summary(), ["Update A", "Delete A clean-up"]);
        assert_eq!(repository.images(), [digest("linux/arm64")]);
        scene.upstream(Availability::Unreachable);
        let (same, requests) = scene.counted(stack.update(&template("linux/arm64", "2"))).await;
        check(&same, UpdateComplete);
        assert_eq!(requests, Vec::<String>::new());
        check(&stack.delete().await, DeleteComplete);
        scene.is_empty();
    })
    .await;
}

#[tokio::test]
async fn a_stack_of_the_original_provider_is_updated_rolled_back_and_deleted() {
    play(|scene| async move {
        let stack = &scene.account.stack;
        scene.publish(0);
        // The image under its tag, without an item in the state table.
        scene.account.repository.put_image(Some("3.13"), &scene.images[0]);
        scene.account.repository.set_tag("3.13", Some(&scene.digest(0)));
        if !scene.takes_all {
            scene.account.repository.expire_image(scene.images[0].digest());
        }
        let mut before = scene.pinned(0);
        before["Nonce"] = json!("1");
        let id = format!("{}:3.13", scene.account.repository.uri());
        let resource = Resource::custom("Custom::ContainerImage", before.clone());
        stack.import_resource("A", resource, &id, serde_json::Map::new());
        let mut after = before.clone();
        after["Nonce"] = json!("2");
        let blobs = scene.account.repository.blobs().len();
        let updated = stack.update(&Template::new().image("A", after.clone())).await;
        check(&updated, UpdateComplete);
        assert_eq!(updated.summary(), ["Update A"], "no replacement");
        assert_eq!(scene.account.repository.blobs().len(), blobs, "no blob is uploaded");
        scene.upstream(Availability::Unreachable);
        let failed = stack.update(&scene.image("A", 2)).await;
        check(&failed, UpdateRollbackComplete);
        scene.names("3.13", 0);
        check(&stack.delete().await, DeleteComplete);
        scene.names("3.13", None);
    })
    .await;
}
