//! Arguments of `update`.

use clap::builder::NonEmptyStringValueParser;
use clap::{ArgGroup, Args};
use image_copy::oci::Platform;
use semver::VersionReq;

use super::{ConnectionArgs, SearchArgs, credentials_help};
use crate::scan::RawReference;

const EXAMPLES: &str = concat!(
    "\
Examples:
  Pin every image to the current digest of its tag, and later update the pins:
    container-image update --all --matching-tag --resolve-digest demo.yaml

  Fail in CI if a pin differs from its tag:
    container-image update --all --matching-tag --resolve-digest --check

  Preview the update of each image to its newest 3.x version:
    container-image update --all --semver '^3' --dry-run

  Set one image to this tag:
    container-image update --image-reference ghcr.io/acme/app:2.1 .

  Update a git repository, commit and push:
    container-image update --all --latest --commit 'Update base images' \\
      --repository git@github.com:acme/infra.git

--all without --matching-tag, --latest or --semver moves every image to the tag
latest. To pin images, use --all --matching-tag --resolve-digest.
Without --resolve-digest, --latest or --semver, digests after tags are removed.
A reference with only a digest does not change.

",
    credentials_help!(),
    "

Exit codes: 0 success, 1 at least one failure, 2 invalid usage, 3 changes needed
(--check), 130 interrupted, 143 terminated."
);

/// Arguments of `update`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
#[command(group = ArgGroup::new("selection").args(["all", "image_reference"]).required(true))]
#[command(group = ArgGroup::new("resolve").args(["resolve_digest", "resolve_tag"]))]
#[command(group = ArgGroup::new("newest").args(["latest", "semver"]))]
#[command(group = ArgGroup::new("pinning").args(["resolve_digest", "latest", "semver"]).multiple(true))]
pub(crate) struct UpdateArgs {
    #[command(flatten)]
    pub(crate) search: SearchArgs,

    /// Update every image, by default to the tag latest. See --matching-tag, --latest and --semver
    #[arg(long)]
    pub(crate) all: bool,

    /// Update images with this name to this tag or digest. Can be repeated
    #[arg(long, value_name = "REF", value_parser = with_tag_or_digest)]
    pub(crate) image_reference: Vec<RawReference>,

    /// Update only references with this tag. With --all, each image keeps its tag
    #[arg(long)]
    pub(crate) matching_tag: bool,

    /// Pin each tag to its current digest
    #[arg(long)]
    pub(crate) resolve_digest: bool,

    /// Replace each tag by the most specific version tag of the same image
    #[arg(long)]
    pub(crate) resolve_tag: bool,

    /// Move to the newest version of the same kind, with its digest: 3.9-slim to 3.13-slim
    #[arg(long, conflicts_with_all = ["matching_tag", "resolve_tag"])]
    pub(crate) latest: bool,

    /// Move to the newest version in a range such as '^3.9' or '~1.2', with its digest
    #[arg(long, value_name = "RANGE", value_parser = range, conflicts_with_all = ["matching_tag", "resolve_tag"])]
    pub(crate) semver: Option<VersionReq>,

    /// Pin the image of os/arch[/variant] instead of the index. Costs one pull per image
    #[arg(long, value_name = "PLATFORM", requires = "pinning")]
    pub(crate) platform: Option<Platform>,

    /// Change nothing. Print the changes, and exit with 3 if there are any
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) check: bool,

    /// Change nothing. Print the changes as a patch
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Print changes and failures as a JSON document
    #[arg(long)]
    pub(crate) json: bool,

    /// Commit the changes with this message, and push them if the repository was cloned. Requires --repository
    #[arg(long, value_name = "MESSAGE", value_parser = NonEmptyStringValueParser::new(), requires = "repository", conflicts_with_all = ["check", "dry_run"])]
    pub(crate) commit: Option<String>,

    /// Maximum number of concurrent requests
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) jobs: u16,

    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

/// Parses a range of versions.
pub(super) fn range(text: &str) -> Result<VersionReq, String> {
    text.parse().map_err(|error| format!("expected a range such as '^3.9' or '>=1.2, <2': {error}"))
}

/// Parses a reference that has a tag or a digest.
fn with_tag_or_digest(text: &str) -> Result<RawReference, String> {
    let image: RawReference = text.parse().map_err(|error: image_copy::oci::ParseError| error.to_string())?;
    if image.tag.is_none() && image.digest.is_none() {
        return Err("expected a tag or a digest, such as docker.io/library/python:3.13".into());
    }
    Ok(image)
}
