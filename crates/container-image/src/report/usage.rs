//! A command line that was not understood, and help.

use std::env;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::CommandFactory as _;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use image_copy::text::{ForeignText, without_login};

use super::{fail, written};
use crate::args::Args;

/// The program's name.
const NAME: &str = "container-image";

/// What a command line that makes no sense ends with.
const NOT_UNDERSTOOD: u8 = 2;

/// Tells what the parser of the command line has to say: help, or in a line what it did not
/// understand.
pub(crate) fn usage(said: &clap::Error) -> ExitCode {
    if said.use_stderr() && said.kind() != ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let typed = env::args().nth(1).unwrap_or_default();
        fail(&misunderstood(&rendered(said), &typed));
        return ExitCode::from(NOT_UNDERSTOOD);
    }
    let printed = said.print().and_then(|()| io::stdout().flush());
    if said.use_stderr() {
        return ExitCode::from(NOT_UNDERSTOOD);
    }
    written(printed, "")
}

/// Returns the parser's words without logins in the arguments that it quotes.
fn rendered(said: &clap::Error) -> String {
    let quoted = [ContextKind::InvalidValue, ContextKind::InvalidArg].map(|kind| said.get(kind));
    quoted.into_iter().flatten().fold(said.render().to_string(), |words, argument| match argument {
        ContextValue::String(argument) => words.replace(argument.as_str(), &without_login(argument)),
        _ => words,
    })
}

/// The parser's words in one line: what is wrong and its proposals, without the usage that it adds.
/// `command` is the word after the program's name.
fn misunderstood(said: &str, command: &str) -> String {
    let (problem, more) = said.split_once("\n\n").unwrap_or((said, ""));
    let problem = problem.strip_prefix("error: ").unwrap_or(problem);
    let words = |text: &str| ForeignText::from(text);
    let mut line = format!("{}.", words(problem).trim_end_matches('.'));
    for tip in more.lines().filter_map(|line| line.trim().strip_prefix("tip: ")) {
        line += &format!(" Perhaps {}.", words(tip));
    }
    let is_command = Args::command().find_subcommand(command).is_some();
    let help = if is_command { format!("{NAME} {command} --help") } else { format!("{NAME} --help") };
    format!("{line} {help} has the rest.")
}
