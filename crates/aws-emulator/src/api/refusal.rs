//! Refusals of the APIs.

use serde_json::json;

use crate::body::full;
use crate::service::{Response, answer};

/// A refusal by the name that the API gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) name: &'static str,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(name: &'static str, message: impl Into<String>) -> Self {
        Self { name, message: message.into() }
    }

    /// The refusal as an API sends it: HTTP 400 whatever it is.
    pub(crate) fn api(&self) -> Response {
        // Some, such as SSM's ParameterNotFound, come without any message.
        let body = match self.message.as_str() {
            "" => json!({"__type": self.name}),
            message => json!({"__type": self.name, "message": message}),
        };
        answer(400, &[("content-type", "application/x-amz-json-1.1")], full(body.to_string()))
    }
}
