//! Sends one HTTP request, with retries, time limits and a check of its target. A response of any status is
//! a success.
//!
//! Independent of images. Redirects are left to the caller, which must decide about the credentials.

mod address;
mod attempts;
mod client;
mod error;
mod options;
mod pending_requests;
mod proxy;
mod reqwest_error;
mod resolver;
mod retry;
mod retry_budget;
mod streaming_response;
mod upload_monitor;

pub(crate) use address::{Network, is_loopback_host, without_credentials};
pub use client::Client;
pub(crate) use client::{ReceivedResponse, Request, Response};
pub use error::{Error, ErrorKind};
pub(crate) use error::{attempts_suffix, format_duration, format_seconds};
pub use options::Options;
pub(crate) use pending_requests::PendingRequests;
pub use pending_requests::SilentHost;
pub(crate) use reqwest_error::interrupted_error;
pub use retry::Backoff;
pub(crate) use retry::{
    is_transient, numeric_header, rate_limit_end, rate_limit_reset, rate_limit_window, retry_after,
};
pub(crate) use retry_budget::RetryBudget;
pub(crate) use streaming_response::StreamingResponse;
pub(crate) use upload_monitor::UploadMonitor;
