//! Storage and deletion of images, common to API and registry.

use serde_json::{Value, json};

use crate::api::now;
use crate::image::Manifest;

use super::error::ApiError;
use super::scans;
use super::store::{PushEvent, Repository, RepositoryKey, State, StoredImage};
use super::validation;

/// An image to store.
pub(super) struct NewImage<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) media_type: Option<&'a str>,
    pub(super) tag: Option<&'a str>,
    pub(super) digest: Option<&'a str>,
}

/// Result of storing an image.
pub(super) enum PutOutcome {
    /// The image or its tag is new.
    Stored(Manifest),
    /// Image and tag existed already.
    Unchanged(Manifest),
}

impl PutOutcome {
    pub(super) fn manifest(&self) -> &Manifest {
        match self {
            Self::Stored(manifest) | Self::Unchanged(manifest) => manifest,
        }
    }
}

/// Stores a manifest for a client, and records the push event that ECR would send to EventBridge
/// (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-eventbridge.html>).
pub(super) fn push(
    state: &mut State,
    key: &RepositoryKey,
    image: &NewImage<'_>,
) -> Result<PutOutcome, ApiError> {
    let outcome = put(state, key, image)?;
    if let PutOutcome::Stored(manifest) = &outcome {
        scans::scan_on_push(state.repository(key)?, &manifest.digest);
        let (digest, tag) = (manifest.digest.clone(), image.tag.map(ToOwned::to_owned));
        state.push_events.push(PushEvent { repository: key.arn(), digest, tag });
    }
    Ok(outcome)
}

/// Stores a manifest and its tag.
pub(super) fn put(
    state: &mut State,
    key: &RepositoryKey,
    image: &NewImage<'_>,
) -> Result<PutOutcome, ApiError> {
    let name = &key.repository;
    let repository = state.repository(key)?;
    if image.tag.is_some_and(|tag| !is_tag(tag)) {
        let message = "Invalid parameter at 'imageTag' failed to satisfy constraint: \
                       'must satisfy regular expression '[a-zA-Z0-9-_.]+''";
        return Err(ApiError::new("InvalidParameterException", message));
    }
    let parsed = validation::parse(image.bytes, image.media_type)?;
    let manifest = Manifest::new(image.bytes.to_vec(), &parsed.media_type);
    let digest = manifest.digest.clone();
    if let Some(expected) = image.digest.filter(|expected| **expected != digest) {
        let message = format!("The provided digest '{expected}' does not match the image digest '{digest}'");
        return Err(ApiError::new("ImageDigestDoesNotMatchException", message));
    }
    let named = image.tag.and_then(|tag| repository.tags.get(tag));
    if let (Some(tag), true) = (image.tag, named.is_some())
        && !repository.settings.mutability.allows_moving(tag)
    {
        // ECR rejects the identical digest too (aws/containers-roadmap#2179).
        let message = format!(
            "The image tag '{tag}' already exists in the '{name}' repository and cannot be \
             overwritten because the tag is immutable."
        );
        return Err(ApiError::new("ImageTagAlreadyExistsException", message));
    }
    let exists = repository.images.contains_key(&digest);
    if exists && (image.tag.is_none() || named == Some(&digest)) {
        return Ok(PutOutcome::Unchanged(manifest));
    }
    check_references(repository, key, &parsed)?;
    let stored = StoredImage { manifest: manifest.clone(), parsed, pushed: now() };
    repository.images.entry(digest.clone()).or_insert(stored);
    if let Some(tag) = image.tag {
        repository.tags.insert(tag.to_owned(), digest);
    }
    Ok(PutOutcome::Stored(manifest))
}

/// Fails if a blob or child manifest is missing.
fn check_references(
    repository: &Repository,
    key: &RepositoryKey,
    parsed: &validation::ParsedManifest,
) -> Result<(), ApiError> {
    let (name, account) = (&key.repository, &key.account);
    let blobs = parsed.blobs.iter().map(|(digest, _)| digest);
    let missing: Vec<_> = blobs.filter(|digest| !repository.layers.contains_key(*digest)).collect();
    if !missing.is_empty() {
        let message = format!(
            "Layers with digests '{missing:?}' required for pushing image into repository with \
             name '{name}' in the registry with id '{account}' do not exist"
        );
        return Err(ApiError::new("LayersNotFoundException", message.replace('"', "")));
    }
    let children = parsed.children.iter();
    let missing: Vec<_> = children.filter(|child| !repository.images.contains_key(*child)).collect();
    if !missing.is_empty() {
        let message = format!(
            "Images with digests '{missing:?}' required for pushing image into repository with \
             name '{name}' in the registry with id '{account}' do not exist"
        );
        return Err(ApiError::new("ReferencedImagesNotFoundException", message.replace('"', "")));
    }
    Ok(())
}

