//! Values of templates, by table.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

use super::*;

const HEAD: &str = "
Parameters:
  Tag: {Type: String, Default: '3.13'}
  Tags: {Type: CommaDelimitedList, Default: 'a, b'}
  Stored: {Type: 'AWS::SSM::Parameter::Value<String>', Default: /images/tag}
  Size: {Type: String, Default: small, AllowedValues: [small, large]}
Mappings:
  Images:
    eu-west-1: {python: 'python:3.12', list: [x, y]}
Conditions:
  IsSmall: !Equals [!Ref Size, small]
  IsLarge: !Not [!Condition IsSmall]
  IsBoth: {'Fn::And': [{Condition: IsSmall}, {Condition: IsLarge}]}
  IsEither: {'Fn::Or': [{'Fn::Equals': [a, a]}, !Equals [!Ref Stored, x]]}
  IsStored: !Equals [!Ref Stored, x]
Resources:
  Named: {Type: 'AWS::ECR::Repository', Properties: {RepositoryName: !Sub 'team/${Size}'}}
  Generated: {Type: 'AWS::ECR::Repository'}
  Absent: {Type: 'AWS::S3::Bucket', Condition: IsLarge}
  Image: {Type: 'Custom::ContainerImage', Properties: {ImageReference: x, RepositoryArn: !GetAtt Named.Arn}}
";

fn inputs() -> Inputs {
    Inputs {
        parameters: BTreeMap::new(),
        hidden: BTreeSet::new(),
        region: "eu-west-1".into(),
        account: Ok("123456789012".into()),
        stack_name: None,
        physical_ids: BTreeMap::new(),
    }
}

fn evaluated(text: &str, inputs: &Inputs) -> Resources {
    evaluate(&Template::parse(text).unwrap().unwrap(), inputs)
}

/// Returns the value of an expression, or the first error.
fn value(expression: &str, inputs: &Inputs) -> Result<Value, String> {
    let resources = evaluated(
        &format!("{HEAD}  It: {{Type: 'AWS::S3::Bucket', Properties: {{P: {expression}}}}}\n"),
        inputs,
    );
    match resources.errors.into_iter().next() {
        Some(error) => Err(error.problem),
        None => Ok(resources.all.last().unwrap().properties.get("P").cloned().unwrap_or(Value::Removed)),
    }
}

#[track_caller]
fn check(expression: &str, expected: &Json) {
    let value = value(expression, &inputs()).unwrap();
    assert_eq!(value.unknown(), None, "{expression}");
    assert_eq!(value.to_json(), *expected, "{expression}");
}

#[test]
fn evaluates_intrinsic_functions() {
    for (expression, expected) in [
        ("text", json!("text")),
        ("true", json!("true")),
        ("[1, {a: 2}]", json!(["1", {"a": "2"}])),
        ("!Ref Tag", json!("3.13")),
        ("{Ref: Tag}", json!("3.13")),
        ("!Ref Tags", json!(["a", "b"])),
        ("!Ref AWS::Region", json!("eu-west-1")),
        ("!Ref AWS::Partition", json!("aws")),
        ("!Ref AWS::URLSuffix", json!("amazonaws.com")),
        ("!Ref AWS::AccountId", json!("123456789012")),
        ("!Ref AWS::NoValue", Json::Null),
        ("[a, !Ref AWS::NoValue]", json!(["a"])),
        ("!Sub 'python:${Tag}'", json!("python:3.13")),
        ("!Sub '${!Tag}-${AWS::Region}'", json!("${Tag}-eu-west-1")),
        ("!Sub ['${A}:${Tag}', {A: !Ref Size}]", json!("small:3.13")),
        ("{'Fn::Sub': 'x${Tag}'}", json!("x3.13")),
        (
            "!Sub '${Named.RepositoryUri}:1'",
            json!("123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/small:1"),
        ),
        ("!Join ['/', [a, !Ref Tag]]", json!("a/3.13")),
        ("!Join ['+', !Ref Tags]", json!("a+b")),
        ("!Select [1, !Split [':', 'python:3.12']]", json!("3.12")),
        ("!Select ['1', !Ref Tags]", json!("b")),
        ("!FindInMap [Images, !Ref AWS::Region, python]", json!("python:3.12")),
        ("!FindInMap [Images, eu-west-1, list]", json!(["x", "y"])),
        ("!FindInMap [Images, us-east-1, python, {DefaultValue: z}]", json!("z")),
        ("!If [IsSmall, a, b]", json!("a")),
        ("{'Fn::If': [IsLarge, a, b]}", json!("b")),
        ("!If [IsBoth, a, b]", json!("b")),
        ("!If [IsEither, a, b]", json!("a")),
        ("!If [IsStored, a, a]", json!("a")),
        ("!If [IsLarge, !Ref Absent, b]", json!("b")),
        ("!Ref Named", json!("team/small")),
        ("!GetAtt Named.Arn", json!("arn:aws:ecr:eu-west-1:123456789012:repository/team/small")),
        (
            "{'Fn::GetAtt': [Named, RepositoryUri]}",
            json!("123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/small"),
        ),
    ] {
        check(expression, &expected);
    }
}

