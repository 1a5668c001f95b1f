//! Copies blobs, then child manifests.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::time::Instant;

use super::limits::TransferLimits;
use super::manifests::write_children;
use super::prefetch::Prefetched;
use crate::copy::deadline::with_deadline;
use crate::copy::destination::Destination;
use crate::copy::planning::Plan;
use crate::copy::reporting::{Error, Failure, Operation, Progress, ProgressReporter, Side};
use crate::copy::source::{ReaderState, Source, SourceBlobReader};
use crate::http::RetryBudget;
use crate::oci::{Descriptor, Digest};
use crate::registry::{self, ManifestId, Repository, UploadError, UploadStart};

/// Copies blobs and child manifests.
pub(super) async fn transfer_blobs_and_children(
    plan: &Plan,
    source: &Source,
    destination: &Destination,
    limits: &TransferLimits,
    reporter: Arc<dyn ProgressReporter>,
) -> Result<CopiedContent, Error> {
    let transfer =
        BlobTransfer { plan, source, destination, limits, reporter, counters: Counters::default() };
    let started = Instant::now();
    let reached = || (transfer.progress(), plan.elapsed + started.elapsed());
    with_deadline(limits.deadline, &plan.request, (source, destination), transfer.run(), reached).await?;
    Ok(CopiedContent { progress: transfer.progress(), skipped: transfer.counters.skipped() })
}

/// Result of copying blobs and child manifests.
pub(super) struct CopiedContent {
    pub(super) progress: Progress,
    /// Foreign blobs that neither side has.
    pub(super) skipped: Vec<Digest>,
}

/// Maximum number of redirects of an upload. Each one sends the blob again from its first byte.
const MAX_REDIRECTS: usize = 3;

struct BlobTransfer<'a> {
    plan: &'a Plan,
    source: &'a Source,
    destination: &'a Destination,
    limits: &'a TransferLimits,
    reporter: Arc<dyn ProgressReporter>,
    counters: Counters,
}

#[derive(Default)]
struct Counters {
    blobs: AtomicU64,
    bytes: AtomicU64,
    skipped: Mutex<Vec<Digest>>,
    bytes_skipped: AtomicU64,
}

