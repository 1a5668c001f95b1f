//! Compares an image's blobs with those of the destination.

use std::collections::HashMap;

use super::manifest_reader::Found;
use crate::copy::destination::Destination;
use crate::copy::reporting::{Error, Failure, Operation, Progress, Side};
use crate::copy::request::Request;
use crate::oci::{Descriptor, Digest};
use crate::registry;

/// A blob of an image.
struct Part<'a> {
    blob: &'a Descriptor,
    /// True if a manifest at the destination proves that the blob is there too.
    is_proved: bool,
    /// True if the destination holds an image that refers to it, so that it does not require the blob if
    /// that is foreign.
    has_held_image: bool,
}

/// Returns the blobs to copy, largest first, and the sums of all blobs. A foreign blob is not copied if
/// the destination accepted the image without it.
///
/// # Errors
/// If descriptors contradict each other, or if the destination cannot be read.
pub(in crate::copy) async fn missing_blobs(
    request: &Request,
    destination: &Destination,
    manifests: impl Iterator<Item = &Found>,
) -> Result<(Vec<Descriptor>, Progress), Error> {
    let parts = parts_of(request, destination, manifests)?;
    let asked = parts.values().filter(|part| !part.is_proved);
    let asked: Vec<Digest> = asked.map(|part| part.blob.digest.clone()).collect();
    let held = destination.inventory.blobs(&asked).await;
    let held = held.map_err(|cause| request.destination_failure(Operation::CheckBlobs, cause))?;
    let mut progress = Progress::default();
    let mut missing = Vec::new();
    for Part { blob, is_proved, has_held_image } in parts.into_values() {
        progress.blobs += 1;
        progress.bytes = progress.bytes.saturating_add(blob.size);
        if is_proved || held.contains(&blob.digest) {
            progress.present += 1;
            progress.bytes_present = progress.bytes_present.saturating_add(blob.size);
        } else if blob.is_foreign && has_held_image {
            progress.skipped += 1;
            progress.bytes_skipped = progress.bytes_skipped.saturating_add(blob.size);
        } else {
            missing.push(blob.clone());
        }
    }
    missing.sort_unstable_by(|a, b| b.size.cmp(&a.size).then_with(|| a.digest.cmp(&b.digest)));
    Ok((missing, progress))
}

/// Returns the blobs by digest. A blob is foreign only if all descriptors call it so.
fn parts_of<'a>(
    request: &Request,
    destination: &Destination,
    manifests: impl Iterator<Item = &'a Found>,
) -> Result<HashMap<Digest, Part<'a>>, Error> {
    let proves = destination.inventory.manifests_guarantee_content();
    let mut parts: HashMap<Digest, Part<'a>> = HashMap::new();
    for Found { manifest, held } in manifests {
        for blob in manifest.blobs() {
            let new = Part { blob, is_proved: *held && proves, has_held_image: *held };
            let part = parts.entry(blob.digest.clone()).or_insert(new);
            if part.blob.size != blob.size {
                let subject = format!("{} (blob {})", request.source, blob.digest.short());
                let cause = registry::Error::Protocol("its manifests state two sizes for one blob");
                return Err(Failure::registry(Side::Source, Operation::ReadChildManifest, subject, cause));
            }
            part.is_proved |= *held && proves;
            part.has_held_image |= *held;
            if part.blob.is_foreign {
                part.blob = blob;
            }
        }
    }
    Ok(parts)
}
