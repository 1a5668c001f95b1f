//! Blobs, which are redirected to a second host with a signed URL.

use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

use http::Method;

use crate::blob::{Blob, digest};
use crate::body::{empty, full};
use crate::distribution::error_response;
use crate::fault::Effect;
use crate::service::{Request, Response, response};

use super::RangeSupport;
use super::access::without_body_for_head;
use super::profile::{Profile, Quirk};
use super::store::State;

/// Validity of a signed URL in seconds.
const URL_VALIDITY_SECONDS: u64 = 300;

/// Handles HEAD and GET of a blob at the registry.
pub(super) fn serve(
    state: &State,
    profile: &Profile,
    request: &Request,
    (repository, digest): (&str, &str),
) -> Response {
    let content = state.repositories.get(repository);
    let is_head = request.method == Method::HEAD;
    let Some(blob) = content.and_then(|content| content.blobs.get(digest)) else {
        let is_manifest = content.is_some_and(|content| content.manifests.contains_key(digest));
        if is_head && is_manifest && profile.has(Quirk::BlobHeadFindsManifests) {
            return response(200, &[("content-type", "application/octet-stream")], empty());
        }
        return not_found(profile, request, error_response(404, "BLOB_UNKNOWN", "blob unknown to registry"));
    };
    if is_head && !profile.has(Quirk::RejectsBlobHead) {
        return blob_response(blob, request, state.ranges);
    }
    match location(state, profile, repository, digest) {
        Some(location) => response(307, &[("location", &location)], empty()),
        None => blob_response(blob, request, state.ranges),
    }
}

/// Returns the response for something missing. Some registries respond differently to HEAD.
pub(super) fn not_found(profile: &Profile, request: &Request, error: Response) -> Response {
    let is_head = request.method == Method::HEAD;
    if is_head && profile.has(Quirk::ForbiddenForMissingOnHead) {
        return response(403, &[], empty());
    }
    without_body_for_head(profile, request, error)
}

/// Returns true if a path has the form that [`location`] returns.
pub(super) fn is_content(path: &str) -> bool {
    path.starts_with("/registry-v2/")
}

/// Returns the signed URL of a blob, if the registry has a second host.
pub(super) fn location(state: &State, profile: &Profile, repository: &str, digest: &str) -> Option<String> {
    let path = format!("/registry-v2/{repository}/blobs/{digest}/data");
    Some(format!("https://{}{}", profile.blob_host.as_ref()?, sign(&path, state.signature)))
}

/// Handles a request to the second host.
pub(super) fn serve_content(state: &State, profile: &Profile, request: &Request) -> Response {
    // If it is the same host, the client can send its credentials again.
    if request.host != profile.registry_host
        && let Some(error) = reject_credentials(request)
    {
        return if profile.has(Quirk::AzureStorage) { azure_error() } else { error };
    }
    if request.method == Method::HEAD && profile.has(Quirk::RejectsBlobHead) {
        return response(401, &[], empty());
    }
    if !is_signed(request, state.signature) {
        return response(403, &[("content-type", "text/plain")], full("URL signature expired\n"));
    }
    let named = request.path().strip_prefix("/registry-v2/");
    let named = named.and_then(|rest| rest.strip_suffix("/data")?.rsplit_once("/blobs/"));
    let content = named.and_then(|(repository, _)| state.repositories.get(repository));
    let blob = named.and_then(|(_, digest)| content?.blobs.get(digest));
    match blob {
        Some(blob) => blob_response(blob, request, state.ranges),
        None => response(404, &[("content-type", "text/plain")], full("not found\n")),
    }
}

/// Returns S3's error for a request with both credentials and a signature.
pub(crate) fn reject_credentials(request: &Request) -> Option<Response> {
    request.header("authorization")?;
    let text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>InvalidArgument</Code>\
                <Message>Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, \
                Signature query string parameter or the Authorization header should be specified\
                </Message></Error>";
    Some(response(400, &[("content-type", "application/xml")], full(text)))
}

/// Returns Azure Storage's error for a request with credentials
/// (<https://github.com/Azure/acr/issues/217>).
fn azure_error() -> Response {
    let text = "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>InvalidAuthenticationInfo</Code>\
                <Message>Authentication information is not given in the correct format. Check the value of \
                Authorization header.</Message></Error>";
    response(400, &[("content-type", "application/xml")], full(text))
}

/// Adds expiry and signature to a path.
pub(crate) fn sign(path: &str, secret: u64) -> String {
    let expires_at = now() + URL_VALIDITY_SECONDS;
    format!("{path}?expires={expires_at}&verify={}", signature(path, expires_at, secret))
}

/// Returns true if the URL has a valid signature of [`sign`].
pub(crate) fn is_signed(request: &Request, secret: u64) -> bool {
    let Some(expires_at) = request.query("expires").and_then(|expires_at| expires_at.parse().ok()) else {
        return false;
    };
    let expected = signature(request.path(), expires_at, secret);
    let expired = matches!(request.effect, Some(Effect::ExpireSignature));
    !expired && expires_at > now() && request.query("verify") == Some(expected)
}

fn signature(path: &str, expires_at: u64, secret: u64) -> String {
    digest(format!("{path} {expires_at} {secret}").as_bytes()).split_off("sha256:".len())
}

/// Returns the seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Returns the response to HEAD or GET of a blob, with range support.
pub(crate) fn blob_response(blob: &Blob, request: &Request, support: RangeSupport) -> Response {
    let size = blob.size();
    let length = size.to_string();
    let common = [
        ("content-type", "application/octet-stream"),
        ("docker-content-digest", blob.digest()),
        ("accept-ranges", "bytes"),
    ];
    if request.method == Method::HEAD {
        return response(200, &[&common[..], &[("content-length", &length)]].concat(), empty());
    }
    let range_header = request.header("range").filter(|_| support != RangeSupport::Ignored);
    let Some(range_header) = range_header else {
        return response(200, &common, blob.stream(0..size));
    };
    match parse_range(range_header, size).filter(|_| support == RangeSupport::Honoured) {
        Some(range) => {
            let content_range = format!("bytes {}-{}/{size}", range.start, range.end - 1);
            let headers = [&common[..], &[("content-range", content_range.as_str())]].concat();
            response(206, &headers, blob.stream(range))
        }
        None => response(416, &[("content-range", &format!("bytes */{size}"))], empty()),
    }
}

/// Parses `bytes=first-[last]`.
fn parse_range(text: &str, size: u64) -> Option<Range<u64>> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let first: u64 = first.parse().ok()?;
    let end = if last.is_empty() { size } else { last.parse::<u64>().ok()?.checked_add(1)? };
    (first < size && first < end).then(|| first..end.min(size))
}

#[cfg(test)]
mod tests {
    use super::parse_range;

    #[test]
    fn parses_ranges_within_the_blob() {
        assert_eq!(parse_range("bytes=2-", 10), Some(2..10));
        assert_eq!(parse_range("bytes=2-4", 10), Some(2..5));
        assert_eq!(parse_range("bytes=2-99", 10), Some(2..10));
        assert_eq!(parse_range("bytes=10-", 10), None);
        assert_eq!(parse_range("lines=1-2", 10), None);
    }
}
