//! Prints the results of `sync`: a line for each image and a summary, or a JSON document.

mod document;

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use image_copy::copy::{Failure, Problem};
use image_copy::oci::{Platform, Registry};
use image_copy::text::escaped_json;

use super::customization::left_out_note;
use super::hint::{Names, hint};
use super::terminal_line::for_stdout;
use super::{
    MAX_LINE_CHARS, byte_size, details, fail, image_count, print, print_message, seconds, shortened,
};
use crate::args::{ConnectionArgs, Verbosity};
use crate::commands::sync::{ChangeKind, Image, ImageResult, Totals};
use crate::creation::CreatedRepository;

/// Maximum number of platforms in a line.
const MAX_PLATFORMS: usize = 2;

/// The effect of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Copy,
    DryRun,
    Check,
}

/// Results that are printed as they arrive, or at the end as JSON.
pub(crate) struct SyncReport<'a> {
    results: Vec<Option<ImageResult<'a>>>,
    totals: Totals,
    mode: Mode,
    is_json: bool,
    verbosity: Verbosity,
    options: &'a ConnectionArgs,
    /// Registries that failed for all images, each with the number of images without a line of their own.
    failed_registries: BTreeMap<Registry, usize>,
    /// False after a failed write to stdout.
    is_printed: bool,
}

/// End of a run.
pub(crate) struct SyncSummary {
    pub(crate) elapsed: Duration,
    pub(crate) code: u8,
    /// Number of entries whose rules select nothing.
    pub(crate) without_images: usize,
    /// Created repositories. In a dry run, those that the copies would create.
    pub(crate) repositories: Vec<CreatedRepository>,
}

impl<'a> SyncReport<'a> {
    pub(crate) fn new(
        images: usize,
        mode: Mode,
        is_json: bool,
        verbosity: Verbosity,
        options: &'a ConnectionArgs,
    ) -> Self {
        let results = (0..images).map(|_| None).collect();
        Self {
            results,
            totals: Totals::default(),
            mode,
            is_json,
            verbosity,
            options,
            failed_registries: BTreeMap::new(),
            is_printed: true,
        }
    }

    /// Adds and prints a result.
    pub(crate) fn add(&mut self, at: usize, result: ImageResult<'a>) {
        self.totals.add(&result);
        if let Ok(change) = &result.change
            && let Some(warning) = &change.warning
        {
            print_message(&format!("warning: {}: {warning}", result.image.request.source));
        }
        if let Some(note) = self.left_out_note(&result) {
            super::note(&note);
        }
        match &result.change {
            _ if self.is_json || self.is_repeated(&result) => {}
            Err(failure) if self.verbosity == Verbosity::Quiet => {
                fail(&failure_text(&result, failure, self.options));
            }
            Ok(_) if self.verbosity == Verbosity::Quiet => {}
            _ => self.print_line(&result),
        }
        self.results[at] = Some(result);
    }

    /// Returns a note about the attestations that a new copy does not have.
    fn left_out_note(&self, result: &ImageResult<'_>) -> Option<String> {
        let change = result.change.as_ref().ok()?;
        let is_new = self.mode == Mode::Copy && change.kind != ChangeKind::Unchanged;
        let note = left_out_note(change.attestations_left_out).filter(|_| is_new)?;
        (self.verbosity != Verbosity::Quiet).then(|| format!("{}: {note}", result.image.request.source))
    }

    /// Returns true if the failure of the registry was printed for another image. Then only counts the image.
    fn is_repeated(&mut self, result: &ImageResult<'_>) -> bool {
        let Some(registry) = result.failed_registry.as_ref().filter(|_| self.verbosity != Verbosity::Verbose)
        else {
            return false;
        };
        match self.failed_registries.get_mut(registry) {
            Some(more) => *more += 1,
            None => return self.failed_registries.insert(registry.clone(), 0).is_some(),
        }
        true
    }

    /// Prints a line for each registry whose images have no line of their own.
    fn print_repeated(&mut self) {
        let repeated = std::mem::take(&mut self.failed_registries).into_iter().filter(|(_, more)| *more > 0);
        for (registry, more) in repeated {
            let images = if more == 1 { "1 more image".into() } else { format!("{more} more images") };
            let text = format!("{images} of {registry} failed for the same reason. --verbose lists them.");
            match self.verbosity {
                Verbosity::Quiet => _ = fail(&text),
                _ => self.print(&for_stdout(&format!("! {text}"))),
            }
        }
    }

    fn print_line(&mut self, result: &ImageResult<'_>) {
        self.print(&for_stdout(&line(result, self.mode, self.options)));
        if let Err(failure) = &result.change
            && self.verbosity == Verbosity::Verbose
        {
            for line in details(failure) {
                let _ = writeln!(io::stderr(), "  {line}");
            }
        }
    }

    /// Prints to stdout, unless a write has failed before.
    fn print(&mut self, text: &str) {
        if self.is_printed {
            self.is_printed = print(text, "") == ExitCode::SUCCESS;
        }
    }

    pub(crate) fn results(&self) -> &[Option<ImageResult<'a>>] {
        &self.results
    }

    pub(crate) fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Prints the summary or the JSON document. Returns true if everything was printed.
    pub(crate) fn print_summary(&mut self, summary: &SyncSummary) -> bool {
        self.print_repeated();
        if self.is_json {
            self.print(&escaped_json(&format!("{:#}", document::document(self, summary))));
        } else if self.verbosity != Verbosity::Quiet {
            let lines: Vec<String> = self.summary_text(summary).lines().map(for_stdout).collect();
            self.print(&lines.join("\n"));
        }
        self.is_printed
    }

