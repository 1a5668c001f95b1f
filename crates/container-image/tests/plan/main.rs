//! `plan` reports what would fail in a deployment.

#[path = "../common/mod.rs"]
mod common;
mod consumers;
mod customize;
mod provider;
mod stack;

use std::fs;

use aws_emulator::{Mutability, Repository};
use common::{RunOutput, Sandbox, image};
use serde_json::Value;

/// A template with one image, and the properties of the image.
pub(crate) const HEAD: &str = "Resources:
  Image:
    Type: Custom::ContainerImage
    Properties:
      ServiceToken: !Sub arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:cfn-container-image-provider
";

/// Properties of a sound image.
pub(crate) const SOUND: &str = "      ImageReference: docker.io/acme/app:1
      RepositoryArn: !Sub arn:aws:ecr:${AWS::Region}:${AWS::AccountId}:repository/base/python
      Platform: all
";

/// Returns a sandbox with the provider, the image `docker.io/acme/app:1` and an empty repository.
async fn sandbox() -> (Sandbox, Repository) {
    let (sandbox, repository) = Sandbox::with_ecr_repository().await;
    provider::install(&sandbox, &[]);
    (sandbox, repository)
}

/// Returns the output of `plan template.yaml` with these arguments and this template.
async fn plan(sandbox: &Sandbox, template: &str, arguments: &str) -> RunOutput {
    sandbox.write("template.yaml", template);
    sandbox.run(&format!("plan template.yaml {arguments}")).await
}

