//! Commands with images among their arguments.

use super::options::{BUILD, Options, READ, REMOVE, RUN};

/// Meaning of the arguments that are not options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arguments {
    /// The first is an image.
    First,
    /// All are images.
    All,
    /// The first is an image, and the second is a name for its copy.
    Copy,
    /// All name images that the command writes.
    Written,
    /// The second names an image that the command writes.
    SecondWritten,
    /// None is an image.
    Other,
}

/// A command that names images.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) programs: &'static [&'static str],
    /// Subcommands, with blanks between their words.
    pub(super) subcommands: &'static [&'static str],
    pub(super) arguments: Arguments,
    pub(super) options: &'static Options,
}

/// Programs with the commands of Docker.
const DOCKER: &[&str] = &["docker", "podman", "nerdctl", "finch"];

/// Commands in which images are arguments. Options with images, such as `--image`, are keys.
pub(super) const COMMANDS: [Command; 27] = [
    Command {
        programs: DOCKER,
        subcommands: &["run", "create", "container run", "container create", "service create"],
        arguments: Arguments::First,
        options: &RUN,
    },
    Command {
        programs: DOCKER,
        subcommands: &[
            "pull",
            "inspect",
            "save",
            "history",
            "image pull",
            "image inspect",
            "image save",
            "image history",
            "manifest inspect",
            "buildx imagetools inspect",
            "scout cves",
            "scout quickview",
            "sbom",
            "trust inspect",
            "image tree",
        ],
        arguments: Arguments::All,
        options: &READ,
    },
    Command {
        programs: &["docker", "podman", "nerdctl", "finch", "buildah", "ctr", "crictl"],
        subcommands: &["rmi", "image rm", "images rm"],
        arguments: Arguments::All,
        options: &REMOVE,
    },
    Command {
        programs: DOCKER,
        subcommands: &["build", "buildx build", "builder build", "image build", "buildx bake"],
        arguments: Arguments::Other,
        options: &BUILD,
    },
    Command {
        programs: DOCKER,
        subcommands: &["buildx imagetools create"],
        arguments: Arguments::All,
        options: &BUILD,
    },
    Command {
        programs: DOCKER,
        subcommands: &["push", "image push", "manifest create", "manifest push", "manifest annotate"],
        arguments: Arguments::Written,
        options: &READ,
    },
    Command {
        programs: DOCKER,
        subcommands: &["tag", "image tag", "commit", "container commit", "import", "image import"],
        arguments: Arguments::SecondWritten,
        options: &BUILD,
    },
    Command { programs: &["buildah"], subcommands: &["from"], arguments: Arguments::First, options: &RUN },
    Command {
        programs: &["buildah"],
        subcommands: &["pull", "inspect"],
        arguments: Arguments::All,
        options: &READ,
    },
    Command {
        programs: &["buildah"],
        subcommands: &["bud", "build", "build-using-dockerfile"],
        arguments: Arguments::Other,
        options: &BUILD,
    },
    Command { programs: &["buildah"], subcommands: &["push"], arguments: Arguments::Written, options: &READ },
    Command {
        programs: &["buildah"],
        subcommands: &["tag", "commit"],
        arguments: Arguments::SecondWritten,
        options: &READ,
    },
    Command {
        programs: &["skopeo"],
        subcommands: &["copy", "sync"],
        arguments: Arguments::Copy,
        options: &READ,
    },
    Command {
        programs: &["skopeo"],
        subcommands: &["inspect", "list-tags", "standalone-verify"],
        arguments: Arguments::First,
        options: &READ,
    },
    Command {
        programs: &["skopeo"],
        subcommands: &["delete"],
        arguments: Arguments::Written,
        options: &READ,
    },
    Command {
        programs: &["crane", "gcrane", "oras"],
        subcommands: &["copy", "cp"],
        arguments: Arguments::Copy,
        options: &READ,
    },
    Command {
        programs: &["crane", "gcrane"],
        subcommands: &["digest", "manifest", "config", "pull", "export", "validate"],
        arguments: Arguments::First,
        options: &READ,
    },
    Command {
        programs: &["crane", "gcrane"],
        subcommands: &["mutate", "flatten", "rebase", "append"],
        arguments: Arguments::First,
        options: &BUILD,
    },
    Command {
        programs: &["crane", "gcrane"],
        subcommands: &["push", "tag", "delete"],
        arguments: Arguments::Written,
        options: &READ,
    },
    Command {
        programs: &["oras"],
        subcommands: &["pull", "discover", "resolve", "manifest fetch", "manifest fetch-config"],
        arguments: Arguments::First,
        options: &READ,
    },
    Command {
        programs: &["oras"],
        subcommands: &["push", "attach", "tag", "manifest push", "manifest delete"],
        arguments: Arguments::Written,
        options: &READ,
    },
    Command {
        programs: &["regctl"],
        subcommands: &["image copy", "image cp"],
        arguments: Arguments::Copy,
        options: &READ,
    },
    Command {
        programs: &["regctl"],
        subcommands: &[
            "image digest",
            "image inspect",
            "image manifest",
            "image config",
            "image export",
            "image ratelimit",
            "manifest get",
            "manifest head",
            "manifest digest",
        ],
        arguments: Arguments::First,
        options: &READ,
    },
    Command {
        programs: &["ctr", "crictl"],
        subcommands: &["images pull", "image pull", "i pull", "pull", "inspecti", "run"],
        arguments: Arguments::First,
        options: &RUN,
    },
    Command {
        programs: &["ctr"],
        subcommands: &["images tag", "image tag", "i tag", "images push", "image push", "i push"],
        arguments: Arguments::SecondWritten,
        options: &READ,
    },
    Command {
        programs: &["trivy", "cosign"],
        subcommands: &["image", "i", "verify", "verify-attestation", "tree", "download"],
        arguments: Arguments::First,
        options: &READ,
    },
    Command { programs: &["grype", "syft"], subcommands: &[""], arguments: Arguments::First, options: &READ },
];
