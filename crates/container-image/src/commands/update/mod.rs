//! `container-image update`: finds references, resolves them, writes files.

mod changes;
mod commit;
mod messages;
mod selection;
mod version_notes;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use image_copy::copy::Failure;
use image_copy::oci::Reference;
use image_copy::text::{escaped, escaped_json};

use crate::args::{UpdateArgs, Verbosity};
use crate::connection::Connection;
use crate::count_progress::CountProgress;
use crate::documents::{self, Document, Documents};
use crate::git::{self, Checkout};
use crate::git_url;
use crate::log;
use crate::report;
use crate::report::unresolved::Unresolved;
use crate::resolve::{Lookup, Resolution, Resolver};
use crate::scan::{Evidence, RawReference};
use crate::signals::wait_for_signal;
use changes::{Changes, Entry};
use selection::Selection;

/// Exit code of `--check` if something would change.
const WOULD_CHANGE: u8 = 3;

/// State of the update, for the message after a signal.
#[derive(Debug, Default)]
struct UpdateState {
    /// Number of written files.
    written: AtomicUsize,
    is_committing: AtomicBool,
}

/// Updates the references of the files.
pub(crate) async fn run(args: &UpdateArgs, verbosity: Verbosity) -> ExitCode {
    let selection = match Selection::of(args) {
        Ok(selection) => selection,
        Err(line) => return report::invalid(&[line]),
    };
    let state = UpdateState::default();
    tokio::select! {
        biased;
        signal = wait_for_signal() => report::interrupted(signal, &interrupted_state(args, &state)),
        result = update(args, &selection, verbosity, &state) => result.unwrap_or_else(|line| report::fail(&line)),
    }
}

/// Describes the state that an interrupted update leaves.
fn interrupted_state(args: &UpdateArgs, state: &UpdateState) -> String {
    let is_committing = state.is_committing.load(Ordering::Relaxed);
    if let Some(url) = args.search.git_repo.as_deref().filter(|url| !git::is_work_tree(url)) {
        return match is_committing {
            true => format!(
                "the push to {} may have succeeded; check the log of the branch",
                escaped(&git_url::redacted(url))
            ),
            false => "the clone was deleted, and nothing was pushed".to_owned(),
        };
    }
    let others = match (&args.commit.message, is_committing) {
        (None, _) => "and no other was changed",
        (Some(_), false) => "no other was changed, and nothing was committed",
        (Some(_), true) => "and the commit may have succeeded; check git status",
    };
    match state.written.load(Ordering::Relaxed) {
        0 => "no file was changed".to_owned(),
        1 => format!("1 file was updated, {others}"),
        several => format!("{several} files were updated, {others}"),
    }
}

async fn update(
    args: &UpdateArgs,
    selection: &Selection,
    verbosity: Verbosity,
    state: &UpdateState,
) -> Result<ExitCode, String> {
    let checkout = Checkout::of(&args.search, args.commit.author()).await?;
    if let Some(checkout) = &checkout
        && args.commit.message.is_some()
    {
        checkout.require_branch(args.search.branch.as_deref()).await?;
    }
    let base = checkout.as_ref().map_or(Path::new(""), Checkout::folder);
    let documents = documents::read(base, &args.search).await?;
    print_notes(&documents, verbosity);
    if args.all {
        log::print(verbosity, &messages::count(&documents.all));
        let is_empty = documents.all.iter().all(|document| document.images().next().is_none());
        if is_empty && args.output.check && verbosity != Verbosity::Quiet {
            report::warning("--check: the files contain no image reference");
        }
        if is_empty && documents.errors.is_empty() && !args.output.json {
            return Ok(ExitCode::SUCCESS);
        }
    }
    messages::warn_about_arguments(args, verbosity, selection, &documents.all);
    let targets = targets(&documents.all, selection);
    let resolutions = resolve(args, verbosity, selection, targets.keys()).await?;
    let Resolved { wanted, unresolved, unconfirmed } =
        apply_resolutions(verbosity, selection, &targets, &resolutions);
    // The failures are printed in one block.
    report::unresolved::print(&unresolved, &args.connection, verbosity);
    let version_notes = version_notes::notes(selection, &targets, &resolutions);
    if verbosity != Verbosity::Quiet {
        print_entries(&unconfirmed);
        print_entries(&version_notes);
    }
    let changes = Changes::of(&documents.all, selection, &wanted);
    if let Some(checkout) = &checkout
        && args.commit.message.is_some()
    {
        commit::reject_uncommitted(checkout, &changes.paths()).await?;
    }
    let mut outcome = changes.apply(args, verbosity, &state.written).await;
    let (guesses, unresolved): (Vec<_>, Vec<_>) = unresolved.into_iter().partition(Unresolved::is_guess);
    let mut failures = documents.errors.len() + unresolved.len() + outcome.failed.len();
    if args.output.json {
        let entry = |one: &Unresolved<'_>| Entry {
            reference: Some(one.reference.clone()),
            evidence: Some(one.evidence),
            message: one.line(&args.connection),
        };
        let files = documents.errors.iter().chain(outcome.failed.values());
        let failures: Vec<Entry> =
            files.map(|line| Entry::of_file(line)).chain(unresolved.iter().map(entry)).collect();
        let notes: Vec<Entry> = guesses.iter().map(entry).chain(unconfirmed).chain(version_notes).collect();
        let document = changes.document(&outcome, &failures, &notes);
        outcome.is_printed &= report::print(&escaped_json(&format!("{document:#}")), "") == ExitCode::SUCCESS;
    }
    messages::print_summary(args, verbosity, checkout.as_ref().is_some_and(Checkout::is_clone), &outcome);
    if let Some(checkout) = &checkout
        && outcome.written > 0
    {
        state.is_committing.store(args.commit.message.is_some(), Ordering::Relaxed);
        if let Err(line) = commit::commit(checkout, args, verbosity, &outcome.to_commit).await {
            report::fail(&line);
            failures += 1;
        }
    }
    Ok(match failures {
        0 if !outcome.is_printed => ExitCode::FAILURE,
        0 if args.output.check && outcome.would_change > 0 => ExitCode::from(WOULD_CHANGE),
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

fn print_entries(notes: &[Entry]) {
    notes.iter().for_each(|note| report::note(note.message.trim_end_matches('.')));
}

fn print_notes(documents: &Documents, verbosity: Verbosity) {
    if verbosity != Verbosity::Quiet {
        documents.all.iter().flat_map(Document::notes).for_each(|note| report::note(&note));
    }
}

/// New references, each with its images.
type Targets<'a> = BTreeMap<RawReference, Target<'a>>;

/// Images that get the same new reference.
struct Target<'a> {
    /// The strongest evidence. An image that the arguments name is known.
    evidence: Evidence,
    /// Document and index of each image.
    images: Vec<(&'a Document, usize)>,
}

impl Target<'_> {
    fn locations(&self) -> Vec<String> {
        self.images.iter().map(|(document, index)| document.location(*index)).collect()
    }

    /// Returns true if an image would change without a query.
    fn is_change(&self, target: &RawReference) -> bool {
        let image = |(document, index): &(&Document, usize)| {
            selection::is_change(&document.scan.images[*index].image, target)
        };
        self.images.iter().any(image)
    }
}

fn targets<'a>(documents: &'a [Document], selection: &Selection) -> Targets<'a> {
    let mut targets = Targets::new();
    for document in documents {
        for (index, found) in document.scan.images.iter().enumerate() {
            let Some(target) = selection.target(&found.image) else { continue };
            let evidence = if selection.is_named() { Evidence::Field } else { found.evidence };
            let target = targets.entry(target).or_insert(Target { evidence, images: Vec::new() });
            target.evidence = target.evidence.min(evidence);
            target.images.push((document, index));
        }
    }
    targets
}

