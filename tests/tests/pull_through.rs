//! A pull-through cache repository as the source. It is empty until the first pull by tag.

#![expect(clippy::unwrap_used, reason = "a failed setup ends the test")]

mod common;
mod engine;

use std::time::Duration;

use aws_emulator::{Emulator, Image, ImageBuilder, PullThroughSettings};
use common::{Account, check_success, failure_reason};
use engine::{Engine, StaticCredentials};

const HOST: &str = "210987654321.dkr.ecr.us-east-1.amazonaws.com";

async fn cache(filling: PullThroughSettings) -> (Emulator, Engine, Image) {
    let emulator = Emulator::start().await.unwrap();
    emulator.ecr().remove_rate_limits();
    let image = ImageBuilder::new(1).layers(&[20_000]).attestations().index();
    emulator.docker_hub().put_image("library/python", "3.13", &image);
    let prefix = "arn:aws:ecr:us-east-1:210987654321:repository/hub";
    emulator.ecr().pull_through(prefix, emulator.docker_hub(), filling);
    let credentials = StaticCredentials::default().with_ecr(&emulator, HOST, "us-east-1");
    let engine = Engine::new(&emulator, "team/app", credentials, &[]);
    (emulator, engine, image)
}

#[tokio::test]
async fn the_first_pull_by_tag_waits_until_the_cache_is_filled() {
    let filling = PullThroughSettings { delay: Duration::from_millis(300), misses: 0 };
    let (emulator, engine, image) = cache(filling).await;
    engine.copy(&format!("{HOST}/hub/library/python:3.13")).await.unwrap();
    assert_eq!(engine.destination().resolve("copy").as_deref(), Some(image.digest()));
    assert_eq!(engine.destination().integrity_errors("copy"), Vec::<String>::new());
    let start = emulator.log().start();
    assert_eq!(emulator.log().pulls(start), 0, "the engine must not read from Docker Hub");
}

#[tokio::test]
async fn reports_ecr_errors_while_the_cache_is_empty() {
    let (_emulator, engine, image) =
        cache(PullThroughSettings { misses: 2, ..PullThroughSettings::default() }).await;
    let by_digest = format!("{HOST}/hub/library/python@{}", image.digest());
    let error = engine.copy(&by_digest).await.unwrap_err().to_string();
    assert!(error.contains("404 NAME_UNKNOWN \"The repository with name 'hub/library/python'"), "{error}");
    let by_tag = format!("{HOST}/hub/library/python:3.13");
    let error = engine.copy(&by_tag).await.unwrap_err().to_string();
    let expected = format!(
        "Image {by_tag} was not found: ECR returned 404 MANIFEST_UNKNOWN \"Requested image not found\"."
    );
    assert_eq!(error, expected);
    engine.copy(&by_tag).await.unwrap();
    engine.copy(&by_digest).await.unwrap();
}

#[tokio::test]
async fn names_the_missing_permission_to_fill_the_cache() {
    let (emulator, engine, _) = cache(PullThroughSettings::default()).await;
    emulator.ecr().deny("ecr:BatchImportUpstreamImage", "*");
    let error = engine.copy(&format!("{HOST}/hub/library/python:3.13")).await.unwrap_err().to_string();
    assert!(error.contains("is not authorized to perform: ecr:BatchImportUpstreamImage"), "{error}");
}

#[tokio::test]
async fn the_function_names_the_missing_permission_to_fill_the_cache() {
    let account = Account::new().await;
    let image = common::index(1);
    account.publish("3.13", &image);
    let emulator = &account.world.emulator;
    let ecr = emulator.ecr();
    ecr.pull_through(&emulator.repository_arn("hub"), emulator.docker_hub(), PullThroughSettings::default());
    let cached = ecr.repository(&emulator.repository_arn("hub/library/python"));
    let properties = account.properties(&format!("{}:3.13", cached.uri()));
    for action in ["ecr:BatchImportUpstreamImage", "ecr:CreateRepository"] {
        ecr.deny(action, &cached.arn());
        let response = account.create(properties.clone()).await;
        assert!(failure_reason(&response).contains(&format!("Allow {action} with")), "{response:?}");
        assert!(!cached.exists());
        ecr.allow_everything();
    }
    check_success(&account.create(properties).await);
    account.check_stored("3.13", &image);
    assert_eq!(cached.resolve("3.13").as_deref(), Some(image.digest()));
}
