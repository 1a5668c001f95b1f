//! Executes a plan. Only this module writes.

mod blobs;
mod content;
mod limits;
mod manifests;
mod prefetch;
mod publish;
mod referrers;
mod steps;

pub use content::TransferredContent;
pub use limits::{CONCURRENT_BLOBS, ConcurrentBlobs, TransferLimits};
pub use publish::publish;
pub use steps::{transfer, transfer_content};
