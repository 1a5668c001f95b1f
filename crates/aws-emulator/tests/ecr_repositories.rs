//! Settings of ECR repositories, and templates for repositories that a push creates.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

mod common;

use aws_emulator::ImageBuilder;
use common::{Fixture, REGION, REGISTRY};
use reqwest::Method;
use serde_json::{Value, json};

const LIFECYCLE: &str = r#"{"rules": [{"rulePriority": 1, "description": "Keep ten images",
    "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 10},
    "action": {"type": "expire"}}]}"#;
const POLICY: &str =
    r#"{"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "ecr:BatchGetImage"}]}"#;

#[tokio::test]
async fn creates_a_repository_with_all_settings() {
    let fixture = Fixture::start().await;
    let filters = json!([{"filterType": "WILDCARD", "filter": "dev-*"}]);
    let input = json!({
        "repositoryName": "team/app",
        "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
        "imageTagMutabilityExclusionFilters": filters,
        "imageScanningConfiguration": {"scanOnPush": true},
        "encryptionConfiguration": {"encryptionType": "KMS", "kmsKey": "alias/images"},
        "tags": [{"Key": "team", "Value": "web"}],
    });
    let created = fixture.call("CreateRepository", input).await["repository"].clone();
    let key = "arn:aws:kms:eu-west-1:123456789012:alias/images";
    assert_eq!(created["imageTagMutability"], "IMMUTABLE_WITH_EXCLUSION");
    assert_eq!(created["imageTagMutabilityExclusionFilters"], filters);
    assert_eq!(created["imageScanningConfiguration"], json!({"scanOnPush": true}));
    assert_eq!(created["encryptionConfiguration"], json!({"encryptionType": "KMS", "kmsKey": key}));
    let described = fixture.call("DescribeRepositories", json!({"repositoryNames": ["team/app"]})).await;
    assert_eq!(described["repositories"][0], created);
    let resource = json!({"resourceArn": created["repositoryArn"]});
    let tags = fixture.call("ListTagsForResource", resource.clone()).await;
    assert_eq!(tags["tags"], json!([{"Key": "team", "Value": "web"}]));
    let mut more = resource.clone();
    more["tags"] = json!([{"Key": "stage", "Value": "test"}]);
    fixture.call("TagResource", more).await;
    let tags = fixture.call("ListTagsForResource", resource).await["tags"].clone();
    assert_eq!(tags.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn rejects_invalid_settings() {
    let fixture = Fixture::start().await;
    let many_tags: Vec<_> = (0..51).map(|n| json!({"Key": n.to_string(), "Value": ""})).collect();
    for (name, setting, error) in [
        ("Team/app", json!({}), "InvalidParameterException"),
        ("team//app", json!({}), "InvalidParameterException"),
        ("a", json!({}), "InvalidParameterException"),
        ("team/app", json!({"imageTagMutability": "IMMUTABLE_WITH_EXCLUSION"}), "InvalidParameterException"),
        (
            "team/app",
            json!({"imageTagMutability": "IMMUTABLE",
                   "imageTagMutabilityExclusionFilters": [{"filterType": "WILDCARD", "filter": "a"}]}),
            "InvalidParameterException",
        ),
        (
            "team/app",
            json!({"encryptionConfiguration": {"encryptionType": "KMS_DSSE"}}),
            "InvalidParameterException",
        ),
        (
            "team/app",
            json!({"encryptionConfiguration": {"encryptionType": "KMS",
                   "kmsKey": "arn:aws:kms:us-east-1:123456789012:key/1"}}),
            "KmsException",
        ),
        ("team/app", json!({"tags": [{"Key": "aws:x", "Value": ""}]}), "InvalidTagParameterException"),
        ("team/app", json!({"tags": many_tags}), "TooManyTagsException"),
    ] {
        let mut input = setting;
        input["repositoryName"] = json!(name);
        assert_eq!(fixture.api_error("CreateRepository", input.clone()).await.0, error, "{input}");
    }
    assert_eq!(fixture.emulator.ecr().repositories(), [""; 0]);
    fixture.emulator.ecr().set_repository_quota(1);
    fixture.call("CreateRepository", json!({"repositoryName": "first"})).await;
    let (name, _) = fixture.api_error("CreateRepository", json!({"repositoryName": "second"})).await;
    assert_eq!(name, "LimitExceededException");
}

#[tokio::test]
async fn tags_of_a_new_repository_need_a_permission_of_their_own() {
    let fixture = Fixture::start().await;
    fixture.emulator.ecr().deny("ecr:TagResource", "*");
    let mut input = json!({"repositoryName": "team/app", "tags": [{"Key": "team", "Value": "web"}]});
    let (name, message) = fixture.api_error("CreateRepository", input.clone()).await;
    assert_eq!(name, "AccessDeniedException");
    assert!(message.contains("ecr:TagResource on resource: arn:aws:ecr:"), "{message}");
    input["tags"] = json!([]);
    fixture.call("CreateRepository", input).await;
}

#[tokio::test]
async fn stores_policies() {
    let fixture = Fixture::start().await;
    let app = || json!({"repositoryName": "team/app"});
    fixture.call("CreateRepository", app()).await;
    for (get, set, parameter, text, invalid, missing) in [
        (
            "GetLifecyclePolicy",
            "PutLifecyclePolicy",
            "lifecyclePolicyText",
            LIFECYCLE,
            "{}",
            "LifecyclePolicyNotFoundException",
        ),
        (
            "GetRepositoryPolicy",
            "SetRepositoryPolicy",
            "policyText",
            POLICY,
            r#"{"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}]}"#,
            "RepositoryPolicyNotFoundException",
        ),
    ] {
        assert_eq!(fixture.api_error(get, app()).await.0, missing);
        let with = |text: &str| json!({"repositoryName": "team/app", parameter: text});
        assert_eq!(fixture.api_error(set, with(invalid)).await.0, "InvalidParameterException");
        fixture.call(set, with(text)).await;
        assert_eq!(fixture.call(get, app()).await[parameter], text);
        let other = json!({"repositoryName": "other", parameter: text});
        assert_eq!(fixture.api_error(set, other).await.0, "RepositoryNotFoundException");
    }
}

#[tokio::test]
async fn a_policy_can_deny_actions() {
    let fixture = Fixture::start().await;
    let app = json!({"repositoryName": "team/app"});
    fixture.call("CreateRepository", app.clone()).await;
    let policy = |principal: &Value, action: &str| {
        let statement = json!({"Effect": "Deny", "Principal": principal, "Action": [action]});
        json!({"repositoryName": "team/app", "policyText": json!({"Statement": [statement]}).to_string()})
    };
    let role = fixture.emulator.iam().role_arn();
    let others = json!({"AWS": ["arn:aws:iam::210987654321:root", "arn:aws:iam::123456789012:role/other"]});
    for (principal, action, is_denied) in [
        (json!("*"), "ecr:ListImages", true),
        (json!({"AWS": role}), "ecr:List*", true),
        (json!({"AWS": "123456789012"}), "ecr:*", true),
        (json!({"AWS": ["arn:aws:iam::123456789012:root"]}), "ecr:ListImages", true),
        (json!("*"), "ecr:PutImage", false),
        (others, "ecr:*", false),
        (json!({"Service": "codebuild.amazonaws.com"}), "ecr:*", false),
    ] {
        let policy = policy(&principal, action);
        let key = fixture.emulator.repository_arn("team/app");
        fixture.emulator.ecr().repository(&key).delete();
        fixture.call("CreateRepository", app.clone()).await;
        fixture.call("SetRepositoryPolicy", policy).await;
        let (status, output) = fixture.call_in("eu-west-1", "ListImages", app.clone()).await;
        assert_eq!(status == 400, is_denied, "{principal} {action}: {output}");
        if is_denied {
            let message = output["message"].as_str().unwrap();
            assert!(message.ends_with("with an explicit deny in a resource-based policy"), "{message}");
        }
    }
    let mut conditional: Value = json!({"Effect": "Deny", "Principal": "*", "Action": "ecr:*"});
    conditional["Condition"] = json!({"Bool": {"aws:SecureTransport": "false"}});
    let text = json!({"Statement": conditional}).to_string();
    fixture.emulator.ecr().repository(&fixture.emulator.repository_arn("team/app")).delete();
    fixture.call("CreateRepository", app).await;
    let input = json!({"repositoryName": "team/app", "policyText": text});
    let (_, message) = fixture.api_error("SetRepositoryPolicy", input).await;
    assert!(
        message.contains("denial with Condition, NotPrincipal or NotAction is not implemented"),
        "{message}"
    );
}

#[tokio::test]
async fn scans_images_of_a_repository_that_scans_on_push() {
    let fixture = Fixture::start().await;
    fixture.emulator.ecr().remove_rate_limits();
    fixture.call("CreateRepository", json!({"repositoryName": "team/app"})).await;
    let repository = fixture.emulator.ecr().repository(&fixture.emulator.repository_arn("team/app"));
    let image = ImageBuilder::new(1).single();
    repository.put_image(None, &image);
    let input = |tag: &str| json!({"repositoryName": "team/app", "imageId": {"imageTag": tag}});
    let push = |tag: &str| {
        json!({"repositoryName": "team/app", "imageTag": tag,
               "imageManifest": String::from_utf8_lossy(&image.root().bytes)})
    };
    fixture.call("PutImage", push("1")).await;
    assert_eq!(fixture.api_error("DescribeImageScanFindings", input("1")).await.0, "ScanNotFoundException");
    assert_eq!(fixture.api_error("DescribeImageScanFindings", input("2")).await.0, "ImageNotFoundException");
    let configuration =
        json!({"repositoryName": "team/app", "imageScanningConfiguration": {"scanOnPush": true}});
    fixture.call("PutImageScanningConfiguration", configuration).await;
    fixture.call("PutImage", push("2")).await;
    for status in ["IN_PROGRESS", "COMPLETE"] {
        let output = fixture.call("DescribeImageScanFindings", input("2")).await;
        assert_eq!(output["imageScanStatus"]["status"], status);
    }
    repository.scan_image(image.digest(), &[("CRITICAL", 2)]);
    let output = fixture.call("DescribeImageScanFindings", input("1")).await;
    assert_eq!(output.get("imageScanFindings"), None);
    let output = fixture.call("DescribeImageScanFindings", input("1")).await;
    assert_eq!(output["imageScanFindings"]["findingSeverityCounts"], json!({"CRITICAL": 2}));
    assert_eq!(output["imageId"]["imageDigest"], image.digest());
}

fn template(prefix: &str, applied_for: &[&str], tag: &str) -> Value {
    json!({
        "prefix": prefix, "appliedFor": applied_for, "imageTagMutability": "IMMUTABLE",
        "resourceTags": [{"Key": "template", "Value": tag}], "lifecyclePolicy": LIFECYCLE,
        "repositoryPolicy": POLICY, "customRoleArn": "arn:aws:iam::123456789012:role/ecr",
    })
}

#[tokio::test]
async fn a_template_creates_a_repository_on_push() {
    let fixture = Fixture::start().await;
    let create = |input| fixture.call("CreateRepositoryCreationTemplate", input);
    create(template("team", &["CREATE_ON_PUSH"], "team")).await;
    create(template("team/web", &["CREATE_ON_PUSH", "REPLICATION"], "web")).await;
    create(template("cache", &["PULL_THROUGH_CACHE"], "cache")).await;
    let authorization = fixture.ecr_authorization().await;
    for (repository, expected) in
        [("team/app", "team"), ("team/web/app", "web"), ("team/website", "team"), ("team/web", "team")]
    {
        fixture.open(repository, &authorization).await;
        let arn = fixture.emulator.repository_arn(repository);
        let tags = fixture.call("ListTagsForResource", json!({"resourceArn": arn})).await;
        assert_eq!(tags["tags"], json!([{"Key": "template", "Value": expected}]), "{repository}");
        let name = json!({"repositoryName": repository});
        assert_eq!(fixture.call("GetLifecyclePolicy", name.clone()).await["lifecyclePolicyText"], LIFECYCLE);
        assert_eq!(fixture.call("GetRepositoryPolicy", name).await["policyText"], POLICY);
    }
    // No template for a push matches these.
    for repository in ["team", "teams/app", "cache/app", "app"] {
        let url = format!("{REGISTRY}/v2/{repository}/blobs/uploads/");
        let error = fixture.request(Method::POST, &url, &authorization).send().await;
        assert!(error.is_err(), "{repository}");
    }
    create(template("ROOT", &["CREATE_ON_PUSH"], "root")).await;
    fixture.open("app", &authorization).await;
    assert_eq!(fixture.emulator.ecr().repositories().len(), 5);
}

#[tokio::test]
async fn create_repository_uses_no_template() {
    let fixture = Fixture::start().await;
    let input = template("team", &["CREATE_ON_PUSH"], "team");
    fixture.call("CreateRepositoryCreationTemplate", input.clone()).await;
    let created = fixture.call("CreateRepository", json!({"repositoryName": "team/app"})).await;
    assert_eq!(created["repository"]["imageTagMutability"], "MUTABLE");
    let again = fixture.api_error("CreateRepositoryCreationTemplate", input).await;
    assert_eq!(again.0, "TemplateAlreadyExistsException");
    let output = fixture.call("DescribeRepositoryCreationTemplates", json!({})).await;
    let listed = &output["repositoryCreationTemplates"];
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(listed[0]["appliedFor"], json!(["CREATE_ON_PUSH"]));
    assert_eq!(listed[0]["imageTagMutability"], "IMMUTABLE");
    let other = json!({"prefixes": ["other"]});
    let output = fixture.call("DescribeRepositoryCreationTemplates", other).await;
    assert_eq!(output["repositoryCreationTemplates"], json!([]));
    let (_, elsewhere) = fixture.call_in("us-east-1", "DescribeRepositoryCreationTemplates", json!({})).await;
    assert_eq!(elsewhere["repositoryCreationTemplates"], json!([]), "not {REGION}");
}
