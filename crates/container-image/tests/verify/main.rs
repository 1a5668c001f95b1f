//! `verify`: every kind of damage is found, and nothing else is reported.

#![expect(clippy::unwrap_used, reason = "a failed setup fails the test")]

#[path = "../common/mod.rs"]
mod common;
mod inputs;
mod registry;
mod unchecked;

use std::time::Duration;

use aws_emulator::{Image, Mutability, Repository, STATE_TABLE};
use common::{RunOutput, Sandbox, image};
use serde_json::{Value, json};

pub(crate) const REGION: &str = "eu-west-1";
pub(crate) const HOST: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";

/// An account with three images of one provider: `base/python:1`, `base/python:2` and `base/redis:7`. Each is
/// the copy of an image of Docker Hub with two platforms.
pub(crate) struct Account {
    pub(crate) sandbox: Sandbox,
    pub(crate) python: Repository,
    pub(crate) redis: Repository,
}

/// The copied image of `base/python:1`.
pub(crate) const DAMAGED: u64 = 1;

impl Account {
    pub(crate) async fn new() -> Self {
        let sandbox = Sandbox::start().await;
        let create = |name: &str| {
            let arn = sandbox.emulator.repository_arn(name);
            sandbox.emulator.ecr().create_repository(&arn, Mutability::Mutable)
        };
        let (python, redis) = (create("base/python"), create("base/redis"));
        let account = Self { sandbox, python, redis };
        account.copy("python", "1", DAMAGED);
        account.copy("python", "2", 2);
        account.copy("redis", "7", 3);
        account
    }

    /// Publishes an image, and stores its copy with a record in the state table.
    fn copy(&self, name: &str, tag: &str, seed: u64) {
        let source = format!("docker.io/library/{name}:{tag}");
        let digest = self.sandbox.publish(&source, seed);
        let repository = if name == "redis" { &self.redis } else { &self.python };
        repository.put_image(Some(tag), &image(seed));
        let owner = owner(&format!("{name}{tag}"));
        let record = json!({"Time": 5, "Owner": owner, "Source": source, "SourceDigest": digest,
            "Selection": "all", "Platforms": [], "Digest": digest, "Properties": ""});
        self.put_state(&format!("{HOST}/base/{name}:{tag}"), &owner, &json!([record]));
    }

    pub(crate) fn put_state(&self, image: &str, owner: &str, copies: &Value) {
        let item = json!({"Image": image, "Version": 1, "Owners": {owner: 5}, "Copies": copies});
        self.sandbox.emulator.dynamodb().put(REGION, STATE_TABLE, &item);
    }

    /// Checks all images of the state table.
    pub(crate) async fn verify_all(&self, more: &str) -> RunOutput {
        self.sandbox.run(&format!("verify --all --state-table {STATE_TABLE} {more}")).await
    }

    /// Checks all images of the state table. Returns the document.
    pub(crate) async fn verify_json(&self) -> (Option<i32>, Value) {
        let output = self.verify_all("--json").await;
        (output.code, document(&output))
    }

    pub(crate) fn set_lifecycle_policy(&self, name: &str, rule: &Value) {
        let policy = json!({"rules": [rule]}).to_string();
        let input = json!({"repositoryName": name, "lifecyclePolicyText": policy});
        self.sandbox.emulator.ecr().call(REGION, "PutLifecyclePolicy", &input).unwrap();
    }
}

/// Returns an owner in the stack `images`.
pub(crate) fn owner(logical_id: &str) -> String {
    format!("arn:aws:cloudformation:{REGION}:123456789012:stack/images/7c9e6679/{logical_id}")
}

