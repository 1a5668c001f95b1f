//! Reads an image without a destination, within the limits of a copy.

use bytes::Bytes;

use super::current_state::resolve;
use super::platforms::{MAX_CONFIG_BYTES, config_of};
use crate::copy::budget::ImageLimit;
use crate::copy::reporting::{Error, Failure, Operation, Side};
use crate::copy::source::{ManifestRef, Source};
use crate::oci::{Descriptor, Digest, Manifest, Reference};
use crate::registry;

/// Reads the manifest that a reference names. Resolves a tag with a HEAD request. Reading the manifest counts
/// as a pull.
///
/// # Errors
/// If the source cannot be read.
pub async fn read_root(reference: &Reference, source: &Source) -> Result<Manifest, Error> {
    let digest = resolve(reference, source).await?;
    let manifest_ref = ManifestRef::from_digest(&digest);
    let mut read = read(reference, source, &[manifest_ref], Operation::ReadManifest).await?;
    Ok(read.swap_remove(0))
}

/// Reads child manifests of an image, in the order of their descriptors. Each one counts as a pull.
///
/// # Errors
/// If the source cannot be read, or allows fewer pulls. If the manifests exceed a limit.
pub async fn read_children(
    reference: &Reference,
    source: &Source,
    children: &[Descriptor],
) -> Result<Vec<Manifest>, Error> {
    let refs: Vec<ManifestRef> = children.iter().map(ManifestRef::from).collect();
    read(reference, source, &refs, Operation::ReadChildManifest).await
}

/// Reads the config of an image, at most 4 MiB. Returns `None` for other artifacts. Does not count as a pull.
///
/// # Errors
/// If the source cannot be read.
pub async fn read_config(
    reference: &Reference,
    source: &Source,
    image: &Manifest,
) -> Result<Option<Bytes>, Error> {
    let Some(config) = config_of(image) else { return Ok(None) };
    let read = source.get_blob(config, MAX_CONFIG_BYTES).await;
    read.map(Some).map_err(|cause| failure(reference, Operation::ReadBlob, &config.digest, cause))
}

async fn read(
    reference: &Reference,
    source: &Source,
    refs: &[ManifestRef],
    operation: Operation,
) -> Result<Vec<Manifest>, Error> {
    let exceeded =
        |limit: ImageLimit| Box::new(Failure::ImageLimitExceeded { subject: reference.to_string(), limit });
    for manifest_ref in refs {
        source.budget().reserve(&manifest_ref.digest, manifest_ref.limit()).map_err(exceeded)?;
    }
    let read = source.read_manifests(refs).await;
    let manifests = read.map_err(|(digest, cause)| failure(reference, operation, &digest, cause))?;
    for (manifest_ref, manifest) in refs.iter().zip(&manifests) {
        let (bytes, descriptors) = (manifest.bytes.len() as u64, manifest.descriptor_count());
        source.budget().record(&manifest_ref.digest, bytes, descriptors).map_err(exceeded)?;
    }
    Ok(manifests)
}

/// Returns a failure with the reference as the user wrote it, or with the digest of a part of the image.
fn failure(reference: &Reference, operation: Operation, digest: &Digest, cause: registry::Error) -> Error {
    let subject = match operation {
        Operation::ReadManifest => reference.to_string(),
        _ => reference.repository.with_digest(digest.clone()).to_string(),
    };
    Failure::registry(Side::Source, operation, subject, cause)
}
