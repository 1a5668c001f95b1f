//! Creation, update, replacement and rollback.

use std::time::Duration;

use aws_emulator::stack::StackStatus::{
    CreateComplete, DeleteComplete, UpdateComplete, UpdateRollbackComplete,
};
use aws_emulator::stack::{Resource, Template, Trigger};
use aws_emulator::{Availability, Effect, Fault, Image, ImageBuilder, RequestFilter};
use serde_json::json;

use crate::scenario::{check, in_every_configuration, sibling};

#[tokio::test]
async fn creates_updates_and_deletes() {
    in_every_configuration(|scenario| async move {
        let stack = &scenario.account.stack;
        scenario.publish(0);
        check(&stack.create(&scenario.image("A", 0)).await, CreateComplete);
        scenario.check_tag("3.13", 0);
        scenario.publish(1);
        let updated = stack.update(&scenario.image("A", 1)).await;
        check(&updated, if scenario.tags_can_move() { UpdateComplete } else { UpdateRollbackComplete });
        scenario.check_tag("3.13", usize::from(scenario.tags_can_move()));
        let reason = updated.failures().join(" ");
        assert!(scenario.tags_can_move() || reason.contains("immutable"), "{reason}");
        check(&stack.delete().await, DeleteComplete);
        scenario.check_empty();
    })
    .await;
}

#[tokio::test]
async fn rolls_back_while_the_source_rejects_all_requests() {
    in_every_configuration(|scenario| async move {
        let stack = &scenario.account.stack;
        scenario.publish(0);
        let pinned = scenario.image("A", 0);
        check(&stack.create(&pinned).await, CreateComplete);
        let headers = [("retry-after".to_owned(), "21600".to_owned())].into();
        let limit = Effect::Status { code: 429, headers, body: String::new() };
        let filter = RequestFilter { host: Some("*docker.io".into()), ..RequestFilter::default() };
        scenario.account.world.emulator.faults().add(Fault { filter, effect: limit });
        scenario.publish(1);
        let updated = stack.update(&scenario.image("A", 1)).await;
        check(&updated, UpdateRollbackComplete);
        scenario.check_tag("3.13", 0);
        check(&stack.delete().await, DeleteComplete);
        scenario.check_empty();
    })
    .await;
}

#[tokio::test]
async fn rolls_back_an_unpinned_tag_while_the_source_is_down() {
    in_every_configuration(|scenario| async move {
        let stack = &scenario.account.stack;
        let refreshed = |value: &str| {
            let mut properties = scenario.properties("python:3.13");
            properties["Refresh"] = json!(value);
            Template::new().image("A", properties)
        };
        scenario.publish(0);
        check(&stack.create(&refreshed("1")).await, CreateComplete);
        let (same, operations) = scenario.with_source_operations(stack.update(&refreshed("2"))).await;
        check(&same, UpdateComplete);
        assert_eq!(operations, ["manifest.head"], "nothing changed");
        scenario.set_source(Availability::Unreachable);
        let failed = stack.update(&refreshed("3")).await;
        check(&failed, UpdateRollbackComplete);
        assert_eq!(failed.summary(), ["Update A", "Update A rollback"], "a new request must fail");
        scenario.check_tag("3.13", 0);
        check(&stack.delete().await, DeleteComplete);
        scenario.check_empty();
    })
    .await;
}

#[tokio::test]
async fn rolls_back_a_successful_update_while_the_source_is_down() {
    in_every_configuration(|scenario| async move {
        if scenario.is_immutable {
            return; // Such an update fails with immutable tags.
        }
        let stack = &scenario.account.stack;
        scenario.publish(0);
        check(&stack.create(&scenario.image("A", 0).with("S", sibling("A"))).await, CreateComplete);
        scenario.publish(1);
        let world = &scenario.account.world;
        let signal = std::sync::Arc::new(tokio::sync::Notify::new());
        let late = Resource::simulated(json!({"changed": "yes"}))
            .fails_to_update(Trigger::Notified(signal.clone()), "no")
            .depends_on("A");
        let template = scenario.image("A", 1).with("S", late);
        let fail_sibling = async {
            while scenario.account.repository.resolve("3.13") != Some(scenario.digest(1)) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            world.emulator.docker_hub().set_availability(Availability::Unreachable);
            signal.notify_one();
            scenario.account.mark()
        };
        let (updated, mark) = tokio::join!(stack.update(&template), fail_sibling);
        check(&updated, UpdateRollbackComplete);
        assert_eq!(scenario.account.source_operations(mark), Vec::<String>::new());
        scenario.check_tag("3.13", 0);
        check(&stack.delete().await, DeleteComplete);
        scenario.check_empty();
    })
    .await;
}

#[tokio::test]
async fn updates_and_rolls_back_a_selection_of_platforms() {
    const WANTED: [&str; 2] = ["linux/arm64", "linux/amd64"];
    in_every_configuration(|scenario| async move {
        // Tests both notations of the list.
        let platforms = if scenario.has_all_platforms { json!(WANTED) } else { json!(WANTED.join(",")) };
        let source = |seed: u64| {
            let recipe = ImageBuilder::new(seed).platforms(&["linux/amd64", "linux/arm64", "linux/s390x"]);
            recipe.layers(&[9_000, 700]).attestations().index()
        };
        let template = |image: &Image| {
            let mut properties = scenario.properties(&format!("python:3.13@{}", image.digest()));
            properties["Platform"] = platforms.clone();
            Template::new().image("A", properties)
        };
        let (stack, repository) = (&scenario.account.stack, &scenario.account.repository);
        let (first, second) = (source(7), source(8));
        scenario.account.publish("3.13", &first);
        check(&stack.create(&template(&first)).await, CreateComplete);
        let selected = repository.resolve("3.13").unwrap();
        assert_ne!(selected, first.digest());
        let attributes = stack.resources().remove("A").unwrap().attributes;
        assert_eq!(attributes["Platforms"], json!(["linux/amd64", "linux/arm64"]));
        assert_eq!(
            (&attributes["Digest"], repository.integrity_errors("3.13")),
            (&json!(selected), Vec::new())
        );
        let left_out = first.child("linux/s390x").unwrap();
        assert_eq!(repository.manifest(&left_out.digest), None, "a platform that was not selected");
        let log = scenario.account.world.function.output().join("\n");
        assert!(log.contains("\"platforms\":\"2 of 3\""), "{log}");
        scenario.account.publish("3.13", &second);
        let updated = stack.update(&template(&second)).await;
        check(&updated, if scenario.tags_can_move() { UpdateComplete } else { UpdateRollbackComplete });
        let latest = repository.resolve("3.13").unwrap();
        assert_eq!(latest != selected, scenario.tags_can_move());
        scenario.set_source(Availability::Unreachable);
        let (back, operations) = scenario.with_source_operations(stack.update(&template(&first))).await;
        check(&back, UpdateComplete);
        assert_eq!(operations, Vec::<String>::new(), "the existing copy must be used");
        assert_eq!(repository.resolve("3.13").as_ref(), Some(&selected));
        check(&stack.delete().await, DeleteComplete);
        let sources = [first, second];
        let manifests = sources.iter().flat_map(|image| &image.manifests);
        let mut digests: Vec<String> = manifests.map(|manifest| manifest.digest.clone()).collect();
        digests.extend([selected, latest]);
        scenario.check_empty_after(&digests);
    })
    .await;
}