/// Result for each normalized reference.
type Resolutions = BTreeMap<String, Result<Resolution, Box<Failure>>>;

/// Resolves each normalized reference once.
async fn resolve(
    args: &UpdateArgs,
    verbosity: Verbosity,
    selection: &Selection,
    targets: impl Iterator<Item = &RawReference>,
) -> Result<Resolutions, String> {
    let Some(lookup) = &selection.lookup else { return Ok(Resolutions::new()) };
    let distinct: BTreeMap<String, Reference> =
        targets.filter_map(selection::reference_to_query).map(|one| (one.to_string(), one)).collect();
    if distinct.is_empty() {
        return Ok(Resolutions::new());
    }
    let (names, references): (Vec<String>, Vec<Reference>) = distinct.into_iter().unzip();
    let repositories = references.iter().map(|reference| &reference.repository);
    let Connection { client, .. } = Connection::open(&args.connection, repositories)?;
    let resolver = Resolver::new(client, lookup.clone(), args.platform.clone(), args.jobs.into());
    let bar = CountProgress::new(references.len(), "references resolved");
    let done = || bar.advance();
    let show = async {
        if verbosity == Verbosity::Normal {
            bar.show_after_delay().await;
        }
        std::future::pending::<()>().await;
    };
    let resolutions = tokio::select! {
        resolutions = resolver.resolve(&references, &done) => resolutions,
        () = show => unreachable!("the bar never completes"),
    };
    bar.clear();
    Ok(names.into_iter().zip(resolutions).collect())
}

/// Result of all queries.
struct Resolved<'a> {
    /// New reference of each target.
    wanted: HashMap<RawReference, RawReference>,
    /// Queries that failed.
    unresolved: Vec<Unresolved<'a>>,
    /// Guesses that would change, but that no registry was queried for.
    unconfirmed: Vec<Entry>,
}

fn apply_resolutions<'a>(
    verbosity: Verbosity,
    selection: &Selection,
    targets: &Targets<'_>,
    resolutions: &'a Resolutions,
) -> Resolved<'a> {
    let mut resolved = Resolved { wanted: HashMap::new(), unresolved: Vec::new(), unconfirmed: Vec::new() };
    for (target, found) in targets {
        let query = selection.lookup.as_ref().zip(selection::reference_to_query(target));
        let Some((lookup, reference)) = query else {
            if found.evidence != Evidence::Guess {
                resolved.wanted.insert(target.clone(), target.clone());
            } else if found.is_change(target) {
                resolved.unconfirmed.push(messages::unconfirmed(target, &found.locations()));
            }
            continue;
        };
        match &resolutions[&reference.to_string()] {
            Ok(resolution) => match selection::apply_resolution(target, lookup, resolution) {
                Some(result) => {
                    log::print(verbosity, &messages::resolved(target, &result, lookup));
                    resolved.wanted.insert(target.clone(), result);
                }
                // With a range, the user needs to know about images outside of it.
                None if version_notes::lacks_version(target, lookup) => {}
                None if verbosity == Verbosity::Verbose || matches!(lookup, Lookup::NewestTag(Some(_))) => {
                    log::print(verbosity, &messages::unchanged(target, lookup));
                }
                None => {}
            },
            Err(failure) => {
                let name = target.to_string();
                let failed = Unresolved::new(failure, name, found.evidence, found.locations());
                resolved.unresolved.push(failed);
            }
        }
    }
    resolved
}
