//! What the provider keeps beside the images: lost, damaged, refused, or never written.

use aws_emulator::stack::StackStatus::{
    CreateComplete, DeleteComplete, UpdateComplete, UpdateRollbackComplete,
};
use aws_emulator::stack::{Resource, Template};
use aws_emulator::{Effect, Fault, Switch};
use serde_json::json;

use crate::scene::{Scene, check, failing, play, sibling};

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
async fn the_record_of_a_source_outlives_one_of_its_images() {
    play(|scene| async move {
        let stack = &scene.account.stack;
        scene.publish(0);
        let source = scene.images[0].digest();
        let template = |platform: &str| {
            let mut properties = scene.properties(&format!("python@{source}"));
            properties["Platform"] = json!(platform);
            Template::new().image("A", properties)
        };
        check(&stack.create(&template("linux/amd64")).await, CreateComplete);
        check(&stack.update(&template("linux/arm64")).await, UpdateComplete);
        let record = format!("copy-record.copy-of.{}", source.replace(':', "-"));
        assert!(scene.account.repository.tags().contains_key(&record), "{}", scene.name());
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
