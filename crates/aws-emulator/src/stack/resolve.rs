//! Resolves the references in property values, and converts scalars to strings.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::DeployedResource;
use super::template::Parameter;
use crate::ids;

/// Values that references resolve to.
pub(super) struct Resolver<'a> {
    pub(super) stack_id: &'a str,
    pub(super) stack_name: &'a str,
    pub(super) account: &'a str,
    pub(super) region: &'a str,
    pub(super) parameters: &'a BTreeMap<String, Parameter>,
    pub(super) deployed: &'a BTreeMap<String, DeployedResource>,
}

/// Collects the logical IDs in a value's references.
pub(super) fn references(value: &Value, into: &mut BTreeSet<String>) {
    match (function(value), value) {
        (Some(("Ref", Value::String(id))), _) if !id.starts_with("AWS::") => {
            into.insert(id.clone());
        }
        (Some(("Fn::GetAtt", Value::Array(parts))), _) => {
            into.extend(parts.first().and_then(Value::as_str).map(ToOwned::to_owned));
        }
        (_, Value::Object(object)) => object.values().for_each(|value| references(value, into)),
        (_, Value::Array(items)) => items.iter().for_each(|value| references(value, into)),
        _ => {}
    }
}

impl Resolver<'_> {
    /// Returns the properties with resolved references.
    ///
    /// # Errors
    ///
    /// Returns CloudFormation's message for a reference without a target.
    pub(super) fn properties(&self, properties: &Map<String, Value>) -> Result<Map<String, Value>, String> {
        let mut resolved = Map::new();
        for (name, value) in properties {
            if let Some(value) = self.value(value)? {
                resolved.insert(name.clone(), value);
            }
        }
        Ok(resolved)
    }

    /// Resolves one value. Returns `None` for `AWS::NoValue`.
    pub(super) fn value(&self, value: &Value) -> Result<Option<Value>, String> {
        if let Some((name, argument)) = function(value) {
            return self.call(name, argument);
        }
        Ok(Some(match value {
            Value::Null => return Err("Null values are not allowed in templates".to_owned()),
            Value::Bool(flag) => Value::String(flag.to_string()),
            Value::Number(number) => Value::String(number.to_string()),
            Value::String(_) => value.clone(),
            Value::Array(items) => {
                let items: Result<Vec<_>, _> = items.iter().map(|item| self.value(item)).collect();
                Value::Array(items?.into_iter().flatten().collect())
            }
            Value::Object(object) => Value::Object(self.properties(object)?),
        }))
    }

    fn call(&self, name: &str, argument: &Value) -> Result<Option<Value>, String> {
        match (name, argument) {
            ("Ref", Value::String(id)) => self.reference(id),
            ("Fn::GetAtt", Value::Array(parts)) => match parts.as_slice() {
                [Value::String(id), Value::String(attribute)] => self.attribute(id, attribute).map(Some),
                _ => Err("Fn::GetAtt takes a logical id and an attribute".to_owned()),
            },
            _ => Err(format!("{name} is not emulated")),
        }
    }

    fn reference(&self, id: &str) -> Result<Option<Value>, String> {
        let text = match id {
            "AWS::NoValue" => return Ok(None),
            "AWS::StackId" => self.stack_id,
            "AWS::StackName" => self.stack_name,
            "AWS::AccountId" => self.account,
            "AWS::Region" => self.region,
            "AWS::Partition" => ids::partition(self.region),
            "AWS::URLSuffix" => ids::suffix(self.region),
            _ => match self.parameters.get(id) {
                Some(parameter) => &parameter.value,
                None => &self.deployed_resource(id)?.physical_id,
            },
        };
        Ok(Some(Value::String(text.to_owned())))
    }

    fn attribute(&self, id: &str, attribute: &str) -> Result<Value, String> {
        let deployed = self.deployed_resource(id)?;
        deployed.attributes.get(attribute).cloned().ok_or_else(|| {
            // CloudFormation names the object in its own bucket that it made of the response.
            format!(
                "CustomResource attribute error: Vendor response doesn't contain {attribute} key in \
                 object {}|{id}|{} in S3 bucket cloudformation-custom-resource-storage-{}",
                self.stack_id,
                deployed.request_id,
                self.region.replace('-', ""),
            )
        })
    }

    fn deployed_resource(&self, id: &str) -> Result<&DeployedResource, String> {
        let missing = || format!("Unresolved resource dependencies [{id}] in the template");
        self.deployed.get(id).ok_or_else(missing)
    }
}

/// Returns name and argument of an intrinsic function.
fn function(value: &Value) -> Option<(&str, &Value)> {
    let object = value.as_object().filter(|object| object.len() == 1)?;
    let (name, argument) = object.iter().next()?;
    (name == "Ref" || name.starts_with("Fn::")).then_some((name.as_str(), argument))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn resolve(value: &Value) -> Result<Map<String, Value>, String> {
        let (parameters, deployed) = (BTreeMap::new(), BTreeMap::new());
        let resolver = Resolver {
            stack_id: "id",
            stack_name: "name",
            account: "1",
            region: "eu-west-1",
            parameters: &parameters,
            deployed: &deployed,
        };
        resolver.properties(value.as_object().unwrap())
    }

    #[test]
    fn converts_scalars_to_strings() {
        let resolved = resolve(&json!({
            "Flag": true, "Number": 7, "List": [1, "a", { "Ref": "AWS::NoValue" }],
            "Map": { "A": false }, "Gone": { "Ref": "AWS::NoValue" },
            "Region": { "Ref": "AWS::Region" },
        }));
        let expected = json!({
            "Flag": "true", "Number": "7", "List": ["1", "a"], "Map": { "A": "false" },
            "Region": "eu-west-1",
        });
        assert_eq!(Value::Object(resolved.unwrap()), expected);
    }

    #[test]
    fn rejects_unsupported_functions_and_unknown_references() {
        assert_eq!(resolve(&json!({ "A": { "Fn::Sub": "x" } })), Err("Fn::Sub is not emulated".to_owned()));
        assert!(resolve(&json!({ "A": { "Ref": "Nobody" } })).is_err());
        assert!(resolve(&json!({ "A": null })).is_err());
    }
}
