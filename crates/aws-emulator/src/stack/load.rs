//! Loads templates from text, as `CreateStack` and `UpdateStack` do: checks the document, determines the values of
//! parameters, evaluates conditions, and removes resources whose condition is false.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::conditions::Conditions;
use super::parameters;
use super::resolve::{function, references};
use super::resource::{Kind, Policy, Resource};
use super::template::{Output, Template};
use super::{Stack, functions, text};

/// Sections of a template
/// (<https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-anatomy.html>). The last one belongs to
/// the Serverless Application Model.
const SECTIONS: [&str; 11] = [
    "AWSTemplateFormatVersion",
    "Description",
    "Metadata",
    "Parameters",
    "Rules",
    "Mappings",
    "Conditions",
    "Transform",
    "Resources",
    "Outputs",
    "Globals",
];

/// The Serverless Application Model. Its resources are simulated under their own types, without the transform.
const SERVERLESS: &str = "AWS::Serverless-2016-10-31";

/// Attributes of resources that are emulated.
const RESOURCE_ATTRIBUTES: [&str; 7] =
    ["Type", "Properties", "DependsOn", "Condition", "DeletionPolicy", "UpdateReplacePolicy", "Metadata"];

impl Stack {
    /// Loads a template with values of its parameters.
    ///
    /// # Errors
    ///
    /// Returns CloudFormation's message for an invalid template, or names the part that is not emulated.
    pub fn load(&self, text: &str, values: &[(&str, &str)]) -> Result<Template, String> {
        let document = text::parse(text)?;
        check_sections(&document)?;
        check_document(&document)?;
        let template = Template {
            parameters: parameters::load(&section(&document, "Parameters")?, values)?,
            mappings: section(&document, "Mappings")?,
            text: Some(text.to_owned()),
            ..Template::default()
        };
        let deployed = BTreeMap::new();
        let expressions = section(&document, "Conditions")?;
        let conditions =
            Conditions { expressions: &expressions, resolver: self.resolver(&template, &deployed) };
        let is_serverless = document["Transform"] == SERVERLESS;
        let mut resources = BTreeMap::new();
        for (id, resource) in section(&document, "Resources")? {
            if conditions.holds(&resource)? {
                resources.insert(id.clone(), load_resource(&id, &resource, &conditions, is_serverless)?);
            }
        }
        let mut outputs = BTreeMap::new();
        for (name, output) in section(&document, "Outputs")? {
            if conditions.holds(&output)? {
                let description = output["Description"].as_str().map(ToOwned::to_owned);
                outputs.insert(name, Output { value: conditions.resolve(&output["Value"])?, description });
            }
        }
        let template = Template { resources, outputs, ..template };
        check_template(&template)?;
        Ok(template)
    }
}

fn section(document: &Value, name: &str) -> Result<Map<String, Value>, String> {
    match document.get(name) {
        None => Ok(Map::new()),
        Some(Value::Object(section)) => Ok(section.clone()),
        Some(_) => Err(format!("Template format error: [/{name}] expects an object")),
    }
}

fn check_sections(document: &Value) -> Result<(), String> {
    let Value::Object(sections) = document else {
        return Err("Template format error: unsupported structure.".to_owned());
    };
    let unknown: Vec<_> = sections.keys().filter(|name| !SECTIONS.contains(&name.as_str())).collect();
    if !unknown.is_empty() {
        return Err(format!("Invalid template property or properties {unknown:?}"));
    }
    if sections.contains_key("Rules") {
        return Err("aws-emulator: Rules is not emulated".to_owned());
    }
    match &document["Transform"] {
        Value::Null => {}
        Value::String(name) if name == SERVERLESS => {}
        transform => return Err(format!("aws-emulator: the transform {transform} is not emulated")),
    }
    if document["Resources"].as_object().is_none_or(Map::is_empty) {
        return Err("Template format error: At least one Resources member must be defined.".to_owned());
    }
    Ok(())
}

