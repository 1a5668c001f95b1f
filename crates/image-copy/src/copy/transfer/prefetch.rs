//! A blob reader whose first piece is read in advance, or whose blob is in memory.

use bytes::Bytes;

use crate::registry::{BlobStream, Error};

/// A blob reader with an optional first piece.
pub(super) struct Prefetched<R> {
    first: Option<Bytes>,
    /// `None` for a blob in memory.
    rest: Option<R>,
}

impl<R: BlobStream> Prefetched<R> {
    /// Reads the first piece.
    ///
    /// # Errors
    /// If the blob cannot be read.
    pub(super) async fn prefetch(mut rest: R) -> Result<Self, Error> {
        let first = rest.next_chunk().await?;
        Ok(Self { first, rest: Some(rest) })
    }

    /// Wraps a reader without reading its first piece.
    pub(super) fn without_prefetch(rest: R) -> Self {
        Self { first: None, rest: Some(rest) }
    }

    /// Wraps a blob that is in memory.
    pub(super) fn in_memory(content: Bytes) -> Self {
        Self { first: Some(content), rest: None }
    }
}

impl<R: BlobStream> BlobStream for Prefetched<R> {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>, Error> {
        match (self.first.take(), &mut self.rest) {
            (Some(first), _) => Ok(Some(first)),
            (None, Some(rest)) => rest.next_chunk().await,
            (None, None) => Ok(None),
        }
    }
}
