//! Arguments of `verify`.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{ArgGroup, Args};

use super::update::jobs;
use super::{ConnectionArgs, credentials_help, heading};

const EXAMPLES: &str = concat!(
    "\
Examples:
  Check the images of two stacks:
    container-image verify --stack network --stack shop

  Check all images in the provider's state table, every night in CI:
    container-image verify --all --json

  Check the images that a sync has copied:
    container-image sync nginx:1.27 --to registry.example/m --report r.json
    container-image verify r.json

States of images: ok, moved (the source names another image now), at risk (a
lifecycle rule is about to expire it, or the tag names another image),
incomplete, missing, and unknown if it cannot be read.

",
    credentials_help!(),
    "

Exit codes: 0 all images are ok or moved, 1 at least one is not, 2 invalid usage
or report, 130 interrupted, 143 terminated."
);

/// Arguments of `verify`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
#[command(group = ArgGroup::new("images").args(["report", "stack", "all"]).required(true))]
pub(crate) struct VerifyArgs {
    /// Check the images in the JSON file of `sync --report`
    pub(crate) report: Option<PathBuf>,

    /// Check the images of this CloudFormation stack and its nested stacks. Can be repeated
    #[arg(long, help_heading = heading::IMAGES, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) stack: Vec<String>,

    /// Check all images in the provider's state table
    #[arg(long, help_heading = heading::IMAGES)]
    pub(crate) all: bool,

    /// Name or ARN of the state table, or `none`. Default: the output StateTableName of the stack
    /// cfn-container-image-provider
    #[arg(long, help_heading = heading::IMAGES, value_name = "NAME", conflicts_with = "report",
          value_parser = NonEmptyStringValueParser::new())]
    pub(crate) state_table: Option<String>,

    /// Print a JSON document with the images and a summary
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,

    /// Maximum number of concurrent repositories, and of concurrent requests for each check
    #[arg(long, short, help_heading = heading::REGISTRIES, value_name = "N", default_value_t = 8,
          value_parser = jobs())]
    pub(crate) jobs: u16,
}
