//! Scans of the emulator's ECR.

use aws_emulator::{Ecr, ImageBuilder, Mutability};
use serde_json::json;

use super::*;
use crate::testing::{clients_of, clients_with, success};

const ARN: &str = "arn:aws:ecr:eu-west-1:123456789012:repository/app";

#[tokio::test]
async fn returns_the_state_of_a_scan() {
    let ecr = Ecr::standalone("123456789012");
    let stored = ecr.create_repository(ARN, Mutability::Mutable);
    let image = ImageBuilder::new(1).single();
    stored.put_image(Some("1"), &image);
    let repository = clients_of(ecr.clone()).repository(&ARN.parse().unwrap(), None);
    let digest = image.digest().parse().unwrap();
    assert_eq!(repository.image_scan(&digest).await.unwrap(), ImageScan::Missing);
    stored.scan_image(image.digest(), &[("LOW", 5), ("CRITICAL", 2), ("NEW", 1), ("UNDEFINED", 1)]);
    assert_eq!(repository.image_scan(&digest).await.unwrap(), ImageScan::InProgress);
    let ImageScan::Complete(findings) = repository.image_scan(&digest).await.unwrap() else {
        panic!("the scan is not complete")
    };
    let findings: Vec<_> = findings.into_iter().collect();
    assert_eq!(findings, [(Severity::Critical, 2), (Severity::Low, 5), (Severity::Undefined, 2)]);
    let missing = Digest::of(b"missing");
    let error = repository.image_scan(&missing).await.unwrap_err();
    assert!(error.has_code("ImageNotFoundException"), "{error}");
}

#[tokio::test]
async fn an_image_that_cannot_be_scanned_has_ecrs_reason() {
    let clients = clients_with(|_, _| {
        let status = json!({"status": "UNSUPPORTED_IMAGE", "description": "UnsupportedImageError: empty"});
        success(&json!({"imageScanStatus": status}))
    });
    let repository = clients.repository(&ARN.parse().unwrap(), None);
    let ImageScan::Unavailable { status, description } =
        repository.image_scan(&Digest::of(b"x")).await.unwrap()
    else {
        panic!("the image has findings")
    };
    assert_eq!(
        (status.as_str(), description.as_str()),
        ("UNSUPPORTED_IMAGE", "UnsupportedImageError: empty")
    );
}
