//! Help, and errors of the argument parser.

use std::env;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use image_copy::text::{SanitizedText, name_without_userinfo};

use super::{exit_code_of, fail};
use crate::list_file;

/// Maximum length of a quoted argument in characters.
const QUOTE_CHARS: usize = 200;

/// Exit code of invalid usage.
const INVALID_USAGE: u8 = 2;

/// Commands of docker, crane and skopeo, each with a tip.
const OTHER_COMMANDS: [(&str, &str); 13] = [
    ("config", "the command inspect prints the configuration of an image"),
    ("cp", COPY),
    ("digest", "the command inspect prints the digest of an image"),
    ("images", "the command tags lists the tags of a repository, and list the images in files"),
    ("list-tags", TAGS),
    ("login", LOGIN),
    ("logout", LOGIN),
    ("ls", TAGS),
    ("manifest", "the command inspect prints what an image contains"),
    ("pull", COPY),
    ("push", COPY),
    ("tag", COPY),
    ("validate", "the command verify compares copies with their sources"),
];
const COPY: &str = "the command copy copies an image from one registry to another";
const TAGS: &str = "the command tags lists the tags of a repository";
const LOGIN: &str = "credentials of docker login, podman login and skopeo login are used";

/// Options of docker, crane and skopeo, each with its commands and a tip.
const OTHER_OPTIONS: [(&[&str], &[&str], &str); 4] = [
    (
        &["copy", "sync"],
        &["-a", "--all", "--multi-arch"],
        "all platforms are copied unless you pass --platform",
    ),
    (&["copy", "inspect", "pin", "sync", "update"], &["-p"], "the option is --platform"),
    (
        &["copy", "inspect", "pin", "plan", "sync", "tags", "update", "verify"],
        &["--insecure", "--tls-verify", "--src-tls-verify", "--dest-tls-verify", "--insecure-registry"],
        "--plain-http is for a registry without TLS, and --ca-file for one with a private CA",
    ),
    (
        &["copy", "inspect", "pin", "plan", "sync", "tags", "update", "verify"],
        &["--creds", "--src-creds", "--dest-creds", "--registry-token", "--src-authfile", "--dest-authfile"],
        "pass a file of docker login or skopeo login in --authfile",
    ),
];

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
        fail(&one_line(&message_without_credentials(error), own_tip(error).as_deref()));
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
        ContextValue::String(argument) => sanitized.replace(argument.as_str(), &quotable(argument)),
        _ => sanitized,
    })
}

/// Returns the argument without credentials, and only the start of a long one.
fn quotable(argument: &str) -> String {
    let argument = name_without_userinfo(argument);
    match argument.char_indices().nth(QUOTE_CHARS) {
        Some((end, _)) => format!("{}…", &argument[..end]),
        None => argument.into(),
    }
}

/// Returns a tip that the parser cannot have: `argument` belongs to an option or to another command.
fn own_tip(error: &clap::Error) -> Option<String> {
    // Options in front of the command have no value.
    let mut arguments = env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned());
    let command = arguments.find(|argument| !argument.starts_with('-')).unwrap_or_default();
    if let (ErrorKind::InvalidSubcommand, Some(ContextValue::String(name))) =
        (error.kind(), error.get(ContextKind::InvalidSubcommand))
    {
        return OTHER_COMMANDS.iter().find(|(other, _)| other == name).map(|(_, tip)| (*tip).to_owned());
    }
    let argument = match (error.kind(), error.get(ContextKind::InvalidArg)?) {
        (ErrorKind::UnknownArgument, ContextValue::String(argument)) => argument,
        (ErrorKind::MissingRequiredArgument, ContextValue::Strings(missing))
            if command == "update" && missing.iter().any(|one| one.contains("--all")) =>
        {
            return Some("to pin all images to digests, use the command pin".into());
        }
        _ => return None,
    };
    match (command.as_str(), argument.as_str()) {
        ("refresh", list) if list_file::has_list_ending(list) => {
            Some(format!("pass --list {}", quotable(list)))
        }
        ("pin", "--all" | "--matching-tag" | "--resolve-digest") => {
            Some(format!("remove {argument}, because pin does this without an option"))
        }
        ("pin", "--image-reference" | "--latest" | "--resolve-tag" | "--semver") => {
            Some(format!("the command update has the option {argument}"))
        }
        ("copy", image) if !image.starts_with('-') => Some("the command sync copies several images".into()),
        ("list", "--commit" | "--email" | "--username") => {
            Some(format!("remove {argument}, because list makes no commit"))
        }
        (command, option) => {
            let is_same = |(commands, options, _): &&(&[&str], &[&str], &str)| {
                commands.contains(&command) && options.contains(&option)
            };
            OTHER_OPTIONS.iter().find(is_same).map(|(_, _, tip)| (*tip).to_owned())
        }
    }
}

/// Returns the parser's message in one line, without its usage text: the problem, tips, and the hint at the help.
fn one_line(error: &str, own_tip: Option<&str>) -> String {
    let (problem, more) = error.split_once("\n\n").unwrap_or((error, ""));
    let problem = problem.strip_prefix("error: ").unwrap_or(problem);
    let lines = || more.lines().map(str::trim);
    let tips = lines().filter_map(|line| line.strip_prefix("tip: "));
    // If an option belongs elsewhere, the parser's tip is wrong: it takes the option for a value.
    let tips = tips.filter(|_| own_tip.is_none()).chain(own_tip);
    let tips = tips.map(|tip| format!("Tip: {tip}"));
    let help = lines().filter(|line| line.starts_with("For more information"));
    let sentences = [problem.to_owned()].into_iter().chain(tips).chain(help.map(str::to_owned));
    let sanitized = sentences.map(|text| format!("{}.", SanitizedText::from(text).trim_end_matches('.')));
    sanitized.collect::<Vec<_>>().join(" ")
}
