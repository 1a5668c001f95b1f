//! Splits tags into numbers, words, commits and separators.

use std::ops::Range;

/// Minimum length of an abbreviated commit in git.
const MIN_COMMIT_CHARS: usize = 7;

/// Architecture with a separator in its name.
const X86_64: &str = "x86_64";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Number,
    Word,
    /// An abbreviated or complete hash, also in the form `g49d6871` of `git describe`.
    Commit,
    /// One of `.`, `-` and `_`.
    Separator,
}

/// A part of a tag.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) range: Range<usize>,
    /// Start of the segment, which is the text between two separators.
    pub(super) segment: usize,
}

impl Token {
    /// Returns true if no separator precedes the token in its segment.
    pub(super) fn is_first(&self) -> bool {
        self.range.start == self.segment
    }
}

/// Returns the tokens of a tag. They cover the whole tag.
pub(super) fn tokens(tag: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < tag.len() {
        let segment = segment_at(tag, at);
        if segment == X86_64 || is_commit(segment) {
            let kind = if segment == X86_64 { Kind::Word } else { Kind::Commit };
            tokens.push(Token { kind, range: at..at + segment.len(), segment: at });
        } else {
            split_segment(segment, at, &mut tokens);
        }
        at += segment.len();
        if at < tag.len() {
            tokens.push(Token { kind: Kind::Separator, range: at..at + 1, segment: at });
            at += 1;
        }
    }
    tokens
}

fn segment_at(tag: &str, at: usize) -> &str {
    let rest = &tag[at..];
    let is_separator = |c: char| !c.is_ascii_alphanumeric();
    match rest.strip_prefix(X86_64) {
        Some(after) if after.is_empty() || after.starts_with(is_separator) => X86_64,
        _ => &rest[..rest.find(is_separator).unwrap_or(rest.len())],
    }
}

fn split_segment(segment: &str, start: usize, tokens: &mut Vec<Token>) {
    let mut at = 0;
    while at < segment.len() {
        let rest = &segment[at..];
        let is_number = rest.starts_with(|c: char| c.is_ascii_digit());
        let end = rest.find(|c: char| c.is_ascii_digit() != is_number).unwrap_or(rest.len());
        let kind = if is_number { Kind::Number } else { Kind::Word };
        tokens.push(Token { kind, range: start + at..start + at + end, segment: start });
        at += end;
    }
}

fn is_commit(segment: &str) -> bool {
    let is_hex = |text: &str| {
        text.len() >= MIN_COMMIT_CHARS
            && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    let has = |test: fn(&u8) -> bool| segment.as_bytes().iter().any(test);
    let is_mixed = has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic);
    is_mixed && is_hex(segment.strip_prefix('g').unwrap_or(segment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(tag: &str, expected: &str) {
        let parts = tokens(tag).into_iter().filter(|token| token.kind != Kind::Separator).map(|token| {
            let text = &tag[token.range];
            match token.kind {
                Kind::Number => format!("#{text}"),
                Kind::Commit => format!("@{text}"),
                _ => text.to_owned(),
            }
        });
        assert_eq!(parts.collect::<Vec<_>>().join(" "), expected, "{tag}");
    }

    #[test]
    fn splits_tags() {
        check("1.27.0-debian-12-r3", "#1 #27 #0 debian #12 r #3");
        check("RELEASE.2024-01-02T03-04-05Z", "RELEASE #2024 #01 #02 T #03 #04 #05 Z");
        check("x86_64-1.2-x86_64", "x86_64 #1 #2 x86_64");
        check("v3.2.4-5-g49d6871", "v #3 #2 #4 #5 @g49d6871");
        check("v1.40.1.8227-c0dd5a73e", "v #1 #40 #1 #8227 @c0dd5a73e");
        check("3f1a9c0be2d7", "@3f1a9c0be2d7");
        // Words and numbers, not commits.
        check("defaced-1234567-a1b2", "defaced #1234567 a #1 b #2");
        check("_", "");
    }
}
