//! Splits a command into its arguments, as a shell does.

use std::ops::Range;

/// Maximum number of arguments that are read.
const MAX_TOKENS: usize = 512;

/// Maximum length of a quoted argument in bytes.
const MAX_QUOTED_BYTES: usize = 4096;

/// An argument. The range has no quotes around it.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) range: Range<usize>,
    pub(super) kind: TokenKind,
}

/// Syntax of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A word of a shell, without quotes around it.
    Plain,
    /// A word of a shell in quotes.
    Quoted,
    /// A string in a list.
    Element,
    /// Code in a list of strings, such as a variable.
    Code,
}

/// Arguments of one command, until its end.
pub(super) struct Tokens<'a> {
    bytes: &'a [u8],
    at: usize,
    count: usize,
    /// The arguments are strings of a list: `["docker", "run", "a:1"]`.
    is_list: bool,
    is_end: bool,
}

impl<'a> Tokens<'a> {
    /// Returns the arguments after the name of a program. The name can be a variable, such as `$(DOCKER)`.
    pub(super) fn after_program(bytes: &'a [u8], name: Range<usize>) -> Option<Self> {
        let before = &bytes[..name.start];
        let rest = &bytes[name.end..];
        let variable = before.ends_with(b"$") || before.ends_with(b"$(") || before.ends_with(b"${");
        let is_start = |byte: u8| byte.is_ascii_whitespace() || b"(\"'`/@|;&{[>\\,".contains(&byte);
        // Make ignores the exit code of a command after a hyphen.
        let name_start =
            before.strip_suffix(b"-").filter(|rest| rest.last().is_some_and(u8::is_ascii_whitespace));
        // The end of a line in a string, as in "docker build .\ndocker push a:1".
        let is_line = before.ends_with(b"\\n");
        if !variable && !is_line && name_start.unwrap_or(before).last().is_some_and(|byte| !is_start(*byte)) {
            return None;
        }
        let length = match rest {
            [b')' | b'}', ..] if variable => 1,
            [b'.', b'e', b'x', b'e', ..] => 4,
            _ => 0,
        };
        let (is_list, length) = match &rest[length..] {
            [b' ' | b'\t' | b'\\', ..] => (false, length),
            // The path of a program in quotes, or the first string of a list.
            [b'"' | b'\'', b' ', ..] => (false, length + 1),
            [b'"' | b'\'', b',', ..] => (true, length + 1),
            _ => return None,
        };
        Some(Self { bytes, at: name.end + length, count: 0, is_list, is_end: false })
    }

    /// Returns the end of the last argument.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Skips blanks and continued lines. Returns false at the end of the command.
    fn skip_blanks(&mut self) -> bool {
        loop {
            let rest = &self.bytes[self.at..];
            match rest {
                [b' ' | b'\t', ..] => self.at += 1,
                [b',' | b'\n' | b'\r', ..] if self.is_list => self.at += 1,
                // The arguments can be a list of their own: spawn("docker", ["run", "a:1"]).
                [b'[', ..] if self.is_list && self.count == 0 => self.at += 1,
                [b'#', ..] | [b'/', b'/', ..] if self.is_list => {
                    self.at += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
                }
                [b'\\' | b'`' | b'^', b'\n', ..] => self.at += 2,
                [b'\\' | b'`' | b'^', b'\r', b'\n', ..] => self.at += 3,
                // A script in a string of JSON.
                [b'\\', b'\\', b'\n', ..] => self.at += 3,
                [b'\\', b'\\', b'\\', b'n', ..] => self.at += 4,
                [b'`' | b'&' | b'|', ..] if self.is_list => return true,
                [b'\n' | b'\r' | b';' | b'|' | b'&' | b')' | b'`' | b'#', ..] | [] => return false,
                [b'\\', b'n', ..] => return false,
                _ => return true,
            }
        }
    }

