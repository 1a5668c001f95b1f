//! Actions that the caller's role is not allowed.

use crate::fault::glob;

use super::{ApiError, Caller};

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

    /// Returns true if the action is denied on the resource.
    pub(crate) fn contains(&self, action: &str, resource: &str) -> bool {
        let denies = |(pattern, on): &(String, String)| glob(pattern, action) && glob(on, resource);
        self.0.iter().any(denies)
    }

    /// Records the action, and returns IAM's error if it is denied.
    pub(crate) fn check(&self, caller: &Caller, action: &str, resource: &str) -> Result<(), ApiError> {
        caller.record_action(action);
        if self.contains(action, resource) {
            return Err(access_denied(caller, action, resource, "identity-based"));
        }
        Ok(())
    }
}

/// A service with denied actions.
pub(crate) trait Deny: Send + Sync {
    /// Returns true if the service denies the action on the resource.
    fn denies(&self, action: &str, resource: &str) -> bool;
}

/// Returns the error for a missing permission in a policy of this kind.
pub(crate) fn access_denied(caller: &Caller, action: &str, resource: &str, policy: &str) -> ApiError {
    let principal = &caller.principal;
    let message = format!(
        "User: {principal} is not authorized to perform: {action} on resource: {resource} because no \
         {policy} policy allows the {action} action"
    );
    ApiError::new("AccessDeniedException", message)
}
