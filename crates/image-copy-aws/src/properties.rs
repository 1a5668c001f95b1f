//! Properties of an image in a template, which the function and the command line read.

mod customize;

use std::collections::HashMap;

use image_copy::copy::{PlatformSelection, Request};
use image_copy::customize::Customization;
use image_copy::oci::{Digest, Platform, Reference, Tag};
use image_copy::text::SanitizedText;
use serde_json::{Map, Value};

use crate::arn::RepositoryArn;
use crate::credential_arn::CredentialArn;

/// Value of `Platform` that copies the whole index, case-insensitive.
pub(crate) const ALL_PLATFORMS: &str = "all";

/// Properties of `Custom::ContainerImage`. The last two are CloudFormation's.
const PROPERTY_NAMES: [&str; 10] = [
    "ImageReference",
    "RepositoryArn",
    "Platform",
    "Tag",
    "CredentialArn",
    "Refresh",
    "IncludeReferrers",
    "Customize",
    "ServiceToken",
    "ServiceTimeout",
];
/// Number of properties that are not CloudFormation's.
const OWN_PROPERTIES: usize = 8;

/// Properties of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Properties {
    /// Image to copy.
    pub source: Reference,
    /// Repository to copy to.
    pub repository: RepositoryArn,
    /// Platforms to copy.
    pub platforms: PlatformSelection,
    /// The tag in ECR. `None` if the reference has no tag either: the image is stored by digest.
    pub tag: Option<Tag>,
    /// Secret or parameter with credentials for the source. `None` means those of the provider's settings.
    pub credentials: Option<CredentialArn>,
    /// True if signatures, SBOMs and attestations are copied too.
    pub include_referrers: bool,
    /// Dockerfile lines that change each copied image.
    pub customization: Option<Customization>,
}

/// Invalid property: its name, value and expected value, in one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidProperty {
    /// A required property is missing.
    #[error("{0}")]
    Missing(&'static str),
    /// A value is invalid.
    #[error("{0}")]
    Value(String),
    /// The property does not exist.
    #[error("{0}")]
    Unknown(String),
}

impl Properties {
    /// Parses the properties of a Create, or of an Update with the `previous` ones. Unknown names are
    /// accepted if the previous properties have them: the original provider ignored such names, and they must
    /// not fail a rollback.
    ///
    /// # Errors
    /// The first invalid property.
    pub fn parse(
        properties: &Value,
        previous: &Value,
        default: &PlatformSelection,
    ) -> Result<Self, InvalidProperty> {
        let empty = Map::new();
        let properties = properties.as_object().unwrap_or(&empty);
        let source = match properties.get("ImageReference").and_then(Value::as_str) {
            None => {
                return Err(InvalidProperty::Missing(
                    "ImageReference is missing or not a string: expected an image reference, such as docker.io/library/python:3.13",
                ));
            }
            Some(text) => {
                text.trim().parse::<Reference>().map_err(|error| invalid_value("ImageReference", &error))?
            }
        };
        let repository = match properties.get("RepositoryArn").and_then(Value::as_str) {
            None => {
                return Err(InvalidProperty::Missing(
                    "RepositoryArn is missing or not a string: expected the ARN of an ECR repository, such as !GetAtt Repository.Arn",
                ));
            }
            Some(text) => text
                .trim()
                .parse()
                .map_err(|error| InvalidProperty::Value(format!("{error} in RepositoryArn")))?,
        };
        let platforms = match properties.get("Platform") {
            None => default.clone(),
            Some(value) => parse_platforms(value)?,
        };
        let tag = match properties.get("Tag") {
            None => source.tag.clone(),
            Some(value) => Some(parse_tag(value)?),
        };
        let include_referrers = match properties.get("IncludeReferrers") {
            None => false,
            Some(value) => parse_bool("IncludeReferrers", value)?,
        };
        let credentials = match properties.get("CredentialArn") {
            None => None,
            Some(Value::String(text)) => Some(
                text.trim()
                    .parse()
                    .map_err(|error| InvalidProperty::Value(format!("CredentialArn is {error}")))?,
            ),
            Some(other) => {
                return invalid(format!(
                    "CredentialArn is {}: expected the ARN of a secret or of a parameter",
                    display_value(other)
                ));
            }
        };
        let customization = match properties.get("Customize") {
            None => None,
            Some(value) => customize::parse(value)?,
        };
        if include_referrers && customization.is_some() {
            return invalid(
                "IncludeReferrers is true with Customize: expected one of them, because signatures and attestations do not describe a changed image",
            );
        }
        reject_unknown(properties, previous)?;
        Ok(Self { source, repository, platforms, tag, credentials, include_referrers, customization })
    }

    /// Returns true if the copy has the digest of the source: no platforms are selected, and nothing is changed.
    #[must_use]
    pub fn keeps_digest(&self) -> bool {
        self.platforms == PlatformSelection::All && self.customization.is_none()
    }

    /// Returns the digest of the customization for the record of a copy. Empty without one.
    #[must_use]
    pub fn customization_digest(&self) -> String {
        self.customization.as_ref().map(|lines| lines.digest().to_string()).unwrap_or_default()
    }

    /// Returns the request of the engine.
    #[must_use]
    pub fn request(&self) -> Request {
        Request {
            source: self.source.clone(),
            destination: self.repository.repository(),
            tag: self.tag.clone(),
            platforms: self.platforms.clone(),
            earlier_copies: Vec::new(),
            include_referrers: self.include_referrers,
            customization: self.customization.clone(),
        }
    }
}

/// Maximum number of platforms in a list. The largest official images have about 20.
const MAX_PLATFORMS: usize = 100;