#[track_caller]
pub(crate) fn document(output: &RunOutput) -> Value {
    assert_eq!(output.stderr, "", "{output:?}");
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// Returns state and image of each result.
pub(crate) fn states(document: &Value) -> Vec<String> {
    let images = document["images"].as_array().unwrap().iter();
    let line = |image: &Value| {
        let name = image["reference"].as_str().unwrap();
        format!(
            "{} {}",
            image["status"].as_str().unwrap(),
            name.strip_prefix(&format!("{HOST}/")).unwrap_or(name)
        )
    };
    images.map(line).collect()
}

/// Returns the messages of all problems.
pub(crate) fn problems(document: &Value) -> Vec<String> {
    let images = document["images"].as_array().unwrap().iter();
    let problems = images.flat_map(|image| image["problems"].as_array().unwrap());
    problems.map(|problem| problem["message"].as_str().unwrap().to_owned()).collect()
}

/// Returns `sha256:` and 12 digits.
pub(crate) fn short(digest: &str) -> &str {
    &digest[..19]
}

/// Damages `base/python:1`, and checks that exactly this is reported.
async fn check(damage: impl FnOnce(&Account, &Image), state: &str, problem: &str) {
    let account = Account::new().await;
    let image = image(DAMAGED);
    damage(&account, &image);
    let (code, document) = account.verify_json().await;
    let expected = [&format!("{state} base/python:1"), "ok base/python:2", "ok base/redis:7"];
    assert_eq!(states(&document), expected, "{document:#}");
    let expected = problem
        .replace("ROOT", short(image.digest()))
        .replace("ARM64", short(&image.child("linux/arm64").unwrap().digest));
    assert_eq!(problems(&document), [expected], "{document:#}");
    assert_eq!(document["notes"], json!([]));
    assert_eq!((code, &document["summary"]["exit_code"]), (Some(1), &json!(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_account_has_no_problem() {
    let account = Account::new().await;
    let keeping = json!({"rulePriority": 1, "description": "Keep ten images, which is more than there are",
        "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 10},
        "action": {"type": "expire"}});
    account.set_lifecycle_policy("base/python", &keeping);
    let log = account.sandbox.emulator.log();
    let mark = log.mark();
    let output = account.verify_all("").await;
    let expected = format!(
        "{HOST}\n  ok          base/python:1\n  ok          base/python:2\n  ok          base/redis:7\n\
         3 images: 3 ok, 0 moved, 0 at risk, 0 incomplete, 0 missing\nexit code 0: all images are complete\n"
    );
    assert_eq!((output.code, output.stdout, output.stderr.as_str()), (Some(0), expected, ""));
    // Each source costs one HEAD request, and each repository two calls for manifests and one for layers.
    assert_eq!(log.pulls(mark), 0);
    assert_eq!(log.count(mark, "ecr:BatchGetImage"), 4);
    assert_eq!(log.count(mark, "ecr:BatchCheckLayerAvailability"), 2);
    assert_eq!(log.count(mark, "ecr:StartLifecyclePolicyPreview"), 2);
    assert_eq!(log.count(mark, "dynamodb:*"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn finds_a_deleted_tag() {
    let problem = "the tag is missing, or its image is archived. Change Refresh of python1 in stack images.";
    check(|account, _| account.python.set_tag("1", None), "missing", problem).await;
    // The last tag takes the image with it.
    check(|account, image| account.python.expire_image(image.digest()), "missing", problem).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn finds_a_tag_that_somebody_moved() {
    let other = image(9);
    let problem = format!(
        "the tag names {}, but ROOT was copied. Change Refresh of python1 in stack images.",
        short(other.digest())
    );
    check(|account, _| account.python.put_image(Some("1"), &other), "at_risk", &problem).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn finds_a_deleted_child_manifest() {
    let problem = "child manifest ARM64 (linux/arm64) of ROOT is missing or archived. Change Refresh of python1 in \
                   stack images.";
    let delete = |account: &Account, image: &Image| {
        account.python.expire_image(&image.child("linux/arm64").unwrap().digest);
    };
    check(delete, "incomplete", problem).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn finds_a_removed_layer() {
    let blobs = image(DAMAGED).blobs;
    let layer = blobs.iter().max_by_key(|blob| blob.size()).unwrap().digest().to_owned();
    let problem = format!(
        "blob {} of ROOT is missing or archived. Change Refresh of python1 in stack images.",
        short(&layer)
    );
    check(|account, _| account.python.remove_blob(&layer), "incomplete", &problem).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn finds_a_lifecycle_rule_that_is_about_to_expire_an_image() {
    let problem =
        "lifecycle rule 7 is about to expire the image. Change rule 7 of the repository's lifecycle policy.";
    let expire = |account: &Account, image: &Image| {
        account.python.age_image(image.digest(), Duration::from_secs(100_000));
        let rule = json!({"rulePriority": 7, "description": "Keep a day",
            "selection": {"tagStatus": "tagged", "tagPatternList": ["*"], "countType": "sinceImagePushed",
                "countUnit": "days", "countNumber": 1},
            "action": {"type": "expire"}});
        account.set_lifecycle_policy("base/python", &rule);
    };
    check(expire, "at_risk", problem).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moved_source_is_no_failure() {
    let account = Account::new().await;
    let digest = account.sandbox.publish("docker.io/library/python:1", 8);
    let output = account.verify_all("").await;
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "{output:?}");
    assert!(output.stdout.contains("\n  moved       base/python:1\n  ok "), "{output:?}");
    let line = format!(
        "\n~ base/python:1: docker.io/library/python:1 now names {}. To copy it, change Refresh of python1 in stack images.\n",
        short(&digest)
    );
    assert!(output.stdout.contains(&line), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn prints_the_findings_of_the_worst_platform() {
    let account = Account::new().await;
    let image = image(DAMAGED);
    let child = |platform: &str| image.child(platform).unwrap().digest.clone();
    account.python.scan_image(&child("linux/amd64"), &[("HIGH", 90), ("CRITICAL", 1)]);
    account.python.scan_image(&child("linux/arm64"), &[("CRITICAL", 2), ("LOW", 4), ("MEDIUM", 1)]);
    account.redis.scan_image(&common::image(3).child("linux/amd64").unwrap().digest, &[]);
    // The first request for the findings returns a scan in progress.
    account.verify_all("").await;
    let output = account.verify_all("").await;
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "{output:?}");
    let rows = "  ok          base/python:1  2 critical, 5 others\n  ok          base/python:2\n  ok          \
                base/redis:7   no findings\n";
    assert!(output.stdout.contains(rows), "{output:?}");
    let (_, document) = account.verify_json().await;
    let expected = json!({"critical": 2, "low": 4, "medium": 1});
    assert_eq!(document["images"][0]["findings"], expected);
    assert_eq!(document["images"][0]["findings_platform"], "linux/arm64");
    assert_eq!(document["images"][1]["findings"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn quiet_prints_only_problems() {
    let account = Account::new().await;
    let output = account.verify_all("--quiet").await;
    assert_eq!((output.code, output.stdout.as_str(), output.stderr.as_str()), (Some(0), "", ""));
    account.python.set_tag("1", None);
    account.sandbox.publish("docker.io/library/redis:7", 8);
    let output = account.verify_all("--quiet").await;
    let line = format!(
        "error: {HOST}/base/python:1: the tag is missing, or its image is archived. Change Refresh of python1 in \
         stack images.\n"
    );
    assert_eq!((output.code, output.stdout.as_str(), output.stderr), (Some(1), "", line));
}
