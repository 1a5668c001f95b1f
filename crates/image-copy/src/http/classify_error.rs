//! What the HTTP client's errors mean.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use reqwest::Url;

use super::resolver::ForbiddenName;
use super::{Error, ErrorKind};
use crate::text::SanitizedText;

/// Maximum length of a host name with its port in characters (RFC 1035, section 2.3.4).
const HOST_CHARS: usize = 261;

/// Maximum length of the words of an operating system, a TLS library or a proxy in characters.
const REASON_CHARS: usize = 160;

/// An error for the host of `url`, on the first try.
pub(super) fn new_error(kind: ErrorKind, url: &Url) -> Error {
    Error { kind, host: host_with_port(url), attempts: 1, elapsed: Duration::ZERO }
}

/// The host of `url`, with its port if that is not the usual one.
pub(super) fn host_with_port(url: &Url) -> SanitizedText {
    let host = url.host_str().unwrap_or_default();
    let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    SanitizedText::quotable(&host, HOST_CHARS)
}

/// Returns the error for an address that a registry must not send us to.
pub(super) fn forbidden_address(reason: &'static str, url: &Url) -> Error {
    new_error(ErrorKind::ForbiddenAddress(reason), url)
}

/// An error for a body that ended before its time.
pub(crate) fn interrupted(url: &Url) -> Error {
    new_error(ErrorKind::Interrupted, url)
}

/// Reads what kept a request to `url` from its answer out of the chain of causes. `proxy` is the one
/// that the request went through.
pub(super) fn classify_error(error: &reqwest::Error, url: &Url, proxy: Option<String>) -> Error {
    let mut io_kind = None;
    let mut forbidden = None;
    let mut cause = error.source();
    while let Some(current) = cause {
        // TLS failures are I/O errors within I/O errors, and `source` steps over the inner one.
        let mut io = current.downcast_ref::<io::Error>();
        while let Some(error) = io {
            io_kind = Some(error.kind());
            let name = error.get_ref().and_then(|inner| inner.downcast_ref::<ForbiddenName>());
            forbidden = name.map(|name| name.0).or(forbidden);
            io = error.get_ref().and_then(|inner| inner.downcast_ref());
        }
        forbidden = current.downcast_ref::<ForbiddenName>().map(|name| name.0).or(forbidden);
        cause = current.source();
    }
    let kind = if let Some(reason) = forbidden {
        ErrorKind::ForbiddenAddress(reason)
    } else if error.is_connect()
        && io_kind != Some(io::ErrorKind::InvalidData)
        && let Some(proxy) = proxy
    {
        // The target's name is the proxy's to resolve, and its connection the proxy's to make.
        ErrorKind::Proxy {
            proxy,
            reason: if error.is_timeout() { "timed out".into() } else { root_cause(error) },
        }
    } else if error.is_dns() {
        ErrorKind::Dns
    } else if error.is_connect() && (error.is_timeout() || io_kind == Some(io::ErrorKind::TimedOut)) {
        ErrorKind::ConnectTimeout
    } else if error.is_connect() && io_kind == Some(io::ErrorKind::InvalidData) {
        ErrorKind::Tls(root_cause(error))
    } else if error.is_connect() {
        ErrorKind::Connect(root_cause(error))
    } else {
        ErrorKind::Interrupted
    };
    new_error(kind, url)
}

/// The words of the cause at the end of the chain, which name no URL.
pub(super) fn root_cause(error: &reqwest::Error) -> SanitizedText {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    if std::ptr::eq(cause, error) {
        return "no reason given".into();
    }
    let words = cause.to_string();
    // The number says nothing to whoever reads the words.
    let words = words.split(" (os error").next().unwrap_or_default();
    SanitizedText::new(words, REASON_CHARS)
}
