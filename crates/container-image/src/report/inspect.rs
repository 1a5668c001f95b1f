//! Prints an inspected image: lines for a terminal with 80 columns, or a JSON document.

use std::collections::BTreeMap;
use std::time::SystemTime;

use image_copy::oci::Platform;
use image_copy::text::{SanitizedText, escaped_json};
use image_copy_aws::{ImageScan, Severity};
use jiff::{Timestamp, Unit};
use serde_json::{Value, json};

use super::byte_size;
use crate::commands::inspect::{EcrState, HistoryEntry, Inspection, Location, PlatformImage, Referrer};

/// Width of a terminal.
const COLUMNS: usize = 80;

/// Width of the labels. A digest with its label fills a line.
const LABEL: usize = 9;

/// Maximum width of the column with platforms.
const MAX_PLATFORM_CHARS: usize = 34;

/// Width of a size, such as `1023.9 MiB`.
const SIZE: usize = 10;

/// 2013-03-20, when Docker was published. Builds with a fixed time use an earlier one, such as 1980.
const FIRST_BUILD: i64 = 1_363_737_600;

/// Formats an image for a terminal.
pub(crate) fn text(inspection: &Inspection, with_history: bool) -> String {
    let Inspection { reference, image, referrers, ecr, usage } = inspection;
    let mut lines = vec![
        line("image", &reference.to_string()),
        line("digest", image.digest.as_str()),
        line("type", &image.media_type),
    ];
    if let Some(created) = image.config.as_ref().and_then(|config| config.created) {
        let platform = image.main().and_then(|main| main.platform.as_ref()).filter(|_| image.is_index);
        let platform = platform.map(|platform| format!(", {platform}")).unwrap_or_default();
        lines.push(line("created", &format!("{}{platform}", with_age(created))));
    }
    lines.extend(ecr.iter().flat_map(|ecr| ecr_lines(inspection, ecr)));
    lines.push(line("pulls", &pulls(inspection)));
    if let Some(limit) = &usage.rate_limit {
        lines.push(line("", &limit.to_string()));
    }
    lines.extend(platform_lines(&image.platforms));
    lines.extend(referrer_lines(inspection, referrers));
    if with_history {
        lines.extend(history_lines(inspection));
    }
    lines.join("\n")
}

fn line(label: &str, value: &str) -> String {
    format!("{label:LABEL$}{value}")
}

/// `2026-11-20T08:11:05Z (9 days ago)`
fn with_age(time: Timestamp) -> String {
    let shown = time.round(Unit::Second).unwrap_or(time);
    match time.as_second() {
        ..FIRST_BUILD => format!("{shown} (not a build time)"),
        second => format!("{shown} ({})", age(Timestamp::now().as_second() - second)),
    }
}

/// Formats an age in seconds in its largest unit. Years start at two, so that the number is precise enough.
fn age(seconds: i64) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    const YEAR: i64 = 365 * DAY;
    let (number, unit) = match seconds {
        // The clocks of builders can be ahead.
        ..MINUTE => return "now".into(),
        MINUTE..HOUR => (seconds / MINUTE, "minute"),
        HOUR..DAY => (seconds / HOUR, "hour"),
        _ if seconds < 2 * YEAR => (seconds / DAY, "day"),
        _ => (seconds / YEAR, "year"),
    };
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {unit}{plural} ago")
}

fn pulls(inspection: &Inspection) -> String {
    match inspection.usage.manifest_gets {
        1 => "1 manifest was read".into(),
        several => format!("{several} manifests were read"),
    }
}

fn platform_lines(images: &[PlatformImage]) -> Vec<String> {
    let names: Vec<String> = images.iter().map(|image| platform_name(image.platform.as_ref())).collect();
    let widest = names.iter().map(String::len).max().unwrap_or_default();
    let width = widest.clamp("platform".len(), MAX_PLATFORM_CHARS);
    let row = |name: &str, size: &str, layers: &str, digest: &str| {
        format!("{name:width$}  {size:>SIZE$}  {layers:>6}  {digest}")
    };
    let mut lines = vec![String::new(), row("platform", "size", "layers", "digest")];
    lines.extend(images.iter().zip(names).map(|(image, name)| {
        let (size, layers) = match &image.sizes {
            Some(sizes) => (byte_size(sizes.total), sizes.layers.len().to_string()),
            None => ("-".into(), "-".into()),
        };
        row(&name, &size, &layers, image.digest.short())
    }));
    if images.is_empty() { Vec::new() } else { lines }
}

