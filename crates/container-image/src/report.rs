//! Prints plans, results and failures.
//!
//! A failure is one line: the engine's summary, a hint about the option to change, and a code that
//! docs/troubleshooting.md explains.

pub(crate) mod aws_failure;
mod customization;
pub(crate) mod deployment;
mod hint;
pub(crate) mod inspect;
mod missing_repository;
mod plan;
pub(crate) mod refresh;
pub(crate) mod sync;
mod table;
mod terminal_line;
pub(crate) mod unresolved;
mod usage;
pub(crate) mod verify;

use std::env;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use image_copy::copy::{Failure, Operation, Outcome, Plan, ReadCounts, Request, Side, TagChange};
use image_copy::registry;
use image_copy::text;

use crate::args::{ConnectionArgs, Verbosity};
use crate::display;
use crate::edit::PatchStyle;

pub(crate) use customization::left_out_note;
pub(crate) use deployment::plan_failure;
pub(crate) use plan::plan;
pub(crate) use usage::{invalid, usage};

use hint::{
    Names, REPLACE_CERTIFICATE, credentials_rejected, credentials_unavailable, hint, host_name,
    is_ca_certificate, login,
};
pub(crate) use terminal_line::for_stderr;

/// Maximum length of a failure line, in characters.
const MAX_LINE_CHARS: usize = 400;

/// Maximum number of a registry's error codes that `--verbose` prints.
const MAX_CODES: usize = 3;

/// Signal that ended the program. The value is the exit code: 128 and the number of the signal.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Signal {
    /// SIGINT, from Ctrl-C.
    Interrupt = 130,
    /// SIGTERM, from the system.
    Terminate = 143,
}

/// Prints a result to stdout and returns the exit code. A failed write is an error, and `state` is added to
/// its text. A closed pipe is not an error.
pub(crate) fn print(text: &str, state: &str) -> ExitCode {
    let mut stdout = io::stdout().lock();
    exit_code_of(writeln!(stdout, "{text}").and_then(|()| stdout.flush()), state)
}

/// Prints bytes to stdout, like [`print()`].
pub(crate) fn print_bytes(bytes: &[u8]) -> ExitCode {
    let mut stdout = io::stdout().lock();
    exit_code_of(stdout.write_all(bytes).and_then(|()| stdout.flush()), "")
}

/// Returns the patch style for stdout (<https://no-color.org>).
pub(crate) fn patch_style() -> PatchStyle {
    let set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
    match io::stdout().is_terminal() {
        false => PatchStyle::Plain,
        true if set("NO_COLOR") || is_dumb => PatchStyle::Escaped,
        true => PatchStyle::Colored,
    }
}

/// Returns true if stderr is a terminal.
pub(crate) fn is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Prints a message to stderr.
fn print_message(message: &str) {
    let _ = writeln!(io::stderr(), "{}", for_stderr(message));
}

/// Prints a note to stderr.
pub(crate) fn note(line: &str) {
    print_message(&format!("note: {line}."));
}

/// Prints a warning to stderr.
pub(crate) fn warning(line: &str) {
    print_message(&format!("warning: {line}."));
}

fn exit_code_of(result: io::Result<()>, state: &str) -> ExitCode {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            fail(&format!("standard output cannot be written: {}{state}.", display::io_error(&error)))
        }
        _ => ExitCode::SUCCESS,
    }
}

/// Prints a warning if referrers could not be copied.
pub(crate) fn warn_about_referrers(outcome: &Outcome) {
    if let Some(line) = referrers_warning(outcome) {
        print_message(&format!("warning: {line}"));
    }
}

/// Prints an error line without credentials in URLs. Returns the exit code of a failure.
pub(crate) fn fail(line: &str) -> ExitCode {
    print_message(&format!("error: {}", text::without_userinfo(line)));
    ExitCode::FAILURE
}

/// Prints a warning about a failure that does not end the command.
pub(crate) fn warn_about_failure(failure: &Failure, options: &ConnectionArgs, source: &str) {
    print_message(&format!("warning: {}", failure_line(failure, options, source)));
}

/// Prints a failure of `copy`.
pub(crate) fn failure(failure: &Failure, options: &ConnectionArgs, verbosity: Verbosity) -> ExitCode {
    failure_of(failure, options, verbosity, "SOURCE")
}

