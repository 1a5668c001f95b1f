//! The `Reason` of a failure: one line of at most 400 characters that is complete without the log.
//!
//! It says what could not be done and why, in the engine's words, then one thing to change, naming
//! a property of the template or an IAM action, then the request id under which the log has more.

mod advice;
mod shorten;

use image_copy::copy;
use image_copy::text::SanitizedText;
use image_copy_aws::{InvokeError, SecretReadErrorKind};

use crate::clients::credentials::{SecretProblem, SecretSetting};
use crate::failure::{Failure, NotDeleted};
use crate::input::continuation::StopReason;
use crate::input::failed_invocation::{FailureCause, InvocationFailure};
use advice::{advice, deletion_advice};
use shorten::shorten;

/// What a stack's events show without being cut.
const MAX_CHARS: usize = 400;

/// Maximum length of the first part before it is shortened, in characters.
const MAX_WHAT: usize = 4000;

/// The parts of a reason. When it gets too long, `what` is shortened, but for `subject` within it.
struct ReasonParts {
    what: String,
    subject: String,
    hint: String,
}

/// Writes the reason for `failure`, with the Lambda request id.
pub(crate) fn reason(failure: &Failure, request_id: &str) -> String {
    let parts = parts(failure);
    let tail = format!(" ({request_id})");
    let hint = if parts.hint.is_empty() { String::new() } else { format!(" {}", parts.hint) };
    let room = MAX_CHARS.saturating_sub(tail.chars().count() + hint.chars().count());
    let what = SanitizedText::new(&parts.what, MAX_WHAT);
    let what =
        if what.chars().count() > room { shorten(&what, &parts.subject, room) } else { what.to_string() };
    format!("{what}{hint}{tail}")
}

fn parts(failure: &Failure) -> ReasonParts {
    let plain = |what: String| ReasonParts { what, subject: String::new(), hint: String::new() };
    match failure {
        Failure::Event(error) => plain(format!("{error}.")),
        Failure::Property(error) => plain(format!("{error}.")),
        Failure::Setting(text) => plain(format!("{text}.")),
        Failure::Copy(failure) => {
            ReasonParts { what: failure.summary(), subject: subject(failure).to_owned(), hint: advice(failure) }
        }
        Failure::SourceNotAllowed(error) => ReasonParts {
            what: format!("{error}."),
            subject: error.source_name.clone(),
            hint: "Check the spelling of ImageReference, or have whoever installed the provider allow it."
                .into(),
        },
        Failure::Secret { failure, problem } => ReasonParts {
            what: failure.summary(),
            subject: subject(failure).to_owned(),
            hint: secret_advice(problem),
        },
        Failure::Stopped { failure, reason } => ReasonParts {
            what: format!("{} {}", failure.summary(), stopped(reason)),
            subject: subject(failure).to_owned(),
            hint: stop_advice(reason).into(),
        },
        Failure::Invocation(failure) => {
            ReasonParts { hint: invocation_advice(&failure.cause).into(), ..plain(format!("{}.", invocation_failure(failure))) }
        }
        Failure::NotDeleted(failed) => {
            let NotDeleted { image, cause } = failed.as_ref();
            ReasonParts {
                what: format!("image {image} cannot be deleted: {cause}."),
                subject: image.clone(),
                hint: deletion_advice(cause),
            }
        }
        Failure::Superseded => plain(
            "a Delete or a later event of this resource was carried out meanwhile, so this event changed nothing."
                .into(),
        ),
        Failure::TagBusy { image } => ReasonParts {
            what: format!("another event was changing {image} until time ran out."),
            subject: image.clone(),
            hint: "Run the operation again.".into(),
        },
        Failure::LeaseEnded => ReasonParts {
            hint: "Run the operation again.".into(),
            ..plain("ECR did not complete the change of the tag within 90 s.".into())
        },
        Failure::TimeRanOut { seconds } => ReasonParts {
            hint: "Run the operation again, or give the function a longer Timeout.".into(),
            ..plain(format!("time ran out after {seconds} s, and the work did not stop by itself."))
        },
        Failure::Panic => ReasonParts {
            hint: "Please report it with the lines of this request in the function's log.".into(),
            ..plain("the provider failed by a defect of its own.".into())
        },
    }
}

