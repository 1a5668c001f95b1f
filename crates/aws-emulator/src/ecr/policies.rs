//! Repository policies and resource tags. Of a policy, only explicit denials have an effect.

use serde_json::{Value, json};

use super::error::ApiError;
use super::settings;
use super::store::{RepositoryKey, State};
use crate::api::Caller;
use crate::fault::glob;

/// Maximum length of a repository policy in characters
/// (<https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_SetRepositoryPolicy.html>).
const POLICY_LIMIT: usize = 10_240;

/// Handles `SetRepositoryPolicy`.
pub(super) fn set(state: &mut State, key: &RepositoryKey, input: &Value) -> Result<Value, ApiError> {
    let text = input["policyText"].as_str().unwrap_or_default();
    check(text)?;
    state.repository(key)?.settings.repository_policy = Some(text.to_owned());
    get(state, key)
}

/// Checks the text of a repository policy. The statements of a repository policy have no `Resource`
/// (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/repository-policy-examples.html>).
pub(super) fn check(text: &str) -> Result<(), ApiError> {
    let document: Value = serde_json::from_str(text).unwrap_or_default();
    let statements = statements(&document);
    let not_emulated = |statement: &Value| {
        statement["Effect"] == "Deny"
            && ["Condition", "NotPrincipal", "NotAction"].iter().any(|name| statement.get(name).is_some())
    };
    if statements.iter().any(not_emulated) {
        let message = "aws-emulator: a denial with Condition, NotPrincipal or NotAction is not implemented";
        return Err(ApiError::new("InvalidParameterException", message));
    }
    let is_valid = |statement: &Value| {
        ["Effect", "Action", "Principal"].iter().all(|name| statement.get(name).is_some())
            && statement.get("Resource").is_none()
    };
    if text.len() > POLICY_LIMIT || statements.is_empty() || !statements.iter().all(is_valid) {
        let message = "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository policy \
                       provided'";
        return Err(ApiError::new("InvalidParameterException", message));
    }
    Ok(())
}

/// Checks that no statement denies the action to the caller's role or account
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>).
pub(super) fn authorize(policy: &str, caller: &Caller, action: &str, resource: &str) -> Result<(), ApiError> {
    let document: Value = serde_json::from_str(policy).unwrap_or_default();
    let denies = |statement: &Value| {
        statement["Effect"] == "Deny"
            && texts(&statement["Action"]).any(|pattern| glob(pattern, action))
            && is_principal(&statement["Principal"], caller)
    };
    if statements(&document).iter().any(denies) {
        let principal = &caller.principal;
        let message = format!(
            "User: {principal} is not authorized to perform: {action} on resource: {resource} with an explicit deny \
             in a resource-based policy"
        );
        return Err(ApiError::new("AccessDeniedException", message));
    }
    Ok(())
}

/// Returns true if `Principal` names the caller
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html>).
fn is_principal(value: &Value, caller: &Caller) -> bool {
    let account = caller.role.split(':').nth(4).unwrap_or_default();
    let root = format!(":iam::{account}:root");
    let names = if value.is_object() { &value["AWS"] } else { value };
    texts(names).any(|name| name == "*" || name == caller.role || name == account || name.ends_with(&root))
}

fn statements(document: &Value) -> &[Value] {
    match &document["Statement"] {
        Value::Array(statements) => statements,
        statement => std::slice::from_ref(statement),
    }
}

/// Returns the elements of a list, or the only text.
fn texts(value: &Value) -> impl Iterator<Item = &str> {
    let items = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    items.iter().filter_map(Value::as_str)
}

/// Handles `GetRepositoryPolicy`.
pub(super) fn get(state: &mut State, key: &RepositoryKey) -> Result<Value, ApiError> {
    let text = state.repository(key)?.settings.repository_policy.clone().ok_or_else(|| {
        let message = format!(
            "Repository policy does not exist for the repository with name '{}' in the registry with id '{}'",
            key.repository, key.account
        );
        ApiError::new("RepositoryPolicyNotFoundException", message)
    })?;
    Ok(json!({"registryId": key.account, "repositoryName": key.repository, "policyText": text}))
}

/// Returns the repository with the ARN of a tag's resource.
pub(super) fn tagged_repository(arn: &str) -> Result<RepositoryKey, ApiError> {
    RepositoryKey::from_arn(arn).ok_or_else(|| {
        ApiError::new("InvalidParameterException", format!("Invalid parameter at 'resourceArn': '{arn}'"))
    })
}

/// Handles `TagResource`.
pub(super) fn tag(state: &mut State, key: &RepositoryKey, input: &Value) -> Result<Value, ApiError> {
    let tags = &mut state.repository(key)?.settings.resource_tags;
    let mut merged = settings::resource_tags(&input["tags"])?;
    for (name, value) in tags.iter() {
        merged.entry(name.clone()).or_insert_with(|| value.clone());
    }
    // Checks the quota of all tags together.
    *tags = settings::resource_tags(&settings::resource_tags_json(&merged))?;
    Ok(json!({}))
}

/// Handles `ListTagsForResource`.
pub(super) fn list_tags(state: &mut State, key: &RepositoryKey) -> Result<Value, ApiError> {
    let tags = settings::resource_tags_json(&state.repository(key)?.settings.resource_tags);
    Ok(json!({"tags": tags}))
}
