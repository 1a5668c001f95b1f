//! Subject and text of the notification about a run.

use image_copy_aws::ObjectLocation;

use super::report::{RunReport, Summary};
use super::results::{Change, ImageResult};

/// Maximum length of a subject. SNS accepts fewer than 100 ASCII characters
/// (<https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>).
const MAX_SUBJECT_CHARS: usize = 99;

/// Maximum size of a text in bytes. SNS accepts 256 KiB, and a state of Step Functions has 256 KiB for all its data
/// (<https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html>).
const MAX_MESSAGE_BYTES: usize = 100_000;

/// Size reserved for the last line in bytes.
const LAST_LINE_BYTES: usize = 100;

/// Length of a digest in texts, with its algorithm.
const DIGEST_CHARS: usize = "sha256:".len() + 12;

/// Returns the subject, such as `refresh/images: 2 moved, 5 failed`.
pub(super) fn subject(report: &RunReport) -> String {
    let Summary { new, moved, deleted, kept, failed, .. } = report.summary;
    let counts = [(moved, "moved"), (new, "new"), (deleted, "deleted"), (kept, "kept"), (failed, "failed")];
    let counts: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, name)| format!("{count} {name}"))
        .collect();
    let counts = if counts.is_empty() { "nothing changed".into() } else { counts.join(", ") };
    let room = MAX_SUBJECT_CHARS.saturating_sub(counts.len() + 2);
    let owner = &report.owner;
    let owner = if owner.len() <= room { owner.clone() } else { format!("{}...", &owner[..room - 3]) };
    format!("{owner}: {counts}")
}

/// Returns the text: the counts, the failures, and the images that changed.
pub(super) fn message(report: &RunReport, location: &ObjectLocation) -> String {
    let RunReport { execution, started, finished, summary, failures, .. } = report;
    let Summary { images, new, moved, unchanged, waiting, deleted, kept, failed, bytes_copied, pulls } =
        summary;
    let mut text = format!(
        "{images} images: {moved} moved, {new} new, {unchanged} unchanged, {waiting} waiting, {failed} failed.\n\
         {deleted} tags deleted, {kept} kept.\n\
         {:.1} MiB copied, {pulls} manifests read from the sources.\n\
         Started {started}, finished {finished}.\n\
         Execution: {execution}\n\
         Report: {location}\n",
        *bytes_copied as f64 / f64::from(1 << 20)
    );
    let failures = failures.iter().map(|failure| format!("{}: {}", failure.source, failure.message));
    let mut lines = section("Failed", failures);
    for (change, title) in [
        (Change::Moved, "Moved"),
        (Change::New, "New"),
        (Change::Deleted, "Deleted"),
        (Change::Kept, "Kept"),
        (Change::Waiting, "Waiting"),
    ] {
        lines.extend(section(title, report.with_change(change).map(line)));
    }
    let count = lines.len();
    for (position, line) in lines.into_iter().enumerate() {
        if text.len() + line.len() > MAX_MESSAGE_BYTES - LAST_LINE_BYTES {
            text += &format!("\n{} more lines are in the report.\n", count - position);
            break;
        }
        text += &line;
    }
    text
}

/// Returns the lines of a section, or none if it is empty.
fn section(title: &str, lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut section: Vec<String> = lines.map(|line| format!("- {line}\n")).collect();
    if !section.is_empty() {
        section.insert(0, format!("\n{title}:\n"));
    }
    section
}

fn line(image: &ImageResult) -> String {
    let ImageResult { image_reference, digest, previous_digest, source_digest, waits_until, message, .. } =
        image;
    match image.change {
        Change::Moved => format!("{image_reference}: {} -> {}", short(previous_digest), short(digest)),
        Change::New => format!("{image_reference}: {}", short(digest)),
        Change::Waiting => format!("{image_reference}: {} until {waits_until}", short(source_digest)),
        Change::Unchanged | Change::Deleted | Change::Kept => format!("{image_reference}: {message}"),
    }
}

fn short(digest: &str) -> &str {
    digest.get(..DIGEST_CHARS).unwrap_or(digest)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::refresh::report::tests::{copied, failed, report};

    #[test]
    fn a_subject_names_the_owner_and_what_changed() {
        let images = || vec![copied("a:1", "moved"), copied("b:1", "moved"), copied("c:1", "unchanged")];
        assert_eq!(subject(&report(images(), vec![failed("z:1")])), "refresh/images: 2 moved, 1 failed");
        assert_eq!(subject(&report(Vec::new(), Vec::new())), "refresh/images: nothing changed");
        let mut long = report(images(), Vec::new());
        long.owner = "o".repeat(256);
        let subject = subject(&long);
        assert_eq!(
            (subject.len(), subject.ends_with("o...: 2 moved")),
            (MAX_SUBJECT_CHARS, true),
            "{subject}"
        );
    }

    #[test]
    fn a_text_lists_failures_and_changes() {
        let location: ObjectLocation = "s3://runs/a/report.json".parse().unwrap();
        let mut waiting = copied("w:1", "waiting");
        waiting["SourceDigest"] = json!(format!("sha256:{}", "c".repeat(64)));
        waiting["WaitsUntil"] = json!("2026-11-23T03:00:00Z");
        let kept = json!({"ImageReference": "r/k:1", "Change": "kept", "Message": "Another owner needs it."});
        let images =
            vec![copied("m:1", "moved"), copied("n:1", "new"), copied("u:1", "unchanged"), waiting, kept];
        let text = message(&report(images, vec![failed("z:1")]), &location);
        let expected = "5 images: 1 moved, 1 new, 1 unchanged, 1 waiting, 1 failed.
0 tags deleted, 1 kept.
0.0 MiB copied, 8 manifests read from the sources.
Started 2026-11-21T03:00:00Z, finished 2026-11-21T03:05:00Z.
Execution: arn:aws:states:eu-west-1:123456789012:execution:refresh:1
Report: s3://runs/a/report.json

Failed:
- z:1: Image z:1 was not found.

Moved:
- r/m:1: sha256:aaaaaaaaaaaa -> sha256:bbbbbbbbbbbb

New:
- r/n:1: sha256:bbbbbbbbbbbb

Kept:
- r/k:1: Another owner needs it.

Waiting:
- r/w:1: sha256:cccccccccccc until 2026-11-23T03:00:00Z
";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_long_text_ends_with_the_number_of_missing_lines() {
        let location: ObjectLocation = "s3://runs/a/report.json".parse().unwrap();
        let failures = (0..5_000).map(|number| failed(&format!("image:{number}"))).collect();
        let text = message(&report(Vec::new(), failures), &location);
        assert!(text.len() <= MAX_MESSAGE_BYTES, "{}", text.len());
        let shown = text.lines().filter(|line| line.starts_with("- ")).count();
        assert!(text.ends_with(&format!("\n{} more lines are in the report.\n", 5_000 - shown)), "{shown}");
    }
}
