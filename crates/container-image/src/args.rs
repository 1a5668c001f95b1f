//! Arguments of the command line.

mod connection;
mod creation;
mod customize;
mod import;
mod inspect;
mod list;
mod pages;
mod plan;
mod refresh;
mod sync;
mod tags;
mod update;
mod verify;

use std::str::FromStr;

use clap::{Args as ClapArgs, Parser, Subcommand};
use image_copy::copy::{CONCURRENT_BLOBS, Mirror, PlatformSelection};
use image_copy::oci::{ParseError, Reference, Repository, Tag};

pub(crate) use connection::{AwsArgs, ConnectionArgs};
pub(crate) use creation::CreationArgs;
pub(crate) use customize::CustomizeArgs;
pub(crate) use import::ImportArgs;
pub(crate) use inspect::InspectArgs;
pub(crate) use list::{ListArgs, SearchArgs};
pub(crate) use pages::{CompletionsArgs, ManArgs};
pub(crate) use plan::PlanArgs;
pub(crate) use refresh::RefreshArgs;
pub(crate) use sync::{ReportFormat, SyncArgs};
pub(crate) use tags::TagsArgs;
pub(crate) use update::UpdateArgs;
pub(crate) use verify::VerifyArgs;

/// The version, with the commit if it is known.
pub(crate) const VERSION: &str = env!("CONTAINER_IMAGE_VERSION");

/// Copies container images between registries, and keeps references to them up to date.
#[derive(Debug, Parser)]
#[command(name = "container-image", version = VERSION, about, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Print each step, and all details of a failure
    #[arg(long, short, global = true, conflicts_with = "quiet", display_order = 100)]
    pub(crate) verbose: bool,

    /// Print only errors and requested results
    #[arg(long, short, global = true, display_order = 101)]
    pub(crate) quiet: bool,
}

/// Amount of output on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verbosity {
    Quiet,
    Normal,
    Verbose,
}

impl Args {
    pub(crate) fn verbosity(&self) -> Verbosity {
        match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Quiet,
            (false, true) => Verbosity::Verbose,
            (false, false) => Verbosity::Normal,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Copy an image from one registry to another
    ///
    /// Streams from registry to registry, without a container engine and without disk space. Blobs that the
    /// destination has are skipped. The tag is written last.
    Copy(CopyArgs),

    /// Copy the images of lists
    ///
    /// Copies several images at once, and continues after a failure. An unchanged image costs one HEAD request,
    /// which Docker Hub does not count as a pull. Nothing is deleted.
    Sync(SyncArgs),

    /// Start the refresh stack, and follow it to its report
    ///
    /// The stack copies the images of its list in AWS. Nothing is copied through this machine.
    Refresh(RefreshArgs),

    /// Turn files of other tools into a list for sync
    ///
    /// Reads files of regsync, skopeo sync, Terraform, Kubernetes and Compose, and the output of kubectl and
    /// docker. The list is sorted and has no duplicates.
    Import(ImportArgs),

    /// Find out what would fail in a deployment
    ///
    /// Evaluates CloudFormation templates, and checks each image: source, platforms, repository, tag, settings and
    /// permissions of the provider, time and pulls. Nothing is written.
    Plan(PlanArgs),

    /// Check that the images that stacks rely on are still complete
    ///
    /// Checks each tag and digest with its child manifests and layers, the lifecycle policy, the source and
    /// the scan findings. Changes nothing.
    Verify(VerifyArgs),

    /// Print digest, platforms, signatures and state of an image
    ///
    /// Reads the index and the manifest of each platform, which Docker Hub counts as pulls. No layer is read.
    Inspect(InspectArgs),

    /// List the tags of a repository that rules select
    ///
    /// Prints the selected tags, the newest first. Without rules, it prints all tags.
    Tags(TagsArgs),

    /// List the images in files
    ///
    /// In CloudFormation templates, these are the properties that contain an image, including short names.
    /// In all other text files, these are the references with a slash, and a tag or a digest.
    List(ListArgs),

    /// Pin and update image references in files
    ///
    /// Changes only the bytes of references. Sends one HEAD request per reference, which Docker Hub does
    /// not count as a pull.
    Update(UpdateArgs),

    /// Print shell completions
    #[command(after_long_help = pages::COMPLETIONS_EXAMPLES)]
    Completions(CompletionsArgs),

    /// Print a manual page
    #[command(after_long_help = pages::MAN_EXAMPLES)]
    Man(ManArgs),
}

/// Help text about credentials.
macro_rules! credentials_help {
    () => {
        "\
Credentials: If $REGISTRY_AUTH_FILE is set, only that file is read. Otherwise
these files are searched in order: the file of podman login,
~/.config/containers/auth.json, and ~/.docker/config.json (or config.json in
$DOCKER_CONFIG). Credential helpers in these files are run. Without valid ones
for Amazon ECR and ECR Public, the AWS credentials are used: of --profile, or of
the environment, profiles, the container or the instance. Without credentials,
requests are anonymous."
    };
}
use credentials_help;

const COPY_EXAMPLES: &str = concat!(
    "\
Examples:
  Copy all platforms under the same tag:
    container-image copy python:3.13 --to registry.example/base/python

  Copy one platform under another tag:
    container-image copy ghcr.io/acme/app:2.1 --to registry.example/app:stable \\
      --platform linux/arm64

  Copy an official image of Docker Hub from its mirror, without a pull limit:
    container-image copy python:3.13 --to registry.example/base/python \\
      --mirror docker.io/library=public.ecr.aws/docker/library

  Create the repository in Amazon ECR if it is missing:
    container-image copy python:3.13 --create-repositories --immutable \\
      --to 123456789012.dkr.ecr.eu-west-1.amazonaws.com/base/python

  Add a volume and a directory to all platforms, without a container engine:
    container-image copy hashicorp/vault:1.20 --to registry.example/vault \\
      --customize Customize

  Print the plan for a registry with a private CA:
    container-image copy harbor.acme.example/app:1 --to localhost:5000/app \\
      --certificate-authority acme.pem --dry-run

",
    credentials_help!(),
    "

Short names refer to Docker Hub: python is docker.io/library/python:latest.

Exit codes: 0 success, 1 failure, 2 invalid usage, 130 interrupted,
143 terminated."
);

/// Arguments of `copy`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = COPY_EXAMPLES)]
pub(crate) struct CopyArgs {
    #[arg(help = "Image to copy: [registry/]repository[:tag][@digest]")]
    pub(crate) source: Reference,

