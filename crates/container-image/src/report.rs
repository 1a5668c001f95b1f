//! What is told on the terminal: a plan, an outcome, a failure. Failures are one line that says what
//! could not be done and which flag to change; the engine writes all but the last.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use image_copy::copy::{Failure, Operation, Outcome, Plan, Problem, Request, Side, TagMove};
use image_copy::oci::Registry;
use image_copy::registry;

use crate::args::Verbosity;
use crate::{credential_helper, credentials};

/// Longest line told of a failure, in characters.
const LINE_CHARACTERS: usize = 400;

/// Who ended the program; as a number what a shell gives such a program, 128 and the signal's.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Signal {
    /// The user, by Ctrl-C.
    Interrupt = 130,
    /// The system, by SIGTERM.
    Terminate = 143,
}

/// What a command line that makes no sense ends with.
const NOT_UNDERSTOOD: u8 = 2;

/// Writes a result to stdout, and gives the exit code: a result that is lost is a failure, and
/// `state` says what holds all the same. Whoever closed the pipe does not want to know.
pub(crate) fn tell(text: &str, state: &str) -> ExitCode {
    let mut stdout = io::stdout().lock();
    written(writeln!(stdout, "{text}").and_then(|()| stdout.flush()), state)
}

/// Tells what the parser of the command line has to say: help, or what it did not understand.
pub(crate) fn usage(said: &clap::Error) -> ExitCode {
    let printed = said.print().and_then(|()| io::stdout().flush());
    if said.use_stderr() {
        return ExitCode::from(u8::try_from(said.exit_code()).unwrap_or(NOT_UNDERSTOOD));
    }
    written(printed, "")
}

fn written(result: io::Result<()>, state: &str) -> ExitCode {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            fail(&format!("standard output cannot be written: {error}{state}."))
        }
        _ => ExitCode::SUCCESS,
    }
}

/// Writes a line to stderr, and gives the exit code.
pub(crate) fn fail(line: &str) -> ExitCode {
    let _ = writeln!(io::stderr(), "error: {line}");
    ExitCode::FAILURE
}

/// What the command line said already, so that no hint asks for it again.
#[derive(Debug, Default)]
pub(crate) struct Given<'a> {
    /// Hosts to speak to without TLS.
    pub(crate) plain_http: &'a [Registry],
    /// Whether authorities to trust were named.
    pub(crate) authority: bool,
}

impl Given<'_> {
    fn is_plain(&self, failure: &Failure) -> bool {
        self.plain_http.iter().any(|registry| Some(registry.as_str()) == name_of_host(failure))
    }
}

/// Tells a failure.
pub(crate) fn failure(failure: &Failure, given: &Given<'_>, verbosity: Verbosity) -> ExitCode {
    let code = fail(&line(failure, given));
    if verbosity == Verbosity::Verbose {
        for cause in causes(failure) {
            let _ = writeln!(io::stderr(), "  {cause}");
        }
    }
    code
}

/// Tells that it was ended from outside, and in what state.
pub(crate) fn interrupted(signal: Signal, state: &str) -> ExitCode {
    let word = match signal {
        Signal::Interrupt => "interrupted",
        Signal::Terminate => "terminated",
    };
    let _ = writeln!(io::stderr(), "{word}: {state}.");
    ExitCode::from(signal as u8)
}

/// What a transfer that was interrupted leaves at the destination.
pub(crate) fn left_behind(plan: &Plan, blobs_are_there: bool) -> String {
    let destination = plan.request.destination_name();
    match (&plan.tag, blobs_are_there) {
        (TagMove::Unchanged, _) => format!("{destination} names what it named before"),
        (TagMove::Untagged, _) => {
            format!("{destination} may lack the image, and what arrived is not copied again")
        }
        // The request may have been on its way.
        (TagMove::Moved { .. }, true) => format!("whether the tag {destination} was written is not known"),
        (TagMove::Moved { .. }, false) => {
            format!("the tag {destination} was not written, and blobs that arrived are not copied again")
        }
    }
}

