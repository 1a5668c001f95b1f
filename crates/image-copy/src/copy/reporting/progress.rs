//! Tells somebody who waits how far a transfer is.

use crate::oci::Descriptor;

/// How far the blobs of a copy are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Blobs of the image.
    pub blobs: u64,
    /// Blobs that the destination held before.
    pub present: u64,
    /// Blobs copied by now.
    pub copied: u64,
    /// Bytes of the image's blobs.
    pub bytes: u64,
    /// Bytes of the blobs that the destination held before.
    pub bytes_present: u64,
    /// Bytes of the blobs copied by now, whole blobs only.
    pub bytes_copied: u64,
}

/// Is told what happens while it happens. Called from many places at once, so it must not block.
pub trait Reporter: Send + Sync {
    /// `bytes` more of some blob passed.
    fn passed(&self, bytes: u64);

    /// A blob is at the destination, whether it was copied, mounted or there already.
    fn finished(&self, blob: &Descriptor);

    /// A blob is begun again: `bytes` that were reported as passed came to nothing.
    fn lost(&self, bytes: u64);
}

/// Nobody waits.
#[derive(Debug, Clone, Copy)]
pub struct NoReport;

impl Reporter for NoReport {
    fn passed(&self, _: u64) {}
    fn finished(&self, _: &Descriptor) {}
    fn lost(&self, _: u64) {}
}
