//! What stacks can rely on: each row is played in a repository with mutable and with immutable
//! tags, with `Platform` absent and `all`.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic as tests do")]

mod common;

use std::time::Duration;

use aws_emulator::stack::{Moment, Policy, Resource, Stack, StackStatus, Template, Transcript};
use aws_emulator::{Effect, Fault, Image, Match, Mutability, Switch};
use common::{Account, index};
use serde_json::{Value, json};

/// One of the four worlds that a row is played in.
struct Scene {
    account: Account,
    is_immutable: bool,
    takes_all: bool,
    images: [Image; 3],
}

impl Scene {
    async fn new(mutability: Mutability, takes_all: bool) -> Self {
        let is_immutable = mutability == Mutability::Immutable;
        let account = Account::with(mutability, |_| {}).await;
        let images = [index(1), index(2), index(3)];
        Self { account, is_immutable, takes_all, images }
    }

    fn publish(&self, number: usize) {
        self.account.publish("3.13", &self.images[number]);
    }

    fn upstream(&self, switch: Switch) {
        self.account.world.emulator.docker_hub().switch(switch);
    }

    fn properties(&self, reference: &str) -> Value {
        let mut properties = self.account.properties(reference);
        if !self.takes_all {
            properties.as_object_mut().unwrap().remove("Platform");
        }
        properties
    }

    /// Properties for an image by its digest.
    fn pinned(&self, number: usize) -> Value {
        self.properties(&format!("python:3.13@{}", self.images[number].digest()))
    }

    fn image(&self, id: &str, number: usize) -> Template {
        Template::new().image(id, self.pinned(number))
    }

    /// What is in ECR of an image.
    fn digest(&self, number: usize) -> String {
        let image = &self.images[number];
        match self.takes_all {
            true => image.digest().to_owned(),
            false => image.child("linux/amd64").unwrap().digest.clone(),
        }
    }

    #[track_caller]
    fn names(&self, tag: &str, number: impl Into<Option<usize>>) {
        let expected = number.into().map(|number| self.digest(number));
        let repository = &self.account.repository;
        assert_eq!(repository.resolve(tag), expected, "what {tag} names; {}", self.name());
        if expected.is_some() {
            assert_eq!(repository.damage(tag), Vec::<String>::new());
        }
    }

    /// That nothing is left: no image, no record, no claim.
    #[track_caller]
    fn is_empty(&self) {
        let repository = &self.account.repository;
        assert_eq!(
            repository.tags().into_keys().collect::<Vec<_>>(),
            Vec::<String>::new(),
            "{}",
            self.name()
        );
    }

    fn name(&self) -> String {
        format!("immutable {}, all {}", self.is_immutable, self.takes_all)
    }

    fn stack(&self, name: &str) -> Stack {
        self.account.world.stack(name, Duration::from_millis(25))
    }

    /// Upstream operations of what was done, and its result.
    async fn counted<T>(&self, work: impl Future<Output = T>) -> (T, Vec<String>) {
        let mark = self.account.mark();
        let result = work.await;
        (result, self.account.upstream(mark))
    }

    /// Lets a tag move: what is meant by immutable tags is then refused, and said.
    fn moves(&self) -> bool {
        !self.is_immutable
    }
}

#[track_caller]
fn check(transcript: &Transcript, status: StackStatus) {
    assert_eq!(transcript.status, status, "{:?}", transcript.failures());
}

use StackStatus::{CreateComplete, DeleteComplete, RollbackComplete, UpdateComplete, UpdateRollbackComplete};

/// Plays a row in all four worlds, two at a time.
async fn play<F: Future<Output = ()>>(row: impl Fn(Scene) -> F) {
    for mutability in [Mutability::Mutable, Mutability::Immutable] {
        let one = async { row(Scene::new(mutability.clone(), false).await).await };
        let all = async { row(Scene::new(mutability.clone(), true).await).await };
        tokio::join!(one, all);
    }
}

/// A sibling that fails once the image's event is done.
fn failing(needs: &str) -> Resource {
    Resource::sibling(json!({"changed": "yes"}))
        .fails_to_update(Moment::AtOnce, "no")
        .fails_to_create(Moment::AtOnce, "no")
        .depends_on(needs)
}

fn sibling(needs: &str) -> Resource {
    Resource::sibling(json!({})).depends_on(needs)
}

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
        let matching = Match { host: Some("*docker.io".into()), ..Match::default() };
        scene.account.world.emulator.faults().add(Fault { matching, effect: limit });
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
        scene.upstream(Switch::Off);
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
        let late = Resource::sibling(json!({"changed": "yes"}))
            .fails_to_update(Moment::Signal(signal.clone()), "no")
            .depends_on("A");
        let template = scene.image("A", 1).with("S", late);
        let fail = async {
            while scene.account.repository.resolve("3.13") != Some(scene.digest(1)) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            world.emulator.docker_hub().switch(Switch::Off);
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

#[tokio::test]
async fn a_replacement_by_tag_cleans_up_and_rolls_back() {
    play(|scene| async move {
        let stack = &scene.account.stack;
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
async fn two_stacks_claim_a_tag_and_are_deleted_in_either_order() {
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
        // The claim of a stack that went without a Delete keeps the image.
        scene.names("3.13", 0);
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
        let sibling = Resource::sibling(json!({})).fails_to_create(Moment::Sent("A".into()), "no");
        let created = stack.create(&scene.image("A", 0).with("S", sibling)).await;
        check(&created, RollbackComplete);
        assert!(scene.account.world.function.settled(Duration::from_secs(20)).await);
        let tags = scene.account.repository.tags();
        assert!(!tags.keys().any(|tag| tag.starts_with("copy-claim.")), "no claim is left: {tags:?}");
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
    })
    .await;
}

/// What becomes of a stack when what we keep is damaged by others.
async fn after_damage(damage: impl Fn(&Scene)) {
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
        }
    })
    .await;
}

