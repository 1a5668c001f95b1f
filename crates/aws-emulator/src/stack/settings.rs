//! Settings of a stack.

use std::time::Duration;

use crate::bucket::SignatureVersion;
use crate::lambda::Function;

/// Rollback of a resource that the update replaced. No source documents which of the two CloudFormation
/// does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReplacementRollback {
    /// The old physical ID becomes current again, and the clean-up deletes the new one.
    #[default]
    DeleteNew,
    /// The new physical ID is first updated with the old properties. If the response has another ID, the
    /// clean-up deletes the new one.
    UpdateThenDelete,
}

/// Settings of a stack.
#[derive(Clone, Debug)]
pub struct StackSettings {
    /// Name of the stack.
    pub name: String,
    /// Account.
    pub account: String,
    /// Region.
    pub region: String,
    /// The provider's ARN, and `ServiceToken` of custom resources without one. Resources with another one fail.
    pub service_token: String,
    /// Real duration of one second of `ServiceTimeout`.
    pub simulated_second: Duration,
    /// Version of the pre-signed response URLs.
    pub signature: SignatureVersion,
    /// Rollback of replaced resources.
    pub replacement_rollback: ReplacementRollback,
}

impl StackSettings {
    /// Creates settings in the account and Region of a function, with seconds of ten milliseconds.
    pub fn for_function(name: &str, function: &Function) -> Self {
        let settings = function.settings();
        Self::new(name, &settings.account, &settings.region, &settings.arn())
    }

    /// Creates settings with seconds of ten milliseconds.
    pub fn new(name: &str, account: &str, region: &str, service_token: &str) -> Self {
        Self {
            name: name.to_owned(),
            account: account.to_owned(),
            region: region.to_owned(),
            service_token: service_token.to_owned(),
            simulated_second: Duration::from_millis(10),
            signature: SignatureVersion::default(),
            replacement_rollback: ReplacementRollback::default(),
        }
    }
}
