//! The outputs and the prefix of a refresh stack.

use image_copy::oci::Prefix;
use image_copy_aws::{ObjectLocation, RepositoryArn, Stacks};

use crate::args::ConnectionArgs;
use crate::report::aws_failure;
use crate::report::refresh::{missing_output, missing_parameter};

/// Value of the output `ListObject` if a parameter of the stack contains the list.
const NONE: &str = "none";

/// Parameter with the beginning of all repository names.
const PREFIX: &str = "RepositoryPrefix";

/// Values of a stack of cloudformation/image-refresh.yaml.
pub(super) struct RefreshStack {
    /// ARN of the state machine.
    pub(super) state_machine: String,
    /// Bucket of the runs.
    pub(super) bucket: String,
    /// Object with the list. `None` if a parameter of the stack contains the list.
    pub(super) list: Option<ObjectLocation>,
    /// Beginning of all destinations.
    pub(super) prefix: Prefix,
}

impl RefreshStack {
    /// Reads the outputs and the prefix of the stack `name`.
    ///
    /// # Errors
    /// Error line with one thing to change.
    pub(super) async fn read(stacks: &Stacks, name: &str, options: &ConnectionArgs) -> Result<Self, String> {
        let described = stacks.describe(name).await;
        let described = described.map_err(|error| aws_failure::stack_failure(&error, options))?;
        let mut outputs = described.outputs;
        let mut output =
            |key: &str| outputs.remove(key).ok_or_else(|| missing_output(name, stacks.region(), key));
        let (state_machine, bucket) = (output("StateMachineArn")?, output("BucketName")?);
        let list = output("ListObject")?;
        let list = match list.as_str() {
            NONE => None,
            text => Some(text.parse().map_err(|_| missing_output(name, stacks.region(), "ListObject"))?),
        };
        let path = described.parameters.get(PREFIX).and_then(Option::as_deref);
        let prefix = path.and_then(|path| prefix(&state_machine, path));
        let prefix = prefix.ok_or_else(|| missing_parameter(name, stacks.region(), PREFIX))?;
        Ok(Self { state_machine, bucket, list, prefix })
    }
}

/// Returns the destination of the state machine: ECR in its account and Region, with the path of the parameter.
fn prefix(state_machine: &str, path: &str) -> Option<Prefix> {
    let [_, partition, _, region, account] = *state_machine.split(':').take(5).collect::<Vec<_>>() else {
        return None;
    };
    // The repository only serves to format the host.
    let any =
        format!("arn:{partition}:ecr:{region}:{account}:repository/any").parse::<RepositoryArn>().ok()?;
    let host = any.host();
    if path.is_empty() { host } else { format!("{host}/{path}") }.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_is_in_the_account_and_region_of_the_state_machine() {
        let text = |arn: &str, path: &str| prefix(arn, path).map(|prefix| prefix.to_string());
        let arn = "arn:aws-cn:states:cn-north-1:123456789012:stateMachine:Refresh-1";
        let host = "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn";
        assert_eq!(text(arn, "a/b"), Some(format!("{host}/a/b")));
        assert_eq!(text(arn, ""), Some(host.to_owned()));
        assert_eq!(text("Refresh-1", "a"), None);
    }
}
