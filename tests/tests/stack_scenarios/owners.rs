//! Owners of an image: renames, moves, several owners.

use std::time::Duration;

use aws_emulator::stack::StackStatus::{
    CreateComplete, DeleteComplete, RollbackComplete, UpdateComplete, UpdateRollbackComplete,
};
use aws_emulator::stack::{Policy, ReplacementRollback, Resource, StackSettings, Template, Trigger};
use aws_emulator::{Effect, Fault};
use serde_json::json;

use crate::scenario::{check, failing_sibling, in_every_configuration};

#[tokio::test]
async fn a_renamed_logical_id_keeps_the_image() {
    in_every_configuration(|scenario| async move {
        let stack = &scenario.account.stack;
        scenario.publish(0);
        check(&stack.create(&scenario.image("A", 0)).await, CreateComplete);
        let renamed = stack.update(&scenario.image("B", 0)).await;
        check(&renamed, UpdateComplete);
        assert_eq!(renamed.summary(), ["Create B", "Delete A clean-up"]);
        scenario.check_tag("3.13", 0);
        check(&stack.delete().await, DeleteComplete);
        scenario.check_empty();
    })
    .await;
}

#[tokio::test]
async fn a_rolled_back_rename_keeps_the_image() {
    in_every_configuration(|scenario| async move {
        let stack = &scenario.account.stack;
        scenario.publish(0);
        check(&stack.create(&scenario.image("A", 0)).await, CreateComplete);
        let back = stack.update(&scenario.image("B", 0).with("S", failing_sibling("B"))).await;
        check(&back, UpdateRollbackComplete);
        assert_eq!(back.summary(), ["Create B", "Delete B clean-up"]);
        scenario.check_tag("3.13", 0);
        check(&stack.delete().await, DeleteComplete);
        scenario.check_empty();
    })
    .await;
}

#[tokio::test]
async fn rolls_back_a_rename_with_a_new_digest() {
    in_every_configuration(|scenario| async move {
        let stack = &scenario.account.stack;
        scenario.publish(0);
        check(&stack.create(&scenario.image("A", 0)).await, CreateComplete);
        scenario.publish(1);
        let back = stack.update(&scenario.image("B", 1).with("S", failing_sibling("B"))).await;
        check(&back, UpdateRollbackComplete);
        scenario.check_tag("3.13", 0);
        check(&stack.delete().await, DeleteComplete);
        scenario.check_empty();
    })
    .await;
}

/// Checks a replacement with one of CloudFormation's two possible rollbacks, see [`ReplacementRollback`].
async fn check_replacement(rollback: ReplacementRollback) {
    in_every_configuration(|scenario| async move {
        let world = &scenario.account.world;
        let change = |settings: &mut StackSettings| settings.replacement_rollback = rollback;
        let stack = world.stack_with("replaced", Duration::from_millis(25), change);
        scenario.publish(0);
        let tagged = |tag: &str| {
            let mut properties = scenario.pinned(0);
            properties["Tag"] = json!(tag);
            Template::new().image("A", properties)
        };
        check(&stack.create(&tagged("blue")).await, CreateComplete);
        let (back, operations) = scenario
            .with_source_operations(stack.update(&tagged("red").with("S", failing_sibling("A"))))
            .await;
        check(&back, UpdateRollbackComplete);
        assert!(!scenario.has_all_platforms || operations.is_empty(), "{operations:?}");
        scenario.check_tag("blue", 0);
        scenario.check_tag("red", None);
        let replaced = stack.update(&tagged("green")).await;
        check(&replaced, UpdateComplete);
        scenario.check_tag("green", 0);
        scenario.check_tag("blue", None);
        check(&stack.delete().await, DeleteComplete);
        scenario.check_empty();
    })
    .await;
}

#[tokio::test]
async fn a_new_tag_replaces_the_image_and_is_rolled_back_by_a_delete() {
    check_replacement(ReplacementRollback::DeleteNew).await;
}

#[tokio::test]
async fn a_new_tag_replaces_the_image_and_is_rolled_back_by_an_update() {
    check_replacement(ReplacementRollback::UpdateThenDelete).await;
}