#[test]
fn values_of_the_deployment_are_unknown() {
    for (expression, reason, resources) in [
        ("!Ref Stored", "it is the value of the SSM parameter /images/tag", vec![]),
        ("!ImportValue Shared", "it imports the value Shared", vec![]),
        ("!ImportValue {'Fn::Sub': '${Tag}-x'}", "it imports the value 3.13-x", vec![]),
        ("'{{resolve:ssm:/a}}'", "a dynamic reference is resolved during the deployment", vec![]),
        ("!Sub '{{resolve:ssm:/${Tag}}}'", "a dynamic reference is resolved during the deployment", vec![]),
        ("!Ref AWS::StackName", "it depends on the name of the stack, see --stack", vec![]),
        ("!Ref AWS::StackId", "it depends on AWS::StackId", vec![]),
        ("!Base64 x", "it is computed by Base64", vec![]),
        ("!GetAtt Generated.Arn", "it is known after the creation of Generated", vec!["Generated"]),
        ("!GetAtt Image.ImageUri", "it is known after the creation of Image", vec!["Image"]),
        (
            "!Sub '${Generated.RepositoryUri}@${Image.Digest}'",
            "it is known after the creation of Generated",
            vec!["Generated", "Image"],
        ),
        ("!If [IsStored, !Ref Image, x]", "it is the value of the SSM parameter /images/tag", vec!["Image"]),
        ("!Select [0, !Split [':', !Ref Image]]", "it is known after the creation of Image", vec!["Image"]),
    ] {
        let value = value(expression, &inputs()).unwrap();
        let unknown = value.unknown().unwrap();
        assert_eq!(
            (unknown.reason.as_str(), &unknown.resources),
            (reason, &vec_of(&resources)),
            "{expression}"
        );
    }
    let anonymous = Inputs { account: Err("no AWS credentials are configured".into()), ..inputs() };
    let arn = value("!GetAtt Named.Arn", &anonymous).unwrap();
    assert_eq!(arn.unknown().unwrap().reason, "no AWS credentials are configured");
}

