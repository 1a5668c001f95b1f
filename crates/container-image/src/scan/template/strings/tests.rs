use super::*;
use crate::scan::{Evidence, Scan, template, text};

fn scan(text: &str) -> Scan {
    template::scan(text, &Tree::parse(text).unwrap()).expect("a template")
}

/// Returns the references of a template, each with its evidence.
#[track_caller]
fn found(text: &str) -> Vec<(String, Evidence)> {
    let found = scan(text).images;
    for one in &found {
        assert_eq!(text[one.range()], one.image.to_string());
    }
    found.into_iter().map(|one| (one.image.to_string(), one.evidence)).collect()
}

/// Checks a template with this value of a property that holds no image.
#[track_caller]
fn check(value: &str, expected: &[&str]) {
    let text = format!("Resources:\n  A:\n    Type: Custom::B\n    Properties:\n      C: {value}\n");
    let texts: Vec<String> = found(&text).into_iter().map(|(text, _)| text).collect();
    assert_eq!(texts, expected, "{value}");
}

/// A template with references in all places.
const TEMPLATE: &str = r##"AWSTemplateFormatVersion: '2010-09-09'
Description: Runs docker.io/acme/description:1
Transform: [AWS::LanguageExtensions, {Name: AWS::Include, Parameters: {Image: ghcr.io/acme/include:1}}]
Metadata:
  AWS::CloudFormation::Interface: {ParameterLabels: {Image: {default: "such as ghcr.io/acme/label:1"}}}
  Tools: {Lint: ghcr.io/acme/metadata:1}
Globals: {Function: {Environment: {Variables: {IMAGE: ghcr.io/acme/globals:1}}}}
Parameters:
  Image:
    Type: String
    Default: ghcr.io/acme/default:1 # Or ghcr.io/acme/comment:1.
    AllowedPattern: ghcr.io/acme/pattern:1
    Description: The image, such as ghcr.io/acme/example:1.
    ConstraintDescription: Use ghcr.io/acme/constraint:1
  Images: {Type: CommaDelimitedList, Default: "ghcr.io/acme/list:1,ghcr.io/acme/list:2"}
Mappings: {Images: {eu-west-1: {Worker: ghcr.io/acme/map:1}}}
Conditions: {Standard: !Equals [!Ref Image, ghcr.io/acme/condition:1]}
Rules: {A: {Assertions: [{Assert: !Equals [!Ref Image, ghcr.io/acme/rule:1]}]}}
Resources:
  Build:
    Type: AWS::CodeBuild::Project
    Properties:
      Description: Builds ghcr.io/acme/project:1
      Environment:
        Image: aws/codebuild/standard:7.0
        EnvironmentVariables: [{Name: IMAGE, Value: ghcr.io/acme/environment:1}]
      Source:
        BuildSpec: |
          phases: # ghcr.io/acme/buildspec:0
            build:
              commands:
                - docker build --build-arg BASE=ghcr.io/acme/buildspec:1 .
  Stored: {Type: AWS::SSM::Parameter, Properties: {Value: !Sub "ghcr.io/acme/stored:1"}}
  Nested:
    Type: AWS::CloudFormation::StackSet
    Properties: {TemplateBody: "{\"Resources\": {\"A\": {\"Image\": \"ghcr.io/acme/body:1\"}}}"}
  Host:
    Type: AWS::EC2::Instance
    Metadata: {AWS::CloudFormation::Init: {config: {commands: {a: {command: docker run ghcr.io/acme/init:1}}}}}
    Properties:
      UserData:
        Fn::Base64: !Sub |
          #!/bin/bash
          docker run ghcr.io/acme/data:1 ${Name} ghcr.io/acme/${Name}:1
          docker run ${AWS::AccountId}.dkr.ecr.${AWS::Region}.amazonaws.com/acme/app:1
  Custom: {Type: Custom::Tool, Properties: {Images: [ghcr.io/acme/custom:1, python:3]}}
  Flow: {Type: AWS::Serverless::StateMachine, Properties: {Definition: {States: {A: {Image: ghcr.io/acme/state:1}}}}}
  Task:
    Type: AWS::ECS::TaskDefinition
    Properties:
      ContainerDefinitions:
        - Image: !Select [0, !Split ["|", "ghcr.io/acme/split:1|x"]]
        - Image: &alias ghcr.io/acme/image:1
        - {Image: *alias, Command: [*alias, ghcr.io/acme/command:1]}
