//! Valid properties, and the errors of invalid ones.

use serde_json::json;

use super::*;

fn parse(properties: &Value, previous: &Value) -> Result<Properties, InvalidProperty> {
    let default = PlatformSelection::Preferred("linux/amd64".parse().unwrap());
    Properties::parse(properties, previous, &default)
}

fn properties_with(name: &str, value: Value) -> Value {
    let mut properties = json!({"ServiceToken": "arn:x", "ImageReference": "python:3.13",
        "RepositoryArn": "arn:aws:ecr:eu-west-1:123456789012:repository/python"});
    properties[name] = value;
    properties
}

#[track_caller]
fn check(properties: &Value, expected: &str) {
    let error = parse(properties, &Value::Null).unwrap_err().to_string();
    assert!(error.starts_with(expected), "{error}");
    assert!(error.chars().count() < 330 && !error.contains('\n'), "{error}");
}

#[test]
fn the_tag_defaults_to_the_tag_of_the_source() {
    let digest = format!("sha256:{}", "a".repeat(64));
    for (reference, tag, expected) in [
        ("python:3.13".to_owned(), None, Some("3.13")),
        ("python".to_owned(), None, Some("latest")),
        (format!("python:3.13@{digest}"), None, Some("3.13")),
        (format!("python@{digest}"), None, None),
        (format!("python@{digest}"), Some(json!("mine")), Some("mine")),
        ("python:3.13".to_owned(), Some(json!(3)), Some("3")),
    ] {
        let mut properties = properties_with("ImageReference", json!(reference));
        if let Some(tag) = tag {
            properties["Tag"] = tag;
        }
        let parsed = parse(&properties, &Value::Null).unwrap();
        assert_eq!(parsed.tag.as_ref().map(Tag::as_str), expected);
    }
}

#[test]
fn platform_is_one_a_list_or_all() {
    let platforms = |value| parse(&properties_with("Platform", value), &Value::Null).unwrap().platforms;
    assert_eq!(platforms(json!(" ALL ")), PlatformSelection::All);
    assert_eq!(platforms(json!("linux/arm64")), PlatformSelection::One("linux/arm64".parse().unwrap()));
    let several = ["linux/arm64".parse().unwrap(), "linux/amd64".parse().unwrap()];
    for value in [json!("linux/arm64, linux/amd64"), json!(["linux/arm64", "linux/amd64", "linux/aarch64"])] {
        assert_eq!(platforms(value), PlatformSelection::Several(several.to_vec()));
    }
    assert_eq!(platforms(json!(["linux/arm64"])), PlatformSelection::Several(several[..1].to_vec()));
    assert_eq!(platforms(json!(["all"])), PlatformSelection::All);
    let absent = parse(&properties_with("Refresh", json!("1")), &Value::Null).unwrap().platforms;
    assert_eq!(absent, PlatformSelection::Preferred("linux/amd64".parse().unwrap()));
}

#[test]
fn include_referrers_is_a_boolean() {
    let include =
        |value| parse(&properties_with("IncludeReferrers", value), &Value::Null).unwrap().include_referrers;
    for (value, expected) in
        [(json!("true"), true), (json!(" True"), true), (json!(true), true), (json!("FALSE"), false)]
    {
        assert_eq!(include(value), expected);
    }
    assert!(!parse(&properties_with("Refresh", json!("1")), &Value::Null).unwrap().include_referrers);
    check(
        &properties_with("IncludeReferrers", json!("yes")),
        "IncludeReferrers is \"yes\": expected true or false",
    );
    check(&properties_with("IncludeReferrers", json!(1)), "IncludeReferrers is 1: expected true or false");
    check(
        &properties_with("IncludeReferrer", json!("true")),
        "\"IncludeReferrer\" is not a property of Custom::ContainerImage. Did you mean IncludeReferrers?",
    );
}

#[test]
fn customize_is_a_text_or_a_list_of_texts() {
    let lines = |value| parse(&properties_with("Customize", value), &Value::Null).unwrap().customization;
    let expected = Some(Customization::parse("ENV A=1\nUSER 5").unwrap());
    for value in [json!("ENV A=1\nUSER 5\n"), json!(["ENV A=1", "USER 5"]), json!(["ENV A=1\nUSER 5", ""])] {
        assert_eq!(lines(value), expected);
    }
    for value in [json!(""), json!([]), json!(["", " \n"])] {
        assert_eq!(lines(value), None);
    }
    check(
        &properties_with("Customize", json!(["ENV A=1", "RUN apt-get update"])),
        "Customize is invalid: line 2: \"apt-get\" is not supported in RUN",
    );
    check(
        &properties_with("Customize", json!(["USER 5", 3])),
        "Customize is [\"USER 5\",3]: expected Dockerfile lines",
    );
    check(
        &properties_with("Customize", json!({"A": 1})),
        "Customize is {\"A\":1}: expected Dockerfile lines",
    );
    let mut referrers = properties_with("Customize", json!("USER 5"));
    referrers["IncludeReferrers"] = json!("true");
    check(&referrers, "IncludeReferrers is true with Customize: expected one of them");
    referrers["Customize"] = json!("");
    assert!(parse(&referrers, &Value::Null).unwrap().include_referrers);
}

