//! Who calls.

use http::HeaderMap;

use crate::actions_seen;

use super::hosts;

/// The role in whose name a call is made, and the program that makes it.
pub(crate) struct Caller {
    /// As AWS names the session of a role.
    pub(super) principal: String,
    /// What the program calls itself, if it does.
    program: Option<String>,
}

impl Caller {
    /// Who sent these headers.
    pub(crate) fn of(headers: &HeaderMap, account: &str, region: &str) -> Self {
        Self { program: actions_seen::program(headers), ..Self::unnamed(account, region) }
    }

    /// A caller who sent none.
    pub(crate) fn unnamed(account: &str, region: &str) -> Self {
        let partition = hosts::partition(region);
        let principal = format!("arn:{partition}:sts::{account}:assumed-role/emulated-role/emulated-session");
        Self { principal, program: None }
    }

    /// Notes what IAM is asked about for this caller.
    pub(super) fn asks(&self, action: &str) {
        actions_seen::note(self.program.as_deref(), action);
    }
}
