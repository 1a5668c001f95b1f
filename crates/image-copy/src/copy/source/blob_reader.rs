//! Reads one blob, from mirrors and the named registry.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::{Bytes, BytesMut};
use tokio::time::timeout;

use super::repositories::{Source, silent};
use crate::oci::Descriptor;
use crate::registry::{BlobReader, BlobStream, Error};

/// Reads one blob from the first repository that has it. If one fails, the next continues at the first
/// missing byte, because all have the same bytes.
pub(in crate::copy) struct Reader {
    source: Source,
    blob: Descriptor,
    reader: BlobReader,
    /// Positions of the mirrors that sent bytes.
    contributors: Vec<usize>,
    trace: Arc<Trace>,
}

/// State of a reader that its creator can still read after passing the reader on.
#[derive(Default)]
pub(in crate::copy) struct Trace {
    /// Position of the repository read last.
    at: AtomicUsize,
    /// True if a mirror's bytes were wrong, so that another attempt reads from other repositories.
    misled: AtomicBool,
}

impl Trace {
    /// Returns true if a mirror sent wrong bytes. It is not used again.
    pub(in crate::copy) fn was_misled(&self) -> bool {
        self.misled.load(Ordering::Relaxed)
    }
}

impl Source {
    /// Starts reading a blob.
    pub(in crate::copy) fn read_blob(&self, blob: &Descriptor) -> Reader {
        let at = self.next_place(0);
        let trace = Trace { at: AtomicUsize::new(at), misled: AtomicBool::new(false) };
        Reader {
            source: self.clone(),
            blob: blob.clone(),
            reader: self.places()[at].repository.read_blob(blob),
            contributors: Vec::new(),
            trace: Arc::new(trace),
        }
    }

    /// Reads a blob of at most `limit` bytes to its end.
    pub(in crate::copy) async fn get_blob(&self, blob: &Descriptor, limit: u64) -> Result<Bytes, Error> {
        if blob.size > limit {
            return Err(Error::Protocol("it states a size for a config that no config has"));
        }
        loop {
            let mut reader = self.read_blob(blob);
            let trace = reader.trace();
            let mut whole = BytesMut::new();
            let end = loop {
                match reader.next().await {
                    Ok(Some(piece)) => whole.extend_from_slice(&piece),
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(error),
                }
            };
            match end {
                Ok(()) => return Ok(whole.freeze()),
                Err(_) if trace.was_misled() => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Counts a blob that was read completely with `trace`.
    pub(in crate::copy) fn arrived(&self, trace: &Trace) {
        self.places()[trace.at.load(Ordering::Relaxed)].served_blob();
    }
}

impl Reader {
    /// Returns the reader's shared state.
    pub(in crate::copy) fn trace(&self) -> Arc<Trace> {
        self.trace.clone()
    }

    /// Continues at the next repository, unless wrong bytes were received.
    fn move_on(&mut self, at: usize, error: Error) -> Result<(), Error> {
        let place = &self.source.places()[at];
        place.note(&self.blob.digest, &error);
        if is_wrong(&error) {
            return Err(error);
        }
        let next = self.source.next_place(at + 1);
        self.trace.at.store(next, Ordering::Relaxed);
        let repository = &self.source.places()[next].repository;
        let (from, to) = (place.repository.name(), repository.name());
        tracing::info!(digest = %self.blob.digest, %from, %to, %error, "a blob is read elsewhere");
        self.reader.continue_from(repository);
        Ok(())
    }

    /// Stops using all mirrors that sent bytes of a wrong blob, because the wrong part is unknown.
    fn blame(&self, error: &Error) {
        for mirror in &self.contributors {
            self.source.places()[*mirror].give_up(error);
        }
        self.trace.misled.store(!self.contributors.is_empty(), Ordering::Relaxed);
    }
}

impl BlobStream for Reader {
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let at = self.trace.at.load(Ordering::Relaxed);
            let before = self.reader.received();
            let piece = if at == self.source.last() {
                self.reader.next().await
            } else {
                let patience = self.source.patience_for_piece();
                let waited = timeout(patience, self.reader.next()).await;
                waited.unwrap_or_else(|_| Err(silent(&self.source.places()[at], patience)))
            };
            if at < self.source.last() && self.reader.received() > before && !self.contributors.contains(&at)
            {
                self.contributors.push(at);
            }
            let error = match piece {
                Ok(piece) => return Ok(piece),
                Err(error) => error,
            };
            if is_wrong(&error) {
                self.blame(&error);
            }
            if at == self.source.last() {
                return Err(error);
            }
            self.move_on(at, error)?;
        }
    }
}

/// Returns true if the content does not match its descriptor.
fn is_wrong(error: &Error) -> bool {
    matches!(error, Error::DigestMismatch { .. } | Error::SizeMismatch { .. })
}
