//! Properties of an image in a template, some of which can be unknown.

use image_copy::copy::PlatformSelection;
use image_copy_aws::{InvalidProperty, Properties};
use serde_json::Value as Json;

use crate::template::{Resource, Unknown, Value};

/// Valid properties. Unknown ones have placeholders.
pub(super) struct Known {
    pub(super) properties: Properties,
    /// Unknown properties that a copy depends on, except `ServiceToken` and `RepositoryArn`.
    pub(super) unknown: Vec<(String, Unknown)>,
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

/// Parses the properties as the function does. `default` are the platforms of the function's settings.
///
/// # Errors
/// The first invalid property.
pub(super) fn parse(
    properties: &Value,
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
        if matches!(name.as_str(), "ImageReference" | "Platform" | "Tag") {
            unknown.push((name.clone(), reason.clone()));
        }
    }
    if default.is_none() && properties.get("Platform").is_none() {
        let reason = Unknown::new("the provider's DefaultPlatform is unknown");
        unknown.push(("Platform".to_owned(), reason));
    }
    let default = default.unwrap_or(PlatformSelection::All);
    let properties = Properties::parse(&document, &Json::Null, &default)?;
    Ok(Known { properties, unknown })
}

/// Returns the line of an invalid property, whose name is part of the error.
pub(super) fn line_of(resource: &Resource, error: &InvalidProperty) -> usize {
    let text = error.to_string();
    let names = resource.lines.iter().filter(|(name, _)| text.contains(name.as_str()));
    // The longest name, because Tag is also part of other words.
    names.max_by_key(|(name, _)| name.len()).map_or(resource.line, |(_, line)| *line)
}
