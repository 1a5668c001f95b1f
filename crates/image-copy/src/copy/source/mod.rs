//! Reads manifests and blobs of one image from its registry and from mirrors.

mod blob_reader;
mod mirror;
mod part;
mod places;

pub(super) use blob_reader::{Reader, Trace};
pub use mirror::Mirror;
pub(super) use part::Part;
pub use places::{ReadCounts, Source};
