//! Parses Dockerfile lines. The crate `parse-dockerfile` splits them into instructions and arguments.

use parse_dockerfile as dockerfile;

use super::arguments::{Owner, check_signal, is_decimal, parse_duration, parse_mode, parse_owner};
use super::command::Command;
use super::error::{CustomizationError, quoted};
use super::files::FILE_MODE;
use super::instruction::{CommandLine, CopiedFile, HealthCheck, Instruction, Line};
use super::shell::{ShellWord, split_commands};
use super::words::{join_lines, split_pairs};

/// A stage must begin with `FROM`. The base is the image to copy.
const FROM: &str = "FROM scratch\n";

/// Maximum number of instructions. Each one is an entry in the history of the image.
const MAX_LINES: usize = 200;

const BUILD: &str = "Build the image with a Dockerfile, for example in CodeBuild";

/// Parses the lines.
///
/// # Errors
/// The first line that is invalid or not supported.
pub(super) fn parse(text: &str) -> Result<Vec<Line>, CustomizationError> {
    if let Some(number) = escape_directive(text) {
        return Err(CustomizationError::new(
            Some(number),
            "the escape directive is not supported. Use \\ at the end of lines",
        ));
    }
    let whole = format!("{FROM}{text}\n");
    let mut lines: Vec<Line> = Vec::new();
    // Line numbers start at 1, and FROM is a line.
    let invalid = |error: &dockerfile::Error| {
        let number = error.line().saturating_sub(1).max(1);
        CustomizationError::new(Some(number), unescaped(&format!("{error:#}")))
    };
    let instructions = dockerfile::parse_iter(&whole).map_err(|error| invalid(&error))?;
    for (position, instruction) in instructions.enumerate() {
        let instruction = instruction.map_err(|error| invalid(&error))?;
        if position == 0 {
            continue;
        }
        let (start, result) = convert(instruction);
        let number = whole.get(..start).unwrap_or_default().matches('\n').count();
        let instruction = result.map_err(|problem| CustomizationError::new(Some(number), problem))?;
        if lines.len() == MAX_LINES {
            return Err(CustomizationError::new(Some(number), format!("more than {MAX_LINES} instructions")));
        }
        let text = join_lines(whole.get(start..).unwrap_or_default());
        lines.push(Line { number, text, instruction });
    }
    match lines.is_empty() {
        true => Err(CustomizationError::new(None, "the lines have no instruction")),
        false => Ok(lines),
    }
}

/// Returns the line of `# escape=`, which must be before all instructions.
fn escape_directive(text: &str) -> Option<usize> {
    let is_escape = |line: &str| {
        let name = line.trim_start().strip_prefix('#').and_then(|comment| comment.split_once('='));
        name.is_some_and(|(name, _)| name.trim().eq_ignore_ascii_case("escape"))
    };
    let comments =
        text.trim_start_matches('\u{feff}').lines().take_while(|line| line.trim_start().starts_with('#'));
    comments.into_iter().position(is_escape).map(|position| position + 1)
}

/// The parser quotes the text, which can have invisible characters.
fn unescaped(message: &str) -> String {
    crate::text::SanitizedText::quotable(message, 200).as_str().to_owned()
}

/// Returns the position of an instruction, and the instruction if it is supported.
fn convert(instruction: dockerfile::Instruction<'_>) -> (usize, Result<Instruction, String>) {
    use dockerfile::Instruction as Parsed;
    let rejected = |name: &str, solution: &str| Err(format!("{name} is not supported. {solution}"));
    match instruction {
        Parsed::Env(env) => (env.env.span.start, split_pairs(&env.arguments.value).map(Instruction::Env)),
        Parsed::Label(label) => {
            (label.label.span.start, split_pairs(&label.arguments.value).map(Instruction::Label))
        }
        Parsed::Volume(volume) => {
            let words = match volume.arguments {
                dockerfile::JsonOrStringArray::Json(array) => words(array.value),
                dockerfile::JsonOrStringArray::String(array) => words(array),
            };
            (volume.volume.span.start, Ok(Instruction::Volume(words)))
        }
        Parsed::Expose(expose) => {
            (expose.expose.span.start, Ok(Instruction::Expose(words(expose.arguments))))
        }
        Parsed::User(user) => (user.user.span.start, Ok(Instruction::User(user.arguments.value.into()))),
        Parsed::Workdir(dir) => {
            (dir.workdir.span.start, Ok(Instruction::WorkDir(dir.arguments.value.into())))
        }
        Parsed::Stopsignal(signal) => {
            let name = String::from(signal.arguments.value);
            let checked = if name.contains('$') { Ok(()) } else { check_signal(&name) };
            (signal.stopsignal.span.start, checked.map(|()| Instruction::StopSignal(name)))
        }
        Parsed::Cmd(cmd) => (cmd.cmd.span.start, Ok(Instruction::Cmd(command_line(cmd.arguments)))),
        Parsed::Entrypoint(entrypoint) => {
            let command = command_line(entrypoint.arguments);
            (entrypoint.entrypoint.span.start, Ok(Instruction::Entrypoint(command)))
        }
        Parsed::Healthcheck(check) => (check.healthcheck.span.start, health_check(check)),
        Parsed::Run(run) => (run.run.span.start, commands(run)),
        Parsed::Copy(copy) => (copy.copy.span.start, copied_file(copy)),
        Parsed::From(from) => {
            (from.from.span.start, rejected("FROM", "The base is the image that is copied. Remove the line"))
        }
        Parsed::Add(add) => (
            add.add.span.start,
            rejected("ADD", "Use COPY <<EOF /path for small files, or build the image with a Dockerfile"),
        ),
        Parsed::Arg(arg) => (arg.arg.span.start, rejected("ARG", "Use ENV, or write the value")),
        Parsed::Maintainer(old) => (
            old.maintainer.span.start,
            rejected("MAINTAINER", "Use LABEL org.opencontainers.image.authors=…"),
        ),
        Parsed::Onbuild(onbuild) => (onbuild.onbuild.span.start, rejected("ONBUILD", BUILD)),
        Parsed::Shell(shell) => {
            (shell.shell.span.start, rejected("SHELL", "Use the JSON form of CMD and ENTRYPOINT"))
        }
        _ => (0, rejected("This instruction", BUILD)),
    }
}

