//! `container-image tags`: the tags of a repository that rules select.

use std::process::ExitCode;

use image_copy::copy::{Failure, Operation, Side};
use image_copy::list::{TagDecision, newest_first};
use image_copy::oci::Tag;
use image_copy::text::escaped_json;
use serde_json::{Value, json};

use crate::args::{TagsArgs, Verbosity};
use crate::connection::Connection;
use crate::report;
use crate::signals::wait_for_signal;

/// Maximum width of the column with tags. Longer tags, such as digests, move their reason to the right.
const MAX_TAG_CHARS: usize = 36;

/// Lists the tags of a repository.
pub(crate) async fn run(args: &TagsArgs, verbosity: Verbosity) -> ExitCode {
    let repository = &args.repository.0;
    let connection = match Connection::open(&args.connection, [repository]) {
        Ok(connection) => connection,
        Err(line) => return report::fail(&line),
    };
    let handle = connection.client.repository(repository.clone(), None);
    let result = tokio::select! {
        biased;
        signal = wait_for_signal() => return report::interrupted(signal, "nothing was changed"),
        result = handle.list_tags() => result,
    };
    let mut tags = match result {
        Ok(tags) => tags,
        Err(cause) => {
            let (side, operation, subject) = (Side::Source, Operation::ListTags, repository.to_string());
            let failure = Failure::Registry { side, operation, subject, cause };
            return report::failure_of(&failure, &args.connection, verbosity, "REPOSITORY");
        }
    };
    tags.sort_by(newest_first);
    tags.dedup();
    let rules = args.rules.rules();
    let decisions = rules.decide(&tags);
    let text = match (args.json, args.all) {
        (true, _) => document(args, &tags, &decisions),
        (false, true) => table(&tags, &decisions),
        (false, false) => names(&tags, &decisions),
    };
    let code = if text.is_empty() { ExitCode::SUCCESS } else { report::print(&text, "") };
    if code != ExitCode::SUCCESS {
        return code;
    }
    if verbosity != Verbosity::Quiet {
        let selected = decisions.iter().filter(|decision| decision.is_in()).count();
        let plural = if tags.len() == 1 { "" } else { "s" };
        report::note(&format!("{selected} of {} tag{plural} of {repository} selected", tags.len()));
    }
    match rules.exact.iter().find(|exact| !tags.contains(exact)) {
        Some(missing) => {
            let name = repository.with_tag(missing.clone());
            report::fail(&format!("Tag {name} was not found. Correct or remove --exact {missing}."))
        }
        None => code,
    }
}

fn names(tags: &[Tag], decisions: &[TagDecision<'_>]) -> String {
    let selected = tags.iter().zip(decisions).filter(|(_, decision)| decision.is_in());
    selected.map(|(tag, _)| tag.as_str()).collect::<Vec<_>>().join("\n")
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

fn document(args: &TagsArgs, tags: &[Tag], decisions: &[TagDecision<'_>]) -> String {
    let tags = tags.iter().zip(decisions).map(|(tag, decision)| {
        json!({"tag": tag.as_str(), "in": decision.is_in(), "reason": decision.to_string()})
    });
    let document = json!({"repository": args.repository.0.to_string(), "tags": tags.collect::<Vec<Value>>()});
    escaped_json(&format!("{document:#}"))
}
