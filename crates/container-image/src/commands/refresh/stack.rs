//! The outputs of a refresh stack.

use image_copy_aws::{ObjectLocation, Stacks};

use crate::args::ConnectionArgs;
use crate::report::aws_failure;
use crate::report::refresh::missing_output;

/// Value of the output `ListObject` if a parameter of the stack contains the list.
const NONE: &str = "none";

/// Outputs of cloudformation/image-refresh.yaml.
pub(super) struct RefreshStack {
    /// ARN of the state machine.
    pub(super) state_machine: String,
    /// Bucket of the runs.
    pub(super) bucket: String,
    /// Object with the list. `None` if a parameter of the stack contains the list.
    pub(super) list: Option<ObjectLocation>,
}

impl RefreshStack {
    /// Reads the outputs of the stack `name`.
    ///
    /// # Errors
    /// Error line with one thing to change.
    pub(super) async fn read(stacks: &Stacks, name: &str, options: &ConnectionArgs) -> Result<Self, String> {
        let described = stacks.describe(name).await;
        let mut outputs = described.map_err(|error| aws_failure::stack_failure(&error, options))?.outputs;
        let mut output =
            |key: &str| outputs.remove(key).ok_or_else(|| missing_output(name, stacks.region(), key));
        let (state_machine, bucket) = (output("StateMachineArn")?, output("BucketName")?);
        let list = output("ListObject")?;
        let list = match list.as_str() {
            NONE => None,
            text => Some(text.parse().map_err(|_| missing_output(name, stacks.region(), "ListObject"))?),
        };
        Ok(Self { state_machine, bucket, list })
    }
}
