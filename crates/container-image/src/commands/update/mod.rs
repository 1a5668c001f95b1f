//! `container-image update`: find references, ask registries, write files.

mod changes;
mod commit;
mod messages;
mod selection;
mod waiting;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use image_copy::copy::Failure;
use image_copy::oci::Reference;
use image_copy::text::{escaped, escaped_json};

use crate::args::{Update, Verbosity};
use crate::connection;
use crate::documents::{self, Document, Documents};
use crate::git::{self, Checkout};
use crate::git_url;
use crate::log::say;
use crate::report;
use crate::report::unresolved::Unresolved;
use crate::resolve::{Answer, Question, Resolver};
use crate::scan::RawReference;
use crate::signals::interrupted;
use changes::Changes;
use selection::Selection;

/// What `--check` ends with when something would change.
const WOULD_CHANGE: u8 = 3;

/// How far it came.
#[derive(Debug, Default)]
struct Progress {
    /// Files that were written.
    written: AtomicUsize,
    is_committing: AtomicBool,
}

/// Updates as `args` say. Failures are told on stderr.
pub(crate) async fn run(args: &Update, verbosity: Verbosity) -> ExitCode {
    let progress = Progress::default();
    tokio::select! {
        biased;
        signal = interrupted() => report::interrupted(signal, &left_behind(args, &progress)),
        ended = update(args, verbosity, &progress) => ended.unwrap_or_else(|line| report::fail(&line)),
    }
}

/// What an update that was interrupted leaves.
fn left_behind(args: &Update, progress: &Progress) -> String {
    let is_committing = progress.is_committing.load(Ordering::Relaxed);
    if let Some(url) = args.search.repository.as_deref().filter(|url| !git::is_work_tree(url)) {
        return match is_committing {
            true => format!(
                "a commit was being pushed to {}; its log tells whether it arrived",
                escaped(&git_url::shown(url))
            ),
            false => "the clone is gone, and nothing was pushed".to_owned(),
        };
    }
    let others = match (&args.commit, is_committing) {
        (None, _) => "and no other was changed",
        (Some(_), false) => "no other was changed, and nothing was committed",
        (Some(_), true) => "and git status tells whether that was committed",
    };
    match progress.written.load(Ordering::Relaxed) {
        0 => "no file was changed".to_owned(),
        1 => format!("1 file was updated, {others}"),
        several => format!("{several} files were updated, {others}"),
    }
}

async fn update(args: &Update, verbosity: Verbosity, progress: &Progress) -> Result<ExitCode, String> {
    let selection = Selection::of(args)?;
    let checkout = Checkout::of(&args.search).await?;
    if let Some(checkout) = &checkout
        && args.commit.is_some()
    {
        checkout.refuse_no_branch(args.search.branch.as_deref()).await?;
    }
    let base = checkout.as_ref().map_or(Path::new(""), Checkout::folder);
    let documents = documents::read(base, &args.search).await?;
    tell_notes(&documents, verbosity);
    if args.all {
        say(verbosity, &messages::count(&documents.all));
        let nothing = documents.all.iter().all(|document| document.images().next().is_none());
        if nothing && documents.unread.is_empty() && !args.json {
            return Ok(ExitCode::SUCCESS);
        }
    }
    messages::doubts(args, verbosity, &selection, &documents.all);
    let targets = targets(&documents.all, &selection);
    let answers = ask(args, verbosity, &selection, targets.keys()).await?;
    let (wanted, unresolved) = read(verbosity, &selection, &targets, &answers);
    // Together, where they are seen.
    report::unresolved::tell(&unresolved, &args.plain_http, verbosity);
    let changes = Changes::of(&documents.all, &selection, &wanted);
    if let Some(checkout) = &checkout
        && args.commit.is_some()
    {
        commit::refuse_differing(checkout, &changes.paths()).await?;
    }
    let mut edited = changes.carry_out(args, verbosity, &progress.written).await;
    let mut failures = documents.unread.len() + unresolved.len() + edited.unwritten.len();
    if args.json {
        let files =
            documents.unread.iter().chain(edited.unwritten.values()).map(|line| (None, line.as_str()));
        let lines: Vec<String> = unresolved.iter().map(|one| one.line(&args.plain_http)).collect();
        let references = unresolved.iter().zip(&lines);
        let references = references.map(|(one, line)| (Some(one.reference.as_str()), line.as_str()));
        let document = changes.document(&edited, files.chain(references));
        edited.told &= report::tell(&escaped_json(&format!("{document:#}")), "") == ExitCode::SUCCESS;
    }
    messages::end(args, verbosity, checkout.as_ref().is_some_and(Checkout::is_clone), &edited);
    if let Some(checkout) = &checkout
        && edited.written > 0
    {
        progress.is_committing.store(args.commit.is_some(), Ordering::Relaxed);
        if let Err(line) = commit::commit(checkout, args, verbosity, &edited.to_commit).await {
            report::fail(&line);
            failures += 1;
        }
    }
    Ok(match failures {
        0 if args.check && edited.would_change > 0 => ExitCode::from(WOULD_CHANGE),
        0 if edited.told => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

fn tell_notes(documents: &Documents, verbosity: Verbosity) {
    if verbosity != Verbosity::Quiet {
        documents.all.iter().flat_map(Document::notes).for_each(|note| report::note(&note));
    }
}

/// What the references that are meant are to be, each once, with the images that are to be it: a
/// document and a number in it.
type Targets<'a> = BTreeMap<RawReference, Vec<(&'a Document, usize)>>;

fn targets<'a>(documents: &'a [Document], selection: &Selection) -> Targets<'a> {
    let mut targets = Targets::new();
    for document in documents {
        for (number, found) in document.scan.found.iter().enumerate() {
            if let Some(target) = selection.target(&found.image) {
                targets.entry(target).or_default().push((document, number));
            }
        }
    }
    targets
}