/// The plan, for whoever asked for a dry run.
pub(crate) fn plan(plan: &Plan) -> String {
    let blobs = &plan.progress;
    let missing = blobs.blobs - blobs.present;
    let manifests = plan.manifests_to_write();
    let tag = match &plan.tag {
        TagMove::Untagged => "none".to_owned(),
        TagMove::Unchanged => "names this image already".to_owned(),
        TagMove::Moved { from: None } => "new".to_owned(),
        TagMove::Moved { from: Some(old) } => format!("moves from {old}"),
    };
    let platforms: Vec<String> = plan.platforms.iter().map(ToString::to_string).collect();
    [
        format!("source       {}", plan.request.source),
        format!("destination  {}", plan.request.destination_name()),
        format!("digest       {}", plan.root.digest),
        format!("platforms    {}", if platforms.is_empty() { "-".into() } else { platforms.join(", ") }),
        format!(
            "blobs        {missing} to copy ({}), {} present",
            size(blobs.bytes - blobs.bytes_present),
            blobs.present
        ),
        format!("manifests    {manifests} to write"),
        format!("tag          {tag}"),
    ]
    .join("\n")
}

/// What was done, in one line.
pub(crate) fn outcome(request: &Request, outcome: &Outcome) -> String {
    let blobs = &outcome.blobs;
    let tag = match &outcome.tag {
        TagMove::Moved { from: Some(old) } => format!(", tag moved from {}", old.short()),
        TagMove::Unchanged if blobs.copied == 0 && outcome.manifests_written == 0 => {
            ", nothing to do".to_owned()
        }
        TagMove::Moved { from: None } | TagMove::Unchanged | TagMove::Untagged => String::new(),
    };
    format!(
        "{}@{}: {} copied ({}), {} present{tag}, {}",
        request.destination_name(),
        outcome.digest,
        counted(blobs.copied),
        size(blobs.bytes_copied),
        blobs.present,
        seconds(outcome.elapsed),
    )
}

/// The failure with one thing to change, in one line of bounded length.
fn line(failure: &Failure, given: &Given<'_>) -> String {
    let hint = hint(failure, given);
    let room = LINE_CHARACTERS.saturating_sub(hint.chars().count() + 1);
    format!("{} {hint}", shortened(failure.summary(), room))
}

/// Fits `summary` into `room` characters: what a registry said is cut first, then digests. The
/// subject stays whole.
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

fn with_short_digests(text: &str) -> String {
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

/// One thing to change. Every kind of problem has its text: a new one does not compile without.
fn hint(failure: &Failure, given: &Given<'_>) -> String {
    let side = failure.side();
    let (argument, host) = (argument(side), host(failure));
    match failure.problem() {
        Problem::Missing | Problem::ServerTrouble if is_foreign(failure) => {
            format!("Check the host in {argument}, and its port.")
        }
        Problem::Missing => missing(side),
        Problem::LoginNeeded => format!(
            "Check the spelling of {argument} (many registries say so of what does not exist), or log in: {}.", log_in(failure)
        ),
        Problem::LoginRefused => format!("Log in again: {}.", log_in(failure)),
        Problem::Denied if is_ecr(failure) => format!(
            "Log in again, as an identity that may use that repository: {}.", log_in(failure)
        ),
        Problem::Denied => match side {
            Side::Source => "Use a login that may pull from that repository.".into(),
            Side::Destination => "Use a login that may push to that repository, or check the spelling of --to.".into(),
        },
        Problem::CredentialsUnavailable => credentials_unavailable(failure),
        Problem::PullLimit => format!("Log in with an account (docker login{host}), or run it again then."),
        Problem::Throttled => "Run it again later, or with fewer --jobs.".into(),
        Problem::Unreachable => {
            format!("Check the host in {argument}, and HTTPS_PROXY if it is reached through a proxy.")
        }
        Problem::CertificateRefused => certificate_refused(failure, given),
        Problem::Refused if given.is_plain(failure) && wants_tls(failure) => {
            format!("Leave out --plain-http{host}: the registry speaks TLS.")
        }
        Problem::Interrupted | Problem::Deadline => {
            "Run it again: blobs that arrived are not copied again.".into()
        }
        Problem::ServerTrouble => "Run it again later; the registry's operator can tell more.".into(),
        Problem::Corrupt => "Run it again; if it stays so, choose another tag: the registry, or a proxy on the way, damages this one.".into(),
        Problem::Unreadable => format!("Check that {argument} names a container image in a registry."),
        Problem::ForbiddenAddress => {
            "The registry's operator has to set the address under which it is reached from outside.".into()
        }
        Problem::Refused => refused(side, failure.operation()),
        Problem::NoPlatform => "Change --platform, or choose a tag built for it.".into(),
        Problem::TagImmutable => "Choose a new tag in --to, or make the repository's tags mutable.".into(),
        Problem::NotStorable => "Choose another tag, or one --platform of it.".into(),
        Problem::TooManyManifests => "Name the digest of one image in SOURCE.".into(),
    }
}

fn missing(side: Side) -> String {
    match side {
        Side::Source => "Check the spelling of SOURCE, its tag and its digest.".into(),
        Side::Destination => "Create the repository first, or check the spelling of --to.".into(),
    }
}

fn refused(side: Side, operation: Option<Operation>) -> String {
    match (side, operation) {
        (Side::Destination, Some(Operation::WriteManifest | Operation::WriteTag)) => {
            "The registry may not take this kind of image: try one --platform, or another tag in --to.".into()
        }
        (Side::Destination, _) => "Check that --to names a repository that can be pushed to.".into(),
        (Side::Source, _) => "Check SOURCE, and whether the registry is meant to be read by clients.".into(),
    }
}

fn argument(side: Side) -> &'static str {
    match side {
        Side::Source => "SOURCE",
        Side::Destination => "--to",
    }
}

