//! Lifecycle policy previews of ECR.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

mod common;

use std::time::Duration;

use aws_emulator::{ImageBuilder, Mutability, Repository};
use common::Fixture;
use serde_json::{Value, json};

/// Returns a policy with these selections, in the order of their priority from 1.
fn policy(selections: &[Value]) -> String {
    let rules = selections.iter().enumerate().map(|(at, selection)| {
        json!({"rulePriority": at + 1, "description": "A rule of a test, with some words",
               "selection": selection, "action": {"type": "expire"}})
    });
    json!({"rules": rules.collect::<Vec<_>>()}).to_string()
}

fn count(number: u32, mut selection: Value) -> Value {
    selection["countType"] = json!("imageCountMoreThan");
    selection["countNumber"] = json!(number);
    selection
}

fn days(number: u32, mut selection: Value) -> Value {
    selection["countType"] = json!("sinceImagePushed");
    selection["countUnit"] = json!("days");
    selection["countNumber"] = json!(number);
    selection
}

/// Starts a repository with images that have these tags. The first is one day old, the next two days, and so on.
async fn start(images: &[&[&str]]) -> (Fixture, Repository) {
    let fixture = Fixture::start().await;
    let arn = fixture.emulator.repository_arn("team/app");
    let repository = fixture.emulator.ecr().create_repository(&arn, Mutability::Mutable);
    for (position, tags) in images.iter().enumerate() {
        let image = ImageBuilder::new(position as u64 + 1).single();
        repository.put_image(None, &image);
        for tag in *tags {
            repository.set_tag(tag, Some(image.digest()));
        }
        let days = u64::try_from(position).unwrap() + 1;
        repository.age_image(image.digest(), Duration::from_secs(days * 86_400 + 60));
    }
    (fixture, repository)
}

/// Previews a policy, and returns the first tag and the rule of each image that would expire.
async fn preview(fixture: &Fixture, policy: &str) -> Vec<(String, u64)> {
    let start = json!({"repositoryName": "team/app", "lifecyclePolicyText": policy});
    let started = fixture.call("StartLifecyclePolicyPreview", start).await;
    assert_eq!(started["status"], "IN_PROGRESS");
    let input = json!({"repositoryName": "team/app"});
    let waiting = fixture.call("GetLifecyclePolicyPreview", input.clone()).await;
    assert_eq!((&waiting["status"], &waiting["previewResults"]), (&json!("IN_PROGRESS"), &json!([])));
    let output = fixture.call("GetLifecyclePolicyPreview", input).await;
    assert_eq!(output["status"], "COMPLETE");
    let results = output["previewResults"].as_array().unwrap();
    assert_eq!(output["summary"]["expiringImageTotalCount"], results.len());
    let summary = |result: &Value| {
        assert_eq!(result["action"]["type"], "EXPIRE");
        let tag = result["imageTags"][0].as_str().unwrap_or("untagged");
        (tag.to_owned(), result["appliedRulePriority"].as_u64().unwrap())
    };
    results.iter().map(summary).collect()
}

#[tokio::test]
async fn evaluates_rules_by_priority() {
    let (fixture, _) =
        start(&[&["prod-3"], &["prod-2", "stable"], &["prod-1"], &["dev-2"], &["dev-1"], &[]]).await;
    let tagged = |prefix: &str| json!({"tagStatus": "tagged", "tagPrefixList": [prefix]});
    let pattern = |patterns: &[&str]| json!({"tagStatus": "tagged", "tagPatternList": patterns});
    let any = json!({"tagStatus": "any"});
    let untagged = json!({"tagStatus": "untagged"});
    let is = |expected: &[(&str, u64)]| -> Vec<(String, u64)> {
        expected.iter().map(|(tag, rule)| ((*tag).to_owned(), *rule)).collect()
    };
    for (selections, expected) in [
        (vec![count(2, any.clone())], is(&[("untagged", 1), ("dev-1", 1), ("dev-2", 1), ("prod-1", 1)])),
        (vec![days(4, any.clone())], is(&[("untagged", 1), ("dev-1", 1), ("dev-2", 1)])),
        (vec![days(1, untagged.clone())], is(&[("untagged", 1)])),
        (vec![count(1, tagged("dev-"))], is(&[("dev-1", 1)])),
        // All patterns of a rule must match.
        (vec![days(1, pattern(&["prod-*", "*able"]))], is(&[("prod-2", 1)])),
        // The first rule protects its images from later rules, which still count them.
        (vec![count(9, tagged("prod-")), count(4, any.clone())], is(&[("untagged", 2), ("dev-1", 2)])),
        (
            vec![days(1, untagged), count(1, tagged("dev-")), count(5, any)],
            is(&[("untagged", 1), ("dev-1", 2)]),
        ),
    ] {
        assert_eq!(preview(&fixture, &policy(&selections)).await, expected, "{selections:?}");
    }
}

