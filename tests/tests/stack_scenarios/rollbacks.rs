//! Rollbacks and Deletes with missing or invalid state, and of images without a tag.

use aws_emulator::stack::StackStatus::{
    CreateComplete, DeleteComplete, UpdateComplete, UpdateRollbackComplete,
};
use aws_emulator::stack::{Resource, Template};
use aws_emulator::{Availability, STATE_TABLE};
use serde_json::json;

use crate::scenario::{Scenario, check, failing_sibling, in_every_configuration, sibling};

/// Runs an Update with rollback and a Delete after damage to the state. The Delete removes the image only if
/// the Update can register the owner again.
async fn after_damage(damage: impl Fn(&Scenario), is_owner_again: bool) {
    in_every_configuration(|scenario| {
        let damage = &damage;
        async move {
            let stack = &scenario.account.stack;
            scenario.publish(0);
            check(&stack.create(&scenario.image("A", 0).with("S", sibling("A"))).await, CreateComplete);
            damage(&scenario);
            scenario.publish(1);
            let target = usize::from(scenario.tags_can_move());
            let back = stack.update(&scenario.image("A", target).with("S", failing_sibling("A"))).await;
            check(&back, UpdateRollbackComplete);
            scenario.check_tag("3.13", 0);
            check(&stack.delete().await, DeleteComplete);
            // In an immutable repository the template changes only the sibling. Without an Update the
            // resource does not become an owner again.
            match is_owner_again && scenario.tags_can_move() {
                true => scenario.check_empty(),
                false => scenario.check_tag("3.13", 0),
            }
        }
    })
    .await;
}

#[tokio::test]
async fn the_item_is_lost() {
    let remove = |scenario: &Scenario| {
        let emulator = &scenario.account.world.emulator;
        let image = format!("{}:3.13", scenario.account.repository.uri());
        assert_eq!(scenario.account.items().len(), 1);
        emulator.dynamodb().remove(&emulator.settings().region, STATE_TABLE, &image);
        assert_eq!(scenario.account.items().len(), 0);
    };
    after_damage(remove, true).await;
}

#[tokio::test]
async fn the_owners_are_damaged() {
    let damage = |scenario: &Scenario| {
        let emulator = &scenario.account.world.emulator;
        let mut item = scenario.account.items().remove(0);
        item["Owners"] = json!("text");
        emulator.dynamodb().put(&emulator.settings().region, STATE_TABLE, &item);
    };
    after_damage(damage, false).await;
}

#[tokio::test]
async fn the_table_is_lost() {
    let lose = |scenario: &Scenario| {
        let emulator = &scenario.account.world.emulator;
        emulator.dynamodb().delete_table(&emulator.settings().region, STATE_TABLE);
    };
    after_damage(lose, false).await;
}

#[tokio::test]
async fn an_image_without_a_tag_is_stored_by_digest() {
    in_every_configuration(|scenario| async move {
        let stack = &scenario.account.stack;
        let repository = &scenario.account.repository;
        scenario.publish(0);
        let reference = format!("python@{}", scenario.images[0].digest());
        let template = |refresh: &str| {
            let mut properties = scenario.properties(&reference);
            properties["Refresh"] = json!(refresh);
            Template::new().image("A", properties)
        };
        check(&stack.create(&template("1")).await, CreateComplete);
        let id = format!("{}@{}", repository.uri(), scenario.digest(0));
        assert_eq!(stack.physical_id("A"), Some(id.clone()));
        assert_eq!(scenario.account.items()[0]["Image"], json!(id));
        assert_eq!(
            (repository.tags().len(), repository.integrity_errors(&scenario.digest(0))),
            (0, Vec::new())
        );
        scenario.set_source(Availability::Unreachable);
        let (again, operations) = scenario.with_source_operations(stack.update(&template("2"))).await;
        check(&again, UpdateComplete);
        assert_eq!(operations, Vec::<String>::new());
        check(&stack.delete().await, DeleteComplete);
        scenario.check_empty();
    })
    .await;
}

#[tokio::test]
async fn a_platform_without_a_tag_is_replaced_by_another() {
    in_every_configuration(|scenario| async move {
        let (stack, repository) = (&scenario.account.stack, &scenario.account.repository);
        scenario.publish(0);
        let template = |platform: &str, refresh: &str| {
            let mut properties = scenario.properties(&format!("python@{}", scenario.images[0].digest()));
            properties["Platform"] = json!(platform);
            properties["Refresh"] = json!(refresh);
            Template::new().image("A", properties)
        };
        let digest = |platform: &str| scenario.images[0].child(platform).unwrap().digest.clone();
        check(&stack.create(&template("linux/amd64", "1")).await, CreateComplete);
        let updated = stack.update(&template("linux/arm64", "1")).await;
        check(&updated, UpdateComplete);
        assert_eq!(updated.summary(), ["Update A", "Delete A clean-up"]);
        assert_eq!(repository.images(), [digest("linux/arm64")]);
        scenario.set_source(Availability::Unreachable);
        let (same, operations) =
            scenario.with_source_operations(stack.update(&template("linux/arm64", "2"))).await;
        check(&same, UpdateComplete);
        assert_eq!(operations, Vec::<String>::new());
        check(&stack.delete().await, DeleteComplete);
        scenario.check_empty();
    })
    .await;
}

#[tokio::test]
async fn a_stack_of_the_original_provider_is_updated_rolled_back_and_deleted() {
    in_every_configuration(|scenario| async move {
        let stack = &scenario.account.stack;
        scenario.publish(0);
        // The image under its tag, without an item in the state table.
        scenario.account.repository.put_image(Some("3.13"), &scenario.images[0]);
        scenario.account.repository.set_tag("3.13", Some(&scenario.digest(0)));
        if !scenario.has_all_platforms {
            scenario.account.repository.expire_image(scenario.images[0].digest());
        }
        let mut before = scenario.pinned(0);
        before["Nonce"] = json!("1");
        let id = format!("{}:3.13", scenario.account.repository.uri());
        let resource = Resource::custom("Custom::ContainerImage", before.clone());
        stack.import_resource("A", resource, &id, serde_json::Map::new());
        let mut after = before.clone();
        after["Nonce"] = json!("2");
        let blobs = scenario.account.repository.blobs().len();
        let updated = stack.update(&Template::new().image("A", after.clone())).await;
        check(&updated, UpdateComplete);
        assert_eq!(updated.summary(), ["Update A"], "no replacement");
        assert_eq!(scenario.account.repository.blobs().len(), blobs, "no blob is uploaded");
        scenario.set_source(Availability::Unreachable);
        let failed = stack.update(&scenario.image("A", 2)).await;
        check(&failed, UpdateRollbackComplete);
        scenario.check_tag("3.13", 0);
        check(&stack.delete().await, DeleteComplete);
        scenario.check_tag("3.13", None);
    })
    .await;
}
