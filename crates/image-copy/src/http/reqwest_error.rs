//! Converts errors of the HTTP client.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use reqwest::Url;

use super::resolver::ForbiddenName;
use super::{Error, ErrorKind};
use crate::text::SanitizedText;

/// Maximum length of a host name with its port in characters (RFC 1035, section 2.3.4).
const HOST_CHARS: usize = 261;

/// Maximum length of a message of the operating system, the TLS library or a proxy in characters.
const REASON_CHARS: usize = 160;

/// Returns an error for the host of `url`, after one attempt.
pub(super) fn new_error(kind: ErrorKind, url: &Url) -> Error {
    Error { kind, host: host_with_port(url), attempts: 1, elapsed: Duration::ZERO }
}

/// Returns the host of `url`, with its port if that is not the default port.
pub(super) fn host_with_port(url: &Url) -> SanitizedText {
    let host = url.host_str().unwrap_or_default();
    let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    SanitizedText::quotable(&host, HOST_CHARS)
}

/// Returns the error for an address that is not allowed.
pub(super) fn forbidden_address(reason: &'static str, url: &Url) -> Error {
    new_error(ErrorKind::ForbiddenAddress(reason), url)
}

/// Returns the error for a body that ended early.
pub(crate) fn interrupted_error(url: &Url) -> Error {
    new_error(ErrorKind::Interrupted, url)
}

/// Finds the kind of an error in its chain of causes. `proxy` is the proxy of the request to `url`.
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
        // The proxy resolves the name of the target and connects to it.
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

/// Returns the message of the last cause, which contains no URL.
pub(super) fn root_cause(error: &reqwest::Error) -> SanitizedText {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    if std::ptr::eq(cause, error) {
        return "no reason given".into();
    }
    let message = cause.to_string();
    // The number of the error does not help users.
    let message = message.split(" (os error").next().unwrap_or_default();
    SanitizedText::new(message, REASON_CHARS)
}
