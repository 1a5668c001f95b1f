//! The property `Customize`.

use image_copy::customize::Customization;
use serde_json::Value;

use super::{InvalidProperty, display_value, invalid};

/// Parses Dockerfile lines. Each text of a list has one or more lines.
pub(super) fn parse(value: &Value) -> Result<Option<Customization>, InvalidProperty> {
    let texts: Option<Vec<&str>> = match value {
        Value::Array(texts) => texts.iter().map(Value::as_str).collect(),
        other => other.as_str().map(|text| vec![text]),
    };
    let Some(texts) = texts else {
        return invalid(format!("Customize is {}: expected Dockerfile lines", display_value(value)));
    };
    Customization::parse_texts(&texts)
        .map_err(|error| InvalidProperty::Value(format!("Customize is invalid: {error}")))
}
