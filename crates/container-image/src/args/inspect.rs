//! Arguments of `inspect`.

use clap::Args;
use image_copy::copy::Mirror;
use image_copy::oci::{Platform, Reference};

use super::{ConnectionArgs, credentials_help};

const EXAMPLES: &str = concat!(
    "\
Examples:
  Print all platforms of an image:
    container-image inspect python:3.13

  Print one platform and its history, with two pulls:
    container-image inspect python:3.13 --platform linux/arm64 --history

  Read the manifests from a mirror, without a pull at Docker Hub:
    container-image inspect python:3.13 \\
      --mirror docker.io/library=public.ecr.aws/docker/library

  Print the digest only:
    container-image inspect python:3.13 --json | jq -r .digest

Pulls: one for the index, and one for each platform. Requests for digests,
configs and referrers are not counted, except for a list of referrers at a
registry without the referrers API.

An image in private Amazon ECR is also read through ECR's API: times, scan
findings, and settings of the repository.

",
    credentials_help!(),
    "

Exit codes: 0 success, 1 failure, 2 invalid usage, 130 interrupted,
143 terminated."
);

/// Arguments of `inspect`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct InspectArgs {
    #[arg(help = "Image: [registry/]repository[:tag][@digest]")]
    pub(crate) reference: Reference,

    /// Read only the manifest of os/arch[/variant]. Other platforms have no size
    #[arg(long, value_name = "PLATFORM")]
    pub(crate) platform: Option<Platform>,

    /// Print the build history of the platform. Default: linux/amd64, or the first one
    #[arg(long)]
    pub(crate) history: bool,

    /// Print a JSON document
    #[arg(long)]
    pub(crate) json: bool,

    /// Read repositories that start with PREFIX from TARGET first, by digest. The registry in the reference
    /// resolves tags. Can be repeated
    #[arg(long, value_name = "PREFIX=TARGET")]
    pub(crate) mirror: Vec<Mirror>,

    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}
