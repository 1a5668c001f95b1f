//! Owners of an image: renames, moves, several owners.

use std::time::Duration;

use aws_emulator::stack::StackStatus::{
    CreateComplete, DeleteComplete, RollbackComplete, UpdateComplete, UpdateRollbackComplete,
};
use aws_emulator::stack::{Policy, ReplacementRollback, Resource, StackSettings, Template, Trigger};
use aws_emulator::{Effect, Fault};
use serde_json::json;

use crate::scenario::{check, failing, play};

#[tokio::test]
async fn a_logical_id_is_renamed_and_the_image_stays() {
    play(|scene| async move {
        let stack = &scene.account.stack;
        scene.publish(0);
        check(&stack.create(&scene.image("A", 0)).await, CreateComplete);
        let renamed = stack.update(&scene.image("B", 0)).await;
        check(&renamed, UpdateComplete);
        assert_eq!(renamed.summary(), ["Create B", "Delete A clean-up"]);
        scene.names("3.13", 0);
        check(&stack.delete().await, DeleteComplete);
        scene.is_empty();
    })
    .await;
}

#[tokio::test]
async fn a_rename_is_rolled_back_and_the_image_stays() {
    play(|scene| async move {
        let stack = &scene.account.stack;
        scene.publish(0);
        check(&stack.create(&scene.image("A", 0)).await, CreateComplete);
        let back = stack.update(&scene.image("B", 0).with("S", failing("B"))).await;
        check(&back, UpdateRollbackComplete);
        assert_eq!(back.summary(), ["Create B", "Delete B clean-up"]);
        scene.names("3.13", 0);
        check(&stack.delete().await, DeleteComplete);
        scene.is_empty();
    })
    .await;
}

#[tokio::test]
async fn a_rename_with_a_new_digest_is_rolled_back() {
    play(|scene| async move {
        let stack = &scene.account.stack;
        scene.publish(0);
        check(&stack.create(&scene.image("A", 0)).await, CreateComplete);
        scene.publish(1);
        let back = stack.update(&scene.image("B", 1).with("S", failing("B"))).await;
        check(&back, UpdateRollbackComplete);
        scene.names("3.13", 0);
        check(&stack.delete().await, DeleteComplete);
        scene.is_empty();
    })
    .await;
}

/// CloudFormation's two possible ways of going back to the old id, see [`ReplacementRollback`].
async fn replaced_by_tag(rollback: ReplacementRollback) {
    play(|scene| async move {
        let world = &scene.account.world;
        let change = |settings: &mut StackSettings| settings.replacement_rollback = rollback;
        let stack = world.stack_with("replaced", Duration::from_millis(25), change);
        scene.publish(0);
        let tagged = |tag: &str| {
            let mut properties = scene.pinned(0);
            properties["Tag"] = json!(tag);
            Template::new().image("A", properties)
        };
        check(&stack.create(&tagged("blue")).await, CreateComplete);
        let (back, asked) = scene.counted(stack.update(&tagged("red").with("S", failing("A")))).await;
        check(&back, UpdateRollbackComplete);
        assert!(!scene.takes_all || asked.is_empty(), "{asked:?}");
        scene.names("blue", 0);
        scene.names("red", None);
        let replaced = stack.update(&tagged("green")).await;
        check(&replaced, UpdateComplete);
        scene.names("green", 0);
        scene.names("blue", None);
        check(&stack.delete().await, DeleteComplete);
        scene.is_empty();
    })
    .await;
}

#[tokio::test]
async fn a_replacement_by_tag_cleans_up_and_rolls_back() {
    replaced_by_tag(ReplacementRollback::DeleteNew).await;
}

#[tokio::test]
async fn a_replacement_that_is_rolled_back_by_an_update_ends_in_the_same() {
    replaced_by_tag(ReplacementRollback::UpdateThenDelete).await;
}

#[tokio::test]
async fn two_stacks_own_a_tag_and_are_deleted_in_either_order() {
    for first_goes_first in [true, false] {
        play(|scene| async move {
            let (one, two) = (scene.stack("one"), scene.stack("two"));
            scene.publish(0);
            check(&one.create(&scene.image("A", 0)).await, CreateComplete);
            scene.publish(1);
            let second = usize::from(scene.moves());
            check(&two.create(&scene.image("A", second)).await, CreateComplete);
            scene.names("3.13", second);
            let (early, late, left) = if first_goes_first { (&one, &two, second) } else { (&two, &one, 0) };
            check(&early.delete().await, DeleteComplete);
            scene.names("3.13", left);
            check(&late.delete().await, DeleteComplete);
            scene.is_empty();
        })
        .await;
    }
}

#[tokio::test]
async fn an_image_moves_to_another_stack() {
    play(|scene| async move {
        let (old, new) = (scene.stack("old"), scene.stack("new"));
        scene.publish(0);
        let kept =
            Resource::custom("Custom::ContainerImage", scene.pinned(0)).deletion_policy(Policy::Retain);
        check(&old.create(&Template::new().with("A", kept)).await, CreateComplete);
        let (moved, asked) = scene.counted(new.create(&scene.image("A", 0))).await;
        check(&moved, CreateComplete);
        assert_eq!(asked, Vec::<String>::new(), "what is known is not asked for again");
        check(&old.delete().await, DeleteComplete);
        scene.names("3.13", 0);
        check(&new.delete().await, DeleteComplete);
        // The old stack was deleted without a Delete of the resource, so it is still an owner.
        scene.names("3.13", 0);
        assert_eq!(scene.account.owners(), [format!("{}/A", old.id())]);
    })
    .await;
}

#[tokio::test]
async fn a_create_is_cancelled_half_way() {
    play(|scene| async move {
        let stack = &scene.account.stack;
        scene.publish(0);
        let slow = Effect::Delay { ms: 700 };
        scene.account.world.emulator.faults().add(Fault::on("blob.content", slow));
        let sibling = Resource::simulated(json!({})).fails_to_create(Trigger::RequestSent("A".into()), "no");
        let created = stack.create(&scene.image("A", 0).with("S", sibling)).await;
        check(&created, RollbackComplete);
        assert!(scene.account.world.function.wait_until_idle(Duration::from_secs(20)).await);
        assert_eq!(scene.account.owners(), Vec::<String>::new());
        assert_eq!(scene.account.repository.resolve("3.13"), None, "a Create that was overtaken stops");
    })
    .await;
}

#[tokio::test]
async fn the_repository_goes_before_the_image() {
    play(|scene| async move {
        let stack = &scene.account.stack;
        scene.publish(0);
        check(&stack.create(&scene.image("A", 0)).await, CreateComplete);
        scene.account.repository.delete();
        check(&stack.delete().await, DeleteComplete);
        assert_eq!(scene.account.owners(), Vec::<String>::new());
    })
    .await;
}

#[tokio::test]
async fn a_tag_pushed_by_hand_is_taken_over_and_given_back() {
    play(|scene| async move {
        let stack = &scene.account.stack;
        scene.publish(0);
        let by_hand = usize::from(scene.moves());
        scene.account.repository.put_image(Some("3.13"), &scene.images[by_hand]);
        if !scene.takes_all {
            // What the default platform takes is what somebody pushed.
            scene.account.repository.set_tag("3.13", Some(&scene.digest(by_hand)));
        }
        check(&stack.create(&scene.image("A", 0)).await, CreateComplete);
        scene.names("3.13", 0);
        check(&stack.delete().await, DeleteComplete);
        scene.names("3.13", by_hand);
        assert_eq!(scene.account.owners(), Vec::<String>::new());
    })
    .await;
}
