//! Compares an image's blobs with those of the destination.

use std::collections::HashMap;

use super::manifest_reader::LocatedManifest;
use crate::copy::destination::Destination;
use crate::copy::reporting::{Error, Failure, Operation, Progress, Side};
use crate::copy::request::Request;
use crate::oci::{Descriptor, Digest};
use crate::registry;

/// State of a blob at the destination.
struct BlobState<'a> {
    blob: &'a Descriptor,
    /// True if a manifest at the destination guarantees that the blob exists.
    is_guaranteed: bool,
    /// True if the destination has an image with this blob. It then does not require the blob if the blob is
    /// foreign.
    has_existing_image: bool,
}

/// Returns the blobs to copy, largest first, and the counts of all blobs. A foreign blob is not copied if
/// the destination has an image that contains it.
///
/// # Errors
/// If descriptors contradict each other, or if the destination cannot be read.
pub(in crate::copy) async fn missing_blobs(
    request: &Request,
    destination: &Destination,
    manifests: impl Iterator<Item = &LocatedManifest>,
) -> Result<(Vec<Descriptor>, Progress), Error> {
    let states = blob_states(request, destination, manifests)?;
    let unknown = states.values().filter(|state| !state.is_guaranteed);
    let unknown: Vec<Digest> = unknown.map(|state| state.blob.digest.clone()).collect();
    let existing = destination.inventory.blobs(&unknown).await;
    let existing = existing.map_err(|cause| request.destination_failure(Operation::CheckBlobs, cause))?;
    let mut progress = Progress::default();
    let mut missing = Vec::new();
    for BlobState { blob, is_guaranteed, has_existing_image } in states.into_values() {
        progress.blobs += 1;
        progress.bytes = progress.bytes.saturating_add(blob.size);
        if is_guaranteed || existing.contains(&blob.digest) {
            progress.present += 1;
            progress.bytes_present = progress.bytes_present.saturating_add(blob.size);
        } else if blob.is_foreign && has_existing_image {
            progress.skipped += 1;
            progress.bytes_skipped = progress.bytes_skipped.saturating_add(blob.size);
        } else {
            missing.push(blob.clone());
        }
    }
    missing.sort_unstable_by(|a, b| b.size.cmp(&a.size).then_with(|| a.digest.cmp(&b.digest)));
    Ok((missing, progress))
}

/// Returns the blobs by digest. A blob is foreign only if it is foreign in all descriptors.
fn blob_states<'a>(
    request: &Request,
    destination: &Destination,
    manifests: impl Iterator<Item = &'a LocatedManifest>,
) -> Result<HashMap<Digest, BlobState<'a>>, Error> {
    let guarantees = destination.inventory.manifests_guarantee_content();
    let mut states: HashMap<Digest, BlobState<'a>> = HashMap::new();
    for LocatedManifest { manifest, at_destination } in manifests {
        for blob in manifest.blobs() {
            let new = BlobState {
                blob,
                is_guaranteed: *at_destination && guarantees,
                has_existing_image: *at_destination,
            };
            let state = states.entry(blob.digest.clone()).or_insert(new);
            if state.blob.size != blob.size {
                let subject = format!("{} (blob {})", request.source, blob.digest.short());
                let cause = registry::Error::Protocol("its manifests state different sizes for one blob");
                return Err(Failure::registry(Side::Source, Operation::ReadChildManifest, subject, cause));
            }
            state.is_guaranteed |= *at_destination && guarantees;
            state.has_existing_image |= *at_destination;
            if state.blob.is_foreign {
                state.blob = blob;
            }
        }
    }
    Ok(states)
}