/// Deletes images by tag or digest. Returns the deleted IDs and the failures.
///
/// An ID with both a tag and a digest fails the call, because AWS does not document its meaning.
pub(super) fn delete(
    repository: &mut Repository,
    ids: &[Value],
) -> Result<(Vec<Value>, Vec<Value>), ApiError> {
    if let Some(id) = ids.iter().find(|id| id["imageTag"].is_string() && id["imageDigest"].is_string()) {
        let message = format!(
            "aws-emulator: BatchDeleteImage with both imageTag and imageDigest in {id} is rejected, because \
             its meaning is undocumented"
        );
        return Err(ApiError::new("InvalidParameterException", message));
    }
    let (mut deleted, mut failures) = (Vec::new(), Vec::new());
    for id in ids {
        match delete_one(repository, id) {
            Ok(mut ids) => deleted.append(&mut ids),
            Err((code, reason)) => failures.push(failure(id, code, &reason)),
        }
    }
    Ok((deleted, failures))
}

/// Returns an element of `failures[]`.
pub(super) fn failure(id: &Value, code: &str, reason: &str) -> Value {
    json!({"imageId": id, "failureCode": code, "failureReason": reason})
}

type IdFailure = (&'static str, String);

/// Finds the image with an ID.
pub(super) fn find<'a>(repository: &'a Repository, id: &Value) -> Result<&'a StoredImage, IdFailure> {
    let (tag, digest) = (id["imageTag"].as_str(), id["imageDigest"].as_str());
    if digest.is_some_and(|digest| !is_digest(digest)) {
        let reason = "Invalid request parameters: image digest should satisfy the regex \
                      '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'";
        return Err(("InvalidImageDigest", reason.to_owned()));
    }
    if tag.is_some_and(|tag| !is_tag(tag)) {
        return Err(("InvalidImageTag", "Invalid request parameters: image tag".to_owned()));
    }
    let reference = match (tag, digest) {
        (None, None) => {
            let reason = "Invalid request parameters: both tag and digest cannot be null";
            return Err(("MissingDigestAndTag", reason.to_owned()));
        }
        (Some(tag), _) => tag,
        (None, Some(digest)) => digest,
    };
    let found = repository.image(reference);
    let found = found.ok_or_else(|| ("ImageNotFound", "Requested image not found".to_owned()))?;
    if digest.is_some_and(|digest| digest != found.manifest.digest) {
        let reason = "Requested tag does not match the requested digest";
        return Err(("ImageTagDoesNotMatchDigest", reason.to_owned()));
    }
    Ok(found)
}

fn delete_one(repository: &mut Repository, id: &Value) -> Result<Vec<Value>, IdFailure> {
    let digest = find(repository, id)?.manifest.digest.clone();
    let tags = repository.tags_of(&digest);
    if let Some(tag) = id["imageTag"].as_str()
        && tags.len() > 1
    {
        repository.tags.remove(tag);
        return Ok(vec![json!({"imageTag": tag, "imageDigest": digest})]);
    }
    let indexes = repository.indexes_of(&digest);
    if !indexes.is_empty() {
        let reason = format!("Requested image referenced by manifest list: [{}]", indexes.join(", "));
        return Err(("ImageReferencedByManifestList", reason));
    }
    remove(repository, &digest);
    if tags.is_empty() {
        return Ok(vec![json!({"imageDigest": digest})]);
    }
    Ok(tags.iter().map(|tag| json!({"imageTag": tag, "imageDigest": digest})).collect())
}

/// Deletes an image with its tags, and the layers that no other image has.
pub(super) fn remove(repository: &mut Repository, digest: &str) {
    repository.tags.retain(|_, named| named != digest);
    repository.scans.remove(digest);
    let Some(image) = repository.images.remove(digest) else {
        return;
    };
    for (blob, _) in &image.parsed.blobs {
        if !repository.refers_to(blob) {
            repository.layers.remove(blob);
        }
    }
}

/// Returns true if a text is a SHA-256 digest.
pub(super) fn is_digest(text: &str) -> bool {
    let hex = text.strip_prefix("sha256:").unwrap_or_default();
    hex.len() == 64 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Returns true if a text is a valid tag.
pub(super) fn is_tag(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.len() <= 300
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|byte| word(byte) || matches!(byte, b'.' | b'-'))
}
