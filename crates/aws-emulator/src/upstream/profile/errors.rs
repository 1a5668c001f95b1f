//! How registries refuse: status, code and message of each.

use serde_json::json;

use crate::body::{empty, full};
use crate::service::{Response, answer, json as json_answer};

/// One refusal. In its texts `{repository}` and `{reference}` stand for what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Saying {
    /// HTTP status.
    pub status: u16,
    /// Body.
    pub body: Said,
}

/// The body of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// Code and message in the error document of registries.
    Error(&'static str, &'static str),
    /// JSON of the registry's own.
    Json(&'static str),
    /// Nothing.
    Nothing,
}

impl Saying {
    /// A refusal in the error document of registries.
    pub const fn error(status: u16, code: &'static str, message: &'static str) -> Self {
        Self { status, body: Said::Error(code, message) }
    }

    /// A refusal in JSON of the registry's own.
    pub const fn json(status: u16, text: &'static str) -> Self {
        Self { status, body: Said::Json(text) }
    }

    /// The answer, about a repository and a tag or digest.
    pub(crate) fn answer(&self, repository: &str, reference: &str) -> Response {
        let fill = |text: &str| text.replace("{repository}", repository).replace("{reference}", reference);
        match self.body {
            Said::Error(code, message) => {
                json_answer(self.status, &json!({"errors": [{"code": code, "message": fill(message)}]}))
            }
            Said::Json(text) => {
                answer(self.status, &[("content-type", "application/json")], full(fill(text)))
            }
            Said::Nothing => answer(self.status, &[], empty()),
        }
    }
}

/// All refusals of a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words {
    /// To a wrong login, where one is refused at once.
    pub wrong_login: Saying,
    /// From the token service to a login that gets nothing of what it asks for; none where the
    /// token is given all the same.
    pub nothing_granted: Option<Saying>,
    /// The same to callers without a login.
    pub nothing_granted_to_anonymous: Option<Saying>,
    /// From the registry, with a challenge.
    pub unauthorized: Saying,
    /// From the registry to the token of a login that does not open this; none where it is
    /// `unauthorized`.
    pub denied: Option<Saying>,
    /// The same to callers without a login.
    pub denied_to_anonymous: Option<Saying>,
    /// To a token that has ended or was never given; none where it is `unauthorized`.
    pub stale_token: Option<Saying>,
    /// About a repository that is not there; none where it is treated like a private one.
    pub missing_repository: Option<Saying>,
    /// About a tag or digest that is not there.
    pub missing_manifest: Saying,
}

impl Words {
    /// The words of the Distribution registry, which many others use.
    pub(super) const fn usual() -> Self {
        Self {
            wrong_login: Saying::json(401, r#"{"details":"incorrect username or password"}"#),
            nothing_granted: None,
            nothing_granted_to_anonymous: None,
            unauthorized: Saying::error(401, "UNAUTHORIZED", "authentication required"),
            denied: None,
            denied_to_anonymous: None,
            stale_token: None,
            missing_repository: None,
            missing_manifest: Saying::error(404, "MANIFEST_UNKNOWN", "manifest unknown"),
        }
    }
}
