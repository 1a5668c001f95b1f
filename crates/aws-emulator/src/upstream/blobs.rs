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
use super::access::mute;
use super::profile::{Profile, Quirk};
use super::store::State;

/// Validity of a signed URL in seconds.
const SIGNED_SECONDS: u64 = 300;

/// Handles HEAD and GET of a blob at the registry.
pub(super) fn read(
    state: &State,
    profile: &Profile,
    request: &Request,
    (repository, wanted): (&str, &str),
) -> Response {
    let held = state.repositories.get(repository);
    let is_head = request.method == Method::HEAD;
    let Some(blob) = held.and_then(|held| held.blobs.get(wanted)) else {
        let is_manifest = held.is_some_and(|held| held.manifests.contains_key(wanted));
        if is_head && is_manifest && profile.has(Quirk::BlobHeadFindsManifests) {
            return response(200, &[("content-type", "application/octet-stream")], empty());
        }
        return missing(profile, request, error_response(404, "BLOB_UNKNOWN", "blob unknown to registry"));
    };
    if is_head && !profile.has(Quirk::RejectsBlobHead) {
        return send(blob, request, state.ranges);
    }
    match location(state, profile, repository, wanted) {
        Some(location) => response(307, &[("location", &location)], empty()),
        None => send(blob, request, state.ranges),
    }
}

/// Returns the response for something missing. Some registries respond differently to HEAD.
pub(super) fn missing(profile: &Profile, request: &Request, refused: Response) -> Response {
    let is_head = request.method == Method::HEAD;
    if is_head && profile.has(Quirk::ForbiddenForMissingOnHead) {
        return response(403, &[], empty());
    }
    mute(profile, request, refused)
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
pub(super) fn content(state: &State, profile: &Profile, request: &Request) -> Response {
    // If it is the same host, the client can send its credentials again.
    if request.host != profile.registry_host
        && let Some(refused) = refuse_login(request)
    {
        return if profile.has(Quirk::AzureStorage) { azure_refusal() } else { refused };
    }
    if request.method == Method::HEAD && profile.has(Quirk::RejectsBlobHead) {
        return response(401, &[], empty());
    }
    if !is_signed(request, state.signature) {
        return response(403, &[("content-type", "text/plain")], full("URL signature expired\n"));
    }
    let named = request.path().strip_prefix("/registry-v2/");
    let named = named.and_then(|rest| rest.strip_suffix("/data")?.rsplit_once("/blobs/"));
    let held = named.and_then(|(repository, _)| state.repositories.get(repository));
    let blob = named.and_then(|(_, digest)| held?.blobs.get(digest));
    match blob {
        Some(blob) => send(blob, request, state.ranges),
        None => response(404, &[("content-type", "text/plain")], full("not found\n")),
    }
}

/// Returns S3's error for a request with both credentials and a signature.
pub(crate) fn refuse_login(request: &Request) -> Option<Response> {
    request.header("authorization")?;
    let text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>InvalidArgument</Code>\
                <Message>Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, \
                Signature query string parameter or the Authorization header should be specified\
                </Message></Error>";
    Some(response(400, &[("content-type", "application/xml")], full(text)))
}

/// Returns Azure Storage's error for a request with credentials
/// (<https://github.com/Azure/acr/issues/217>).
fn azure_refusal() -> Response {
    let text = "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>InvalidAuthenticationInfo</Code>\
                <Message>Authentication information is not given in the correct format. Check the value of \
                Authorization header.</Message></Error>";
    response(400, &[("content-type", "application/xml")], full(text))
}

/// Adds expiry and signature to a path.
pub(crate) fn sign(path: &str, secret: u64) -> String {
    let ends = now() + SIGNED_SECONDS;
    format!("{path}?expires={ends}&verify={}", signature(path, ends, secret))
}

/// Returns true if the URL has a valid signature of [`sign`].
pub(crate) fn is_signed(request: &Request, secret: u64) -> bool {
    let Some(ends) = request.query("expires").and_then(|ends| ends.parse().ok()) else {
        return false;
    };
    let expected = signature(request.path(), ends, secret);
    let expired = matches!(request.effect, Some(Effect::ExpireSignature));
    !expired && ends > now() && request.query("verify") == Some(expected)
}

fn signature(path: &str, ends: u64, secret: u64) -> String {
    digest(format!("{path} {ends} {secret}").as_bytes()).split_off("sha256:".len())
}

/// Returns the seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Returns the response to HEAD or GET of a blob, with range support.
pub(crate) fn send(blob: &Blob, request: &Request, manner: RangeSupport) -> Response {
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
    let wanted = request.header("range").filter(|_| manner != RangeSupport::Ignored);
    let Some(wanted) = wanted else {
        return response(200, &common, blob.stream(0..size));
    };
    match parse_range(wanted, size).filter(|_| manner == RangeSupport::Honoured) {
        Some(range) => {
            let place = format!("bytes {}-{}/{size}", range.start, range.end - 1);
            let headers = [&common[..], &[("content-range", place.as_str())]].concat();
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
    fn a_range_lies_within_the_blob() {
        assert_eq!(parse_range("bytes=2-", 10), Some(2..10));
        assert_eq!(parse_range("bytes=2-4", 10), Some(2..5));
        assert_eq!(parse_range("bytes=2-99", 10), Some(2..10));
        assert_eq!(parse_range("bytes=10-", 10), None);
        assert_eq!(parse_range("lines=1-2", 10), None);
    }
}