fn reserved(scene: &Scene, prefix: &str) -> Vec<String> {
    scene.account.repository.tags().into_keys().filter(|tag| tag.starts_with(prefix)).collect()
}

#[tokio::test]
async fn a_record_or_claim_is_missing() {
    for prefix in ["copy-record.", "copy-claim."] {
        after_damage(|scene| {
            let tags = reserved(scene, prefix);
            assert_eq!(tags.len(), 1, "{tags:?}");
            tags.iter().for_each(|tag| scene.account.repository.set_tag(tag, None));
        })
        .await;
    }
}

#[tokio::test]
async fn a_record_or_claim_is_damaged() {
    for prefix in ["copy-record.", "copy-claim."] {
        after_damage(|scene| {
            let other = scene.digest(0);
            let tags = reserved(scene, prefix);
            tags.iter().for_each(|tag| scene.account.repository.set_tag(tag, Some(&other)));
        })
        .await;
    }
}

#[tokio::test]
async fn a_repository_that_takes_no_records_still_gets_its_images() {
    play(|scene| async move {
        let stack = &scene.account.stack;
        scene.publish(0);
        let body = json!({"__type": "InvalidParameterException", "message": "no artifacts here"}).to_string();
        let refusal = Effect::Status { code: 400, headers: Default::default(), body };
        scene.account.world.emulator.faults().add(Fault::on("ecr:PutImage", refusal));
        check(&stack.create(&scene.image("A", 0)).await, CreateComplete);
        scene.names("3.13", 0);
        check(&stack.delete().await, DeleteComplete);
        // Without a claim, it is kept.
        scene.names("3.13", 0);
    })
    .await;
}

#[tokio::test]
async fn an_image_without_a_tag_is_kept_by_one_of_ours() {
    play(|scene| async move {
        let stack = &scene.account.stack;
        scene.publish(0);
        let reference = format!("python@{}", scene.images[0].digest());
        let template = |more: &str| {
            let mut properties = scene.properties(&reference);
            properties["Refresh"] = json!(more);
            Template::new().image("A", properties)
        };
        check(&stack.create(&template("1")).await, CreateComplete);
        let id = format!("{}@{}", scene.account.repository.uri(), scene.digest(0));
        assert_eq!(stack.physical_id("A"), Some(id));
        scene.names(&format!("copy-of.{}", scene.digest(0).replace(':', "-")), 0);
        scene.upstream(Switch::Off);
        let (again, asked) = scene.counted(stack.update(&template("2"))).await;
        check(&again, UpdateComplete);
        assert_eq!(asked, Vec::<String>::new());
        check(&stack.delete().await, DeleteComplete);
        scene.is_empty();
        assert_eq!(scene.account.repository.images(), Vec::<String>::new());
    })
    .await;
}

#[tokio::test]
async fn a_stack_of_the_original_provider_is_updated_rolled_back_and_deleted() {
    play(|scene| async move {
        let stack = &scene.account.stack;
        scene.publish(0);
        // As it left them: the image under its tag, the index's digest as attribute, no record.
        scene.account.repository.put_image(Some("3.13"), &scene.images[0]);
        scene.account.repository.set_tag("3.13", Some(&scene.digest(0)));
        if !scene.takes_all {
            scene.account.repository.expire_image(scene.images[0].digest());
        }
        let mut before = scene.pinned(0);
        before["Nonce"] = json!("1");
        let id = format!("{}:3.13", scene.account.repository.uri());
        let resource = Resource::custom("Custom::ContainerImage", before.clone());
        stack.adopt("A", resource, &id, serde_json::Map::new());
        let mut after = before.clone();
        after["Nonce"] = json!("2");
        let blobs = scene.account.repository.blobs().len();
        let updated = stack.update(&Template::new().image("A", after.clone())).await;
        check(&updated, UpdateComplete);
        assert_eq!(updated.summary(), ["Update A"], "no replacement");
        assert_eq!(scene.account.repository.blobs().len(), blobs + 1, "nothing but the records' blob");
        scene.upstream(Switch::Off);
        let failed = stack.update(&scene.image("A", 2)).await;
        check(&failed, UpdateRollbackComplete);
        scene.names("3.13", 0);
        check(&stack.delete().await, DeleteComplete);
        scene.names("3.13", None);
    })
    .await;
}
