//! The state table as the provider uses it: calls per event, a table that cannot be used, and leases.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic as tests do")]

mod calls;
#[path = "../common/mod.rs"]
mod common;
mod leases;
mod unavailable;
