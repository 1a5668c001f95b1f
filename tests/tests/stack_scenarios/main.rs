//! What stacks can rely on: each row is played in a repository with mutable and with immutable
//! tags, with `Platform` absent and `all`.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic as tests do")]

mod changes;
#[path = "../common/mod.rs"]
mod common;
mod owners;
mod rollbacks;
mod scenario;
