//! Blobs: redirected to a second host, which wants a signature and no login.

use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

use http::Method;

use crate::blob::{Blob, digest};
use crate::body::{empty, full};
use crate::distribution::refusal;
use crate::fault::Effect;
use crate::service::{Request, Response, answer};

use super::RangeManner;
use super::profile::Profile;
use super::store::State;

/// Seconds that a signed URL is good for.
const SIGNED_SECONDS: u64 = 300;

/// Answers HEAD and GET of a blob at the registry itself.
pub(super) fn read(
    state: &State,
    profile: &Profile,
    request: &Request,
    (repository, wanted): (&str, &str),
) -> Response {
    let held = state.repositories.get(repository);
    let Some(blob) = held.and_then(|held| held.blobs.get(wanted)) else {
        return refusal(404, "BLOB_UNKNOWN", "blob unknown to registry");
    };
    if request.method == Method::HEAD {
        return send(blob, request, state.ranges);
    }
    let Some(host) = &profile.blob_host else {
        return send(blob, request, state.ranges);
    };
    let path = format!("/registry-v2/{repository}/blobs/{wanted}/data");
    let location = format!("https://{host}{}", sign(&path, state.signature));
    answer(307, &[("location", &location)], empty())
}

/// Answers at the second host.
pub(super) fn content(state: &State, request: &Request) -> Response {
    if let Some(refused) = refuse_login(request) {
        return refused;
    }
    if !is_signed(request, state.signature) {
        return answer(403, &[("content-type", "text/plain")], full("URL signature expired\n"));
    }
    let named = request.path().strip_prefix("/registry-v2/");
    let named = named.and_then(|rest| rest.strip_suffix("/data")?.rsplit_once("/blobs/"));
    let held = named.and_then(|(repository, _)| state.repositories.get(repository));
    let blob = named.and_then(|(_, digest)| held?.blobs.get(digest));
    match blob {
        Some(blob) => send(blob, request, state.ranges),
        None => answer(404, &[("content-type", "text/plain")], full("not found\n")),
    }
}

/// Refuses a request that carries a login beside the signature, as S3 words it.
pub(crate) fn refuse_login(request: &Request) -> Option<Response> {
    request.header("authorization")?;
    let text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>InvalidArgument</Code>\
                <Message>Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, \
                Signature query string parameter or the Authorization header should be specified\
                </Message></Error>";
    Some(answer(400, &[("content-type", "application/xml")], full(text)))
}

/// Adds an end and a signature to a path.
pub(crate) fn sign(path: &str, secret: u64) -> String {
    let ends = now() + SIGNED_SECONDS;
    format!("{path}?expires={ends}&verify={}", signature(path, ends, secret))
}

/// Whether path and query are what [`sign`] made, and not too old.
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

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A blob as an answer to HEAD or GET, in part when the caller asks for a part.
pub(crate) fn send(blob: &Blob, request: &Request, manner: RangeManner) -> Response {
    let size = blob.size();
    let length = size.to_string();
    let common = [
        ("content-type", "application/octet-stream"),
        ("docker-content-digest", blob.digest()),
        ("accept-ranges", "bytes"),
    ];
    if request.method == Method::HEAD {
        return answer(200, &[&common[..], &[("content-length", &length)]].concat(), empty());
    }
    let wanted = request.header("range").filter(|_| manner != RangeManner::Ignored);
    let Some(wanted) = wanted else {
        return answer(200, &common, blob.stream(0..size));
    };
    match parse_range(wanted, size).filter(|_| manner == RangeManner::Honoured) {
        Some(range) => {
            let place = format!("bytes {}-{}/{size}", range.start, range.end - 1);
            let headers = [&common[..], &[("content-range", place.as_str())]].concat();
            answer(206, &headers, blob.stream(range))
        }
        None => answer(416, &[("content-range", &format!("bytes */{size}"))], empty()),
    }
}

/// Reads `bytes=first-[last]`.
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