#[tokio::test]
async fn an_image_of_an_index_expires_after_the_index() {
    let (fixture, repository) = start(&[]).await;
    let index = ImageBuilder::new(1).index();
    repository.put_image(Some("1"), &index);
    for digest in repository.images() {
        repository.age_image(&digest, Duration::from_secs(2 * 86_400));
    }
    let policy = policy(&[days(1, json!({"tagStatus": "any"}))]);
    assert_eq!(preview(&fixture, &policy).await, [("1".to_owned(), 1)]);
}

#[tokio::test]
async fn a_preview_is_asynchronous() {
    let (fixture, _) = start(&[&["1"], &["2"], &[]]).await;
    let app = || json!({"repositoryName": "team/app"});
    let error = fixture.api_error("GetLifecyclePolicyPreview", app()).await;
    assert_eq!(error.0, "LifecyclePolicyPreviewNotFoundException");
    assert_eq!(
        fixture.api_error("StartLifecyclePolicyPreview", app()).await.0,
        "LifecyclePolicyNotFoundException"
    );
    let text = policy(&[count(1, json!({"tagStatus": "any"}))]);
    let put = json!({"repositoryName": "team/app", "lifecyclePolicyText": text});
    fixture.call("PutLifecyclePolicy", put).await;
    fixture.call("StartLifecyclePolicyPreview", app()).await;
    let error = fixture.api_error("StartLifecyclePolicyPreview", app()).await;
    assert_eq!(error.0, "LifecyclePolicyPreviewInProgressException");
    fixture.call("GetLifecyclePolicyPreview", app()).await;
    let mut input = app();
    input["maxResults"] = json!(1);
    let first = fixture.call("GetLifecyclePolicyPreview", input.clone()).await;
    assert_eq!(first["previewResults"].as_array().unwrap().len(), 1);
    input["nextToken"] = first["nextToken"].clone();
    let second = fixture.call("GetLifecyclePolicyPreview", input).await;
    assert_eq!(second["previewResults"][0]["imageTags"], json!(["2"]));
    assert_eq!(second.get("nextToken"), None);
    let mut filtered = app();
    filtered["filter"] = json!({"tagStatus": "UNTAGGED"});
    let output = fixture.call("GetLifecyclePolicyPreview", filtered).await;
    assert_eq!(output["previewResults"].as_array().unwrap().len(), 1);
    let mut named = app();
    named["imageIds"] = json!([{"imageTag": "2"}]);
    let output = fixture.call("GetLifecyclePolicyPreview", named).await;
    assert_eq!(output["previewResults"][0]["imageTags"], json!(["2"]));
}

#[tokio::test]
async fn rejects_invalid_policies() {
    let (fixture, _) = start(&[]).await;
    let any = || json!({"tagStatus": "any"});
    let tagged = |list: &str, words: &[&str]| json!({"tagStatus": "tagged", list: words});
    let five_wildcards = tagged("tagPatternList", &["*a*b*c*d*e"]);
    let mut unit = count(1, any());
    unit["countUnit"] = json!("days");
    for (text, words) in [
        ("{}".to_owned(), "between 100 and 30720"),
        (format!("{{\"rules\": 1}}{}", " ".repeat(100)), "Could not map policyString"),
        (policy(&[count(1, any()), days(1, json!({"tagStatus": "untagged"}))]), "tagStatus=ANY must have"),
        (
            policy(&[days(1, json!({"tagStatus": "untagged"})), days(2, json!({"tagStatus": "untagged"}))]),
            "Only one rule can select Untagged",
        ),
        (policy(&[count(1, json!({"tagStatus": "tagged"}))]), "Must specify tagPrefixList or tagPatternList"),
        (policy(&[count(1, five_wildcards)]), "at most 4 wildcards"),
        (policy(&[unit]), "countUnit"),
        (policy(&[count(0, any())]), "must be positive"),
        (policy(&[count(1, any())]).replace("imageCountMoreThan", "sinceImagePulled"), "is not implemented"),
        (policy(&[count(1, any())]).replace("expire", "transition"), "is not implemented"),
        (
            policy(&[count(1, tagged("tagPrefixList", &["a"])), count(2, tagged("tagPrefixList", &["a"]))]),
            "must be unique",
        ),
    ] {
        let input = json!({"repositoryName": "team/app", "lifecyclePolicyText": text});
        for action in ["PutLifecyclePolicy", "StartLifecyclePolicyPreview"] {
            let (name, message) = fixture.api_error(action, input.clone()).await;
            assert_eq!(name, "InvalidParameterException");
            assert!(message.contains(words), "{message}");
        }
    }
}
