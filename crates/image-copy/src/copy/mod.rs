//! The copy: a [`Request`] becomes a [`Survey`], a [`Plan`] and then an [`Outcome`].
//!
//! [`survey()`] and [`plan()`] only read. [`transfer()`] writes: blobs and child manifests, then what refers to them
//! ([`transfer_content()`]), then the root under its tag ([`publish()`]).

mod deadline;
mod error;
mod inventory;
mod known;
mod mirror;
mod outcome;
mod plan;
mod platforms;
mod progress;
mod publish;
mod reading;
mod referrers;
mod request;
mod select;
mod source;
mod summary;
mod survey;
mod transfer;
mod walk;

pub use error::{Error, Failure, Operation, Problem, Side};
pub use inventory::{Destination, Facts, Inventory};
pub use mirror::Mirror;
pub use outcome::{Content, Outcome, Progress, TagMove};
pub use plan::{Plan, plan};
pub use platforms::{MAX_CONFIG_BYTES, config_of, platform_in};
pub use progress::{NoReport, Reporter};
pub use publish::publish;
pub use referrers::Referrers;
pub use request::{Known, Platforms, Request};
pub use select::{image_for, images};
pub use source::{Served, Source};
pub use survey::{Survey, survey};
pub use transfer::{CONCURRENT_BLOBS, Limits, transfer, transfer_content};
