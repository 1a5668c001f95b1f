//! References to manifests, by digest and size.

use crate::http;
use crate::oci::{Descriptor, Digest, MAX_MANIFEST_BYTES, Manifest};
use crate::registry::{Error, ManifestId, Repository};

/// A manifest to read by digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::copy) struct ManifestRef {
    pub(in crate::copy) digest: Digest,
    /// Size in bytes, if a descriptor states it.
    pub(in crate::copy) size: Option<u64>,
}

impl ManifestRef {
    /// Creates a reference without a descriptor.
    pub(in crate::copy) fn from_digest(digest: &Digest) -> Self {
        Self { digest: digest.clone(), size: None }
    }

    /// Returns the maximum number of bytes to read.
    pub(in crate::copy) fn limit(&self) -> u64 {
        self.size.map_or(MAX_MANIFEST_BYTES, |size| size.min(MAX_MANIFEST_BYTES))
    }
}

impl From<&Descriptor> for ManifestRef {
    fn from(descriptor: &Descriptor) -> Self {
        Self { digest: descriptor.digest.clone(), size: Some(descriptor.size) }
    }
}

/// Reads a manifest, at most as many bytes as its descriptor states.
pub(super) async fn read_manifest(
    repository: &Repository,
    manifest_ref: &ManifestRef,
) -> Result<Manifest, Error> {
    let read = repository
        .get_manifest_within(&ManifestId::Digest(manifest_ref.digest.clone()), manifest_ref.limit())
        .await;
    match (read, manifest_ref.size) {
        (Err(Error::Http(http::Error { kind: http::ErrorKind::TooLarge { limit }, .. })), Some(expected))
            if limit == expected =>
        {
            Err(Error::SizeMismatch { digest: manifest_ref.digest.clone(), expected, actual: expected + 1 })
        }
        (read, _) => read,
    }
}