fn credentials_unavailable(failure: &Failure) -> String {
    let reason = match failure {
        Failure::Registry { cause: registry::Error::Credentials(reason), .. } => reason.as_str(),
        _ => "",
    };
    if reason.contains(credential_helper::NOT_INSTALLED) {
        "Install that program, or name a file without it in REGISTRY_AUTH_FILE.".into()
    } else if reason.contains(credentials::NO_SUCH_FILE) {
        "Correct the path in REGISTRY_AUTH_FILE.".into()
    } else {
        "Mend that login, or name another file in REGISTRY_AUTH_FILE.".into()
    }
}

fn is_foreign(failure: &Failure) -> bool {
    matches!(failure, Failure::Registry { cause: registry::Error::Refused(refusal), .. } if refusal.is_foreign)
}

/// Whether a server for TLS says that it was spoken to without.
fn wants_tls(failure: &Failure) -> bool {
    let Failure::Registry { cause: registry::Error::Refused(refusal), .. } = failure else { return false };
    refusal.status == 400 && refusal.mentions("https")
}

fn certificate_refused(failure: &Failure, given: &Given<'_>) -> String {
    let host = host(failure);
    let authority = if given.authority {
        "Check that the file in --certificate-authority holds the authority of that host"
    } else if host.is_empty() {
        "If a proxy on the way has an authority of its own, name its file in --certificate-authority"
    } else {
        "If the registry has an authority of its own, name its file in --certificate-authority"
    };
    // Docker Hub does not speak plain HTTP, and who was told to has sent us to another host.
    if host.is_empty() || given.is_plain(failure) {
        format!("{authority}.")
    } else {
        format!("{authority}; if it speaks plain HTTP, add --plain-http{host}.")
    }
}

/// The command that logs in. ECR's passwords are made by AWS
/// (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html>).
fn log_in(failure: &Failure) -> String {
    let host = host(failure);
    if is_ecr(failure) {
        format!("aws ecr get-login-password | docker login -u AWS --password-stdin{host}")
    } else {
        format!("docker login{host}")
    }
}

fn is_ecr(failure: &Failure) -> bool {
    name_of_host(failure).is_some_and(|host| host.contains(".dkr.ecr."))
}

/// The registry's host with a blank before it; nothing for Docker Hub, which needs no name.
fn host(failure: &Failure) -> String {
    match name_of_host(failure) {
        Some("docker.io") | None => String::new(),
        Some(host) => format!(" {host}"),
    }
}