impl Counters {
    fn skipped(&self) -> Vec<Digest> {
        self.skipped.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Failure of one attempt to copy a blob.
enum AttemptError {
    /// The upload failed. A new upload can succeed.
    Retry(Side, registry::Error),
    /// A mirror sent wrong bytes and is not used again. Another repository can succeed.
    NextRepository(registry::Error),
    /// The source lacks the blob, and the destination can accept the image without it.
    MissingForeign(registry::Error),
    /// A request failed after its own retries.
    Permanent(Error),
}

impl BlobTransfer<'_> {
    async fn run(&self) -> Result<(), Error> {
        for blob in &self.plan.blobs {
            tracing::debug!(digest = %blob.digest, bytes = blob.size, "blob to copy");
        }
        // Maps positions, because the compiler does not accept a closure over references as `Send`
        // (https://github.com/rust-lang/rust/issues/102211).
        stream::iter(0..self.plan.blobs.len())
            .map(async |position: usize| {
                let _permit = self.limits.concurrent_blobs.permit().await;
                self.copy_blob(&self.plan.blobs[position]).await
            })
            .buffer_unordered(self.limits.concurrent_blobs.maximum())
            .try_collect::<()>()
            .await?;
        write_children(self.plan, self.destination, &self.counters.skipped()).await
    }

    fn progress(&self) -> Progress {
        Progress {
            copied: self.counters.blobs.load(Ordering::Relaxed),
            bytes_copied: self.counters.bytes.load(Ordering::Relaxed),
            skipped: self.plan.progress.skipped + self.counters.skipped().len() as u64,
            bytes_skipped: self
                .plan
                .progress
                .bytes_skipped
                .saturating_add(self.counters.bytes_skipped.load(Ordering::Relaxed)),
            ..self.plan.progress
        }
    }

    async fn copy_blob(&self, blob: &Descriptor) -> Result<(), Error> {
        let budget = self.destination.repository.retry_budget();
        let to = self.destination.repository.with_budget(&budget);
        let mut corrupt_before = false;
        let mut failed_before = false;
        loop {
            // A failed upload can be complete if only its response was lost.
            if failed_before && self.blob_exists(blob).await? {
                break;
            }
            failed_before = true;
            let sent = Arc::new(AtomicU64::new(0));
            let (side, cause) = match self.try_copy(&to, blob, &sent).await {
                Ok(()) => break,
                Err(AttemptError::Permanent(error)) => return Err(error),
                Err(AttemptError::MissingForeign(cause)) => {
                    self.skip_blob(blob, &cause);
                    return Ok(());
                }
                Err(AttemptError::NextRepository(cause)) => {
                    self.reporter.bytes_discarded(sent.load(Ordering::Relaxed));
                    tracing::info!(digest = %blob.digest, %cause, "the copy of a blob restarts with another repository");
                    continue;
                }
                Err(AttemptError::Retry(side, cause)) => (side, cause),
            };
            self.reporter.bytes_discarded(sent.load(Ordering::Relaxed));
            let is_corrupt = matches!(cause, registry::Error::DigestMismatch { .. });
            if (is_corrupt && corrupt_before) || !wait_for_retry(&budget, &cause).await {
                // A registry can take longer to store a large blob than the response timeout.
                if cause.is_silent_host() && self.blob_exists(blob).await? {
                    break;
                }
                return Err(self.blob_failure(
                    side,
                    blob,
                    cause.with_attempts(budget.attempts(), budget.elapsed()),
                ));
            }
            corrupt_before |= is_corrupt;
            tracing::info!(digest = %blob.digest, ?side, %cause, "the copy of a blob restarts");
        }
        self.counters.blobs.fetch_add(1, Ordering::Relaxed);
        self.counters.bytes.fetch_add(blob.size, Ordering::Relaxed);
        tracing::debug!(digest = %blob.digest, bytes = blob.size, "blob copied");
        self.reporter.blob_finished(blob);
        Ok(())
    }

    fn skip_blob(&self, blob: &Descriptor, cause: &registry::Error) {
        tracing::warn!(digest = %blob.digest, %cause, "the source lacks a non-distributable layer; the image is copied without it");
        self.counters.skipped.lock().unwrap_or_else(PoisonError::into_inner).push(blob.digest.clone());
        self.counters.bytes_skipped.fetch_add(blob.size, Ordering::Relaxed);
        self.reporter.blob_skipped(blob);
    }

    /// Returns the content of a blob that a customization created.
    fn created_blob(&self, blob: &Descriptor) -> Option<Bytes> {
        self.plan.customized.as_ref()?.blobs.get(&blob.digest).cloned()
    }

    /// Opens a blob. Reads its first piece only if an error can make the upload unnecessary. A created blob is
    /// in memory, and has no state.
    async fn open_blob(
        &self,
        blob: &Descriptor,
    ) -> Result<(Prefetched<SourceBlobReader>, Option<Arc<ReaderState>>), AttemptError> {
        if let Some(content) = self.created_blob(blob) {
            return Ok((Prefetched::in_memory(content), None));
        }
        let reader = self.source.read_blob(blob);
        let state = reader.state();
        // An empty blob is verified here, because its upload does not read from the reader.
        if !blob.is_foreign && blob.size > 0 {
            return Ok((Prefetched::without_prefetch(reader), Some(state)));
        }
        let prefetched = Prefetched::prefetch(reader).await.map_err(|cause| match cause {
            cause if state.received_wrong_bytes() => AttemptError::NextRepository(cause),
            registry::Error::DigestMismatch { .. } => AttemptError::Retry(Side::Source, cause),
            cause if blob.is_foreign && is_permanent_rejection(&cause) => AttemptError::MissingForeign(cause),
            cause => AttemptError::Permanent(self.blob_failure(Side::Source, blob, cause)),
        })?;
        Ok((prefetched, Some(state)))
    }

    async fn try_copy(
        &self,
        to: &Repository,
        blob: &Descriptor,
        sent: &Arc<AtomicU64>,
    ) -> Result<(), AttemptError> {
        let mut opened = self.open_blob(blob).await?;
        // Mounts only within one registry, because registries reject unknown names
        // (https://github.com/google/go-containerregistry/issues/1741).
        let from = self.source.upstream().name();
        let can_mount = from.registry() == to.name().registry() && from != to.name();
        let mount = (can_mount && self.created_blob(blob).is_none()).then_some(from);
        let mut upload = match to.start_upload(&blob.digest, mount).await {
            Ok(UploadStart::Mounted) => return Ok(()),
            Ok(UploadStart::Session(upload)) => upload,
            Err(cause) => {
                let cause = self.missing_repository().await.unwrap_or(cause);
                return Err(AttemptError::Permanent(
                    self.plan.request.destination_failure(Operation::StartUpload, cause),
                ));
            }
        };
        let (reporter, counted) = (self.reporter.clone(), sent.clone());
        let count: Arc<dyn Fn(u64) + Send + Sync> = Arc::new(move |bytes| {
            counted.fetch_add(bytes, Ordering::Relaxed);
            reporter.bytes_sent(bytes);
        });
        let mut redirects = 0;
        let (state, error) = loop {
            let (reader, state) = opened;
            match to.send_blob(&upload, blob, reader, count.clone()).await {
                Ok(()) => {
                    if let Some(state) = &state {
                        self.source.count_blob(state);
                    }
                    return Ok(());
                }
                Err(UploadError::Redirected(target)) if redirects < MAX_REDIRECTS => {
                    self.reporter.bytes_discarded(sent.swap(0, Ordering::Relaxed));
                    (upload, redirects) = (target, redirects + 1);
                    opened = self.open_blob(blob).await?;
                }
                Err(error) => break (state, error),
            }
        };
        to.cancel_upload(upload).await;
        Err(match error {
            UploadError::Destination(cause) => AttemptError::Retry(Side::Destination, cause),
            UploadError::Redirected(_) => {
                let cause = registry::Error::Protocol("too many redirects");
                AttemptError::Permanent(self.blob_failure(Side::Destination, blob, cause))
            }
            UploadError::Source(cause) if state.is_some_and(|state| state.received_wrong_bytes()) => {
                AttemptError::NextRepository(cause)
            }
            UploadError::Source(cause @ registry::Error::DigestMismatch { .. }) => {
                AttemptError::Retry(Side::Source, cause)
            }
            UploadError::Source(cause) => {
                AttemptError::Permanent(self.blob_failure(Side::Source, blob, cause))
            }
        })
    }

    /// Returns the registry's error if the repository is missing. ECR only closes the connection of an upload
    /// to a missing repository (<https://github.com/moby/moby/issues/24473>).
    async fn missing_repository(&self) -> Option<registry::Error> {
        let id = ManifestId::Digest(self.plan.root.digest.clone());
        match self.destination.repository.get_manifest(&id).await {
            Err(cause) if cause.has_code("NAME_UNKNOWN") => Some(cause),
            _ => None,
        }
    }

    async fn blob_exists(&self, blob: &Descriptor) -> Result<bool, Error> {
        let existing = self.destination.inventory.blobs(std::slice::from_ref(&blob.digest)).await;
        let existing =
            existing.map_err(|cause| self.plan.request.destination_failure(Operation::CheckBlobs, cause))?;
        Ok(existing.contains(&blob.digest))
    }

    fn blob_failure(&self, side: Side, blob: &Descriptor, cause: registry::Error) -> Error {
        match side {
            Side::Destination => self.plan.request.destination_failure(Operation::SendBlob, cause),
            Side::Source => {
                let platform = self.plan.platform_of(&blob.digest);
                let of = platform.map(|platform| format!(" of {platform}")).unwrap_or_default();
                let subject = format!("{} (blob {}{of})", self.plan.request.source, blob.digest.short());
                Failure::registry(Side::Source, Operation::ReadBlob, subject, cause)
            }
        }
    }
}

/// Returns true if the source will also reject the next request for the blob.
fn is_permanent_rejection(cause: &registry::Error) -> bool {
    match cause {
        registry::Error::ErrorResponse(response) | registry::Error::AuthorizationExpired(response) => {
            (400..500).contains(&response.status) && !matches!(response.status, 408 | 425 | 429)
        }
        _ => false,
    }
}

/// Waits before the next attempt to copy a blob. Returns false if no attempt is left.
async fn wait_for_retry(budget: &RetryBudget, cause: &registry::Error) -> bool {
    match cause {
        registry::Error::ErrorResponse(response) if cause.is_transient() => {
            let status = reqwest::StatusCode::from_u16(response.status).unwrap_or_default();
            budget.wait_after_status(status, response.retry_after).await
        }
        registry::Error::Http(error) => budget.wait_after_error(error).await,
        _ => cause.is_transient() && budget.wait_after_fault(None).await,
    }
}
