//! Actions that the caller's role is not allowed.

use crate::fault::glob;

use super::{Caller, Refusal};

/// Denied actions as patterns of action and resource.
#[derive(Default)]
pub(crate) struct Denials(Vec<(String, String)>);

impl Denials {
    /// Denies actions on resources. Both are patterns with `*`.
    pub(crate) fn add(&mut self, action: &str, resource: &str) {
        self.0.push((action.to_owned(), resource.to_owned()));
    }

    /// Removes all denials.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Records the action, and returns IAM's error if it is denied.
    pub(crate) fn check(&self, caller: &Caller, action: &str, resource: &str) -> Result<(), Refusal> {
        caller.asks(action);
        let denies = |(pattern, on): &(String, String)| glob(pattern, action) && glob(on, resource);
        if self.0.iter().any(denies) {
            return Err(denied(caller, action, resource, "identity-based"));
        }
        Ok(())
    }
}

/// Returns the error for a missing permission in a policy of this kind.
pub(crate) fn denied(caller: &Caller, action: &str, resource: &str, policy: &str) -> Refusal {
    let principal = &caller.principal;
    let message = format!(
        "User: {principal} is not authorized to perform: {action} on resource: {resource} because no \
         {policy} policy allows the {action} action"
    );
    Refusal::new("AccessDeniedException", message)
}