fn name_of_host(failure: &Failure) -> Option<&str> {
    match failure {
        Failure::Registry { subject, .. } => subject.split('/').next(),
        Failure::NoPlatform { .. }
        | Failure::TagImmutable { .. }
        | Failure::NotStorable { .. }
        | Failure::TooManyManifests { .. }
        | Failure::Deadline { .. } => None,
    }
}

/// All that is known of the cause, a line each.
fn causes(failure: &Failure) -> Vec<String> {
    let Failure::Registry { side, operation, cause, .. } = failure else { return Vec::new() };
    let side = match side {
        Side::Source => "source",
        Side::Destination => "destination",
    };
    let mut lines = vec![format!("while {} at the {side}", doing(*operation))];
    if let registry::Error::Refused(refusal) | registry::Error::Expired(refusal) = cause {
        lines.push(format!("request: {}, status {}", refusal.request, refusal.status));
        lines.extend(refusal.codes.iter().map(|code| format!("answer: {} \"{}\"", code.code, code.message)));
        let details = refusal.codes.iter().map(|code| &code.detail).filter(|detail| !detail.is_empty());
        lines.extend(details.map(|detail| format!("detail: {detail}")));
    } else {
        lines.push(format!("cause: {cause}"));
    }
    lines
}

fn doing(operation: Operation) -> &'static str {
    match operation {
        Operation::Inspect => "looking at the repository",
        Operation::ReadManifest => "reading a manifest",
        Operation::CheckBlobs => "asking which blobs are there",
        Operation::ReadBlob => "reading a blob",
        Operation::StartUpload => "starting an upload",
        Operation::SendBlob => "sending a blob",
        Operation::WriteManifest => "writing a manifest",
        Operation::WriteTag => "writing the tag",
    }
}

fn counted(blobs: u64) -> String {
    if blobs == 1 { "1 blob".into() } else { format!("{blobs} blobs") }
}

#[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match UNITS.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{:.1} {name}", bytes as f64 / unit as f64),
        None => format!("{bytes} bytes"),
    }
}