/// Returns the platform, with the version of Windows.
fn platform_name(platform: Option<&Platform>) -> String {
    let Some(platform) = platform else { return "-".into() };
    match &platform.os_version {
        Some(version) => format!("{platform} {version}"),
        None => platform.to_string(),
    }
}

fn referrer_lines(inspection: &Inspection, referrers: &[Referrer]) -> Vec<String> {
    if referrers.is_empty() {
        return vec![String::new(), "no signatures, attestations or other referrers".into()];
    }
    let row = |kind: &str, digest: &str, origin: &str| format!("{kind:11}  {digest:19}  {origin}");
    let mut lines = vec![String::new(), row("referrer", "digest", "origin")];
    lines.extend(referrers.iter().map(|referrer| {
        let Referrer { kind, digest, subject, location } = referrer;
        let of = match inspection.image.platform_of(subject).filter(|_| inspection.image.is_index) {
            Some(platform) => format!(", for {platform}"),
            None => String::new(),
        };
        let origin = match location {
            Location::Index => format!("in the index{of}"),
            Location::CosignTag(_) => format!("tag of cosign{of}"),
            Location::List { artifact_type } => {
                format!("{}{of}", artifact_type.as_deref().unwrap_or("unknown type"))
            }
        };
        let room = COLUMNS - row("", "", "").chars().count();
        row(kind, digest.short(), &SanitizedText::new(&origin, room - 1))
    }));
    lines
}

fn history_lines(inspection: &Inspection) -> Vec<String> {
    let Some(config) = &inspection.image.config else { return Vec::new() };
    if config.history.is_empty() {
        return vec![String::new(), "the image has no history".into()];
    }
    let mut lines = vec![String::new(), format!("{:>SIZE$}  step", "size")];
    let sizes = step_sizes(inspection);
    lines.extend(config.history.iter().zip(sizes).map(|(entry, size)| {
        let size = match (entry.has_layer, size) {
            (true, Some(size)) => byte_size(size),
            _ => "-".into(),
        };
        let room = COLUMNS - SIZE - 2;
        format!("{size:>SIZE$}  {}", SanitizedText::new(&entry.step, room - 1))
    }));
    lines
}

/// Returns the size of the layer of each build step. All are `None` if steps and layers do not match.
fn step_sizes(inspection: &Inspection) -> Vec<Option<u64>> {
    let history = inspection.image.config.as_ref().map_or(&[][..], |config| &config.history[..]);
    let sizes = inspection.image.main().and_then(|main| main.sizes.as_ref());
    let sizes = sizes.map_or(&[][..], |sizes| &sizes.layers[..]);
    let has_layer = |entry: &&HistoryEntry| entry.has_layer;
    if history.iter().filter(has_layer).count() != sizes.len() {
        return vec![None; history.len()];
    }
    let mut sizes = sizes.iter().copied();
    history.iter().map(|entry| if entry.has_layer { sizes.next() } else { None }).collect()
}

fn ecr_lines(inspection: &Inspection, ecr: &EcrState) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(details) = &ecr.details {
        let times = [("pushed", details.pushed_at), ("pulled", details.last_pulled_at)];
        let times = times.into_iter().filter_map(|(label, time)| Some((label, timestamp(time)?)));
        lines.extend(times.map(|(label, time)| line(label, &with_age(time))));
        if let Some(status) = details.status.as_deref().filter(|status| *status != "ACTIVE") {
            lines.push(line("status", status));
        }
    }
    if let Some(scan) = &ecr.scan {
        let platform = inspection.image.main().and_then(|main| main.platform.as_ref());
        let platform = platform.filter(|_| inspection.image.is_index);
        let platform = platform.map(|platform| format!(", {platform}")).unwrap_or_default();
        lines.push(line("scan", &format!("{}{platform}", scan_text(scan))));
    }
    let tag = match ecr.tag_is_immutable {
        Some(true) => Some("the tag is immutable"),
        Some(false) => Some("the tag can be moved"),
        None => None,
    };
    let policy = ecr.lifecycle_rules.map(|rules| match rules {
        0 => "no lifecycle policy".to_owned(),
        1 => "lifecycle policy with 1 rule".to_owned(),
        several => format!("lifecycle policy with {several} rules"),
    });
    let settings: Vec<String> = tag.map(ToOwned::to_owned).into_iter().chain(policy).collect();
    if !settings.is_empty() {
        lines.push(line("settings", &settings.join(", ")));
    }
    lines
}

fn timestamp(time: Option<SystemTime>) -> Option<Timestamp> {
    Timestamp::try_from(time?).ok()
}

