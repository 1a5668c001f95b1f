//! The properties that a template gives.

use std::collections::HashMap;

use image_copy::copy::{Platforms, Request};
use image_copy::oci::{Platform, Reference, Tag};
use image_copy_aws::{CredentialArn, RepositoryArn};
use serde_json::{Map, Value};

use crate::ledger;

/// The value of `Platform` that copies the whole index, in any case.
pub(crate) const ALL_PLATFORMS: &str = "all";

/// The properties of `Custom::ContainerImage`; the last two are CloudFormation's own.
const KNOWN: [&str; 9] = [
    "ImageReference",
    "RepositoryArn",
    "Platform",
    "Tag",
    "CredentialArn",
    "Refresh",
    "IncludeReferrers",
    "ServiceToken",
    "ServiceTimeout",
];
/// How many of them are ours.
const OWN: usize = 7;

/// What a template asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Properties {
    pub(crate) source: Reference,
    pub(crate) repository: RepositoryArn,
    pub(crate) platforms: Platforms,
    /// The tag in ECR. `None`: the reference has none either, so the image goes by its digest.
    pub(crate) tag: Option<Tag>,
    /// Where the login for the source is kept. `None`: the installer's list is asked.
    pub(crate) credentials: Option<CredentialArn>,
    /// Whether signatures, SBOMs and attestations go along.
    pub(crate) include_referrers: bool,
}

/// What is wrong with a property: its name, what was given and what is expected, in one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct InvalidProperty(String);

impl Properties {
    /// Reads the properties of a Create, or of an Update with the `previous` ones. The previous
    /// ones are never judged; they only excuse unknown names, which the provider before ours
    /// ignored, and over which a rollback must not fail.
    pub(crate) fn parse(
        properties: &Value,
        previous: &Value,
        default: &Platforms,
    ) -> Result<Self, InvalidProperty> {
        let empty = Map::new();
        let properties = properties.as_object().unwrap_or(&empty);
        let source = match properties.get("ImageReference").and_then(Value::as_str) {
            None => {
                return invalid(
                    "ImageReference is missing or not a string: expected an image reference, such as docker.io/library/python:3.13",
                );
            }
            Some(text) => {
                text.trim().parse::<Reference>().map_err(|error| wrong("ImageReference", &error))?
            }
        };
        let repository = match properties.get("RepositoryArn").and_then(Value::as_str) {
            None => {
                return invalid(
                    "RepositoryArn is missing or not a string: expected the ARN of an ECR repository, such as !GetAtt Repository.Arn",
                );
            }
            Some(text) => text.trim().parse().map_err(|error| {
                InvalidProperty(format!("RepositoryArn is not the ARN of an ECR repository. {error}"))
            })?,
        };
        let platforms = match properties.get("Platform") {
            None => default.clone(),
            Some(value) => platforms(value)?,
        };
        let tag = match properties.get("Tag") {
            None => source.tag.clone(),
            Some(value) => Some(tag(value)?),
        };
        let include_referrers = match properties.get("IncludeReferrers") {
            None => false,
            Some(value) => truth("IncludeReferrers", value)?,
        };
        let credentials = match properties.get("CredentialArn") {
            None => None,
            Some(Value::String(text)) => Some(
                text.trim().parse().map_err(|error| InvalidProperty(format!("CredentialArn is {error}")))?,
            ),
            Some(other) => {
                return invalid(format!(
                    "CredentialArn is {}: expected the ARN of a secret or of a parameter",
                    shown(other)
                ));
            }
        };
        refuse_reserved(tag.as_ref())?;
        refuse_unknown(properties, previous)?;
        Ok(Self { source, repository, platforms, tag, credentials, include_referrers })
    }

    /// The copy that brings about what the template asks for.
    pub(crate) fn request(&self) -> Request {
        Request {
            source: self.source.clone(),
            destination: self.repository.repository(),
            tag: self.tag.clone(),
            platforms: self.platforms.clone(),
            known: Vec::new(),
            include_referrers: self.include_referrers,
        }
    }
}

fn platforms(value: &Value) -> Result<Platforms, InvalidProperty> {
    const EXPECTED: &str = "expected platforms, such as linux/arm64, or all";
    match value {
        Value::String(text) if text.trim().eq_ignore_ascii_case(ALL_PLATFORMS) => Ok(Platforms::All),
        Value::String(text) if text.contains(',') => {
            several(text.split(',')).map_err(|error| wrong("Platform", &error))
        }
        Value::String(text) => text.parse().map(Platforms::One).map_err(|error| wrong("Platform", &error)),
        Value::Array(names) if !names.is_empty() && names.iter().all(Value::is_string) => {
            let mut names = names.iter().filter_map(Value::as_str);
            match names.clone().next() {
                Some(only)
                    if names.clone().count() == 1 && only.trim().eq_ignore_ascii_case(ALL_PLATFORMS) =>
                {
                    Ok(Platforms::All)
                }
                _ => several(&mut names).map_err(|error| wrong("Platform", &error)),
            }
        }
        other => invalid(format!("Platform is {}: {EXPECTED}", shown(other))),
    }
}