/// What registries say of each reference, by its meaning.
type Answers = BTreeMap<String, Result<Answer, Box<Failure>>>;

/// Asks for each reference once, however it is spelled.
async fn ask(
    args: &Update,
    verbosity: Verbosity,
    selection: &Selection,
    targets: impl Iterator<Item = &RawReference>,
) -> Result<Answers, String> {
    let Some(question) = &selection.question else { return Ok(Answers::new()) };
    let distinct: BTreeMap<String, Reference> =
        targets.filter_map(selection::asked).map(|one| (one.to_string(), one)).collect();
    if distinct.is_empty() {
        return Ok(Answers::new());
    }
    let (names, references): (Vec<String>, Vec<Reference>) = distinct.into_iter().unzip();
    let client = connection::client(&args.plain_http, args.certificate_authority.as_deref())?;
    let resolver = Resolver::new(client, question.clone(), args.platform.clone(), args.jobs.into());
    let waiting = waiting::Waiting::new(references.len());
    let done = || waiting.advance();
    let shown = async {
        if verbosity == Verbosity::Normal {
            waiting.show_when_it_takes_long().await;
        }
        std::future::pending::<()>().await;
    };
    let answers = tokio::select! {
        answers = resolver.resolve(&references, &done) => answers,
        () = shown => unreachable!("what is shown outlasts the questions"),
    };
    waiting.clear();
    Ok(names.into_iter().zip(answers).collect())
}

/// What each target came to, and those that came to nothing.
fn read<'a>(
    verbosity: Verbosity,
    selection: &Selection,
    targets: &Targets<'_>,
    answers: &'a Answers,
) -> (HashMap<RawReference, RawReference>, Vec<Unresolved<'a>>) {
    let mut wanted = HashMap::new();
    let mut unresolved = Vec::new();
    for (target, places) in targets {
        let asked = selection.question.as_ref().zip(selection::asked(target));
        let Some((question, reference)) = asked else {
            wanted.insert(target.clone(), target.clone());
            continue;
        };
        match &answers[&reference.to_string()] {
            Ok(answer) => match selection::answered(target, question, answer) {
                Some(result) => {
                    say(verbosity, &messages::resolved(target, &result, question));
                    wanted.insert(target.clone(), result);
                }
                // Who named a range wants to know what is outside of it.
                None if verbosity == Verbosity::Verbose || matches!(question, Question::Newest(Some(_))) => {
                    say(verbosity, &messages::nothing(target, question));
                }
                None => {}
            },
            Err(failure) => {
                let lines = places.iter().map(|(document, number)| document.line(*number)).collect();
                unresolved.push(Unresolved::new(failure, target.to_string(), lines));
            }
        }
    }
    (wanted, unresolved)
}
