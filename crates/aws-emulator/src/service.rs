//! What stands behind the proxy: services, each for the host names it answers to.

use futures_util::future::BoxFuture;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, StatusCode, Uri};
use serde::Serialize;

use crate::body::{Body, empty, full};
use crate::fault::Effect;
use crate::log::LogHandle;

/// An answer, its body streamed or whole.
pub type Response = http::Response<Body>;

/// A refusal where a result is expected; boxed, because answers are large.
pub(crate) type BoxedResponse = Box<Response>;

/// Something that answers requests for one or more host names.
pub trait Service: Send + Sync + 'static {
    /// Whether it answers for this host: lower case, without port.
    fn serves(&self, host: &str) -> bool;

    /// Whether the host can be reached at all; connections to one that cannot are reset.
    fn reachable(&self, _host: &str) -> bool {
        true
    }

    /// Names what is asked, in the words of the log and of the faults.
    fn operation(&self, host: &str, method: &Method, uri: &Uri, headers: &HeaderMap) -> Operation;

    /// Answers one request.
    fn serve(&self, request: Request) -> BoxFuture<'_, Response>;
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The part of the emulator that answers, such as `upstream`.
    pub service: &'static str,
    /// The operation, such as `manifest.get`.
    pub name: String,
    /// The repository that is named, if one is.
    pub repository: Option<String>,
    /// The IAM action that it spends, if it spends one.
    pub action: Option<String>,
}

impl Operation {
    /// An operation without repository and IAM action.
    pub fn new(service: &'static str, name: impl Into<String>) -> Self {
        Self { service, name: name.into(), repository: None, action: None }
    }
}

/// One request, as a service gets it.
pub struct Request {
    /// The host that is asked: lower case, without port.
    pub host: String,
    /// The method.
    pub method: Method,
    /// Path and query.
    pub uri: Uri,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; bytes are counted in the log, and faults applied, while it is read.
    pub body: Body,
    /// What [`Service::operation`] made of it.
    pub operation: Operation,
    /// The log entry, for a service to add what only it knows.
    pub log_handle: LogHandle,
    /// A fault that only the service itself can act out.
    pub effect: Option<Effect>,
}

impl Request {
    /// The path.
    pub fn path(&self) -> &str {
        self.uri.path()
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The first value of a query parameter, decoded.
    pub fn query(&self, name: &str) -> Option<String> {
        self.queries(name).into_iter().next()
    }

    /// Every value of a query parameter, decoded.
    pub fn queries(&self, name: &str) -> Vec<String> {
        queries(self.uri.query().unwrap_or_default(), name)
    }
}

/// Every value of a parameter in a query or a form, decoded.
pub(crate) fn queries(query: &str, name: &str) -> Vec<String> {
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.filter(|(key, _)| *key == name).map(|(_, value)| decode(value)).collect()
}

/// Undoes percent encoding.
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

/// Asks the proxy to drop the connection instead of answering.
#[derive(Clone, Copy)]
pub(crate) struct HangUp;

/// An answer that is none: the connection is reset.
pub fn reset_connection() -> Response {
    let mut response = http::Response::new(empty());
    response.extensions_mut().insert(HangUp);
    response
}

/// An answer with a status, headers and a body.
///
/// # Panics
///
/// When a header is not one; services write them themselves.
pub fn response(status: u16, headers: &[(&str, &str)], body: Body) -> Response {
    let mut builder =
        http::Response::builder().status(StatusCode::from_u16(status).expect("services use valid statuses"));
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(body).expect("services use valid headers")
}

/// An answer in JSON.
///
/// # Panics
///
/// When the value cannot be written as JSON; services write plain data.
pub fn json_response(status: u16, value: &impl Serialize) -> Response {
    let text = serde_json::to_vec(value).expect("plain data becomes JSON");
    response(status, &[(CONTENT_TYPE.as_str(), "application/json")], full(text))
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn percent_encoding_is_undone() {
        assert_eq!(decode("repository%3Aa%2Fb:pull+x"), "repository:a/b:pull x");
        assert_eq!(decode("100%"), "100%");
    }
}
