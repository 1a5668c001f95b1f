//! Docker Hub pulls of a copy. The emulator counts them like Docker Hub, and the provider's last log line
//! must report the same number.

#![expect(clippy::unwrap_used, reason = "a failed setup ends the test")]

mod common;

use aws_emulator::bucket::ProviderResponse;
use aws_emulator::{Availability, Effect, Fault, Image, ImageBuilder, Mutability};
use common::{Account, check_success, failure_reason};
use serde_json::{Value, json};

const ECR_PUBLIC_MIRROR: &str = "docker.io/library=public.ecr.aws/docker/library";
const MIRROR: &str = "public.ecr.aws/docker/library/python";
const HUB: &str = "docker.io/library/python";

/// Returns an account whose provider has this SOURCE_MIRRORS.
async fn account(mirrors: &str) -> Account {
    let setting = ("SOURCE_MIRRORS".to_owned(), mirrors.to_owned());
    Account::with(Mutability::Mutable, |settings| settings.environment.push(setting)).await
}

fn recipe(seed: u64) -> ImageBuilder {
    ImageBuilder::new(seed).platforms(&["linux/amd64", "linux/arm64", "linux/arm/v7"]).layers(&[40_000, 3000])
}

fn publish_in_mirror(account: &Account, tag: &str, image: &Image) {
    account.world.emulator.ecr_public().put_image("docker/library/python", tag, image);
}

fn properties(account: &Account, tag: &str, platform: &str) -> Value {
    let mut properties = account.properties(&format!("python:{tag}"));
    properties["Platform"] = json!(platform);
    properties
}

/// Result of a Create, with its pulls.
struct CopyResult {
    response: ProviderResponse,
    /// Docker Hub's count.
    pulls: u64,
    /// The provider's last log line.
    line: Value,
}

/// Sends a Create, and checks that the provider reports its pulls.
async fn copy(account: &Account, properties: &Value) -> CopyResult {
    let remaining = || account.world.emulator.docker_hub().remaining_pulls(None).unwrap();
    let before = remaining();
    let (response, line) = account.create_and_last_line(properties).await;
    let pulls = before - remaining();
    assert_eq!(line["source_pulls"], pulls, "{line}");
    // Without a request to Docker Hub, the number of remaining pulls is unknown.
    if !line["source_pulls_left"].is_null() {
        assert_eq!(line["source_pulls_left"], remaining(), "{line}");
    }
    CopyResult { response, pulls, line }
}

/// Returns images and platforms with the number of manifests that a copy reads.
fn cases() -> Vec<(&'static str, Image, &'static str, u64)> {
    vec![
        ("three", recipe(1).index(), "all", 1 + 3),
        // BuildKit adds an attestation manifest for each platform.
        ("attested", recipe(2).attestations().index(), "all", 1 + 3 + 3),
        ("one-of-three", recipe(3).index(), "linux/arm64", 2),
        ("one-of-attested", recipe(4).attestations().index(), "linux/arm64", 2),
        ("two-of-three", recipe(5).index(), "linux/amd64,linux/arm64", 1 + 2),
        ("two-of-attested", recipe(6).attestations().index(), "linux/amd64,linux/arm64", 1 + 2 + 2),
        ("no-index", recipe(7).single(), "all", 1),
    ]
}

#[tokio::test]
async fn a_first_copy_costs_one_pull_per_manifest_and_a_second_copy_none() {
    let account = account("").await;
    for (tag, image, platform, needed) in cases() {
        account.publish(tag, &image);
        let properties = properties(&account, tag, platform);
        let first = copy(&account, &properties).await;
        check_success(&first.response);
        assert_eq!(first.pulls, needed, "{tag}");
        let served = format!("{HUB} ({needed} manifests, {} blobs)", first.line["blobs_copied"]);
        assert_eq!(first.line["source_served_by"], served, "{tag}");
        let second = copy(&account, &properties).await;
        check_success(&second.response);
        assert_eq!((second.pulls, &second.line["outcome"]), (0, &json!("unchanged")), "{tag}");
        assert_eq!(second.line["source_served_by"], Value::Null, "{tag}");
    }
}

#[tokio::test]
async fn a_mirror_avoids_all_pulls() {
    let account = account(ECR_PUBLIC_MIRROR).await;
    for (tag, image, platform, needed) in cases() {
        account.publish(tag, &image);
        publish_in_mirror(&account, tag, &image);
        let mark = account.mark();
        let first = copy(&account, &properties(&account, tag, platform)).await;
        check_success(&first.response);
        assert_eq!(first.pulls, 0, "{tag}");
        let served = format!("{MIRROR} ({needed} manifests, {} blobs)", first.line["blobs_copied"]);
        assert_eq!(first.line["source_served_by"], served, "{tag}");
        let requests: Vec<_> = account.world.emulator.log().since(mark).into_iter().collect();
        let of_hub =
            requests.iter().filter(|entry| entry.host.ends_with("docker.io") && entry.service == "upstream");
        let of_hub: Vec<_> = of_hub.filter(|entry| entry.status != Some(401)).map(|e| &e.operation).collect();
        assert_eq!(of_hub, ["manifest.head"], "{tag}: only Docker Hub resolves the tag");
    }
}

