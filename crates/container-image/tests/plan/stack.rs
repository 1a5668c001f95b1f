//! `--stack` compares a template with the deployed one.

use aws_emulator::stack::{Resource, Template};
use serde_json::{Value, json};

use super::common::Sandbox;
use super::{HEAD, SOUND, check_failure, plan, provider};

const URI: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/base/python:1";
const TOKEN: &str = "arn:aws:lambda:eu-west-1:123456789012:function:cfn-container-image-provider";

fn image(reference: &Value) -> Value {
    json!({
        "ServiceToken": TOKEN,
        "ImageReference": reference,
        "RepositoryArn": "arn:aws:ecr:eu-west-1:123456789012:repository/base/python",
        "Platform": "all",
    })
}

/// Returns a sandbox with the stack `shop`, which has one image with tag 1.
async fn sandbox() -> Sandbox {
    let (sandbox, _) = Sandbox::with_ecr_repository().await;
    sandbox.publish("docker.io/acme/app:2", 2);
    provider::install(&sandbox, &[]);
    let reference = json!({"Fn::Sub": "docker.io/acme/app:${Tag}"});
    let template = Template::new().parameter("Tag", "1").image("Image", image(&reference));
    sandbox.emulator.cloudformation().import_stack("shop", "eu-west-1", &template, &[("Image", URI)]);
    sandbox
}

fn with_parameter() -> String {
    let template =
        format!("{HEAD}{SOUND}").replace("docker.io/acme/app:1", "!Sub 'docker.io/acme/app:${Tag}'");
    format!("Parameters: {{Tag: {{Type: String}}}}\n{template}")
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_properties_cause_no_event_and_no_request_to_the_source() {
    let sandbox = sandbox().await;
    let mark = sandbox.emulator.log().mark();
    let output = plan(&sandbox, &with_parameter(), "--stack shop").await;
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(output.stdout.contains("= Image    no event"), "{output:?}");
    assert_eq!(sandbox.emulator.log().count(mark, "manifest.*"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tag_is_a_replacement_and_the_same_tag_is_not() {
    let sandbox = sandbox().await;
    let output = plan(&sandbox, &with_parameter(), "--stack shop --parameter Tag=2").await;
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(output.stdout.contains("~ Image    replaced acme/app:2"), "{output:?}");
    let clean_up =
        format!("- template.yaml:7: Image: the clean-up deletes {URI}, unless another resource uses it");
    assert!(output.stdout.contains(&clean_up), "{output:?}");
    let kept =
        with_parameter().replace("    Type: Custom", "    UpdateReplacePolicy: Retain\n    Type: Custom");
    let output = plan(&sandbox, &kept, "--stack shop --parameter Tag=2 --json").await;
    let document: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(document["images"][0]["event"], "replaced");
    assert_eq!(document["images"][0]["previous_destination"], URI);
    let output = plan(&sandbox, &kept, "--stack shop --parameter Tag=2").await;
    assert!(output.stdout.contains(&format!("{URI} is kept")), "{output:?}");
    let same_tag = format!("{}      Tag: '1'\n", with_parameter());
    let output = plan(&sandbox, &same_tag, "--stack shop --parameter Tag=2").await;
    assert!(output.stdout.contains("~ Image    in place acme/app:2"), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn added_and_removed_resources_are_new_and_deleted() {
    let sandbox = sandbox().await;
    let renamed = with_parameter().replace("  Image:", "  Other:");
    let output = plan(&sandbox, &renamed, "--stack shop").await;
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(output.stdout.contains("+ Other    new     acme/app:1"), "{output:?}");
    assert!(output.stdout.contains("- Image    deleted"), "{output:?}");
    assert!(output.stdout.contains(&format!("Image: the clean-up deletes {URI}")), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_cloudformation_rejects_fail() {
    let sandbox = sandbox().await;
    let other = with_parameter().replace("function:cfn-container-image-provider", "function:gone");
    let output = plan(&sandbox, &other, "--stack shop").await;
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stdout.contains("ServiceToken differs from the deployed one"), "{output:?}");
    let arn = sandbox.emulator.repository_arn("shop/app");
    sandbox.emulator.ecr().create_repository(&arn, aws_emulator::Mutability::Mutable);
    let repository = "  Repository: {Type: 'AWS::ECR::Repository', Properties: {RepositoryName: shop/app}}\n";
    let output = plan(&sandbox, &format!("{}{repository}", with_parameter()), "--stack shop").await;
    check_failure(&output, "Repository: Repository shop/app exists, but the stack does not own it.");
    let owned = Template::new()
        .with("Repository", Resource::aws("AWS::ECR::Repository", json!({"RepositoryName": "shop/app"})));
    sandbox.emulator.cloudformation().import_stack("own", "eu-west-1", &owned, &[("Repository", "shop/app")]);
    let output = plan(&sandbox, &format!("Resources:\n{repository}"), "--stack own").await;
    assert_eq!(output.code, Some(0), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_stack_is_an_error() {
    let sandbox = sandbox().await;
    let output = plan(&sandbox, &with_parameter(), "--stack gone").await;
    assert_eq!((output.code, output.stdout.as_str()), (Some(1), ""), "{output:?}");
    assert!(output.stderr.starts_with("error: stack gone in eu-west-1 could not be read: "), "{output:?}");
    assert!(output.stderr.ends_with("Check the name, or pass its --region.\n"), "{output:?}");
    sandbox.write("second.yaml", with_parameter());
    let output = sandbox.run("plan template.yaml second.yaml --stack shop").await;
    assert_eq!(output.code, Some(2), "{output:?}");
    assert_eq!(output.stderr, "error: --stack compares one template. Pass one template and no list.\n");
}
