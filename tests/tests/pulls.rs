//! What copies cost of Docker Hub's pulls. The emulator counts as Docker Hub does, and is the judge;
//! the provider's last log line has to say the same.

#![expect(clippy::unwrap_used, reason = "what cannot be set up ends the test")]

mod common;

use aws_emulator::bucket::ProviderResponse;
use aws_emulator::{Availability, Effect, Fault, Image, ImageBuilder, Mutability};
use common::{Account, failure, succeeded};
use serde_json::{Value, json};

const TWIN: &str = "docker.io/library=public.ecr.aws/docker/library";
const MIRROR: &str = "public.ecr.aws/docker/library/python";
const HUB: &str = "docker.io/library/python";

/// An account whose provider reads what SOURCE_MIRRORS says, if anything.
async fn account(mirrors: &str) -> Account {
    let setting = ("SOURCE_MIRRORS".to_owned(), mirrors.to_owned());
    Account::with(Mutability::Mutable, |settings| settings.environment.push(setting)).await
}

fn recipe(seed: u64) -> ImageBuilder {
    ImageBuilder::new(seed).platforms(&["linux/amd64", "linux/arm64", "linux/arm/v7"]).layers(&[40_000, 3000])
}

fn publish_twin(account: &Account, tag: &str, image: &Image) {
    account.world.emulator.ecr_public().put_image("docker/library/python", tag, image);
}

fn properties(account: &Account, tag: &str, platform: &str) -> Value {
    let mut properties = account.properties(&format!("python:{tag}"));
    properties["Platform"] = json!(platform);
    properties
}

/// What came of a Create, and what it cost.
struct Copied {
    answer: ProviderResponse,
    /// By Docker Hub's own count.
    pulls: u64,
    /// The provider's last log line.
    line: Value,
}

/// Sends a Create, and checks that the provider knows what it cost.
async fn copy(account: &Account, properties: &Value) -> Copied {
    let left = || account.world.emulator.docker_hub().remaining_pulls(None).unwrap();
    let before = left();
    let (answer, line) = account.create_and_last_line(properties).await;
    let pulls = before - left();
    assert_eq!(line["source_pulls"], pulls, "{line}");
    // Nothing states how many are left when Docker Hub is not asked.
    if !line["source_pulls_left"].is_null() {
        assert_eq!(line["source_pulls_left"], left(), "{line}");
    }
    Copied { answer, pulls, line }
}

/// Images and platforms, with the manifests that a copy needs.
fn cases() -> Vec<(&'static str, Image, &'static str, u64)> {
    vec![
        ("three", recipe(1).index(), "all", 1 + 3),
        // Each platform of an image that BuildKit made has an attestation, a manifest of its own.
        ("attested", recipe(2).attestations().index(), "all", 1 + 3 + 3),
        ("one-of-three", recipe(3).index(), "linux/arm64", 2),
        ("one-of-attested", recipe(4).attestations().index(), "linux/arm64", 2),
        ("two-of-three", recipe(5).index(), "linux/amd64,linux/arm64", 1 + 2),
        ("two-of-attested", recipe(6).attestations().index(), "linux/amd64,linux/arm64", 1 + 2 + 2),
        ("no-index", recipe(7).single(), "all", 1),
    ]
}

#[tokio::test]
async fn a_first_copy_costs_one_pull_for_each_manifest_and_none_when_nothing_changed() {
    let account = account("").await;
    for (tag, image, platform, needed) in cases() {
        account.publish(tag, &image);
        let properties = properties(&account, tag, platform);
        let first = copy(&account, &properties).await;
        succeeded(&first.answer);
        assert_eq!(first.pulls, needed, "{tag}");
        let served = format!("{HUB} ({needed} manifests, {} blobs)", first.line["blobs_copied"]);
        assert_eq!(first.line["source_served_by"], served, "{tag}");
        let second = copy(&account, &properties).await;
        succeeded(&second.answer);
        assert_eq!((second.pulls, &second.line["outcome"]), (0, &json!("unchanged")), "{tag}");
        assert_eq!(second.line["source_served_by"], Value::Null, "{tag}");
    }
}

#[tokio::test]
async fn the_twin_spares_every_pull() {
    let account = account(TWIN).await;
    for (tag, image, platform, needed) in cases() {
        account.publish(tag, &image);
        publish_twin(&account, tag, &image);
        let mark = account.mark();
        let first = copy(&account, &properties(&account, tag, platform)).await;
        succeeded(&first.answer);
        assert_eq!(first.pulls, 0, "{tag}");
        let served = format!("{MIRROR} ({needed} manifests, {} blobs)", first.line["blobs_copied"]);
        assert_eq!(first.line["source_served_by"], served, "{tag}");
        let asked: Vec<_> = account.world.emulator.log().since(mark).into_iter().collect();
        let of_hub =
            asked.iter().filter(|entry| entry.host.ends_with("docker.io") && entry.service == "upstream");
        let of_hub: Vec<_> = of_hub.filter(|entry| entry.status != Some(401)).map(|e| &e.operation).collect();
        assert_eq!(of_hub, ["manifest.head"], "{tag}: what the tag means, Docker Hub alone says");
    }
}

