//! Arguments of `copy`.

use std::str::FromStr;

use clap::Args;
use image_copy::copy::{CONCURRENT_BLOBS, Mirror, PlatformSelection};
use image_copy::oci::{ParseError, Reference, Repository, Tag};

use super::update::jobs;
use super::{ConnectionArgs, CreationArgs, CustomizeArgs, credentials_help, heading};
use crate::list_file;

const EXAMPLES: &str = concat!(
    "\
Examples:
  Copy all platforms under the same tag:
    container-image copy python:3.13 registry.example/base/python

  Copy one platform under another tag:
    container-image copy ghcr.io/acme/app:2.1 registry.example/app:stable \\
      --platform linux/arm64

  Copy an official image of Docker Hub from its mirror, without a pull limit:
    container-image copy python:3.13 registry.example/base/python \\
      --mirror docker.io/library=public.ecr.aws/docker/library

  Create the repository in Amazon ECR if it is missing:
    container-image copy --create-repositories --immutable python:3.13 \\
      123456789012.dkr.ecr.eu-west-1.amazonaws.com/base/python

  Add a volume and a directory to all platforms, without a container engine:
    container-image copy hashicorp/vault:1.20 registry.example/vault \\
      --customize Customize

  Print the plan for a registry with a private CA:
    container-image copy harbor.acme.example/app:1 localhost:5000/app \\
      --ca-file acme.pem --dry-run

",
    credentials_help!(),
    "

Short names refer to Docker Hub: python is docker.io/library/python:latest.

Exit codes: 0 success, 1 failure, 2 invalid usage, 130 interrupted,
143 terminated."
);

/// Arguments of `copy`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
#[command(override_usage = "container-image copy [OPTIONS] <SOURCE> <DESTINATION>")]
pub(crate) struct CopyArgs {
    #[arg(help = "Image to copy: [registry/]repository[:tag][@digest]", value_parser = source)]
    pub(crate) source: Reference,

    #[arg(
        help = "Destination: [registry/]repository[:tag]. Default tag: the source's tag",
        required_unless_present = "to",
        conflicts_with = "to"
    )]
    destination: Option<DestinationArg>,

    /// Destination as an option, as in sync
    #[arg(long, value_name = "DESTINATION")]
    to: Option<DestinationArg>,

    #[arg(
        long,
        value_name = "PLATFORM",
        default_value = "all",
        help = "`all` copies the whole index unchanged. os/arch[/variant] copies the image of one platform. A comma-separated list creates an index of these platforms"
    )]
    pub(crate) platform: PlatformSelection,

    #[command(flatten)]
    pub(crate) reading: ReadingArgs,

    #[command(flatten)]
    pub(crate) customize: CustomizeArgs,

    #[command(flatten)]
    pub(crate) creation: CreationArgs,

    /// Print the plan, and copy nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,

    /// Maximum number of concurrent blobs
    #[arg(long, short, help_heading = heading::REGISTRIES, value_name = "N", default_value_t = CONCURRENT_BLOBS as u16,
          value_parser = jobs())]
    pub(crate) jobs: u16,
}

impl CopyArgs {
    /// Returns the destination, of which the parser requires exactly one.
    pub(crate) fn destination(&self) -> &DestinationArg {
        self.destination.as_ref().or(self.to.as_ref()).expect("the parser requires a destination")
    }
}

/// Parses the source. A list is a frequent mistake.
fn source(text: &str) -> Result<Reference, String> {
    if list_file::has_list_ending(text) {
        return Err("expected an image; the command sync copies lists".into());
    }
    text.parse().map_err(|error: ParseError| error.to_string())
}

/// Options about the reads from a source, of `copy` and `sync`.
#[derive(Debug, Args)]
pub(crate) struct ReadingArgs {
    /// Read repositories that start with PREFIX from TARGET first, by digest. The source resolves tags. Can
    /// be repeated
    #[arg(long, value_name = "PREFIX=TARGET")]
    pub(crate) mirror: Vec<Mirror>,

    /// Also copy signatures, SBOMs and attestations. A referrer that cannot be copied causes a warning
    #[arg(long)]
    pub(crate) include_referrers: bool,
}

