//! References that a registry would not resolve: what and why, where they stand, and one thing to
//! change.

use std::io::{self, Write as _};

use image_copy::copy::{Failure, Problem};
use image_copy::oci::Registry;

use super::{LINE_CHARACTERS, causes, credentials_unavailable, fail, log_in, shortened};
use crate::args::Verbosity;

/// The failure in one line. `places` are file and line of each reference.
pub(crate) fn line(failure: &Failure, places: &[String], plain_http: &[Registry]) -> String {
    let summary = failure.summary();
    // Here is but one side.
    let summary = summary.strip_prefix("source ").unwrap_or(&summary);
    let ending = format!("It stands in {}. {}", listed(places), hint(failure, plain_http));
    let room = LINE_CHARACTERS.saturating_sub(ending.chars().count() + 1);
    format!("{} {ending}", shortened(summary.to_owned(), room))
}

/// Writes the line, and all that is known for those who ask for it.
pub(crate) fn tell(failure: &Failure, line: &str, verbosity: Verbosity) {
    fail(line);
    if verbosity == Verbosity::Verbose {
        for cause in causes(failure) {
            let _ = writeln!(io::stderr(), "  {cause}");
        }
    }
}

fn listed(places: &[String]) -> String {
    match places {
        [] => "no file".into(),
        [only] => only.clone(),
        [first, second] => format!("{first} and {second}"),
        [first, rest @ ..] => format!("{first} and {} other places", rest.len()),
    }
}

/// One thing to change. Every kind of problem has its text: a new one does not compile without.
fn hint(failure: &Failure, plain_http: &[Registry]) -> String {
    match failure.problem() {
        Problem::Missing => "Check its spelling and its tag.".into(),
        Problem::LoginNeeded => format!(
            "Check its spelling (many registries say so of what does not exist), or log in: {}.",
            log_in(failure)
        ),
        Problem::LoginRefused => format!("Log in again: {}.", log_in(failure)),
        Problem::Denied => "Use a login that may pull from that repository.".into(),
        Problem::CredentialsUnavailable => credentials_unavailable(failure),
        Problem::PullLimit => format!("Log in with an account ({}), or leave out --platform.", log_in(failure)),
        Problem::Throttled => "Run it again later, or with fewer --jobs.".into(),
        Problem::Unreachable | Problem::BehindProxy => {
            "Check its host, and HTTPS_PROXY if that is reached through a proxy.".into()
        }
        Problem::CertificateRefused if plain_http.is_empty() => {
            "If the registry has an authority of its own, name its file in --certificate-authority; if it speaks plain HTTP, name its host in --plain-http.".into()
        }
        Problem::CertificateRefused => "Name the file of the registry's authority in --certificate-authority.".into(),
        Problem::Interrupted | Problem::ServerTrouble | Problem::Corrupt => "Run it again later.".into(),
        Problem::Unreadable | Problem::Refused | Problem::ForbiddenAddress => {
            "Check that its host is a registry, or leave that file out by --exclude.".into()
        }
        Problem::NoPlatform => "Change --platform, or leave that file out by --exclude.".into(),
        Problem::TagImmutable
        | Problem::NotStorable
        | Problem::TooManyManifests
        | Problem::Deadline => "Run it again.".into(),
    }
}
