//! Templates as text: parameters, mappings, conditions, functions and repositories.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

mod common;
mod stack_fixture;

use aws_emulator::stack::StackStatus;
use common::{KEY, element, signed};
use serde_json::json;
use stack_fixture::default_stack_fixture;

const TEMPLATE: &str = r"
AWSTemplateFormatVersion: '2010-09-09'
Description: An image with all functions.
Parameters:
  Environment: {Type: String, AllowedValues: [test, live], Default: test}
  Count: {Type: Number, MinValue: 1, MaxValue: 3, Default: 2}
  Platforms: {Type: CommaDelimitedList, Default: 'linux/amd64, linux/arm64'}
  Secret: {Type: String, NoEcho: true, MinLength: 3}
Mappings:
  Tags:
    test: {Tag: '3.13-rc', Names: [a, b]}
    live: {Tag: '3.13'}
Conditions:
  IsLive: !Equals [!Ref Environment, live]
  IsTest: !Not [!Condition IsLive]
  Both: !And [!Condition IsTest, !Or [!Condition IsLive, !Equals [!Ref Count, 2]]]
Resources:
  Repository:
    Type: AWS::ECR::Repository
    Properties:
      RepositoryName: !Join [/, [shop, !Ref Environment]]
      ImageTagMutability: IMMUTABLE_WITH_EXCLUSION
      ImageTagMutabilityExclusionFilters:
        - {ImageTagMutabilityExclusionFilterType: WILDCARD, ImageTagMutabilityExclusionFilterValue: dev-*}
      EncryptionConfiguration: {EncryptionType: KMS}
      EmptyOnDelete: true
      ImageScanningConfiguration: {ScanOnPush: true}
      RepositoryPolicyText:
        Statement: [{Effect: Allow, Principal: '*', Action: 'ecr:BatchGetImage'}]
  Image:
    Type: Custom::ContainerImage
    Properties:
      Id: !Sub ${Repository}:${Tag.Value}
      Tag: !FindInMap [Tags, !Ref Environment, Tag]
      Arn: !GetAtt Repository.Arn
      Uri: !Sub ['${Repository.RepositoryUri}:${Tag}${!Literal}', {Tag: !Ref Tag}]
      Platform: !Ref Platforms
      Second: !Select [1, !Ref Platforms]
      Parts: !Split ['-', !FindInMap [Tags, !Ref Environment, Tag]]
      Nothing: !If [IsLive, x, !Ref AWS::NoValue]
      Both: !If [Both, both, !Ref LiveOnly]
      Count: !Ref Count
      Secret: !Ref Secret
  Tag:
    Type: AWS::CloudFormation::CustomResource
    Properties: {Id: tag, Value: !Sub '${AWS::StackName}-${AWS::Region}'}
  LiveOnly:
    Type: Custom::ContainerImage
    Condition: IsLive
    Properties: {Id: live}
  Service:
    Type: AWS::ECS::Service
    DependsOn: Image
    Properties: {TaskDefinition: !Ref Image}
Outputs:
  Image: {Description: The image, Value: !GetAtt Image.Id}
  LiveOnly: {Condition: IsLive, Value: !Ref LiveOnly}
";

