//! Progress of a transfer, available even if the transfer is aborted.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use image_copy::copy::{Plan, Progress, ProgressReporter};
use image_copy::oci::{Descriptor, Digest};

use crate::input::continuation::TransferStats;

/// Counts the bytes of a transfer, including unfinished blobs.
#[derive(Default)]
pub(crate) struct TransferProgress {
    planned: Mutex<Option<PlannedBlobs>>,
    passed: AtomicU64,
    finished: Mutex<FinishedBlobs>,
}

/// Blobs that need no more work.
#[derive(Default)]
struct FinishedBlobs {
    /// Blobs of the newest plan that were copied.
    copied: HashSet<Digest>,
    /// Non-distributable blobs of the newest plan that neither side has.
    skipped: HashSet<Digest>,
    /// Number of finished blobs of earlier plans. Some of them can be missing in ECR.
    earlier: usize,
}

impl FinishedBlobs {
    fn count(&self) -> usize {
        self.earlier + self.copied.len() + self.skipped.len()
    }

    fn has(&self, digest: &Digest) -> bool {
        self.copied.contains(digest) || self.skipped.contains(digest)
    }
}

/// The blobs to copy.
struct PlannedBlobs {
    blobs: Vec<Descriptor>,
    /// Progress before the transfer: blobs that the destination already had.
    initial: Progress,
}

impl TransferProgress {
    /// Starts counting for a plan. A second plan replaces the first one.
    pub(crate) fn start(self: &Arc<Self>, plan: &Plan) -> Arc<Self> {
        self.replace_plan(plan.blobs.clone(), plan.progress);
        Arc::clone(self)
    }

    fn replace_plan(&self, blobs: Vec<Descriptor>, initial: Progress) {
        *self.planned.lock().unwrap_or_else(PoisonError::into_inner) = Some(PlannedBlobs { blobs, initial });
        let mut finished = self.lock();
        *finished = FinishedBlobs { earlier: finished.count(), ..FinishedBlobs::default() };
    }

    fn lock(&self) -> MutexGuard<'_, FinishedBlobs> {
        self.finished.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the progress of the copy. `None` before the first plan.
    pub(crate) fn progress(&self) -> Option<Progress> {
        let planned = self.planned.lock().unwrap_or_else(PoisonError::into_inner);
        let PlannedBlobs { blobs, initial } = planned.as_ref()?;
        let finished = self.lock();
        let mut progress = *initial;
        for blob in blobs {
            let (count, bytes) = if finished.copied.contains(&blob.digest) {
                (&mut progress.copied, &mut progress.bytes_copied)
            } else if finished.skipped.contains(&blob.digest) {
                (&mut progress.skipped, &mut progress.bytes_skipped)
            } else {
                continue;
            };
            *count += 1;
            *bytes = bytes.saturating_add(blob.size);
        }
        Some(progress)
    }

    /// Returns the numbers that decide about another invocation.
    pub(crate) fn transferred(&self) -> TransferStats {
        let planned = self.planned.lock().unwrap_or_else(PoisonError::into_inner);
        let finished = self.lock();
        let blobs = planned.iter().flat_map(|planned| &planned.blobs);
        let unfinished = blobs.filter(|blob| !finished.has(&blob.digest));
        let largest = unfinished.max_by_key(|blob| blob.size);
        TransferStats {
            bytes: self.passed.load(Ordering::Relaxed),
            finished_blobs: finished.count(),
            largest_unfinished: largest.map(|blob| (blob.digest.clone(), blob.size)),
        }
    }
}

impl ProgressReporter for TransferProgress {
    fn bytes_sent(&self, bytes: u64) {
        self.passed.fetch_add(bytes, Ordering::Relaxed);
    }

    fn blob_finished(&self, blob: &Descriptor) {
        self.lock().copied.insert(blob.digest.clone());
    }

    fn blob_skipped(&self, blob: &Descriptor) {
        self.lock().skipped.insert(blob.digest.clone());
    }

    // A discarded blob used bandwidth too.
    fn bytes_discarded(&self, _: u64) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(name: &str, size: u64) -> Descriptor {
        let digest = Digest::of(name.as_bytes());
        Descriptor {
            media_type: "application/x".into(),
            digest,
            size,
            platform: None,
            attestation_subject: None,
            artifact_type: None,
            is_foreign: false,
        }
    }

    #[test]
    fn counts_finished_blobs_and_returns_the_largest_unfinished_one() {
        let progress = TransferProgress::default();
        assert_eq!(progress.progress(), None);
        let blobs = vec![blob("a", 50), blob("b", 40), blob("c", 1)];
        let initial = Progress { blobs: 4, present: 1, ..Progress::default() };
        progress.replace_plan(blobs, initial);
        progress.bytes_sent(60);
        progress.blob_finished(&blob("b", 40));
        let now = progress.progress().unwrap();
        assert_eq!((now.blobs, now.present, now.copied, now.bytes_copied), (4, 1, 1, 40));
        let transferred = progress.transferred();
        assert_eq!((transferred.bytes, transferred.finished_blobs), (60, 1));
        assert_eq!(transferred.largest_unfinished, Some((Digest::of(b"a"), 50)));
    }

    #[test]
    fn counts_the_newest_plan() {
        let progress = TransferProgress::default();
        progress
            .replace_plan(vec![blob("a", 50), blob("b", 40)], Progress { blobs: 2, ..Progress::default() });
        progress.blob_finished(&blob("a", 50));
        progress.blob_skipped(&blob("b", 40));
        let now = progress.progress().unwrap();
        assert_eq!((now.copied, now.skipped, now.bytes_copied, now.bytes_skipped), (1, 1, 50, 40));
        // A blob of the first plan is missing in ECR.
        let initial = Progress { blobs: 2, skipped: 1, ..Progress::default() };
        progress.replace_plan(vec![blob("a", 50)], initial);
        assert_eq!(progress.progress(), Some(initial));
        let transferred = progress.transferred();
        assert_eq!(transferred.finished_blobs, 2);
        assert_eq!(transferred.largest_unfinished, Some((Digest::of(b"a"), 50)));
        progress.blob_finished(&blob("a", 50));
        assert_eq!(progress.progress().unwrap().copied, 1);
    }
}