fn vec_of(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn errors_name_the_cause() {
    for (expression, expected) in [
        ("!Ref Nothing", "\"Nothing\" is neither a resource nor a parameter"),
        ("!Sub '${Nothing.Arn}'", "\"Nothing\" is neither a resource nor a parameter"),
        ("!Ref Absent", "resource Absent does not exist, because its condition is false"),
        ("!GetAtt Image.Uri", "image Image has no attribute \"Uri\". Use ImageUri"),
        ("!FindInMap [Images, us-east-1, python]", "the Mappings contain no \"Images.us-east-1.python\""),
        ("!Select [2, !Ref Tags]", "Select cannot find index \"2\""),
        ("!If [Nothing, a, b]", "condition \"Nothing\" does not exist"),
        ("!Join [a]", "Join needs a delimiter and a list"),
        ("!Sub '${Tags}'", "Sub contains a value that is not text"),
        ("!Sub '${Tag'", "\"${Tag\" has no closing brace"),
    ] {
        let error = value(expression, &inputs()).unwrap_err();
        assert!(error.starts_with(expected), "{expression}: {error}");
    }
}

#[test]
fn parameters_override_defaults_and_are_checked() {
    let with = |name: &str, given: &str| Inputs {
        parameters: BTreeMap::from([(name.to_owned(), given.to_owned())]),
        ..inputs()
    };
    assert_eq!(value("!Ref Tag", &with("Tag", "4")), Ok(Value::Text("4".into())));
    assert_eq!(
        value("!If [IsLarge, !Ref Absent, b]", &with("Size", "large")).unwrap().unknown().unwrap().resources,
        ["Absent"]
    );
    let error = value("x", &with("Size", "huge")).unwrap_err();
    assert_eq!(error, "parameter Size is \"huge\". Choose one of its AllowedValues: small, large");
    let missing = evaluated(
        "Parameters: {A: {Type: String}}\nResources: {B: {Type: x, Properties: {C: !Ref A}}}",
        &inputs(),
    );
    assert_eq!(missing.errors.len(), 1);
    assert_eq!(missing.errors[0].problem, "parameter A has no value. Pass --parameter A=VALUE");
    assert_eq!(missing.all[0].properties.unknown().unwrap().reason, "parameter A has no valid value");
}

#[test]
fn conditions_remove_resources() {
    let names = |size: &str| {
        let inputs =
            Inputs { parameters: BTreeMap::from([("Size".to_owned(), size.to_owned())]), ..inputs() };
        evaluated(HEAD, &inputs).all.into_iter().map(|resource| resource.name).collect::<Vec<_>>()
    };
    assert_eq!(names("small"), ["Named", "Generated", "Image"]);
    assert_eq!(names("large"), ["Named", "Generated", "Absent", "Image"]);
}

#[test]
fn deployed_names_of_repositories_are_known() {
    let deployed = Inputs {
        physical_ids: BTreeMap::from([("Generated".to_owned(), "stack-generated-x".to_owned())]),
        ..inputs()
    };
    assert_eq!(value("!Ref Generated", &deployed), Ok(Value::Text("stack-generated-x".into())));
}

#[test]
fn cycles_are_errors() {
    for text in [
        "Resources: {A: {Type: x, Properties: {P: &a [*a]}}}",
        "Conditions: {A: !Not [!Condition A]}\nResources: {A: {Type: x, Condition: A}}",
        "Resources: {A: {Type: 'AWS::ECR::Repository', Properties: {RepositoryName: !Ref A}}}",
    ] {
        let errors = evaluated(text, &inputs()).errors;
        assert!(errors[0].problem.starts_with("the values are nested too deeply"), "{text}: {errors:?}");
    }
}

#[test]
fn transforms_and_loops_are_not_errors() {
    let sam = evaluated(
        "Transform: AWS::Serverless-2016-10-31\nResources: {A: {Type: x, Properties: {P: !GetAtt Api.Arn}}}",
        &inputs(),
    );
    assert_eq!(
        (sam.errors.len(), sam.all[0].properties.unknown().unwrap().reason.as_str()),
        (0, "it depends on a transform")
    );
    let looped = evaluated(
        "Transform: AWS::LanguageExtensions\nResources: {'Fn::ForEach::All': [A, [b], {}]}",
        &inputs(),
    );
    assert_eq!(looped.loops, [(2, "Fn::ForEach::All".to_owned())]);
}

#[test]
fn reads_json_templates_with_lines() {
    let text = r#"{
  "Resources": {
    "A": {
      "Type": "Custom::ContainerImage",
      "Properties": {
        "ImageReference": {"Fn::Join": [":", ["python", "3"]]}
      }
    }
  }
}"#;
    let resources = evaluated(text, &inputs());
    let image = resources.get("A").unwrap();
    assert!(image.is_image());
    assert_eq!((image.line, image.line_of("ImageReference"), image.line_of("Tag")), (4, 6, 4));
    assert_eq!(image.properties.to_json(), json!({"ImageReference": "python:3"}));
}

#[test]
fn reads_all_formats_of_parameter_files() {
    for text in [
        r#"[{"ParameterKey": "Tag", "ParameterValue": "3"}, {"ParameterKey": "Size", "ParameterValue": "x=y"}]"#,
        r#"{"Tag": 3, "Size": "x=y"}"#,
        r#"{"Parameters": {"Tag": "3", "Size": "x=y"}}"#,
        r#"["Tag=3", "Size=x=y"]"#,
        "# comment\nTag=3\nSize=x=y\n",
    ] {
        let parsed = parameters::parse_file(text.as_bytes()).unwrap();
        let expected =
            [("Size", "x=y"), ("Tag", "3")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(parsed, BTreeMap::from(expected), "{text}");
    }
    for (text, expected) in [
        ("Tag", "\"Tag\" is not NAME=VALUE"),
        ("[1]", "\"1\" has no ParameterKey"),
        (r#"[{"ParameterKey": "A", "UsePreviousValue": true}]"#, "parameter \"A\" has no ParameterValue"),
        (r#"{"A": {}}"#, "the value of parameter \"A\" is not text"),
        ("{", "the JSON is invalid in line 1"),
    ] {
        let error = parameters::parse_file(text.as_bytes()).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
}