/// What to change about a secret, or about what names it.
fn secret_advice(problem: &SecretProblem) -> String {
    let (setting, cause) = match problem {
        SecretProblem::Unusable { cause, .. } => return cause.remedy(),
        SecretProblem::ReadFailed { setting, cause } => (setting, cause),
    };
    let place = match setting {
        SecretSetting::CredentialArn => "CredentialArn",
        SecretSetting::RegistryCredentials => "the provider's setting REGISTRY_CREDENTIALS",
    };
    match &cause.kind {
        SecretReadErrorKind::NotFound => format!("Check the ARN in {place}."),
        SecretReadErrorKind::VersionNotFound => format!("Check the version at the end of the ARN in {place}."),
        SecretReadErrorKind::PendingDeletion => format!("Restore it, or name another in {place}."),
        SecretReadErrorKind::AccessDenied { action, is_other_account: false } => {
            let parameter = if action.starts_with("ssm:") { "ParameterArns" } else { "SecretArns" };
            format!(
                "Allow it in the function's role: add the ARN to the installer's parameter {parameter}, and its key, for kms:Decrypt, to KmsKeyArns."
            )
        }
        SecretReadErrorKind::AccessDenied { action, is_other_account: true } => format!(
            "It is another account's: allow {action} in its resource policy, kms:Decrypt in its key policy, and both in the function's role."
        ),
        SecretReadErrorKind::KmsKey { is_other_account: false } => {
            "Allow kms:Decrypt on its key in the function's role (installer's parameter KmsKeyArns), and check that the key is enabled.".into()
        }
        SecretReadErrorKind::KmsKey { is_other_account: true } => {
            "It is another account's: it needs a customer managed key, whose key policy and the function's role allow kms:Decrypt.".into()
        }
        SecretReadErrorKind::UnsupportedType => format!("Name another in {place}, or store it anew."),
        SecretReadErrorKind::Unreachable { service } => format!(
            "If the function runs in a VPC, its subnets need an endpoint for {service}, or a NAT gateway; else check the Region in the ARN."
        ),
        SecretReadErrorKind::Other => format!("Run the operation again; if it stays so, check {place}."),
    }
}

/// Why a copy that ran out of time does not go on.
fn stopped(reason: &StopReason) -> String {
    match reason {
        StopReason::BlobTooLarge { digest, size, transferred } => format!(
            "Blob {} of {:.1} MiB does not fit into one invocation, which moved {:.1} MiB.",
            digest.short(),
            mebibytes(*size),
            mebibytes(*transferred)
        ),
        StopReason::NoProgress => "No blob was finished in this invocation.".into(),
        StopReason::ServiceTimeout { allowed } => {
            format!("The {allowed} s for which CloudFormation waits are over.")
        }
        StopReason::InvocationLimit(rounds) => format!("This was invocation {rounds} of it, and the last."),
        StopReason::InvokeFailed(cause) => format!("It could not go on in another invocation: {cause}."),
    }
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn stop_advice(reason: &StopReason) -> &'static str {
    match reason {
        StopReason::BlobTooLarge { .. } | StopReason::NoProgress => {
            "Give the function a longer Timeout (up to 900 s) or more memory, which brings a faster network."
        }
        StopReason::ServiceTimeout { .. } => {
            "Run the operation again, which skips blobs already present, or set a longer ServiceTimeout (up to 3600)."
        }
        StopReason::InvocationLimit(_) => {
            "Run the operation again, which skips blobs already present, or give the function a longer Timeout."
        }
        StopReason::InvokeFailed(InvokeError::AccessDenied { .. }) => {
            "Allow lambda:InvokeFunction on the function itself in its role."
        }
        StopReason::InvokeFailed(InvokeError::Failed(_)) => {
            "Run the operation again, which skips blobs already present. If the function runs in a VPC, its subnets need a route to Lambda."
        }
    }
}

/// What became of an event that was lost.
fn invocation_failure(failure: &InvocationFailure) -> String {
    let attempts = match failure.attempts {
        0 | 1 => String::new(),
        attempts => format!(", {attempts} attempts"),
    };
    let what = match &failure.cause {
        FailureCause::TimedOut(time) => format!("was stopped by Lambda when it timed out after {time}"),
        FailureCause::Killed => "was killed, most likely for want of memory".into(),
        FailureCause::Exited(status) => format!("crashed ({status})"),
        FailureCause::ResponseNotSent(problem) => format!("could not tell how it went: {problem}"),
        FailureCause::EventAgeExceeded => "could not run in time: Lambda gave the event up".into(),
        FailureCause::Error(text) => format!("failed: \"{text}\""),
    };
    format!("the provider's function {what}{attempts}")
}

fn invocation_advice(cause: &FailureCause) -> &'static str {
    match cause {
        FailureCause::TimedOut(_) => {
            "Run the operation again; if it stays so, report it with the lines of this request in the function's log."
        }
        FailureCause::Killed => "Give the function more memory.",
        FailureCause::Exited(_) | FailureCause::Error(_) => {
            "See the lines of this request in the function's log."
        }
        FailureCause::ResponseNotSent(_) => {
            "If the function runs in a VPC, its subnets need a route to S3 (a gateway endpoint, or a NAT gateway)."
        }
        FailureCause::EventAgeExceeded => {
            "Check whether the function is throttled, and its reserved concurrency."
        }
    }
}

fn subject(failure: &copy::Failure) -> &str {
    use copy::Failure;
    match failure {
        Failure::Registry { subject, .. }
        | Failure::NoPlatform { subject, .. }
        | Failure::TagImmutable { subject, .. }
        | Failure::NotStorable { subject, .. }
        | Failure::ImageLimitExceeded { subject, .. }
        | Failure::ForeignLayer { subject, .. }
        | Failure::Deadline { subject, .. } => subject,
    }
}

#[cfg(test)]
mod tests;
