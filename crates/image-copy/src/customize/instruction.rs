//! Instructions that are supported. Variables in them are not expanded yet.

use super::arguments::Owner;
use super::shell::ShellWord;

/// An instruction with its place in the lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Number of the first line, starting at 1.
    pub(super) number: usize,
    /// The instruction in one line, for the history. Heredocs are not included.
    pub(super) text: String,
    pub(super) instruction: Instruction,
}

/// A supported instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Instruction {
    Env(Vec<(String, String)>),
    Label(Vec<(String, String)>),
    Volume(Vec<String>),
    Expose(Vec<String>),
    User(String),
    WorkDir(String),
    StopSignal(String),
    Cmd(CommandLine),
    Entrypoint(CommandLine),
    HealthCheck(HealthCheck),
    /// Commands that `&&` joins.
    Run(Vec<Vec<ShellWord>>),
    Copy(CopiedFile),
}

impl Instruction {
    /// Returns true if the instruction can write to the layer.
    pub(super) fn has_files(&self) -> bool {
        matches!(self, Self::Run(_) | Self::Copy(_) | Self::WorkDir(_))
    }
}

/// A command in JSON form or in shell form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CommandLine {
    Exec(Vec<String>),
    Shell(String),
}

/// `HEALTHCHECK`. Zero means that Docker's default applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HealthCheck {
    /// `None` disables the health check of the base.
    pub(super) command: Option<CommandLine>,
    /// Name of the field and nanoseconds.
    pub(super) durations: Vec<(&'static str, u64)>,
    pub(super) retries: u64,
}

/// `COPY` of a heredoc.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CopiedFile {
    pub(super) content: String,
    pub(super) is_expanded: bool,
    pub(super) destination: String,
    pub(super) mode: u32,
    pub(super) owner: Owner,
}
