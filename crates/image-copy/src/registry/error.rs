//! What a registry says when it says no.

use std::time::Duration;

use crate::http;
use crate::oci::{Digest, ManifestError};

/// Why a conversation with one registry failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// The registry answered with a status that ends the matter.
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// A cloud service in front of the registry answered with an error of its own.
    #[error("{service} says {code} \"{message}\"")]
    Service {
        /// Name of the call as in a permission, such as `ecr:BatchGetImage`.
        service: String,
        /// The service's error code, such as `AccessDeniedException`.
        code: String,
        /// The service's words, in one line.
        message: String,
    },
    /// The registry broke the protocol.
    #[error("the registry broke the protocol: {0}")]
    Protocol(&'static str),
    /// Content was not what its descriptor says.
    #[error("the content does not match its digest: {expected} was asked for, {actual} came")]
    DigestMismatch {
        /// The digest asked for.
        expected: Digest,
        /// The digest of what came.
        actual: Digest,
    },
    /// Content was longer or shorter than its descriptor says.
    #[error(
        "the content does not match its size: {expected} bytes were announced for {digest}, {actual} came"
    )]
    SizeMismatch {
        /// The content.
        digest: Digest,
        /// Bytes announced.
        expected: u64,
        /// Bytes that came, at least.
        actual: u64,
    },
    /// A document is not a manifest that can be copied.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// No answer came.
    #[error(transparent)]
    Http(#[from] http::Error),
    /// The login could not be had.
    #[error("{0}")]
    Credentials(String),
}

/// An answer that is a refusal (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes>).
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("registry says {}", self.words())]
pub struct Refusal {
    /// HTTP status code.
    pub status: u16,
    /// Codes and messages, as far as the body held any.
    pub codes: Vec<Code>,
    /// Method and path, for the log.
    pub request: String,
    /// Whether a login was sent along.
    pub login: LoginSent,
    /// The allowance, where the registry states one.
    pub rate_limit: Option<RateLimit>,
    /// How long the registry asks to wait.
    pub retry_after: Option<Duration>,
    /// How often it was tried.
    pub attempts: u32,
    /// Time since the first try.
    pub elapsed: Duration,
}

/// One entry of a registry's error document. The code is open: registries invent their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// Such as `MANIFEST_UNKNOWN`; empty when the body was no error document.
    pub code: String,
    /// The registry's words, in one line.
    pub message: String,
}

/// Whether a request carried a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginSent {
    /// A login was known and used.
    Yes,
    /// The request was anonymous.
    No,
}

/// Pull allowance as Docker Hub states it in its `ratelimit-*` headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimit {
    /// Pulls allowed in a window.
    pub limit: Option<u64>,
    /// Pulls left.
    pub remaining: Option<u64>,
    /// The window.
    pub window: Option<Duration>,
    /// Whom the registry counts: an address or an account.
    pub source: Option<String>,
}

impl Refusal {
    /// Whether the registry used this code.
    #[must_use]
    pub fn has(&self, code: &str) -> bool {
        self.codes.iter().any(|entry| entry.code == code)
    }

    /// Whether one of the messages contains `text`, in any case.
    #[must_use]
    pub fn mentions(&self, text: &str) -> bool {
        self.codes.iter().any(|entry| entry.message.to_ascii_lowercase().contains(text))
    }

    /// Whether this is a pull allowance used up, which no waiting within reach helps.
    #[must_use]
    pub fn is_pull_limit(&self) -> bool {
        let used_up = self.rate_limit.as_ref().is_some_and(|limit| limit.remaining == Some(0));
        self.status == 429
            && (used_up || self.mentions("pull rate limit") || self.mentions("data limit exceeded"))
    }

    /// The status, code and message as one phrase.
    #[must_use]
    pub fn words(&self) -> String {
        match self.codes.first() {
            Some(Code { code, message }) if code.is_empty() => format!("{} \"{message}\"", self.status),
            Some(Code { code, message }) if message.is_empty() => format!("{} {code}", self.status),
            Some(Code { code, message }) => format!("{} {code} \"{message}\"", self.status),
            None => format!("{}", self.status),
        }
    }
}
