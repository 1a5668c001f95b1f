//! Lines for checks that were not possible.

use image_copy::copy::{self, Failure, Operation, Side};
use image_copy::registry::Error;

use crate::args::ConnectionArgs;
use crate::commands::verify::{Check, Note};
use crate::report::hint::{Names, hint, host_name};
use crate::report::{MAX_LINE_CHARS, shortened};

/// Returns all notes. Checks that failed for the same reason share a line.
pub(super) fn lines(notes: &[Note], options: &ConnectionArgs) -> Vec<String> {
    let texts = notes.iter().filter_map(|note| match note {
        Note::Text(text) => Some(text.clone()),
        Note::Unchecked(_) => None,
    });
    texts.chain(unchecked_lines(notes, options, |_| true)).collect()
}

/// Returns the checks for which `wanted` is true.
pub(super) fn unchecked_lines(
    notes: &[Note],
    options: &ConnectionArgs,
    wanted: impl Fn(Check) -> bool,
) -> Vec<String> {
    let mut groups: Vec<(Check, Failure, usize)> = Vec::new();
    for note in notes {
        let Note::Unchecked(unchecked) = note else { continue };
        if !wanted(unchecked.check) {
            continue;
        }
        let failure = failure(&unchecked.subject, unchecked.cause.clone());
        let same = groups
            .iter_mut()
            .find(|(check, first, _)| *check == unchecked.check && is_same_cause(first, &failure));
        match same {
            Some((.., others)) => *others += 1,
            None => groups.push((unchecked.check, failure, 0)),
        }
    }
    groups.iter().map(|(check, failure, others)| unchecked_line(*check, failure, *others, options)).collect()
}

fn failure(subject: &str, cause: Error) -> Failure {
    Failure::Registry {
        side: Side::Source,
        operation: Operation::ReadManifest,
        subject: subject.to_owned(),
        cause,
    }
}

/// Returns true if one message is enough for both: the registry and the class are the same.
fn is_same_cause(one: &Failure, other: &Failure) -> bool {
    host_name(one) == host_name(other) && one.problem() == other.problem() && one.code() == other.code()
}

/// Returns a failed check with its subject, the cause and one thing to change.
fn unchecked_line(check: Check, failure: &Failure, others: usize, options: &ConnectionArgs) -> String {
    let Failure::Registry { subject, cause, .. } = failure else { return failure.summary() };
    let what = match check {
        Check::Images => "images in",
        Check::Blobs => "layers in",
        Check::Lifecycle => "the lifecycle policy of",
        Check::Findings => "scan findings in",
        Check::Source => "the source",
        Check::StateTable => "the recorded copy of",
        Check::Template => "the sources in stack",
    };
    let others = match others {
        0 => String::new(),
        1 => " and 1 other".to_owned(),
        others => format!(" and {others} others"),
    };
    let reason = match cause {
        Error::ErrorResponse(_) | Error::AuthorizationExpired(_) => failure.summary(),
        other => format!("{other}."),
    };
    let ending = format!("{} ({})", note_advice(failure, options), failure.code());
    let room = MAX_LINE_CHARS.saturating_sub(ending.chars().count() + 1);
    format!("{} {ending}", shortened(format!("not checked: {what} {subject}{others}: {reason}"), room))
}

fn note_advice(failure: &Failure, options: &ConnectionArgs) -> String {
    match failure {
        // For example, a preview that does not complete.
        Failure::Registry { cause: Error::Service { .. }, .. }
            if failure.problem() == copy::Problem::Rejected =>
        {
            "Retry later.".into()
        }
        _ => hint(failure, options, Names::of_source("the reference")),
    }
}
