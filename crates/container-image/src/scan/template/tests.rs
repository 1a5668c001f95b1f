use image_copy::yaml::SyntaxError;

use super::*;
use crate::scan::positions::positions;

/// Texts with their lines.
type Lines = Vec<(usize, String)>;

fn scan(text: &str) -> Result<Option<Scan>, SyntaxError> {
    Ok(super::scan(text, &Tree::parse(text)?))
}

/// Returns references and notes.
fn read(text: &str) -> (Lines, Lines) {
    let scan = scan(text).unwrap().expect("a template");
    let line = |at| positions(text.as_bytes(), [at].into_iter())[0].0;
    for found in &scan.images {
        assert_eq!(text[found.range()], found.image.to_string());
    }
    (
        scan.images.iter().map(|found| (line(found.start()), found.image.to_string())).collect(),
        scan.notes.iter().map(|note| (line(note.at), note.text.clone())).collect(),
    )
}

#[track_caller]
fn check(text: &str, expected: &[(usize, &str)]) {
    let expected: Vec<(usize, String)> =
        expected.iter().map(|(line, text)| (*line, (*text).to_owned())).collect();
    assert_eq!(read(text).0, expected, "{text}");
}

/// Returns a template with this image reference in line 4.
fn image(value: &str) -> String {
    format!(
        "Resources:\n  A:\n    Properties:\n      ImageReference: {value}\n    Type: Custom::ContainerImage\n"
    )
}

