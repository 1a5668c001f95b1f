//! The `Reason` of a failure: one line of at most 400 characters that is complete without the log.
//!
//! It contains the failure in the engine's words, one change that names a property, a parameter or an IAM
//! action, the code of the cause, and the request id of the log.

mod advice;
mod code;
mod refresh;
mod shorten;

use image_copy::text::SanitizedText;

use crate::deadline::MoreTime;
use crate::event_state::StateUse;
use crate::failure::{Failure, NotDeleted};
use crate::input::continuation::StopReason;
use crate::input::failed_invocation::{FailureCause, InvocationFailure};
pub(crate) use code::code;
use shorten::shorten;

/// Maximum length of a reason in characters. Events of a stack show as much.
const MAX_CHARS: usize = 400;

/// Maximum length of the first part before it is shortened, in characters.
const MAX_WHAT: usize = 4000;

/// Engine's name of the proxy's environment variable. Users of the function set a parameter instead.
const PROXY_VARIABLE: &str = " (HTTPS_PROXY)";

/// The parts of a reason. In a long one, `what` is shortened, except `subject` within it.
struct ReasonParts {
    what: String,
    subject: String,
    hint: String,
}

/// Writes the reason for `failure`, with the Lambda request id.
pub(crate) fn reason(failure: &Failure, more_time: MoreTime, request_id: &str) -> String {
    let parts = parts(failure, more_time);
    let tail = format!(" ({}, request {request_id})", code(failure));
    let hint = if parts.hint.is_empty() { String::new() } else { format!(" {}", parts.hint) };
    let room = MAX_CHARS.saturating_sub(tail.chars().count() + hint.chars().count());
    let what = SanitizedText::new(&parts.what, MAX_WHAT);
    let what =
        if what.chars().count() > room { shorten(&what, &parts.subject, room) } else { what.to_string() };
    format!("{what}{hint}{tail}")
}

fn parts(failure: &Failure, more_time: MoreTime) -> ReasonParts {
    let with = |what: String, hint: &str| ReasonParts { what, subject: String::new(), hint: hint.into() };
    match failure {
        Failure::Event(error) => {
            with(format!("{error}."), "Use the function only as the ServiceToken of a resource.")
        }
        Failure::Property(error) => with(sentence(error), ""),
        Failure::Setting(text) => with(format!("{text}."), "Correct it in the provider's stack."),
        Failure::Copy(failure) => ReasonParts {
            what: failure.summary().replace(PROXY_VARIABLE, ""),
            subject: failure.subject().to_owned(),
            hint: advice::copy(failure, more_time),
        },
        Failure::SourceNotAllowed(error) => ReasonParts {
            what: format!("{error}."),
            subject: error.source_name.clone(),
            hint: "Check the name in ImageReference, or add the source to AllowedSources.".into(),
        },
        Failure::Secret { failure, problem } => ReasonParts {
            what: failure.summary(),
            subject: failure.subject().to_owned(),
            hint: advice::secret(problem),
        },
        Failure::Stopped { failure, reason } => ReasonParts {
            what: format!("{} {}", failure.summary(), stopped(reason)),
            subject: failure.subject().to_owned(),
            hint: advice::stop(reason, more_time).into(),
        },
        Failure::Invocation(failure) => with(invocation_failure(failure), advice::invocation(&failure.cause)),
        Failure::NotDeleted(failed) => {
            let NotDeleted { image, cause } = failed.as_ref();
            ReasonParts {
                what: format!("Image {image} could not be deleted: {cause}."),
                subject: image.clone(),
                hint: advice::deletion(cause),
            }
        }
        Failure::Refresh(failure) => refresh::parts(failure),
        Failure::Superseded => {
            with("This event changed nothing, because a later event of the resource replaced it.".into(), "")
        }
        Failure::OtherOwner { image, other, digest, owner } => ReasonParts {
            what: format!(
                "Tag {image} belongs to {other} with another image ({}), so {owner} cannot change it.",
                digest.short()
            ),
            subject: image.clone(),
            hint: "Use another tag, or set shared: true in the list, or Shared: true in the direct event."
                .into(),
        },
        Failure::AgeUnknown { state: StateUse::Off } => with(
            "MinAge needs the state table, and the provider's parameter StateTable is none.".into(),
            "Set StateTable to a table, or remove MinAge.",
        ),
        Failure::AgeUnknown { .. } => with(
            "The age of the image is unknown, because the state table could not be used.".into(),
            "Run the operation again. If it fails again, check the table in the provider's parameter StateTable.",
        ),
        Failure::TagBusy { image } => ReasonParts {
            what: format!("Another event was changing {image} until time ran out."),
            subject: image.clone(),
            hint: "Run the operation again.".into(),
        },
        Failure::LeaseEnded { image } => ReasonParts {
            what: format!("ECR did not change {image} within 90 s."),
            subject: image.clone(),
            hint: "Run the operation again.".into(),
        },
        Failure::TimeRanOut { seconds } => {
            with(format!("The operation did not stop after {seconds} s."), advice::REPORT_IF_REPEATED)
        }
        Failure::Panic => {
            with("Internal error in the provider.".into(), "Report it with the log lines of this request.")
        }
    }
}

/// Returns the text with a full stop, unless it ends with a question mark.
fn sentence(text: impl ToString) -> String {
    let text = text.to_string();
    if text.ends_with('?') { text } else { format!("{text}.") }
}

/// Returns the reason why a copy that ran out of time does not continue.
fn stopped(reason: &StopReason) -> String {
    match reason {
        StopReason::BlobTooLarge { digest, size, transferred } => format!(
            "Blob {} of {:.1} MiB does not fit into one invocation, which transferred {:.1} MiB.",
            digest.short(),
            mebibytes(*size),
            mebibytes(*transferred)
        ),
        StopReason::NoProgress => "No blob was completed in this invocation.".into(),
        StopReason::ServiceTimeout { allowed } => {
            format!("The {allowed} s for which CloudFormation waits have ended.")
        }
        StopReason::InvocationLimit(invocations) => {
            format!("This was invocation {invocations}, the last for one event.")
        }
        StopReason::InvokeFailed(cause) => format!("Another invocation could not start: {cause}."),
    }
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn invocation_failure(failure: &InvocationFailure) -> String {
    let attempts = match failure.attempts {
        0 | 1 => String::new(),
        attempts => format!(", {attempts} attempts"),
    };
    let what = match &failure.cause {
        FailureCause::TimedOut(time) => format!("timed out after {time}"),
        FailureCause::Killed => "was killed, probably because it ran out of memory".into(),
        FailureCause::Exited(status) => format!("crashed ({status})"),
        FailureCause::ResponseNotSent(problem) => format!("could not respond: {problem}"),
        FailureCause::EventAgeExceeded => "was not invoked before the event became too old".into(),
        FailureCause::Error(text) => format!("failed: \"{text}\""),
    };
    format!("The provider's function {what}{attempts}.")
}

#[cfg(test)]
mod tests;
