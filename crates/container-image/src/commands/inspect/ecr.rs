//! The state of an image in private ECR.

use image_copy::copy::{Failure, Inventory as _, Operation, Side};
use image_copy::oci::Reference;
use image_copy::registry::Error;
use image_copy_aws::{EcrRepository, ImageDetails, ImageScan};

use super::image::Image;

/// State of an image and its repository. A value is missing if ECR rejects the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EcrState {
    pub(crate) details: Option<ImageDetails>,
    /// Scan of one image, because ECR does not scan an index.
    pub(crate) scan: Option<ImageScan>,
    /// True if the tag in the reference cannot be moved.
    pub(crate) tag_is_immutable: Option<bool>,
    /// Number of rules in the lifecycle policy. It is 0 without a policy.
    pub(crate) lifecycle_rules: Option<usize>,
}

/// Reads the state with one call for each value. Failed calls are passed to `warn`.
pub(super) async fn read(
    repository: &EcrRepository,
    reference: &Reference,
    image: &Image,
    warn: &impl Fn(&Failure),
) -> EcrState {
    let scanned = image.main().map_or(&image.digest, |main| &main.digest);
    let (details, scan, settings, policy) = tokio::join!(
        repository.image_details(&image.digest),
        repository.image_scan(scanned),
        repository.settings(reference.tag.as_ref()),
        repository.lifecycle_policy(),
    );
    EcrState {
        details: value(details, reference, warn),
        scan: value(scan, reference, warn),
        tag_is_immutable: value(settings, reference, warn).and_then(|settings| settings.tag_is_immutable),
        lifecycle_rules: value(policy, reference, warn).map(|policy| policy.as_deref().map_or(0, rules)),
    }
}

fn value<T>(result: Result<T, Error>, reference: &Reference, warn: &impl Fn(&Failure)) -> Option<T> {
    let warn = |cause| {
        let (side, operation) = (Side::Source, Operation::ReadSettings);
        warn(&Failure::Registry { side, operation, subject: reference.to_string(), cause });
    };
    result.map_err(warn).ok()
}

/// Returns the number of rules of a policy. ECR has checked its text.
fn rules(policy: &str) -> usize {
    let policy: serde_json::Value = serde_json::from_str(policy).unwrap_or_default();
    policy["rules"].as_array().map_or(0, Vec::len)
}