    /// Returns the end of the token at `at`, and if it ends the command.
    fn end_of_plain(&self, start: usize) -> (usize, bool) {
        let bytes = self.bytes;
        let mut at = start;
        // After one group without an end, all others are plain text, so that the time stays linear.
        let mut has_groups = true;
        while let Some(&byte) = bytes.get(at) {
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' => return (at, false),
                b';' | b'|' | b'&' | b')' | b'`' => return (at, true),
                b'$' | b'{' if has_groups && is_group(&bytes[at..]) => {
                    let end = end_of_group(bytes, at);
                    has_groups = end.is_some();
                    at = end.unwrap_or(at + 1);
                }
                b'\\' if bytes.get(at + 1).is_some_and(|next| matches!(next, b'n' | b'\n' | b'\r')) => {
                    return (at, bytes[at + 1] == b'n');
                }
                b'"' | b'\'' => match end_of_inner_quote(bytes, start, at) {
                    Some(end) => at = end,
                    None => return (at, true),
                },
                b'\\' if bytes.get(at + 1) == Some(&b'"') => match end_of_inner_quote(bytes, start, at + 1) {
                    Some(end) => at = end,
                    None => return (at, true),
                },
                _ => at += 1,
            }
        }
        (at, true)
    }

    /// Returns the next element of a list. Returns `None` at its end.
    fn element(&mut self) -> Option<Token> {
        let bytes = self.bytes;
        let start = self.at;
        let end = end_of_element(bytes, start).filter(|end| *end > start)?;
        self.at = end;
        let text = bytes[start..end].trim_ascii_end();
        let quote = text[0];
        if !matches!(quote, b'"' | b'\'') {
            return Some(Token { range: start..start + text.len(), kind: TokenKind::Code });
        }
        let close = end_of_string(bytes, start + 1, quote, false)?;
        if close + 1 == start + text.len() {
            return Some(Token { range: start + 1..close, kind: TokenKind::Element });
        }
        // Code such as "--platform=" + name, which can be an option.
        Some(Token { range: start + 1..start + text.len(), kind: TokenKind::Code })
    }
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        if self.is_end || self.count == MAX_TOKENS || !self.skip_blanks() {
            self.is_end = true;
            return None;
        }
        self.count += 1;
        if self.is_list {
            let element = self.element();
            self.is_end = element.is_none();
            return element;
        }
        let bytes = self.bytes;
        let start = self.at;
        let escaped = usize::from(bytes[start] == b'\\');
        if let Some(quote @ (b'"' | b'\'')) = bytes.get(start + escaped) {
            let open = start + escaped + 1;
            let Some(close) = end_of_string(bytes, open, *quote, escaped == 1) else {
                self.is_end = true;
                return None;
            };
            let after = close + escaped + 1;
            let (end, is_end) = self.end_of_plain(after);
            (self.at, self.is_end) = (end, is_end);
            // Adjacent text belongs to the same argument.
            let (range, kind) =
                if end > after { (start..end, TokenKind::Plain) } else { (open..close, TokenKind::Quoted) };
            return Some(Token { range, kind });
        }
        let (end, is_end) = self.end_of_plain(start);
        (self.at, self.is_end) = (end, is_end);
        if end == start {
            self.is_end = true;
            return None;
        }
        Some(Token { range: start..end, kind: TokenKind::Plain })
    }
}

/// Returns the end of an element of a list: a comma or a bracket.
fn end_of_element(bytes: &[u8], start: usize) -> Option<usize> {
    let limit = bytes.len().min(start + MAX_QUOTED_BYTES);
    let mut depth = 0_usize;
    let mut at = start;
    while at < limit {
        match bytes[at] {
            b',' if depth == 0 => return Some(at),
            b']' | b')' | b'}' if depth == 0 => return Some(at),
            b';' => return None,
            b'[' | b'(' | b'{' => depth += 1,
            b']' | b')' | b'}' => depth -= 1,
            quote @ (b'"' | b'\'' | b'`') => at = end_of_string(bytes, at + 1, quote, false)?,
            _ => {}
        }
        at += 1;
    }
    None
}

/// Returns the offset of the closing quote.
fn end_of_string(bytes: &[u8], open: usize, quote: u8, escaped: bool) -> Option<usize> {
    let text = &bytes[open..bytes.len().min(open + MAX_QUOTED_BYTES)];
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'\\' if escaped && text.get(at + 1) == Some(&quote) => return Some(open + at),
            b'\\' if quote == b'"' => at += 2,
            _ if byte == quote => return (!escaped).then_some(open + at),
            b'\n' if escaped => return None,
            _ => at += 1,
        }
    }
    None
}

/// Returns the end of a string inside of an argument, such as `A="b c"`. Returns `None` for a quote that ends
/// the string around the command.
fn end_of_inner_quote(bytes: &[u8], start: usize, at: usize) -> Option<usize> {
    let escaped = at > start && bytes[at - 1] == b'\\';
    let before = at.checked_sub(1 + usize::from(escaped)).filter(|before| *before >= start)?;
    if !b"=:/,@+{}$-_(".contains(&bytes[before]) {
        return None;
    }
    let text = &bytes[..bytes.len().min(at + MAX_QUOTED_BYTES)];
    let line = memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |length| at + length);
    let close = end_of_string(&bytes[..line], at + 1, bytes[at], escaped)?;
    Some(close + 1 + usize::from(escaped))
}

/// Returns true at the start of `$(…)`, `${…}` or `{{…}}`.
fn is_group(text: &[u8]) -> bool {
    [&b"$("[..], b"${", b"{{"].iter().any(|open| text.starts_with(open))
}

/// Returns the end of a group at `at`, on one line.
fn end_of_group(bytes: &[u8], at: usize) -> Option<usize> {
    let (open, close) = if bytes[at..].starts_with(b"$(") { (b'(', b')') } else { (b'{', b'}') };
    let mut depth = 0_usize;
    for (offset, &byte) in bytes[at..].iter().take(MAX_QUOTED_BYTES).enumerate() {
        if byte == b'\n' {
            return None;
        }
        if byte == open {
            depth += 1;
        } else if byte == close {
            depth -= 1;
            if depth == 0 {
                return Some(at + offset + 1);
            }
        }
    }
    None
}