Outputs:
  Image: {Description: Of ghcr.io/acme/output:0, Value: ghcr.io/acme/output:1}
"##;

#[test]
fn finds_references_with_a_host_in_all_values() {
    let found = found(TEMPLATE);
    let names = |references: &[String]| -> Vec<String> {
        references.iter().map(|reference| reference.replace("ghcr.io/acme/", "")).collect()
    };
    let evidence = |name: &str| found.iter().find(|(reference, _)| reference.ends_with(name)).unwrap().1;
    assert_eq!((evidence("/image:1"), evidence("/stored:1")), (Evidence::Field, Evidence::Registry));
    let found: Vec<String> = found.into_iter().map(|(reference, _)| reference).collect();
    #[rustfmt::skip]
    let expected = [
        "include:1", "metadata:1", "globals:1", "default:1", "list:1", "list:2", "map:1", "condition:1",
        "rule:1", "environment:1", "buildspec:0", "buildspec:1", "stored:1", "body:1", "init:1", "data:1",
        "custom:1", "state:1", "split:1", "image:1", "command:1", "output:1",
    ];
    assert_eq!(names(&found), expected);
    // A search in the plain text, as cru does it, finds only prose and comments besides.
    let as_text = text::find(TEMPLATE.as_bytes()).into_iter().map(|one| one.image.to_string());
    let others: Vec<String> = as_text.filter(|reference| !found.contains(reference)).collect();
    #[rustfmt::skip]
    let prose = [
        "docker.io/acme/description:1", "label:1", "comment:1", "pattern:1", "example:1", "constraint:1",
        "project:1", "output:0",
    ];
    assert_eq!(names(&others), prose);
}