#[tokio::test]
async fn deploys_a_template_with_all_functions() {
    let fixture = default_stack_fixture().await;
    let (stack, emulator) = (&fixture.stack, &fixture.emulator);
    let template = stack.load(TEMPLATE, &[("Secret", "hunter2")]).unwrap();
    let created = stack.create(&template).await;
    assert_eq!(created.status, StackStatus::CreateComplete, "{:?}", created.failures());
    let uri = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop/test";
    let mut properties = stack.resource("Image").unwrap().properties;
    properties.remove("ServiceToken").unwrap();
    let expected = json!({
        "Id": "shop/test:shop-eu-west-1",
        "Tag": "3.13-rc",
        "Arn": "arn:aws:ecr:eu-west-1:123456789012:repository/shop/test",
        "Uri": format!("{uri}:tag${{Literal}}"),
        "Platform": ["linux/amd64", "linux/arm64"],
        "Second": "linux/arm64",
        "Parts": ["3.13", "rc"],
        "Both": "both",
        "Count": "2",
        "Secret": "hunter2",
    });
    assert_eq!(json!(properties), expected);
    assert!(stack.resource("LiveOnly").is_none());
    let repository = emulator.ecr().repository(&emulator.repository_arn("shop/test"));
    assert!(repository.exists());
    let input = json!({"repositoryNames": ["shop/test"]});
    let described = emulator.ecr().call("eu-west-1", "DescribeRepositories", &input).unwrap();
    let described = &described["repositories"][0];
    assert_eq!(described["imageTagMutability"], "IMMUTABLE_WITH_EXCLUSION");
    assert_eq!(described["imageTagMutabilityExclusionFilters"][0]["filter"], "dev-*");
    assert_eq!(described["encryptionConfiguration"]["encryptionType"], "KMS");
    assert_eq!(described["imageScanningConfiguration"]["scanOnPush"], true);

    let request = common::client(emulator).post("https://cloudformation.eu-west-1.amazonaws.com/");
    let request = request.header("authorization", signed(KEY, "cloudformation"));
    let response =
        request.try_clone().unwrap().body("Action=GetTemplate&StackName=shop").send().await.unwrap();
    let body = element(&response.text().await.unwrap(), "TemplateBody");
    assert_eq!(body.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"), TEMPLATE);
    let response = request.body("Action=DescribeStacks&StackName=shop").send().await.unwrap();
    let xml = response.text().await.unwrap();
    assert_eq!(element(&xml, "Outputs").matches("<member>").count(), 1, "{xml}");
    assert_eq!(element(&xml, "OutputValue"), "shop/test:shop-eu-west-1");
    assert!(!xml.contains("hunter2") && xml.contains("<ParameterValue>linux/amd64, linux/arm64<"), "{xml}");

    // A new name replaces the repository.
    let live = stack.load(TEMPLATE, &[("Secret", "hunter2"), ("Environment", "live")]).unwrap();
    let updated = stack.update(&live).await;
    assert_eq!(updated.status, StackStatus::UpdateComplete, "{:?}", updated.failures());
    assert!(!repository.exists());
    assert!(stack.resource("LiveOnly").is_some());
    stack.delete().await;
    assert_eq!(emulator.ecr().repositories(), [""; 0]);
}

#[tokio::test]
async fn fails_if_a_repository_exists_or_is_not_empty() {
    let fixture = default_stack_fixture().await;
    let (stack, emulator) = (&fixture.stack, &fixture.emulator);
    let arn = emulator.repository_arn("app");
    let repository = emulator.ecr().create_repository(&arn, aws_emulator::Mutability::Mutable);
    let text = "Resources: {Repository: {Type: AWS::ECR::Repository, Properties: {RepositoryName: app}}}";
    let created = stack.create(&stack.load(text, &[]).unwrap()).await;
    assert_eq!(created.status, StackStatus::RollbackComplete);
    assert!(
        created.failures()[0].starts_with("RepositoryAlreadyExistsException: "),
        "{:?}",
        created.failures()
    );
    assert!(repository.exists(), "the rollback must not delete a repository that the stack did not create");

    let fixture = default_stack_fixture().await;
    let (stack, emulator) = (&fixture.stack, &fixture.emulator);
    stack.create(&stack.load(text, &[]).unwrap()).await;
    let repository = emulator.ecr().repository(&emulator.repository_arn("app"));
    repository.put_image(Some("1"), &aws_emulator::ImageBuilder::new(1).index());
    assert_eq!(stack.delete().await.status, StackStatus::DeleteFailed);
    assert!(repository.exists());
}

#[tokio::test]
async fn rejects_invalid_templates() {
    let fixture = default_stack_fixture().await;
    let secret = ("Secret", "hunter2");
    let resource = |text: &str| format!("Resources: {{A: {{Type: Custom::A, Properties: {{Id: {text}}}}}}}");
    for (text, values, message) in [
        (TEMPLATE.to_owned(), vec![], "Parameters: [Secret] must have values"),
        (
            TEMPLATE.to_owned(),
            vec![secret, ("Other", "x")],
            "Parameters: [Other] do not exist in the template",
        ),
        (
            TEMPLATE.to_owned(),
            vec![secret, ("Environment", "x")],
            "Parameter 'Environment' must be one of AllowedValues",
        ),
        (TEMPLATE.to_owned(), vec![secret, ("Count", "x")], "Parameter 'Count' must be a number."),
        (
            TEMPLATE.to_owned(),
            vec![secret, ("Count", "4")],
            "Parameter 'Count' must be a number not greater than 3",
        ),
        (TEMPLATE.to_owned(), vec![("Secret", "x")], "Parameter 'Secret' must contain at least 3"),
        (
            resource("!Ref B"),
            vec![],
            "Template format error: Unresolved resource dependencies [B] in the Resources block of the template",
        ),
        (
            TEMPLATE.replace("!Ref LiveOnly]", "!Ref Missing]"),
            vec![secret],
            "Template format error: Unresolved resource dependencies [Missing] in the Resources block of the template",
        ),
        (
            TEMPLATE.replace("Id: tag,", "Id: !Ref LiveOnly,"),
            vec![secret],
            "Template format error: Unresolved resource dependencies [LiveOnly] in the Resources block of the template",
        ),
        (
            resource("!If [C, a, b]"),
            vec![],
            "Template format error: Unresolved condition dependency C in the template",
        ),
        (resource("!ImportValue x"), vec![], "aws-emulator: Fn::ImportValue is not emulated"),
        (
            resource("'{{resolve:ssm:x}}'"),
            vec![],
            "aws-emulator: the dynamic reference {{resolve:ssm:x}} is not emulated",
        ),
        ("{}".to_owned(), vec![], "Template format error: At least one Resources member must be defined."),
        ("Resource: {}".to_owned(), vec![], "Invalid template property or properties [\"Resource\"]"),
        (
            "Resources: {A: {}}".to_owned(),
            vec![],
            "Template format error: [/Resources/A] Every Resources object must contain a Type member.",
        ),
        (
            "Resources: {A: {Type: Nobody::A}}".to_owned(),
            vec![],
            "Template format error: Unrecognized resource types: [Nobody::A]",
        ),
        (
            "Resources: {A: {Type: AWS::Serverless::Function}}".to_owned(),
            vec![],
            "Template format error: Unrecognized resource types: [AWS::Serverless::Function]",
        ),
        (
            "Resources: {A: {Type: Custom::A, CreationPolicy: {}}}".to_owned(),
            vec![],
            "aws-emulator: the attribute CreationPolicy of the resource A is not emulated",
        ),
        (
            "Transform: AWS::Include\nResources: {A: {Type: Custom::A}}".to_owned(),
            vec![],
            "aws-emulator: the transform \"AWS::Include\" is not emulated",
        ),
    ] {
        assert_eq!(fixture.stack.load(&text, &values).unwrap_err(), message, "{text}");
    }
    let serverless =
        "Transform: AWS::Serverless-2016-10-31\nResources: {A: {Type: AWS::Serverless::Function}}";
    fixture.stack.load(serverless, &[]).unwrap();
}
