//! Services behind the proxy, each for certain host names.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, StatusCode, Uri};
use serde::Serialize;

use crate::body::{Body, empty, full};
use crate::fault::Effect;
use crate::identity::AccessKeys;
use crate::log::LogHandle;

/// A response with a streamed or buffered body.
pub type Response = http::Response<Body>;

/// A response as the error of a `Result`, boxed because it is large.
pub(crate) type BoxedResponse = Box<Response>;

/// A service that handles the requests to one or more host names.
pub trait Service: Send + Sync + 'static {
    /// Returns true if the service handles requests to this host (lower case, without port).
    fn serves(&self, host: &str) -> bool;

    /// Returns true if the host is reachable. Otherwise connections to it are reset.
    fn reachable(&self, _host: &str) -> bool {
        true
    }

    /// Returns the operation of a request for the log and for faults.
    fn operation(&self, host: &str, method: &Method, uri: &Uri, headers: &HeaderMap) -> Operation;

    /// Handles one request.
    fn serve(&self, request: Request) -> BoxFuture<'_, Response>;
}

/// Description of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Part of the emulator that handles the request, such as `upstream`.
    pub service: &'static str,
    /// Name of the operation, such as `manifest.get`.
    pub name: String,
    /// Repository in the request.
    pub repository: Option<String>,
    /// IAM actions that the request needs, separated by spaces.
    pub action: Option<String>,
}

impl Operation {
    /// Creates an operation without repository and IAM action.
    pub fn new(service: &'static str, name: impl Into<String>) -> Self {
        Self { service, name: name.into(), repository: None, action: None }
    }
}

/// A request to a service.
pub struct Request {
    /// Requested host in lower case without port.
    pub host: String,
    /// HTTP method.
    pub method: Method,
    /// Path and query.
    pub uri: Uri,
    /// Headers.
    pub headers: HeaderMap,
    /// Body. While it is read, its bytes are counted in the log and faults take effect.
    pub body: Body,
    /// Result of [`Service::operation`].
    pub operation: Operation,
    /// The log entry, for details that only the service has.
    pub log_handle: LogHandle,
    /// Effect of a fault that the service itself must apply.
    pub effect: Option<Effect>,
    /// Access keys that AWS APIs accept.
    pub(crate) access_keys: Arc<AccessKeys>,
}

impl Request {
    /// Returns the path.
    pub fn path(&self) -> &str {
        self.uri.path()
    }

    /// Returns a header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Returns the first value of a query parameter, decoded.
    pub fn query(&self, name: &str) -> Option<String> {
        self.queries(name).into_iter().next()
    }

    /// Returns all values of a query parameter, decoded.
    pub fn queries(&self, name: &str) -> Vec<String> {
        queries(self.uri.query().unwrap_or_default(), name)
    }
}

/// Returns all values of a parameter in a query or a form, decoded.
pub(crate) fn queries(query: &str, name: &str) -> Vec<String> {
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.filter(|(key, _)| *key == name).map(|(_, value)| decode(value)).collect()
}

/// Decodes percent encoding and plus signs.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = text.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (bytes[at], hex) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
            }
            (b'+', _) => {
                out.push(b' ');
                at += 1;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Marks a response that the proxy replaces by a connection reset.
#[derive(Clone, Copy)]
pub(crate) struct ConnectionReset;

/// Returns a response that the proxy replaces by a connection reset.
pub fn reset_connection() -> Response {
    let mut response = http::Response::new(empty());
    response.extensions_mut().insert(ConnectionReset);
    response
}

/// Returns a response with a status, headers and a body.
///
/// # Panics
///
/// Panics if the status or a header is invalid.
pub fn response(status: u16, headers: &[(&str, &str)], body: Body) -> Response {
    let mut builder =
        http::Response::builder().status(StatusCode::from_u16(status).expect("services use valid statuses"));
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(body).expect("services use valid headers")
}

/// Returns a response with a JSON body.
///
/// # Panics
///
/// Panics if the value cannot be serialized.
pub fn json_response(status: u16, value: &impl Serialize) -> Response {
    let text = serde_json::to_vec(value).expect("the value can be serialized");
    response(status, &[(CONTENT_TYPE.as_str(), "application/json")], full(text))
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn decodes_percent_encoding() {
        assert_eq!(decode("repository%3Aa%2Fb:pull+x"), "repository:a/b:pull x");
        assert_eq!(decode("100%"), "100%");
    }
}
