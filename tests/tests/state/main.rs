//! The state table as the provider uses it: calls per event, a table that cannot be used, and leases.

mod calls;
#[path = "../common/mod.rs"]
mod common;
mod leases;
mod unavailable;
