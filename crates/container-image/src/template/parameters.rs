//! Values of parameters: from options, from files and from the defaults in a template.

use std::collections::BTreeMap;

use image_copy::text::SanitizedText;
use image_copy::yaml::{Id, Tree};
use serde_json::Value as Json;

use super::evaluate::Inputs;
use super::value::{Unknown, Value};
use super::{TemplateError, quoted};

/// Parses a file of parameters: a list of objects with `ParameterKey` and `ParameterValue`, an object with the
/// names as keys, this object below `Parameters`, or lines `NAME=VALUE`. These are the formats of
/// `aws cloudformation create-stack --parameters` and `deploy --parameter-overrides`
/// (<https://docs.aws.amazon.com/cli/latest/reference/cloudformation/deploy/>).
///
/// # Errors
/// A sentence about the first invalid part.
pub(crate) fn parse_file(content: &[u8]) -> Result<BTreeMap<String, String>, String> {
    let text = std::str::from_utf8(content).map_err(|_| "the file is not UTF-8 text".to_owned())?;
    let text = text.trim_start_matches('\u{feff}').trim();
    if !text.starts_with(['{', '[']) {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        return lines.map(parse_assignment).collect();
    }
    let document: Json = serde_json::from_str(text).map_err(|error| {
        format!(
            "the JSON is invalid in line {}: {}",
            error.line(),
            SanitizedText::from(error.to_string().as_str())
        )
    })?;
    match &document {
        Json::Array(items) => items.iter().map(parse_item).collect(),
        Json::Object(object) => match object.get("Parameters") {
            Some(Json::Object(parameters)) => parse_object(parameters),
            _ => parse_object(object),
        },
        _ => Err("expected an object or a list".into()),
    }
}

/// Parses `NAME=VALUE`.
///
/// # Errors
/// The expected form.
pub(crate) fn parse_assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if is_name(name) => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("{} is not NAME=VALUE, such as Tag=3.13", quoted(text))),
    }
}

/// Names of parameters are alphanumeric
/// (<https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html>).
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn parse_item(item: &Json) -> Result<(String, String), String> {
    // A list of `NAME=VALUE`.
    if let Some(text) = item.as_str() {
        return parse_assignment(text);
    }
    let name = item.get("ParameterKey").and_then(Json::as_str);
    let name = name.ok_or_else(|| format!("{} has no ParameterKey", quoted(&item.to_string())))?;
    let value = item.get("ParameterValue").and_then(scalar);
    let value = value.ok_or_else(|| format!("parameter {} has no ParameterValue", quoted(name)))?;
    Ok((name.to_owned(), value))
}

fn parse_object(object: &serde_json::Map<String, Json>) -> Result<BTreeMap<String, String>, String> {
    let pair = |(name, value): (&String, &Json)| match scalar(value) {
        Some(value) => Ok((name.clone(), value)),
        None => Err(format!("the value of parameter {} is not text", quoted(name))),
    };
    object.iter().map(pair).collect()
}

/// Returns text, a number or a boolean as text, and a list of them as comma-separated text.
fn scalar(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Number(_) | Json::Bool(_) => Some(value.to_string()),
        Json::Array(items) => Some(items.iter().map(scalar).collect::<Option<Vec<_>>>()?.join(",")),
        Json::Null | Json::Object(_) => None,
    }
}

/// Returns the value of a parameter of a template. The inputs override its default.
///
/// # Errors
/// If it has no value, or if the value is not allowed.
pub(super) fn value(
    tree: &Tree,
    name: &str,
    declaration: Id,
    inputs: &Inputs,
) -> Result<Value, TemplateError> {
    let field = |key: &str| tree.get(declaration, key).and_then(|field| tree.text(field));
    let error = |problem: String| TemplateError { line: tree.line(declaration), problem };
    let kind = field("Type").unwrap_or("String");
    let given = inputs.parameters.get(name);
    if given.is_none() && inputs.hidden.contains(name) {
        return Ok(Value::Unknown(Unknown::new(format!("NoEcho hides parameter {name} of the stack"))));
    }
    let value = match (given, field("Default")) {
        (Some(given), _) => given.as_str(),
        (None, Some(default)) => default,
        (None, None) => {
            let problem = format!("parameter {name} has no value. Pass --parameter {name}=VALUE");
            return Err(error(problem));
        }
    };
    if kind.starts_with("AWS::SSM::Parameter::Value<") {
        let stored = SanitizedText::from(value);
        return Ok(Value::Unknown(Unknown::new(format!("it is the value of the SSM parameter {stored}"))));
    }
    let is_list = kind == "CommaDelimitedList" || kind.starts_with("List<");
    let items: Vec<&str> = if is_list { value.split(',').map(str::trim).collect() } else { vec![value] };
    if let Some(allowed) = tree.get(declaration, "AllowedValues").and_then(|all| tree.items(all)) {
        let allowed: Vec<&str> = allowed.iter().filter_map(|item| tree.text(*item)).collect();
        if let Some(other) = items.iter().find(|item| !allowed.contains(*item)) {
            let allowed = SanitizedText::new(&allowed.join(", "), 200);
            let problem =
                format!("parameter {name} is {}. Choose one of its AllowedValues: {allowed}", quoted(other));
            return Err(error(problem));
        }
    }
    Ok(match is_list {
        true => Value::List(items.into_iter().map(|item| Value::Text(item.to_owned())).collect()),
        false => Value::Text(value.to_owned()),
    })
}
