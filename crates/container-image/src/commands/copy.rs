//! `container-image copy`: plan, then transfer, then one line of outcome.

use std::fs;
use std::process::ExitCode;
use std::sync::Arc;

use image_copy::copy::{self, Destination, Limits, Outcome, Plan, Request, Source};
use image_copy::http;
use image_copy::oci::{Reference, Registry, Tag};
use image_copy::registry::{Client, Options};

use crate::args::{Copy, Verbosity};
use crate::credentials::DockerLogins;
use crate::progress::Bar;
use crate::report::{self, Given, Signal};

/// Copies as `args` say. Failures are told on stderr.
pub(crate) async fn run(args: &Copy, verbosity: Verbosity) -> ExitCode {
    let client = match client(args) {
        Ok(client) => client,
        Err(line) => return report::fail(&line),
    };
    let request = request(args);
    let source = Source::with_mirrors(&client, request.source.repository.clone(), None, &args.mirror);
    let destination = Destination::of_registry(client.repository(request.destination.clone(), None));
    let planned = tokio::select! {
        planned = copy::plan(&request, &source, &destination) => planned,
        signal = interrupted() => return report::interrupted(signal, "nothing was copied"),
    };
    let plan = match planned {
        Ok(plan) => plan,
        Err(failure) => return report::failure(&failure, &given(args), verbosity),
    };
    if args.dry_run {
        return report::tell(&report::plan(&plan), "");
    }
    transfer(args, verbosity, &plan, &source, &destination).await
}

async fn transfer(
    args: &Copy,
    verbosity: Verbosity,
    plan: &Plan,
    source: &Source,
    destination: &Destination,
) -> ExitCode {
    let limits = Limits { deadline: None, concurrent_blobs: args.jobs.into() };
    let bar = Arc::new(Bar::new(plan));
    let shown = async {
        if verbosity == Verbosity::Normal {
            bar.show_when_it_takes_long().await;
        }
        std::future::pending::<()>().await;
    };
    let ended: Result<Result<Outcome, _>, Signal> = tokio::select! {
        ended = copy::transfer(plan, source, destination, &limits, bar.clone()) => Ok(ended),
        signal = interrupted() => Err(signal),
        () = shown => unreachable!("the bar outlasts the copy"),
    };
    bar.clear();
    match ended {
        Ok(Ok(outcome)) => {
            report::warn(&outcome);
            if verbosity == Verbosity::Quiet {
                return ExitCode::SUCCESS;
            }
            report::tell(&report::outcome(&plan.request, &outcome), "; the image was copied")
        }
        Ok(Err(failure)) => report::failure(&failure, &given(args), verbosity),
        Err(signal) => report::interrupted(signal, &report::left_behind(plan, bar.is_past_blobs())),
    }
}

fn given(args: &Copy) -> Given<'_> {
    Given { plain_http: &args.plain_http, authority: args.certificate_authority.is_some() }
}

fn request(args: &Copy) -> Request {
    Request {
        source: args.source.clone(),
        destination: args.to.repository.clone(),
        tag: tag(&args.source, args.to.tag.as_ref()),
        platforms: args.platform.clone(),
        known: Vec::new(),
        include_referrers: args.include_referrers,
    }
}

/// The tag as typed, else the source's; a source with nothing but a digest has none to give.
fn tag(source: &Reference, typed: Option<&Tag>) -> Option<Tag> {
    typed.or(source.tag.as_ref()).cloned()
}

fn client(args: &Copy) -> Result<Client, String> {
    let certificates = match &args.certificate_authority {
        Some(file) => fs::read(file).map_err(|error| {
            format!("--certificate-authority {}: the file cannot be read: {error}.", file.display())
        })?,
        None => Vec::new(),
    };
    let options = Options {
        http: http::Options {
            user_agent: concat!("container-image/", env!("CARGO_PKG_VERSION")).into(),
            certificates,
            ..http::Options::default()
        },
        plain_http: args.plain_http.iter().map(Registry::to_string).collect(),
    };
    let logins = DockerLogins::from_environment();
    Client::new(options, Arc::new(logins)).map_err(|problem| match &args.certificate_authority {
        Some(file) => format!("--certificate-authority {}: {problem}.", file.display()),
        None => format!("{problem}."),
    })
}

/// Ends when the user presses Ctrl-C, or when the system asks the program to end, as CI does. Never,
/// where that cannot be noticed: then the system's own way of ending a program holds.
async fn interrupted() -> Signal {
    let pressed = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = pressed => Signal::Interrupt,
        () = terminated() => Signal::Terminate,
    }
}

#[cfg(unix)]
async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    let received = match signal(SignalKind::terminate()) {
        Ok(mut signals) => signals.recv().await,
        Err(_) => None,
    };
    if received.is_none() {
        std::future::pending::<()>().await;
    }
}

#[cfg(not(unix))]
async fn terminated() {
    std::future::pending::<()>().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &str, typed: Option<&str>, expected: Option<&str>) {
        let typed: Option<Tag> = typed.map(|tag| tag.parse().unwrap());
        let found = tag(&source.parse().unwrap(), typed.as_ref());
        assert_eq!(found.as_ref().map(Tag::as_str), expected);
    }

    #[test]
    fn takes_the_sources_tag_unless_one_is_typed() {
        let digest = format!("@sha256:{}", "a".repeat(64));
        check("python", None, Some("latest"));
        check("python:3.13", None, Some("3.13"));
        check("python:3.13", Some("stable"), Some("stable"));
        check(&format!("python:3.13{digest}"), None, Some("3.13"));
        check(&format!("python{digest}"), None, None);
        check(&format!("python{digest}"), Some("x"), Some("x"));
    }
}
