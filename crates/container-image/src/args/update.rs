//! Arguments of `update`.

use clap::builder::{NonEmptyStringValueParser, RangedI64ValueParser};
use clap::{ArgGroup, Args};
use image_copy::oci::Platform;
use semver::VersionReq;

use super::{ConnectionArgs, SearchArgs, credentials_help, heading};
use crate::scan::RawReference;

const EXAMPLES: &str = concat!(
    "\
Examples:
  Move each image to its newest version, with its digest:
    container-image update --all --latest

  Preview the update of each image to its newest 3.x version:
    container-image update --all --semver '^3' --dry-run

  Set one image to this tag:
    container-image update --image-reference ghcr.io/acme/app:2.1

  Update a git repository, commit and push:
    container-image update --all --latest --commit 'Update base images' \\
      --git-repo git@github.com:acme/infra.git

--all without --matching-tag, --latest or --semver moves every image to the tag
latest. To pin images to digests, use the command pin.
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
    /// Update every image, by default to the tag latest. See --matching-tag, --latest and --semver
    #[arg(long, help_heading = heading::IMAGES)]
    pub(crate) all: bool,

    /// Update images with this name to this tag or digest. With --latest or --semver, a name is enough. Can be repeated
    #[arg(long, value_name = "REF", help_heading = heading::IMAGES)]
    pub(crate) image_reference: Vec<RawReference>,

    /// Update only references with this tag. With --all, each image keeps its tag
    #[arg(long, help_heading = heading::IMAGES)]
    pub(crate) matching_tag: bool,

    /// Pin each tag to its current digest
    #[arg(long, help_heading = heading::VERSIONS)]
    pub(crate) resolve_digest: bool,

    /// Replace each tag by the most specific version tag of the same image
    #[arg(long, help_heading = heading::VERSIONS)]
    pub(crate) resolve_tag: bool,

    /// Move to the newest version of the same kind, with its digest: 3.9-slim to 3.13-slim
    #[arg(long, conflicts_with_all = ["matching_tag", "resolve_tag"], help_heading = heading::VERSIONS)]
    pub(crate) latest: bool,

    /// Move to the newest version in a range such as '^3.9' or '~1.2', with its digest
    #[arg(long, value_name = "RANGE", value_parser = range, conflicts_with_all = ["matching_tag", "resolve_tag"],
          help_heading = heading::VERSIONS)]
    pub(crate) semver: Option<VersionReq>,

    /// Pin the image of os/arch[/variant] instead of the index. Costs one pull per image
    #[arg(long, value_name = "PLATFORM", requires = "pinning", help_heading = heading::VERSIONS)]
    pub(crate) platform: Option<Platform>,

    #[command(flatten)]
    pub(crate) output: OutputArgs,

    #[command(flatten)]
    pub(crate) search: SearchArgs,

    #[command(flatten)]
    pub(crate) commit: CommitArgs,

    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,

    /// Maximum number of concurrent requests
    #[arg(long, short, value_name = "N", default_value_t = JOBS, value_parser = jobs(), help_heading = heading::REGISTRIES)]
    pub(crate) jobs: u16,
}

/// Options about the output and the effect of `pin` and `update`.
#[derive(Debug, Clone, Args)]
pub(crate) struct OutputArgs {
    /// Change nothing. Print the changes, and exit with 3 if there are any
    #[arg(long, conflicts_with = "dry_run", help_heading = heading::OUTPUT)]
    pub(crate) check: bool,

    /// Change nothing. Print the changes as a patch
    #[arg(long, help_heading = heading::OUTPUT)]
    pub(crate) dry_run: bool,

    /// Print changes, failures and notes as a JSON document
    #[arg(long, help_heading = heading::OUTPUT)]
    pub(crate) json: bool,
}

/// Options about the commit by `pin` and `update`.
#[derive(Debug, Clone, Args)]
pub(crate) struct CommitArgs {
    /// Commit the changes with this message, and push them if the repository was cloned. Requires --git-repo
    #[arg(long = "commit", value_name = "MESSAGE", value_parser = NonEmptyStringValueParser::new(),
          requires = "git_repo", conflicts_with_all = ["check", "dry_run"], help_heading = heading::GIT)]
    pub(crate) message: Option<String>,

    /// Author of the commit. Requires --email. Default: the author in git's configuration
    #[arg(long, value_name = "NAME", requires_all = ["git_repo", "email"], help_heading = heading::GIT)]
    username: Option<String>,

    /// Email address of the author. Requires --username
    #[arg(long, value_name = "ADDRESS", requires_all = ["git_repo", "username"], help_heading = heading::GIT)]
    email: Option<String>,
}

impl CommitArgs {
    /// Returns name and email address of the author.
    pub(crate) fn author(&self) -> Option<(String, String)> {
        self.username.clone().zip(self.email.clone())
    }
}

/// Default number of concurrent requests.
pub(super) const JOBS: u16 = 8;

/// Parses `--jobs` of all commands.
pub(super) fn jobs() -> RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(1..=64)
}

/// Parses a range of versions.
pub(super) fn range(text: &str) -> Result<VersionReq, String> {
    text.parse().map_err(|error| format!("expected a range such as '^3.9' or '>=1.2, <2': {error}"))
}
