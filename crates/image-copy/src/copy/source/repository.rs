//! One of the repositories that an image is read from, with its state.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::http;
use crate::oci::{self, Digest};
use crate::registry::{Error, Repository};

/// A mirror or the upstream repository.
pub(super) struct SourceRepository {
    pub(super) repository: Repository,
    failed: AtomicBool,
    manifests: AtomicU64,
    blobs: AtomicU64,
}

/// Counts of the content that was read from one repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadCounts {
    /// The repository.
    pub repository: oci::Repository,
    /// Manifests read from the repository.
    pub manifests: u64,
    /// Blobs whose last byte was read from the repository.
    pub blobs: u64,
}

impl SourceRepository {
    pub(super) fn new(repository: Repository) -> Self {
        Self {
            repository,
            failed: AtomicBool::new(false),
            manifests: AtomicU64::new(0),
            blobs: AtomicU64::new(0),
        }
    }

    /// Returns true if the repository is a mirror that is not used again.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    pub(super) fn read_counts(&self) -> ReadCounts {
        ReadCounts {
            repository: self.repository.name().clone(),
            manifests: self.manifests.load(Ordering::Relaxed),
            blobs: self.blobs.load(Ordering::Relaxed),
        }
    }

    /// Handles an error of a mirror. If content is missing, the mirror stays in use. After any other error
    /// it is not used again.
    pub(super) fn handle_error(&self, digest: &Digest, error: &Error) {
        let mirror = self.repository.name();
        if is_missing(error) {
            tracing::debug!(%mirror, %digest, "the mirror lacks the content");
        } else {
            self.disable(error);
        }
    }

    pub(super) fn disable(&self, error: &Error) {
        if !self.failed.swap(true, Ordering::Relaxed) {
            let mirror = self.repository.name();
            tracing::warn!(%mirror, %error, "the mirror failed and is not used again");
        }
    }

    pub(super) fn count_manifest(&self) {
        self.manifests.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_blob(&self) {
        self.blobs.fetch_add(1, Ordering::Relaxed);
    }
}

/// Returns true if content is missing, but not the whole repository.
fn is_missing(error: &Error) -> bool {
    matches!(error, Error::ErrorResponse(response) if response.status == 404 && !response.has_code("NAME_UNKNOWN"))
}

/// Returns the error for a mirror that exceeded its time limit.
pub(super) fn timeout_error(mirror: &SourceRepository, time: Duration) -> Error {
    let host = mirror.repository.name().registry().api_host().to_owned();
    let kind = http::ErrorKind::Silent { time, proxy: None };
    http::Error { kind, host: host.into(), attempts: 1, elapsed: time }.into()
}
