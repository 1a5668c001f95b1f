//! Values of a template's parameters
//! (<https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html>).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::template::Parameter;

/// Attributes of parameters.
const ATTRIBUTES: [&str; 11] = [
    "Type",
    "Default",
    "NoEcho",
    "AllowedValues",
    "MinLength",
    "MaxLength",
    "MinValue",
    "MaxValue",
    "AllowedPattern",
    "ConstraintDescription",
    "Description",
];

/// Determines the values of parameters.
pub(super) fn load(
    declared: &Map<String, Value>,
    values: &[(&str, &str)],
) -> Result<BTreeMap<String, Parameter>, String> {
    let unknown: Vec<_> =
        values.iter().map(|(name, _)| *name).filter(|name| !declared.contains_key(*name)).collect();
    if !unknown.is_empty() {
        return Err(format!("Parameters: [{}] do not exist in the template", unknown.join(", ")));
    }
    let mut missing = Vec::new();
    let mut parameters = BTreeMap::new();
    for (name, declaration) in declared {
        let given =
            values.iter().rev().find(|(given, _)| given == name).map(|(_, value)| (*value).to_owned());
        match given.or_else(|| scalar_text(&declaration["Default"])) {
            Some(value) => drop(parameters.insert(name.clone(), parameter(name, declaration, value)?)),
            None => missing.push(name.as_str()),
        }
    }
    if missing.is_empty() {
        Ok(parameters)
    } else {
        Err(format!("Parameters: [{}] must have values", missing.join(", ")))
    }
}

fn parameter(name: &str, declaration: &Value, value: String) -> Result<Parameter, String> {
    let unknown = |attribute: &&String| !ATTRIBUTES.contains(&attribute.as_str());
    if let Some(attribute) = declaration.as_object().into_iter().flat_map(Map::keys).find(unknown) {
        return Err(format!("Template format error: Invalid attribute {attribute} of the parameter {name}"));
    }
    let kind = declaration["Type"].as_str().unwrap_or_default();
    let is_list = kind == "CommaDelimitedList" || kind.starts_with("List<");
    let is_number = matches!(kind, "Number" | "List<Number>");
    let is_known = is_list || is_number || kind == "String" || kind.starts_with("AWS::EC2::");
    if !is_known {
        return Err(format!("aws-emulator: the type {kind} of the parameter {name} is not emulated"));
    }
    let parameter = Parameter { is_list, no_echo: is_true(&declaration["NoEcho"]), value };
    let items = parameter.items();
    if is_number && items.iter().any(|item| item.parse::<f64>().is_err()) {
        return Err(format!("Parameter '{name}' must be a number."));
    }
    for item in items {
        check(name, declaration, &item)?;
    }
    Ok(parameter)
}

/// Checks a value, or an element of a list.
fn check(name: &str, declaration: &Value, value: &str) -> Result<(), String> {
    if let Some(allowed) = declaration["AllowedValues"].as_array()
        && !allowed.iter().any(|allowed| scalar_text(allowed).as_deref() == Some(value))
    {
        return Err(format!("Parameter '{name}' must be one of AllowedValues"));
    }
    if declaration.get("AllowedPattern").is_some() {
        return Err(format!("aws-emulator: AllowedPattern of the parameter {name} is not emulated"));
    }
    let limit =
        |attribute: &str| scalar_text(&declaration[attribute]).and_then(|limit| limit.parse::<f64>().ok());
    let length = value.chars().count() as f64;
    let number = value.parse().unwrap_or(f64::NAN);
    for (attribute, rule, is_violated) in [
        ("MinLength", "contain at least", limit("MinLength").is_some_and(|limit| length < limit)),
        ("MaxLength", "contain at most", limit("MaxLength").is_some_and(|limit| length > limit)),
        ("MinValue", "be a number not less than", limit("MinValue").is_some_and(|limit| number < limit)),
        ("MaxValue", "be a number not greater than", limit("MaxValue").is_some_and(|limit| number > limit)),
    ] {
        if is_violated {
            let limit = scalar_text(&declaration[attribute]).unwrap_or_default();
            return Err(format!("Parameter '{name}' must {rule} {limit}"));
        }
    }
    Ok(())
}

fn is_true(value: &Value) -> bool {
    scalar_text(value).as_deref() == Some("true")
}

fn scalar_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}