/// Prints a failure. `source` is the argument with the source's name.
pub(crate) fn failure_of(
    failure: &Failure,
    options: &ConnectionArgs,
    verbosity: Verbosity,
    source: &str,
) -> ExitCode {
    failure_at("", failure, options, verbosity, source)
}

/// Prints a failure of an image in a file. `place` is its file and line, with a colon and a space.
pub(crate) fn failure_at(
    place: &str,
    failure: &Failure,
    options: &ConnectionArgs,
    verbosity: Verbosity,
    source: &str,
) -> ExitCode {
    let code = fail(&format!("{place}{}", failure_line(failure, options, source)));
    if verbosity == Verbosity::Verbose {
        for line in details(failure) {
            let _ = writeln!(io::stderr(), "  {line}");
        }
    }
    code
}

/// Prints the state after a signal.
pub(crate) fn interrupted(signal: Signal, state: &str) -> ExitCode {
    let word = match signal {
        Signal::Interrupt => "interrupted",
        Signal::Terminate => "terminated",
    };
    let _ = writeln!(io::stderr(), "{word}: {state}.");
    ExitCode::from(signal as u8)
}

/// Describes the state of the destination after an interrupted transfer.
pub(crate) fn interrupted_state(plan: &Plan, all_blobs_done: bool) -> String {
    let destination = plan.request.destination_name();
    match (&plan.tag, all_blobs_done) {
        (TagChange::Unchanged, _) => format!("the tag {destination} is unchanged"),
        (TagChange::Untagged, _) => {
            format!("{destination} may not contain the image; a repeated copy skips copied blobs")
        }
        // The request may have been sent.
        (TagChange::Moved { .. }, true) => format!("the tag {destination} may have been written"),
        (TagChange::Moved { .. }, false) => {
            format!("the tag {destination} was not written; a repeated copy skips copied blobs")
        }
    }
}

/// Formats the result of a copy as one line.
pub(crate) fn outcome(request: &Request, outcome: &Outcome) -> String {
    let blobs = &outcome.blobs;
    let any_referrer = outcome.referrers.as_ref().is_some_and(|referrers| referrers.copied > 0);
    let referrers = outcome.referrers.as_ref().map(|referrers| format!(", referrers: {referrers}"));
    let tag = match &outcome.tag {
        TagChange::Moved { from: Some(old) } => format!(", tag moved from {}", old.short()),
        TagChange::Unchanged if blobs.copied == 0 && outcome.manifests_written == 0 && !any_referrer => {
            ", nothing to do".to_owned()
        }
        TagChange::Moved { from: None } | TagChange::Unchanged | TagChange::Untagged => String::new(),
    };
    let skipped = match blobs.skipped {
        0 => String::new(),
        1 => ", 1 foreign layer skipped".to_owned(),
        several => format!(", {several} foreign layers skipped"),
    };
    // The images of an unchanged index are not read.
    let counts = match blobs.blobs {
        0 => "unchanged".to_owned(),
        _ => format!(
            "{} copied ({}), {} present{skipped}",
            blob_count(blobs.copied),
            byte_size(blobs.bytes_copied),
            blobs.present
        ),
    };
    format!(
        "{}@{}: {counts}{}{tag}{}, {}",
        request.destination_name(),
        outcome.digest,
        referrers.unwrap_or_default(),
        sources(request, &outcome.read_counts),
        seconds(outcome.elapsed),
    )
}

/// Returns `, read from …` if mirrors were used.
fn sources(request: &Request, counts: &[ReadCounts]) -> String {
    if counts.iter().all(|counts| counts.repository == request.source.repository) {
        return String::new();
    }
    let parts = counts.iter().map(|ReadCounts { repository, manifests, blobs }| {
        let manifests = if *manifests == 1 { "1 manifest".into() } else { format!("{manifests} manifests") };
        format!("{repository} ({manifests}, {})", blob_count(*blobs))
    });
    format!(", read from {}", parts.collect::<Vec<_>>().join(" and "))
}

