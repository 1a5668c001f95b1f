//! Words of Dockerfile instructions, before their variables are expanded.
//!
//! The rules are those of BuildKit
//! (<https://github.com/moby/buildkit/blob/v0.30/frontend/dockerfile/parser/line_parsers.go>).

use super::error::quoted;

/// Splits the arguments of `ENV` and `LABEL` into names and values. Both forms are supported: `name=value …`
/// and `name value`. Quotes and escapes stay in the words.
pub(super) fn split_pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let words = split_words(text);
    let Some(first) = words.first() else { return Err("a name and a value are missing".into()) };
    if !first.contains('=') {
        let text = text.trim();
        let Some((name, value)) = text.split_once(char::is_whitespace) else {
            return Err(format!("{} has no value. Use name=value", quoted(text)));
        };
        return Ok(vec![(name.into(), value.trim_start().into())]);
    }
    let pair = |word: &String| match word.split_once('=') {
        None => Err(format!("{} has no value. Use name=value, and quote values with spaces", quoted(word))),
        Some(("", _)) => Err(format!("{} has no name. Use name=value", quoted(word))),
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
    };
    words.iter().map(pair).collect()
}

/// Splits a text at white space outside quotes.
fn split_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match (c, quote) {
            (c, None) if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            ('\\', None | Some('"')) => {
                word.push(c);
                word.extend(rest.next());
                continue;
            }
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            _ => {}
        }
        word.push(c);
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Returns the text as one word of a Dockerfile that has exactly this value.
#[must_use]
pub fn quote(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:,@%+".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.into();
    }
    let mut word = String::from('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\' | '$') {
            word.push('\\');
        }
        word.push(c);
    }
    word + "\""
}

/// Joins the lines of an instruction that a backslash continues, and removes comments between them.
pub(super) fn join_lines(text: &str) -> String {
    let mut joined = String::new();
    for (position, line) in text.lines().enumerate() {
        let trimmed = line.trim_start();
        if position > 0 && (trimmed.is_empty() || trimmed.starts_with('#')) {
            continue;
        }
        let line = line.trim_end();
        match line.strip_suffix('\\') {
            Some(start) => joined.push_str(start),
            None => {
                joined.push_str(line);
                break;
            }
        }
    }
    joined.trim().to_owned()
}
