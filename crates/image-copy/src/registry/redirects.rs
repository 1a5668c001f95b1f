//! Reads the targets of redirects and the locations of upload sessions.

use reqwest::header::{HeaderMap, LOCATION};
use reqwest::{Method, Url};

use super::Error;
use crate::http::{self, Response};

/// Maximum length of a `Location` in bytes. Signed URLs have about 3 KiB. All values of the query are removed
/// from messages, which takes time proportional to the square of their number.
const MAX_LOCATION_BYTES: usize = 16 * 1024;

/// Returns the target of a redirect that keeps the method. Other redirects would change the method of a write
/// to GET.
pub(super) fn redirect_target(response: &Response, request: &http::Request) -> Result<Option<Url>, Error> {
    let reads = matches!(request.method, Method::GET | Method::HEAD);
    let keeps_method = matches!(response.status.as_u16(), 307 | 308);
    let is_followed = keeps_method || (reads && matches!(response.status.as_u16(), 301..=303));
    if !is_followed {
        return Ok(None);
    }
    let target = location(&response.headers, &request.url);
    target.map(Some).ok_or(Error::Protocol("the location of the redirect is missing or not a valid URL"))
}

/// Returns the URL in `Location`, which can be relative to `base`.
pub(super) fn location(headers: &HeaderMap, base: &Url) -> Option<Url> {
    let text = headers.get(LOCATION)?.to_str().ok().filter(|text| text.len() <= MAX_LOCATION_BYTES)?;
    base.join(text).ok().map(http::without_credentials)
}
