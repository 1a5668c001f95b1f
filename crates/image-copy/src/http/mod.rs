//! One request, with retries, time limits and a check of its target. A response of any status is a success.
//!
//! Independent of images. Redirects are not followed, because the caller decides about the credentials.

mod activity;
mod address;
mod body;
mod budget;
mod client;
mod describe;
mod error;
mod options;
mod proxy;
mod resolver;
mod retry;
mod wait;

pub(crate) use activity::Activity;
pub(crate) use address::{Origin, is_this_machine, without_credentials};
pub(crate) use body::Body;
pub(crate) use budget::RetryBudget;
pub use client::Client;
pub(crate) use client::{Answer, Opened, Request};
pub(crate) use describe::interrupted;
pub use error::{Error, ErrorKind};
pub(crate) use error::{attempts_suffix, format_duration, format_seconds};
pub use options::Options;
pub use retry::Backoff;
pub(crate) use retry::{is_transient, limit_ends, number, reset, retry_after, window};
pub use wait::SilentHost;
pub(crate) use wait::Waits;
