//! Arguments of the command line.

mod connection;
mod copy;
mod creation;
mod customize;
mod heading;
mod import;
mod inspect;
mod list;
mod pages;
mod pin;
mod plan;
mod refresh;
mod sync;
mod tags;
mod update;
mod verify;

use clap::{ArgAction, Parser, Subcommand};

pub(crate) use connection::{AwsArgs, ConnectionArgs};
pub(crate) use copy::{CopyArgs, ReadingArgs};
pub(crate) use creation::CreationArgs;
pub(crate) use customize::CustomizeArgs;
pub(crate) use import::ImportArgs;
pub(crate) use inspect::InspectArgs;
pub(crate) use list::{ListArgs, SearchArgs};
pub(crate) use pages::{CompletionsArgs, ManArgs};
pub(crate) use pin::PinArgs;
pub(crate) use plan::PlanArgs;
pub(crate) use refresh::RefreshArgs;
pub(crate) use sync::{ReportFormat, SyncArgs};
pub(crate) use tags::TagsArgs;
pub(crate) use update::{CommitArgs, OutputArgs, UpdateArgs};
pub(crate) use verify::VerifyArgs;

/// The version, with the commit if it is known.
pub(crate) const VERSION: &str = env!("CONTAINER_IMAGE_VERSION");

/// Copies container images between registries, and keeps references to them up to date.
#[derive(Debug, Parser)]
#[command(name = "container-image", version = VERSION, about, arg_required_else_help = true)]
#[command(disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Print each step, and all details of a failure
    #[arg(long, short, global = true, conflicts_with = "quiet", help_heading = heading::GLOBAL)]
    pub(crate) verbose: bool,

    /// Print only errors and requested results
    #[arg(long, short, global = true, help_heading = heading::GLOBAL)]
    pub(crate) quiet: bool,

    /// Print help. `-h` prints a summary
    #[arg(long, short, global = true, action = ArgAction::Help, help_heading = heading::GLOBAL)]
    help: Option<bool>,

    /// Print the version
    #[arg(long, short = 'V', action = ArgAction::Version, help_heading = heading::GLOBAL)]
    version: Option<bool>,
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
    Copy(Box<CopyArgs>),

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
    /// Short names such as python:3.13 are found in fields and instructions that take an image. References with a
    /// registry host are found in all text. No registry is queried.
    List(ListArgs),

    /// Pin image references in files to digests, and update the pins
    ///
    /// Adds the current digest of its tag to each reference: python:3.13 becomes python:3.13@sha256:… Changes only
    /// the bytes of references. Sends one HEAD request per reference, which Docker Hub does not count as a pull.
    Pin(PinArgs),

    /// Move image references in files to other tags or versions
    ///
    /// Changes only the bytes of references. With --resolve-digest, --resolve-tag, --latest or --semver, sends one HEAD
    /// request per reference, which Docker Hub does not count as a pull. Otherwise, sends no request.
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
Credentials: If --authfile or $REGISTRY_AUTH_FILE is set, only that file is
read. Otherwise these files are searched in order: the file of podman login,
~/.config/containers/auth.json, and ~/.docker/config.json (or config.json in
$DOCKER_CONFIG). Credential helpers in these files are run. Without valid ones
for Amazon ECR and ECR Public, the AWS credentials are used: of --profile, or of
the environment, profiles, the container or the instance. Without credentials,
requests are anonymous."
    };
}
use credentials_help;

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
}
