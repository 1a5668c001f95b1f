//! Checks that are not possible are notes. An image that cannot be read is no success.

use aws_emulator::Mutability;
use serde_json::json;

use crate::{Account, HOST, states};

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_check_is_one_note() {
    let account = Account::new().await;
    let ecr = account.sandbox.emulator.ecr();
    let checks = [
        ("ecr:StartLifecyclePolicyPreview", "the lifecycle policy of"),
        ("ecr:DescribeImageScanFindings", "scan findings in"),
        ("ecr:BatchCheckLayerAvailability", "layers in"),
        // The last one, because its preview stays in progress.
        ("ecr:GetLifecyclePolicyPreview", "the lifecycle policy of"),
    ];
    let rule = json!({"rulePriority": 1, "description": "Keep a hundred images, more than there are",
        "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 100},
        "action": {"type": "expire"}});
    account.set_lifecycle_policy("base/python", &rule);
    account.set_lifecycle_policy("base/redis", &rule);
    for (action, what) in checks {
        ecr.deny(action, "*");
        let output = account.verify_all("").await;
        assert_eq!(output.code, Some(0), "{output:?}");
        assert!(output.stdout.starts_with(&format!("{HOST}\n  ok ")), "{output:?}");
        let start = format!(
            "note: not checked: {what} {HOST}/base/python and 1 other: {action} returned AccessDeniedException "
        );
        assert!(output.stderr.starts_with(&start), "{output:?}");
        let end = " Allow this for the AWS identity, or pass another --profile. (CI-008)\n";
        assert!(output.stderr.ends_with(end) && output.stderr.lines().count() == 1, "{output:?}");
        ecr.allow_everything();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_cannot_be_read_is_unknown() {
    let account = Account::new().await;
    let ecr = account.sandbox.emulator.ecr();
    ecr.deny("ecr:BatchGetImage", &account.python.arn());
    let (code, document) = account.verify_json().await;
    let expected = ["unknown base/python:1", "unknown base/python:2", "ok base/redis:7"];
    assert_eq!((code, states(&document)), (Some(1), expected.map(str::to_owned).to_vec()));
    let notes = document["notes"].as_array().unwrap();
    let start = format!("not checked: images in {HOST}/base/python: ecr:BatchGetImage returned AccessDenied");
    assert!(notes.len() == 1 && notes[0]["message"].as_str().unwrap().starts_with(&start), "{notes:?}");
    let output = account.verify_all("--quiet").await;
    assert_eq!((output.code, output.stdout.as_str()), (Some(1), ""), "{output:?}");
    assert!(output.stderr.starts_with(&format!("error: {start}")), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn images_of_a_missing_repository_are_missing() {
    let account = Account::new().await;
    account.redis.delete();
    let (code, document) = account.verify_json().await;
    let expected = ["ok base/python:1", "ok base/python:2", "missing base/redis:7"];
    assert_eq!((code, states(&document)), (Some(1), expected.map(str::to_owned).to_vec()));
    assert_eq!(document["notes"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_cannot_be_read_is_a_note() {
    let account = Account::new().await;
    let arn = account.sandbox.emulator.repository_arn("base/private");
    let repository = account.sandbox.emulator.ecr().create_repository(&arn, Mutability::Mutable);
    for tag in ["1", "2"] {
        let source = format!("ghcr.io/acme/gone:{tag}");
        let digest = crate::common::image(4).digest().to_owned();
        repository.put_image(Some(tag), &crate::common::image(4));
        let owner = crate::owner(&format!("Gone{tag}"));
        let record =
            json!({"Time": 5, "Owner": owner, "Source": source, "SourceDigest": digest, "Digest": digest});
        account.put_state(&format!("{HOST}/base/private:{tag}"), &owner, &json!([record]));
    }
    account.sandbox.registry("ghcr.io");
    let (code, document) = account.verify_json().await;
    assert_eq!((code, states(&document)[0].as_str()), (Some(0), "ok base/private:1"));
    let notes = document["notes"].as_array().unwrap();
    let start = "not checked: the source ghcr.io/acme/gone:1 and 1 other: ";
    assert!(notes.len() == 1 && notes[0]["message"].as_str().unwrap().starts_with(start), "{notes:?}");
}
