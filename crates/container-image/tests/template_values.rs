//! Tests of `list` and `update` with templates that name images outside of image properties.

mod common;

use common::Sandbox;

const TEMPLATE: &str = r#"AWSTemplateFormatVersion: "2010-09-09"
Description: Builds with docker.io/library/python:3.9
Parameters:
  BaseImage: {Type: String, Default: "docker.io/library/amazonlinux:2023"} # docker.io/library/python:3.9
Resources:
  Build:
    Type: AWS::CodeBuild::Project
    Properties:
      Environment:
        Image: aws/codebuild/standard:7.0
        EnvironmentVariables:
          - Name: IMAGE
            Value: ghcr.io/acme/tool:1.2.3
      Source:
        BuildSpec: |
          phases:
            build:
              commands:
                - docker build --build-arg BASE=docker.io/library/python:3.9 .
  Host:
    Type: AWS::EC2::Instance
    Properties:
      UserData:
        Fn::Base64: !Sub |
          #!/bin/bash
          docker run -d public.ecr.aws/nginx/nginx:1.25 --name ${AWS::StackName}
          docker run -d ${AWS::AccountId}.dkr.ecr.${AWS::Region}.amazonaws.com/acme/app:1
"#;

/// The same host in JSON, with a script of one line and of several parts.
const JSON: &str = r##"{"Resources": {"Host": {"Type": "AWS::EC2::Instance", "Properties": {"UserData": {"Fn::Base64":
    {"Fn::Join": ["", ["#!/bin/bash\ndocker run public.ecr.aws/nginx/nginx:1.25\ndocker run \"ghcr.io/acme/tool:1.2.3\"\n",
        "docker run ghcr.io/acme/tool:1.", {"Ref": "Minor"}]]}}}}}}
"##;

#[tokio::test(flavor = "multi_thread")]
async fn pins_all_images_of_a_template() {
    let sandbox = Sandbox::start().await;
    let references = [
        "docker.io/library/amazonlinux:2023",
        "docker.io/library/python:3.9",
        "ghcr.io/acme/tool:1.2.3",
        "public.ecr.aws/nginx/nginx:1.25",
    ];
    let digests: Vec<String> = (1..).zip(references).map(|(seed, one)| sandbox.publish(one, seed)).collect();
    sandbox.write("build.yaml", TEMPLATE);
    sandbox.write("host.json", JSON);

    let listed = sandbox.run("list --no-filename build.yaml").await;
    assert_eq!(listed.stdout.lines().collect::<Vec<_>>(), references);
    assert_eq!((listed.code, listed.stderr.as_str()), (Some(0), ""));

    let command = "update --all --matching-tag --resolve-digest";
    assert_eq!(sandbox.run(&format!("{command} --check .")).await.code, Some(3));
    assert_eq!(sandbox.run(&format!("{command} .")).await.code, Some(0));
    let pin =
        |text: &str, reference: &str, digest: &str| text.replace(reference, &format!("{reference}@{digest}"));
    let pinned = references.iter().zip(&digests).fold(TEMPLATE.to_owned(), |text, (reference, digest)| {
        let (prose, values) = text.split_once("Parameters:").unwrap();
        let (value, rest) = values.split_once(" # ").unwrap();
        let (comment, rest) = rest.split_once('\n').unwrap();
        let (value, rest) = (pin(value, reference, digest), pin(rest, reference, digest));
        format!("{prose}Parameters:{value} # {comment}\n{rest}")
    });
    assert_eq!(sandbox.read("build.yaml"), pinned);
    let pinned = pin(&pin(JSON, references[3], &digests[3]), references[2], &digests[2]);
    assert_eq!(sandbox.read("host.json"), pinned);
    let check = sandbox.run(&format!("{command} --check .")).await;
    assert_eq!(check.code, Some(0), "{check:?}");
}