fn parse_platforms(value: &Value) -> Result<PlatformSelection, InvalidProperty> {
    const EXPECTED: &str = "expected platforms, such as linux/arm64, or all";
    let count = match value {
        Value::String(text) => text.split(',').count(),
        Value::Array(names) => names.len(),
        _ => 1,
    };
    if count > MAX_PLATFORMS {
        return invalid(format!("Platform has {count} platforms: expected at most {MAX_PLATFORMS}"));
    }
    match value {
        Value::String(text) if text.trim().eq_ignore_ascii_case(ALL_PLATFORMS) => Ok(PlatformSelection::All),
        Value::String(text) if text.contains(',') => {
            parse_platform_list(text.split(',')).map_err(|error| invalid_value("Platform", &error))
        }
        Value::String(text) => {
            text.parse().map(PlatformSelection::One).map_err(|error| invalid_value("Platform", &error))
        }
        Value::Array(names) if !names.is_empty() && names.iter().all(Value::is_string) => {
            let mut names = names.iter().filter_map(Value::as_str);
            match names.clone().next() {
                Some(only)
                    if names.clone().count() == 1 && only.trim().eq_ignore_ascii_case(ALL_PLATFORMS) =>
                {
                    Ok(PlatformSelection::All)
                }
                _ => parse_platform_list(&mut names).map_err(|error| invalid_value("Platform", &error)),
            }
        }
        other => invalid(format!("Platform is {}: {EXPECTED}", display_value(other))),
    }
}

/// Parses a list of platforms, without duplicates.
pub(crate) fn parse_platform_list<'a>(
    names: impl IntoIterator<Item = &'a str>,
) -> Result<PlatformSelection, image_copy::oci::ParseError> {
    let mut platforms: Vec<Platform> = Vec::new();
    for name in names {
        let platform: Platform = name.parse()?;
        if !platforms.iter().any(|other| other.normalized() == platform.normalized()) {
            platforms.push(platform);
        }
    }
    Ok(PlatformSelection::Several(platforms))
}

fn parse_tag(value: &Value) -> Result<Tag, InvalidProperty> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        // Callers other than CloudFormation can send a number.
        Value::Number(number) => number.to_string(),
        other => return invalid(format!("Tag is {}: expected one tag, such as 3.13", display_value(other))),
    };
    text.parse().map_err(|error| invalid_value("Tag", &error))
}

/// Parses the boolean property `name`. CloudFormation sends booleans as text.
///
/// # Errors
/// If the value is neither true nor false.
pub fn parse_bool(name: &str, value: &Value) -> Result<bool, InvalidProperty> {
    match value {
        Value::Bool(truth) => Ok(*truth),
        Value::String(text) if text.trim().eq_ignore_ascii_case("true") => Ok(true),
        Value::String(text) if text.trim().eq_ignore_ascii_case("false") => Ok(false),
        other => invalid(format!("{name} is {}: expected true or false", display_value(other))),
    }
}

fn reject_unknown(properties: &Map<String, Value>, previous: &Value) -> Result<(), InvalidProperty> {
    let is_new =
        |name: &&String| !PROPERTY_NAMES.contains(&name.as_str()) && previous.get(name.as_str()).is_none();
    let Some(name) = properties.keys().find(is_new) else { return Ok(()) };
    let display = display_value(&Value::String(name.clone()));
    Err(InvalidProperty::Unknown(match nearest_property(name) {
        Some(known) => {
            format!("{display} is not a property of Custom::ContainerImage. Did you mean {known}?")
        }
        None => {
            format!(
                "{display} is not a property of Custom::ContainerImage: expected {}",
                PROPERTY_NAMES[..OWN_PROPERTIES].join(", ")
            )
        }
    }))
}

/// Returns the property name of which `name` is probably a typo.
fn nearest_property(name: &str) -> Option<&'static str> {
    let name: String = name.chars().take(64).collect::<String>().to_ascii_lowercase();
    let distances = PROPERTY_NAMES[..OWN_PROPERTIES]
        .iter()
        .map(|known| (strsim::levenshtein(&name, &known.to_ascii_lowercase()), *known));
    let (distance, known) = distances.min()?;
    (distance <= known.len() / 3).then_some(known)
}

fn invalid_value(name: &str, error: &image_copy::oci::ParseError) -> InvalidProperty {
    InvalidProperty::Value(format!("{name} is \"{}\", which is not {}", error.input, error.expected))
}

fn invalid<T>(text: impl Into<String>) -> Result<T, InvalidProperty> {
    Err(InvalidProperty::Value(text.into()))
}

/// Formats a value of a template or event, in one line of limited length.
#[must_use]
pub fn display_value(value: &Value) -> SanitizedText {
    SanitizedText::new(&value.to_string(), 80)
}

/// Returns the names of a copy's platforms, without duplicates: an index can have a platform for several OS
/// versions.
#[must_use]
pub fn platform_names(platforms: &[Platform]) -> Vec<String> {
    let mut seen = HashMap::new();
    let names = platforms.iter().map(ToString::to_string);
    names.filter(|name| seen.insert(name.clone(), ()).is_none()).collect()
}

/// Returns a hash of properties, independent of their order. It does not include `ServiceToken` and
/// `ServiceTimeout`, because they do not change the image.
#[must_use]
pub fn fingerprint(properties: &Value) -> String {
    let mut properties = properties.as_object().cloned().unwrap_or_default();
    for name in ["ServiceToken", "ServiceTimeout"] {
        properties.remove(name);
    }
    let mut properties = Value::Object(properties);
    properties.sort_all_objects();
    Digest::of(properties.to_string().as_bytes()).hex()[..16].to_owned()
}

#[cfg(test)]
mod tests;