fn load_resource(
    id: &str,
    resource: &Value,
    conditions: &Conditions<'_>,
    is_serverless: bool,
) -> Result<Resource, String> {
    let attributes = resource.as_object().into_iter().flat_map(Map::keys);
    for name in attributes {
        if !RESOURCE_ATTRIBUTES.contains(&name.as_str()) {
            return Err(format!("aws-emulator: the attribute {name} of the resource {id} is not emulated"));
        }
    }
    let Some(resource_type) = resource["Type"].as_str() else {
        return Err(format!(
            "Template format error: [/Resources/{id}] Every Resources object must contain a Type member."
        ));
    };
    let properties = match conditions.resolve(&resource["Properties"])? {
        Value::Object(properties) => properties,
        Value::Null => Map::new(),
        _ => return Err(format!("Template format error: [/Resources/{id}/Properties] expects an object")),
    };
    check_values(&Value::Object(properties.clone()))?;
    let depends_on = match &resource["DependsOn"] {
        Value::Array(ids) => ids.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect(),
        Value::String(id) => BTreeSet::from([id.clone()]),
        _ => BTreeSet::new(),
    };
    Ok(Resource {
        kind: kind(resource_type, is_serverless)?,
        properties,
        depends_on,
        deletion_policy: policy(&resource["DeletionPolicy"])?,
        update_replace_policy: policy(&resource["UpdateReplacePolicy"])?,
    })
}

fn kind(resource_type: &str, is_serverless: bool) -> Result<Kind, String> {
    let name = resource_type.to_owned();
    Ok(match resource_type {
        "AWS::CloudFormation::CustomResource" => Kind::Custom(name),
        _ if resource_type.starts_with("Custom::") => Kind::Custom(name),
        "AWS::ECR::Repository" => Kind::Repository,
        _ if resource_type.starts_with("AWS::Serverless::") && !is_serverless => {
            return Err(format!("Template format error: Unrecognized resource types: [{resource_type}]"));
        }
        "AWS::CloudFormation::Stack" => return Err("aws-emulator: nested stacks are not emulated".to_owned()),
        _ if resource_type.starts_with("AWS::") => Kind::Simulated(name, Box::default()),
        _ => return Err(format!("Template format error: Unrecognized resource types: [{resource_type}]")),
    })
}

fn policy(value: &Value) -> Result<Policy, String> {
    match value.as_str() {
        None if value.is_null() => Ok(Policy::Delete),
        Some("Delete") => Ok(Policy::Delete),
        Some("Retain") => Ok(Policy::Retain),
        Some("RetainExceptOnCreate") => Ok(Policy::RetainExceptOnCreate),
        _ => Err(format!("aws-emulator: the policy {value} is not emulated")),
    }
}

/// Rejects functions and dynamic references that are not emulated.
fn check_values(value: &Value) -> Result<(), String> {
    if let Some((name, _)) = function(value)
        && name != "Ref"
        && !functions::NAMES.contains(&name)
    {
        return Err(format!("aws-emulator: {name} is not emulated"));
    }
    match value {
        Value::String(text) if text.contains("{{resolve:") => {
            Err(format!("aws-emulator: the dynamic reference {text} is not emulated"))
        }
        Value::Array(items) => items.iter().try_for_each(check_values),
        Value::Object(object) => object.values().try_for_each(check_values),
        _ => Ok(()),
    }
}

/// Checks that all references have a target, also those in branches of `Fn::If` that no condition selects.
fn check_document(document: &Value) -> Result<(), String> {
    for block in ["Resources", "Outputs"] {
        let mut names = BTreeSet::new();
        references(&document[block], &mut names);
        let has = |section: &str, name: &str| document[section].get(name).is_some();
        check_names(block, &names, |name| has("Parameters", name) || has("Resources", name))?;
    }
    Ok(())
}

/// Checks that all references have a target after the conditions removed resources.
fn check_template(template: &Template) -> Result<(), String> {
    let mut in_outputs = BTreeSet::new();
    template.outputs.values().for_each(|output| references(&output.value, &mut in_outputs));
    let in_resources = template.dependencies().into_values().flatten().collect();
    for (block, names) in [("Resources", in_resources), ("Outputs", in_outputs)] {
        let (parameters, resources) = (&template.parameters, &template.resources);
        check_names(block, &names, |name| parameters.contains_key(name) || resources.contains_key(name))?;
    }
    Ok(())
}

fn check_names(block: &str, names: &BTreeSet<String>, exists: impl Fn(&str) -> bool) -> Result<(), String> {
    let is_unknown = |name: &&str| !name.starts_with("AWS::") && !exists(name);
    let unknown: Vec<&str> = names.iter().map(String::as_str).filter(is_unknown).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(format!(
        "Template format error: Unresolved resource dependencies [{}] in the {block} block of the template",
        unknown.join(", ")
    ))
}
