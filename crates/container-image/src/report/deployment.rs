//! Prints the result of `plan`: a table of the images, a line for each finding and a summary, or a JSON document.

mod document;
mod summary;

use std::process::ExitCode;

use image_copy::copy::{Failure, Problem, Side};
use image_copy::oci::{Platform, Reference};
use image_copy::registry::RateLimit;
use image_copy::text::escaped_json;

use document::document;
use summary::Summary;

use super::customization::SettingsChange;
use super::hint::{Names, hint, login};
use super::sync::sync_hint;
use super::table::{Table, terminal_columns};
use super::terminal_line::for_stdout;
use super::{MAX_LINE_CHARS, byte_size, fail, image_count, patch_style, shortened};
use crate::args::{ConnectionArgs, Verbosity};
use crate::commands::plan::{DeploymentPlan, Event, Finding, Findings, ImagePlan};
use crate::commands::sync::{ChangeKind, Image};

/// Room for the location, the resource and the code of a failure, in characters.
const LOCATION_CHARS: usize = 80;

/// Returns a failure of the engine with one thing to change: an entry of a list, or a property of a template.
pub(crate) fn plan_failure(
    failure: &Failure,
    options: &ConnectionArgs,
    list_image: Option<&Image>,
) -> String {
    let ending = match list_image {
        // No option of `plan` names a mirror.
        _ if failure.problem() == Problem::PullLimit => {
            format!("Retry later, or {}.", login(failure, options))
        }
        Some(image) => sync_hint(failure, options, image),
        None => property_hint(failure, options),
    };
    let room = MAX_LINE_CHARS.saturating_sub(LOCATION_CHARS + ending.chars().count());
    format!("{} {ending}", shortened(failure.summary(), room))
}

/// Returns the property to change.
fn property_hint(failure: &Failure, options: &ConnectionArgs) -> String {
    match (failure.problem(), failure.side()) {
        (Problem::Missing, Side::Destination) if failure.is_missing_repository() => {
            "Create the repository, or correct RepositoryArn.".into()
        }
        (Problem::CredentialsRequired, Side::Source) => {
            "Check the name in ImageReference. If the image is private, set CredentialArn.".into()
        }
        (Problem::TagImmutable, _) => "Set another Tag, or make the repository's tags mutable.".into(),
        (Problem::NoPlatform, _) => "Change Platform, or choose a tag with this platform.".into(),
        (Problem::NotCustomizable, _) => "Correct Customize, or select other platforms in Platform.".into(),
        _ => hint(failure, options, Names { source: "ImageReference", destination: "RepositoryArn" }),
    }
}

/// Prints a plan. Returns the exit code.
pub(crate) fn print(plan: &DeploymentPlan, is_json: bool, verbosity: Verbosity) -> ExitCode {
    let code = u8::from(plan.fails());
    let text = match (is_json, verbosity) {
        (true, _) => escaped_json(&format!("{:#}", document(plan, code))),
        (false, Verbosity::Quiet) => {
            for finding in plan.failures() {
                fail(&failure_line(finding));
            }
            return ExitCode::from(code);
        }
        (false, _) => text(plan, code),
    };
    match super::print(&text, "") {
        ExitCode::SUCCESS => ExitCode::from(code),
        failure => failure,
    }
}

fn text(plan: &DeploymentPlan, code: u8) -> String {
    let mut table = Table::new(["", "RESOURCE", "CHANGE", "IMAGE", "PLATFORMS", "TO COPY", "TIME"]);
    for image in &plan.images {
        table.add(row(image));
    }
    let columns = terminal_columns().unwrap_or(usize::MAX);
    let mut rows = if plan.images.is_empty() { Vec::new() } else { table.lines(columns) }.into_iter();
    let header = rows.next();
    let failures = plan.failures().map(|finding| format!("! {}", failure_line(finding)));
    let meaning = match (code, plan.not_checked().next()) {
        (0, None) => "nothing would fail",
        (0, Some(_)) => "no failure was found, but not everything was checked",
        _ => "the deployment would fail",
    };
    let lines = failures
        .chain(plan.images.iter().filter_map(clean_up_line))
        .chain(not_checked_lines(plan))
        .chain([summary_line(plan)])
        .chain(pulls_line(plan))
        .chain([format!("exit code {code}: {meaning}")]);
    let (rows, lines) = (rows.map(|line| for_stdout(&line)), lines.map(|line| for_stdout(&line)));
    header.into_iter().chain(rows).chain(settings_lines(plan)).chain(lines).collect::<Vec<_>>().join("\n")
}

/// Returns a patch for the settings of each changed image.
fn settings_lines(plan: &DeploymentPlan) -> impl Iterator<Item = String> {
    let style = patch_style();
    plan.images.iter().flat_map(move |image| {
        let changes = image.customized.as_ref().map(SettingsChange::all).unwrap_or_default();
        changes.into_iter().map(move |change| change.diff(&name(image), style).trim_end().to_owned())
    })
}

/// Returns the logical ID, or the place in a list.
fn name(image: &ImagePlan) -> String {
    image.resource.clone().unwrap_or_else(|| format!("{}:{}", image.file, image.line))
}

fn row(image: &ImagePlan) -> [String; 7] {
    let (symbol, word) = state(image);
    let change = image.change.as_ref();
    let bytes = change.map(|change| change.bytes).filter(|bytes| *bytes > 0);
    [
        symbol.to_owned(),
        name(image),
        word.to_owned(),
        image.source.as_ref().map(short_reference).unwrap_or_default(),
        change.map(|change| platforms(&change.platforms)).unwrap_or_default(),
        bytes.map(byte_size).unwrap_or_default(),
        bytes.and(image.seconds()).map(duration).unwrap_or_default(),
    ]
}

