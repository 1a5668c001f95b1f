//! Completions and manual pages, made from the very definition of the command line.

use clap::Args;
use clap_complete::Shell;

pub(super) const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  container-image completions bash > ~/.local/share/bash-completion/completions/container-image
  container-image completions zsh > ~/.zfunc/_container-image
  container-image completions fish > ~/.config/fish/completions/container-image.fish";

pub(super) const MAN_EXAMPLES: &str = "\
Examples:
  container-image man update | man -l -
  container-image man > ~/.local/share/man/man1/container-image.1";

/// What was typed after `completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: Shell,
}

/// What was typed after `man`.
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The command; without, the program itself
    #[arg(value_parser = ["copy", "list", "update", "completions", "man"])]
    pub(crate) command: Option<String>,
}
