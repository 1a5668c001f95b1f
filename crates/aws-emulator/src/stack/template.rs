//! Templates with the values of their parameters.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::resolve;
use super::resource::Resource;

/// Resources, outputs, and values of parameters.
#[derive(Clone, Debug, Default)]
pub struct Template {
    pub(super) resources: BTreeMap<String, Resource>,
    pub(super) parameters: BTreeMap<String, Parameter>,
    pub(super) outputs: BTreeMap<String, Output>,
    pub(super) mappings: Map<String, Value>,
    /// Text from which the template was loaded.
    pub(super) text: Option<String>,
}

/// Value of a parameter.
#[derive(Clone, Debug)]
pub(super) struct Parameter {
    pub(super) value: String,
    /// True if the value is a list with commas.
    pub(super) is_list: bool,
    /// True if the API does not return the value.
    pub(super) no_echo: bool,
}

impl Parameter {
    fn string(value: &str, no_echo: bool) -> Self {
        Self { value: value.to_owned(), is_list: false, no_echo }
    }

    /// Returns the value, or the elements of a list without their spaces.
    pub(super) fn items(&self) -> Vec<String> {
        if self.is_list {
            self.value.split(',').map(|item| item.trim().to_owned()).collect()
        } else {
            vec![self.value.clone()]
        }
    }

    /// Returns the value of `Ref`.
    pub(super) fn reference(&self) -> Value {
        if self.is_list { json!(self.items()) } else { json!(self.value) }
    }
}

/// An output.
#[derive(Clone, Debug)]
pub(super) struct Output {
    pub(super) value: Value,
    pub(super) description: Option<String>,
}

impl Template {
    /// Creates an empty template.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds or replaces a resource.
    #[must_use]
    pub fn with(mut self, logical_id: &str, resource: Resource) -> Self {
        self.text = None;
        self.resources.insert(logical_id.to_owned(), resource);
        self
    }

    /// Adds a `Custom::ContainerImage`.
    #[must_use]
    pub fn image(self, logical_id: &str, properties: Value) -> Self {
        self.with(logical_id, Resource::custom("Custom::ContainerImage", properties))
    }

    /// Adds a parameter with its value.
    #[must_use]
    pub fn parameter(mut self, name: &str, value: &str) -> Self {
        self.parameters.insert(name.to_owned(), Parameter::string(value, false));
        self
    }

    /// Adds a parameter with `NoEcho` and its value.
    #[must_use]
    pub fn secret_parameter(mut self, name: &str, value: &str) -> Self {
        self.parameters.insert(name.to_owned(), Parameter::string(value, true));
        self
    }

    /// Adds a mapping.
    #[must_use]
    pub fn mapping(mut self, name: &str, values: Value) -> Self {
        self.mappings.insert(name.to_owned(), values);
        self
    }

    /// Adds an output.
    #[must_use]
    pub fn output(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.outputs.insert(name.to_owned(), Output { value: value.into(), description: None });
        self
    }

    /// Removes a resource.
    #[must_use]
    pub fn without(mut self, logical_id: &str) -> Self {
        self.text = None;
        self.resources.remove(logical_id);
        self
    }

    /// Returns the text of the template.
    pub(super) fn body(&self) -> String {
        if let Some(text) = &self.text {
            return text.clone();
        }
        let mut body = json!({"Resources": {}});
        for (name, parameter) in &self.parameters {
            body["Parameters"][name] = json!({"Type": "String"});
            if parameter.no_echo {
                body["Parameters"][name]["NoEcho"] = json!(true);
            }
        }
        for (id, resource) in &self.resources {
            body["Resources"][id] = resource.to_json();
        }
        for (name, output) in &self.outputs {
            body["Outputs"][name] = json!({"Value": output.value});
        }
        if !self.mappings.is_empty() {
            body["Mappings"] = Value::Object(self.mappings.clone());
        }
        format!("{body:#}\n")
    }

    /// Returns the resources that each resource refers to or names in `DependsOn`.
    pub(super) fn dependencies(&self) -> BTreeMap<String, BTreeSet<String>> {
        let dependencies = |resource: &Resource| {
            let mut dependencies = resource.depends_on.clone();
            for value in resource.properties.values() {
                resolve::references(value, &mut dependencies);
            }
            dependencies
        };
        self.resources.iter().map(|(id, resource)| (id.clone(), dependencies(resource))).collect()
    }
}
