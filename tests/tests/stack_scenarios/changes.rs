//! Creating, updating, replacing, and what is rolled back of it.

use std::time::Duration;

use aws_emulator::stack::StackStatus::{
    CreateComplete, DeleteComplete, UpdateComplete, UpdateRollbackComplete,
};
use aws_emulator::stack::{Resource, Template, Trigger};
use aws_emulator::{Availability, Effect, Fault, Image, ImageBuilder, RequestFilter};
use serde_json::json;

use crate::scenario::{check, play, sibling};

#[tokio::test]
async fn created_updated_and_deleted() {
    play(|scene| async move {
        let stack = &scene.account.stack;
        scene.publish(0);
        check(&stack.create(&scene.image("A", 0)).await, CreateComplete);
        scene.names("3.13", 0);
        scene.publish(1);
        let updated = stack.update(&scene.image("A", 1)).await;
        check(&updated, if scene.moves() { UpdateComplete } else { UpdateRollbackComplete });
        scene.names("3.13", usize::from(scene.moves()));
        let reason = updated.failures().join(" ");
        assert!(scene.moves() || reason.contains("immutable"), "{reason}");
        check(&stack.delete().await, DeleteComplete);
        scene.is_empty();
    })
    .await;
}

#[tokio::test]
async fn an_update_refused_upstream_is_rolled_back_while_upstream_still_refuses() {
    play(|scene| async move {
        let stack = &scene.account.stack;
        scene.publish(0);
        let pinned = scene.image("A", 0);
        check(&stack.create(&pinned).await, CreateComplete);
        let headers = [("retry-after".to_owned(), "21600".to_owned())].into();
        let limit = Effect::Status { code: 429, headers, body: String::new() };
        let filter = RequestFilter { host: Some("*docker.io".into()), ..RequestFilter::default() };
        scene.account.world.emulator.faults().add(Fault { filter: filter, effect: limit });
        scene.publish(1);
        let updated = stack.update(&scene.image("A", 1)).await;
        check(&updated, UpdateRollbackComplete);
        scene.names("3.13", 0);
        check(&stack.delete().await, DeleteComplete);
        scene.is_empty();
    })
    .await;
}

#[tokio::test]
async fn an_unpinned_tag_is_rolled_back_while_upstream_is_down() {
    play(|scene| async move {
        let stack = &scene.account.stack;
        let refreshed = |value: &str| {
            let mut properties = scene.properties("python:3.13");
            properties["Refresh"] = json!(value);
            Template::new().image("A", properties)
        };
        scene.publish(0);
        check(&stack.create(&refreshed("1")).await, CreateComplete);
        let (same, asked) = scene.counted(stack.update(&refreshed("2"))).await;
        check(&same, UpdateComplete);
        assert_eq!(asked, ["manifest.head"], "nothing changed");
        scene.upstream(Availability::Unreachable);
        let failed = stack.update(&refreshed("3")).await;
        check(&failed, UpdateRollbackComplete);
        assert_eq!(failed.summary(), ["Update A", "Update A rollback"], "a wish for something new fails");
        scene.names("3.13", 0);
        check(&stack.delete().await, DeleteComplete);
        scene.is_empty();
    })
    .await;
}

#[tokio::test]
async fn an_update_that_succeeded_is_rolled_back_with_upstream_down() {
    play(|scene| async move {
        if scene.is_immutable {
            return; // Such an update does not succeed there.
        }
        let stack = &scene.account.stack;
        scene.publish(0);
        check(&stack.create(&scene.image("A", 0).with("S", sibling("A"))).await, CreateComplete);
        scene.publish(1);
        let world = &scene.account.world;
        let signal = std::sync::Arc::new(tokio::sync::Notify::new());
        let late = Resource::simulated(json!({"changed": "yes"}))
            .fails_to_update(Trigger::Notified(signal.clone()), "no")
            .depends_on("A");
        let template = scene.image("A", 1).with("S", late);
        let fail = async {
            while scene.account.repository.resolve("3.13") != Some(scene.digest(1)) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            world.emulator.docker_hub().set_availability(Availability::Unreachable);
            signal.notify_one();
            scene.account.mark()
        };
        let (updated, mark) = tokio::join!(stack.update(&template), fail);
        check(&updated, UpdateRollbackComplete);
        assert_eq!(scene.account.upstream(mark), Vec::<String>::new(), "upstream is not asked");
        scene.names("3.13", 0);
        check(&stack.delete().await, DeleteComplete);
        scene.is_empty();
    })
    .await;
}

#[tokio::test]
async fn a_selection_of_platforms_is_updated_and_rolled_back() {
    const WANTED: [&str; 2] = ["linux/arm64", "linux/amd64"];
    play(|scene| async move {
        // Here the two worlds differ in how the list is written.
        let platforms = if scene.takes_all { json!(WANTED) } else { json!(WANTED.join(",")) };
        let source = |seed: u64| {
            let recipe = ImageBuilder::new(seed).platforms(&["linux/amd64", "linux/arm64", "linux/s390x"]);
            recipe.layers(&[9_000, 700]).attestations().index()
        };
        let template = |image: &Image| {
            let mut properties = scene.properties(&format!("python:3.13@{}", image.digest()));
            properties["Platform"] = platforms.clone();
            Template::new().image("A", properties)
        };
        let (stack, repository) = (&scene.account.stack, &scene.account.repository);
        let (first, second) = (source(7), source(8));
        scene.account.publish("3.13", &first);
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
        assert_eq!(repository.manifest(&left_out.digest), None, "what was not asked for");
        let log = scene.account.world.function.output().join("\n");
        assert!(log.contains("\"platforms\":\"2 of 3\""), "{log}");
        scene.account.publish("3.13", &second);
        let updated = stack.update(&template(&second)).await;
        check(&updated, if scene.moves() { UpdateComplete } else { UpdateRollbackComplete });
        let latest = repository.resolve("3.13").unwrap();
        assert_eq!(latest != selected, scene.moves());
        scene.upstream(Availability::Unreachable);
        let (back, asked) = scene.counted(stack.update(&template(&first))).await;
        check(&back, UpdateComplete);
        assert_eq!(asked, Vec::<String>::new(), "the same bytes for the same wish are there still");
        assert_eq!(repository.resolve("3.13").as_ref(), Some(&selected));
        check(&stack.delete().await, DeleteComplete);
        let sources = [first, second];
        let manifests = sources.iter().flat_map(|image| &image.manifests);
        let mut digests: Vec<String> = manifests.map(|manifest| manifest.digest.clone()).collect();
        digests.extend([selected, latest]);
        scene.is_empty_after(&digests);
    })
    .await;
}