/// Checks that a copy with a defective mirror succeeds with this number of pulls, from these sources and with
/// this warning.
async fn check_defective_mirror(
    case: &str,
    pulls: u64,
    served: &[&str],
    warning: &str,
    damage: impl Fn(&Account),
) {
    let account = account(ECR_PUBLIC_MIRROR).await;
    let image = recipe(1).index();
    account.publish("3.13", &image);
    publish_in_mirror(&account, "3.13", &image);
    damage(&account);
    let copied = copy(&account, &properties(&account, "3.13", "all")).await;
    check_success(&copied.response);
    account.check_stored("3.13", &image);
    assert_eq!(copied.pulls, pulls, "{case}");
    let places = copied.line["source_served_by"].as_str().unwrap();
    let found: Vec<_> = places.split(", ").filter(|part| part.contains('/')).collect();
    assert_eq!(found.len(), served.len(), "{case}: {places}");
    for (found, expected) in found.iter().zip(served) {
        assert!(found.starts_with(expected), "{case}: {places}");
    }
    let log = account.world.function.output();
    let is_expected =
        |line: &String| line.contains("\"WARN\"") && line.contains(MIRROR) && line.contains(warning);
    assert!(warning.is_empty() || log.iter().any(is_expected), "{case}: {log:#?}");
}

#[tokio::test]
async fn a_defective_mirror_costs_pulls_but_the_copy_succeeds() {
    let of_mirror = |operation, effect| Fault::on(operation, effect).host("public.ecr.aws");
    let repository = "docker/library/python";
    check_defective_mirror("without the repository", 4, &[HUB], "NAME_UNKNOWN", |account| {
        account.world.emulator.ecr_public().delete(repository);
    })
    .await;
    // An outdated mirror causes no warning. The log line names the source that served the image.
    check_defective_mirror("without the image", 4, &[HUB], "", |account| {
        account.world.emulator.ecr_public().delete(repository);
        publish_in_mirror(account, "3.12", &recipe(9).index());
    })
    .await;
    check_defective_mirror("down", 4, &[HUB], "the mirror failed", |account| {
        account.world.emulator.ecr_public().set_availability(Availability::Unreachable);
    })
    .await;
    check_defective_mirror("overloaded", 4, &[HUB], "503", |account| {
        account.world.emulator.ecr_public().set_availability(Availability::ServiceUnavailable);
    })
    .await;
    let corrupt = || Effect::Corrupt { at_byte: 20, on: None };
    check_defective_mirror("wrong manifests", 4, &[HUB], "does not match its digest", |account| {
        account.world.emulator.faults().add(of_mirror("manifest.get", corrupt()));
    })
    .await;
    check_defective_mirror("wrong blobs", 0, &[MIRROR, HUB], "does not match its digest", |account| {
        let cdn = "*.cloudfront.net";
        account.world.emulator.faults().add(Fault::on("blob.content", corrupt()).host(cdn));
    })
    .await;
}

#[tokio::test]
async fn fails_before_the_first_pull_if_too_few_remain() {
    let account = account("").await;
    let hub = account.world.emulator.docker_hub();
    let image = recipe(1).index();
    account.publish("3.13", &image);
    hub.set_remaining_pulls(None, 0);
    let copied = copy(&account, &properties(&account, "3.13", "all")).await;
    let reason = failure_reason(&copied.response);
    let expected = "Image docker.io/library/python:3.13 could not be read: pulls required: 1, one per manifest; \
                    0 of 100 pulls left for 203.0.113.7 per 6 h. If the provider's parameter UseEcrPublicMirror is false, set it to auto.";
    assert!(reason.starts_with(expected), "{reason}");
    let start = account.world.emulator.log().start();
    assert_eq!(account.world.emulator.log().count(start, "manifest.get"), 0);

    // The number of images is known only from the index. If not all can be read, none is read.
    hub.set_remaining_pulls(None, 3);
    let copied = copy(&account, &properties(&account, "3.13", "all")).await;
    let reason = failure_reason(&copied.response);
    assert!(
        reason.contains("pulls required: 3, one per manifest; 2 of 100 pulls left for 203.0.113.7"),
        "{reason}"
    );
    assert_eq!((copied.pulls, account.repository.images().len()), (1, 0));

    hub.set_remaining_pulls(None, 4);
    let copied = copy(&account, &properties(&account, "3.13", "all")).await;
    check_success(&copied.response);
    assert_eq!(hub.remaining_pulls(None), Some(0));
    // Without remaining pulls, an existing image is still recognized.
    let again = copy(&account, &properties(&account, "3.13", "all")).await;
    check_success(&again.response);
    account.check_stored("3.13", &image);
}

#[tokio::test]
async fn a_mirror_serves_if_no_pulls_remain() {
    let account = account(ECR_PUBLIC_MIRROR).await;
    let image = recipe(1).index();
    account.publish("3.13", &image);
    publish_in_mirror(&account, "3.13", &image);
    account.world.emulator.docker_hub().set_remaining_pulls(None, 0);
    let copied = copy(&account, &properties(&account, "3.13", "all")).await;
    check_success(&copied.response);
    account.check_stored("3.13", &image);
}

#[tokio::test]
async fn an_interrupted_manifest_costs_a_second_pull() {
    let account = account("").await;
    account.publish("3.13", &recipe(1).index());
    let cut = Effect::Reset { after_bytes: 30, on: None };
    account.world.emulator.faults().add(Fault::on("manifest.get", cut).host("registry-1.docker.io").once());
    let copied = copy(&account, &properties(&account, "3.13", "all")).await;
    check_success(&copied.response);
    assert_eq!(copied.pulls, 5);
}
