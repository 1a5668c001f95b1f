//! Limits of the memory that a registry's content can use.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::oci::Digest;

/// Maximum number of manifests of one image. The largest official images have some 40.
pub(super) const MAX_MANIFESTS: usize = 1000;

/// Maximum depth of nested indexes. Build tools nest two at most.
pub(super) const MAX_DEPTH: usize = 4;

/// Maximum size in bytes of all manifests and configs of a copy, including referrers. All manifests of the
/// largest official images have 100 KiB. The idle function uses some 30 MiB of its memory. Each byte of a
/// manifest uses up to three bytes while ECR's response is parsed.
const MAX_BYTES: u64 = 16 << 20;

/// Maximum number of descriptors in all manifests of a copy. 20,000 use 7 MiB of memory.
const MAX_DESCRIPTORS: usize = 20_000;

/// A limit that an image exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageLimit {
    /// Number of manifests.
    Manifests,
    /// Depth of nested indexes.
    Depth,
    /// Bytes of all manifests.
    Bytes,
    /// Number of descriptors.
    Descriptors,
}

/// `more than 1000 manifests`
impl fmt::Display for ImageLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manifests => write!(f, "more than {MAX_MANIFESTS} manifests"),
            Self::Depth => write!(f, "indexes that are nested more than {MAX_DEPTH} deep"),
            Self::Bytes => write!(f, "more than {} MiB of manifests", MAX_BYTES >> 20),
            Self::Descriptors => write!(f, "more than {MAX_DESCRIPTORS} layers and manifests"),
        }
    }
}

/// Bytes and descriptors that one copy keeps in memory. They are reserved by digest before the content is
/// read, so that a second attempt reserves nothing more.
#[derive(Default)]
pub(super) struct MemoryBudget {
    usages: Mutex<Usages>,
}

#[derive(Default)]
struct Usages {
    by_digest: HashMap<Digest, Usage>,
    sum: Usage,
}

#[derive(Clone, Copy, Default)]
struct Usage {
    bytes: u64,
    descriptors: usize,
}

impl MemoryBudget {
    /// Reserves memory for content before it is read, with its maximum size in bytes.
    pub(super) fn reserve(&self, digest: &Digest, bytes: u64) -> Result<(), ImageLimit> {
        self.update(digest, |old| Usage { bytes: bytes.max(old.bytes), ..old })
    }

    /// Replaces a reservation by the memory that the content uses.
    pub(super) fn record(&self, digest: &Digest, bytes: u64, descriptors: usize) -> Result<(), ImageLimit> {
        self.update(digest, |_| Usage { bytes, descriptors })
    }

    fn update(&self, digest: &Digest, next: impl FnOnce(Usage) -> Usage) -> Result<(), ImageLimit> {
        let mut usages = self.usages.lock().unwrap_or_else(PoisonError::into_inner);
        let old = usages.by_digest.get(digest).copied().unwrap_or_default();
        let new = next(old);
        let bytes = (usages.sum.bytes - old.bytes).saturating_add(new.bytes);
        let descriptors = usages.sum.descriptors - old.descriptors + new.descriptors;
        if bytes > MAX_BYTES {
            return Err(ImageLimit::Bytes);
        }
        if descriptors > MAX_DESCRIPTORS {
            return Err(ImageLimit::Descriptors);
        }
        usages.sum = Usage { bytes, descriptors };
        usages.by_digest.insert(digest.clone(), new);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_content_once_and_before_it_is_read() {
        let budget = MemoryBudget::default();
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        assert_eq!(budget.reserve(&a, MAX_BYTES), Ok(()));
        assert_eq!(budget.reserve(&a, MAX_BYTES), Ok(()), "a second attempt");
        assert_eq!(budget.reserve(&b, 1), Err(ImageLimit::Bytes));
        assert_eq!(budget.record(&a, MAX_BYTES - 1, MAX_DESCRIPTORS), Ok(()), "smaller than reserved");
        assert_eq!(budget.reserve(&b, 1), Ok(()));
        assert_eq!(budget.record(&b, 1, 1), Err(ImageLimit::Descriptors));
        assert_eq!(budget.record(&a, 0, 0), Ok(()), "no longer in memory");
        assert_eq!(budget.record(&b, 1, 1), Ok(()));
        assert_eq!(budget.reserve(&a, u64::MAX), Err(ImageLimit::Bytes));
    }
}
