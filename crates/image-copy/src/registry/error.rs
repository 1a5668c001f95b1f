//! Why a conversation with a registry failed.

use std::time::Duration;

use super::error_response::words;
use super::{CredentialsSent, ErrorResponse, RateLimit};
use crate::http;
use crate::oci::{Digest, ManifestError};
use crate::text::SanitizedText;

/// Why a conversation with one registry failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// The registry answered with a status that ends the matter.
    #[error(transparent)]
    ErrorResponse(Box<ErrorResponse>),
    /// The authorization ended on the way; there is a new one now.
    #[error(transparent)]
    AuthorizationExpired(Box<ErrorResponse>),
    /// A cloud service in front of the registry answered with an error of its own.
    #[error("{service} returned {}{}", words(code, message), http::attempts_suffix(*attempts, *elapsed))]
    Service {
        /// Name of the call as in a permission, such as `ecr:BatchGetImage`.
        service: String,
        /// The service's error code, such as `AccessDeniedException`.
        code: SanitizedText,
        /// The service's words.
        message: SanitizedText,
        /// How often it was tried.
        attempts: u32,
        /// Time since the first try.
        elapsed: Duration,
    },
    /// The registry broke the protocol.
    #[error("the response is invalid: {0}")]
    Protocol(&'static str),
    /// Content was not what its descriptor says.
    #[error("the content does not match its digest (expected {expected}, received {actual})")]
    DigestMismatch {
        /// The digest asked for.
        expected: Digest,
        /// The digest of what came.
        actual: Digest,
    },
    /// Content was longer or shorter than its descriptor says.
    #[error("the content of {digest} does not match its size (expected {expected} bytes, received {actual})")]
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
    Credentials(SanitizedText),
    /// More manifests are needed than the registry will serve.
    #[error("pulls required: {needed}, one per manifest; {limit}")]
    TooFewPulls {
        /// Manifests needed.
        needed: u64,
        /// What the registry stated last.
        limit: RateLimit,
    },
}

impl From<ErrorResponse> for Error {
    fn from(error_response: ErrorResponse) -> Self {
        Self::ErrorResponse(Box::new(error_response))
    }
}

impl Error {
    /// Whether doing all of it once more may help: the fault lay in the transport, the other side
    /// was busy, or an upload session was lost.
    #[must_use]
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Http(error) => error.is_transient(),
            Self::ErrorResponse(error_response) => error_response.is_transient(),
            Self::AuthorizationExpired(_) | Self::DigestMismatch { .. } => true,
            Self::SizeMismatch { .. }
            | Self::Service { .. }
            | Self::Protocol(_)
            | Self::Manifest(_)
            | Self::Credentials(_)
            | Self::TooFewPulls { .. } => false,
        }
    }

    /// Returns true if a destination refused to show content for a reason that need not apply to a push:
    /// the content is missing, the method is unknown, or reading is not permitted
    /// (<https://github.com/google/go-containerregistry/pull/1691>). A wrong password is no such reason,
    /// because repeating it can lock the account.
    #[must_use]
    pub(super) fn push_can_succeed(&self) -> bool {
        let (Self::ErrorResponse(error_response) | Self::AuthorizationExpired(error_response)) = self else {
            return false;
        };
        match error_response.status {
            401 => error_response.credentials != CredentialsSent::Yes,
            408 | 425 | 429 => false,
            status => (400..500).contains(&status) || status == 501,
        }
    }

    /// Returns true if the host sent nothing for too long.
    #[must_use]
    pub(crate) fn is_silent_host(&self) -> bool {
        matches!(self, Self::Http(error) if error.is_silent_host())
    }

    /// Whether the registry, or the cloud service in front of it, used this code.
    #[must_use]
    pub fn has_code(&self, code: &str) -> bool {
        match self {
            Self::ErrorResponse(error_response) | Self::AuthorizationExpired(error_response) => {
                error_response.has_code(code)
            }
            Self::Service { code: said, .. } => *said == *code,
            _ => false,
        }
    }

    /// The same, after that many attempts at something of which this was the last part.
    #[must_use]
    pub(crate) fn with_attempts(mut self, all: u32, time: Duration) -> Self {
        let (attempts, elapsed) = match &mut self {
            Self::ErrorResponse(error_response) | Self::AuthorizationExpired(error_response) => {
                (&mut error_response.attempts, &mut error_response.elapsed)
            }
            Self::Service { attempts, elapsed, .. } => (attempts, elapsed),
            Self::Http(error) => (&mut error.attempts, &mut error.elapsed),
            _ => return self,
        };
        (*attempts, *elapsed) = ((*attempts).max(all), (*elapsed).max(time));
        self
    }
}
