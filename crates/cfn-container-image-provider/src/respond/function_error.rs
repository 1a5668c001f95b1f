//! The function's error: the result of an invocation that Lambda reports as failed.

use image_copy::copy::Problem;
use image_copy_aws::ObjectErrorKind;
use lambda_runtime::Diagnostic;

use crate::event_state::StateUse;
use crate::failure::{Failure, RefreshFailure};
use crate::input::continuation::StopReason;
use crate::input::failed_invocation::RESPONSE_NOT_SENT;

/// Error of an invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FunctionError {
    /// Class of the failure, for the retry rules of callers.
    pub(crate) error_type: &'static str,
    /// One line.
    pub(crate) message: String,
}

impl FunctionError {
    /// Creates the error of an event of CloudFormation whose response could not be sent.
    pub(crate) fn not_sent(error: impl ToString) -> Self {
        Self { error_type: RESPONSE_NOT_SENT, message: error.to_string() }
    }
}

impl From<FunctionError> for Diagnostic {
    fn from(error: FunctionError) -> Self {
        Self { error_type: error.error_type.into(), error_message: error.message }
    }
}

/// Returns the class of a failure. Callers can repeat events with `Throttled`, `RateLimited`, `Unavailable`,
/// `Timeout` and `Conflict`. Other failures need a change.
pub(crate) fn error_type(failure: &Failure) -> &'static str {
    match failure {
        Failure::Event(_) | Failure::Property(_) | Failure::Setting(_) | Failure::SourceNotAllowed(_) => {
            "Invalid"
        }
        Failure::Copy(failure) => problem_type(failure.problem()),
        Failure::OtherOwner { .. } => "Rejected",
        Failure::AgeUnknown { state: StateUse::Off } => "Invalid",
        Failure::AgeUnknown { .. } => "Unavailable",
        Failure::Secret { .. } => "AccessDenied",
        Failure::Stopped { reason: StopReason::BlobTooLarge { .. }, .. } => "Rejected",
        Failure::Stopped { .. } | Failure::TimeRanOut { .. } => "Timeout",
        Failure::Superseded | Failure::TagBusy { .. } | Failure::LeaseEnded { .. } => "Conflict",
        Failure::NotDeleted(_) => "NotDeleted",
        Failure::Refresh(failure) => refresh_type(failure),
        Failure::Invocation(_) | Failure::Panic => "Internal",
    }
}

fn refresh_type(failure: &RefreshFailure) -> &'static str {
    match failure {
        RefreshFailure::InvalidList(_) | RefreshFailure::InvalidObject { .. } => "Invalid",
        RefreshFailure::NothingSelected { .. } => "NotFound",
        RefreshFailure::StateUnavailable(_) => "Unavailable",
        RefreshFailure::Timeout { .. } => "Timeout",
        RefreshFailure::Object { error, .. } => match error.kind {
            ObjectErrorKind::Missing => "NotFound",
            ObjectErrorKind::AccessDenied => "AccessDenied",
            ObjectErrorKind::TooLarge => "Invalid",
            ObjectErrorKind::Throttled => "Throttled",
            ObjectErrorKind::Unavailable => "Unavailable",
            ObjectErrorKind::Other => "Rejected",
        },
    }
}

fn problem_type(problem: Problem) -> &'static str {
    match problem {
        Problem::Missing | Problem::NoPlatform => "NotFound",
        Problem::CredentialsRequired
        | Problem::CredentialsRejected
        | Problem::AccessDenied
        | Problem::CredentialsUnavailable => "AccessDenied",
        Problem::PullLimit => "RateLimited",
        Problem::Throttled => "Throttled",
        Problem::Unreachable
        | Problem::ProxyUnreachable
        | Problem::Interrupted
        | Problem::ServerError
        | Problem::InvalidResponse
        | Problem::Corrupt => "Unavailable",
        Problem::CertificateRejected
        | Problem::ForbiddenAddress
        | Problem::Rejected
        | Problem::TagImmutable
        | Problem::NotStorable
        | Problem::ImageLimitExceeded
        | Problem::ForeignLayer => "Rejected",
        Problem::NotCustomizable => "Invalid",
        Problem::Deadline => "Timeout",
    }
}
