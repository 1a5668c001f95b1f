//! Blobs: bytes in memory, or content that is generated from a seed while it is read.

use std::collections::HashMap;
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use sha2::{Digest, Sha256};

use crate::body::{Body, BoxError, full};

/// Bytes after which generated content repeats, except for a counter at the start of each block.
const BLOCK: u64 = 64 * 1024;
const COUNTER: u64 = 8;

/// Returns the SHA-256 digest of bytes in the form `sha256:<hex>`.
pub fn digest(bytes: &[u8]) -> String {
    format_digest(&Sha256::digest(bytes))
}

/// Formats a SHA-256 hash as a digest.
pub(crate) fn format_digest(hash: &[u8]) -> String {
    let mut text = String::from("sha256:");
    for byte in hash {
        text += &format!("{byte:02x}");
    }
    text
}

/// Content with its digest.
#[derive(Clone, Debug)]
pub struct Blob {
    digest: String,
    size: u64,
    source: Source,
}

#[derive(Clone, Debug)]
enum Source {
    Bytes(Bytes),
    /// One block of the content, which repeats.
    Generated(Bytes),
}

impl Blob {
    /// Creates a blob from bytes.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self { digest: digest(&bytes), size: bytes.len() as u64, source: Source::Bytes(bytes) }
    }

    /// Creates a pseudo-random blob of any size that takes no memory. The same seed gives the same content.
    pub fn generated(seed: u64, size: u64) -> Self {
        let block = block(seed);
        let mut hash = Sha256::new();
        let mut at = 0;
        while at < size {
            let chunk = chunk(&block, at, size);
            at += chunk.len() as u64;
            hash.update(chunk);
        }
        Self { digest: format_digest(&hash.finalize()), size, source: Source::Generated(block) }
    }

    /// Returns the digest.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Returns the size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns true if the blob takes no memory.
    pub fn is_generated(&self) -> bool {
        matches!(self.source, Source::Generated(_))
    }

    /// Returns all bytes.
    pub fn to_bytes(&self) -> Bytes {
        match &self.source {
            Source::Bytes(bytes) => bytes.clone(),
            Source::Generated(block) => {
                let mut bytes = Vec::new();
                while (bytes.len() as u64) < self.size {
                    bytes.extend_from_slice(&chunk(block, bytes.len() as u64, self.size));
                }
                bytes.into()
            }
        }
    }

    /// Returns a range of the blob as a body.
    pub(crate) fn stream(&self, range: Range<u64>) -> Body {
        match &self.source {
            Source::Bytes(bytes) => full(bytes.slice(range.start as usize..range.end as usize)),
            Source::Generated(block) => {
                let pieces = GeneratedBody { block: block.clone(), at: range.start, end: range.end };
                pieces.boxed_unsync()
            }
        }
    }
}

/// Generates the block of a seed with splitmix64, which is fast and well mixed.
fn block(seed: u64) -> Bytes {
    let mut state = seed;
    let mut bytes = Vec::with_capacity(BLOCK as usize);
    while bytes.len() < BLOCK as usize {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend_from_slice(&(word ^ (word >> 31)).to_le_bytes());
    }
    bytes.into()
}

/// Returns the content from `at` to the end of its block, or to `end`.
fn chunk(block: &Bytes, at: u64, end: u64) -> Bytes {
    let (number, within) = (at / BLOCK, at % BLOCK);
    let stop = (end - number * BLOCK).min(BLOCK);
    if within >= COUNTER {
        return block.slice(within as usize..stop as usize);
    }
    let mut bytes = block.to_vec();
    bytes[..COUNTER as usize].copy_from_slice(&number.to_le_bytes());
    Bytes::from(bytes).slice(within as usize..stop as usize)
}

/// Body of a generated blob.
struct GeneratedBody {
    block: Bytes,
    at: u64,
    end: u64,
}

impl http_body::Body for GeneratedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.at >= self.end {
            return Poll::Ready(None);
        }
        let chunk = chunk(&self.block, self.at, self.end);
        self.at += chunk.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.at >= self.end
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.end - self.at)
    }
}

/// Generated blobs by digest. A recipient finds the content here and does not store its bytes.
#[derive(Default)]
pub struct GeneratedBlobs(Mutex<HashMap<String, Blob>>);

impl GeneratedBlobs {
    /// Adds a blob if it is generated.
    pub fn add(&self, blob: &Blob) {
        if blob.is_generated() {
            let mut blobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            blobs.insert(blob.digest.clone(), blob.clone());
        }
    }

    /// Returns the generated blob with a digest.
    pub fn get(&self, digest: &str) -> Option<Blob> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(digest).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_blob_matches_its_digest() {
        for size in [0, 1, 8, BLOCK - 1, BLOCK, 3 * BLOCK + 5] {
            let blob = Blob::generated(7, size);
            let bytes = blob.to_bytes();
            assert_eq!(bytes.len() as u64, size);
            assert_eq!(blob.digest(), digest(&bytes));
        }
        assert_ne!(Blob::generated(1, 100).digest(), Blob::generated(2, 100).digest());
    }

    #[tokio::test]
    async fn streams_any_range_of_a_generated_blob() {
        let blob = Blob::generated(7, 3 * BLOCK);
        let whole = blob.to_bytes();
        for range in [0..10, 5..BLOCK + 3, BLOCK + 9..2 * BLOCK, 2 * BLOCK - 1..3 * BLOCK] {
            let part = crate::body::read(blob.stream(range.clone()), 1 << 20).await.unwrap();
            assert_eq!(part, whole[range.start as usize..range.end as usize], "{range:?}");
        }
    }
}
