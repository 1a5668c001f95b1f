//! Arguments of `plan`.

use std::path::PathBuf;

use clap::Args;
use image_copy::copy::PlatformSelection;
use image_copy::oci::Prefix;

use super::update::jobs;
use super::{ConnectionArgs, credentials_help, heading};
use crate::template::parameters;

const EXAMPLES: &str = concat!(
    "\
Examples:
  Find out what would fail in a deployment:
    container-image plan template.yaml --region eu-west-1

  Pass parameters, on the command line or in a file of the AWS CLI:
    container-image plan template.yaml --parameter Tag=3.13 --parameters dev.json

  Compare a template with the deployed stack:
    container-image plan template.yaml --stack shop --region eu-west-1

  Plan the images of a list:
    container-image plan images.txt \\
      --to 123456789012.dkr.ecr.eu-west-1.amazonaws.com/mirror

The manifests of changed images are read, which Docker Hub counts as pulls.
Nothing is written. Values that only the deployment knows are not checked.

",
    credentials_help!(),
    "

Exit codes: 0 nothing would fail, 1 a deployment would fail, 2 invalid usage or
file, 130 interrupted, 143 terminated."
);

/// Arguments of `plan`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct PlanArgs {
    /// CloudFormation templates, and lists as for sync
    #[arg(required = true, value_name = "TEMPLATE|LIST")]
    pub(crate) files: Vec<PathBuf>,

    /// Value of a parameter of the templates. Can be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = parameters::parse_assignment)]
    pub(crate) parameter: Vec<(String, String)>,

    /// File of parameters as for the AWS CLI: a list with ParameterKey and ParameterValue, an object, or lines
    /// NAME=VALUE
    #[arg(long, value_name = "FILE")]
    pub(crate) parameters: Option<PathBuf>,

    /// Deployed stack that the template updates. Its parameters are the defaults
    #[arg(long, value_name = "NAME")]
    pub(crate) stack: Option<String>,

    /// Registry or repository prefix of the images in lists
    #[arg(long, value_name = "PREFIX")]
    pub(crate) to: Option<Prefix>,

    /// Platforms of the images in lists without their own
    #[arg(long, value_name = "PLATFORM", default_value = "all")]
    pub(crate) platform: PlatformSelection,

    /// Print a JSON document with the images and a summary
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,

    /// Maximum number of images that are checked at the same time
    #[arg(long, short, help_heading = heading::REGISTRIES, value_name = "N", default_value_t = 6, value_parser = jobs())]
    pub(crate) jobs: u16,
}
