//! Finds images among the arguments of commands, in scripts, in lists of strings and in sentences.

use std::ops::Range;

use super::options::{GLOBAL_OPTIONS, Options};
use super::programs::{Arguments, COMMANDS, Command};
use super::tokens::{Token, TokenKind, Tokens};
use super::word::{self, Word};

/// Images of a command.
#[derive(Debug, Default)]
pub(super) struct CommandImages {
    /// Images that the command reads.
    pub(super) read: Vec<Word>,
    /// Names of images that the command writes.
    pub(super) written: Vec<Range<usize>>,
    /// End of the part that was read.
    pub(super) end: usize,
}

/// Reads the command whose program has the name at `name`. Returns `None` if it is not a command.
pub(super) fn read(bytes: &[u8], name: Range<usize>) -> Option<CommandImages> {
    let is_start = starts_command(&bytes[..name.start]);
    let is_line_of_script = starts_line_of_script(bytes, &name);
    let program = std::str::from_utf8(&bytes[name.clone()]).ok()?.to_ascii_lowercase();
    let mut tokens = Tokens::after_program(bytes, name)?;
    let command = subcommand(bytes, &program, &mut tokens)?;
    let mut found = CommandImages::default();
    let mut arguments = 0;
    let mut options = 0;
    let mut is_certain = is_start;
    while let Some(token) = tokens.next() {
        if let Some(value) = option_value(bytes, &token, command.options, &mut tokens) {
            found.written.extend(value.written);
            options += 1;
            is_certain &= value.is_known;
            continue;
        }
        arguments += 1;
        match command.arguments {
            Arguments::Other => {}
            Arguments::Written => found.written.push(token.range),
            Arguments::SecondWritten => {
                if arguments == 2 {
                    found.written.push(token.range);
                    break;
                }
            }
            Arguments::All => found.read.extend(image(bytes, &token).filter(Word::has_version)),
            Arguments::Copy if arguments == 2 => {
                found.written.push(token.range);
                break;
            }
            Arguments::First | Arguments::Copy => {
                if arguments == 1 && is_list_of_options(bytes, &token) {
                    (arguments, is_certain) = (0, false);
                    continue;
                }
                let image = image(bytes, &token);
                let can_be_untagged = is_certain && (options > 0 || is_line_of_script);
                let is_image =
                    |word: &Word| word.has_version() || (can_be_untagged && is_untagged_name(word, &token));
                found.read.extend(image.filter(is_image));
                if command.arguments == Arguments::First {
                    break;
                }
            }
        }
    }
    found.end = tokens.position();
    Some(found)
}