/// `2 critical, 5 low`
fn scan_text(scan: &ImageScan) -> String {
    match scan {
        ImageScan::Missing => "none".into(),
        ImageScan::InProgress => "in progress".into(),
        ImageScan::Complete(findings) if findings.is_empty() => "no findings".into(),
        ImageScan::Complete(findings) => {
            let texts =
                findings.iter().map(|(severity, count)| format!("{count} {}", severity_name(*severity)));
            texts.collect::<Vec<_>>().join(", ")
        }
        ImageScan::Unavailable { status, .. } => status.clone(),
    }
}

pub(super) fn severity_name(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::High => "high",
        Severity::Medium => "medium",
        Severity::Low => "low",
        Severity::Informational => "informational",
        Severity::Undefined => "undefined",
    }
}

/// Formats an image as JSON.
pub(crate) fn document(inspection: &Inspection, with_history: bool) -> String {
    let Inspection { reference, image, referrers, ecr, usage } = inspection;
    let main = image.main().and_then(|main| main.platform.as_ref());
    let config = image.config.as_ref();
    let mut document = json!({
        "reference": reference.to_string(),
        "digest": image.digest.to_string(),
        "media_type": image.media_type,
        "created": config.and_then(|config| config.created).map(|time| time.to_string()),
        "created_platform": main.map(ToString::to_string),
        "platforms": image.platforms.iter().map(platform_value).collect::<Vec<_>>(),
        "referrers": referrers.iter().map(referrer_value).collect::<Vec<_>>(),
        "ecr": ecr.as_ref().map(ecr_value),
        "pulls": usage.manifest_gets,
        "pulls_left": usage.rate_limit.as_ref().and_then(|limit| limit.remaining),
    });
    if with_history {
        let entries = config.map_or(&[][..], |config| &config.history[..]).iter();
        let history = entries.zip(step_sizes(inspection)).map(|(entry, size)| {
            json!({
                "created": entry.created.map(|time| time.to_string()),
                "step": entry.step.as_str(),
                "size": size,
            })
        });
        document["history"] = history.collect();
    }
    escaped_json(&format!("{document:#}"))
}

fn platform_value(image: &PlatformImage) -> Value {
    let platform = image.platform.as_ref();
    json!({
        "platform": platform.map(ToString::to_string),
        "os_version": platform.and_then(|platform| platform.os_version.clone()),
        "digest": image.digest.to_string(),
        "size": image.sizes.as_ref().map(|sizes| sizes.total),
        "layers": image.sizes.as_ref().map(|sizes| sizes.layers.len()),
    })
}

fn referrer_value(referrer: &Referrer) -> Value {
    let Referrer { kind, digest, subject, location } = referrer;
    let (tag, artifact_type) = match location {
        Location::Index => (None, None),
        Location::CosignTag(tag) => (Some(tag.as_str()), None),
        Location::List { artifact_type } => (None, artifact_type.as_deref()),
    };
    json!({
        "kind": kind,
        "digest": digest.to_string(),
        "subject": subject.to_string(),
        "in_index": *location == Location::Index,
        "tag": tag,
        "artifact_type": artifact_type,
    })
}

fn ecr_value(ecr: &EcrState) -> Value {
    let details = ecr.details.as_ref();
    let time = |time| timestamp(time).map(|time| time.to_string());
    let scan = ecr.scan.as_ref().map(|scan| match scan {
        ImageScan::Missing => json!({"status": "MISSING"}),
        ImageScan::InProgress => json!({"status": "IN_PROGRESS"}),
        ImageScan::Complete(findings) => {
            let findings = findings.iter().map(|(severity, count)| (severity_name(*severity), *count));
            json!({"status": "COMPLETE", "findings": findings.collect::<BTreeMap<_, _>>()})
        }
        ImageScan::Unavailable { status, description } => {
            json!({"status": status, "description": description.as_str()})
        }
    });
    json!({
        "pushed": details.and_then(|details| time(details.pushed_at)),
        "pulled": details.and_then(|details| time(details.last_pulled_at)),
        "status": details.and_then(|details| details.status.clone()),
        "tags": details.map(|details| details.tags.clone()),
        "scan": scan,
        "tag_is_immutable": ecr.tag_is_immutable,
        "lifecycle_rules": ecr.lifecycle_rules,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_ages() {
        for (seconds, expected) in [
            (-5, "now"),
            (59, "now"),
            (60, "1 minute ago"),
            (7199, "1 hour ago"),
            (2 * 86_400 - 1, "1 day ago"),
            (700 * 86_400, "700 days ago"),
            (800 * 86_400, "2 years ago"),
        ] {
            assert_eq!(age(seconds), expected);
        }
    }
}
