//! Basic image scans
//! (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-scanning-basic.html>).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::api::now;

use super::error::ApiError;
use super::images;
use super::store::{Repository, RepositoryKey, State};

/// A scan of an image.
#[derive(Clone, Debug)]
pub(super) struct Scan {
    /// Number of findings by severity.
    findings: BTreeMap<String, u64>,
    completed: f64,
    /// True until the first request for the findings.
    in_progress: bool,
}

impl Scan {
    /// Creates a scan that is in progress.
    pub(super) fn new(findings: &[(&str, u64)]) -> Self {
        let findings = findings.iter().map(|(severity, count)| ((*severity).to_owned(), *count)).collect();
        Self { findings, completed: now(), in_progress: true }
    }
}

/// Starts a scan without findings if the repository scans on push. An index is not scanned
/// (<https://github.com/aws/containers-roadmap/issues/1683>).
pub(super) fn scan_on_push(repository: &mut Repository, digest: &str) {
    let is_index = repository.images.get(digest).is_some_and(|image| !image.parsed.children.is_empty());
    if repository.settings.scan_on_push && !is_index {
        repository.scans.entry(digest.to_owned()).or_insert_with(|| Scan::new(&[]));
    }
}

/// Handles `PutImageScanningConfiguration`.
pub(super) fn configure(state: &mut State, key: &RepositoryKey, input: &Value) -> Result<Value, ApiError> {
    let Some(scan_on_push) = input["imageScanningConfiguration"]["scanOnPush"].as_bool() else {
        let message = "Invalid parameter at 'imageScanningConfiguration'";
        return Err(ApiError::new("InvalidParameterException", message));
    };
    state.repository(key)?.settings.scan_on_push = scan_on_push;
    Ok(json!({
        "registryId": key.account,
        "repositoryName": key.repository,
        "imageScanningConfiguration": {"scanOnPush": scan_on_push},
    }))
}

/// Handles `DescribeImageScanFindings`. The list of findings is empty: the emulator knows only their numbers.
pub(super) fn describe(state: &mut State, key: &RepositoryKey, input: &Value) -> Result<Value, ApiError> {
    let repository = state.repository(key)?;
    let id = &input["imageId"];
    let described = |what: &str| {
        format!(
            "{what} '{{imageDigest:'{}', imageTag:'{}'}}' in the repository with name '{}' in the registry with \
             id '{}'",
            id["imageDigest"].as_str().unwrap_or("null"),
            id["imageTag"].as_str().unwrap_or("null"),
            key.repository,
            key.account
        )
    };
    let digest = match images::find(repository, id) {
        Ok(image) => image.manifest.digest.clone(),
        Err(_) => {
            let message = described("The image does not exist: image with");
            return Err(ApiError::new("ImageNotFoundException", message));
        }
    };
    let Some(scan) = repository.scans.get_mut(&digest) else {
        let message = described("Image scan does not exist for the image with");
        return Err(ApiError::new("ScanNotFoundException", message));
    };
    let mut image_id = id.clone();
    image_id["imageDigest"] = json!(digest);
    let mut output = json!({
        "registryId": key.account,
        "repositoryName": key.repository,
        "imageId": image_id,
        "imageScanStatus": {"status": "IN_PROGRESS"},
    });
    if std::mem::take(&mut scan.in_progress) {
        return Ok(output);
    }
    output["imageScanStatus"] =
        json!({"status": "COMPLETE", "description": "The scan was completed successfully."});
    output["imageScanFindings"] = json!({
        "findings": [],
        "findingSeverityCounts": scan.findings,
        "imageScanCompletedAt": scan.completed,
        "vulnerabilitySourceUpdatedAt": scan.completed,
    });
    Ok(output)
}
