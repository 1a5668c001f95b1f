//! References that a registry would not resolve: what and why, where they stand, and one thing to
//! change.

use std::io::{self, Write as _};

use image_copy::copy::{Failure, Problem};
use image_copy::http::{self, Kind};
use image_copy::oci::Registry;
use image_copy::registry::Error;

use super::{
    ANOTHER_CERTIFICATE, LINE_CHARACTERS, causes, credentials_unavailable, fail, is_authority, log_in,
    name_of_host, shortened,
};
use crate::args::Verbosity;
use crate::resolve::is_gone;

/// A reference that a registry would not resolve.
pub(crate) struct Unresolved<'a> {
    pub(crate) reference: String,
    failure: &'a Failure,
    /// File and line of each place.
    places: Vec<String>,
}

/// What fails for more than one reference, and in which way.
#[derive(PartialEq, Eq)]
enum Culprit<'a> {
    Registry { host: &'a str, problem: Problem },
    Proxy { proxy: &'a str, reason: &'a str },
}

impl<'a> Unresolved<'a> {
    pub(crate) fn new(failure: &'a Failure, reference: String, places: Vec<String>) -> Self {
        Self { reference, failure, places }
    }

    /// The failure in one line.
    pub(crate) fn line(&self, plain_http: &[Registry]) -> String {
        self.with_others("", plain_http)
    }

    /// The failure in one line that says what else fails alike.
    fn with_others(&self, others: &str, plain_http: &[Registry]) -> String {
        let summary = self.failure.summary();
        // Here is but one side.
        let summary = summary.strip_prefix("source ").unwrap_or(&summary);
        let hint = hint(self.failure, plain_http);
        let ending = format!("It stands in {}{others}. {hint}", listed(&self.places));
        let room = LINE_CHARACTERS.saturating_sub(ending.chars().count() + 1);
        format!("{} {ending}", shortened(summary.to_owned(), room))
    }

    /// What is broken, where that is not the reference alone.
    fn culprit(&self) -> Option<Culprit<'_>> {
        if let Failure::Registry {
            cause: Error::Http(http::Error { kind: Kind::Proxy { proxy, reason }, .. }),
            ..
        } = self.failure
        {
            return Some(Culprit::Proxy { proxy, reason });
        }
        let problem = self.failure.problem();
        // Another repository may take the login, but what to do about it is the same for all.
        let is_of_registry = is_gone(problem) || problem == Problem::CredentialsRejected;
        let host = name_of_host(self.failure).filter(|_| is_of_registry)?;
        Some(Culprit::Registry { host, problem })
    }
}

/// Tells of each failure, of what is broken for many references but once. Those who ask for it are
/// told all that is known of each.
pub(crate) fn tell(all: &[Unresolved<'_>], plain_http: &[Registry], verbosity: Verbosity) {
    for (at, one) in all.iter().enumerate() {
        if verbosity == Verbosity::Verbose {
            fail(&one.line(plain_http));
            for cause in causes(one.failure) {
                let _ = writeln!(io::stderr(), "  {cause}");
            }
            continue;
        }
        let culprit = one.culprit();
        let is_alike = |other: &&Unresolved<'_>| culprit.is_some() && other.culprit() == culprit;
        if all[..at].iter().find(is_alike).is_none() {
            let others = all[at + 1..].iter().filter(is_alike).count();
            fail(&one.with_others(&said_of(others), plain_http));
        }
    }
}

fn said_of(others: usize) -> String {
    match others {
        0 => String::new(),
        1 => "; 1 other reference fails alike (--verbose tells of it)".into(),
        others => format!("; {others} other references fail alike (--verbose tells of each)"),
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
        Problem::CredentialsRequired => format!(
            "Check its spelling (many registries say so of what does not exist), or log in: {}.",
            log_in(failure)
        ),
        Problem::CredentialsRejected => format!("Log in again: {}.", log_in(failure)),
        Problem::AccessDenied => "Use a login that may pull from that repository.".into(),
        Problem::CredentialsUnavailable => credentials_unavailable(failure),
        Problem::PullLimit => format!("Log in with an account ({}), or leave out --platform.", log_in(failure)),
        Problem::Throttled => "Run it again later, or with fewer --jobs.".into(),
        Problem::ProxyUnreachable => {
            "Check the proxy and whether it reaches that host, or name the host in NO_PROXY.".into()
        }
        Problem::Unreachable => {
            "Check its host, and HTTPS_PROXY if that is reached through a proxy.".into()
        }
        Problem::CertificateRejected if is_authority(failure) => ANOTHER_CERTIFICATE.into(),
        Problem::CertificateRejected if plain_http.is_empty() => {
            "If the registry has an authority of its own, name its file in --certificate-authority; if it speaks plain HTTP, name its host in --plain-http.".into()
        }
        Problem::CertificateRejected => "Name the file of the registry's authority in --certificate-authority.".into(),
        Problem::Interrupted | Problem::ServerError | Problem::Corrupt => "Run it again later.".into(),
        Problem::InvalidResponse | Problem::Rejected | Problem::ForbiddenAddress => {
            "Check that its host is a registry, or leave that file out by --exclude.".into()
        }
        Problem::NoPlatform => "Change --platform, or leave that file out by --exclude.".into(),
        Problem::TagImmutable
        | Problem::NotStorable
        | Problem::ImageLimitExceeded
        | Problem::ForeignLayer
        | Problem::Deadline => "Run it again.".into(),
    }
}
