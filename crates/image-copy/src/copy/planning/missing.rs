//! Compares an image's blobs with those of the destination.

use std::collections::HashMap;

use crate::copy::destination::Destination;
use crate::copy::reporting::{Error, Operation, Progress};
use crate::copy::request::Request;
use crate::oci::{Descriptor, Digest, Manifest};

/// Returns the blobs that the destination lacks, largest first, and the sums of all blobs.
pub(in crate::copy) async fn missing_blobs(
    request: &Request,
    destination: &Destination,
    manifests: impl Iterator<Item = &Manifest>,
) -> Result<(Vec<Descriptor>, Progress), Error> {
    let all: HashMap<Digest, &Descriptor> =
        manifests.flat_map(Manifest::blobs).map(|blob| (blob.digest.clone(), blob)).collect();
    let digests: Vec<Digest> = all.keys().cloned().collect();
    let held = destination.inventory.blobs(&digests).await;
    let held = held.map_err(|cause| request.destination_failure(Operation::CheckBlobs, cause))?;
    let mut progress = Progress::default();
    let mut missing = Vec::new();
    for blob in all.into_values() {
        progress.blobs += 1;
        progress.bytes = progress.bytes.saturating_add(blob.size);
        if held.contains(&blob.digest) {
            progress.present += 1;
            progress.bytes_present = progress.bytes_present.saturating_add(blob.size);
        } else {
            missing.push(blob.clone());
        }
    }
    missing.sort_unstable_by(|a, b| b.size.cmp(&a.size).then_with(|| a.digest.cmp(&b.digest)));
    Ok((missing, progress))
}