/// A selection of platforms, each named once.
pub(crate) fn several<'a>(
    names: impl IntoIterator<Item = &'a str>,
) -> Result<Platforms, image_copy::oci::ParseError> {
    let mut platforms: Vec<Platform> = Vec::new();
    for name in names {
        let platform: Platform = name.parse()?;
        if !platforms.iter().any(|known| known.normalized() == platform.normalized()) {
            platforms.push(platform);
        }
    }
    Ok(Platforms::Some(platforms))
}

fn tag(value: &Value) -> Result<Tag, InvalidProperty> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        // Who calls without CloudFormation in between may write 3.
        Value::Number(number) => number.to_string(),
        other => return invalid(format!("Tag is {}: expected one tag, such as 3.13", shown(other))),
    };
    text.parse().map_err(|error| wrong("Tag", &error))
}

/// CloudFormation delivers true and false as text.
fn truth(name: &str, value: &Value) -> Result<bool, InvalidProperty> {
    match value {
        Value::Bool(truth) => Ok(*truth),
        Value::String(text) if text.trim().eq_ignore_ascii_case("true") => Ok(true),
        Value::String(text) if text.trim().eq_ignore_ascii_case("false") => Ok(false),
        other => invalid(format!("{name} is {}: expected true or false", shown(other))),
    }
}

fn refuse_reserved(tag: Option<&Tag>) -> Result<(), InvalidProperty> {
    match tag.filter(|tag| ledger::is_reserved(tag.as_str())) {
        Some(tag) => invalid(format!(
            "Tag is \"{tag}\", which is reserved for the provider's own records: choose another in Tag"
        )),
        None => Ok(()),
    }
}

fn refuse_unknown(properties: &Map<String, Value>, previous: &Value) -> Result<(), InvalidProperty> {
    let is_new = |name: &&String| !KNOWN.contains(&name.as_str()) && previous.get(name.as_str()).is_none();
    let Some(name) = properties.keys().find(is_new) else { return Ok(()) };
    let shown = shown(&Value::String(name.clone()));
    invalid(match nearest(name) {
        Some(known) => format!("{shown} is not a property of Custom::ContainerImage: did you mean {known}?"),
        None => {
            format!(
                "{shown} is not a property of Custom::ContainerImage: expected {}",
                KNOWN[..OWN].join(", ")
            )
        }
    })
}

/// The known name that `name` is likely a slip of.
fn nearest(name: &str) -> Option<&'static str> {
    let name: String = name.chars().take(64).collect::<String>().to_ascii_lowercase();
    let distances =
        KNOWN[..OWN].iter().map(|known| (strsim::levenshtein(&name, &known.to_ascii_lowercase()), *known));
    let (distance, known) = distances.min()?;
    (distance <= known.len() / 3).then_some(known)
}

fn wrong(name: &str, error: &image_copy::oci::ParseError) -> InvalidProperty {
    InvalidProperty(format!("{name} is \"{}\", which is not {}", error.given, error.expected))
}

fn invalid<T>(text: impl Into<String>) -> Result<T, InvalidProperty> {
    Err(InvalidProperty(text.into()))
}

/// A value as the template has it, on one line and not too long.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    let mut shown: String = text.chars().take(80).collect();
    if text.chars().nth(80).is_some() {
        shown.push('…');
    }
    shown
}

