//! References that could not be resolved.

use std::io::{self, Write as _};

use image_copy::copy::{Failure, Problem};
use image_copy::http::{self, ErrorKind};
use image_copy::registry::Error;

use super::hint::proxy_hint;
use super::{
    MAX_LINE_CHARS, REPLACE_CERTIFICATE, credentials_rejected, credentials_unavailable, details, fail,
    host_name, is_ca_certificate, login, note, shortened,
};
use crate::args::{ConnectionArgs, Verbosity};
use crate::resolve::affects_registry;
use crate::scan::Evidence;

/// A reference that could not be resolved.
pub(crate) struct Unresolved<'a> {
    pub(crate) reference: String,
    pub(crate) evidence: Evidence,
    failure: &'a Failure,
    /// File and line of each image.
    locations: Vec<String>,
}

/// A cause that affects other references too.
#[derive(PartialEq, Eq)]
enum SharedCause<'a> {
    Registry { host: &'a str, problem: Problem },
    Proxy { proxy: &'a str, reason: &'a str },
}

impl<'a> Unresolved<'a> {
    pub(crate) fn new(
        failure: &'a Failure,
        reference: String,
        evidence: Evidence,
        locations: Vec<String>,
    ) -> Self {
        Self { reference, evidence, failure, locations }
    }

    /// Returns true if the text may not be an image. Then this is a note and not a failure.
    pub(crate) fn is_guess(&self) -> bool {
        self.evidence == Evidence::Guess
    }

    /// Returns the failure or the note as one line.
    pub(crate) fn line(&self, options: &ConnectionArgs) -> String {
        match self.is_guess() {
            true => format!("{}.", self.note_with("")),
            false => self.line_with("", options),
        }
    }

    /// Returns the note as one line without a full stop. `others` describes guesses with the same cause.
    fn note_with(&self, others: &str) -> String {
        let start = format!("{}:", location_list(&self.locations));
        let ending = format!("This may not be an image, and is not a failure{others}");
        let room = MAX_LINE_CHARS.saturating_sub(start.chars().count() + ending.chars().count() + 2);
        format!("{start} {} {ending}", shortened(self.failure.summary(), room))
    }

    fn print(&self, others: usize, options: &ConnectionArgs, verbosity: Verbosity) {
        let others = others_text(others);
        match self.is_guess() {
            true if verbosity == Verbosity::Quiet => {}
            true => note(&self.note_with(&others)),
            false => {
                fail(&self.line_with(&others, options));
            }
        }
    }

    /// Returns the failure as one line. `others` describes references with the same cause.
    fn line_with(&self, others: &str, options: &ConnectionArgs) -> String {
        let hint = hint(self.failure, options);
        let locations = location_list(&self.locations);
        let ending = format!("Found in {locations}{others}. {hint} ({})", self.failure.code());
        let room = MAX_LINE_CHARS.saturating_sub(ending.chars().count() + 1);
        format!("{} {ending}", shortened(self.failure.summary(), room))
    }

    /// Returns the cause if it affects other references too.
    fn shared_cause(&self) -> Option<SharedCause<'_>> {
        if let Failure::Registry {
            cause: Error::Http(http::Error { kind: ErrorKind::Proxy { proxy, reason }, .. }),
            ..
        } = self.failure
        {
            return Some(SharedCause::Proxy { proxy, reason });
        }
        let problem = self.failure.problem();
        // Other repositories can accept the credentials, but the hint is the same for all.
        let is_shared = affects_registry(problem) || problem == Problem::CredentialsRejected;
        let host = host_name(self.failure).filter(|_| is_shared)?;
        Some(SharedCause::Registry { host, problem })
    }
}

/// Prints each failure and note, and a shared cause only once. With `--verbose`, it prints all failures with
/// details.
pub(crate) fn print(all: &[Unresolved<'_>], options: &ConnectionArgs, verbosity: Verbosity) {
    for (at, one) in all.iter().enumerate() {
        if verbosity == Verbosity::Verbose {
            one.print(0, options, verbosity);
            for line in details(one.failure) {
                let _ = writeln!(io::stderr(), "  {line}");
            }
            continue;
        }
        let shared_cause = one.shared_cause();
        let is_same_cause = |other: &&Unresolved<'_>| {
            shared_cause.is_some()
                && other.is_guess() == one.is_guess()
                && other.shared_cause() == shared_cause
        };
        if all[..at].iter().find(is_same_cause).is_none() {
            let others = all[at + 1..].iter().filter(is_same_cause).count();
            one.print(others, options, verbosity);
        }
    }
}

fn others_text(others: usize) -> String {
    match others {
        0 => String::new(),
        1 => "; 1 other reference has the same failure (--verbose lists it)".into(),
        others => format!("; {others} other references have the same failure (--verbose lists them)"),
    }
}

fn location_list(locations: &[String]) -> String {
    match locations {
        [] => "no file".into(),
        [only] => only.clone(),
        [first, second] => format!("{first} and {second}"),
        [first, rest @ ..] => format!("{first} and {} other places", rest.len()),
    }
}

/// Returns one thing to change. The match is exhaustive, so that a new problem needs a hint.
fn hint(failure: &Failure, options: &ConnectionArgs) -> String {
    match failure.problem() {
        Problem::Missing => "Check the name and the tag.".into(),
        Problem::CredentialsRequired => format!(
            "Check the name (many registries return this for a missing repository), or {}.",
            login(failure, options)
        ),
        Problem::CredentialsRejected => credentials_rejected(failure, options),
        Problem::AccessDenied => "Use credentials with pull access to the repository.".into(),
        Problem::CredentialsUnavailable => credentials_unavailable(failure, options),
        Problem::PullLimit => {
            format!("Remove --platform, or {}.", login(failure, options))
        },
        Problem::Throttled => "Retry later, or with fewer --jobs.".into(),
        Problem::ProxyUnreachable => {
            "Check the proxy and its connection to the host, or add the host to NO_PROXY.".into()
        }
        Problem::Unreachable => {
            format!("Check the host{}.", proxy_hint(failure))
        }
        Problem::CertificateRejected if is_ca_certificate(failure) => REPLACE_CERTIFICATE.into(),
        Problem::CertificateRejected if options.plain_http.is_empty() => {
            "If the registry has a private CA, pass its certificate in --ca-file; if it has no TLS, add its host to --plain-http.".into()
        }
        Problem::CertificateRejected => "Pass the registry's CA certificate in --ca-file.".into(),
        Problem::Interrupted | Problem::ServerError | Problem::Corrupt => "Retry later.".into(),
        Problem::InvalidResponse | Problem::Rejected | Problem::ForbiddenAddress => {
            "Check that the host is a registry, or exclude the file with --exclude.".into()
        }
        Problem::NoPlatform => "Change --platform, or exclude the file with --exclude.".into(),
        Problem::TagImmutable
        | Problem::NotStorable
        | Problem::ImageLimitExceeded
        | Problem::ForeignLayer
        | Problem::NotCustomizable
        | Problem::Deadline => "Retry.".into(),
    }
}
