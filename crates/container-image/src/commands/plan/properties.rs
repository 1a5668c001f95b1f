//! Properties of an image in a template, some of which can be unknown.

use image_copy::copy::PlatformSelection;
use image_copy_aws::{CopySettings, InvalidProperty, Properties};
use serde_json::Value as Json;

use super::findings::ImagePlan;
use crate::template::{Resource, Unknown, Value};

/// Valid properties. Unknown ones have placeholders.
pub(super) struct Known {
    pub(super) properties: Properties,
    /// Unknown properties that a copy depends on, except `ServiceToken` and `RepositoryArn`.
    unknown: Vec<(String, Unknown)>,
}

impl Known {
    pub(super) fn is_unknown(&self, property: &str) -> bool {
        self.unknown.iter().any(|(name, _)| name == property)
    }
}

/// Placeholders of unknown properties. Others are left out.
const PLACEHOLDERS: [(&str, &str); 2] = [
    ("ImageReference", "docker.io/library/unknown:unknown"),
    ("RepositoryArn", "arn:aws:ecr:us-east-1:000000000000:repository/unknown"),
];

/// Returns the valid properties. Adds a failure if a known one is invalid. `previous` are those of the deployed
/// resource.
pub(super) fn check(
    resource: &Resource,
    previous: Option<&Value>,
    settings: Option<&CopySettings>,
    plan: &mut ImagePlan,
) -> Option<Known> {
    let default = settings.map(|settings| settings.default_platforms.clone());
    match parse(&resource.properties, previous, default) {
        Ok(known) => {
            for (name, unknown) in &known.unknown {
                plan.not_checked(resource.line_of(name), format!("{name}: {unknown}"));
            }
            Some(known)
        }
        Err(error) => {
            let code = match &error {
                InvalidProperty::Missing(_) => "CI-101",
                InvalidProperty::Value(_) => "CI-102",
                InvalidProperty::Unknown(_) => "CI-103",
            };
            let line = line_of(resource, &error);
            let text = error.to_string();
            plan.fail(line, if text.ends_with('?') { text } else { format!("{text}.") }, code);
            None
        }
    }
}

/// Parses the properties as the function does. `previous` are those of the deployed resource, and `default` the
/// platforms of the function's settings.
///
/// # Errors
/// The first invalid property.
fn parse(
    properties: &Value,
    previous: Option<&Value>,
    default: Option<PlatformSelection>,
) -> Result<Known, InvalidProperty> {
    let mut document = properties.to_json();
    let mut unknown = Vec::new();
    let Value::Map(entries) = properties else { unreachable!("properties are a map") };
    for (name, value) in entries {
        let Some(reason) = value.unknown() else { continue };
        let placeholder = PLACEHOLDERS.iter().find(|(property, _)| property == name);
        match (placeholder, &mut document) {
            (Some((_, placeholder)), document) => document[name] = Json::from(*placeholder),
            (None, Json::Object(object)) => drop(object.remove(name)),
            (None, _) => {}
        }
        if matches!(name.as_str(), "ImageReference" | "Platform" | "Tag" | "CredentialArn" | "Customize") {
            unknown.push((name.clone(), reason.clone()));
        }
    }
    if default.is_none() && properties.get("Platform").is_none() {
        let reason = Unknown::new("the provider's DefaultPlatform is unknown");
        unknown.push(("Platform".to_owned(), reason));
    }
    let default = default.unwrap_or(PlatformSelection::All);
    let previous = previous.map_or(Json::Null, Value::to_json);
    let properties = Properties::parse(&document, &previous, &default)?;
    Ok(Known { properties, unknown })
}

/// Returns the line of an invalid property, whose name is part of the error.
fn line_of(resource: &Resource, error: &InvalidProperty) -> usize {
    let text = error.to_string();
    let names = resource.lines.iter().filter(|(name, _)| text.contains(name.as_str()));
    // The longest name, because Tag is also part of other words.
    names.max_by_key(|(name, _)| name.len()).map_or(resource.line, |(_, line)| *line)
}