/// The `Platforms` of a copy as CloudFormation gets them, most important first: without doubles, as
/// an index may list a platform once per OS version.
pub(crate) fn platform_names(platforms: &[Platform]) -> Vec<String> {
    let mut seen = HashMap::new();
    let names = platforms.iter().map(ToString::to_string);
    names.filter(|name| seen.insert(name.clone(), ()).is_none()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(properties: &Value, previous: &Value) -> Result<Properties, InvalidProperty> {
        let default = Platforms::Preferred("linux/amd64".parse().unwrap());
        Properties::parse(properties, previous, &default)
    }

    fn with(name: &str, value: Value) -> Value {
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
    fn the_tag_is_the_sources_unless_another_is_given() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (reference, tag, expected) in [
            ("python:3.13".to_owned(), None, Some("3.13")),
            ("python".to_owned(), None, Some("latest")),
            (format!("python:3.13@{digest}"), None, Some("3.13")),
            (format!("python@{digest}"), None, None),
            (format!("python@{digest}"), Some(json!("mine")), Some("mine")),
            ("python:3.13".to_owned(), Some(json!(3)), Some("3")),
        ] {
            let mut properties = with("ImageReference", json!(reference));
            if let Some(tag) = tag {
                properties["Tag"] = tag;
            }
            let parsed = parse(&properties, &Value::Null).unwrap();
            assert_eq!(parsed.tag.as_ref().map(Tag::as_str), expected);
        }
    }

    #[test]
    fn platform_is_one_or_several_or_all() {
        let platforms = |value| parse(&with("Platform", value), &Value::Null).unwrap().platforms;
        assert_eq!(platforms(json!(" ALL ")), Platforms::All);
        assert_eq!(platforms(json!("linux/arm64")), Platforms::One("linux/arm64".parse().unwrap()));
        let several = ["linux/arm64".parse().unwrap(), "linux/amd64".parse().unwrap()];
        for value in
            [json!("linux/arm64, linux/amd64"), json!(["linux/arm64", "linux/amd64", "linux/aarch64"])]
        {
            assert_eq!(platforms(value), Platforms::Some(several.to_vec()));
        }
        assert_eq!(platforms(json!(["linux/arm64"])), Platforms::Some(several[..1].to_vec()));
        assert_eq!(platforms(json!(["all"])), Platforms::All);
        let absent = parse(&with("Refresh", json!("1")), &Value::Null).unwrap().platforms;
        assert_eq!(absent, Platforms::Preferred("linux/amd64".parse().unwrap()));
    }

    #[test]
    fn referrers_go_along_when_that_is_true() {
        let include =
            |value| parse(&with("IncludeReferrers", value), &Value::Null).unwrap().include_referrers;
        for (value, expected) in
            [(json!("true"), true), (json!(" True"), true), (json!(true), true), (json!("FALSE"), false)]
        {
            assert_eq!(include(value), expected);
        }
        assert!(!parse(&with("Refresh", json!("1")), &Value::Null).unwrap().include_referrers);
        check(&with("IncludeReferrers", json!("yes")), "IncludeReferrers is \"yes\": expected true or false");
        check(&with("IncludeReferrers", json!(1)), "IncludeReferrers is 1: expected true or false");
        check(
            &with("IncludeReferers", json!("true")),
            "\"IncludeReferers\" is not a property of Custom::ContainerImage: did you mean IncludeReferrers?",
        );
    }

    #[test]
    fn a_wrong_value_is_refused_with_the_propertys_name() {
        check(&json!({}), "ImageReference is missing or not a string");
        check(&with("ImageReference", json!(3)), "ImageReference is missing or not a string");
        check(
            &with("ImageReference", json!("docker://x")),
            "ImageReference is \"docker://x\", which is not an image",
        );
        check(&with("RepositoryArn", json!(null)), "RepositoryArn is missing or not a string");
        check(
            &with("RepositoryArn", json!("python")),
            "RepositoryArn is not the ARN of an ECR repository. Invalid AWS ECR repository ARN: python; expected",
        );
        check(
            &with("Platform", json!("linux-arm64")),
            "Platform is \"linux-arm64\", which is not a platform: expected",
        );
        check(
            &with("Platform", json!([3])),
            "Platform is [3]: expected platforms, such as linux/arm64, or all",
        );
        check(&with("Platform", json!("linux/arm64,all")), "Platform is \"all\", which is not a platform");
        check(&with("Platform", json!([])), "Platform is []: expected platforms");
        check(&with("Tag", json!("copy-claim.x")), "Tag is \"copy-claim.x\", which is reserved");
        check(&with("Tag", json!("")), "Tag is \"\", which is not a tag");
        check(&with("Tag", json!(["a"])), "Tag is [\"a\"]: expected one tag");
        check(&with("Tag", json!("x".repeat(5000))), "Tag is \"xxx");
        check(
            &with("CredentialArn", json!("hub/login")),
            "CredentialArn is \"hub/login\", which is not the ARN of",
        );
        check(&with("CredentialArn", json!("")), "CredentialArn is \"\", which is not the ARN of a secret");
        check(&with("CredentialArn", json!(["a"])), "CredentialArn is [\"a\"]: expected the ARN of a secret");
    }

    #[test]
    fn an_unknown_property_is_refused_with_the_name_that_was_meant() {
        check(
            &with("ImageRefrence", json!("x")),
            "\"ImageRefrence\" is not a property of Custom::ContainerImage: did you mean ImageReference?",
        );
        check(
            &with("platform", json!("x")),
            "\"platform\" is not a property of Custom::ContainerImage: did you mean Platform?",
        );
        check(
            &with("Nonce", json!("x")),
            "\"Nonce\" is not a property of Custom::ContainerImage: expected ImageReference, RepositoryArn",
        );
        check(&with("a\nb", json!("x")), "\"a\\nb\" is not");
    }

    #[test]
    fn an_unknown_property_that_was_there_before_is_let_pass() {
        let (now, before) = (with("Nonce", json!("2")), with("Nonce", json!("1")));
        parse(&now, &before).unwrap();
        parse(&with("Refresh", json!("1")), &json!("not even a map")).unwrap();
        parse(&now, &with("Comment", json!("1"))).unwrap_err();
    }
}
