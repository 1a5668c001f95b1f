//! Arguments of `sync`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use image_copy::copy::{CONCURRENT_BLOBS, PlatformSelection};
use image_copy::oci::Prefix;

use super::update::jobs;
use super::{ConnectionArgs, CreationArgs, ReadingArgs, credentials_help, heading};

const EXAMPLES: &str = concat!(
    "\
Examples:
  Copy all images of a list below a prefix:
    container-image sync images.txt --to registry.example/mirror

  Copy some images without a list:
    container-image sync nginx:1.27 redis:7.4 --to registry.example/mirror

  Copy the images of a cluster:
    kubectl get pods -A -o jsonpath='{..image}' | tr ' ' '\\n' | sort -u |
      container-image sync - --to registry.example/mirror

  Create missing repositories in Amazon ECR:
    container-image sync images.txt --create-repositories --scan-on-push \\
      --to 123456789012.dkr.ecr.eu-west-1.amazonaws.com/mirror

  Fail in CI if an image is missing or older than its source:
    container-image sync images.txt --to registry.example/mirror --check

Lists: one reference on each line, with optional --platform=P and --alias=NAME
in front of it, or YAML with the key images, or the file of regsync. Tag rules
in YAML select tags of the source.

Destinations: the path of the source below --to, without its registry and
without library/ of Docker Hub: docker.io/library/nginx:1.27 is copied to
registry.example/mirror/nginx:1.27. Nothing is deleted.

",
    credentials_help!(),
    "

Exit codes: 0 success, 1 at least one image failed, 2 invalid usage or list,
3 differences (--check), 130 interrupted, 143 terminated."
);

/// Arguments of `sync`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct SyncArgs {
    /// Lists and references. An existing file is a list, `-` is standard input, everything else is a reference
    #[arg(required = true, value_name = "LIST|REFERENCE")]
    pub(crate) images: Vec<String>,

    /// Registry or repository prefix to copy to. Required, except for lists with complete destinations
    #[arg(long, value_name = "PREFIX", value_parser = destination_prefix)]
    pub(crate) to: Option<Prefix>,

    /// Platforms of images without their own: `all`, os/arch[/variant], or a comma-separated list
    #[arg(long, value_name = "PLATFORM", default_value = "all")]
    pub(crate) platform: PlatformSelection,

    #[command(flatten)]
    pub(crate) reading: ReadingArgs,

    /// Plan all copies, and copy nothing. Reading the manifests of changed images counts as pulls
    #[arg(long, conflicts_with = "check", help_heading = heading::OUTPUT)]
    pub(crate) dry_run: bool,

    /// Compare digests, copy nothing, and exit with 3 if an image differs
    #[arg(long, help_heading = heading::OUTPUT)]
    pub(crate) check: bool,

    /// Copy images of any age. A shell has no record of the time at which a digest was first seen
    #[arg(long)]
    pub(crate) ignore_min_age: bool,

    /// Print a JSON document with the images, created repositories, and a summary
    #[arg(long, help_heading = heading::OUTPUT)]
    pub(crate) json: bool,

    /// Write the URI with digest of each copied or unchanged image to FILE, by source
    #[arg(long, value_name = "FILE", conflicts_with_all = ["check", "dry_run"], help_heading = heading::OUTPUT)]
    pub(crate) report: Option<PathBuf>,

    /// Format of the report
    #[arg(long, value_name = "FORMAT", requires = "report", default_value = "json", help_heading = heading::OUTPUT)]
    pub(crate) report_format: ReportFormat,

    #[command(flatten)]
    pub(crate) creation: CreationArgs,

    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,

    /// Maximum number of concurrent images, and of concurrent blobs of all images
    #[arg(long, short, help_heading = heading::REGISTRIES, value_name = "N", default_value_t = CONCURRENT_BLOBS as u16,
          value_parser = jobs())]
    pub(crate) jobs: u16,
}

/// Parses the prefix of destinations. Without a host it would be an organization at Docker Hub, which is rarely the
/// intention.
fn destination_prefix(text: &str) -> Result<Prefix, String> {
    let names = "expected a registry, with or without lower-case names, and without a tag";
    let prefix: Prefix = text.parse().map_err(|_| match text.split_once("://") {
        Some((scheme, _)) => format!("remove {scheme}://"),
        None => names.into(),
    })?;
    let first = text.split('/').next().unwrap_or_default();
    if first.contains(['.', ':']) || first == "localhost" {
        Ok(prefix)
    } else {
        Err(format!("the registry is missing; for Docker Hub, pass {prefix}"))
    }
}

/// Format of `--report`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// An object with the sources as keys
    Json,
    /// A file of parameters for `aws cloudformation deploy`. Names come from the paths
    CloudformationParameters,
}
