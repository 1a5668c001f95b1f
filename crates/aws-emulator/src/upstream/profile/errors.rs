//! Error responses of registries.

use serde_json::json;

use crate::body::{empty, full};
use crate::service::{Response, json_response, response};

/// An error response. `{repository}` and `{reference}` in its text are replaced by those of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorResponse {
    /// HTTP status.
    pub status: u16,
    /// Body.
    pub body: ErrorBody,
}

/// Body of an error response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorBody {
    /// Code and message in the error document of the distribution specification.
    Error(&'static str, &'static str),
    /// JSON in the registry's own format.
    Json(&'static str),
    /// No body.
    Nothing,
}

impl ErrorResponse {
    /// Creates an error response in the format of the distribution specification.
    pub const fn error(status: u16, code: &'static str, message: &'static str) -> Self {
        Self { status, body: ErrorBody::Error(code, message) }
    }

    /// Creates an error response in the registry's own JSON format.
    pub const fn json(status: u16, text: &'static str) -> Self {
        Self { status, body: ErrorBody::Json(text) }
    }

    /// Returns the response for a repository and a tag or digest.
    pub(crate) fn response(&self, repository: &str, reference: &str) -> Response {
        let fill = |text: &str| text.replace("{repository}", repository).replace("{reference}", reference);
        match self.body {
            ErrorBody::Error(code, message) => {
                json_response(self.status, &json!({"errors": [{"code": code, "message": fill(message)}]}))
            }
            ErrorBody::Json(text) => {
                response(self.status, &[("content-type", "application/json")], full(fill(text)))
            }
            ErrorBody::Nothing => response(self.status, &[], empty()),
        }
    }
}

/// All error responses of a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorResponses {
    /// For wrong credentials.
    pub wrong_credentials: ErrorResponse,
    /// From the token service to a user without permission for the requested scopes. `None` if it issues a
    /// useless token.
    pub nothing_granted: Option<ErrorResponse>,
    /// The same for anonymous callers.
    pub nothing_granted_to_anonymous: Option<ErrorResponse>,
    /// From the registry, with a challenge.
    pub unauthorized: ErrorResponse,
    /// From the registry to a user without permission. `None` means `unauthorized`.
    pub denied: Option<ErrorResponse>,
    /// The same for anonymous callers.
    pub denied_to_anonymous: Option<ErrorResponse>,
    /// For an expired or unknown token. `None` means `unauthorized`.
    pub invalid_token: Option<ErrorResponse>,
    /// For a missing repository. `None` if the response is the same as for a private one.
    pub missing_repository: Option<ErrorResponse>,
    /// For a missing tag or digest.
    pub missing_manifest: ErrorResponse,
}

impl ErrorResponses {
    /// Error responses of the Distribution registry, which many others share.
    pub(super) const fn distribution() -> Self {
        Self {
            wrong_credentials: ErrorResponse::json(401, r#"{"details":"incorrect username or password"}"#),
            nothing_granted: None,
            nothing_granted_to_anonymous: None,
            unauthorized: ErrorResponse::error(401, "UNAUTHORIZED", "authentication required"),
            denied: None,
            denied_to_anonymous: None,
            invalid_token: None,
            missing_repository: None,
            missing_manifest: ErrorResponse::error(404, "MANIFEST_UNKNOWN", "manifest unknown"),
        }
    }
}
