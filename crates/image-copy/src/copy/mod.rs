//! The copy: a [`Request`] becomes a [`Survey`], a [`Plan`] and then an [`Outcome`].
//!
//! [`survey()`] and [`plan()`] only read. [`transfer()`] writes: blobs and child manifests, then the
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
pub use deadline::in_time;
pub use destination::{Destination, Facts, Inventory};
pub use planning::{MAX_CONFIG_BYTES, Plan, Survey, config_of, image_for, images, plan, platform_in, survey};
pub use reporting::{
    Error, Failure, NoReport, Operation, Outcome, Problem, Progress, Referrers, Reporter, Side, TagMove,
};
pub use request::{Known, Platforms, Request};
pub use source::{Mirror, Served, Source};
pub use transfer::{CONCURRENT_BLOBS, Content, Limits, publish, transfer, transfer_content};