    #[arg(
        long,
        value_name = "DESTINATION",
        help = "Destination: [registry/]repository[:tag]. Default tag: the source's tag"
    )]
    pub(crate) to: DestinationArg,

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
    pub(crate) connection: ConnectionArgs,

    #[command(flatten)]
    pub(crate) creation: CreationArgs,

    /// Print the plan, and copy nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Maximum number of concurrent blobs
    #[arg(long, value_name = "N", default_value_t = CONCURRENT_BLOBS as u16,
          value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) jobs: u16,
}

/// Options about the reads from a source, of `copy` and `sync`.
#[derive(Debug, ClapArgs)]
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
    use clap::CommandFactory as _;

    #[test]
    fn the_argument_parser_is_valid() {
        Args::command().debug_assert();
    }

    /// The parser of `man` cannot list the commands itself, because it is a part of their parser.
    #[test]
    fn man_knows_all_commands_in_their_order() {
        let all = Args::command();
        let names = |command: &clap::Command| -> Vec<String> {
            command.get_subcommands().map(|command| command.get_name().to_owned()).collect()
        };
        let man = all.find_subcommand("man").unwrap();
        let values = man.get_arguments().find(|argument| argument.get_id() == "command").unwrap();
        let values: Vec<String> =
            values.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
        assert_eq!(values, names(&all));
    }

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
        let text = parse_error(&["a", "--to", "b", "--platform", "linux-arm64"]);
        assert!(text.contains("--platform") && text.contains("os/architecture"), "{text}");
        let text = parse_error(&["a", "--to", "https://b"]);
        assert!(text.contains("--to") && text.contains("no scheme"), "{text}");
        let text = parse_error(&["a", "--to", "b", "--jobs", "0"]);
        assert!(text.contains("--jobs"), "{text}");
        let text = parse_error(&["a", "--to", "b", "--mirror", "docker.io"]);
        assert!(text.contains("--mirror") && text.contains("public.ecr.aws/docker/library"), "{text}");
        let text = parse_error(&["a"]);
        assert!(text.contains("--to <DESTINATION>"), "{text}");
    }

    #[test]
    fn copies_all_platforms_by_default() {
        let parse = |more: &[&str]| {
            let all = ["container-image", "copy", "a", "--to", "b"].iter().chain(more);
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
