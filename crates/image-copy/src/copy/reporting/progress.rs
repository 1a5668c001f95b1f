//! Progress of a transfer.

use crate::oci::Descriptor;

/// Counts of an image's blobs during a copy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Blobs of the image.
    pub blobs: u64,
    /// Blobs that the destination already had.
    pub present: u64,
    /// Blobs copied so far.
    pub copied: u64,
    /// Non-distributable blobs that neither side has.
    pub skipped: u64,
    /// Bytes of the image's blobs.
    pub bytes: u64,
    /// Bytes of the blobs that the destination already had.
    pub bytes_present: u64,
    /// Bytes of the blobs copied so far. Incomplete blobs are not counted.
    pub bytes_copied: u64,
    /// Bytes of the skipped blobs.
    pub bytes_skipped: u64,
}

/// Receives the progress of a transfer. Implementations must not block, because calls are concurrent.
pub trait ProgressReporter: Send + Sync {
    /// Called when `bytes` more of a blob were sent.
    fn bytes_sent(&self, bytes: u64);

    /// Called when a blob exists at the destination: it was copied or mounted, or existed before.
    fn blob_finished(&self, blob: &Descriptor);

    /// Called when a non-distributable blob is skipped, because the source lacks it.
    fn blob_skipped(&self, blob: &Descriptor);

    /// Called when the copy of a blob restarts. `bytes` that were reported as sent no longer count.
    fn bytes_discarded(&self, bytes: u64);
}

/// Ignores the progress.
#[derive(Debug, Clone, Copy)]
pub struct NullReporter;

impl ProgressReporter for NullReporter {
    fn bytes_sent(&self, _: u64) {}
    fn blob_finished(&self, _: &Descriptor) {}
    fn blob_skipped(&self, _: &Descriptor) {}
    fn bytes_discarded(&self, _: u64) {}
}
