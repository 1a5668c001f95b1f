//! `container-image inspect`: describes an image, from its manifests, its referrers and the state in ECR.
//!
//! [`image`] reads manifests, [`config`] parses the config, [`referrers`] and [`ecr`] read what belongs to the
//! image. The result is an [`Inspection`].

mod config;
mod ecr;
mod image;
mod referrers;

use std::process::ExitCode;

use image_copy::copy::{self, Failure, Source};
use image_copy::oci::Reference;
use image_copy::registry::Usage;

use crate::args::{InspectArgs, Verbosity};
use crate::aws::private_host;
use crate::connection::Connection;
use crate::report;
use crate::signals::wait_for_signal;

pub(crate) use config::HistoryEntry;
pub(crate) use ecr::EcrState;
pub(crate) use image::{Image, PlatformImage};
pub(crate) use referrers::{Location, Referrer};

/// Name of the argument in messages.
const ARGUMENT: &str = "REFERENCE";

/// Everything that is known about an image.
pub(crate) struct Inspection {
    pub(crate) reference: Reference,
    pub(crate) image: Image,
    pub(crate) referrers: Vec<Referrer>,
    /// State in private ECR.
    pub(crate) ecr: Option<EcrState>,
    /// Requests to the registry in the reference.
    pub(crate) usage: Usage,
}

/// Describes an image.
pub(crate) async fn run(args: &InspectArgs, verbosity: Verbosity) -> ExitCode {
    let connection = match Connection::open(&args.connection, [&args.reference.repository]) {
        Ok(connection) => connection,
        Err(line) => return report::fail(&line),
    };
    let result = tokio::select! {
        biased;
        signal = wait_for_signal() => return report::interrupted(signal, "nothing was changed"),
        result = inspect(args, &connection, verbosity) => result,
    };
    match result {
        Ok(inspection) => {
            let text = match args.json {
                true => report::inspect::document(&inspection, args.history),
                false => report::inspect::text(&inspection, args.history),
            };
            report::print(&text, "")
        }
        Err(failure) => report::failure_of(&failure, &args.connection, verbosity, ARGUMENT),
    }
}

async fn inspect(
    args: &InspectArgs,
    connection: &Connection,
    verbosity: Verbosity,
) -> Result<Inspection, copy::Error> {
    let (reference, name) = (&args.reference, &args.reference.repository);
    let source = Source::with_mirrors(&connection.client, name.clone(), None, &args.mirror);
    let image = image::read(reference, args.platform.as_ref(), &source).await?;
    let warn = |failure: &Failure| report::warn_about_failure(failure, &args.connection, ARGUMENT);
    let mut referrers = image.attestations();
    let subjects = image.subjects(args.platform.is_some());
    match referrers::read(source.upstream(), &subjects).await {
        Ok(found) => referrers.extend(found),
        Err(failure) => warn(&failure),
    }
    let ecr = match connection.ecr_repository(name).await {
        Some(repository) => Some(ecr::read(&repository, reference, &image, &warn).await),
        None => {
            if private_host(name).is_some() && verbosity != Verbosity::Quiet {
                report::note("the state in ECR was not read, because no AWS credentials can be loaded");
            }
            None
        }
    };
    let usage = source.upstream().usage();
    Ok(Inspection { reference: reference.clone(), image, referrers, ecr, usage })
}
