//! Writes manifests by digest, and names the layer if a destination requires one that may not be
//! distributed.

use std::collections::HashSet;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::copy::destination::Destination;
use crate::copy::planning::Plan;
use crate::copy::reporting::{Error, Failure, Operation};
use crate::oci::{Digest, Manifest};
use crate::registry::{self, ManifestId};

/// Concurrent writes. ECR allows ten a second for each Region, which other copies share.
const CONCURRENT_WRITES: usize = 4;

/// Writes the child manifests of a plan, each after those that it refers to. `skipped` are the blobs that
/// the destination lacks.
///
/// # Errors
/// If the destination rejects a manifest.
pub(super) async fn write_children(
    plan: &Plan,
    destination: &Destination,
    skipped: &[Digest],
) -> Result<(), Error> {
    let mut left: Vec<&Manifest> = plan.manifests.iter().collect();
    while !left.is_empty() {
        let unwritten: HashSet<&Digest> = left.iter().map(|manifest| &manifest.digest).collect();
        let waits =
            |manifest: &Manifest| manifest.children().iter().any(|child| unwritten.contains(&child.digest));
        let (later, level): (Vec<&Manifest>, Vec<&Manifest>) =
            left.iter().copied().partition(|manifest| waits(manifest));
        // By position: a closure over references makes a future that is not `Send` to the compiler
        // (https://github.com/rust-lang/rust/issues/102211).
        stream::iter(0..level.len())
            .map(|position| write_by_digest(plan, level[position], destination, skipped))
            .buffer_unordered(CONCURRENT_WRITES)
            .try_collect::<()>()
            .await?;
        left = later;
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

/// Returns the failure to write a manifest. Names the skipped layer if the manifest refers to one.
pub(super) fn rejection(
    plan: &Plan,
    manifest: &Manifest,
    skipped: &[Digest],
    operation: Operation,
    cause: registry::Error,
) -> Error {
    let is_rejected = matches!(&cause, registry::Error::ErrorResponse(refusal)
        if (400..500).contains(&refusal.status) && !matches!(refusal.status, 401 | 403 | 408 | 429));
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
