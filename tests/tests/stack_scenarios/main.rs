//! Stack operations. Each scenario runs with mutable and immutable tags, without `Platform` and with `all`.

#![expect(clippy::unwrap_used, reason = "a failed setup ends the test")]

mod changes;
#[path = "../common/mod.rs"]
mod common;
mod owners;
mod rollbacks;
mod scenario;
