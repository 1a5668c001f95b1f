//! Errors of requests to a registry.

use std::time::Duration;

use super::error_response::code_and_message;
use super::{CredentialsSent, ErrorResponse, RateLimit};
use crate::http::{self, attempts_suffix};
use crate::oci::{Digest, ManifestError};
use crate::text::SanitizedText;

/// Error of a request to a registry.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// The registry sent an error response.
    #[error(transparent)]
    ErrorResponse(Box<ErrorResponse>),
    /// The authorization has expired. A new one is available.
    #[error(transparent)]
    AuthorizationExpired(Box<ErrorResponse>),
    /// A cloud service in front of the registry returned an error.
    #[error("{service} {}{}", service_result(code, message), attempts_suffix(*attempts, *elapsed))]
    Service {
        /// IAM action of the API call, such as `ecr:BatchGetImage`.
        service: String,
        /// The service's error code, such as `AccessDeniedException`.
        code: SanitizedText,
        /// The service's message.
        message: SanitizedText,
        /// Number of attempts.
        attempts: u32,
        /// Time since the first attempt.
        elapsed: Duration,
    },
    /// The response violates the protocol.
    #[error("the response is invalid: {0}")]
    Protocol(&'static str),
    /// Content does not match its digest.
    #[error("the content does not match its digest (expected {expected}, received {actual})")]
    DigestMismatch {
        /// The requested digest.
        expected: Digest,
        /// The digest of the received content.
        actual: Digest,
    },
    /// Content does not match the size in its descriptor.
    #[error("the content of {digest} does not match its size (expected {expected} bytes, received {actual})")]
    SizeMismatch {
        /// Digest of the content.
        digest: Digest,
        /// Size in the descriptor, in bytes.
        expected: u64,
        /// Number of received bytes, at least.
        actual: u64,
    },
    /// A document is not a manifest that can be copied.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// There was no complete response.
    #[error(transparent)]
    Http(#[from] http::Error),
    /// The credentials are unavailable.
    #[error("{0}")]
    Credentials(SanitizedText),
    /// The copy needs more manifests than the pull limit allows.
    #[error("pulls required: {needed}, one per manifest; {limit}")]
    TooFewPulls {
        /// Number of needed manifests.
        needed: u64,
        /// The last pull limit that the registry stated.
        limit: RateLimit,
    },
}

/// Code of a [`Error::Service`] without a response, because the request could not be created.
pub const NOT_SENT: &str = "NotSent";

fn service_result(code: &str, message: &str) -> String {
    match code {
        NOT_SENT => format!("was not sent: {message}"),
        _ => format!("returned {}", code_and_message(code, message)),
    }
}

impl From<ErrorResponse> for Error {
    fn from(error_response: ErrorResponse) -> Self {
        Self::ErrorResponse(Box::new(error_response))
    }
}

impl Error {
    /// Returns true if repeating the whole operation can succeed: after a network error, if the registry was
    /// busy, or if an upload session was lost.
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

    /// Returns true if a push can succeed although the destination rejected a read: the content is missing,
    /// the method is not supported, or reading is not permitted
    /// (<https://github.com/google/go-containerregistry/pull/1691>). Returns false for a wrong password,
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

    /// Returns true if the registry, or the cloud service in front of it, returned this code.
    #[must_use]
    pub fn has_code(&self, code: &str) -> bool {
        match self {
            Self::ErrorResponse(error_response) | Self::AuthorizationExpired(error_response) => {
                error_response.has_code(code)
            }
            Self::Service { code: returned, .. } => *returned == *code,
            _ => false,
        }
    }

    /// Returns the error with the attempts and the time of the whole operation, if they are larger.
    #[must_use]
    pub(crate) fn with_attempts(mut self, all_attempts: u32, total_time: Duration) -> Self {
        let (attempts, elapsed) = match &mut self {
            Self::ErrorResponse(error_response) | Self::AuthorizationExpired(error_response) => {
                (&mut error_response.attempts, &mut error_response.elapsed)
            }
            Self::Service { attempts, elapsed, .. } => (attempts, elapsed),
            Self::Http(error) => (&mut error.attempts, &mut error.elapsed),
            _ => return self,
        };
        (*attempts, *elapsed) = ((*attempts).max(all_attempts), (*elapsed).max(total_time));
        self
    }
}
