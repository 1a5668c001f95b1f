//! One request: sent, tried again where that can help, and answered with whatever status came.
//!
//! Knows nothing of images. Redirects are not followed: whether a login may go along is the
//! caller's to judge.

mod activity;
mod address;
mod client;
mod describe;
mod error;
mod options;
mod proxy;
mod retry;

pub(crate) use activity::Activity;
pub(crate) use address::{Origin, is_this_machine};
pub use client::Client;
pub(crate) use client::{Answer, Opened, Request};
pub(crate) use describe::interrupted;
pub use error::{Error, Kind};
pub(crate) use error::{duration, tries};
pub use options::Options;
pub use retry::Backoff;
pub(crate) use retry::{Tries, is_transient, retry_after};
