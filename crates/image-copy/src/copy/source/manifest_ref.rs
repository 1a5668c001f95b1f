//! Manifests to read by digest, with their sizes.

use crate::http;
use crate::oci::{Descriptor, Digest, MAX_MANIFEST_BYTES, Manifest};
use crate::registry::{Error, ManifestId, Repository};

/// A manifest to read by digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::copy) struct Part {
    pub(in crate::copy) digest: Digest,
    /// Size in bytes by its descriptor. `None` if there is no descriptor.
    pub(in crate::copy) size: Option<u64>,
}

impl Part {
    /// A manifest without a descriptor.
    pub(in crate::copy) fn of(digest: &Digest) -> Self {
        Self { digest: digest.clone(), size: None }
    }

    /// Maximum number of bytes to read.
    pub(in crate::copy) fn limit(&self) -> u64 {
        self.size.map_or(MAX_MANIFEST_BYTES, |size| size.min(MAX_MANIFEST_BYTES))
    }
}

impl From<&Descriptor> for Part {
    fn from(descriptor: &Descriptor) -> Self {
        Self { digest: descriptor.digest.clone(), size: Some(descriptor.size) }
    }
}

/// Reads a manifest, at most as many bytes as its descriptor states.
pub(super) async fn read_part(repository: &Repository, part: &Part) -> Result<Manifest, Error> {
    let read = repository.get_manifest_within(&ManifestId::Digest(part.digest.clone()), part.limit()).await;
    match (read, part.size) {
        (Err(Error::Http(http::Error { kind: http::ErrorKind::TooLarge { limit }, .. })), Some(expected))
            if limit == expected =>
        {
            Err(Error::SizeMismatch { digest: part.digest.clone(), expected, actual: expected + 1 })
        }
        (read, _) => read,
    }
}
