//! The property `Customize`.

use image_copy::customize::Customization;
use serde_json::Value;

use super::{InvalidProperty, display_value, invalid};

/// Parses Dockerfile lines. Each text of a list has one or more lines. No text means no change, so that
/// a condition of a template can remove the lines.
pub(super) fn parse(value: &Value) -> Result<Option<Customization>, InvalidProperty> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(texts) if texts.iter().all(Value::is_string) => {
            texts.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
        }
        other => return invalid(format!("Customize is {}: expected Dockerfile lines", display_value(other))),
    };
    if text.trim().is_empty() {
        return Ok(None);
    }
    Customization::parse(&text)
        .map(Some)
        .map_err(|error| InvalidProperty::Value(format!("Customize is invalid: {error}")))
}
