//! Arguments of `refresh`.

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::AwsArgs;

const EXAMPLES: &str = "\
Examples:
  Start a run and print its report:
    container-image refresh

  Replace the list of the stack, and start a run:
    container-image refresh --list images.yaml

  Check a list as the stack does, and change nothing:
    container-image refresh --list images.yaml --dry-run

  Refresh the images of a cluster:
    kubectl get pods -A -o jsonpath='{..image}' | tr ' ' '\\n' | sort -u |
      container-image refresh --list -

  Start a run of another stack, and do not wait:
    container-image refresh --stack refresh-base-images --no-wait

The list has one of the formats of sync. It replaces the object in the output
ListObject of the stack, which is read by every later run too. An invalid list
is not uploaded. Tags and images are not read before the run.

Ctrl-C ends the command, not the run.

Credentials: The AWS credentials of --profile, or of the environment, profiles,
the container or the instance.

Exit codes: 0 success, 1 the run failed, 2 invalid usage or list,
130 interrupted, 143 terminated.";

/// Arguments of `refresh`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct RefreshArgs {
    /// Name of the refresh stack
    #[arg(long, value_name = "NAME", default_value = "image-refresh",
          value_parser = NonEmptyStringValueParser::new())]
    pub(crate) stack: String,

    /// Replace the list of the stack by this file before the run. `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) list: Option<String>,

    /// Check the list with the prefix of the stack. Upload nothing, and start no run
    #[arg(long, requires = "list", conflicts_with_all = ["json", "no_wait"])]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) aws: AwsArgs,

    /// Print the report of the run as JSON
    #[arg(long)]
    pub(crate) json: bool,

    /// Print the ARN of the execution after its start, and do not wait for its end
    #[arg(long, conflicts_with = "json")]
    pub(crate) no_wait: bool,
}
