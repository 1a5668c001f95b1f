//! Carries out a plan. All writes are here.

mod content;
mod limits;
mod manifests;
mod parts;
mod peek;
mod publish;
mod referrers;
mod steps;

pub use content::TransferredContent;
pub use limits::{CONCURRENT_BLOBS, TransferLimits};
pub use publish::publish;
pub use steps::{transfer, transfer_content};
