//! Reads manifests and blobs of one image from its registry and from mirrors.

mod blob_reader;
mod mirror;
mod places;

pub use mirror::Mirror;
pub use places::{Served, Source};