#[tokio::test]
async fn two_stacks_own_a_tag_and_are_deleted_in_either_order() {
    for is_first_deleted_first in [true, false] {
        in_every_configuration(|scenario| async move {
            let (one, two) = (scenario.stack("one"), scenario.stack("two"));
            scenario.publish(0);
            check(&one.create(&scenario.image("A", 0)).await, CreateComplete);
            scenario.publish(1);
            let second = usize::from(scenario.tags_can_move());
            check(&two.create(&scenario.image("A", second)).await, CreateComplete);
            scenario.check_tag("3.13", second);
            let (early, late, left) =
                if is_first_deleted_first { (&one, &two, second) } else { (&two, &one, 0) };
            check(&early.delete().await, DeleteComplete);
            scenario.check_tag("3.13", left);
            check(&late.delete().await, DeleteComplete);
            scenario.check_empty();
        })
        .await;
    }
}

#[tokio::test]
async fn an_image_moves_to_another_stack() {
    in_every_configuration(|scenario| async move {
        let (old, new) = (scenario.stack("old"), scenario.stack("new"));
        scenario.publish(0);
        let kept =
            Resource::custom("Custom::ContainerImage", scenario.pinned(0)).deletion_policy(Policy::Retain);
        check(&old.create(&Template::new().with("A", kept)).await, CreateComplete);
        let (moved, operations) = scenario.with_source_operations(new.create(&scenario.image("A", 0))).await;
        check(&moved, CreateComplete);
        assert_eq!(operations, Vec::<String>::new(), "the existing copy must be used");
        check(&old.delete().await, DeleteComplete);
        scenario.check_tag("3.13", 0);
        check(&new.delete().await, DeleteComplete);
        // The old stack was deleted without a Delete of the resource, so it is still an owner.
        scenario.check_tag("3.13", 0);
        assert_eq!(scenario.account.owners(), [format!("{}/A", old.id())]);
    })
    .await;
}

#[tokio::test]
async fn a_cancelled_create_stops() {
    in_every_configuration(|scenario| async move {
        let stack = &scenario.account.stack;
        scenario.publish(0);
        let slow = Effect::Delay { ms: 700 };
        scenario.account.world.emulator.faults().add(Fault::on("blob.content", slow));
        let sibling = Resource::simulated(json!({})).fails_to_create(Trigger::RequestSent("A".into()), "no");
        let created = stack.create(&scenario.image("A", 0).with("S", sibling)).await;
        check(&created, RollbackComplete);
        assert!(scenario.account.world.function.wait_until_idle(Duration::from_secs(20)).await);
        assert_eq!(scenario.account.owners(), Vec::<String>::new());
        assert_eq!(scenario.account.repository.resolve("3.13"), None, "a cancelled Create must stop");
    })
    .await;
}

#[tokio::test]
async fn deletes_an_image_whose_repository_is_missing() {
    in_every_configuration(|scenario| async move {
        let stack = &scenario.account.stack;
        scenario.publish(0);
        check(&stack.create(&scenario.image("A", 0)).await, CreateComplete);
        scenario.account.repository.delete();
        check(&stack.delete().await, DeleteComplete);
        assert_eq!(scenario.account.owners(), Vec::<String>::new());
    })
    .await;
}

#[tokio::test]
async fn takes_over_a_manually_pushed_tag_and_restores_it() {
    in_every_configuration(|scenario| async move {
        let stack = &scenario.account.stack;
        scenario.publish(0);
        let manual = usize::from(scenario.tags_can_move());
        scenario.account.repository.put_image(Some("3.13"), &scenario.images[manual]);
        if !scenario.has_all_platforms {
            // The pushed tag names the manifest of the default platform.
            scenario.account.repository.set_tag("3.13", Some(&scenario.digest(manual)));
        }
        check(&stack.create(&scenario.image("A", 0)).await, CreateComplete);
        scenario.check_tag("3.13", 0);
        check(&stack.delete().await, DeleteComplete);
        scenario.check_tag("3.13", manual);
        assert_eq!(scenario.account.owners(), Vec::<String>::new());
    })
    .await;
}
