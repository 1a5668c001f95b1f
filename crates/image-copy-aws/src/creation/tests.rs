//! Creation of repositories in the emulator's ECR.

use std::sync::Arc;

use aws_emulator::Ecr;
use image_copy::copy::Inventory as _;
use image_copy::oci::Digest;
use image_copy::registry::ManifestId;
use serde_json::{Value, json};

use super::*;
use crate::repository_spec::{Encryption, TagMutability};
use crate::testing::{clients_of, clients_with, failure, success};

const ARN: &str = "arn:aws:ecr:eu-west-1:123456789012:repository/team/app";
const LIFECYCLE: &str = r#"{"rules": [{"rulePriority": 1, "description": "Keep ten images",
    "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 10},
    "action": {"type": "expire"}}]}"#;
const POLICY: &str =
    r#"{"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "ecr:BatchGetImage"}]}"#;

fn repository(ecr: &Arc<Ecr>) -> EcrRepository {
    clients_of(Arc::clone(ecr)).repository(&ARN.parse().unwrap(), None)
}

fn call(ecr: &Ecr, action: &str, input: Value) -> Value {
    ecr.call("eu-west-1", action, &input).unwrap_or_else(|error| panic!("{action}: {error:?}"))
}

fn full_spec() -> RepositorySpec {
    RepositorySpec {
        mutability: TagMutability::Immutable { except: vec!["dev-*".into()] },
        scan_on_push: true,
        encryption: Encryption::Kms(Some("alias/images".into())),
        lifecycle_policy: Some(LIFECYCLE.into()),
        repository_policy: Some(POLICY.into()),
        tags: [("team".to_owned(), "web".to_owned())].into(),
    }
}

#[tokio::test]
async fn creates_a_repository_with_all_settings_once() {
    let ecr = Ecr::standalone("123456789012");
    let repository = repository(&ecr);
    let spec = full_spec();
    let by_request = Ensured::New(Creation::ByRequest);
    assert_eq!(repository.planned_creation(&spec).await.unwrap(), Some(Creation::ByRequest));
    assert_eq!(ecr.repositories(), [""; 0], "a plan creates nothing");
    assert_eq!(repository.ensure_exists(&spec).await.unwrap(), by_request);
    let name = || json!({"repositoryName": "team/app"});
    let described = call(&ecr, "DescribeRepositories", json!({"repositoryNames": ["team/app"]}));
    let described = &described["repositories"][0];
    assert_eq!(described["imageTagMutability"], "IMMUTABLE_WITH_EXCLUSION");
    assert_eq!(described["imageTagMutabilityExclusionFilters"][0]["filter"], "dev-*");
    assert_eq!(described["imageScanningConfiguration"]["scanOnPush"], true);
    let key = "arn:aws:kms:eu-west-1:123456789012:alias/images";
    assert_eq!(described["encryptionConfiguration"], json!({"encryptionType": "KMS", "kmsKey": key}));
    assert_eq!(call(&ecr, "GetLifecyclePolicy", name())["lifecyclePolicyText"], LIFECYCLE);
    assert_eq!(call(&ecr, "GetRepositoryPolicy", name())["policyText"], POLICY);
    let tags = call(&ecr, "ListTagsForResource", json!({"resourceArn": ARN}));
    assert_eq!(tags["tags"], json!([{"Key": "team", "Value": "web"}]));

    let other = RepositorySpec { scan_on_push: true, ..RepositorySpec::default() };
    assert_eq!(repository.ensure_exists(&other).await.unwrap(), Ensured::Existing);
    assert_eq!(call(&ecr, "GetLifecyclePolicy", name())["lifecyclePolicyText"], LIFECYCLE);
}

#[tokio::test]
async fn a_repository_that_another_client_creates_is_success() {
    let clients = clients_with(|name, _| match name {
        "DescribeRepositories" => failure("RepositoryNotFoundException", "missing"),
        "CreateRepository" => failure("RepositoryAlreadyExistsException", "exists"),
        other => panic!("{other} would change the settings of the other client"),
    });
    let repository = clients.repository(&ARN.parse().unwrap(), None);
    assert_eq!(repository.ensure_exists(&full_spec()).await.unwrap(), Ensured::Existing);
}

