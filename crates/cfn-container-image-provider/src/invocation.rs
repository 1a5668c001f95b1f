//! One invocation, and the clients that all invocations share.

use std::time::Duration;

use crate::clients::Clients;
use crate::respond::delivery::ResponseSender;

/// One invocation of the function.
pub(crate) struct Invocation {
    /// Lambda's request ID.
    pub(crate) request_id: String,
    /// ARN with which the function was invoked. It also invokes itself with it.
    pub(crate) function_arn: String,
    /// Time until Lambda stops the function.
    pub(crate) time_left: Duration,
}

impl Invocation {
    /// Returns a unique name of this attempt in leases. Lambda can run one request twice at the same time.
    pub(crate) fn lease_holder(&self) -> String {
        format!("{}-{:08x}", self.request_id, fastrand::u32(..))
    }
}

/// Clients that all invocations share.
pub(crate) struct Services {
    pub(crate) clients: Clients,
    pub(crate) responses: ResponseSender,
}