/// Checks that the template fails with this line, and that nothing was written.
#[track_caller]
fn check_failure(output: &RunOutput, expected: &str) {
    assert_eq!(output.code, Some(1), "{output:?}");
    let failures: Vec<&str> = output.stdout.lines().filter(|line| line.starts_with("! template")).collect();
    assert_eq!(failures.len(), 1, "{output:?}");
    assert!(failures[0].contains(expected), "{output:?}");
    assert!(output.stdout.ends_with("\nexit code 1: the deployment would fail\n"), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_template_passes_without_a_write() {
    let (sandbox, _) = sandbox().await;
    let mark = sandbox.emulator.log().mark();
    let output = plan(&sandbox, &format!("{HEAD}{SOUND}"), "").await;
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(output.stdout.contains("+ Image    new    acme/app:1 2 platforms"), "{output:?}");
    assert!(output.stdout.ends_with("\nexit code 0: nothing would fail\n"), "{output:?}");
    for operation in ["blob.*", "upload.*", "manifest.put", "ecr:PutImage", "ecr:CreateRepository"] {
        assert_eq!(sandbox.emulator.log().count(mark, operation), 0, "{operation}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_defect_of_an_image_has_its_line_and_code() {
    let (sandbox, repository) = sandbox().await;
    let arn = sandbox.emulator.repository_arn("fixed");
    let fixed = sandbox.emulator.ecr().create_repository(&arn, Mutability::Immutable);
    fixed.put_image(Some("1"), &image(9));
    for (from, to, expected) in [
        (
            "acme/app:1",
            "acme/gone:1",
            "template.yaml:6: Image: Image docker.io/acme/gone:1 could not be read",
        ),
        ("acme/app:1", "acme/app:2", "(CI-001)"),
        (
            "acme/app:1",
            "https://acme/app",
            "ImageReference is \"docker.io/https://acme/app\", which is not an image reference",
        ),
        ("Platform: all", "Platform: linux/s390x", "is not available for linux/s390x"),
        (
            "Platform: all",
            "Platform: arm",
            "template.yaml:8: Image: Platform is \"arm\", which is not a platform",
        ),
        ("Platform: all", "Platforms: all", "Did you mean Platform? (CI-103)"),
        ("base/python", "base/nothing", "Create the repository, or correct RepositoryArn. (CI-003)"),
        ("base/python", "fixed", "is immutable and names image"),
        (
            "      Platform: all",
            "      Tag: a b",
            "template.yaml:8: Image: Tag is \"a b\", which is not a tag",
        ),
        ("docker.io/acme/app:1", "!Ref Nothing", "\"Nothing\" is neither a resource nor a parameter"),
        (
            "      RepositoryArn: !Sub arn:aws:ecr:${AWS::Region}:${AWS::AccountId}:repository/base/python\n",
            "",
            "RepositoryArn is missing",
        ),
    ] {
        let template = format!("{HEAD}{SOUND}");
        assert!(template.contains(from), "{from}");
        let output = plan(&sandbox, &template.replace(from, to), "").await;
        check_failure(&output, expected);
    }
    assert!(repository.resolve("1").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn unchanged_and_moved_tags_are_sound() {
    let (sandbox, repository) = sandbox().await;
    repository.put_image(Some("1"), &image(1));
    let output = plan(&sandbox, &format!("{HEAD}{SOUND}"), "").await;
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(output.stdout.contains("= Image    unchanged acme/app:1"), "{output:?}");
    assert!(
        output.stdout.contains("1 image: 0 new, 0 moved, 1 unchanged, 0 failed; 0 bytes to copy"),
        "{output:?}"
    );
    repository.put_image(Some("1"), &image(2));
    let output = plan(&sandbox, &format!("{HEAD}{SOUND}"), "--json").await;
    let document: Value = serde_json::from_str(&output.stdout).unwrap();
    let found = &document["images"][0];
    assert_eq!((found["status"].as_str(), found["resource"].as_str()), (Some("moved"), Some("Image")));
    assert_eq!(found["digest"], image(1).digest());
    assert_eq!(found["platforms"], serde_json::json!(["linux/amd64", "linux/arm64"]));
    assert_eq!(found["destination"], "123456789012.dkr.ecr.eu-west-1.amazonaws.com/base/python:1");
    assert_eq!(document["summary"]["exit_code"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_and_conditions_decide() {
    let (sandbox, _) = sandbox().await;
    let template = format!(
        "Parameters: {{Tag: {{Type: String}}, Copy: {{Type: String, Default: 'yes'}}}}
Conditions: {{Copies: !Equals [!Ref Copy, 'yes']}}
{}    Condition: Copies\n",
        format!("{HEAD}{SOUND}").replace("docker.io/acme/app:1", "!Sub 'docker.io/acme/app:${Tag}'")
    );
    let output = plan(&sandbox, &template, "").await;
    assert!(
        output.stdout.contains("Parameter Tag has no value. Pass --parameter Tag=VALUE. (CI-404)"),
        "{output:?}"
    );
    assert!(output.stdout.contains("? Image    unknown"), "{output:?}");
    let output = plan(&sandbox, &template, "--parameter Tag=1").await;
    assert_eq!(output.code, Some(0), "{output:?}");
    sandbox.write("p.json", r#"[{"ParameterKey": "Tag", "ParameterValue": "1"}]"#);
    let output = plan(&sandbox, &template, "--parameters p.json").await;
    assert_eq!(output.code, Some(0), "{output:?}");
    let output = plan(&sandbox, &template, "--parameters p.json --parameter Tag=2").await;
    check_failure(&output, "docker.io/acme/app:2");
    let output = plan(&sandbox, &template, "--parameter Tag=2 --parameter Copy=no").await;
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(output.stdout.starts_with("0 images: "), "{output:?}");
    let output = plan(&sandbox, &template, "--parameter Tagg=1").await;
    assert_eq!((output.code, output.stdout.as_str()), (Some(2), ""), "{output:?}");
    assert_eq!(output.stderr, "error: no template has a parameter Tagg. Correct the name, or remove it.\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_values_are_not_checked_and_do_not_fail() {
    let (sandbox, _) = sandbox().await;
    for (from, to, expected) in [
        ("docker.io/acme/app:1", "'{{resolve:ssm:/tag}}'", "ImageReference: a dynamic reference is resolved"),
        ("docker.io/acme/app:1", "!ImportValue Base", "ImageReference: it imports the value Base"),
        (
            "!Sub arn:aws:ecr:${AWS::Region}:${AWS::AccountId}:repository/base/python",
            "!ImportValue Repository",
            "template.yaml:7: Image: not checked: the repository: it imports the value Repository",
        ),
        ("Platform: all", "Platform: !ImportValue Platform", "Platform: it imports the value Platform"),
    ] {
        let output = plan(&sandbox, &format!("{HEAD}{SOUND}").replace(from, to), "").await;
        assert_eq!(output.code, Some(0), "{output:?}");
        assert!(output.stdout.contains(expected), "{expected}: {output:?}");
    }
    // The source is checked, although the repository is unknown.
    let template = format!("{HEAD}{SOUND}").replace("acme/app:1", "acme/app:9").replace(
        "!Sub arn:aws:ecr:${AWS::Region}:${AWS::AccountId}:repository/base/python",
        "!ImportValue Repository",
    );
    check_failure(&plan(&sandbox, &template, "").await, "docker.io/acme/app:9");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_aws_credentials_the_source_is_checked() {
    let (sandbox, _) = sandbox().await;
    let template = format!("{HEAD}{SOUND}");
    sandbox.write("template.yaml", &template);
    let output = sandbox.run_without_aws_credentials("plan template.yaml").await;
    assert_eq!(output.code, Some(2), "{output:?}");
    assert_eq!(
        output.stderr,
        "error: no AWS Region is configured, and templates depend on it. Pass --region.\n"
    );
    let output = sandbox.run_without_aws_credentials("plan template.yaml --region eu-west-1").await;
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(
        output.stdout.contains("the AWS account is unknown (no AWS credentials are configured)"),
        "{output:?}"
    );
    sandbox.write("template.yaml", template.replace("acme/app:1", "acme/app:9"));
    let output = sandbox.run_without_aws_credentials("plan template.yaml --region eu-west-1").await;
    check_failure(&output, "docker.io/acme/app:9");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_of_the_template_does_not_have_to_exist() {
    let (sandbox, _) = sandbox().await;
    for properties in ["", ", Properties: {RepositoryName: new/app}"] {
        let template = format!("{HEAD}{SOUND}  Repository: {{Type: 'AWS::ECR::Repository'{properties}}}\n")
            .replace(
                "!Sub arn:aws:ecr:${AWS::Region}:${AWS::AccountId}:repository/base/python",
                "!GetAtt Repository.Arn",
            );
        let output = plan(&sandbox, &template, "").await;
        assert_eq!(output.code, Some(0), "{output:?}");
        assert!(output.stdout.contains("+ Image    new    acme/app:1"), "{output:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_depends_on_the_repository_of_its_template() {
    let (sandbox, _) = sandbox().await;
    let repository = "  Repository: {Type: 'AWS::ECR::Repository', Properties: {RepositoryName: new/app}}\n";
    let image = format!("{HEAD}{SOUND}").replace("base/python", "new/app");
    let output = plan(&sandbox, &format!("{image}{repository}"), "").await;
    check_failure(
        &output,
        "Resource Repository creates the repository, but the image does not depend on it.",
    );
    let output = plan(&sandbox, &format!("{image}    DependsOn: Repository\n{repository}"), "").await;
    assert_eq!(output.code, Some(0), "{output:?}");
    let arn = sandbox.emulator.repository_arn("new/app");
    sandbox.emulator.ecr().create_repository(&arn, Mutability::Mutable);
    let output = plan(&sandbox, &format!("{image}{repository}"), "").await;
    assert_eq!(output.code, Some(0), "an earlier deployment created it: {output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_images_for_one_tag_fail() {
    let (sandbox, _) = sandbox().await;
    sandbox.publish("docker.io/acme/other:1", 2);
    let second = format!("{HEAD}{SOUND}").replace("Resources:\n", "").replace("  Image:", "  Other:");
    let template = format!("{HEAD}{SOUND}{second}");
    let output = plan(&sandbox, &template, "").await;
    assert_eq!(output.code, Some(0), "the same image: {output:?}");
    let other = template.replacen("acme/app:1", "acme/other:1", 1);
    let output = plan(&sandbox, &other, "").await;
    check_failure(&output, "Other: Image copies another image to the same repository and tag 1.");
    assert!(output.stdout.contains("(CI-403)"), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_planned_too() {
    let (sandbox, _) = sandbox().await;
    sandbox.write("images.txt", "# list\n--alias=base/python acme/app:1\n--alias=base/python acme/app:2\n");
    let to = "--to 123456789012.dkr.ecr.eu-west-1.amazonaws.com";
    let output = sandbox.run(&format!("plan images.txt {to}")).await;
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stdout.contains("+ images.txt:2 new    acme/app:1 2 platforms"), "{output:?}");
    let failure = "! images.txt:3: Image docker.io/acme/app:2 was not found: ";
    assert!(output.stdout.contains(failure), "{output:?}");
    assert!(output.stdout.contains("the digest in the list. (CI-001)"), "{output:?}");
    let output = sandbox.run("plan images.txt").await;
    assert_eq!(output.code, Some(2), "{output:?}");
    let output = sandbox.run("plan gone.yaml").await;
    assert_eq!(output.stderr, "error: the file gone.yaml was not found. Correct the path.\n");
    sandbox.write("empty.txt", "# nothing\n");
    let output = sandbox.run("plan empty.txt").await;
    let expected = "error: the lists contain no image. Add a reference.\n";
    assert_eq!((output.code, output.stderr.as_str()), (Some(2), expected));
}

/// The only errors of the samples are parameters without a default.
#[tokio::test(flavor = "multi_thread")]
async fn all_samples_can_be_evaluated() {
    let (sandbox, _) = sandbox().await;
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../");
    let mut files: Vec<_> =
        fs::read_dir(format!("{root}samples")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.push(format!("{root}cloudformation/cfn-container-image-provider.yaml").into());
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    assert!(files.len() > 10, "{files:?}");
    for file in files {
        let output = sandbox.run_with(&["plan", "--json", file.to_str().unwrap()]).await;
        let document: Value = serde_json::from_str(&output.stdout).unwrap();
        let errors = document["failures"].as_array().unwrap().iter();
        let texts: Vec<&str> = errors.map(|error| error["message"].as_str().unwrap()).collect();
        let unexpected: Vec<&&str> =
            texts.iter().filter(|text| !text.contains(" has no value. Pass --parameter ")).collect();
        assert!(unexpected.is_empty(), "{}: {unexpected:?}", file.display());
        let images = document["images"].as_array().unwrap().iter();
        let codes: Vec<String> = images
            .flat_map(|image| image["failures"].as_array().unwrap())
            .map(|failure| failure["code"].to_string())
            .collect();
        // The emulator has none of their images. For missing repositories, some registries request credentials.
        let is_missing = |code: &String| ["\"CI-001\"", "\"CI-004\""].contains(&code.as_str());
        assert!(codes.iter().all(is_missing), "{}: {}", file.display(), output.stdout);
    }
}
