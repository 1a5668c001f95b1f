//! Sources in ECR.

use serde_json::Value;

use crate::common::direct::invoke;
use crate::{REGISTRY, account, expand_text, tags};

/// The refresh stack allows `ecr:ListImages` on `SourceRepositoryArns`.
#[tokio::test]
async fn rules_select_tags_of_a_repository_in_ecr() {
    let account = account(&["3.12", "3.13"]).await;
    let (_, copies, _) = expand_text(&account, "images: [python:3.12, python:3.13]").await;
    for copy in copies {
        invoke(&account, copy).await.unwrap();
    }
    let list = format!("images: [{{source: {REGISTRY}/python, tags: {{newest: 1}}, repository: mirror}}]");
    let (_, items, failures) = expand_text(&account, &list).await;
    assert_eq!(failures, [] as [Value; 0]);
    assert_eq!(tags(&items), ["3.13"]);
    assert_eq!(items[0]["ImageReference"], format!("{REGISTRY}/python:3.13"));
}

#[tokio::test]
async fn a_missing_permission_names_the_parameter_of_the_refresh_stack() {
    let account = account(&[]).await;
    account.world.emulator.ecr().deny("ecr:ListImages", "*");
    let list = format!("images: [{{source: {REGISTRY}/python, tags: {{newest: 1}}, repository: mirror}}]");
    let (_, items, failures) = expand_text(&account, &list).await;
    assert_eq!(items, [] as [Value; 0]);
    assert_eq!(failures[0]["ErrorType"], "AccessDenied");
    let message = failures[0]["Message"].as_str().unwrap();
    assert!(
        message
            .contains(" Allow ecr:ListImages with the parameter SourceRepositoryArns of the refresh stack. "),
        "{message}"
    );
}
