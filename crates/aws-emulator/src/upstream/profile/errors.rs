//! How registries refuse: status, code and message of each.

use serde_json::json;

use crate::body::{empty, full};
use crate::service::{Response, json_response, response};

/// One refusal. In its texts `{repository}` and `{reference}` stand for what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorResponse {
    /// HTTP status.
    pub status: u16,
    /// Body.
    pub body: ErrorBody,
}

/// The body of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorBody {
    /// Code and message in the error document of registries.
    Error(&'static str, &'static str),
    /// JSON of the registry's own.
    Json(&'static str),
    /// Nothing.
    Nothing,
}

impl ErrorResponse {
    /// A refusal in the error document of registries.
    pub const fn error(status: u16, code: &'static str, message: &'static str) -> Self {
        Self { status, body: ErrorBody::Error(code, message) }
    }

    /// A refusal in JSON of the registry's own.
    pub const fn json(status: u16, text: &'static str) -> Self {
        Self { status, body: ErrorBody::Json(text) }
    }

    /// The answer, about a repository and a tag or digest.
    pub(crate) fn answer(&self, repository: &str, reference: &str) -> Response {
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

/// All refusals of a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorResponses {
    /// To a wrong login, where one is refused at once.
    pub wrong_login: ErrorResponse,
    /// From the token service to a login that gets nothing of what it asks for; none where the
    /// token is given all the same.
    pub nothing_granted: Option<ErrorResponse>,
    /// The same to callers without a login.
    pub nothing_granted_to_anonymous: Option<ErrorResponse>,
    /// From the registry, with a challenge.
    pub unauthorized: ErrorResponse,
    /// From the registry to the token of a login that does not open this; none where it is
    /// `unauthorized`.
    pub denied: Option<ErrorResponse>,
    /// The same to callers without a login.
    pub denied_to_anonymous: Option<ErrorResponse>,
    /// To a token that has ended or was never given; none where it is `unauthorized`.
    pub stale_token: Option<ErrorResponse>,
    /// About a repository that is not there; none where it is treated like a private one.
    pub missing_repository: Option<ErrorResponse>,
    /// About a tag or digest that is not there.
    pub missing_manifest: ErrorResponse,
}

impl ErrorResponses {
    /// The words of the Distribution registry, which many others use.
    pub(super) const fn distribution() -> Self {
        Self {
            wrong_login: ErrorResponse::json(401, r#"{"details":"incorrect username or password"}"#),
            nothing_granted: None,
            nothing_granted_to_anonymous: None,
            unauthorized: ErrorResponse::error(401, "UNAUTHORIZED", "authentication required"),
            denied: None,
            denied_to_anonymous: None,
            stale_token: None,
            missing_repository: None,
            missing_manifest: ErrorResponse::error(404, "MANIFEST_UNKNOWN", "manifest unknown"),
        }
    }
}
