//! What the caller's role may not do.

use crate::fault::glob;

use super::{Caller, Refusal};

/// Patterns for action and resource of what is denied.
#[derive(Default)]
pub(crate) struct Denials(Vec<(String, String)>);

impl Denials {
    /// Denies actions on resources; both are patterns with `*`.
    pub(crate) fn add(&mut self, action: &str, resource: &str) {
        self.0.push((action.to_owned(), resource.to_owned()));
    }

    /// Takes all denials back.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Refuses an action that is denied, in IAM's words. What is asked here is what the caller's role
    /// must allow.
    pub(crate) fn check(&self, caller: &Caller, action: &str, resource: &str) -> Result<(), Refusal> {
        caller.asks(action);
        let denies = |(pattern, on): &(String, String)| glob(pattern, action) && glob(on, resource);
        if self.0.iter().any(denies) {
            return Err(denied(caller, action, resource, "identity-based"));
        }
        Ok(())
    }
}

/// A refusal for want of a policy of this kind.
pub(crate) fn denied(caller: &Caller, action: &str, resource: &str, policy: &str) -> Refusal {
    let principal = &caller.principal;
    let message = format!(
        "User: {principal} is not authorized to perform: {action} on resource: {resource} because no \
         {policy} policy allows the {action} action"
    );
    Refusal::new("AccessDeniedException", message)
}
