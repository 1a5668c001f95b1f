//! Help, and errors of the argument parser.

use std::env;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::CommandFactory as _;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use image_copy::text::{SanitizedText, name_without_userinfo};

use super::{exit_code_of, fail};
use crate::args::Args;
use crate::list_file;

/// Name of the program.
const NAME: &str = "container-image";

/// Maximum length of a quoted argument in characters.
const QUOTE_CHARS: usize = 200;

/// Exit code of invalid usage.
const INVALID_USAGE: u8 = 2;

/// Prints errors of arguments and of files in them. Nothing was sent.
pub(crate) fn invalid(lines: &[String]) -> ExitCode {
    for line in lines {
        fail(line);
    }
    ExitCode::from(INVALID_USAGE)
}

/// Prints the help, or the parser's error in one line.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    if error.use_stderr() && error.kind() != ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let command = env::args().nth(1).unwrap_or_default();
        let line = one_line(&message_without_credentials(error), &command);
        fail(&with_list_tip(line, &command, error));
        return ExitCode::from(INVALID_USAGE);
    }
    let printed = error.print().and_then(|()| io::stdout().flush());
    if error.use_stderr() {
        return ExitCode::from(INVALID_USAGE);
    }
    exit_code_of(printed, "")
}

/// Returns the parser's message without credentials in quoted arguments, and with the start of long ones.
fn message_without_credentials(error: &clap::Error) -> String {
    let quoted = [ContextKind::InvalidValue, ContextKind::InvalidArg, ContextKind::InvalidSubcommand]
        .map(|kind| error.get(kind));
    quoted.into_iter().flatten().fold(error.render().to_string(), |sanitized, argument| match argument {
        ContextValue::String(argument) => {
            sanitized.replace(argument.as_str(), &start_of(&name_without_userinfo(argument)))
        }
        _ => sanitized,
    })
}

fn start_of(argument: &str) -> String {
    match argument.char_indices().nth(QUOTE_CHARS) {
        Some((end, _)) => format!("{}…", &argument[..end]),
        None => argument.to_owned(),
    }
}

/// Adds a tip to the message about a list without `--list`.
fn with_list_tip(line: String, command: &str, error: &clap::Error) -> String {
    let is_list = |argument: &ContextValue| matches!(argument, ContextValue::String(argument) if list_file::has_list_ending(argument));
    match error.get(ContextKind::InvalidArg).filter(|argument| is_list(argument)) {
        Some(argument) if command == "refresh" => {
            let argument = SanitizedText::from(start_of(&argument.to_string()));
            line.replacen(" Run ", &format!(" Tip: pass --list {argument}. Run "), 1)
        }
        _ => line,
    }
}

/// Returns the parser's message and tips in one line, without its usage text. `command` is the first
/// argument.
fn one_line(error: &str, command: &str) -> String {
    let (problem, more) = error.split_once("\n\n").unwrap_or((error, ""));
    let problem = problem.strip_prefix("error: ").unwrap_or(problem);
    let sanitized = |text: &str| SanitizedText::from(text);
    let mut line = format!("{}.", sanitized(problem).trim_end_matches('.'));
    for tip in more.lines().filter_map(|line| line.trim().strip_prefix("tip: ")) {
        line += &format!(" Tip: {}.", sanitized(tip));
    }
    let is_command = Args::command().find_subcommand(command).is_some();
    let help = if is_command { format!("{NAME} {command} --help") } else { format!("{NAME} --help") };
    format!("{line} Run {help} for help.")
}