fn seconds(elapsed: Duration) -> String {
    format!("{:.1} s", elapsed.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use image_copy::copy::{Platforms, Progress};
    use image_copy::http;
    use image_copy::oci::Digest;
    use image_copy::registry::{Code, LoginSent, Refusal};

    fn refusal(status: u16, code: &str, message: &str, login: LoginSent) -> registry::Error {
        registry::Error::from(Refusal {
            status,
            codes: vec![Code { code: code.into(), message: message.into(), detail: String::new() }],
            request: "GET /v2/acme/app/manifests/2.1".into(),
            login,
            is_foreign: false,
            rate_limit: None,
            retry_after: None,
            attempts: 1,
            elapsed: Duration::ZERO,
        })
    }

    fn unreached(kind: http::Kind) -> registry::Error {
        let host = "registry.example:443".into();
        registry::Error::Http(http::Error { kind, host, attempts: 5, elapsed: Duration::from_secs(71) })
    }

    fn at(side: Side, operation: Operation, cause: registry::Error) -> Failure {
        Failure::Registry { side, operation, subject: "registry.example/acme/app:2.1".into(), cause }
    }

    fn source(cause: registry::Error) -> Failure {
        at(Side::Source, Operation::ReadManifest, cause)
    }

    /// One failure of every kind, most at the source.
    fn failures() -> Vec<Failure> {
        let subject = || "registry.example/acme/app:2.1".to_owned();
        let digest = |fill: &[u8]| Digest::of(fill);
        let (yes, no) = (LoginSent::Yes, LoginSent::No);
        vec![
            source(refusal(404, "MANIFEST_UNKNOWN", "manifest unknown", no)),
            at(
                Side::Destination,
                Operation::StartUpload,
                refusal(404, "NAME_UNKNOWN", "no such repository", yes),
            ),
            source(refusal(401, "UNAUTHORIZED", "authentication required", no)),
            source(refusal(401, "UNAUTHORIZED", "authentication required", yes)),
            source(refusal(403, "DENIED", "no", yes)),
            at(Side::Destination, Operation::StartUpload, refusal(403, "DENIED", "no", yes)),
            source(registry::Error::Credentials("the logins in /h cannot be read".into())),
            source(refusal(429, "TOOMANYREQUESTS", "You have reached your pull rate limit", no)),
            source(refusal(429, "TOOMANYREQUESTS", "slow down", no)),
            source(unreached(http::Kind::Dns)),
            source(unreached(http::Kind::Tls("unknown issuer".into()))),
            at(Side::Destination, Operation::SendBlob, unreached(http::Kind::Interrupted)),
            source(refusal(502, "", "Bad Gateway", no)),
            source(registry::Error::DigestMismatch { expected: digest(b"a"), actual: digest(b"b") }),
            source(registry::Error::Protocol("there is no Location")),
            source(unreached(http::Kind::Forbidden("link-local"))),
            source(refusal(400, "NAME_INVALID", "invalid name", no)),
            at(Side::Destination, Operation::WriteManifest, refusal(400, "MANIFEST_INVALID", "bad", yes)),
            at(Side::Destination, Operation::SendBlob, refusal(400, "SIZE_INVALID", "bad", yes)),
            Failure::NoPlatform {
                subject: subject(),
                wanted: "linux/arm64".parse().unwrap(),
                available: vec!["linux/amd64".parse().unwrap()],
            },
            Failure::TagImmutable { subject: subject(), existing: digest(b"a"), wanted: digest(b"b") },
            Failure::NotStorable { subject: subject(), objection: "it is too large".into() },
            Failure::TooManyManifests { subject: subject(), limit: 1000 },
            Failure::Deadline { subject: subject(), progress: Progress::default(), elapsed: Duration::ZERO },
        ]
    }

    #[test]
    fn every_failure_is_one_short_line_that_ends_in_advice() {
        let mut seen = std::collections::BTreeSet::new();
        for failure in failures() {
            let text = line(&failure);
            assert!(!text.contains('\n') && text.chars().count() <= LINE_CHARACTERS, "{text}");
            assert!(text.starts_with(&failure.summary()) && text.ends_with('.'), "{text}");
            assert!(text.len() > failure.summary().len() + 20, "{text}");
            seen.insert(failure.problem());
        }
        // `Problem` ends with `Deadline`: as many kinds as there are numbers up to it.
        assert_eq!(seen.len(), Problem::Deadline as usize + 1, "{seen:?}");
    }

    fn line(failure: &Failure) -> String {
        super::line(failure, &Given::default())
    }

    #[test]
    fn asks_for_nothing_that_was_given() {
        let refused = source(unreached(http::Kind::Tls("unknown issuer".into())));
        let plain = ["registry.example".parse().unwrap()];
        let given = Given { plain_http: &plain, authority: true };
        let text = super::line(&refused, &given);
        assert!(
            text.ends_with(
                "Check that the file in --certificate-authority holds the authority of that host."
            ),
            "{text}"
        );
        let text = super::line(&refused, &Given { authority: true, ..Given::default() });
        assert!(text.ends_with("if it speaks plain HTTP, add --plain-http registry.example."), "{text}");
        let text = super::line(
            &source(refusal(400, "", "Client sent an HTTP request to an HTTPS server.", LoginSent::No)),
            &given,
        );
        assert!(
            text.ends_with("Leave out --plain-http registry.example: the registry speaks TLS."),
            "{text}"
        );
    }

    #[test]
    fn tells_a_missing_program_from_a_missing_file() {
        let text = |reason: &str| line(&source(registry::Error::Credentials(reason.into())));
        assert!(
            text(credential_helper::NOT_INSTALLED)
                .ends_with("Install that program, or name a file without it in REGISTRY_AUTH_FILE.")
        );
        assert!(text(credentials::NO_SUCH_FILE).ends_with("Correct the path in REGISTRY_AUTH_FILE."));
        assert!(text("it failed").contains("Mend that login"));
    }

    #[test]
    fn names_the_way_to_log_in_at_ecr() {
        let host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
        for (status, login) in [(401, LoginSent::No), (401, LoginSent::Yes), (403, LoginSent::Yes)] {
            let cause = refusal(status, "DENIED", "no", login);
            let (side, operation) = (Side::Destination, Operation::StartUpload);
            let text = line(&Failure::Registry { side, operation, subject: format!("{host}/app:1"), cause });
            let command =
                format!("aws ecr get-login-password | docker login -u AWS --password-stdin {host}.");
            assert!(text.ends_with(&command), "{text}");
        }
    }

    #[track_caller]
    fn check(failure: &Failure, expected: &str) {
        assert_eq!(line(failure), expected);
    }

    #[test]
    fn names_the_flag_to_change() {
        check(
            &source(refusal(401, "UNAUTHORIZED", "authentication required", LoginSent::No)),
            "source registry.example/acme/app:2.1 cannot be read: registry says 401 UNAUTHORIZED \"authentication required\". Check the spelling of SOURCE (many registries say so of what does not exist), or log in: docker login registry.example.",
        );
        check(
            &at(
                Side::Destination,
                Operation::StartUpload,
                unreached(http::Kind::Tls("unknown issuer".into())),
            ),
            "destination registry.example/acme/app:2.1 cannot be reached: the TLS handshake with registry.example:443 failed (unknown issuer), 5 attempts in 71 s. If the registry has an authority of its own, name its file in --certificate-authority; if it speaks plain HTTP, add --plain-http registry.example.",
        );
        let subject = "docker.io/library/nginx:1.27".into();
        let cause = refusal(429, "TOOMANYREQUESTS", "pull rate limit", LoginSent::No);
        let limited =
            Failure::Registry { side: Side::Source, operation: Operation::ReadManifest, subject, cause };
        check(
            &limited,
            "source docker.io/library/nginx:1.27 cannot be read: registry says 429 TOOMANYREQUESTS \"pull rate limit\". Log in with an account (docker login), or run it again then.",
        );
    }

    #[test]
    fn cuts_the_registrys_words_first_and_never_the_advice() {
        let failure = source(refusal(401, "UNAUTHORIZED", &"word ".repeat(60), LoginSent::Yes));
        let text = line(&failure);
        assert_eq!(text.chars().count(), LINE_CHARACTERS);
        assert!(text.contains("registry.example/acme/app:2.1"), "{text}");
        assert!(text.ends_with("…\". Log in again: docker login registry.example."), "{text}");
        let hex = "0".repeat(64);
        let two = format!("{} sha256:{hex} and sha256:{hex}.", "x".repeat(100));
        assert_eq!(
            shortened(two, 200),
            format!("{} sha256:000000000000 and sha256:000000000000.", "x".repeat(100))
        );
    }

    #[test]
    fn tells_the_outcome_in_one_line() {
        let request = Request {
            source: "python:3.13".parse().unwrap(),
            destination: "localhost:5000/python".parse::<crate::args::Target>().unwrap().repository,
            tag: Some("3.13".parse().unwrap()),
            platforms: Platforms::All,
            known: Vec::new(),
        };
        let blobs =
            Progress { blobs: 5, present: 2, copied: 3, bytes: 9, bytes_present: 1, bytes_copied: 5 << 20 };
        let done = Outcome {
            source_digest: Digest::of(b""),
            digest: Digest::of(b""),
            media_type: String::new(),
            platforms: Vec::new(),
            platforms_offered: None,
            size: 0,
            blobs,
            manifests_written: 2,
            tag: TagMove::Moved { from: None },
            elapsed: Duration::from_millis(1250),
        };
        let name = "localhost:5000/python:3.13@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(outcome(&request, &done), format!("{name}: 3 blobs copied (5.0 MiB), 2 present, 1.2 s"));
        let idle = Outcome {
            blobs: Progress { blobs: 5, present: 5, ..Progress::default() },
            manifests_written: 0,
            tag: TagMove::Unchanged,
            ..done
        };
        assert_eq!(
            outcome(&request, &idle),
            format!("{name}: 0 blobs copied (0 bytes), 5 present, nothing to do, 1.2 s")
        );
    }
}
