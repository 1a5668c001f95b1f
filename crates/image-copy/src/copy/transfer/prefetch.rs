//! A blob reader whose first piece is read in advance.

use bytes::Bytes;

use crate::registry::{BlobStream, Error};

/// A blob reader with an optional first piece.
pub(super) struct Prefetched<R> {
    first: Option<Bytes>,
    rest: R,
}

impl<R: BlobStream> Prefetched<R> {
    /// Reads the first piece.
    ///
    /// # Errors
    /// If the blob cannot be read.
    pub(super) async fn prefetch(mut rest: R) -> Result<Self, Error> {
        let first = rest.next_chunk().await?;
        Ok(Self { first, rest })
    }

    /// Wraps a reader without reading its first piece.
    pub(super) fn without_prefetch(rest: R) -> Self {
        Self { first: None, rest }
    }
}

impl<R: BlobStream> BlobStream for Prefetched<R> {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>, Error> {
        match self.first.take() {
            Some(first) => Ok(Some(first)),
            None => self.rest.next_chunk().await,
        }
    }
}
