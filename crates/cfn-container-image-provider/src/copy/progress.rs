//! Progress of a transfer, also if it is ended from outside.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use image_copy::copy::{Plan, Progress, Reporter};
use image_copy::oci::{Descriptor, Digest};

use crate::input::continuation::Transferred;

/// Counts what a transfer moves, also of blobs that it does not finish.
#[derive(Default)]
pub(crate) struct TransferProgress {
    planned: Mutex<Option<Planned>>,
    passed: AtomicU64,
    finished: Mutex<HashSet<Digest>>,
}

/// The blobs to copy.
struct Planned {
    blobs: Vec<Descriptor>,
    /// Progress before the transfer: blobs that the destination held.
    before: Progress,
}

impl TransferProgress {
    /// Starts counting for a plan. After a second plan, the second one counts.
    pub(crate) fn start(self: &Arc<Self>, plan: &Plan) -> Arc<Self> {
        let planned = Planned { blobs: plan.blobs.clone(), before: plan.progress };
        *self.planned.lock().unwrap_or_else(PoisonError::into_inner) = Some(planned);
        Arc::clone(self)
    }

    /// The progress of the copy. `None` before there was a plan.
    pub(crate) fn progress(&self) -> Option<Progress> {
        let planned = self.planned.lock().unwrap_or_else(PoisonError::into_inner);
        let Planned { blobs, before } = planned.as_ref()?;
        let finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        let copied = blobs.iter().filter(|blob| finished.contains(&blob.digest));
        Some(copied.fold(*before, |progress, blob| Progress {
            copied: progress.copied + 1,
            bytes_copied: progress.bytes_copied.saturating_add(blob.size),
            ..progress
        }))
    }

    /// The figures by which another invocation continues or not.
    pub(crate) fn transferred(&self) -> Transferred {
        let planned = self.planned.lock().unwrap_or_else(PoisonError::into_inner);
        let finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        let blobs = planned.iter().flat_map(|planned| &planned.blobs);
        let unfinished = blobs.filter(|blob| !finished.contains(&blob.digest));
        let largest = unfinished.max_by_key(|blob| blob.size);
        Transferred {
            bytes: self.passed.load(Ordering::Relaxed),
            finished_blobs: finished.len(),
            largest_unfinished: largest.map(|blob| (blob.digest.clone(), blob.size)),
        }
    }
}

impl Reporter for TransferProgress {
    fn passed(&self, bytes: u64) {
        self.passed.fetch_add(bytes, Ordering::Relaxed);
    }

    fn finished(&self, blob: &Descriptor) {
        self.finished.lock().unwrap_or_else(PoisonError::into_inner).insert(blob.digest.clone());
    }

    // Bytes of a lost blob used the link all the same.
    fn lost(&self, _: u64) {}
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
            attests: None,
            is_foreign: false,
        }
    }

    #[test]
    fn counts_finished_blobs_and_names_the_largest_of_the_others() {
        let progress = TransferProgress::default();
        assert_eq!(progress.progress(), None);
        let blobs = vec![blob("a", 50), blob("b", 40), blob("c", 1)];
        let before = Progress { blobs: 4, present: 1, ..Progress::default() };
        *progress.planned.lock().unwrap() = Some(Planned { blobs, before });
        progress.passed(60);
        progress.finished(&blob("b", 40));
        let now = progress.progress().unwrap();
        assert_eq!((now.blobs, now.present, now.copied, now.bytes_copied), (4, 1, 1, 40));
        let transferred = progress.transferred();
        assert_eq!((transferred.bytes, transferred.finished_blobs), (60, 1));
        assert_eq!(transferred.largest_unfinished, Some((Digest::of(b"a"), 50)));
    }
}
