//! The copy: a [`Request`] becomes a [`CurrentState`], a [`Plan`] and then an [`Outcome`].
//!
//! [`read_current_state()`] and [`plan()`] only read. [`transfer()`] writes: blobs and child manifests, then the
//! image's referrers ([`transfer_content()`]), then the root under its tag ([`publish()`]).
//!
//! Imports point one way: `transfer` uses `planning`, and both use the other modules. No module imports one that
//! imports it.

mod budget;
mod deadline;
mod destination;
mod planning;
mod reporting;
mod request;
mod source;
mod transfer;

pub use budget::ImageLimit;
pub use deadline::with_deadline;
pub use destination::{Destination, Inventory, RepositorySettings};
pub use planning::{
    CurrentState, MAX_CONFIG_BYTES, Plan, config_of, image_children, image_for_platform, plan,
    platform_from_config, read_current_state,
};
pub use reporting::{
    Error, Failure, NullReporter, Operation, Outcome, Problem, Progress, ProgressReporter, ReferrerCounts,
    Side, TagChange,
};
pub use request::{EarlierCopy, PlatformSelection, Request};
pub use source::{Mirror, ReadCounts, Source};
pub use transfer::{
    CONCURRENT_BLOBS, TransferLimits, TransferredContent, publish, transfer, transfer_content,
};