/// Returns a warning of limited length if referrers could not be copied.
pub(crate) fn referrers_warning(outcome: &Outcome) -> Option<String> {
    let referrers = outcome.referrers.as_ref().filter(|referrers| referrers.is_incomplete())?;
    let reason = referrers.first_reason.as_deref().unwrap_or_default();
    Some(shortened(format!("some referrers were not copied ({referrers}): {reason}"), MAX_LINE_CHARS))
}

/// Returns the failure with a hint and its code, as one line of limited length.
fn failure_line(failure: &Failure, options: &ConnectionArgs, source: &str) -> String {
    let ending = format!("{} ({})", hint(failure, options, Names::of_source(source)), failure.code());
    let room = MAX_LINE_CHARS.saturating_sub(ending.chars().count() + 1);
    format!("{} {ending}", shortened(failure.summary(), room))
}

/// Shortens `summary` to `room` characters. The quote of the registry is cut first, then digests, never the
/// subject.
fn shortened(summary: String, room: usize) -> String {
    let excess = summary.chars().count().saturating_sub(room);
    if excess == 0 {
        return summary;
    }
    let quoted = summary.find('"').zip(summary.rfind('"')).filter(|(open, close)| open < close);
    let cut = match quoted {
        Some((open, close)) => {
            let words = &summary[open + 1..close];
            let keep = words.chars().count().saturating_sub(excess + 1);
            let kept: String = words.chars().take(keep).collect();
            format!("{}\"{kept}…{}", &summary[..open], &summary[close..])
        }
        None => summary,
    };
    if cut.chars().count() <= room { cut } else { with_short_digests(&cut) }
}

/// Returns the text with the first digits of each digest.
pub(crate) fn with_short_digests(text: &str) -> String {
    const SHOWN: usize = 12;
    let mut parts = text.split("sha256:");
    let mut short = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let hex = part.bytes().take_while(u8::is_ascii_hexdigit).count();
        short.push_str("sha256:");
        short.push_str(&part[..hex.min(SHOWN)]);
        short.push_str(&part[hex..]);
    }
    short
}

/// Returns details of the failure, one per line.
fn details(failure: &Failure) -> Vec<String> {
    let Failure::Registry { side, operation, cause, .. } = failure else { return Vec::new() };
    let side = match side {
        Side::Source => "source",
        Side::Destination => "destination",
    };
    let mut lines = vec![format!("step: {} at the {side}", operation_name(*operation))];
    if let registry::Error::ErrorResponse(response) | registry::Error::AuthorizationExpired(response) = cause
    {
        let codes = || response.errors.iter().take(MAX_CODES);
        lines.push(format!("request: {}, status {}", response.request, response.status));
        lines.extend(codes().map(|code| format!("response: {} \"{}\"", code.code, code.message)));
        let details = codes().map(|code| &code.detail).filter(|detail| !detail.is_empty());
        lines.extend(details.map(|detail| format!("detail: {detail}")));
    } else {
        lines.push(format!("cause: {cause}"));
    }
    lines
}

fn operation_name(operation: Operation) -> &'static str {
    match operation {
        Operation::CreateRepository => "creating the repository",
        Operation::SetRepositoryPolicy => "setting a repository policy",
        Operation::ListTags => "listing the tags",
        Operation::ReadSettings => "reading the repository settings",
        Operation::ReadManifest | Operation::ReadChildManifest => "reading a manifest",
        Operation::CheckBlobs => "checking for existing blobs",
        Operation::ReadBlob => "reading a blob",
        Operation::StartUpload => "starting an upload",
        Operation::SendBlob => "sending a blob",
        Operation::WriteManifest => "writing a manifest",
        Operation::WriteTag => "writing the tag",
    }
}

fn blob_count(blobs: u64) -> String {
    if blobs == 1 { "1 blob".into() } else { format!("{blobs} blobs") }
}

#[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
fn byte_size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match UNITS.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{:.1} {name}", bytes as f64 / unit as f64),
        None => format!("{bytes} bytes"),
    }
}

fn image_count(images: usize) -> String {
    if images == 1 { "1 image".into() } else { format!("{images} images") }
}

fn seconds(elapsed: Duration) -> String {
    format!("{:.1} s", elapsed.as_secs_f64())
}

#[cfg(test)]
mod tests;
