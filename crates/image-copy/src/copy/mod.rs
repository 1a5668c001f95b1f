//! The copy: a [`Request`] becomes a [`Plan`], and the plan an [`Outcome`].
//!
//! [`plan()`] only reads. [`transfer()`] writes: blobs, then manifests from the leaves up, the tag last.

mod error;
mod inventory;
mod outcome;
mod plan;
mod progress;
mod request;
mod select;
mod summary;
mod transfer;
mod walk;

pub use error::{Error, Failure, Operation, Problem, Side};
pub use inventory::{Destination, Facts, Inventory};
pub use outcome::{Outcome, Progress, TagMove};
pub use plan::{Plan, plan};
pub use progress::{NoReport, Reporter};
pub use request::{Platforms, Request};
pub use transfer::{CONCURRENT_BLOBS, Limits, transfer};
