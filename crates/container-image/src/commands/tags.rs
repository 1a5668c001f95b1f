//! `container-image tags`: the tags that rules select, of one repository or of the sources of a list.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use image_copy::list::{TagDecision, TagPattern, TagRules, sorted_newest_first};
use image_copy::oci::{Repository, Tag};
use image_copy::registry::Error;
use image_copy::text::escaped_json;
use serde_json::{Value, json};

use crate::args::{TagsArgs, Verbosity};
use crate::connection::Connection;
use crate::signals::wait_for_signal;
use crate::tag_lists::{self, TagLists};
use crate::{display, list_file, report};

/// Maximum width of the column with tags. Longer tags, such as digests, move their reason to the right.
const MAX_TAG_CHARS: usize = 36;

/// Maximum number of concurrent requests.
const JOBS: usize = 8;

/// Rules for the tags of a repository.
struct Selection {
    repository: Repository,
    rules: Arc<TagRules>,
    /// Name of the list and line. `None` for rules in arguments.
    origin: Option<(String, usize)>,
}

/// The decisions of a selection.
struct Decided {
    /// The text, or an empty text with `--json`.
    text: String,
    /// The value with `--json`.
    value: Value,
    /// The exact tag that does not exist.
    missing: Option<Tag>,
    /// Patterns that match no tag, each with its rule.
    unused: Vec<(&'static str, TagPattern)>,
    selected: usize,
    total: usize,
}

/// Lists the tags of repositories.
pub(crate) async fn run(args: &TagsArgs, verbosity: Verbosity) -> ExitCode {
    let (selections, note) = match selections(args) {
        Ok(selections) => selections,
        Err(lines) => return report::invalid(&lines),
    };
    let repositories = selections.iter().map(|selection| &selection.repository);
    if verbosity != Verbosity::Quiet {
        note.iter().for_each(|note| report::note(note));
    }
    let connection = match Connection::open(&args.connection, repositories) {
        Ok(connection) => connection,
        Err(line) => return report::fail(&line),
    };
    let lists = TagLists::new(&connection.client);
    let results = tokio::select! {
        biased;
        signal = wait_for_signal() => return report::interrupted(signal, "nothing was changed"),
        results = decide(args, &selections, &lists) => results,
    };
    print(args, verbosity, &selections, results)
}

/// Returns the rules of the arguments or of a list, with a note about other entries. Rules for the same repository
/// follow each other.
///
/// # Errors
/// One line for each error.
fn selections(args: &TagsArgs) -> Result<(Vec<Selection>, Option<String>), Vec<String>> {
    if let Some(argument) = &args.repository
        && list_file::has_list_ending(&argument.text)
        && Path::new(&argument.text).is_file()
    {
        let name = display::path(Path::new(&argument.text));
        return Err(vec![format!("{name} is a file. Pass --rules {name}.")]);
    }
    let repository = args.repository.as_ref().map(|argument| &argument.repository);
    let Some(argument) = &args.list else {
        let rules = Arc::new(args.rules.rules());
        let selection = |name: &Repository| Selection { repository: name.clone(), rules, origin: None };
        return Ok((repository.map(selection).into_iter().collect(), None));
    };
    let (list, entries) = list_file::read(argument)?;
    let note = match entries.iter().filter(|entry| entry.rules.is_none()).count() {
        _ if repository.is_some() => None,
        0 => None,
        1 => Some(format!("1 entry of {list} has no rules and was omitted")),
        count => Some(format!("{count} entries of {list} have no rules and were omitted")),
    };
    let entries = entries.into_iter().filter_map(|entry| {
        let origin = Some((list.clone(), entry.line));
        Some(Selection { repository: entry.source.repository, rules: entry.rules?, origin })
    });
    let mut selections: Vec<Selection> =
        entries.filter(|entry| repository.is_none_or(|name| *name == entry.repository)).collect();
    selections.sort_by(|one, other| one.repository.cmp(&other.repository));
    match repository {
        _ if !selections.is_empty() => Ok((selections, note)),
        Some(name) => {
            Err(vec![format!("{list} has no tag rules for {name}. Correct REPOSITORY or the list.")])
        }
        None => Err(vec![format!("{list} has no tag rules. Add rules in the key tags of an image.")]),
    }
}

/// Lists the tags of each repository once, and applies the rules.
async fn decide(
    args: &TagsArgs,
    selections: &[Selection],
    lists: &TagLists<'_>,
) -> Vec<Result<Decided, Error>> {
    let groups = selections.chunk_by(|one, other| one.repository == other.repository);
    let results = stream::iter(groups)
        .map(|group| async move {
            let tags = lists.read(&group[0].repository).await.map(|tags| {
                let mut sorted = sorted_newest_first(&tags);
                sorted.dedup();
                sorted.into_iter().cloned().collect::<Vec<Tag>>()
            });
            let decide = |selection: &Selection| match &tags {
                Ok(tags) => Ok(selection.decide(args, tags)),
                Err(error) => Err(error.clone()),
            };
            group.iter().map(decide).collect::<Vec<_>>()
        })
        .buffered(JOBS);
    results.flat_map(stream::iter).collect().await
}

impl Selection {
    fn decide(&self, args: &TagsArgs, tags: &[Tag]) -> Decided {
        let decisions = self.rules.decide(tags);
        let text = match (args.json, args.all) {
            (true, _) => String::new(),
            (false, true) => self.title() + &table(tags, &decisions),
            (false, false) => self.names(tags, &decisions),
        };
        Decided {
            text,
            value: if args.json { self.value(tags, &decisions) } else { Value::Null },
            missing: self.rules.exact.iter().find(|exact| !tags.contains(exact)).cloned(),
            unused: self.unused(tags),
            selected: decisions.iter().filter(|decision| decision.is_in()).count(),
            total: tags.len(),
        }
    }

