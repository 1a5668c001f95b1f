//! Arguments of `completions` and `man`.

use clap::Args;
use clap_complete::Shell;

pub(super) const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  mkdir -p ~/.local/share/bash-completion/completions
  container-image completions bash > ~/.local/share/bash-completion/completions/container-image
  mkdir -p ~/.zfunc
  container-image completions zsh > ~/.zfunc/_container-image
  mkdir -p ~/.config/fish/completions
  container-image completions fish > ~/.config/fish/completions/container-image.fish";

pub(super) const MAN_EXAMPLES: &str = "\
Examples:
  container-image man pin | man -l -
  container-image man > ~/.local/share/man/man1/container-image.1";

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// Shell
    pub(crate) shell: Shell,
}

/// Arguments of `man`.
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Command. Default: the program itself
    #[arg(value_parser = [
        "copy", "sync", "refresh", "import", "plan", "verify", "inspect", "tags", "list", "pin", "update",
        "completions", "man",
    ])]
    pub(crate) command: Option<String>,
}
