//! Prints the results of `verify`: a table, a line for each problem and a summary, or a JSON document.

mod json;
mod notes;
mod problems;

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use image_copy::oci::{Reference, Registry};
use image_copy::text::escaped_json;
use image_copy_aws::Severity;

use super::table::{cut_start, terminal_columns};
use super::terminal_line::for_stdout;
use super::{fail, image_count, print, print_message};
use crate::args::{ConnectionArgs, Verbosity};
use crate::commands::verify::{Check, Findings, ImageResult, ImageState, Note, Problem, Totals};

/// Width of the longest state.
const STATE_WIDTH: usize = "incomplete".len();

/// Results of all images.
pub(crate) struct VerifyReport<'a> {
    pub(crate) results: &'a [ImageResult],
    pub(crate) notes: &'a [Note],
    pub(crate) options: &'a ConnectionArgs,
}

impl VerifyReport<'_> {
    /// Prints the results. Returns the exit code.
    pub(crate) fn print(&self, is_json: bool, verbosity: Verbosity) -> ExitCode {
        let totals = Totals::of(self.results);
        let code = u8::from(totals.failures() > 0);
        let printed = if is_json {
            let document = json::document(self.results, &self.notes(), &totals, code);
            print(&escaped_json(&format!("{document:#}")), "")
        } else if verbosity == Verbosity::Quiet {
            self.print_failures();
            ExitCode::SUCCESS
        } else {
            self.print_text(&totals, code)
        };
        if printed == ExitCode::SUCCESS { ExitCode::from(code) } else { printed }
    }

    /// Prints the problems that make the run fail.
    fn print_failures(&self) {
        for (result, problem) in self.problems() {
            if problem.kind.state() > ImageState::Moved {
                fail(&problems::line(&result.image.name.to_string(), result, problem));
            }
        }
        for line in notes::unchecked_lines(self.notes, self.options, |check| check == Check::Images) {
            fail(&line);
        }
    }

    fn print_text(&self, totals: &Totals, code: u8) -> ExitCode {
        let mut lines = self.table();
        let registries: BTreeSet<&Registry> = self.results.iter().map(registry).collect();
        for (result, problem) in self.problems() {
            let symbol = if problem.kind.state() == ImageState::Moved { '~' } else { '!' };
            // The table names the only registry.
            let name = match registries.len() {
                1 => name_in_registry(&result.image.name),
                _ => result.image.name.to_string(),
            };
            lines.push(for_stdout(&format!("{symbol} {}", problems::line(&name, result, problem))));
        }
        if !lines.is_empty() {
            let printed = print(&lines.join("\n"), "");
            if printed != ExitCode::SUCCESS {
                return printed;
            }
        }
        for note in self.notes() {
            print_message(&format!("note: {note}"));
        }
        let summary = summary(totals, self.results.len());
        let meaning = format!("exit code {code}: {}", code_meaning(totals, self.results.len()));
        print(&format!("{}\n{}", for_stdout(&summary), for_stdout(&meaning)), "")
    }

    fn notes(&self) -> Vec<String> {
        notes::lines(self.notes, self.options)
    }

    fn problems(&self) -> impl Iterator<Item = (&ImageResult, &Problem)> {
        self.results.iter().flat_map(|result| result.problems.iter().map(move |problem| (result, problem)))
    }

    /// Returns a line for each registry, followed by its images.
    fn table(&self) -> Vec<String> {
        let columns = terminal_columns();
        let mut by_registry: BTreeMap<&Registry, Vec<&ImageResult>> = BTreeMap::new();
        for result in self.results {
            by_registry.entry(registry(result)).or_default().push(result);
        }
        let mut lines = Vec::new();
        for (registry, results) in by_registry {
            lines.push(registry.to_string());
            lines.extend(rows(&results, columns));
        }
        lines
    }
}

fn registry(result: &ImageResult) -> &Registry {
    result.image.name.repository.registry()
}

/// Formats the images of one registry, in as many columns as the terminal has.
fn rows(results: &[&ImageResult], columns: Option<usize>) -> Vec<String> {
    let findings: Vec<String> =
        results.iter().map(|result| findings_text(result.findings.as_ref())).collect();
    let names: Vec<String> = results.iter().map(|result| name_in_registry(&result.image.name)).collect();
    let longest = |texts: &[String]| texts.iter().map(|text| text.chars().count()).max().unwrap_or_default();
    // Two spaces before each column.
    let room = columns.map(|columns| columns.saturating_sub(STATE_WIDTH + longest(&findings) + 6));
    let width = longest(&names).min(room.unwrap_or(usize::MAX));
    let row = |((result, name), findings): ((&&ImageResult, &String), &String)| {
        let row =
            format!("  {:STATE_WIDTH$}  {:width$}  {findings}", word(result.state), cut_start(name, width));
        row.trim_end().to_owned()
    };
    results.iter().zip(&names).zip(&findings).map(row).collect()
}

/// Returns repository and tag, or a short digest.
fn name_in_registry(name: &Reference) -> String {
    let path = name.repository.path();
    match (&name.tag, &name.digest) {
        (Some(tag), _) => format!("{path}:{}", tag.as_str()),
        (None, Some(digest)) => format!("{path}@{}", digest.short()),
        (None, None) => path.to_owned(),
    }
}

fn word(state: ImageState) -> &'static str {
    match state {
        ImageState::Ok => "ok",
        ImageState::Moved => "moved",
        ImageState::AtRisk => "at risk",
        ImageState::Incomplete => "incomplete",
        ImageState::Missing => "missing",
        ImageState::Unknown => "unknown",
    }
}

/// Returns `2 critical, 14 high, 31 others`.
fn findings_text(findings: Option<&Findings>) -> String {
    let Some(Findings { counts, .. }) = findings else { return String::new() };
    let count = |severity| counts.get(&severity).copied().unwrap_or_default();
    let (critical, high) = (count(Severity::Critical), count(Severity::High));
    let others = counts.values().sum::<u64>() - critical - high;
    let parts =
        [(critical, "critical"), (high, "high"), (others, if others == 1 { "other" } else { "others" })];
    let parts: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, name)| format!("{count} {name}")).collect();
    if parts.is_empty() { "no findings".into() } else { parts.join(", ") }
}

fn summary(totals: &Totals, images: usize) -> String {
    let Totals { ok, moved, at_risk, incomplete, missing, unknown } = totals;
    let images = image_count(images);
    let unknown = if *unknown == 0 { String::new() } else { format!(", {unknown} unknown") };
    format!(
        "{images}: {ok} ok, {moved} moved, {at_risk} at risk, {incomplete} incomplete, {missing} missing{unknown}"
    )
}

fn code_meaning(totals: &Totals, images: usize) -> String {
    match totals.failures() {
        0 if images == 0 => "no images were found".into(),
        0 => "all images are complete".into(),
        1 => "1 image has a problem".into(),
        several => format!("{several} images have a problem"),
    }
}