#[test]
fn finds_references_in_all_spellings() {
    check(
        r#""docker pull \"ghcr.io/a/b:1\"\nghcr.io/a/c:2\u000aghcr.io/a/d:3""#,
        &["ghcr.io/a/b:1", "ghcr.io/a/c:2", "ghcr.io/a/d:3"],
    );
    check("'it''s ghcr.io/a/b:1'", &["ghcr.io/a/b:1"]);
    check(">\n        x\n        ghcr.io/a/b:1\n         ghcr.io/a/c:1", &["ghcr.io/a/b:1", "ghcr.io/a/c:1"]);
    // The file spells them with escape sequences.
    check(r#""ghcr.io\/a\/b:1 ghcr.io/a/c:1\u002d1""#, &[]);
    check("x\n---\na: ghcr.io/a/other:1", &["ghcr.io/a/other:1"]);
    check("{ghcr.io/a/key:1: ghcr.io/a/value:1, [ghcr.io/a/key:2]: x}", &["ghcr.io/a/value:1"]);
}

#[test]
fn finds_short_names_in_commands() {
    let script = "|\n        docker pull alpine:3.19\n        docker build -t app:1 .\n        echo python:3";
    check(script, &["alpine:3.19"]);
    check(&script.replace('\n', "\r\n"), &["alpine:3.19"]);
    check(r#""docker pull alpine:3.19\ndocker push app:1 # python:3""#, &["alpine:3.19"]);
    check("{Image: 'python:3', Value: 'acme/app:1'}", &[]);
}

#[test]
fn ignores_parts_of_a_join() {
    for (value, expected) in [
        (r#"!Join ["", ["docker run ", "ghcr.io/a/b:1", "\n"]]"#, &["ghcr.io/a/b:1"][..]),
        (
            r#"{Fn::Join: ["", ["docker run ghcr.io/a/b:1\n", "docker run ghcr.io/a/c:1", !Ref D]]}"#,
            &["ghcr.io/a/b:1"],
        ),
        (r#"!Join ["", ["ghcr.io/a/b:3.", !Ref Minor]]"#, &[]),
        (r#"!Join ["", ["ghcr.io/a/b:3", "-alpine"]]"#, &[]),
        (r#"!Join ["", ["ghcr.io/a/b:3", !Sub "-alpine"]]"#, &[]),
        (r#"!Join ["", [!Ref Host, "ghcr.io/a/b:3"]]"#, &[]),
        (r#"!Join ["", ["my.", "ghcr.io/a/b:3 ghcr.io/a/c:3"]]"#, &["ghcr.io/a/c:3"]),
        (r#"!Join ["-", ["ghcr.io/a/b:3", "alpine"]]"#, &[]),
        (r#"!Join [!Ref X, ["ghcr.io/a/b:3", "alpine"]]"#, &[]),
        (r#"!Join [" ", ["ghcr.io/a/b:3", !Ref X]]"#, &["ghcr.io/a/b:3"]),
        (
            r#"!Join ["\n", !If [C, ["ghcr.io/a/b:3", x], ["ghcr.io/a/c:3"]]]"#,
            &["ghcr.io/a/b:3", "ghcr.io/a/c:3"],
        ),
        (r#"!Join ["", !If [C, ["ghcr.io/a/b:3", x], y]]"#, &[]),
        (r#"!Join ["", [!Join ["", ["x ", "ghcr.io/a/b:3"]], !Ref X]]"#, &[]),
        (r#"!Join ["", [!Join ["", ["x ", "ghcr.io/a/b:3"]], " "]]"#, &["ghcr.io/a/b:3"]),
    ] {
        check(value, expected);
    }
}

#[test]
fn a_function_with_a_reference_in_its_arguments_has_no_note() {
    let notes = |value: &str| {
        let text = format!(
            "Resources: {{A: {{Type: Custom::ContainerImage, Properties: {{ImageReference: {value}}}}}}}"
        );
        scan(&text).notes.len()
    };
    assert_eq!(notes(r#"!Select [0, !Split [",", "ghcr.io/a/b:1,ghcr.io/a/b:2"]]"#), 0);
    assert_eq!(notes(r#"{Fn::Select: [0, !Split [",", "a:1,a:2"]]}"#), 1);
}

#[test]
fn reads_large_templates_in_linear_time() {
    let repeated = |part: &str| part.repeat(20_000);
    let template = |properties: &str| {
        format!(
            "Resources: {{A: {{Type: AWS::ECS::TaskDefinition, Properties: {{ContainerDefinitions: [{properties}]}}}}}}\n"
        )
    };
    // One string with many references, and many lookups in a large map.
    assert_eq!(found(&template(&format!("\"{}\"", repeated("ghcr.io/a/b:1\\n")))).len(), 20_000);
    let map: String = (0..20_000).map(|at| format!("k{at}: {{a: 'b:{at}'}}, ")).collect();
    let maps = format!("Mappings: {{M: {{{map}}}}}\n");
    for lookup in ["!FindInMap [M, !Ref R, a]", "!FindInMap [M, !Ref R, !Ref S]"] {
        let text = maps.clone() + &template(&repeated(&format!("{{Image: {lookup}}}, ")));
        assert_eq!(found(&text).len(), 20_000);
    }
    let parts = format!("X: &x [{}]\nY: &y ['', *x]\n", repeated("'ghcr.io/a/b:1', "));
    for join in ["!Join ['', *x], ", "{Fn::Join: *y}, "] {
        assert_eq!(found(&(parts.clone() + &template(&repeated(join)))).len(), 20_000);
    }
    let values: String = (0..20_000).map(|at| format!("'b:{at}', ")).collect();
    let parameter = format!("Parameters: {{P: {{Type: String, AllowedValues: [{values}]}}}}\n");
    assert_eq!(found(&(parameter + &template(&repeated("{Image: !Ref P}, ")))).len(), 20_000);
}
