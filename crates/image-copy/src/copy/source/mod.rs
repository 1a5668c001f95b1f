//! Reads manifests and blobs of one image from its registry and from mirrors.

mod blob_reader;
mod manifest_ref;
mod mirror;
mod repositories;

pub(super) use blob_reader::{Reader, Trace};
pub(super) use manifest_ref::Part;
pub use mirror::Mirror;
pub use repositories::{ReadCounts, Source};
