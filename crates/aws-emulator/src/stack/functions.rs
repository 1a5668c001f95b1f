//! Intrinsic functions without their own access to resources
//! (<https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html>).

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::resolve::{Resolver, references};

/// Functions in values. `Fn::If` is resolved when a template is loaded, and condition functions only there.
pub(super) const NAMES: [&str; 7] =
    ["Fn::GetAtt", "Fn::Sub", "Fn::Join", "Fn::Select", "Fn::Split", "Fn::FindInMap", "Fn::If"];

impl Resolver<'_> {
    /// Resolves a call of a function.
    pub(super) fn function(&self, name: &str, argument: &Value) -> Result<Value, String> {
        let usage = |rule: &str| format!("Template error: {name} {rule}");
        match (name, argument) {
            ("Fn::Sub", Value::String(text)) => self.substitute(text, &Map::new()),
            ("Fn::Sub", Value::Array(parts)) => match parts.as_slice() {
                [Value::String(text), Value::Object(variables)] => {
                    self.substitute(text, &self.properties(variables)?)
                }
                _ => Err(usage("takes a string, or a string and a map")),
            },
            ("Fn::Join", Value::Array(parts)) => match parts.as_slice() {
                [Value::String(delimiter), items] => Ok(Value::String(self.strings(items)?.join(delimiter))),
                _ => Err(usage("takes a delimiter and a list")),
            },
            ("Fn::Split", Value::Array(parts)) => match parts.as_slice() {
                [Value::String(delimiter), text] => {
                    let text = self.text(text)?;
                    Ok(text.split(delimiter.as_str()).map(|part| Value::String(part.to_owned())).collect())
                }
                _ => Err(usage("takes a delimiter and a string")),
            },
            ("Fn::Select", Value::Array(parts)) => match parts.as_slice() {
                [index, items] => self.select(&self.text(index)?, items),
                _ => Err(usage("takes an index and a list")),
            },
            ("Fn::FindInMap", Value::Array(parts)) => match parts.as_slice() {
                [map, first, second] => {
                    self.find_in_map(&self.text(map)?, &self.text(first)?, &self.text(second)?)
                }
                _ => Err(usage("with a default value is not emulated")),
            },
            _ => Err(format!("aws-emulator: {name} is not emulated")),
        }
    }

    /// Replaces the `${Name}` of `Fn::Sub`.
    fn substitute(&self, text: &str, variables: &Map<String, Value>) -> Result<Value, String> {
        let mut out = String::new();
        for part in sub_parts(text) {
            match part {
                Part::Text(text) => out += text,
                Part::Literal(name) => out += &format!("${{{name}}}"),
                Part::Name(name) => out += &self.sub_value(name, variables)?,
            }
        }
        Ok(Value::String(out))
    }

    fn sub_value(&self, name: &str, variables: &Map<String, Value>) -> Result<String, String> {
        let value = match (variables.get(name), name.split_once('.')) {
            (Some(value), _) => value.clone(),
            (None, Some((id, attribute))) => self.attribute(id, attribute)?,
            (None, None) => self.reference(name)?.unwrap_or_default(),
        };
        match value {
            Value::String(text) => Ok(text),
            _ => Err(format!(
                "Template error: variable {name} in Fn::Sub expression does not resolve to a string"
            )),
        }
    }

    fn select(&self, index: &str, items: &Value) -> Result<Value, String> {
        let items = self.strings(items)?;
        let found = index.parse::<usize>().ok().and_then(|index| items.get(index));
        found.map(|item| Value::String(item.clone())).ok_or_else(|| {
            format!("Template error: Fn::Select  cannot select nonexistent value at index {index}")
        })
    }

    fn find_in_map(&self, map: &str, first: &str, second: &str) -> Result<Value, String> {
        let found = self.template.mappings.get(map).and_then(|map| map.get(first)?.get(second));
        let missing = || format!("Template error: Unable to get mapping for {map}::{first}::{second}");
        self.value(found.ok_or_else(missing)?)?.ok_or_else(missing)
    }

    /// Resolves a value to a string.
    pub(super) fn text(&self, value: &Value) -> Result<String, String> {
        match self.value(value)? {
            Some(Value::String(text)) => Ok(text),
            other => Err(format!("Template error: {} is not a string", other.unwrap_or_default())),
        }
    }

    /// Resolves a value to a list of strings.
    fn strings(&self, value: &Value) -> Result<Vec<String>, String> {
        let not_a_list = |value: &Value| format!("Template error: {value} is not a list of strings");
        match self.value(value)? {
            Some(Value::Array(items)) => {
                let text =
                    |item: &Value| item.as_str().map(ToOwned::to_owned).ok_or_else(|| not_a_list(item));
                items.iter().map(text).collect()
            }
            other => Err(not_a_list(&other.unwrap_or_default())),
        }
    }
}

/// Collects the names in the argument of `Fn::Sub`.
pub(super) fn sub_references(argument: &Value, into: &mut BTreeSet<String>) {
    let (text, variables) = match argument {
        Value::Array(parts) => (parts.first(), parts.get(1)),
        text => (Some(text), None),
    };
    for part in sub_parts(text.and_then(Value::as_str).unwrap_or_default()) {
        if let Part::Name(name) = part
            && variables.is_none_or(|variables| variables.get(name).is_none())
        {
            into.insert(name.split('.').next().unwrap_or(name).to_owned());
        }
    }
    if let Some(variables) = variables {
        references(variables, into);
    }
}

/// Part of the text of `Fn::Sub`.
enum Part<'a> {
    Text(&'a str),
    /// `${!Name}`, which becomes `${Name}`.
    Literal(&'a str),
    Name(&'a str),
}

fn sub_parts(mut text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    while let Some((before, rest)) = text.split_once("${") {
        let Some((name, after)) = rest.split_once('}') else { break };
        parts.push(Part::Text(before));
        parts.push(name.strip_prefix('!').map_or(Part::Name(name), Part::Literal));
        text = after;
    }
    parts.push(Part::Text(text));
    parts
}