#[test]
fn only_an_unchanged_copy_of_all_platforms_has_the_digest_of_the_source() {
    for (platform, lines, expected) in
        [("all", "", true), ("all", "USER 5", false), ("linux/arm64", "", false)]
    {
        let mut properties = properties_with("Platform", json!(platform));
        properties["Customize"] = json!(lines);
        assert_eq!(parse(&properties, &Value::Null).unwrap().keeps_digest(), expected);
    }
}

#[test]
fn rejects_an_invalid_value_with_the_property_name() {
    check(&json!({}), "ImageReference is missing or not a string");
    check(&properties_with("ImageReference", json!(3)), "ImageReference is missing or not a string");
    check(
        &properties_with("ImageReference", json!("docker://x")),
        "ImageReference is \"docker://x\", which is not an image",
    );
    check(
        &properties_with("ImageReference", json!("https://me:planted@h.example/app")),
        "ImageReference is \"https://***@h.example/app\", which is not an image",
    );
    check(
        &properties_with("Tag", json!(["https://me:planted@h"])),
        "Tag is [\"https://***@h\"]: expected one tag",
    );
    check(&properties_with("RepositoryArn", json!(null)), "RepositoryArn is missing or not a string");
    check(
        &properties_with("RepositoryArn", json!("python")),
        "Invalid AWS ECR repository ARN: python; expected",
    );
    check(
        &properties_with("Platform", json!("linux-arm64")),
        "Platform is \"linux-arm64\", which is not a platform: expected",
    );
    let long = format!("Platform has 101 platforms: expected at most {MAX_PLATFORMS}");
    let names: Vec<String> = (0..=MAX_PLATFORMS).map(|number| format!("linux/a{number}")).collect();
    check(&properties_with("Platform", json!(names)), &long);
    check(&properties_with("Platform", json!(names.join(","))), &long);
    check(
        &properties_with("ImageReference", json!(format!("{}/b:1", "a.".repeat(500_000) + "a"))),
        "ImageReference is \"a.a.",
    );
    check(
        &properties_with("Platform", json!([3])),
        "Platform is [3]: expected platforms, such as linux/arm64, or all",
    );
    check(
        &properties_with("Platform", json!("linux/arm64,all")),
        "Platform is \"all\", which is not a platform",
    );
    check(&properties_with("Platform", json!([])), "Platform is []: expected platforms");
    check(&properties_with("Tag", json!("")), "Tag is \"\", which is not a tag");
    check(&properties_with("Tag", json!(["a"])), "Tag is [\"a\"]: expected one tag");
    check(&properties_with("Tag", json!("x".repeat(5000))), "Tag is \"xxx");
    check(
        &properties_with("CredentialArn", json!("hub/login")),
        "CredentialArn is \"hub/login\", which is not the ARN of",
    );
    check(
        &properties_with("CredentialArn", json!("")),
        "CredentialArn is \"\", which is not the ARN of a secret",
    );
    check(
        &properties_with("CredentialArn", json!(["a"])),
        "CredentialArn is [\"a\"]: expected the ARN of a secret",
    );
}

#[test]
fn rejects_an_unknown_property_with_a_suggestion() {
    check(
        &properties_with("ImageReferences", json!("x")),
        "\"ImageReferences\" is not a property of Custom::ContainerImage. Did you mean ImageReference?",
    );
    check(
        &properties_with("platform", json!("x")),
        "\"platform\" is not a property of Custom::ContainerImage. Did you mean Platform?",
    );
    check(
        &properties_with("Nonce", json!("x")),
        "\"Nonce\" is not a property of Custom::ContainerImage: expected ImageReference, RepositoryArn",
    );
    check(&properties_with("a\nb", json!("x")), "\"a\\nb\" is not");
}

#[test]
fn accepts_an_unknown_property_that_existed_before() {
    let (now, before) = (properties_with("Nonce", json!("2")), properties_with("Nonce", json!("1")));
    parse(&now, &before).unwrap();
    parse(&properties_with("Refresh", json!("1")), &json!("not even a map")).unwrap();
    parse(&now, &properties_with("Comment", json!("1"))).unwrap_err();
}

#[test]
fn the_hash_is_independent_of_the_order() {
    let one = json!({"ImageReference": "a", "Refresh": "1", "Platform": ["x"], "ServiceToken": "x"});
    let same = json!({"ServiceToken": "y", "ServiceTimeout": "60", "Platform": ["x"], "Refresh": "1", "ImageReference": "a"});
    assert_eq!(fingerprint(&one), fingerprint(&same));
    assert_ne!(fingerprint(&one), fingerprint(&json!({"ImageReference": "a", "Refresh": "2"})));
}
