//! Lifecycle previews of the emulator's ECR.

use std::time::Duration;

use aws_emulator::{Ecr, ImageBuilder, Mutability};
use serde_json::json;

use super::*;
use crate::testing::{clients_of, clients_with, failure, success};

const ARN: &str = "arn:aws:ecr:eu-west-1:123456789012:repository/app";

#[tokio::test]
async fn lists_the_images_of_all_pages() {
    let ecr = Ecr::standalone("123456789012");
    let stored = ecr.create_repository(ARN, Mutability::Mutable);
    let repository = clients_of(ecr.clone()).repository(&ARN.parse().unwrap(), None);
    assert_eq!(repository.lifecycle_preview().await.unwrap(), None, "there is no policy");
    let policy = json!({"rules": [{"rulePriority": 7, "description": "Keep one image",
        "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 1},
        "action": {"type": "expire"}}]});
    let input = json!({"repositoryName": "app", "lifecyclePolicyText": policy.to_string()});
    ecr.call("eu-west-1", "PutLifecyclePolicy", &input).unwrap();
    assert_eq!(repository.lifecycle_preview().await.unwrap(), Some(Vec::new()));
    // ECR returns 100 results on a page.
    for seed in 0..150 {
        let image = ImageBuilder::new(seed).single();
        stored.put_image(Some(&format!("v{seed}")), &image);
        stored.age_image(image.digest(), Duration::from_secs(seed));
    }
    let images = repository.lifecycle_preview().await.unwrap().unwrap();
    assert_eq!(images.len(), 149);
    assert_eq!((images[0].rule, images[0].action), (7, LifecycleAction::Expire));
    assert_eq!(images[0].tags, ["v149"]);
    assert_eq!(Some(images[0].digest.to_string()), stored.resolve("v149"));
}

#[tokio::test]
async fn waits_for_the_preview_of_another_client() {
    let ecr = Ecr::standalone("123456789012");
    ecr.create_repository(ARN, Mutability::Mutable);
    let remaining = std::sync::atomic::AtomicU32::new(2);
    let clients = clients_with(move |name, _| match name {
        "StartLifecyclePolicyPreview" => match remaining.fetch_sub(1, std::sync::atomic::Ordering::SeqCst) {
            0 => success(&json!({"status": "IN_PROGRESS"})),
            _ => failure("LifecyclePolicyPreviewInProgressException", "Wait and try again."),
        },
        _ => success(&json!({"status": "COMPLETE", "previewResults": [
            {"imageDigest": format!("sha256:{}", "a".repeat(64)), "action": {"type": "TRANSITION"}}]})),
    });
    let repository = clients.repository(&ARN.parse().unwrap(), None);
    let images = repository.lifecycle_preview().await.unwrap().unwrap();
    assert_eq!(images[0].action, LifecycleAction::Archive);
}

#[tokio::test]
async fn a_failed_preview_is_an_error() {
    let clients = clients_with(|name, _| match name {
        "StartLifecyclePolicyPreview" => success(&json!({"status": "IN_PROGRESS"})),
        _ => success(&json!({"status": "FAILED"})),
    });
    let error = clients.repository(&ARN.parse().unwrap(), None).lifecycle_preview().await.unwrap_err();
    assert!(error.has_code("FAILED"), "{error}");
}
