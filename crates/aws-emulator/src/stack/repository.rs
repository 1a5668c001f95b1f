//! `AWS::ECR::Repository`, which a stack creates, updates and deletes in the emulated ECR
//! (<https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ecr-repository.html>).

use serde_json::{Map, Value, json};

use super::Stack;
use super::operation::{Provisioned, ProvisioningError, RequestType, ResourceRequest};
use crate::api::hosts;
use crate::ecr::repository_arn;
use crate::ids;

/// Properties of repositories.
const PROPERTIES: [&str; 9] = [
    "RepositoryName",
    "ImageTagMutability",
    "ImageTagMutabilityExclusionFilters",
    "ImageScanningConfiguration",
    "EncryptionConfiguration",
    "LifecyclePolicy",
    "RepositoryPolicyText",
    "Tags",
    "EmptyOnDelete",
];

impl Stack {
    /// Creates, updates or deletes a repository.
    pub(super) fn change_repository(
        &self,
        request: &ResourceRequest<'_>,
    ) -> Result<Provisioned, ProvisioningError> {
        let failure = |reason: String| ProvisioningError {
            reason,
            physical_id: request.physical_id.map(ToOwned::to_owned),
        };
        let properties = request.properties;
        if let Some(name) = properties.keys().find(|name| !PROPERTIES.contains(&name.as_str())) {
            return Err(failure(format!(
                "Properties validation failed: extraneous key [{name}] is not permitted"
            )));
        }
        let given = properties.get("RepositoryName").and_then(Value::as_str);
        // CloudFormation's generated names of repositories are in lower case.
        let name = given
            .or(request.physical_id)
            .map_or_else(|| self.generate_physical_id(request.logical_id).to_lowercase(), ToOwned::to_owned);
        let call = |action: &str, input: Value| self.call_ecr(action, input).map_err(failure);
        if request.request_type == RequestType::Delete {
            let name = request.physical_id.unwrap_or(&name);
            let force = properties.get("EmptyOnDelete").is_some_and(|value| value == "true");
            match self.call_ecr("DeleteRepository", json!({"repositoryName": name, "force": force})) {
                Err(reason) if !reason.starts_with("RepositoryNotFoundException") => {
                    return Err(failure(reason));
                }
                Ok(_) | Err(_) => return Ok(Provisioned::default()),
            }
        }
        let mut settings =
            camel_case(properties, &["ImageTagMutability", "ImageTagMutabilityExclusionFilters"]);
        settings["repositoryName"] = json!(name);
        let is_new = request.physical_id != Some(name.as_str());
        let scanning = json!({"scanOnPush": properties.get("ImageScanningConfiguration").is_some_and(|value| {
            value["ScanOnPush"] == "true"
        })});
        if is_new {
            let mut input = settings.clone();
            input["imageScanningConfiguration"] = scanning;
            merge(&mut input, camel_case(properties, &["EncryptionConfiguration"]));
            if let Some(tags) = properties.get("Tags") {
                input["tags"] = tags.clone();
            }
            call("CreateRepository", input)?;
        } else {
            let old = request.old_properties;
            for fixed in ["EncryptionConfiguration", "Tags", "ImageScanningConfiguration"] {
                if old.and_then(|old| old.get(fixed)) != properties.get(fixed) {
                    return Err(failure(format!("aws-emulator: an update of {fixed} is not emulated")));
                }
            }
            settings
                .as_object_mut()
                .map(|settings| settings.entry("imageTagMutability").or_insert(json!("MUTABLE")));
            call("PutImageTagMutability", settings)?;
        }
        if let Some(policy) =
            properties.get("LifecyclePolicy").and_then(|policy| policy.get("LifecyclePolicyText"))
        {
            call("PutLifecyclePolicy", json!({"repositoryName": name, "lifecyclePolicyText": text(policy)}))?;
        }
        if let Some(policy) = properties.get("RepositoryPolicyText") {
            call("SetRepositoryPolicy", json!({"repositoryName": name, "policyText": text(policy)}))?;
        }
        let (account, region) = (&self.settings.account, &self.settings.region);
        let host = format!("{account}.dkr.ecr.{region}.{}", hosts::partition_of(region).suffix);
        let attributes = [
            ("Arn".to_owned(), json!(repository_arn(account, region, &name))),
            ("RepositoryUri".to_owned(), json!(format!("{host}/{name}"))),
        ];
        Ok(Provisioned {
            physical_id: name,
            attributes: attributes.into_iter().collect(),
            request_id: ids::uuid(),
        })
    }

    fn call_ecr(&self, action: &str, input: Value) -> Result<Value, String> {
        let Some(ecr) = &self.ecr else {
            return Err("aws-emulator: a stack without Stack::with_ecr has no repositories".to_owned());
        };
        ecr.call(&self.settings.region, action, &input)
            .map_err(|(name, message)| format!("{name}: {message}"))
    }
}

/// Returns properties in the notation of ECR's API.
fn camel_case(properties: &Map<String, Value>, names: &[&str]) -> Value {
    let named = properties.iter().filter(|(name, _)| names.contains(&name.as_str()));
    Value::Object(named.map(|(name, value)| (lower_first(name), camel_case_value(value))).collect())
}

fn camel_case_value(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            object.iter().map(|(name, value)| (lower_first(name), camel_case_value(value))).collect()
        }
        Value::Array(items) => items.iter().map(camel_case_value).collect(),
        _ => value.clone(),
    }
}

fn lower_first(name: &str) -> String {
    let mut characters = name.chars();
    characters.next().map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}

fn merge(into: &mut Value, from: Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        into.extend(from);
    }
}

/// Returns the text of a policy, which a template can also contain as an object.
fn text(policy: &Value) -> String {
    policy.as_str().map_or_else(|| policy.to_string(), ToOwned::to_owned)
}
