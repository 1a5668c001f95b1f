//! Reads manifests and blobs of one image from its registry and from mirrors.

mod blob_reader;
mod manifest_ref;
mod mirror;
mod repositories;
mod repository;

pub(super) use blob_reader::{ReaderState, SourceBlobReader};
pub(super) use manifest_ref::ManifestRef;
pub use mirror::Mirror;
pub use repositories::Source;
pub use repository::ReadCounts;
