//! Reads one blob from mirrors and the upstream registry.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::{Bytes, BytesMut};
use tokio::time::timeout;

use super::repositories::Source;
use super::repository::timeout_error;
use crate::oci::Descriptor;
use crate::registry::{BlobReader, BlobStream, Error};

/// Reads one blob from the first repository that has it. If a repository fails, the next one continues at
/// the first missing byte, because all have the same bytes.
pub(in crate::copy) struct SourceBlobReader {
    source: Source,
    blob: Descriptor,
    reader: BlobReader,
    /// Positions of the mirrors that sent bytes.
    contributors: Vec<usize>,
    state: Arc<ReaderState>,
}

/// State of a reader, which its creator can still read after an upload has taken the reader.
#[derive(Default)]
pub(in crate::copy) struct ReaderState {
    /// Position of the current repository.
    at: AtomicUsize,
    /// True if a mirror's bytes were wrong, so that the next attempt reads from other repositories.
    received_wrong_bytes: AtomicBool,
}

impl ReaderState {
    /// Returns true if a mirror sent wrong bytes. It is not used again.
    pub(in crate::copy) fn received_wrong_bytes(&self) -> bool {
        self.received_wrong_bytes.load(Ordering::Relaxed)
    }
}

impl Source {
    /// Starts reading a blob.
    pub(in crate::copy) fn read_blob(&self, blob: &Descriptor) -> SourceBlobReader {
        let at = self.next_repository(0);
        let state = ReaderState { at: AtomicUsize::new(at), received_wrong_bytes: AtomicBool::new(false) };
        SourceBlobReader {
            source: self.clone(),
            blob: blob.clone(),
            reader: self.repositories()[at].repository.read_blob(blob),
            contributors: Vec::new(),
            state: Arc::new(state),
        }
    }

    /// Reads a whole blob of at most `limit` bytes.
    pub(in crate::copy) async fn get_blob(&self, blob: &Descriptor, limit: u64) -> Result<Bytes, Error> {
        if blob.size > limit {
            return Err(Error::Protocol("the config is larger than any real config"));
        }
        loop {
            let mut reader = self.read_blob(blob);
            let state = reader.state();
            let mut whole = BytesMut::new();
            let end = loop {
                match reader.next_chunk().await {
                    Ok(Some(piece)) => whole.extend_from_slice(&piece),
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(error),
                }
            };
            match end {
                Ok(()) => return Ok(whole.freeze()),
                Err(_) if state.received_wrong_bytes() => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Counts a blob that was read completely with `state`.
    pub(in crate::copy) fn count_blob(&self, state: &ReaderState) {
        self.repositories()[state.at.load(Ordering::Relaxed)].count_blob();
    }
}

impl SourceBlobReader {
    /// Returns the reader's shared state.
    pub(in crate::copy) fn state(&self) -> Arc<ReaderState> {
        self.state.clone()
    }

    /// Continues at the next repository, unless wrong bytes were received.
    fn continue_at_next(&mut self, at: usize, error: Error) -> Result<(), Error> {
        let current = &self.source.repositories()[at];
        current.handle_error(&self.blob.digest, &error);
        if is_content_mismatch(&error) {
            return Err(error);
        }
        let next = self.source.next_repository(at + 1);
        self.state.at.store(next, Ordering::Relaxed);
        let repository = &self.source.repositories()[next].repository;
        let (from, to) = (current.repository.name(), repository.name());
        tracing::info!(digest = %self.blob.digest, %from, %to, %error, "reading of a blob continues at another repository");
        self.reader.continue_from(repository);
        Ok(())
    }

    /// Disables all mirrors that sent bytes of a wrong blob, because the source of the wrong bytes is
    /// unknown.
    fn disable_contributors(&self, error: &Error) {
        for mirror in &self.contributors {
            self.source.repositories()[*mirror].disable(error);
        }
        self.state.received_wrong_bytes.store(!self.contributors.is_empty(), Ordering::Relaxed);
    }
}

impl BlobStream for SourceBlobReader {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let at = self.state.at.load(Ordering::Relaxed);
            let before = self.reader.received();
            let piece = if at == self.source.upstream_index() {
                self.reader.next_chunk().await
            } else {
                let limit = self.source.piece_time_limit();
                let waited = timeout(limit, self.reader.next_chunk()).await;
                waited.unwrap_or_else(|_| Err(timeout_error(&self.source.repositories()[at], limit)))
            };
            if at < self.source.upstream_index()
                && self.reader.received() > before
                && !self.contributors.contains(&at)
            {
                self.contributors.push(at);
            }
            let error = match piece {
                Ok(piece) => return Ok(piece),
                Err(error) => error,
            };
            if is_content_mismatch(&error) {
                self.disable_contributors(&error);
            }
            if at == self.source.upstream_index() {
                return Err(error);
            }
            self.continue_at_next(at, error)?;
        }
    }
}

/// Returns true if the content does not match its descriptor.
fn is_content_mismatch(error: &Error) -> bool {
    matches!(error, Error::DigestMismatch { .. } | Error::SizeMismatch { .. })
}