/// Destination repository, and the tag if the argument has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DestinationArg {
    pub(crate) repository: Repository,
    pub(crate) tag: Option<Tag>,
}

impl FromStr for DestinationArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let reference: Reference = text.parse().map_err(|error: ParseError| error.to_string())?;
        if reference.digest.is_some() {
            return Err("a destination cannot have a digest".into());
        }
        // A reference without a tag is parsed as `latest`. Here it means the tag of the source.
        let has_tag = text.rsplit('/').next().is_some_and(|name| name.contains(':'));
        Ok(Self { repository: reference.repository, tag: reference.tag.filter(|_| has_tag) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Args, Command};
    use clap::Parser as _;

    #[track_caller]
    fn check_destination(text: &str, repository: &str, tag: Option<&str>) {
        let target: DestinationArg = text.parse().unwrap();
        assert_eq!(target.repository.to_string(), repository);
        assert_eq!(target.tag.as_ref().map(Tag::as_str), tag);
    }

    #[test]
    fn a_destination_without_a_tag_differs_from_one_tagged_latest() {
        check_destination("localhost:5000/app", "localhost:5000/app", None);
        check_destination("localhost:5000/app:latest", "localhost:5000/app", Some("latest"));
        check_destination("app:2", "docker.io/library/app", Some("2"));
        check_destination("app", "docker.io/library/app", None);
        let digest = format!("a/b@sha256:{}", "0".repeat(64));
        assert!(digest.parse::<DestinationArg>().unwrap_err().contains("cannot have a digest"));
    }

    #[track_caller]
    fn parse_error(arguments: &[&str]) -> String {
        let all = ["container-image", "copy"].iter().chain(arguments);
        Args::try_parse_from(all).unwrap_err().to_string()
    }

    #[test]
    fn names_the_option_and_the_expected_value() {
        let text = parse_error(&["a", "b", "--platform", "linux-arm64"]);
        assert!(text.contains("--platform") && text.contains("os/architecture"), "{text}");
        let text = parse_error(&["a", "--to", "https://b"]);
        assert!(text.contains("--to") && text.contains("no scheme"), "{text}");
        let text = parse_error(&["a", "b", "--jobs", "0"]);
        assert!(text.contains("--jobs"), "{text}");
        let text = parse_error(&["a", "b", "--mirror", "docker.io"]);
        assert!(text.contains("--mirror") && text.contains("public.ecr.aws/docker/library"), "{text}");
    }

    #[test]
    fn the_destination_is_an_argument_or_an_option() {
        let parse = |arguments: &[&str]| {
            let all = ["container-image", "copy"].iter().chain(arguments);
            let Command::Copy(copy) = Args::try_parse_from(all).unwrap().command else { unreachable!() };
            (copy.source.to_string(), copy.destination().repository.to_string())
        };
        let expected = ("docker.io/library/a:1".to_owned(), "b.example/a".to_owned());
        for arguments in [
            &["a:1", "b.example/a"][..],
            &["--platform", "linux/arm64", "a:1", "b.example/a"],
            &["a:1", "--to", "b.example/a"],
            &["--to", "b.example/a", "a:1"],
        ] {
            assert_eq!(parse(arguments), expected, "{arguments:?}");
        }
    }

    #[test]
    fn copies_all_platforms_by_default() {
        let parse = |more: &[&str]| {
            let all = ["container-image", "copy", "a", "b"].iter().chain(more);
            let Command::Copy(copy) = Args::try_parse_from(all).unwrap().command else { unreachable!() };
            copy.platform
        };
        assert_eq!(parse(&[]), PlatformSelection::All);
        assert_eq!(parse(&["--platform", "ALL"]), PlatformSelection::All);
        let several = ["linux/arm64".parse().unwrap(), "linux/amd64".parse().unwrap()];
        assert_eq!(
            parse(&["--platform", "linux/arm64,linux/amd64"]),
            PlatformSelection::Several(several.to_vec())
        );
        assert_eq!(
            parse(&["--platform", "linux/arm64"]),
            PlatformSelection::One("linux/arm64".parse().unwrap())
        );
    }
}
