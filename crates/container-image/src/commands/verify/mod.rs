//! `container-image verify`: checks that ECR still has every image that stacks or other owners rely on.
//!
//! [`images`] are read from [`stacks`], from the state [`table`] or from a [`report_file`]. [`repository`]
//! reads their [`content`], lifecycle previews and scans, and [`sources`] the digests of their sources.
//! [`result`] judges each image without any request. Nothing is changed.

mod content;
mod images;
mod notes;
mod report_file;
mod repository;
mod result;
mod sources;
mod stacks;
mod table;
mod templates;

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use futures_util::{StreamExt as _, stream};
use image_copy::oci::{self, Digest};

use crate::args::{Verbosity, VerifyArgs};
use crate::connection::Connection;
use crate::count_progress::CountProgress;
use crate::report::verify::VerifyReport;
use crate::report::{self, aws_failure};
use crate::signals::wait_for_signal;
use images::{ReliedImage, ReliedImages};
use repository::RepositoryState;
use sources::Sources;

pub(crate) use images::Origin;
pub(crate) use notes::{Check, Note};
pub(crate) use repository::Findings;
pub(crate) use result::{ImageResult, ImageState, Problem, ProblemKind, Totals};

/// Stack of the installed provider, as the documentation names it.
const PROVIDER_STACK: &str = "cfn-container-image-provider";

/// Output of that stack with the name of the state table, or `none`.
const STATE_TABLE_OUTPUT: &str = "StateTableName";

/// Value for a provider without a state table.
const NO_TABLE: &str = "none";

/// Checks the images and prints the results.
pub(crate) async fn run(args: &VerifyArgs, verbosity: Verbosity) -> ExitCode {
    let report = match args.report.as_deref().map(report_file::read).transpose() {
        Ok(report) => report.map(ReliedImages::into_sorted),
        Err(line) => return report::invalid(&[line]),
    };
    let repositories = report.iter().flatten().map(|image| &image.name.repository);
    let connection = match Connection::open(&args.connection, repositories) {
        Ok(connection) => connection,
        Err(line) => return report::fail(&line),
    };
    let verifying = async {
        let mut notes = Vec::new();
        let images = match report {
            Some(images) => images,
            None => images_in_aws(args, &connection, &mut notes).await?.into_sorted(),
        };
        let repositories: BTreeSet<_> = images.iter().map(|image| &image.name.repository).collect();
        let bar = CountProgress::new(repositories.len(), "repositories verified");
        let show = async {
            if verbosity == Verbosity::Normal {
                bar.show_after_delay().await;
            }
            std::future::pending::<()>().await;
        };
        let results = tokio::select! {
            results = verify(images, &connection, args.jobs.into(), &bar, &mut notes) => results,
            () = show => unreachable!("the bar never completes"),
        };
        bar.clear();
        Ok::<_, String>((results, notes))
    };
    let verified = tokio::select! {
        verified = verifying => verified,
        signal = wait_for_signal() => return report::interrupted(signal, "nothing was changed"),
    };
    match verified {
        Ok((results, notes)) => VerifyReport { results: &results, notes: &notes, options: &args.connection }
            .print(args.json, verbosity),
        Err(line) => report::fail(&line),
    }
}

/// Reads the images of stacks, or all images of the state table.
///
/// # Errors
/// Error line with one thing to change.
async fn images_in_aws(
    args: &VerifyArgs,
    connection: &Connection,
    notes: &mut Vec<Note>,
) -> Result<ReliedImages, String> {
    let options = &args.connection;
    let name = match &args.state_table {
        Some(name) => Ok(name.clone()),
        None => installed_table(connection).await,
    };
    if args.all {
        let name = name.map_err(|error| aws_failure::no_state_table(&error, options))?;
        if name == NO_TABLE {
            return Err("The provider has no state table. Check stacks with --stack.".into());
        }
        let content = connection.aws_clients().await.state_table(&name).scan().await;
        let content = content.map_err(|cause| aws_failure::table_failure(&name, cause, options))?;
        return Ok(table::images(content, notes));
    }
    let table = match name {
        Ok(name) if name == NO_TABLE => None,
        Ok(name) => Some(connection.aws_clients().await.state_table(&name)),
        Err(error) => {
            let reason = aws_failure::no_state_table(&error, options);
            notes.push(Note::Text(format!("not checked: recorded copies: {reason}")));
            None
        }
    };
    let stacks = connection.aws_clients().await.stacks();
    let images = stacks::read(&stacks, &args.stack, table.as_ref(), args.jobs.into(), notes).await;
    images.map_err(|error| aws_failure::stack_failure(&error, options))
}

/// Returns the name of the provider's state table.
async fn installed_table(connection: &Connection) -> Result<String, image_copy_aws::StackError> {
    let stack = connection.aws_clients().await.stacks().describe(PROVIDER_STACK).await?;
    Ok(stack.outputs.get(STATE_TABLE_OUTPUT).cloned().unwrap_or_else(|| NO_TABLE.into()))
}

/// Checks images: each repository once, and each source once.
async fn verify(
    images: Vec<ReliedImage>,
    connection: &Connection,
    jobs: usize,
    bar: &CountProgress,
    notes: &mut Vec<Note>,
) -> Vec<ImageResult> {
    let mut source_notes = Vec::new();
    let (sources, states) = tokio::join!(
        Sources::read(&connection.client, &images, jobs, &mut source_notes),
        repository_states(&images, connection, jobs, bar)
    );
    let mut by_repository = BTreeMap::new();
    for (name, state, own_notes) in states {
        notes.extend(own_notes);
        by_repository.insert(name, state);
    }
    let sources = &sources;
    let judged = stream::iter(images).map(|image| {
        let state = &by_repository[&image.name.repository];
        async move {
            let mut own_notes = Vec::new();
            let moved = moved_sources(&image, state, sources, &mut own_notes).await;
            (result::judge(image, state, &moved), own_notes)
        }
    });
    let judged: Vec<_> = judged.buffered(jobs).collect().await;
    let (results, own_notes): (Vec<_>, Vec<_>) = judged.into_iter().unzip();
    notes.extend(source_notes);
    notes.extend(own_notes.into_iter().flatten());
    results
}

/// Returns the current digest of each copy's source, if the source has moved.
async fn moved_sources(
    image: &ReliedImage,
    state: &RepositoryState,
    sources: &Sources,
    notes: &mut Vec<Note>,
) -> Vec<Option<Digest>> {
    let mut moved = Vec::new();
    for copy in &image.copies {
        let root = state.content.as_ref().and_then(|content| content.copied_root(image, copy));
        moved.push(match &copy.source {
            Some(source) => sources.moved(source, root, &image.name, notes).await,
            None => None,
        });
    }
    moved
}

/// Reads the repositories of all images.
async fn repository_states(
    images: &[ReliedImage],
    connection: &Connection,
    jobs: usize,
    bar: &CountProgress,
) -> Vec<(oci::Repository, RepositoryState, Vec<Note>)> {
    let mut by_repository: BTreeMap<&oci::Repository, Vec<&ReliedImage>> = BTreeMap::new();
    for image in images {
        by_repository.entry(&image.name.repository).or_default().push(image);
    }
    let states = stream::iter(by_repository).map(|(name, images)| async move {
        let mut notes = Vec::new();
        let state = repository::read(connection, name, &images, jobs, &mut notes).await;
        bar.advance();
        (name.clone(), state, notes)
    });
    let mut states: Vec<_> = states.buffer_unordered(jobs).collect().await;
    states.sort_by(|(one, ..), (other, ..)| one.cmp(other));
    states
}