    fn unused(&self, tags: &[Tag]) -> Vec<(&'static str, TagPattern)> {
        let TagRules { include, exclude, .. } = &*self.rules;
        let include = include.iter().map(|pattern| ("include", pattern));
        let patterns = include.chain(exclude.iter().map(|pattern| ("exclude", pattern)));
        let is_unused = |pattern: &TagPattern| !tags.iter().any(|tag| pattern.matches(tag.as_str()));
        let unused = patterns.filter(|(_, pattern)| is_unused(pattern));
        unused.map(|(rule, pattern)| (rule, pattern.clone())).collect()
    }

    /// Returns the place in a list with a colon and a space, or an empty text.
    fn place(&self) -> String {
        self.origin.as_ref().map(|(list, line)| format!("{list}:{line}: ")).unwrap_or_default()
    }

    /// Returns the line above a table of a list.
    fn title(&self) -> String {
        if self.origin.is_some() { format!("{}{}\n", self.place(), self.repository) } else { String::new() }
    }

    /// Returns the selected tags, or complete references for a list.
    fn names(&self, tags: &[Tag], decisions: &[TagDecision<'_>]) -> String {
        let selected = tags.iter().zip(decisions).filter(|(_, decision)| decision.is_in());
        let name = |tag: &Tag| match &self.origin {
            Some(_) => self.repository.with_tag(tag.clone()).to_string(),
            None => tag.to_string(),
        };
        selected.map(|(tag, _)| name(tag)).collect::<Vec<_>>().join("\n")
    }

    fn value(&self, tags: &[Tag], decisions: &[TagDecision<'_>]) -> Value {
        let tags = tags.iter().zip(decisions).map(|(tag, decision)| {
            json!({"tag": tag.as_str(), "in": decision.is_in(), "reason": decision.to_string()})
        });
        let tags = tags.collect::<Vec<Value>>();
        let repository = self.repository.to_string();
        match &self.origin {
            None => json!({"repository": repository, "tags": tags}),
            Some((path, line)) => {
                json!({"repository": repository, "path": path, "line": line, "tags": tags})
            }
        }
    }
}

fn table(tags: &[Tag], decisions: &[TagDecision<'_>]) -> String {
    let widest = tags.iter().map(|tag| tag.as_str().len()).max().unwrap_or_default();
    let width = widest.min(MAX_TAG_CHARS);
    let lines = tags.iter().zip(decisions).map(|(tag, decision)| {
        let word = if decision.is_in() { "in" } else { "out" };
        format!("{word:3}  {:width$}  {decision}", tag.as_str())
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Prints the decisions to stdout, and notes and failures to stderr.
fn print(
    args: &TagsArgs,
    verbosity: Verbosity,
    selections: &[Selection],
    mut results: Vec<Result<Decided, Error>>,
) -> ExitCode {
    let decided = results.iter_mut().filter_map(|result| result.as_mut().ok());
    let text = if args.json {
        let mut values: Vec<Value> = decided.map(|decided| decided.value.take()).collect();
        let document = if args.list.is_some() { Some(Value::Array(values)) } else { values.pop() };
        document.map(|document| escaped_json(&format!("{document:#}"))).unwrap_or_default()
    } else {
        let separator = if args.all { "\n\n" } else { "\n" };
        let texts = decided.map(|decided| std::mem::take(&mut decided.text));
        texts.filter(|text| !text.is_empty()).collect::<Vec<_>>().join(separator)
    };
    let mut code = if text.is_empty() { ExitCode::SUCCESS } else { report::print(&text, "") };
    if code != ExitCode::SUCCESS {
        return code;
    }
    let source = if args.list.is_some() { "the list" } else { "REPOSITORY" };
    for (selection, result) in selections.iter().zip(results) {
        let failed = match result {
            Ok(decided) => {
                if verbosity != Verbosity::Quiet {
                    notes(args, selection, &decided).iter().for_each(|note| report::note(note));
                }
                failure_line(args, selection, &decided).map(|line| report::fail(&line))
            }
            Err(cause) => {
                let (place, failure) = (selection.place(), tag_lists::failure(&selection.repository, cause));
                Some(report::failure_at(&place, &failure, &args.connection, verbosity, source))
            }
        };
        code = failed.unwrap_or(code);
    }
    code
}

/// Returns notes about the number of selected tags, and about patterns that match no tag.
fn notes(args: &TagsArgs, selection: &Selection, decided: &Decided) -> Vec<String> {
    let (place, repository) = (selection.place(), &selection.repository);
    let Decided { selected, total, unused, .. } = decided;
    let is_unexplained = *selected == 0 && args.list.is_none() && !args.all && !args.json;
    let reasons = if is_unexplained { "; --all prints the reasons" } else { "" };
    let plural = if *total == 1 { "" } else { "s" };
    let count = format!("{place}{selected} of {total} tag{plural} of {repository} selected{reasons}");
    let unused = unused.iter().map(|(rule, pattern)| {
        let wildcard = if pattern.is_expression() { "" } else { "; only * is a wildcard" };
        format!("{place}{rule} {pattern} matches no tag{wildcard}")
    });
    std::iter::once(count).chain(unused).collect()
}

/// Returns the error line of a missing exact tag, or of rules in a list that select no tag.
fn failure_line(args: &TagsArgs, selection: &Selection, decided: &Decided) -> Option<String> {
    let (place, repository) = (selection.place(), &selection.repository);
    if let Some(missing) = &decided.missing {
        let name = repository.with_tag(missing.clone());
        let rule = if args.list.is_some() { "the exact tag" } else { "--exact" };
        return Some(format!("{place}Tag {name} was not found. Correct or remove {rule} {missing}."));
    }
    // The refresh stack and sync reject these rules too.
    (decided.selected == 0 && args.list.is_some()).then(|| {
        let advice = if args.all || args.json { "Correct the rules." } else { "--all prints the reasons." };
        format!("{place}the rules select no tag of {repository}. {advice}")
    })
}