/// That a copy from the mirror as this makes it ends well, with so many pulls, served by whom this
/// names, and with these words in the log.
async fn check_bad_mirror(what: &str, pulls: u64, served: &[&str], words: &str, spoil: impl Fn(&Account)) {
    let account = account(TWIN).await;
    let image = recipe(1).index();
    account.publish("3.13", &image);
    publish_twin(&account, "3.13", &image);
    spoil(&account);
    let copied = copy(&account, &properties(&account, "3.13", "all")).await;
    succeeded(&copied.answer);
    account.check_stored("3.13", &image);
    assert_eq!(copied.pulls, pulls, "{what}");
    let places = copied.line["source_served_by"].as_str().unwrap();
    let found: Vec<_> = places.split(", ").filter(|part| part.contains('/')).collect();
    assert_eq!(found.len(), served.len(), "{what}: {places}");
    for (found, expected) in found.iter().zip(served) {
        assert!(found.starts_with(expected), "{what}: {places}");
    }
    let log = account.world.function.output();
    let told = |line: &String| line.contains("\"WARN\"") && line.contains(MIRROR) && line.contains(words);
    assert!(words.is_empty() || log.iter().any(told), "{what}: {log:#?}");
}

#[tokio::test]
async fn a_mirror_that_serves_nothing_or_rubbish_costs_pulls_and_no_image() {
    let of_mirror = |operation, effect| Fault::on(operation, effect).host("public.ecr.aws");
    let repository = "docker/library/python";
    check_bad_mirror("without the repository", 4, &[HUB], "NAME_UNKNOWN", |account| {
        account.world.emulator.ecr_public().delete(repository);
    })
    .await;
    // Nothing is wrong with a mirror that is a little behind: who served says it all.
    check_bad_mirror("without the image", 4, &[HUB], "", |account| {
        account.world.emulator.ecr_public().delete(repository);
        publish_twin(account, "3.12", &recipe(9).index());
    })
    .await;
    check_bad_mirror("down", 4, &[HUB], "the mirror failed", |account| {
        account.world.emulator.ecr_public().set_availability(Availability::Unreachable);
    })
    .await;
    check_bad_mirror("overloaded", 4, &[HUB], "503", |account| {
        account.world.emulator.ecr_public().set_availability(Availability::ServiceUnavailable);
    })
    .await;
    let corrupt = || Effect::Corrupt { at_byte: 20, on: None };
    check_bad_mirror("wrong manifests", 4, &[HUB], "does not match its digest", |account| {
        account.world.emulator.faults().add(of_mirror("manifest.get", corrupt()));
    })
    .await;
    check_bad_mirror("wrong blobs", 0, &[MIRROR, HUB], "does not match its digest", |account| {
        let cdn = "*.cloudfront.net";
        account.world.emulator.faults().add(Fault::on("blob.content", corrupt()).host(cdn));
    })
    .await;
}

#[tokio::test]
async fn too_few_pulls_are_told_before_one_is_spent() {
    let account = account("").await;
    let hub = account.world.emulator.docker_hub();
    let image = recipe(1).index();
    account.publish("3.13", &image);
    hub.set_remaining_pulls(None, 0);
    let copied = copy(&account, &properties(&account, "3.13", "all")).await;
    let reason = failure(&copied.answer);
    let expected = "source docker.io/library/python:3.13 cannot be read: pulls needed: 1, one for each \
                    manifest; 0 of 100 left for 203.0.113.7 in each 6 h. Set CredentialArn";
    assert!(reason.starts_with(expected), "{reason}");
    let start = account.world.emulator.log().start();
    assert_eq!(account.world.emulator.log().count(start, "manifest.get"), 0);

    // Only the index says how many images there are. None of them is read when not all can be.
    hub.set_remaining_pulls(None, 3);
    let copied = copy(&account, &properties(&account, "3.13", "all")).await;
    let reason = failure(&copied.answer);
    assert!(
        reason.contains("pulls needed: 3, one for each manifest; 2 of 100 left for 203.0.113.7"),
        "{reason}"
    );
    assert_eq!((copied.pulls, account.repository.images().len()), (1, 0));

    hub.set_remaining_pulls(None, 4);
    let copied = copy(&account, &properties(&account, "3.13", "all")).await;
    succeeded(&copied.answer);
    assert_eq!(hub.remaining_pulls(None), Some(0));
    // With no pull left, what is there already is still known to be there.
    let again = copy(&account, &properties(&account, "3.13", "all")).await;
    succeeded(&again.answer);
    account.check_stored("3.13", &image);
}

#[tokio::test]
async fn the_twin_serves_when_no_pull_is_left() {
    let account = account(TWIN).await;
    let image = recipe(1).index();
    account.publish("3.13", &image);
    publish_twin(&account, "3.13", &image);
    account.world.emulator.docker_hub().set_remaining_pulls(None, 0);
    let copied = copy(&account, &properties(&account, "3.13", "all")).await;
    succeeded(&copied.answer);
    account.check_stored("3.13", &image);
}

#[tokio::test]
async fn a_manifest_that_was_cut_costs_a_second_pull() {
    let account = account("").await;
    account.publish("3.13", &recipe(1).index());
    let cut = Effect::Reset { after_bytes: 30, on: None };
    account.world.emulator.faults().add(Fault::on("manifest.get", cut).host("registry-1.docker.io").once());
    let copied = copy(&account, &properties(&account, "3.13", "all")).await;
    succeeded(&copied.answer);
    assert_eq!(copied.pulls, 5);
}
