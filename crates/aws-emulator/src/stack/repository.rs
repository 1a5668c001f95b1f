//! `AWS::ECR::Repository`, which a stack creates, updates and deletes in the emulated ECR
//! (<https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ecr-repository.html>).

use serde_json::{Value, json};

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
        let mutability = properties.get("ImageTagMutability").cloned();
        let mut settings = json!({
            "repositoryName": name,
            "imageTagMutability": mutability.unwrap_or_else(|| json!("MUTABLE")),
        });
        if let Some(Value::Array(filters)) = properties.get("ImageTagMutabilityExclusionFilters") {
            settings["imageTagMutabilityExclusionFilters"] = filters.iter().map(exclusion_filter).collect();
        }
        let is_new = request.physical_id != Some(name.as_str());
        let scanning = json!({"scanOnPush": properties.get("ImageScanningConfiguration").is_some_and(|value| {
            value["ScanOnPush"] == "true"
        })});
        if is_new {
            let mut input = settings;
            input["imageScanningConfiguration"] = scanning;
            if let Some(configuration) = properties.get("EncryptionConfiguration") {
                input["encryptionConfiguration"] = encryption(configuration);
            }
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

/// Returns a filter in the notation of ECR's API, whose names differ from those in templates.
fn exclusion_filter(filter: &Value) -> Value {
    json!({
        "filterType": filter["ImageTagMutabilityExclusionFilterType"],
        "filter": filter["ImageTagMutabilityExclusionFilterValue"],
    })
}

/// Returns `EncryptionConfiguration` in the notation of ECR's API.
fn encryption(configuration: &Value) -> Value {
    let mut encryption = json!({"encryptionType": configuration["EncryptionType"]});
    if let Some(key) = configuration.get("KmsKey") {
        encryption["kmsKey"] = key.clone();
    }
    encryption
}

/// Returns the text of a policy, which a template can also contain as an object.
fn text(policy: &Value) -> String {
    policy.as_str().map_or_else(|| policy.to_string(), ToOwned::to_owned)
}
