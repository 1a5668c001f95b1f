//! The caller of an AWS API.

use http::HeaderMap;

use crate::actions_seen;

use super::hosts;

/// Name of the role of all programs.
const ROLE: &str = "emulated-role";

/// Returns the ARN of the role of all programs in an account.
pub(crate) fn role_arn(account: &str, region: &str) -> String {
    format!("arn:{}:iam::{account}:role/{ROLE}", hosts::partition(region))
}

/// Role session and program of a call.
pub(crate) struct Caller {
    /// ARN of the role session.
    pub(crate) principal: String,
    /// ARN of the role.
    pub(crate) role: String,
    /// Name of the program.
    program: Option<String>,
}

impl Caller {
    /// Returns the caller of a request with these headers.
    pub(crate) fn of(headers: &HeaderMap, account: &str, region: &str) -> Self {
        Self { program: actions_seen::program_name(headers), ..Self::unnamed(account, region) }
    }

    /// Returns a caller without a program name.
    pub(crate) fn unnamed(account: &str, region: &str) -> Self {
        let partition = hosts::partition(region);
        let principal = format!("arn:{partition}:sts::{account}:assumed-role/{ROLE}/emulated-session");
        Self { principal, role: role_arn(account, region), program: None }
    }

    /// Records an action that the caller needs permission for.
    pub(super) fn record_action(&self, action: &str) {
        actions_seen::record(self.program.as_deref(), action);
    }
}
