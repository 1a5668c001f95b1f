//! Writes manifests by digest. If a destination requires a non-distributable layer, the error names it.

use std::collections::HashSet;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::copy::destination::Destination;
use crate::copy::planning::Plan;
use crate::copy::reporting::{Error, Failure, Operation};
use crate::oci::{Digest, Manifest};
use crate::registry::{self, ManifestId};

/// Concurrent writes. ECR allows ten per second and Region, for all copies together.
const CONCURRENT_WRITES: usize = 4;

/// Writes the child manifests of a plan, children before the manifests that refer to them. `skipped` are the
/// blobs that the destination lacks.
///
/// # Errors
/// If the destination rejects a manifest.
pub(super) async fn write_children(
    plan: &Plan,
    destination: &Destination,
    skipped: &[Digest],
) -> Result<(), Error> {
    let mut remaining: Vec<&Manifest> = plan.manifests.iter().collect();
    while !remaining.is_empty() {
        let unwritten: HashSet<&Digest> = remaining.iter().map(|manifest| &manifest.digest).collect();
        let has_unwritten_child =
            |manifest: &Manifest| manifest.children().iter().any(|child| unwritten.contains(&child.digest));
        let (later, level): (Vec<&Manifest>, Vec<&Manifest>) =
            remaining.iter().copied().partition(|manifest| has_unwritten_child(manifest));
        // Maps positions, because the compiler does not accept a closure over references as `Send`
        // (https://github.com/rust-lang/rust/issues/102211).
        stream::iter(0..level.len())
            .map(|position| write_by_digest(plan, level[position], destination, skipped))
            .buffer_unordered(CONCURRENT_WRITES)
            .try_collect::<()>()
            .await?;
        remaining = later;
    }
    Ok(())
}

/// Writes a manifest of a plan by its digest.
///
/// # Errors
/// If the destination rejects it.
pub(super) async fn write_by_digest(
    plan: &Plan,
    manifest: &Manifest,
    destination: &Destination,
    skipped: &[Digest],
) -> Result<(), Error> {
    let id = ManifestId::Digest(manifest.digest.clone());
    let written = destination.repository.put_manifest(manifest, &id).await;
    written.map_err(|cause| rejection(plan, manifest, skipped, Operation::WriteManifest, cause))?;
    tracing::debug!(digest = %manifest.digest, "manifest written");
    Ok(())
}

/// Returns the failure to write a manifest. If the manifest has a skipped layer, the failure names it.
pub(super) fn rejection(
    plan: &Plan,
    manifest: &Manifest,
    skipped: &[Digest],
    operation: Operation,
    cause: registry::Error,
) -> Error {
    let is_rejected = matches!(&cause, registry::Error::ErrorResponse(response)
        if (400..500).contains(&response.status) && !matches!(response.status, 401 | 403 | 408 | 429));
    match manifest.blobs().find(|blob| skipped.contains(&blob.digest)) {
        Some(layer) if is_rejected => Box::new(Failure::ForeignLayer {
            subject: plan.request.destination_name(),
            layer: layer.digest.clone(),
            platform: plan.platform_of(&layer.digest).cloned(),
            cause,
        }),
        _ => plan.request.destination_failure(operation, cause),
    }
}
