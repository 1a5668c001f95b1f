//! Referrers of an image: the referrers API of the registry, and `ListImageReferrers`
//! (<https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_ListImageReferrers.html>).

use serde_json::{Value, json};

use crate::service::{Request, Response};
use crate::upstream::{referrer_entry, referrers_list};

use super::describe;
use super::error::ApiError;
use super::images::is_digest;
use super::store::{Repository, RepositoryKey, State, StoredImage};

/// Maximum number of entries on a page of both lists.
const PAGE: usize = 50;

/// Handles the referrers API.
pub(super) fn serve(
    state: &mut State,
    key: &RepositoryKey,
    digest: &str,
    request: &Request,
) -> Result<Response, ApiError> {
    let referring =
        referrers_of(state.repository(key)?, digest).map(|image| referrer_entry(&image.manifest)).collect();
    Ok(referrers_list(referring, PAGE, request))
}

/// Handles `ListImageReferrers`.
pub(super) fn list_image_referrers(
    state: &mut State,
    key: &RepositoryKey,
    input: &Value,
) -> Result<Value, ApiError> {
    let subject = input["subjectId"]["imageDigest"].as_str().filter(|digest| is_digest(digest));
    let subject = subject.ok_or_else(|| {
        let message =
            "Invalid parameter at 'subjectId' failed to satisfy constraint: 'Member must not be null'";
        ApiError::new("InvalidParameterException", message)
    })?;
    let mut input = input.clone();
    let requested = input["maxResults"].as_u64().unwrap_or(20);
    if !(1..=PAGE as u64).contains(&requested) {
        let message = "Invalid parameter at 'maxResults' failed to satisfy constraint: \
                       'Member must have value less than or equal to 50'";
        return Err(ApiError::new("InvalidParameterException", message));
    }
    input["maxResults"] = json!(requested);
    let types = input["filter"]["artifactTypes"].as_array().cloned().unwrap_or_default();
    let referring = referrers_of(state.repository(key)?, subject).map(|image| {
        let mut entry = referrer_entry(&image.manifest);
        entry["artifactStatus"] = json!("ACTIVE");
        entry
    });
    let all = referring.filter(|entry| types.is_empty() || types.contains(&entry["artifactType"])).collect();
    Ok(describe::page(all, &input, "referrers"))
}

/// Returns the referrers of a digest. Its manifest can be missing.
fn referrers_of<'a>(repository: &'a Repository, digest: &'a str) -> impl Iterator<Item = &'a StoredImage> {
    repository.images.values().filter(move |image| image.parsed.subject.as_deref() == Some(digest))
}
