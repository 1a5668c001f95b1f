//! Lifecycle policies and their previews
//! (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html>).
//!
//! A policy expires no images here: a test calls `Repository::expire_image`.

mod policy;

use serde_json::{Value, json};

use crate::api::now;

use super::describe::page;
use super::error::ApiError;
use super::store::{RepositoryKey, State};
use policy::Policy;

/// A lifecycle policy preview.
pub(super) struct Preview {
    text: String,
    /// True until the first request for the results.
    in_progress: bool,
    results: Vec<Value>,
}

/// Checks the text of a policy.
pub(super) fn check(text: &str) -> Result<(), ApiError> {
    Policy::parse(text).map(drop)
}

/// Handles `PutLifecyclePolicy`.
pub(super) fn put(state: &mut State, key: &RepositoryKey, input: &Value) -> Result<Value, ApiError> {
    let repository = state.repository(key)?;
    let text = input["lifecyclePolicyText"].as_str().unwrap_or_default();
    check(text)?;
    repository.settings.lifecycle_policy = Some(text.to_owned());
    get(state, key)
}

/// Handles `GetLifecyclePolicy`.
pub(super) fn get(state: &mut State, key: &RepositoryKey) -> Result<Value, ApiError> {
    let text = state.repository(key)?.settings.lifecycle_policy.clone().ok_or_else(|| missing(key))?;
    Ok(json!({"registryId": key.account, "repositoryName": key.repository, "lifecyclePolicyText": text}))
}

fn missing(key: &RepositoryKey) -> ApiError {
    let message = format!(
        "Lifecycle policy does not exist for the repository with name '{}' in the registry with id '{}'",
        key.repository, key.account
    );
    ApiError::new("LifecyclePolicyNotFoundException", message)
}

/// Handles `StartLifecyclePolicyPreview`. Without a policy in the input, the repository's own is evaluated.
pub(super) fn start_preview(
    state: &mut State,
    key: &RepositoryKey,
    input: &Value,
) -> Result<Value, ApiError> {
    let repository = state.repository(key)?;
    let own = repository.settings.lifecycle_policy.as_deref();
    let text = input["lifecyclePolicyText"].as_str().or(own).ok_or_else(|| missing(key))?.to_owned();
    let policy = Policy::parse(&text)?;
    if repository.preview.as_ref().is_some_and(|preview| preview.in_progress) {
        let message = "The previous lifecycle policy preview request has not completed. Wait and try again.";
        return Err(ApiError::new("LifecyclePolicyPreviewInProgressException", message));
    }
    let expiring = policy.expiring(repository, now());
    let results = expiring.into_iter().map(|(digest, priority)| {
        let mut result = json!({
            "imageDigest": digest,
            "imagePushedAt": repository.images[digest].pushed,
            "action": {"type": "EXPIRE"},
            "appliedRulePriority": priority,
        });
        let tags = repository.tags_of(digest);
        if !tags.is_empty() {
            result["imageTags"] = json!(tags);
        }
        result
    });
    let results = results.collect();
    repository.preview = Some(Preview { text: text.clone(), in_progress: true, results });
    Ok(json!({
        "registryId": key.account,
        "repositoryName": key.repository,
        "lifecyclePolicyText": text,
        "status": "IN_PROGRESS",
    }))
}

/// Handles `GetLifecyclePolicyPreview`. The first request after the start returns a preview in progress.
pub(super) fn get_preview(state: &mut State, key: &RepositoryKey, input: &Value) -> Result<Value, ApiError> {
    let Some(preview) = &mut state.repository(key)?.preview else {
        let message = "There is no dry run for this repository.";
        return Err(ApiError::new("LifecyclePolicyPreviewNotFoundException", message));
    };
    let in_progress = std::mem::take(&mut preview.in_progress);
    let results: Vec<_> = match in_progress {
        true => Vec::new(),
        false => preview.results.iter().filter(|result| is_wanted(result, input)).cloned().collect(),
    };
    let total = preview.results.len();
    let mut output = page(results, input, "previewResults");
    output["registryId"] = json!(key.account);
    output["repositoryName"] = json!(key.repository);
    output["lifecyclePolicyText"] = json!(preview.text);
    output["status"] = json!(if in_progress { "IN_PROGRESS" } else { "COMPLETE" });
    if !in_progress {
        output["summary"] = json!({"expiringImageTotalCount": total});
    }
    Ok(output)
}

/// Applies the filters of the input: image IDs and tag status.
fn is_wanted(result: &Value, input: &Value) -> bool {
    let has_id = |id: &Value| {
        let tags = result["imageTags"].as_array().map_or(&[][..], Vec::as_slice);
        id["imageDigest"].as_str().is_none_or(|digest| result["imageDigest"] == digest)
            && id["imageTag"].as_str().is_none_or(|tag| tags.iter().any(|own| own == tag))
    };
    let is_tagged = result.get("imageTags").is_some();
    input["imageIds"].as_array().is_none_or(|ids| ids.iter().any(has_id))
        && match input["filter"]["tagStatus"].as_str() {
            Some("TAGGED") => is_tagged,
            Some("UNTAGGED") => !is_tagged,
            _ => true,
        }
}