#[tokio::test]
async fn a_rejected_policy_is_reported_after_the_creation() {
    let ecr = Ecr::standalone("123456789012");
    let spec = RepositorySpec { lifecycle_policy: Some("{}".into()), ..RepositorySpec::default() };
    let error = repository(&ecr).ensure_exists(&spec).await.unwrap_err();
    assert!(
        matches!(&error, CreationError::PolicyNotSet(Error::Service { service, .. })
            if service == "ecr:PutLifecyclePolicy"),
        "{error:?}"
    );
    assert_eq!(ecr.repositories(), [ARN]);
    ecr.deny("ecr:CreateRepository", "*");
    ecr.repository(ARN).delete();
    let spec = RepositorySpec { scan_on_push: true, ..RepositorySpec::default() };
    let error = repository(&ecr).ensure_exists(&spec).await.unwrap_err();
    assert!(matches!(&error, CreationError::NotCreated(cause) if cause.has_code("AccessDeniedException")));
}

fn add_template(ecr: &Ecr, prefix: &str, applied_for: &str) {
    let input = json!({"prefix": prefix, "appliedFor": [applied_for], "imageTagMutability": "IMMUTABLE",
        "lifecyclePolicy": LIFECYCLE, "resourceTags": [{"Key": "template", "Value": prefix}],
        "customRoleArn": "arn:aws:iam::123456789012:role/ecr"});
    call(ecr, "CreateRepositoryCreationTemplate", input);
}

#[tokio::test]
async fn a_template_for_pushes_has_priority_over_default_settings() {
    let ecr = Ecr::standalone("123456789012");
    let repository = repository(&ecr);
    let plan = async |spec: RepositorySpec| repository.planned_creation(&spec).await.unwrap().unwrap();
    for (prefix, applied_for, expected) in [
        ("team/app", "CREATE_ON_PUSH", None),
        ("team", "REPLICATION", None),
        ("ROOT", "CREATE_ON_PUSH", Some("ROOT")),
        ("te", "CREATE_ON_PUSH", Some("ROOT")),
    ] {
        add_template(&ecr, prefix, applied_for);
        let found = match plan(RepositorySpec::default()).await {
            Creation::OnPush { prefix, .. } => Some(prefix),
            Creation::ByRequest => None,
        };
        assert_eq!(found.as_deref(), expected, "after {prefix}");
    }
    let ecr = Ecr::standalone("123456789012");
    add_template(&ecr, "ROOT", "CREATE_ON_PUSH");
    add_template(&ecr, "team", "CREATE_ON_PUSH");
    let repository = self::repository(&ecr);
    let Ensured::New(Creation::OnPush { prefix, spec }) =
        repository.ensure_exists(&RepositorySpec::default()).await.unwrap()
    else {
        panic!("the template is not used")
    };
    assert_eq!(prefix, "team");
    assert_eq!(spec.to_string(), "immutable tags, encryption AES256, lifecycle policy, tags template=team");
    assert_eq!(ecr.repositories(), [""; 0], "ECR creates it on push");
    let explicit = RepositorySpec { scan_on_push: true, ..RepositorySpec::default() };
    assert_eq!(repository.planned_creation(&explicit).await.unwrap(), Some(Creation::ByRequest));
}

#[tokio::test]
async fn templates_of_another_account_do_not_apply() {
    let clients = clients_with(|name, _| match name {
        "DescribeRepositories" => failure("RepositoryNotFoundException", "missing"),
        _ => success(&json!({"registryId": "999999999999", "repositoryCreationTemplates":
            [{"prefix": "ROOT", "appliedFor": ["CREATE_ON_PUSH"]}]})),
    });
    let repository = clients.repository(&ARN.parse().unwrap(), None);
    let planned = repository.planned_creation(&RepositorySpec::default()).await.unwrap();
    assert_eq!(planned, Some(Creation::ByRequest));
}

#[tokio::test]
async fn a_missing_repository_can_count_as_empty() {
    let ecr = Ecr::standalone("123456789012");
    let strict = repository(&ecr);
    let empty = repository(&ecr).or_empty();
    let digest = Digest::of(b"x");
    let ids = [ManifestId::Digest(digest.clone()), ManifestId::Tag("1".parse().unwrap())];
    assert!(strict.manifests(&ids).await.unwrap_err().has_code("RepositoryNotFoundException"));
    assert_eq!(empty.manifests(&ids).await.unwrap(), [None, None]);
    assert!(empty.blobs(std::slice::from_ref(&digest)).await.unwrap().is_empty());
    assert_eq!(empty.settings(None).await.unwrap(), image_copy::copy::RepositorySettings::default());
    assert!(empty.lists_referrers(&digest).await.unwrap());
    ecr.deny("ecr:BatchGetImage", "*");
    let denied = empty.manifests(&ids).await.unwrap_err();
    assert!(denied.has_code("AccessDeniedException"), "only a missing repository is empty");
}