/// Reads the options and the subcommand after a program.
fn subcommand(bytes: &[u8], program: &str, tokens: &mut Tokens<'_>) -> Option<&'static Command> {
    let commands = COMMANDS.iter().filter(|command| command.programs.contains(&program));
    if let Some(command) = commands.clone().find(|command| command.subcommands == [""]) {
        return Some(command);
    }
    let mut words = String::new();
    for _ in 0..8 {
        let token = tokens.next()?;
        if words.is_empty() && option_value(bytes, &token, &GLOBAL_OPTIONS, tokens).is_some() {
            continue;
        }
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(std::str::from_utf8(&bytes[token.range]).ok()?);
        if let Some(command) = commands.clone().find(|command| command.subcommands.contains(&words.as_str()))
        {
            return Some(command);
        }
        let is_start =
            |known: &&str| known.strip_prefix(words.as_str()).is_some_and(|rest| rest.starts_with(' '));
        if !commands.clone().any(|command| command.subcommands.iter().any(&is_start)) {
            return None;
        }
    }
    None
}

/// An option whose value was read.
struct OptionValue {
    is_known: bool,
    written: Option<Range<usize>>,
}

/// Reads the value of an option. Returns `None` if the token is an argument.
fn option_value(
    bytes: &[u8],
    token: &Token,
    options: &Options,
    tokens: &mut Tokens<'_>,
) -> Option<OptionValue> {
    let text = &bytes[token.range.clone()];
    if !text.starts_with(b"-") || text == b"-" {
        return None;
    }
    let known = |written| Some(OptionValue { is_known: true, written });
    let option = std::str::from_utf8(text).unwrap_or_default();
    let (name, attached) = match option.split_once('=') {
        Some((name, _)) => (name, Some(token.range.start + name.len() + 1..token.range.end)),
        None => (option, None),
    };
    if name.starts_with("--") {
        let is_written = options.written.contains(&name);
        return match attached {
            Some(range) => known(is_written.then_some(range)),
            None if is_written => known(tokens.next().map(|value| value.range)),
            None if options.long.contains(&name) => {
                tokens.next();
                known(None)
            }
            None => Some(OptionValue { is_known: options.without_value.contains(&name), written: None }),
        };
    }
    // Letters such as -it, of which the last can have a value.
    for (at, letter) in name.char_indices().skip(1) {
        let is_written = options
            .written
            .iter()
            .any(|known| known.strip_prefix('-') == Some(letter.encode_utf8(&mut [0; 4])));
        if !is_written && !options.short.contains(letter) {
            continue;
        }
        let rest = token.range.start + at + letter.len_utf8();
        let value = if rest < token.range.end {
            Some(rest + usize::from(bytes[rest] == b'=')..token.range.end)
        } else {
            tokens.next().map(|value| value.range)
        };
        return known(value.filter(|_| is_written));
    }
    let is_known = |letter: char| {
        options
            .without_value
            .iter()
            .any(|known| known.strip_prefix('-') == Some(letter.encode_utf8(&mut [0; 4])))
    };
    Some(OptionValue { is_known: name.chars().skip(1).all(is_known), written: None })
}

/// Returns true if a command can start after `before`, which is not a sentence.
fn starts_command(before: &[u8]) -> bool {
    let line =
        before[before.len().saturating_sub(128)..].rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.trim_ascii_end();
    let line = line.strip_suffix(b"sudo").unwrap_or(line).trim_ascii_end();
    matches!(
        line.last(),
        None | Some(b'$' | b'>' | b'&' | b'|' | b';' | b'(' | b'@' | b'-' | b'"' | b'\'' | b'`')
    ) || line.ends_with(b"RUN")
        || line.ends_with(b"run:")
}

/// Returns true if a name without a tag can only be an image. It is a word in a line of a script, or a string in
/// a list. In a script, a quote can also end the string that has the command: `"docker run --rm "name" x"`. A dot
/// belongs to a file or to a field of an object, and documents write `my-image` for any image.
fn is_untagged_name(word: &Word, token: &Token) -> bool {
    let (host, last) = word.image.name.rsplit_once('/').unwrap_or(("", &word.image.name));
    matches!(token.kind, TokenKind::Plain | TokenKind::Element)
        && !last.contains("image")
        && (!host.is_empty() || !last.contains('.'))
}

/// Returns true if a command starts a line of a text with `#!/bin/sh`, or follows a prompt: `$ docker run alpine`.
/// Lines of other texts can be sentences: "docker run fails".
fn starts_line_of_script(bytes: &[u8], name: &Range<usize>) -> bool {
    let before = &bytes[name.start.saturating_sub(128)..name.start];
    let line = before.rsplit(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii();
    let first = &bytes[..bytes.len().min(128)];
    let first = first.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii_end();
    let is_script = first.starts_with(b"#!") && first.ends_with(b"sh");
    let line = line.strip_suffix(b"sudo").unwrap_or(line).trim_ascii_end();
    line == b"$" || (is_script && line.is_empty())
}

/// Returns the image of an argument.
fn image(bytes: &[u8], token: &Token) -> Option<Word> {
    if token.kind == TokenKind::Code {
        return None;
    }
    let found = word::value(bytes, token.range.start)?;
    let rest = &bytes[found.range.end..token.range.end.max(found.range.end)];
    let is_complete = rest.iter().all(|byte| matches!(byte, b'.' | b',' | b':' | b'}'));
    is_complete.then_some(found)
}

/// Returns true for `$DOCKER_OPTS`, `"${ARGS[@]}"`, `[OPTIONS]`, `<options>` and `...`.
fn is_list_of_options(bytes: &[u8], token: &Token) -> bool {
    let text = &bytes[token.range.clone()];
    if token.kind == TokenKind::Code {
        // A list in another one: ...options, *options.
        return text.starts_with(b"...") || text.starts_with(b"*");
    }
    if matches!(text.first(), Some(b'[' | b'<'))
        || text.starts_with(b"...")
        || text.starts_with("…".as_bytes())
    {
        return true;
    }
    let name = String::from_utf8_lossy(text).to_ascii_uppercase();
    let is_variable = name.starts_with('$') && !name.contains([':', '/']);
    is_variable
        && ["ARG", "ENV", "FLAG", "MOUNT", "NET", "OPT", "PARAM", "PORT", "VOL"]
            .iter()
            .any(|part| name.contains(part))
}

/// Returns the images of `kubectl set image deployment/a b=c:1`, for the range of the word `image`.
pub(super) fn set_image(bytes: &[u8], name: Range<usize>) -> Vec<Word> {
    if !bytes[..name.start].ends_with(b"set ") || bytes.get(name.end) != Some(&b' ') {
        return Vec::new();
    }
    let pair = |token: Token| {
        let equals = memchr::memchr(b'=', &bytes[token.range.clone()])?;
        image(bytes, &Token { range: token.range.start + equals + 1..token.range.end, ..token })
            .filter(Word::has_version)
    };
    let tokens = Tokens::after_program(bytes, name);
    tokens.into_iter().flatten().filter(|token| bytes[token.range.start] != b'-').filter_map(pair).collect()
}
