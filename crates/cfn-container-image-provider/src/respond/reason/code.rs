//! Codes of the provider's own failures, which docs/troubleshooting.md explains.
//!
//! The engine has those of copies, `CI-001` to `CI-099` and `CI-301`, and `image-copy-aws` those of secrets. A
//! code keeps its meaning in later versions.

use image_copy_aws::{InvalidProperty, InvokeError, ObjectErrorKind};

use super::advice::is_denied;
use crate::clients::credentials::SecretProblem;
use crate::failure::{Failure, RefreshFailure};
use crate::input::continuation::StopReason;
use crate::input::failed_invocation::FailureCause;

/// Returns the code of the cause of `failure`.
pub(crate) fn code(failure: &Failure) -> &'static str {
    match failure {
        Failure::Property(InvalidProperty::Missing(_)) => "CI-101",
        Failure::Property(InvalidProperty::Value(_)) => "CI-102",
        Failure::Property(InvalidProperty::Unknown(_)) => "CI-103",
        Failure::Event(_) => "CI-104",
        Failure::Setting(_) => "CI-105",
        Failure::SourceNotAllowed(_) => "CI-106",
        Failure::Copy(failure) => failure.code(),
        Failure::Secret { problem, .. } => secret_code(problem),
        Failure::Stopped { reason, .. } => match reason {
            StopReason::BlobTooLarge { .. } | StopReason::NoProgress => "CI-302",
            StopReason::ServiceTimeout { .. } => "CI-303",
            StopReason::InvocationLimit(_) => "CI-304",
            StopReason::InvokeFailed(InvokeError::AccessDenied { .. }) => "CI-305",
            StopReason::InvokeFailed(InvokeError::Failed(_)) => "CI-306",
        },
        Failure::TimeRanOut { .. } => "CI-307",
        Failure::Superseded => "CI-308",
        Failure::TagBusy { .. } => "CI-309",
        Failure::LeaseEnded { .. } => "CI-310",
        Failure::OtherOwner { .. } => "CI-318",
        Failure::AgeUnknown { .. } => "CI-319",
        Failure::NotDeleted(failed) if is_denied(&failed.cause) => "CI-008",
        Failure::NotDeleted(_) => "CI-311",
        Failure::Invocation(failure) => match failure.cause {
            FailureCause::TimedOut(_) => "CI-312",
            FailureCause::Killed => "CI-313",
            FailureCause::Exited(_) | FailureCause::Error(_) => "CI-314",
            FailureCause::ResponseNotSent(_) => "CI-315",
            FailureCause::EventAgeExceeded => "CI-316",
        },
        Failure::Panic => "CI-317",
        Failure::Refresh(failure) => refresh_code(failure),
    }
}

fn refresh_code(failure: &RefreshFailure) -> &'static str {
    match failure {
        RefreshFailure::InvalidList(_) => "CI-501",
        RefreshFailure::Object { error, .. } => match error.kind {
            ObjectErrorKind::Missing => "CI-502",
            ObjectErrorKind::AccessDenied => "CI-503",
            ObjectErrorKind::TooLarge => "CI-504",
            ObjectErrorKind::Throttled | ObjectErrorKind::Unavailable => "CI-505",
            ObjectErrorKind::Other => "CI-506",
        },
        RefreshFailure::InvalidObject { .. } => "CI-504",
        RefreshFailure::NothingSelected { .. } => "CI-507",
        RefreshFailure::StateUnavailable(_) => "CI-508",
        RefreshFailure::Timeout { .. } => "CI-509",
    }
}

fn secret_code(problem: &SecretProblem) -> &'static str {
    match problem {
        SecretProblem::Unusable { cause, .. } => cause.code(),
        SecretProblem::ReadFailed { cause, .. } => cause.kind.code(),
    }
}
