//! Manifests and tags.

use http::{HeaderMap, Method};
use serde_json::Value;

use crate::body::{empty, full};
use crate::distribution::{error_response, tag_page};
use crate::image::Manifest;
use crate::log::LogHandle;
use crate::service::{BoxedResponse, Request, Response, response};

use super::blobs::not_found;
use super::profile::{AnonymousAccess, Profile, Quirk};
use super::referrers;
use super::store::{RepositoryContent, State};

/// Handles HEAD and GET of a manifest. A successful GET counts as a pull.
pub(super) fn serve(
    state: &mut State,
    profile: &Profile,
    request: &Request,
    (repository, reference): (&str, &str),
    user: Option<&str>,
) -> Response {
    let error = &profile.errors;
    let Some(content) = state.repositories.get(repository) else {
        let error = error.missing_repository.unwrap_or(error.missing_manifest);
        return not_found(profile, request, error.response(repository, reference));
    };
    let found = referrers::resolve(state, profile, content, reference);
    let found = found.filter(|_| is_visible(profile, reference, user));
    let Some(manifest) = found else {
        return not_found(profile, request, error.missing_manifest.response(repository, reference));
    };
    let manifest = match negotiate(content, profile, (manifest, reference), &request.headers) {
        Ok(manifest) => manifest.clone(),
        Err(error) => return *error,
    };
    let is_get = request.method == Method::GET;
    if is_get {
        if let Some(error) = state.limits.limit_error(profile, user) {
            return error;
        }
        count(state, user, &request.log_handle);
    }
    let mut response = manifest_response(&manifest, &request.method);
    if profile.has(Quirk::NoDigestHeader) {
        response.headers_mut().remove("docker-content-digest");
    }
    if !is_get && profile.has(Quirk::WrongLengthOnHead) {
        response.headers_mut().insert("content-length", (manifest.bytes.len() / 2).into());
    }
    state.limits.add_headers(profile, user, &mut response);
    response
}

/// Returns true if a caller can see a tag.
fn is_visible(profile: &Profile, reference: &str, user: Option<&str>) -> bool {
    match profile.anonymous {
        AnonymousAccess::Tags(tags) => user.is_some() || reference.contains(':') || tags.contains(&reference),
        AnonymousAccess::Everything | AnonymousAccess::Nothing => true,
    }
}

fn count(state: &mut State, user: Option<&str>, log_handle: &LogHandle) {
    state.limits.count(user);
    log_handle.update(|entry| entry.is_pull = true);
}

/// Returns the response to HEAD or GET of a manifest.
pub(crate) fn manifest_response(manifest: &Manifest, method: &Method) -> Response {
    let length = manifest.bytes.len().to_string();
    let headers = [
        ("content-type", manifest.media_type.as_str()),
        ("docker-content-digest", &manifest.digest),
        ("docker-distribution-api-version", "registry/2.0"),
        ("content-length", &length),
    ];
    let is_head = *method == Method::HEAD;
    response(200, &headers, if is_head { empty() } else { full(manifest.bytes.clone()) })
}

/// Selects a manifest that the client accepts. Clients without support for indexes get the image for
/// `linux/amd64`.
fn negotiate<'a>(
    content: &'a RepositoryContent,
    profile: &Profile,
    (manifest, reference): (&'a Manifest, &str),
    headers: &HeaderMap,
) -> Result<&'a Manifest, BoxedResponse> {
    let exactly = |value: &http::HeaderValue| *value == manifest.media_type;
    let accepted = if profile.has(Quirk::OneAcceptPerLine) {
        headers.get_all("accept").iter().any(exactly)
    } else {
        accepts(headers, &manifest.media_type)
    };
    if accepted {
        return Ok(manifest);
    }
    let document = manifest.document();
    let Some(entries) = document["manifests"].as_array() else {
        // Registries return a single image without regard to `Accept`.
        return Ok(manifest);
    };
    if reference.contains(':') {
        let message = "OCI index found, but Accept header does not support OCI indexes";
        return Err(error_response(404, "MANIFEST_UNKNOWN", message).into());
    }
    let usual =
        |entry: &&Value| entry["platform"]["os"] == "linux" && entry["platform"]["architecture"] == "amd64";
    let child = entries.iter().find(usual).and_then(|entry| entry["digest"].as_str());
    child
        .and_then(|digest| content.manifests.get(digest))
        .ok_or_else(|| error_response(404, "MANIFEST_UNKNOWN", "manifest unknown").into())
}

/// Returns true if the `Accept` headers contain a media type.
pub(crate) fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    let values = headers.get_all("accept").iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .map(|part| part.split(';').next().unwrap_or_default().trim())
        .any(|part| part == media_type || part == "*/*")
}

/// Handles a request for a tag list.
pub(super) fn tags(state: &State, request: &Request, repository: &str) -> Response {
    let Some(content) = state.repositories.get(repository) else {
        return error_response(404, "NAME_UNKNOWN", "repository name not known to registry");
    };
    let count = request.query("n").and_then(|count| count.parse().ok());
    tag_page(content.tags.keys().cloned().collect(), repository, count, request.query("last"))
}
