//! Resources that run the image on another platform.

use super::{HEAD, SOUND, check_failure, plan, sandbox};

/// Returns the template with an image of one platform, and the resource.
fn template(platform: &str, resource: &str) -> String {
    let image = format!("{HEAD}{SOUND}").replace("Platform: all", &format!("Platform: {platform}"));
    format!("{image}  User:\n    {}\n", resource.replace('\n', "\n    "))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_that_runs_another_platform_fails() {
    let (sandbox, _) = sandbox().await;
    for (platform, runs, resource) in [
        (
            "linux/arm64",
            "linux/amd64",
            "Type: AWS::ECS::TaskDefinition\nProperties: {RequiresCompatibilities: [FARGATE], ContainerDefinitions: [{Image: !GetAtt Image.ImageUri}]}",
        ),
        (
            "linux/amd64",
            "linux/arm64",
            "Type: AWS::ECS::TaskDefinition\nProperties: {RuntimePlatform: {CpuArchitecture: ARM64}, ContainerDefinitions: [{Image: !Ref Image}]}",
        ),
        (
            "all",
            "windows/amd64",
            "Type: AWS::ECS::TaskDefinition\nProperties: {RuntimePlatform: {OperatingSystemFamily: WINDOWS_SERVER_2022_CORE}, ContainerDefinitions: [{Image: !Ref Image}]}",
        ),
        (
            "linux/arm64",
            "linux/amd64",
            "Type: AWS::Lambda::Function\nProperties: {Code: {ImageUri: !Sub '${Image.ImageUri}'}}",
        ),
        (
            "linux/amd64",
            "linux/arm64",
            "Type: AWS::Serverless::Function\nProperties: {ImageUri: !GetAtt Image.ImageReference, Architectures: [arm64]}",
        ),
        (
            "linux/arm64",
            "linux/amd64",
            "Type: AWS::CodeBuild::Project\nProperties: {Environment: {Type: LINUX_CONTAINER, Image: !GetAtt Image.ImageUri}}",
        ),
        (
            "linux/amd64",
            "linux/arm64",
            "Type: AWS::CodeBuild::Project\nProperties: {Environment: {Type: ARM_CONTAINER, Image: !GetAtt Image.ImageUri}}",
        ),
        (
            "linux/arm64",
            "linux/amd64",
            "Type: AWS::Batch::JobDefinition\nProperties: {PlatformCapabilities: [FARGATE], ContainerProperties: {Image: !GetAtt Image.ImageUri}}",
        ),
        (
            "linux/arm64",
            "linux/amd64",
            "Type: AWS::Lambda::Function\nProperties: {Code: {ImageUri: !Sub '${AWS::AccountId}.dkr.ecr.${AWS::Region}.amazonaws.com/base/python:1'}}",
        ),
    ] {
        let output = plan(&sandbox, &template(platform, resource), "").await;
        check_failure(&output, &format!("User: It runs {runs}, but image Image has linux/"));
        assert!(
            output.stdout.contains("\"exec format error\"") && output.stdout.contains("(CI-402)"),
            "{output:?}"
        );
        if runs != "windows/amd64" {
            let output = plan(&sandbox, &template("all", resource), "").await;
            assert_eq!(output.code, Some(0), "{output:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_platform_of_instances_is_not_checked() {
    let (sandbox, _) = sandbox().await;
    let resource = "Type: AWS::ECS::TaskDefinition\nProperties: {ContainerDefinitions: [{Image: !Ref Image}, {Image: nginx}]}";
    let output = plan(&sandbox, &template("linux/arm64", resource), "").await;
    assert_eq!(output.code, Some(0), "{output:?}");
    let expected = "User: not checked: the platform of image Image was not compared: on EC2, it depends on the instances";
    assert!(output.stdout.contains(expected), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_have_the_architecture_of_globals() {
    let (sandbox, _) = sandbox().await;
    let function = "Type: AWS::Serverless::Function\nProperties: {ImageUri: !GetAtt Image.ImageUri}";
    let globals = "Transform: AWS::Serverless-2016-10-31\nGlobals: {Function: {Architectures: [arm64]}}\n";
    let output = plan(&sandbox, &format!("{globals}{}", template("linux/amd64", function)), "").await;
    check_failure(&output, "User: It runs linux/arm64, but image Image has linux/amd64.");
    let output = plan(&sandbox, &format!("{globals}{}", template("linux/arm64", function)), "").await;
    assert_eq!(output.code, Some(0), "{output:?}");
}
