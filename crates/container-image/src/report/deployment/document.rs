//! The JSON document of a plan.

use image_copy::copy::CustomizedContent;
use serde_json::{Value, json};

use super::summary::Summary;
use super::{SettingsChange, name, rate_limit, state};
use crate::commands::plan::{DeploymentPlan, Event, Finding, ImagePlan};
use crate::edit::PatchStyle;

/// Returns an object for each image, the other findings and a summary.
pub(super) fn document(plan: &DeploymentPlan, code: u8) -> Value {
    let summary = Summary::of(plan);
    let pulls: u64 = plan.images.iter().map(|image| image.pulls).sum();
    json!({
        "images": plan.images.iter().map(image_value).collect::<Vec<_>>(),
        "failures": values(&plan.others.failures),
        "not_checked": values(&plan.others.not_checked),
        "summary": {
            "images": summary.images,
            "new": summary.new,
            "moved": summary.moved,
            "unchanged": summary.unchanged,
            "failed": summary.failed,
            "deleted": summary.deleted,
            "unknown": summary.unknown,
            "bytes": summary.bytes,
            "pulls": pulls,
            "pulls_left": rate_limit(plan).and_then(|limit| limit.remaining),
            "exit_code": code,
        },
    })
}

fn image_value(image: &ImagePlan) -> Value {
    let change = image.change.as_ref();
    json!({
        "path": image.file,
        "line": image.line,
        "resource": image.resource,
        "status": match state(image).1 {
            "in place" => "updated",
            "no event" => "unchanged",
            other => other,
        },
        "event": image.event.as_ref().map(event_name),
        "previous_destination": match &image.event {
            Some(Event::Replaced { previous, .. } | Event::Deleted { previous, .. }) => Some(previous),
            _ => None,
        },
        "source": image.source.as_ref().map(ToString::to_string),
        "destination": image.destination,
        "digest": change.map(|change| change.digest.to_string()),
        "previous_digest": change.and_then(|change| change.kind.previous()).map(ToString::to_string),
        "platforms": change.map(|change| change.platforms.iter().map(ToString::to_string).collect::<Vec<_>>()),
        "config_changes": image.customized.as_ref().map(|content| settings_changes(image, content)),
        "size": change.and_then(|change| change.size),
        "bytes": change.map(|change| change.bytes),
        "seconds": image.seconds(),
        "pulls": image.pulls,
        "failures": values(&image.findings.failures),
        "not_checked": values(&image.findings.not_checked),
    })
}

fn settings_changes(image: &ImagePlan, content: &CustomizedContent) -> Vec<Value> {
    let value = |change: SettingsChange<'_>| {
        json!({
            "platforms": change.platforms.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "diff": change.diff(&name(image), PatchStyle::Plain),
        })
    };
    SettingsChange::all(content).into_iter().map(value).collect()
}

fn event_name(event: &Event) -> &'static str {
    match event {
        Event::New => "new",
        Event::InPlace => "in_place",
        Event::Replaced { .. } => "replaced",
        Event::None => "no_event",
        Event::Deleted { .. } => "deleted",
        Event::Unknown => "unknown",
    }
}

fn values(findings: &[Finding]) -> Vec<Value> {
    let value = |finding: &Finding| {
        json!({
            "path": finding.file,
            "line": finding.line,
            "resource": finding.resource,
            "message": finding.text,
            "code": finding.code,
        })
    };
    findings.iter().map(value).collect()
}
