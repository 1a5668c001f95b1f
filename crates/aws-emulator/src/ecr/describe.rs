//! `DescribeImages` and `ListImages`.

use serde_json::{Value, json};

use super::api::bounded_list;
use super::error::ApiError;
use super::images;
use super::store::{Repository, RepositoryKey, State, StoredImage};

/// Handles `DescribeImages`.
pub(super) fn images(state: &mut State, key: &RepositoryKey, input: &Value) -> Result<Value, ApiError> {
    let repository = state.repository(key)?;
    if input.get("imageIds").is_some_and(|ids| !ids.is_null()) {
        let mut details = Vec::new();
        for id in bounded_list(input, "imageIds", 100)? {
            let image = images::find(repository, id).map_err(|_| {
                let message = format!(
                    "The image with imageId {{imageDigest:'{}', imageTag:'{}'}} does not exist \
                     within the repository with name '{}' in the registry with id '{}'",
                    id["imageDigest"].as_str().unwrap_or("null"),
                    id["imageTag"].as_str().unwrap_or("null"),
                    key.repository,
                    key.account
                );
                ApiError::new("ImageNotFoundException", message)
            })?;
            details.push(detail(repository, key, image));
        }
        return Ok(json!({"imageDetails": details}));
    }
    let wanted = status_filter(input);
    let images = repository.images.values().filter(|image| {
        wanted.is_none_or(|tagged| repository.tags_of(&image.manifest.digest).is_empty() != tagged)
    });
    let all = images.map(|image| detail(repository, key, image)).collect();
    Ok(page(all, input, "imageDetails"))
}

/// Handles `ListImages`.
pub(super) fn list(state: &mut State, key: &RepositoryKey, input: &Value) -> Result<Value, ApiError> {
    let repository = state.repository(key)?;
    let wanted = status_filter(input);
    let mut ids = Vec::new();
    for digest in repository.images.keys() {
        let tags = repository.tags_of(digest);
        if tags.is_empty() && wanted != Some(true) {
            ids.push(json!({"imageDigest": digest}));
        }
        if wanted != Some(false) {
            let tagged = tags.iter().map(|tag| json!({"imageDigest": digest, "imageTag": tag}));
            ids.extend(tagged);
        }
    }
    Ok(page(ids, input, "imageIds"))
}

/// Returns true for tagged images only, false for untagged ones only, or `None` for all.
fn status_filter(input: &Value) -> Option<bool> {
    match input["filter"]["tagStatus"].as_str() {
        Some("TAGGED") => Some(true),
        Some("UNTAGGED") => Some(false),
        _ => None,
    }
}

/// Returns a page of a list with the token of the next one. The token is a position in the list.
pub(super) fn page(all: Vec<Value>, input: &Value, name: &str) -> Value {
    let start = input["nextToken"].as_str().and_then(|token| token.parse().ok()).unwrap_or(0);
    let limit = input["maxResults"].as_u64().unwrap_or(100).clamp(1, 1000) as usize;
    let total = all.len();
    let shown: Vec<_> = all.into_iter().skip(start).take(limit).collect();
    let mut output = json!({});
    if start + shown.len() < total {
        output["nextToken"] = json!((start + shown.len()).to_string());
    }
    output[name] = json!(shown);
    output
}

fn detail(repository: &Repository, key: &RepositoryKey, image: &StoredImage) -> Value {
    let digest = &image.manifest.digest;
    let mut detail = json!({
        "registryId": key.account,
        "repositoryName": key.repository,
        "imageDigest": digest,
        "imageSizeInBytes": size(repository, image),
        "imagePushedAt": image.pushed,
        "imageManifestMediaType": image.manifest.media_type,
        "imageStatus": "ACTIVE",
    });
    let tags = repository.tags_of(digest);
    if !tags.is_empty() {
        detail["imageTags"] = json!(tags);
    }
    for (name, value) in
        [("artifactMediaType", artifact(image)), ("subjectManifestDigest", image.parsed.subject.clone())]
    {
        if let Some(value) = value {
            detail[name] = json!(value);
        }
    }
    detail
}

/// Returns the artifact type, or otherwise the media type of the config.
fn artifact(image: &StoredImage) -> Option<String> {
    let config = image.manifest.document()["config"]["mediaType"].as_str().map(ToOwned::to_owned);
    image.parsed.artifact_type.clone().or(config)
}

/// Returns the size of the blobs. For an index, it is the size of the largest child.
fn size(repository: &Repository, image: &StoredImage) -> u64 {
    let children = image.parsed.children.iter().filter_map(|child| repository.images.get(child));
    let largest = children.map(|child| size(repository, child)).max().unwrap_or(0);
    image.parsed.blobs.iter().map(|(_, size)| size).sum::<u64>().max(largest)
}
