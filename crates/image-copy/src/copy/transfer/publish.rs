//! Writes the root under its tag in one request, as the last step of a copy.

use tokio::time::Instant;

use super::content::TransferredContent;
use super::limits::TransferLimits;
use super::manifests::{rejection, write_by_digest};
use crate::copy::deadline::with_deadline;
use crate::copy::destination::Destination;
use crate::copy::planning::Plan;
use crate::copy::reporting::{Error, Failure, Operation, Outcome, TagChange};
use crate::copy::source::Source;
use crate::oci::{Digest, Tag};
use crate::registry::{self, ManifestId};

/// Writes the root of a plan. Its content must exist at the destination.
///
/// # Errors
/// If the destination rejects the root, or at the deadline.
pub async fn publish(
    plan: &Plan,
    source: &Source,
    destination: &Destination,
    limits: &TransferLimits,
    content: TransferredContent,
) -> Result<Outcome, Error> {
    let started = Instant::now();
    let root_exists = plan.root_exists || content.root_written;
    let writer = RootWriter { plan, destination, root_exists, skipped: &content.skipped };
    let reached = || (content.blobs, plan.elapsed + content.elapsed + started.elapsed());
    with_deadline(limits.deadline, &plan.request, (source, destination), writer.write_root(), reached)
        .await?;
    Ok(Outcome {
        source_digest: plan.source_digest.clone(),
        digest: plan.root.digest.clone(),
        media_type: plan.root.media_type.clone(),
        platforms: plan.platforms.clone(),
        source_platform_count: plan.source_platform_count,
        size: plan.progress.bytes,
        blobs: content.blobs,
        manifests_written: plan.manifests_to_write(),
        referrers: content.referrers,
        tag: plan.tag.clone(),
        read_counts: source.read_counts(),
        elapsed: plan.elapsed + content.elapsed + started.elapsed(),
    })
}

struct RootWriter<'a> {
    plan: &'a Plan,
    destination: &'a Destination,
    root_exists: bool,
    skipped: &'a [Digest],
}

impl RootWriter<'_> {
    /// Writes the root and its tag in one request, so that an incomplete image cannot be pulled by tag.
    async fn write_root(&self) -> Result<(), Error> {
        let (plan, to) = (self.plan, self.destination);
        let written = match (&plan.request.tag, &plan.tag, self.root_exists) {
            (Some(tag), TagChange::Moved { .. }, true) => to.inventory.tag(&plan.root, tag).await,
            (Some(tag), TagChange::Moved { .. }, false) => {
                to.repository.put_manifest(&plan.root, &ManifestId::Tag(tag.clone())).await
            }
            (_, _, true) => return Ok(()),
            (_, _, false) => return write_by_digest(plan, &plan.root, to, self.skipped).await,
        };
        let (Some(tag), TagChange::Moved { from }) = (&plan.request.tag, &plan.tag) else { return Ok(()) };
        if let Err(cause) = written {
            self.accept_unchanged_tag(tag, cause).await?;
        }
        let old = from.as_ref().map(ToString::to_string);
        tracing::info!(destination = %plan.request.destination_name(), old, new = %plan.root.digest, "tag moved");
        Ok(())
    }

    /// Succeeds if a rejected tag already names the root. ECR rejects every write to an existing immutable
    /// tag, also after a lost response
    /// (<https://github.com/aws/containers-roadmap/issues/2179>).
    async fn accept_unchanged_tag(&self, tag: &Tag, cause: registry::Error) -> Result<(), Error> {
        let exists = cause.has_code("TAG_INVALID") || cause.has_code("ImageTagAlreadyExistsException");
        let failure = rejection(self.plan, &self.plan.root, self.skipped, Operation::WriteTag, cause);
        if !exists {
            return Err(failure);
        }
        let current = self.destination.inventory.manifests(&[ManifestId::Tag(tag.clone())]).await;
        match current.ok().and_then(|mut found| found.pop().flatten()) {
            Some(manifest) if manifest.digest == self.plan.root.digest => Ok(()),
            Some(manifest) => Err(Box::new(Failure::TagImmutable {
                subject: self.plan.request.destination_name(),
                existing: manifest.digest,
                wanted: self.plan.root.digest.clone(),
            })),
            None => Err(failure),
        }
    }
}
