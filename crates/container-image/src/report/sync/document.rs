//! The JSON document of `sync`.

use std::time::Duration;

use image_copy_aws::{Encryption, TagMutability};
use serde_json::{Value, json};

use super::{SyncReport, SyncSummary, sync_hint};
use crate::args::ConnectionArgs;
use crate::commands::sync::{ChangeKind, ImageResult, Totals};
use crate::creation::CreatedRepository;

/// Returns the document with all results.
pub(super) fn document(report: &SyncReport<'_>, summary: &SyncSummary) -> Value {
    let images: Vec<Value> =
        report.results.iter().flatten().map(|result| value(result, report.options)).collect();
    let Totals { unchanged, new, moved, failed, bytes, pulls, rate_limit } = &report.totals;
    json!({
        "images": images,
        "repositories": summary.repositories.iter().map(repository_value).collect::<Vec<_>>(),
        "summary": {
            "images": report.results.len(),
            "new": new,
            "moved": moved,
            "unchanged": unchanged,
            "failed": failed,
            "bytes": bytes,
            "seconds": rounded(summary.elapsed),
            "pulls": pulls,
            "pulls_left": rate_limit.as_ref().and_then(|limit| limit.remaining),
            "exit_code": summary.code,
        },
    })
}

fn value(result: &ImageResult<'_>, options: &ConnectionArgs) -> Value {
    let request = &result.image.request;
    let (path, line) = result.image.origin.clone().unzip();
    let change = result.change.as_ref().ok();
    let failure = result.change.as_ref().err();
    json!({
        "source": request.source.to_string(),
        "destination": request.destination_name(),
        "path": path,
        "line": line,
        "status": match change.map(|change| &change.kind) {
            Some(ChangeKind::Unchanged) => "unchanged",
            Some(ChangeKind::New) => "new",
            Some(ChangeKind::Moved { .. }) => "moved",
            Some(ChangeKind::Repaired) => "repaired",
            None => "failed",
        },
        "digest": change.map(|change| change.digest.to_string()),
        "uri": change.map(|change| request.destination.with_digest(change.digest.clone()).to_string()),
        "previous_digest": change.and_then(|change| change.kind.previous()).map(ToString::to_string),
        "platforms": change.map(|change| change.platforms.iter().map(ToString::to_string).collect::<Vec<_>>()),
        "customized": request.customization.is_some(),
        "attestations_left_out": change.map(|change| change.attestations_left_out),
        "size": change.and_then(|change| change.size),
        "bytes": change.map(|change| change.bytes),
        "seconds": rounded(result.elapsed),
        "pulls": result.pulls,
        "warning": change.and_then(|change| change.warning.clone()),
        "message": failure
            .map(|failure| format!("{} {}", failure.summary(), sync_hint(failure, options, result.image))),
        "code": failure.map(|failure| failure.code()),
    })
}

/// Returns a created repository with its settings.
fn repository_value(CreatedRepository { name, spec, template, .. }: &CreatedRepository) -> Value {
    let (mutability, except) = match &spec.mutability {
        TagMutability::Mutable { except } => ("mutable", except),
        TagMutability::Immutable { except } => ("immutable", except),
    };
    let (encryption, key) = match &spec.encryption {
        Encryption::Aes256 => ("AES256", None),
        Encryption::Kms(key) => ("KMS", key.as_deref()),
        Encryption::KmsDsse(key) => ("KMS_DSSE", key.as_deref()),
    };
    json!({
        "name": name,
        "creation_template": template,
        "tag_mutability": mutability,
        "tag_exceptions": except,
        "encryption": encryption,
        "kms_key": key,
        "scan_on_push": spec.scan_on_push,
        "has_lifecycle_policy": spec.lifecycle_policy.is_some(),
        "has_repository_policy": spec.repository_policy.is_some(),
        "tags": spec.tags,
    })
}

/// Returns seconds with milliseconds.
fn rounded(elapsed: Duration) -> f64 {
    (elapsed.as_secs_f64() * 1000.0).round() / 1000.0
}
