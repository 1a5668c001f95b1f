//! The provider's function: its settings and its permissions.

use std::sync::Arc;

use aws_emulator::lambda::{Function, FunctionSettings, LambdaApi};

use super::common::Sandbox;
use super::{HEAD, SOUND, check_failure, plan};

/// Installs the provider with these variables. Its program is never started.
pub(crate) fn install(sandbox: &Sandbox, variables: &[(&str, &str)]) -> Arc<LambdaApi> {
    let mut settings = FunctionSettings::new("cfn-container-image-provider", "/bin/true");
    let variable = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    settings.environment = variables.iter().map(variable).collect();
    let lambda = LambdaApi::new("eu-west-1");
    lambda.add(&Function::new(settings));
    sandbox.emulator.add(lambda.clone());
    lambda
}

fn sound() -> String {
    format!("{HEAD}{SOUND}")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installed_provider_leaves_nothing_unchecked() {
    let (sandbox, _) = Sandbox::with_ecr_repository().await;
    install(&sandbox, &[("ALLOWED_SOURCES", "docker.io/acme")]);
    let output = plan(&sandbox, &sound(), "").await;
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(!output.stdout.contains("not checked"), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_of_the_function_apply() {
    for (variables, expected) in [
        (
            ("ALLOWED_SOURCES", "quay.io"),
            "Source docker.io/acme/app:1 is not allowed by the provider's parameter",
        ),
        (("ALLOWED_SOURCES", "docker.io/*/x"), "The provider's parameter AllowedSources is invalid"),
        (("DEFAULT_PLATFORM", "linux/s390x"), "is not available for linux/s390x"),
    ] {
        let (sandbox, _) = Sandbox::with_ecr_repository().await;
        install(&sandbox, &[variables]);
        let output = plan(&sandbox, &sound().replace("      Platform: all\n", ""), "").await;
        check_failure(&output, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_function_fails_and_an_unreadable_one_is_not_checked() {
    let (sandbox, _) = Sandbox::with_ecr_repository().await;
    let lambda = install(&sandbox, &[]);
    let other = sound().replace("function:cfn-container-image-provider", "function:gone");
    let output = plan(&sandbox, &other, "").await;
    check_failure(
        &output,
        "template.yaml:5: Image: Function arn:aws:lambda:eu-west-1:123456789012:function:gone",
    );
    assert!(output.stdout.contains("ResourceNotFoundException \"Function not found"), "{output:?}");
    assert!(output.stdout.contains("Install the provider, or correct ServiceToken. (CI-401)"), "{output:?}");
    let output = plan(&sandbox, &sound().replace("lambda:${AWS::Region}", "lambda:us-east-1"), "").await;
    check_failure(&output, "ServiceToken is in Region us-east-1, but the stack is in eu-west-1");
    lambda.deny("lambda:GetFunctionConfiguration", "*");
    let output = plan(&sandbox, &sound(), "").await;
    assert_eq!(output.code, Some(0), "{output:?}");
    let expected = "not checked: the provider's settings and permissions: lambda:GetFunctionConfiguration returned AccessDenied";
    assert!(output.stdout.contains(expected), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_role_must_be_able_to_push() {
    let (sandbox, _) = Sandbox::with_ecr_repository().await;
    install(&sandbox, &[]);
    sandbox.emulator.ecr().deny("ecr:PutImage", "*");
    let output = plan(&sandbox, &sound(), "").await;
    check_failure(
        &output,
        "does not allow ecr:PutImage on arn:aws:ecr:eu-west-1:123456789012:repository/base/python",
    );
    assert!(output.stdout.contains("(CI-008)"), "{output:?}");
    let policy = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "ecr:*"}]}"#;
    let call = serde_json::json!({"repositoryName": "base/python", "policyText": policy});
    sandbox.emulator.ecr().call("eu-west-1", "SetRepositoryPolicy", &call).unwrap();
    let output = plan(&sandbox, &sound(), "").await;
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(output.stdout.contains("a policy of repository base/python can extend them"), "{output:?}");
    sandbox.emulator.iam().deny("iam:SimulatePrincipalPolicy", "*");
    let output = plan(&sandbox, &sound(), "").await;
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(output.stdout.contains("iam:SimulatePrincipalPolicy returned AccessDenied"), "{output:?}");
}

const SECRET: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:hub-AbCdEf";

#[tokio::test(flavor = "multi_thread")]
async fn a_private_source_is_read_with_the_secret_of_the_template() {
    let (sandbox, _) = Sandbox::with_ecr_repository().await;
    let lambda = install(&sandbox, &[]);
    let hub = sandbox.emulator.docker_hub();
    hub.add_user("robot", "hub-password");
    hub.make_private("acme/app", &["robot"]);
    // The user's own credentials do not help the function.
    let auth = "cm9ib3Q6aHViLXBhc3N3b3Jk";
    sandbox.write_home(
        ".docker/config.json",
        format!(r#"{{"auths": {{"https://index.docker.io/v1/": {{"auth": "{auth}"}}}}}}"#),
    );
    let output = plan(&sandbox, &sound(), "").await;
    check_failure(&output, "If the image is private, set CredentialArn. (CI-004)");
    let template = format!("{}      CredentialArn: {SECRET}\n", sound());
    let output = plan(&sandbox, &template, "").await;
    check_failure(
        &output,
        "template.yaml:9: Image: Secret arn:aws:secretsmanager:eu-west-1:123456789012:secret:hub-AbCdEf could not be read",
    );
    assert!(output.stdout.contains("(CI-201)"), "{output:?}");
    sandbox.emulator.secrets().put(SECRET, r#"{"username": "robot"}"#);
    check_failure(&plan(&sandbox, &template, "").await, "has no usable credentials");
    sandbox.emulator.secrets().put(SECRET, r#"{"username": "robot", "password": "hub-password"}"#);
    let output = plan(&sandbox, &template, "").await;
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(!output.stdout.contains("not checked"), "{output:?}");
    assert!(!output.stdout.contains("hub-password"), "{output:?}");
    sandbox.emulator.secrets().deny(SECRET);
    sandbox.write_home(".docker/config.json", "{}");
    let output = plan(&sandbox, &template, "").await;
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(output.stdout.contains("the credentials of the source: "), "{output:?}");
    assert!(output.stdout.contains("the source, because the function can have credentials: "), "{output:?}");
    lambda.deny("lambda:GetFunctionConfiguration", "*");
    let output = plan(&sandbox, &sound(), "").await;
    assert_eq!(output.code, Some(0), "the settings can have credentials: {output:?}");
}