    /// Formats counts, bytes, seconds and pulls, and the meaning of the exit code.
    fn summary_text(&self, summary: &SyncSummary) -> String {
        let Totals { unchanged, new, moved, failed, bytes, .. } = self.totals;
        let images = image_count(self.results.len());
        let bytes = match self.mode {
            Mode::Copy => format!("; {} copied in {}", byte_size(bytes), seconds(summary.elapsed)),
            Mode::DryRun => format!("; {} to copy", byte_size(bytes)),
            Mode::Check => String::new(),
        };
        let skipped = match self.results.len() - self.totals.images() {
            0 => String::new(),
            skipped => format!(", {skipped} not finished"),
        };
        let needed = match (self.mode, self.totals.pulls) {
            (Mode::DryRun, 1) => "1 pull needed, ".to_owned(),
            (Mode::DryRun, pulls) => format!("{pulls} pulls needed, "),
            (Mode::Copy | Mode::Check, _) => String::new(),
        };
        let limit = self.totals.rate_limit.as_ref().map(|limit| format!("Docker Hub: {needed}{limit}\n"));
        format!(
            "{images}: {new} new, {moved} moved, {unchanged} unchanged, {failed} failed{skipped}{bytes}\n{}exit code {}: {}",
            limit.unwrap_or_default(),
            summary.code,
            self.code_meaning(summary)
        )
    }

    fn code_meaning(&self, summary: &SyncSummary) -> String {
        match (summary.code, self.mode) {
            (0, Mode::Copy) => "all images are up to date".into(),
            (0, Mode::DryRun) => "all images can be copied; nothing was written".into(),
            (0, Mode::Check) => "all images are up to date; nothing was written".into(),
            (1, _) if self.totals.failed == 0 && summary.without_images > 0 => match summary.without_images {
                1 => "the rules of 1 entry select no tag".into(),
                count => format!("the rules of {count} entries select no tag"),
            },
            (1, _) if self.totals.failed == 0 => "the report was not written".into(),
            (1, _) => format!("{} failed", image_count(self.totals.failed)),
            (3, _) => {
                let images = self.totals.differences();
                let verb = if images == 1 { "differs" } else { "differ" };
                format!("{} {verb} from the source; nothing was written", image_count(images))
            }
            _ => "interrupted".into(),
        }
    }
}

/// Formats a result: symbol, source, digest, platforms, size, seconds and pulls.
fn line(result: &ImageResult<'_>, mode: Mode, options: &ConnectionArgs) -> String {
    let change = match &result.change {
        Ok(change) => change,
        Err(failure) => return format!("! {}", failure_text(result, failure, options)),
    };
    let request = &result.image.request;
    let mut parts = vec![change.digest.short().to_owned()];
    if let ChangeKind::Moved { from } = &change.kind {
        parts[0] += &format!(" (was {})", from.short());
    }
    if change.kind == ChangeKind::Repaired {
        parts.push("was incomplete".into());
    }
    if request.customization.is_some() {
        parts.push("customized".into());
    }
    parts.extend(platforms(&change.platforms));
    parts.extend(change.size.map(byte_size));
    if mode == Mode::Copy {
        parts.push(seconds(result.elapsed));
    }
    match result.pulls {
        0 => {}
        1 => parts.push("1 pull".into()),
        pulls => parts.push(format!("{pulls} pulls")),
    }
    let symbol = match change.kind {
        ChangeKind::Unchanged => '=',
        ChangeKind::New => '+',
        ChangeKind::Moved { .. } | ChangeKind::Repaired => '~',
    };
    format!("{symbol} {} {}", request.source, parts.join(", "))
}

fn platforms(all: &[Platform]) -> Option<String> {
    let names: Vec<String> = all.iter().take(MAX_PLATFORMS).map(ToString::to_string).collect();
    match all.len().saturating_sub(MAX_PLATFORMS) {
        _ if names.is_empty() => None,
        0 => Some(names.join(", ")),
        others => Some(format!("{} and {others} more", names.join(", "))),
    }
}

/// Returns the source with its line in a list, the failure, one thing to change, and the code.
fn failure_text(result: &ImageResult<'_>, failure: &Failure, options: &ConnectionArgs) -> String {
    let location = match result.image.location() {
        location if location.is_empty() => String::new(),
        location => format!("{location}: "),
    };
    let ending = format!("{} ({})", sync_hint(failure, options, result.image), failure.code());
    let room = MAX_LINE_CHARS.saturating_sub(location.chars().count() + ending.chars().count() + 1);
    format!("{location}{} {ending}", shortened(failure.summary(), room))
}

/// Returns one thing to change.
pub(super) fn sync_hint(failure: &Failure, options: &ConnectionArgs, image: &Image) -> String {
    let names = Names {
        source: if image.origin.is_some() { "the list" } else { "the reference" },
        destination: if image.has_complete_destination { "the list" } else { "--to" },
    };
    match failure.problem() {
        Problem::TagImmutable => {
            "Remove the image from the list, or make the repository's tags mutable.".into()
        }
        Problem::NoPlatform => "Change the platform, or choose a tag with this platform.".into(),
        Problem::NotCustomizable => {
            "Correct customize in the list, or select other platforms in the list.".into()
        }
        _ => hint(failure, options, names),
    }
}
