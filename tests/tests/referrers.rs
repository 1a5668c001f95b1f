//! `IncludeReferrers` in a stack: signatures and SBOMs are copied and deleted with the image.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

mod common;

use aws_emulator::stack::{StackStatus, Template};
use aws_emulator::{Effect, Fault, Image, Manifest, ReferrersSupport};
use common::{Account, check_success, failure_reason, index};
use serde_json::{Value, json};

const PYTHON: &str = "library/python";
const SIGNATURE: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";
const SBOM: &str = "application/spdx+json";

/// Returns an account, the image `python:3.13` in Docker Hub, and its referrers: a signature of the index, an
/// SBOM of one image, and a signature of the SBOM.
async fn account_with_referrers() -> (Account, Image, Vec<Image>) {
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

fn with_referrers(account: &Account) -> Value {
    let mut properties = account.properties("python:3.13");
    properties["IncludeReferrers"] = json!("true");
    properties
}

fn contains(account: &Account, artifact: &Image) -> bool {
    account.repository.manifest(artifact.digest()).is_some()
}

#[tokio::test]
async fn signatures_are_copied_and_deleted_with_the_image() {
    let (account, image, artifacts) = account_with_referrers().await;
    let template = Template::new().image("Python", with_referrers(&account));
    let created = account.stack.create(&template).await;
    assert_eq!(created.status, StackStatus::CreateComplete, "{:?}", created.failures());
    account.check_stored("3.13", &image);
    assert!(artifacts.iter().all(|artifact| contains(&account, artifact)));
    let live = account.stack.resource("Python").unwrap();
    assert_eq!(live.attributes["Referrers"], "3 copied");

    let later = Image::referrer(image.root(), SIGNATURE, "later signature");
    account.world.emulator.docker_hub().put_referrer(PYTHON, &later);
    let mark = account.mark();
    let mut again = with_referrers(&account);
    again["Refresh"] = json!("2");
    let updated = account.stack.update(&Template::new().image("Python", again)).await;
    assert_eq!(updated.status, StackStatus::UpdateComplete, "{:?}", updated.failures());
    assert_eq!(account.stack.resource("Python").unwrap().attributes["Referrers"], "1 copied, 3 present");
    assert!(contains(&account, &later));
    assert_eq!(account.world.emulator.log().pulls(mark), 1, "only the new signature is pulled");

    let deleted = account.stack.delete().await;
    assert_eq!(deleted.status, StackStatus::DeleteComplete, "{:?}", deleted.failures());
    assert_eq!(account.repository.images(), Vec::<String>::new(), "{:?}", account.repository.tags());
}

#[tokio::test]
async fn without_the_property_no_referrers_are_requested_or_reported() {
    let (account, _, artifacts) = account_with_referrers().await;
    let mark = account.mark();
    let mut properties = with_referrers(&account);
    properties["IncludeReferrers"] = json!("False");
    let response = account.create(properties).await;
    check_success(&response);
    assert!(!response.data.contains_key("Referrers"));
    assert_eq!(account.world.emulator.log().count(mark, "referrers"), 0);
    assert!(artifacts.iter().all(|artifact| !contains(&account, artifact)));
    let mut invalid = with_referrers(&account);
    invalid["IncludeReferrers"] = json!("yes");
    let response = account.create(invalid).await;
    assert!(
        failure_reason(&response).starts_with("IncludeReferrers is \"yes\": expected true or false"),
        "{response:?}"
    );
}

#[tokio::test]
async fn a_referrer_that_ecr_rejects_is_a_warning() {
    let (account, image, _) = account_with_referrers().await;
    let strict = Image::referrer(image.root(), SBOM, "with a platform");
    let mut document: Value = serde_json::from_slice(&strict.root().bytes).unwrap();
    document["subject"]["platform"] = json!({"os": "linux", "architecture": "amd64"});
    let rejected =
        Image { manifests: vec![Manifest::new(document.to_string(), &strict.root().media_type)], ..strict };
    account.world.emulator.docker_hub().put_referrer(PYTHON, &rejected);
    let (response, line) = account.create_and_last_line(&with_referrers(&account)).await;
    check_success(&response);
    assert_eq!(response.data["Referrers"], "3 copied, 1 refused");
    let reason = response.reason.unwrap();
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
    let is_warning = |line: &String| line.contains("\"WARN\"") && line.contains(rejected.digest());
    assert!(warnings.iter().any(is_warning), "{warnings:#?}");
}

#[tokio::test]
async fn delete_keeps_referrers_of_a_tagged_manifest() {
    let (account, image, artifacts) = account_with_referrers().await;
    let template = Template::new().image("Python", with_referrers(&account));
    account.stack.create(&template).await;
    let child = image.child("linux/arm64").unwrap();
    account.repository.set_tag("kept", Some(&child.digest));
    let deleted = account.stack.delete().await;
    assert_eq!(deleted.status, StackStatus::DeleteComplete, "{:?}", deleted.failures());
    assert!(account.repository.manifest(image.digest()).is_none());
    assert!(!contains(&account, &artifacts[0]), "the signature of the deleted index remains");
    assert!(
        contains(&account, &artifacts[1]) && contains(&account, &artifacts[2]),
        "referrers of the tagged manifest were deleted"
    );
}

#[tokio::test]
async fn delete_keeps_referrers_that_it_cannot_list() {
    let (account, image, artifacts) = account_with_referrers().await;
    account.stack.create(&Template::new().image("Python", with_referrers(&account))).await;
    let body = json!({"__type": "UnableToListUpstreamImageReferrersException"}).to_string();
    let refusal = Effect::Status { code: 400, headers: [].into(), body };
    account.world.emulator.faults().add(Fault::on("ecr:ListImageReferrers", refusal));
    let deleted = account.stack.delete().await;
    assert_eq!(deleted.status, StackStatus::DeleteComplete, "{:?}", deleted.failures());
    assert!(account.repository.manifest(image.digest()).is_none());
    assert!(artifacts.iter().all(|artifact| contains(&account, artifact)));
}
