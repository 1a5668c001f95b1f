//! Resolves the functions in property values, and converts scalars to strings.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::resource::Kind;
use super::template::Template;
use super::{DeployedResource, functions};
use crate::ids;

/// Values that references resolve to.
pub(super) struct Resolver<'a> {
    pub(super) stack_id: &'a str,
    pub(super) stack_name: &'a str,
    pub(super) account: &'a str,
    pub(super) region: &'a str,
    pub(super) template: &'a Template,
    pub(super) deployed: &'a BTreeMap<String, DeployedResource>,
}

/// Collects the names in a value's references. They can be logical IDs, parameters or pseudo parameters.
pub(super) fn references(value: &Value, into: &mut BTreeSet<String>) {
    match (function(value), value) {
        (Some(("Ref", Value::String(name))), _) => {
            into.insert(name.clone());
        }
        (Some(("Fn::GetAtt", Value::Array(parts))), _) => {
            into.extend(parts.first().and_then(Value::as_str).map(ToOwned::to_owned));
        }
        (Some(("Fn::Sub", argument)), _) => functions::sub_references(argument, into),
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
            _ => self.function(name, argument).map(Some),
        }
    }

    pub(super) fn reference(&self, id: &str) -> Result<Option<Value>, String> {
        let text = match id {
            "AWS::NoValue" => return Ok(None),
            "AWS::StackId" => self.stack_id,
            "AWS::StackName" => self.stack_name,
            "AWS::AccountId" => self.account,
            "AWS::Region" => self.region,
            "AWS::Partition" => ids::partition(self.region),
            "AWS::URLSuffix" => ids::suffix(self.region),
            _ => match self.template.parameters.get(id) {
                Some(parameter) => return Ok(Some(parameter.reference())),
                None => &self.deployed_resource(id)?.physical_id,
            },
        };
        Ok(Some(Value::String(text.to_owned())))
    }

    pub(super) fn attribute(&self, id: &str, attribute: &str) -> Result<Value, String> {
        let deployed = self.deployed_resource(id)?;
        if !matches!(deployed.resource.kind, Kind::Custom(_)) && !deployed.attributes.contains_key(attribute)
        {
            let name = deployed.resource.kind.name();
            return Err(format!("aws-emulator: the attribute {attribute} of {name} is not emulated"));
        }
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
pub(super) fn function(value: &Value) -> Option<(&str, &Value)> {
    let object = value.as_object().filter(|object| object.len() == 1)?;
    let (name, argument) = object.iter().next()?;
    (name == "Ref" || name.starts_with("Fn::")).then_some((name.as_str(), argument))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn resolve(template: &Template, value: &Value) -> Result<Map<String, Value>, String> {
        let deployed = BTreeMap::new();
        let resolver = Resolver {
            stack_id: "id",
            stack_name: "name",
            account: "1",
            region: "eu-west-1",
            template,
            deployed: &deployed,
        };
        resolver.properties(value.as_object().unwrap())
    }

    #[test]
    fn converts_scalars_to_strings() {
        let value = json!({
            "Flag": true, "Number": 7, "List": [1, "a", { "Ref": "AWS::NoValue" }],
            "Map": { "A": false }, "Gone": { "Ref": "AWS::NoValue" },
            "Region": { "Ref": "AWS::Region" },
        });
        let expected = json!({
            "Flag": "true", "Number": "7", "List": ["1", "a"], "Map": { "A": "false" },
            "Region": "eu-west-1",
        });
        assert_eq!(Value::Object(resolve(&Template::new(), &value).unwrap()), expected);
    }

    #[test]
    fn calls_functions() {
        let template = Template::new().parameter("Name", "app").parameter("Names", "a,b");
        let template = template.mapping("Regions", json!({"eu-west-1": {"Tag": "3.13", "List": ["x", "y"]}}));
        let split = json!({"Fn::Split": [",", {"Ref": "Names"}]});
        let find = |key: &str| json!({"Fn::FindInMap": ["Regions", {"Ref": "AWS::Region"}, key]});
        for (value, expected) in [
            (
                json!({"Fn::Sub": "${AWS::Region}/${Name}:${!Literal}$"}),
                Ok(json!("eu-west-1/app:${Literal}$")),
            ),
            (json!({"Fn::Sub": ["${Name}-${Tag}", {"Tag": find("Tag")}]}), Ok(json!("app-3.13"))),
            (json!({"Fn::Join": ["/", ["a", {"Ref": "Name"}, "b"]]}), Ok(json!("a/app/b"))),
            (json!({"Fn::Join": ["/", split]}), Ok(json!("a/b"))),
            (json!({"Fn::Select": [1, split]}), Ok(json!("b"))),
            (json!({"Fn::Select": ["0", find("List")]}), Ok(json!("x"))),
            (split.clone(), Ok(json!(["a", "b"]))),
            (find("Gone"), Err("Template error: Unable to get mapping for Regions::eu-west-1::Gone")),
            (
                json!({"Fn::Select": [2, split]}),
                Err("Template error: Fn::Select  cannot select nonexistent value at index 2"),
            ),
            (json!({"Fn::Base64": "x"}), Err("aws-emulator: Fn::Base64 is not emulated")),
            (json!({"Ref": "Nobody"}), Err("Unresolved resource dependencies [Nobody] in the template")),
            (json!({"A": null}), Err("Null values are not allowed in templates")),
        ] {
            let resolved = resolve(&template, &json!({"Value": value}));
            let resolved = resolved.map(|mut properties| properties.remove("Value").unwrap());
            assert_eq!(resolved, expected.map_err(ToOwned::to_owned), "{value}");
        }
    }
}
