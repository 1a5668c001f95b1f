//! Referrers of an image: the referrers API of the registry, and `ListImageReferrers`
//! (<https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_ListImageReferrers.html>).

use serde_json::{Value, json};

use crate::service::{Request, Response};
use crate::upstream::{referrer_entry, referrers_list};

use super::describe;
use super::error::Refusal;
use super::images::is_digest;
use super::store::{Key, Repository, State, Stored};

/// Maximum number of entries on a page of both lists.
const PAGE: usize = 50;

/// Handles the referrers API.
pub(super) fn read(
    state: &mut State,
    key: &Key,
    digest: &str,
    request: &Request,
) -> Result<Response, Refusal> {
    let referring = of(state.repository(key)?, digest).map(|image| referrer_entry(&image.manifest)).collect();
    Ok(referrers_list(referring, PAGE, request))
}

/// Handles `ListImageReferrers`.
pub(super) fn call(state: &mut State, key: &Key, input: &Value) -> Result<Value, Refusal> {
    let subject = input["subjectId"]["imageDigest"].as_str().filter(|digest| is_digest(digest));
    let subject = subject.ok_or_else(|| {
        let message =
            "Invalid parameter at 'subjectId' failed to satisfy constraint: 'Member must not be null'";
        Refusal::new("InvalidParameterException", message)
    })?;
    let mut input = input.clone();
    let asked = input["maxResults"].as_u64().unwrap_or(20);
    if !(1..=PAGE as u64).contains(&asked) {
        let message = "Invalid parameter at 'maxResults' failed to satisfy constraint: \
                       'Member must have value less than or equal to 50'";
        return Err(Refusal::new("InvalidParameterException", message));
    }
    input["maxResults"] = json!(asked);
    let types = input["filter"]["artifactTypes"].as_array().cloned().unwrap_or_default();
    let referring = of(state.repository(key)?, subject).map(|image| {
        let mut entry = referrer_entry(&image.manifest);
        entry["artifactStatus"] = json!("ACTIVE");
        entry
    });
    let all = referring.filter(|entry| types.is_empty() || types.contains(&entry["artifactType"])).collect();
    Ok(describe::page(all, &input, "referrers"))
}

/// Returns the referrers of a digest. Its manifest can be missing.
fn of<'a>(repository: &'a Repository, digest: &'a str) -> impl Iterator<Item = &'a Stored> {
    repository.images.values().filter(move |image| image.parsed.subject.as_deref() == Some(digest))
}
