//! The copy: a [`Request`] becomes a [`CurrentState`], a [`Plan`] and then an [`Outcome`].
//!
//! [`read_current_state()`] and [`plan()`] only read. [`transfer()`] writes: first blobs, child manifests and
//! referrers ([`transfer_content()`]), then the root under its tag ([`publish()`]).
//!
//! `transfer` imports `planning`, and both import the other modules, never the other way round.

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
    ConfigChange, CurrentState, CustomizedContent, MAX_CONFIG_BYTES, Plan, config_of, image_children,
    image_for_platform, plan, platform_from_config, read_children, read_config, read_current_state,
    read_root,
};
pub use reporting::{
    Error, Failure, NullReporter, Operation, Outcome, Problem, Progress, ProgressReporter, ReferrerCounts,
    Side, TagChange,
};
pub use request::{EarlierCopy, PlatformSelection, Request};
pub use source::{Mirror, ReadCounts, Source};
pub use transfer::{
    CONCURRENT_BLOBS, ConcurrentBlobs, TransferLimits, TransferredContent, publish, transfer,
    transfer_content,
};