fn words<'a>(words: impl IntoIterator<Item = dockerfile::UnescapedString<'a>>) -> Vec<String> {
    words.into_iter().map(|word| word.value.into()).collect()
}

fn command_line(command: dockerfile::Command<'_>) -> CommandLine {
    match command {
        dockerfile::Command::Exec(array) => CommandLine::Exec(words(array.value)),
        dockerfile::Command::Shell(text) => CommandLine::Shell(join_lines(text.value)),
        _ => CommandLine::Exec(Vec::new()),
    }
}

fn health_check(check: dockerfile::HealthcheckInstruction<'_>) -> Result<Instruction, String> {
    let command = match check.arguments {
        dockerfile::HealthcheckArguments::Cmd { arguments, .. } => Some(command_line(arguments)),
        _ if check.options.is_empty() => None,
        _ => return Err("HEALTHCHECK NONE has no options".into()),
    };
    if matches!(&command, Some(CommandLine::Shell(text)) if text.is_empty()) {
        return Err("HEALTHCHECK CMD has no command".into());
    }
    let mut durations: Vec<(&'static str, u64)> = Vec::new();
    let mut retries = 0;
    for flag in &check.options {
        let value = flag.value.as_ref().map(|value| &*value.value).unwrap_or_default();
        let field = match &*flag.name.value {
            "interval" => "Interval",
            "timeout" => "Timeout",
            "start-period" => "StartPeriod",
            "start-interval" => "StartInterval",
            "retries" => {
                let number = value.parse().ok().filter(|_| is_decimal(value));
                retries = number
                    .filter(|n| *n <= 1_000_000)
                    .ok_or_else(|| format!("--retries={} is not a number", quoted(value)))?;
                continue;
            }
            other => {
                return Err(format!(
                    "the option {} of HEALTHCHECK is not supported",
                    quoted(&format!("--{other}"))
                ));
            }
        };
        durations.retain(|(other, _)| *other != field);
        durations.push((field, parse_duration(value)?));
    }
    Ok(Instruction::HealthCheck(HealthCheck { command, durations, retries }))
}

fn commands(run: dockerfile::RunInstruction<'_>) -> Result<Instruction, String> {
    if let Some(flag) = run.options.first() {
        let option = quoted(&format!("--{}", flag.name.value));
        return Err(format!("the option {option} of RUN is not supported. {BUILD}"));
    }
    if !run.here_docs.is_empty() {
        return Err("RUN does not support heredocs. Join commands with &&".into());
    }
    let commands = match command_line(run.arguments) {
        CommandLine::Exec(words) => vec![words.iter().map(|word| ShellWord::literal(word)).collect()],
        CommandLine::Shell(text) => split_commands(&text)?,
    };
    for command in &commands {
        // Variables depend on the image.
        if let Some(words) = command.iter().map(ShellWord::as_literal).collect::<Option<Vec<String>>>() {
            Command::parse(&words)?;
        }
    }
    Ok(Instruction::Run(commands))
}

fn copied_file(copy: dockerfile::CopyInstruction<'_>) -> Result<Instruction, String> {
    let mut mode = FILE_MODE;
    let mut owner = Owner::default();
    for flag in &copy.options {
        let value = flag.value.as_ref().map(|value| &*value.value).unwrap_or_default();
        match &*flag.name.value {
            "chmod" => mode = parse_mode(value)?,
            "chown" => {
                let (uid, gid) = parse_owner(value)?;
                // Without a group, BuildKit uses the number of the user
                // (https://docs.docker.com/reference/dockerfile/#copy---chown---chmod).
                let uid = uid.ok_or_else(|| format!("{} has no user", quoted(value)))?;
                owner = Owner { uid, gid: gid.unwrap_or(uid) };
            }
            other => {
                return Err(format!("the option {} of COPY is not supported", quoted(&format!("--{other}"))));
            }
        }
    }
    let mut sources = copy.src.into_iter();
    match (sources.next(), sources.next()) {
        (Some(dockerfile::Source::HereDoc(heredoc)), None) => Ok(Instruction::Copy(CopiedFile {
            content: heredoc.value.into(),
            is_expanded: heredoc.expand,
            destination: copy.dest.value.into(),
            mode,
            owner,
        })),
        (Some(dockerfile::Source::HereDoc(_)), Some(_)) => Err("COPY with several sources is not supported. Use one COPY for each file".into()),
        _ => Err("COPY supports only heredocs, because a copy has no build context. Use COPY <<EOF /path, or build the image with a Dockerfile".into()),
    }
}
