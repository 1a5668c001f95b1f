//! Commands of `RUN` that create files.

use super::arguments::{Owner, parse_mode, parse_owner};
use super::error::quoted;
use super::files::Files;
use super::path::clean;

/// A command with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    MakeDirectory { with_parents: bool, mode: Option<u32>, paths: Vec<String> },
    Touch { paths: Vec<String> },
    ChangeMode { is_recursive: bool, mode: u32, paths: Vec<String> },
    ChangeOwner { is_recursive: bool, uid: Option<u32>, gid: Option<u32>, paths: Vec<String> },
    Link { is_forced: bool, target: String, path: String },
}

/// The only advice for everything that needs the files of the image.
const BUILD: &str = "Use mkdir, chmod, chown, touch and ln -s, or build the image with a Dockerfile, for example in CodeBuild";

impl Command {
    /// Parses the words of a command.
    ///
    /// # Errors
    /// If the command or an option is not supported.
    pub(super) fn parse(words: &[String]) -> Result<Self, String> {
        let Some((path, arguments)) = words.split_first() else { return Err("a command is missing".into()) };
        let name = path.rsplit('/').next().unwrap_or_default();
        match name {
            "mkdir" => {
                let Options { flags, value, operands } = Options::parse(arguments, "pv", Some('m'))?;
                let mode = value.map(|mode| parse_mode(&mode)).transpose()?;
                let paths = at_least_one(name, operands)?;
                Ok(Self::MakeDirectory { with_parents: flags.contains('p'), mode, paths })
            }
            "touch" => {
                let operands = Options::parse(arguments, "", None)?.operands;
                Ok(Self::Touch { paths: at_least_one(name, operands)? })
            }
            "chmod" => {
                let Options { flags, mut operands, .. } = Options::parse(arguments, "Rvc", None)?;
                let mode = parse_mode(&first(name, &mut operands)?)?;
                let paths = at_least_one(name, operands)?;
                Ok(Self::ChangeMode { is_recursive: flags.contains('R'), mode, paths })
            }
            "chown" => {
                let Options { flags, mut operands, .. } = Options::parse(arguments, "Rvc", None)?;
                let (uid, gid) = parse_owner(&first(name, &mut operands)?)?;
                let paths = at_least_one(name, operands)?;
                Ok(Self::ChangeOwner { is_recursive: flags.contains('R'), uid, gid, paths })
            }
            "ln" => {
                let Options { flags, operands, .. } = Options::parse(arguments, "sfnv", None)?;
                match <[String; 2]>::try_from(operands) {
                    Ok(_) if !flags.contains('s') => {
                        Err("ln needs -s, because a layer has no files of the base".into())
                    }
                    Ok([target, path]) if !target.is_empty() => {
                        Ok(Self::Link { is_forced: flags.contains('f'), target, path })
                    }
                    _ => Err("ln needs a target and the path of the link".into()),
                }
            }
            _ => Err(format!("{} is not supported in RUN. {BUILD}", quoted(path))),
        }
    }

    /// Applies the command. `directory` is the working directory, `user` the owner of new files.
    pub(super) fn apply(&self, files: &mut Files, directory: &str, user: Owner) -> Result<(), String> {
        match self {
            Self::MakeDirectory { with_parents, mode, paths } => {
                each(directory, paths, |path| match with_parents {
                    true => files.make_directory(path, *mode, user),
                    false => files.make_new_directory(path, *mode, user),
                })
            }
            Self::Touch { paths } => each(directory, paths, |path| files.touch(path, user)),
            Self::ChangeMode { is_recursive, mode, paths } => {
                each(directory, paths, |path| files.change(path, *is_recursive, |entry| entry.mode = *mode))
            }
            Self::ChangeOwner { is_recursive, uid, gid, paths } => each(directory, paths, |path| {
                files.change(path, *is_recursive, |entry| {
                    entry.owner.uid = uid.unwrap_or(entry.owner.uid);
                    entry.owner.gid = gid.unwrap_or(entry.owner.gid);
                })
            }),
            Self::Link { is_forced, target, path } => {
                if path.ends_with('/') {
                    return Err(format!("{} is a directory. Add the name of the link", quoted(path)));
                }
                files.link(&clean(directory, path)?, target, user, *is_forced)
            }
        }
    }
}

fn each(
    directory: &str,
    paths: &[String],
    mut apply: impl FnMut(&str) -> Result<(), String>,
) -> Result<(), String> {
    paths.iter().try_for_each(|path| apply(&clean(directory, path)?))
}

/// Options and operands of a command.
struct Options {
    /// The short names of the options.
    flags: String,
    /// Value of the option with a value.
    value: Option<String>,
    operands: Vec<String>,
}

impl Options {
    /// Parses options with the short names `flags`, and one with a value. Options can follow operands.
    fn parse(arguments: &[String], flags: &str, with_value: Option<char>) -> Result<Self, String> {
        let unsupported = |option: &str| Err(format!("the option {} is not supported", quoted(option)));
        let mut options = Self { flags: String::new(), value: None, operands: Vec::new() };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let Some(short) = argument.strip_prefix('-').filter(|short| !short.is_empty()) else {
                options.operands.push(argument.clone());
                continue;
            };
            if short == "-" {
                options.operands.extend(rest.cloned());
                break;
            }
            if let Some(long) = short.strip_prefix('-') {
                let (name, value) = long.split_once('=').map_or((long, None), |(name, v)| (name, Some(v)));
                let flag = match name {
                    "parents" => 'p',
                    "mode" => 'm',
                    "recursive" => 'R',
                    "symbolic" => 's',
                    "force" => 'f',
                    "verbose" => 'v',
                    _ => return unsupported(argument),
                };
                match value {
                    Some(value) if with_value == Some(flag) => options.value = Some(value.into()),
                    None if flags.contains(flag) => options.flags.push(flag),
                    _ => return unsupported(argument),
                }
                continue;
            }
            for (position, flag) in short.char_indices() {
                if Some(flag) == with_value {
                    let value = &short[position + 1..];
                    let value = if value.is_empty() { rest.next().map(String::as_str) } else { Some(value) };
                    let Some(value) = value else {
                        return Err(format!("the option {} has no value", quoted(argument)));
                    };
                    options.value = Some(value.into());
                    break;
                }
                if !flags.contains(flag) {
                    return unsupported(argument);
                }
                options.flags.push(flag);
            }
        }
        Ok(options)
    }
}

fn first(name: &str, operands: &mut Vec<String>) -> Result<String, String> {
    match operands.is_empty() {
        true => Err(format!("{name} needs arguments")),
        false => Ok(operands.remove(0)),
    }
}

fn at_least_one(name: &str, operands: Vec<String>) -> Result<Vec<String>, String> {
    match operands.is_empty() {
        true => Err(format!("{name} needs a path")),
        false => Ok(operands),
    }
}