/// Returns the symbol and the word of an image. With a deployed stack, this is its event.
fn state(image: &ImagePlan) -> (&'static str, &'static str) {
    match &image.event {
        _ if image.fails() => return ("!", "failed"),
        Some(Event::New) => return ("+", "new"),
        Some(Event::InPlace) => return ("~", "in place"),
        Some(Event::Replaced { .. }) => return ("~", "replaced"),
        Some(Event::None) => return ("=", "no event"),
        Some(Event::Deleted { .. }) => return ("-", "deleted"),
        Some(Event::Unknown) | None => {}
    }
    match image.change.as_ref().map(|change| &change.kind) {
        None => ("?", "unknown"),
        Some(ChangeKind::Unchanged) => ("=", "unchanged"),
        Some(ChangeKind::New) => ("+", "new"),
        Some(ChangeKind::Moved { .. }) => ("~", "moved"),
        Some(ChangeKind::Repaired) => ("~", "repaired"),
    }
}

/// Returns the reference without Docker Hub's name, and without its digest if it has a tag.
fn short_reference(reference: &Reference) -> String {
    let name = reference.repository.to_string();
    let short = name.strip_prefix("docker.io/").unwrap_or(&name);
    let short = short.strip_prefix("library/").unwrap_or(short);
    match (&reference.tag, &reference.digest) {
        (Some(tag), _) => format!("{short}:{tag}"),
        (None, Some(digest)) => format!("{short}@{}", digest.short()),
        (None, None) => short.to_owned(),
    }
}

fn platforms(all: &[Platform]) -> String {
    match all {
        [] => String::new(),
        [one] => one.to_string(),
        several => format!("{} platforms", several.len()),
    }
}

fn duration(seconds: u64) -> String {
    if seconds < 120 { format!("{seconds} s") } else { format!("{} min", seconds.div_ceil(60)) }
}

fn failure_line(finding: &Finding) -> String {
    let code = finding.code.map(|code| format!(" ({code})")).unwrap_or_default();
    let resource = finding.resource.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
    format!("{}:{}: {resource}{}{code}", finding.file, finding.line, finding.text)
}

/// Returns a line about the image that the clean-up of the stack deletes.
fn clean_up_line(image: &ImagePlan) -> Option<String> {
    let (Event::Replaced { previous, is_kept } | Event::Deleted { previous, is_kept }) =
        image.event.as_ref()?
    else {
        return None;
    };
    let name = image.resource.as_deref().unwrap_or_default();
    let effect = match is_kept {
        true => format!("{previous} is kept, because of the policy of the resource"),
        false => format!("the clean-up deletes {previous}, unless another resource uses it"),
    };
    Some(format!("- {}:{}: {name}: {effect}", image.file, image.line))
}

/// Returns a line for each reason, with the first place and the number of others.
fn not_checked_lines(plan: &DeploymentPlan) -> Vec<String> {
    let mut groups: Vec<(&Finding, usize)> = Vec::new();
    for finding in plan.not_checked() {
        let same =
            groups.iter_mut().find(|(first, _)| first.file == finding.file && first.text == finding.text);
        match same {
            Some((_, others)) => *others += 1,
            None => groups.push((finding, 0)),
        }
    }
    let line = |(finding, others): &(&Finding, usize)| {
        let resource = finding.resource.as_deref().unwrap_or_default();
        let others = match others {
            0 => String::new(),
            others => format!(" and {others} more"),
        };
        let separator = if resource.is_empty() { "" } else { ": " };
        let text = finding.text.trim_end_matches('.');
        format!("? {}:{}: {resource}{others}{separator}not checked: {text}", finding.file, finding.line)
    };
    groups.iter().map(line).collect()
}

fn summary_line(plan: &DeploymentPlan) -> String {
    let summary = Summary::of(plan);
    let images = image_count(summary.images);
    let mut line =
        format!("{images}: {} new, {} moved, {} unchanged", summary.new, summary.moved, summary.unchanged);
    line += &format!(", {} failed", summary.failed);
    if summary.deleted > 0 {
        line += &format!(", {} deleted", summary.deleted);
    }
    if summary.unknown > 0 {
        line += &format!(", {} unknown", summary.unknown);
    }
    format!("{line}; {} to copy", byte_size(summary.bytes))
}

/// The copy reads the same manifests as the plan.
fn pulls_line(plan: &DeploymentPlan) -> Option<String> {
    let pulls: u64 = plan.images.iter().map(|image| image.pulls).sum();
    let limit = rate_limit(plan)?;
    let needed = if pulls == 1 { "1 pull needed".into() } else { format!("{pulls} pulls needed") };
    Some(format!("Docker Hub: {needed}, {limit}"))
}

/// Returns the limit with the fewest remaining pulls.
fn rate_limit(plan: &DeploymentPlan) -> Option<&RateLimit> {
    let limits = plan.images.iter().filter_map(|image| image.rate_limit.as_ref());
    limits.filter(|limit| limit.remaining.is_some()).min_by_key(|limit| limit.remaining)
}

impl DeploymentPlan {
    /// Returns all failures: of the images in the order of the files, then the others.
    fn failures(&self) -> impl Iterator<Item = &Finding> {
        self.findings().flat_map(|findings| &findings.failures)
    }

    fn not_checked(&self) -> impl Iterator<Item = &Finding> {
        self.findings().flat_map(|findings| &findings.not_checked)
    }

    fn findings(&self) -> impl Iterator<Item = &Findings> {
        self.images.iter().map(|image| &image.findings).chain([&self.others])
    }

    fn fails(&self) -> bool {
        self.failures().next().is_some()
    }
}
