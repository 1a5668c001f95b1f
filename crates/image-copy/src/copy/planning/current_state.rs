//! Reads the current state of both sides before planning.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::try_join;
use tokio::time::Instant;

use crate::copy::deadline::with_deadline;
use crate::copy::destination::Destination;
use crate::copy::reporting::{Error, Failure, Operation, Progress, Side};
use crate::copy::request::Request;
use crate::copy::source::Source;
use crate::oci::{Digest, Manifest, Reference};
use crate::registry::ManifestId;

/// State of source and destination: the source's digest, and the destination's manifests of the requested
/// tag and of the digest in the source reference.
#[derive(Debug, Clone)]
pub struct CurrentState {
    /// Digest that the source reference names. It is the digest of the index, also if one platform is
    /// copied.
    pub source_digest: Digest,
    /// Manifest that the requested tag names at the destination.
    pub tagged: Option<Manifest>,
    /// Destination manifests by the requested digest. `None` if the destination lacks it.
    pub(super) manifests: HashMap<Digest, Option<Manifest>>,
    pub(super) elapsed: Duration,
}

impl CurrentState {
    /// Returns the manifest if it was read at the destination.
    #[must_use]
    pub fn existing(&self, digest: &Digest) -> Option<&Manifest> {
        self.manifests.get(digest)?.as_ref()
    }
}

/// Resolves the source reference with a HEAD request. At the same time, reads the destination with one
/// inventory call. A reference with a digest causes no request to the source. Does not use
/// [`Request::earlier_copies`].
///
/// # Errors
/// If the source or the destination cannot be read. If both fail, returns the destination's failure.
pub async fn read_current_state(
    request: &Request,
    source: &Source,
    destination: &Destination,
) -> Result<CurrentState, Error> {
    let started = Instant::now();
    let reading = read_both_sides(request, source, destination, started);
    with_deadline(source.deadline(), request, (source, destination), reading, || {
        (Progress::default(), started.elapsed())
    })
    .await
}

async fn read_both_sides(
    request: &Request,
    source: &Source,
    destination: &Destination,
    started: Instant,
) -> Result<CurrentState, Error> {
    // A failure of the destination, such as a missing repository, is returned at once. A failure of the
    // source is returned after the destination's result.
    let resolving = async { Ok(resolve(&request.source, source).await) };
    let (source_digest, (tagged, pinned)) =
        try_join(resolving, read_destination(request, destination)).await?;
    let mut manifests = HashMap::new();
    if let Some(digest) = &request.source.digest {
        manifests.insert(digest.clone(), pinned);
    }
    if let Some(tagged) = &tagged {
        manifests.insert(tagged.digest.clone(), Some(tagged.clone()));
    }
    Ok(CurrentState { source_digest: source_digest?, tagged, manifests, elapsed: started.elapsed() })
}

/// Returns the manifests of the tag and of the digest in the source reference.
async fn read_destination(
    request: &Request,
    destination: &Destination,
) -> Result<(Option<Manifest>, Option<Manifest>), Error> {
    let tag = request.tag.clone().map(ManifestId::Tag);
    let digest = request.source.digest.clone().map(ManifestId::Digest);
    let ids: Vec<ManifestId> = tag.iter().chain(&digest).cloned().collect();
    if ids.is_empty() {
        return Ok((None, None));
    }
    let read = destination.inventory.manifests(&ids).await;
    let read = read.map_err(|cause| request.destination_failure(Operation::ReadManifest, cause))?;
    let mut read = read.into_iter();
    let tagged = tag.and_then(|_| read.next().flatten());
    Ok((tagged, digest.and_then(|_| read.next().flatten())))
}

/// Returns the digest that the source reference names. A digest in the reference causes no request, so that
/// the source can be unavailable.
pub(super) async fn resolve(reference: &Reference, source: &Source) -> Result<Digest, Error> {
    match (&reference.digest, &reference.tag) {
        (Some(digest), _) => Ok(digest.clone()),
        (None, Some(tag)) => {
            let head = source.upstream().head_manifest(&ManifestId::Tag(tag.clone())).await;
            let head = head.map_err(|cause| {
                Failure::registry(Side::Source, Operation::ReadManifest, reference.to_string(), cause)
            })?;
            // Some registries return the digest only together with the manifest.
            head.manifest.iter().for_each(|manifest| source.store_manifest(manifest));
            Ok(head.digest)
        }
        (None, None) => unreachable!("a reference has a tag or a digest"),
    }
}
