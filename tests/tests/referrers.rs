//! `IncludeReferrers` as a stack sees it: signatures and SBOMs come with the image, and go with it.

#![expect(clippy::unwrap_used, reason = "a test may end in a panic")]

mod common;

use aws_emulator::stack::{StackStatus, Template};
use aws_emulator::{Effect, Fault, Image, Manifest, ReferrersSupport};
use common::{Account, failure, index, succeeded};
use serde_json::{Value, json};

const PYTHON: &str = "library/python";
const SIGNATURE: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";
const SBOM: &str = "application/spdx+json";

/// An account with `python:3.13` upstream, a signature of its index, an SBOM of one of its images, and
/// a signature of that.
async fn signed() -> (Account, Image, Vec<Image>) {
    let (account, image) = (Account::new().await, index(1));
    account.publish("3.13", &image);
    let hub = account.world.emulator.docker_hub();
    hub.set_referrers(ReferrersSupport::Api);
    let sbom = Image::referrer(image.child("linux/arm64").unwrap(), SBOM, "sbom");
    let artifacts = vec![
        Image::referrer(image.root(), SIGNATURE, "signature"),
        Image::referrer(sbom.root(), SIGNATURE, "signature of the SBOM"),
        sbom,
    ];
    artifacts.iter().for_each(|artifact| hub.put_referrer(PYTHON, artifact));
    (account, image, artifacts)
}

fn including(account: &Account) -> Value {
    let mut properties = account.properties("python:3.13");
    properties["IncludeReferrers"] = json!("true");
    properties
}

fn holds(account: &Account, artifact: &Image) -> bool {
    account.repository.manifest(artifact.digest()).is_some()
}

#[tokio::test]
async fn signatures_come_with_the_image_and_go_with_it() {
    let (account, image, artifacts) = signed().await;
    let template = Template::new().image("Python", including(&account));
    let created = account.stack.create(&template).await;
    assert_eq!(created.status, StackStatus::CreateComplete, "{:?}", created.failures());
    account.check_stored("3.13", &image);
    assert!(artifacts.iter().all(|artifact| holds(&account, artifact)));
    let live = account.stack.resource("Python").unwrap();
    assert_eq!(live.attributes["Referrers"], "3 copied");

    let late = Image::referrer(image.root(), SIGNATURE, "a later one");
    account.world.emulator.docker_hub().put_referrer(PYTHON, &late);
    let mark = account.mark();
    let mut again = including(&account);
    again["Refresh"] = json!("2");
    let updated = account.stack.update(&Template::new().image("Python", again)).await;
    assert_eq!(updated.status, StackStatus::UpdateComplete, "{:?}", updated.failures());
    assert_eq!(account.stack.resource("Python").unwrap().attributes["Referrers"], "1 copied, 3 present");
    assert!(holds(&account, &late));
    assert_eq!(account.world.emulator.log().pulls(mark), 1, "the new signature alone");

    let deleted = account.stack.delete().await;
    assert_eq!(deleted.status, StackStatus::DeleteComplete, "{:?}", deleted.failures());
    assert_eq!(account.repository.images(), Vec::<String>::new(), "{:?}", account.repository.tags());
}

#[tokio::test]
async fn without_the_property_nothing_is_looked_for_and_nothing_said() {
    let (account, _, artifacts) = signed().await;
    let mark = account.mark();
    let mut properties = including(&account);
    properties["IncludeReferrers"] = json!("False");
    let answer = account.create(properties).await;
    succeeded(&answer);
    assert!(!answer.data.contains_key("Referrers"));
    assert_eq!(account.world.emulator.log().count(mark, "referrers"), 0);
    assert!(artifacts.iter().all(|artifact| !holds(&account, artifact)));
    let mut wrong = including(&account);
    wrong["IncludeReferrers"] = json!("yes");
    let answer = account.create(wrong).await;
    assert!(
        failure(&answer).starts_with("IncludeReferrers is \"yes\": expected true or false"),
        "{answer:?}"
    );
}

#[tokio::test]
async fn what_ecr_refuses_is_a_warning_and_not_the_end_of_the_copy() {
    let (account, image, _) = signed().await;
    let strict = Image::referrer(image.root(), SBOM, "with a platform");
    let mut document: Value = serde_json::from_slice(&strict.root().bytes).unwrap();
    document["subject"]["platform"] = json!({"os": "linux", "architecture": "amd64"});
    let refused =
        Image { manifests: vec![Manifest::new(document.to_string(), &strict.root().media_type)], ..strict };
    account.world.emulator.docker_hub().put_referrer(PYTHON, &refused);
    let (answer, line) = account.create_and_last_line(&including(&account)).await;
    succeeded(&answer);
    assert_eq!(answer.data["Referrers"], "3 copied, 1 refused");
    let reason = answer.reason.unwrap();
    assert!(
        reason.contains("Referrers: 3 copied, 1 refused: ") && reason.contains("Invalid JSON syntax"),
        "{reason}"
    );
    account.check_stored("3.13", &image);
    assert_eq!(
        (&line["outcome"], &line["referrers_copied"], &line["referrers_refused"]),
        (&json!("copied"), &json!(3), &json!(1))
    );
    let warnings = account.world.function.output();
    let is_warning = |line: &String| line.contains("\"WARN\"") && line.contains(refused.digest());
    assert!(warnings.iter().any(is_warning), "{warnings:#?}");
}

#[tokio::test]
async fn delete_keeps_what_something_else_needs() {
    let (account, image, artifacts) = signed().await;
    let template = Template::new().image("Python", including(&account));
    account.stack.create(&template).await;
    let child = image.child("linux/arm64").unwrap();
    account.repository.set_tag("kept", Some(&child.digest));
    let deleted = account.stack.delete().await;
    assert_eq!(deleted.status, StackStatus::DeleteComplete, "{:?}", deleted.failures());
    assert!(account.repository.manifest(image.digest()).is_none());
    assert!(!holds(&account, &artifacts[0]), "the signature of the index is an orphan");
    assert!(holds(&account, &artifacts[1]) && holds(&account, &artifacts[2]), "the SBOM is of what was kept");
}

#[tokio::test]
async fn delete_leaves_behind_what_it_cannot_look_up() {
    let (account, image, artifacts) = signed().await;
    account.stack.create(&Template::new().image("Python", including(&account))).await;
    let body = json!({"__type": "UnableToListUpstreamImageReferrersException"}).to_string();
    let refusal = Effect::Status { code: 400, headers: [].into(), body };
    account.world.emulator.faults().add(Fault::on("ecr:ListImageReferrers", refusal));
    let deleted = account.stack.delete().await;
    assert_eq!(deleted.status, StackStatus::DeleteComplete, "{:?}", deleted.failures());
    assert!(account.repository.manifest(image.digest()).is_none());
    assert!(artifacts.iter().all(|artifact| holds(&account, artifact)));
}
