//! Arguments of `import`.

use std::path::PathBuf;

use clap::Args;

use crate::import::Format;

const EXAMPLES: &str = "\
Examples:
  Import the file of regsync or skopeo sync:
    container-image import regsync.yaml -o images.yaml

  Import the images of a cluster, with the digests that run:
    kubectl get pods -A -o json | container-image import - >images.yaml

  Import the images of a Helm chart and of a Compose file:
    helm template prometheus | container-image import - compose.yaml

  Copy the imported images:
    container-image sync images.yaml --to registry.example/mirror

Everything that the list does not express is a note on stderr. Images and rules
that a list cannot express are comments in the list.

Exit codes: 0 success, 1 the list cannot be written, 2 invalid usage or file.";

/// Arguments of `import`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct ImportArgs {
    /// Files to import. `-` is standard input
    #[arg(value_name = "FILE", default_value = "-")]
    pub(crate) files: Vec<String>,

    /// Format of the files. Default: recognized by content
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<Format>,

    /// Write the list to FILE instead of stdout
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}
