//! Arguments of `update`.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{ArgGroup, Args};
use image_copy::oci::{Platform, Registry};
use semver::VersionReq;

use super::{SearchArgs, credentials_help};
use crate::scan::RawReference;

const EXAMPLES: &str = concat!(
    "\
Examples:
  Pin every image to what its tag names now, and later move the pins along:
    container-image update --all --matching-tag --resolve-digest demo.yaml

  In CI: fail when a pin is behind its tag:
    container-image update --all --matching-tag --resolve-digest --check

  The newest 3.x of each image, with its digest; show first what would change:
    container-image update --all --semver '^3' --dry-run

  One image, to this tag, wherever it is named:
    container-image update --image-reference ghcr.io/acme/app:2.1 .

  In a repository of git, committed and pushed:
    container-image update --all --latest --commit 'Update base images' \\
      --repository git@github.com:acme/infra.git

--all without --matching-tag, --latest or --semver moves every image to the tag
latest, as it does with cru; what is mostly meant is --all --matching-tag
--resolve-digest. Without --resolve-digest a digest beside a tag is taken away.
What is pinned by a digest alone stays what it is.

",
    credentials_help!(),
    "

Exit codes: 0 updated or nothing to do, 1 failed in part or whole, 2 not
understood, 3 would change something (--check), 130 interrupted, 143 terminated."
);

/// Arguments of `update`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
#[command(group = ArgGroup::new("which").args(["all", "image_reference"]).required(true))]
#[command(group = ArgGroup::new("resolve").args(["resolve_digest", "resolve_tag"]))]
#[command(group = ArgGroup::new("newest").args(["latest", "semver"]))]
#[command(group = ArgGroup::new("pinning").args(["resolve_digest", "latest", "semver"]).multiple(true))]
pub(crate) struct UpdateArgs {
    #[command(flatten)]
    pub(crate) search: SearchArgs,

    /// Update every image: to the tag latest, unless --matching-tag, --latest or --semver is given
    #[arg(long)]
    pub(crate) all: bool,

    /// Update images that are spelled with this name to this tag or digest; may be given several times
    #[arg(long, value_name = "REF", value_parser = with_tag_or_digest)]
    pub(crate) image_reference: Vec<RawReference>,

    /// Keep to references that have the tag already; with --all, to the tag of each
    #[arg(long)]
    pub(crate) matching_tag: bool,

    /// Add the digest that the tag names
    #[arg(long)]
    pub(crate) resolve_digest: bool,

    /// Replace the tag by another one of the same image, the most specific version there is
    #[arg(long)]
    pub(crate) resolve_tag: bool,

    /// Move to the newest version, with its digest; 3.9-slim becomes 3.13-slim
    #[arg(long, conflicts_with_all = ["matching_tag", "resolve_tag"])]
    pub(crate) latest: bool,

    /// Move to the newest version within a range such as '^3.9' or '~1.2', with its digest
    #[arg(long, value_name = "RANGE", value_parser = range, conflicts_with_all = ["matching_tag", "resolve_tag"])]
    pub(crate) semver: Option<VersionReq>,

    /// Pin the image for os/arch[/variant] instead of the index; costs a pull for each image
    #[arg(long, value_name = "PLATFORM", requires = "pinning")]
    pub(crate) platform: Option<Platform>,

    /// Change nothing, and exit with 3 when something would change
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) check: bool,

    /// Change nothing, and print what would change as a patch
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Print a JSON document of what changed and what failed
    #[arg(long)]
    pub(crate) json: bool,

    /// Commit what changed, and push it where the repository was cloned from
    #[arg(long, value_name = "MESSAGE", value_parser = NonEmptyStringValueParser::new(), requires = "repository", conflicts_with_all = ["check", "dry_run"])]
    pub(crate) commit: Option<String>,

    /// Requests at once
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) jobs: u16,

    /// Host (with its port) to speak to without TLS; may be given several times. Registries on
    /// this machine need not be named
    #[arg(long, value_name = "HOST")]
    pub(crate) plain_http: Vec<Registry>,

    /// PEM file with authorities to trust besides the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) certificate_authority: Option<PathBuf>,
}

fn range(text: &str) -> Result<VersionReq, String> {
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
