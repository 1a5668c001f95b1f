//! `container-image copy`: plans, transfers and prints the result.

use std::process::ExitCode;
use std::sync::Arc;

use image_copy::copy::{self, ConcurrentBlobs, Destination, Outcome, Plan, Request, Source, TransferLimits};
use image_copy::customize::Customization;
use image_copy::oci::{Reference, Tag};

use crate::args::{CopyArgs, Verbosity};
use crate::connection::Connection;
use crate::creation;
use crate::customization;
use crate::planning::{Prepared, Writes};
use crate::progress::CopyProgress;
use crate::report::{self, Signal};
use crate::signals::wait_for_signal;

/// Copies an image and prints the result.
pub(crate) async fn run(args: &CopyArgs, verbosity: Verbosity) -> ExitCode {
    let customization = match customization::read(&args.customize) {
        Ok(customization) => customization,
        Err(line) => return report::fail(&line),
    };
    let request = request(args, customization);
    let spec = match creation::settings(&args.creation, [&request.destination]) {
        Ok(spec) => spec,
        Err(line) => return report::fail(&line),
    };
    let repositories = [&request.destination, &request.source.repository];
    let connection = match Connection::open(&args.connection, repositories) {
        Ok(connection) => connection,
        Err(line) => return report::fail(&line),
    };
    let source = Source::with_mirrors(
        &connection.client,
        request.source.repository.clone(),
        None,
        &args.reading.mirror,
    );
    let writes = if args.dry_run { Writes::Forbidden } else { Writes::Allowed };
    let planning = async {
        let prepared = Prepared::read(&connection, &request, &source, spec.as_ref()).await?;
        let plan = prepared.plan().await?;
        let note = prepared.create_repository(&plan, writes).await?;
        Ok::<_, copy::Error>((plan, prepared.destination, note))
    };
    let result = tokio::select! {
        result = planning => result,
        signal = wait_for_signal() => return report::interrupted(signal, "nothing was copied"),
    };
    let (plan, destination, note) = match result {
        Ok(planned) => planned,
        Err(failure) => return report::failure(&failure, &args.connection, verbosity),
    };
    if let Some(note) = note.filter(|_| verbosity != Verbosity::Quiet) {
        report::note(&note.to_string());
    }
    if args.dry_run {
        return report::print(&report::plan(&plan), "");
    }
    transfer(args, verbosity, &plan, &source, &destination).await
}

async fn transfer(
    args: &CopyArgs,
    verbosity: Verbosity,
    plan: &Plan,
    source: &Source,
    destination: &Destination,
) -> ExitCode {
    let limits = TransferLimits { deadline: None, concurrent_blobs: ConcurrentBlobs::new(args.jobs.into()) };
    let bar = Arc::new(CopyProgress::new(plan));
    let show = async {
        if verbosity == Verbosity::Normal {
            bar.show_after_delay().await;
        }
        std::future::pending::<()>().await;
    };
    let result: Result<Result<Outcome, _>, Signal> = tokio::select! {
        result = copy::transfer(plan, source, destination, &limits, bar.clone()) => Ok(result),
        signal = wait_for_signal() => Err(signal),
        () = show => unreachable!("the bar never completes"),
    };
    bar.clear();
    match result {
        Ok(Ok(outcome)) => {
            report::warn_about_referrers(&outcome);
            let left_out = plan.customized.as_ref().map_or(0, |content| content.attestations_left_out);
            if let Some(note) = report::left_out_note(left_out).filter(|_| verbosity != Verbosity::Quiet) {
                report::note(&note);
            }
            if verbosity == Verbosity::Quiet {
                return ExitCode::SUCCESS;
            }
            report::print(&report::outcome(&plan.request, &outcome), "; the image was copied")
        }
        Ok(Err(failure)) => report::failure(&failure, &args.connection, verbosity),
        Err(signal) => {
            report::interrupted(signal, &report::interrupted_state(plan, bar.are_all_blobs_done()))
        }
    }
}

fn request(args: &CopyArgs, customization: Option<Customization>) -> Request {
    Request {
        source: args.source.clone(),
        destination: args.destination().repository.clone(),
        tag: tag(&args.source, args.destination().tag.as_ref()),
        platforms: args.platform.clone(),
        earlier_copies: Vec::new(),
        include_referrers: args.reading.include_referrers,
        customization,
    }
}

/// Returns the tag argument, otherwise the tag of the source. A source with only a digest has none.
fn tag(source: &Reference, tag_argument: Option<&Tag>) -> Option<Tag> {
    tag_argument.or(source.tag.as_ref()).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &str, tag_argument: Option<&str>, expected: Option<&str>) {
        let tag_argument: Option<Tag> = tag_argument.map(|tag| tag.parse().unwrap());
        let found = tag(&source.parse().unwrap(), tag_argument.as_ref());
        assert_eq!(found.as_ref().map(Tag::as_str), expected);
    }

    #[test]
    fn uses_the_source_tag_by_default() {
        let digest = format!("@sha256:{}", "a".repeat(64));
        check("python", None, Some("latest"));
        check("python:3.13", None, Some("3.13"));
        check("python:3.13", Some("stable"), Some("stable"));
        check(&format!("python:3.13{digest}"), None, Some("3.13"));
        check(&format!("python{digest}"), None, None);
        check(&format!("python{digest}"), Some("x"), Some("x"));
    }
}