#[test]
fn finds_short_names_only_in_image_properties() {
    let text = "\
Description: not docker.io/library/python:2
Resources:
  A:
    Type: Custom::ContainerImage
    Properties:
      ImageReference: python:3.9 # not docker.io/library/python:3
      RepositoryArn: arn:aws:ecr:eu-west-1:123456789012:repository/python:latest
  Task:
    Type: AWS::ECS::TaskDefinition
    Properties:
      ContainerDefinitions:
        - Image: 'nginx'
          Command: [run, python:1]
        - {Name: b, Image: \"ghcr.io/acme/b:1\"}
  F: {Type: AWS::Lambda::Function, Properties: {Code: {ImageUri: acme/f:1}}}
  Build:
    Type: AWS::CodeBuild::Project
    Properties: {Environment: {Image: aws/codebuild/standard:7.0}}
";
    check(text, &[(6, "python:3.9"), (12, "nginx"), (14, "ghcr.io/acme/b:1"), (15, "acme/f:1")]);
}

#[test]
fn reads_json_with_tabs_and_a_byte_order_mark() {
    let text = "\u{feff}{\r\n\t\"Resources\": {\"A\":{\"Type\":\"Custom::ContainerImage\",\"Properties\": {\r\n\t\t\"ImageReference\" : \"python:3.9\"}}}}";
    check(text, &[(3, "python:3.9")]);
}

#[test]
fn follows_literal_values() {
    check(&image("!Sub python:3.9"), &[(4, "python:3.9")]);
    check(&image("{'Fn::Sub': 'python:3.9'}"), &[(4, "python:3.9")]);
    check(
        &image("!If [Old, python:2, !If [Older, 'python:1', !Ref AWS::NoValue]]"),
        &[(4, "python:2"), (4, "python:1")],
    );
    check(&image("!Select [1, [a:1, b:2]]"), &[(4, "b:2")]);
    check(&image(">-\n        python:3.9"), &[(5, "python:3.9")]);
    check(&image("&x python:3.9\n      Other: *x"), &[(4, "python:3.9")]);
    let map = "\nMappings:\n  Images:\n    eu: {App: a:1, Db: d:1}\n    us:\n      App: !Sub a:2\n";
    check(&(image("!FindInMap [Images, !Ref AWS::Region, App]") + map), &[(9, "a:1"), (11, "a:2")]);
    check(&(image("!FindInMap [Images, eu, Db]") + map), &[(9, "d:1")]);
    check(&(image("{'Fn::FindInMap': [Images, x, y, {DefaultValue: z:1}]}") + map), &[(4, "z:1")]);
    check(&(image("!FindInMap [Images, us, !Ref Name]") + map), &[(11, "a:2")]);
    let all = [(9, "a:1"), (9, "d:1"), (11, "a:2")];
    check(&(image("!FindInMap [Images, !Ref AWS::Region, !Ref Name]") + map), &all);
    let merged = "\nMappings: {M: {eu: {<<: &base {App: a:1}, Db: d:1}, us: {<<: [*base], App: a:2}}}\n";
    let both = [(7, "a:1"), (7, "a:2")];
    check(&(image("!FindInMap [M, !Ref AWS::Region, App]") + merged), &both);
}

#[test]
fn finds_parameter_defaults_and_allowed_values() {
    let parameters = "\
Parameters:
  Image: {Type: String, Default: 'python:3.9', AllowedValues: ['python:3.9', 'python:3.8']}
  Unused: {Type: String, Default: 'python:1'}
  Stored: {Type: 'AWS::SSM::Parameter::Value<String>', Default: /images/python}
";
    let expected = [(7, "python:3.9"), (7, "python:3.9"), (7, "python:3.8")];
    check(&(image("!Ref Image") + parameters), &expected);
    check(&(image("{Ref: Image}") + parameters), &expected);
    check(&(image("!Sub '${Image}'") + parameters), &expected);
    check(&(image("!Ref Stored") + parameters), &[]);
    assert_eq!(read(&(image("!Ref Repository") + parameters)), (vec![], vec![]));
}

#[test]
fn notes_values_that_are_not_literal() {
    for (value, expected) in [
        ("!Sub '${AWS::AccountId}.dkr.ecr.eu-west-1.amazonaws.com/a:1'", "computed by Sub"),
        ("!Sub ['${A}:1', {A: python}]", "computed by Sub"),
        ("!Sub '${A}:1'", "computed by Sub"),
        ("!Join [':', [python, '3']]", "computed by Join"),
        ("{'Fn::Join': [':', [python, '3']]}", "computed by Join"),
        ("!Select [!Ref I, [a, b]]", "computed by Select"),
        ("!FindInMap [Nowhere, a, b]", "not in this template"),
        ("'{{resolve:ssm:/image}}'", "during deployment"),
        ("\"\\x70ython:3\"", "escape sequences"),
    ] {
        let (found, notes) = read(&image(value));
        assert_eq!(found, [], "{value}");
        assert!(notes.len() == 1 && notes[0].0 == 4 && notes[0].1.contains(expected), "{value}: {notes:?}");
    }
    for value in ["!GetAtt Other.ImageUri", "!ImportValue x", "{'Fn::GetAtt': [A, B]}", "!If [C, '', a:1]"] {
        assert_eq!(read(&image(value)).1, vec![], "{value}");
    }
}

#[test]
fn reports_invalid_image_properties_as_errors() {
    let errors = |text: &str| scan(text).unwrap().unwrap().errors;
    for (value, expected) in [
        ("Python:3.9", "\"Python\" is not a repository name"),
        ("!If [Old, python:2, Python:3]", "\"Python\" is not"),
        ("https://ghcr.io/a/b:1", "no scheme"),
        ("not an image", "\"not an image\" is not a repository name"),
        ("'python:'", "is not a tag"),
        ("", "the image reference is empty."),
        ("[python:3]", "a list or a mapping"),
        ("{Name: python:3, Tag: 3}", "a list or a mapping"),
    ] {
        let found = errors(&image(value));
        assert!(found.len() == 1 && found[0].text.contains(expected), "{value}: {found:?}");
    }
    let script = format!("|\n{}", "        echo a b c\n".repeat(400));
    assert!(errors(&image(&script))[0].text.chars().count() < 400);
    // Other programs fill these in.
    for value in ["'${IMAGE}'", "ghcr.io/acme/app:<TAG>", "'{{ image }}'", "arn:aws:imagebuilder:x:y:image/A"]
    {
        assert_eq!(errors(&image(value)), [], "{value}");
    }
    let parameter = "Parameters: {Image: {Type: String, Default: TO_BE_GIVEN}}\n";
    let text = image("!Ref Image") + parameter;
    assert_eq!((errors(&text), read(&text).1.len()), (vec![], 1));
}

#[test]
fn follows_conditions_merges_and_loops() {
    let text = "\
Resources:
  Fn::ForEach::Images:
    - Name
    - [a, b]
    - Image${Name}:
        Type: Custom::ContainerImage
        Properties: {ImageReference: python:3}
  Task:
    Type: AWS::ECS::TaskDefinition
    Properties:
      ContainerDefinitions: !If
        - Small
        - [{Image: a:1}]
        - - &base {Image: b:1, Cpu: 1}
          - Fn::If: [Sidecar, {Image: c:1}, !Ref AWS::NoValue]
          - {<<: *base, Cpu: 2}
";
    check(text, &[(7, "python:3"), (13, "a:1"), (14, "b:1"), (15, "c:1")]);
}

#[test]
fn follows_the_identifiers_of_loops() {
    let text = "\
Resources:
  Fn::ForEach::Images:
    - Image
    - [python:3, !If [New, a:2, a:1]]
    - 'Image&{Image}': {Type: Custom::ContainerImage, Properties: {ImageReference: !Ref Image}}
  Fn::ForEach::Again:
    - Other
    - - b:1
    - 'Other&{Other}':
        Type: Custom::ContainerImage
        Properties: {ImageReference: !Sub '${Other}'}
";
    check(text, &[(4, "python:3"), (4, "a:2"), (4, "a:1"), (8, "b:1")]);
    let (found, notes) = read(&text.replace("- - b:1", "- !Ref Images"));
    assert_eq!((found.len(), notes.len(), notes[0].0), (3, 1, 11));
    assert!(notes[0].1.ends_with("computed by Fn::ForEach"), "{notes:?}");
}

#[test]
fn ignores_images_that_sam_builds() {
    let text = "\
Resources:
  A: {Type: AWS::Serverless::Function, Properties: {ImageUri: a:1}, Metadata: {DockerContext: .}}
  B:
    Type: AWS::Lambda::Function
    Properties: {Code: {ImageUri: !Sub docker.io/library/b:1}}
    Metadata: {Dockerfile: Dockerfile, DockerBuildArgs: {BASE: public.ecr.aws/lambda/python:3.12}}
  C: {Type: AWS::Serverless::Function, Properties: {ImageUri: c:1}, Metadata: {Owner: x}}
";
    check(text, &[(6, "public.ecr.aws/lambda/python:3.12"), (7, "c:1")]);
}

#[test]
fn reads_exponential_aliases_in_linear_time() {
    let mut text = image("python:3");
    text.push_str(
        "  Task:\n    Type: AWS::ECS::TaskDefinition\n    Properties:\n      ContainerDefinitions: *l60\n",
    );
    let mut anchors = String::from("X0: &l0 [{Image: bomb:1}]\n");
    for level in 1..=60 {
        let below = level - 1;
        anchors.push_str(&format!(
            "X{level}: &l{level} {{Fn::If: [c, *l{below}, {{Fn::If: [c, *l{below}, *l{below}]}}]}}\n"
        ));
    }
    let found = read(&(anchors + &text)).0;
    assert_eq!(found.iter().map(|found| found.1.as_str()).collect::<Vec<_>>(), ["bomb:1", "python:3"]);
    let circle = image("&a !If [c, *a, python:3]");
    check(&circle, &[(4, "python:3")]);
    let deep = "[".repeat(100_000);
    assert!(scan(&format!("Resources: {deep}")).is_err());
}

#[test]
fn a_template_has_resources_with_types() {
    assert_eq!(scan("Resources: {A: {Type: x}}\nb: AWS::X").unwrap(), None);
    assert_eq!(scan("a: b").unwrap(), None);
    assert!(scan("Resources: {A: {Type: 'AWS::X::Y'}}").unwrap().is_some());
    assert!(!may_be_template("resources: docker.io/library/a:1"));
}

#[test]
fn recognizes_invalid_templates() {
    for template in [
        "AWSTemplateFormatVersion: '2010-09-09'\nResources:\n",
        "\u{feff}# x\n\"AWSTemplateFormatVersion\" : 1",
        "{\"AWSTemplateFormatVersion\": \"2010-09-09\",}",
        "Resources:\n  A:\n   Type: 'AWS::S3::Bucket'\n  B:\n Type: x",
        "{\n  \"Resources\": {\"A\": {\"Type\" : \"Custom::ContainerImage\"",
        "Resources:\n  A:\n    Type: AWS::S3::Bucket\n    X: '{{resolve:ssm:/a}}'",
    ] {
        assert!(is_intended_template(template), "{template}");
    }
    for other in [
        "Resources: [cpu, memory]\nNote: of AWS::Region",
        "apiVersion: v1\ndata:\n  stack: |\n    AWSTemplateFormatVersion: '2010-09-09'",
        "resources:\n  Resources:\n    A:\n      Type: AWS::S3::Bucket",
        "AWSTemplateFormatVersion: 1\nResources:\n{% for a in b %}",
        "AWSTemplateFormatVersion: 1\nName: {{ .Values.name }}",
        "AWSTemplateFormatVersion: 1\nName: <%= name %>",
        "# AWSTemplateFormatVersion: 1",
        "\"see AWSTemplateFormatVersion\": 1",
    ] {
        assert!(!is_intended_template(other), "{other}");
    }
}
