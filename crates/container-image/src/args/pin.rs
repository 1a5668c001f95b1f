//! Arguments of `pin`.

use clap::Args;
use image_copy::oci::Platform;

use super::update::{JOBS, jobs};
use super::{CommitArgs, ConnectionArgs, OutputArgs, SearchArgs, UpdateArgs, credentials_help, heading};

const EXAMPLES: &str = concat!(
    "\
Examples:
  Pin every image in a file, and later update the pins:
    container-image pin demo.yaml

  Preview the changes as a patch:
    container-image pin --dry-run

  Fail in CI if a pin is missing or differs from its tag:
    container-image pin --check

  Pin the images of a git repository, commit and push:
    container-image pin --git-repo git@github.com:acme/infra.git \\
      --commit 'Pin images'

Each image keeps its tag. To move images to other tags or versions, use the
command update. A reference with only a digest does not change.

",
    credentials_help!(),
    "

Exit codes: 0 success, 1 at least one failure, 2 invalid usage, 3 changes needed
(--check), 130 interrupted, 143 terminated."
);

/// Arguments of `pin`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct PinArgs {
    /// Pin the image of os/arch[/variant] instead of the index. Costs one pull per image
    #[arg(long, value_name = "PLATFORM", help_heading = heading::IMAGES)]
    platform: Option<Platform>,

    #[command(flatten)]
    output: OutputArgs,

    #[command(flatten)]
    search: SearchArgs,

    #[command(flatten)]
    commit: CommitArgs,

    #[command(flatten)]
    connection: ConnectionArgs,

    /// Maximum number of concurrent requests
    #[arg(long, short, value_name = "N", default_value_t = JOBS, value_parser = jobs(), help_heading = heading::REGISTRIES)]
    jobs: u16,
}

impl PinArgs {
    /// Returns the equal arguments of `update`: `--all --matching-tag --resolve-digest`.
    pub(crate) fn as_update(&self) -> UpdateArgs {
        UpdateArgs {
            search: self.search.clone(),
            all: true,
            image_reference: Vec::new(),
            matching_tag: true,
            resolve_digest: true,
            resolve_tag: false,
            latest: false,
            semver: None,
            platform: self.platform.clone(),
            output: self.output.clone(),
            commit: self.commit.clone(),
            connection: self.connection.clone(),
            jobs: self.jobs,
        }
    }
}
