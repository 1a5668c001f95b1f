//! Patterns of tags.

use std::fmt;
use std::str::FromStr;

use regex_lite::{Regex, RegexBuilder};

use crate::text::{SanitizedText, matches_wildcards};

/// Maximum length of a pattern in characters. A tag has at most 128.
const MAX_CHARS: usize = 256;

/// Maximum size of a compiled regular expression in bytes. Those in public files of regsync need less than 4 KiB.
const MAX_COMPILED_BYTES: usize = 16 << 10;

/// Maximum length of a quoted pattern in characters.
const QUOTE_CHARS: usize = 100;

/// A pattern of tags: a text such as `3.*-slim`, in which each `*` matches any characters or none, or a regular
/// expression.
#[derive(Debug, Clone)]
pub struct TagPattern {
    text: String,
    /// The regular expression in `text`, with anchors.
    expression: Option<Regex>,
}

/// A text that is not a pattern of tags.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTagPattern {
    /// Characters that no tag contains.
    #[error(
        "\"{0}\" is not a pattern of tags: expected letters, digits, `.`, `_`, `-`, and `*` for any characters"
    )]
    Wildcards(SanitizedText),
    /// The expression and the reason.
    #[error("\"{0}\" is not a supported regular expression: {1}")]
    Expression(SanitizedText, SanitizedText),
}

impl TagPattern {
    /// Parses a regular expression of regsync, which puts it between `^` and `$`
    /// (<https://github.com/regclient/regclient/blob/main/cmd/regsync/root.go>, `filterRegexAllow`).
    ///
    /// # Errors
    /// If the expression is invalid or too long, or needs Unicode classes or look-around.
    pub fn expression(text: &str) -> Result<Self, InvalidTagPattern> {
        let invalid = |reason: &str| {
            InvalidTagPattern::Expression(SanitizedText::quotable(text, QUOTE_CHARS), reason.into())
        };
        if text.len() > MAX_CHARS {
            return Err(invalid(&format!("it is longer than {MAX_CHARS} characters")));
        }
        let compiled = RegexBuilder::new(&format!("^{text}$")).size_limit(MAX_COMPILED_BYTES).build();
        let compiled = compiled.map_err(|error| invalid(&error.to_string()))?;
        Ok(Self { text: text.into(), expression: Some(compiled) })
    }

    /// Returns true if the pattern matches the whole tag.
    #[must_use]
    pub fn matches(&self, tag: &str) -> bool {
        match &self.expression {
            Some(expression) => expression.is_match(tag),
            None => matches_wildcards(&self.text, tag),
        }
    }

    /// Returns true for a regular expression.
    #[must_use]
    pub fn is_expression(&self) -> bool {
        self.expression.is_some()
    }

    /// Returns true if the pattern starts with `text`, before its first `*`.
    pub(super) fn starts_with(&self, text: &str) -> bool {
        !self.is_expression() && self.text.starts_with(text)
    }

    /// Returns true if the pattern ends with `text`, after its last `*`. A regular expression allows any text after
    /// a version, as in regsync.
    pub(super) fn ends_with(&self, text: &str) -> bool {
        self.is_expression() || self.text.ends_with(text)
    }
}

impl PartialEq for TagPattern {
    fn eq(&self, other: &Self) -> bool {
        (&self.text, self.is_expression()) == (&other.text, other.is_expression())
    }
}

impl Eq for TagPattern {}

/// Parses a pattern with `*`. Rejects the wildcards of other tools, which no tag contains.
impl FromStr for TagPattern {
    type Err = InvalidTagPattern;

    fn from_str(text: &str) -> Result<Self, InvalidTagPattern> {
        let is_valid = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'*');
        if (1..=MAX_CHARS).contains(&text.len()) && text.bytes().all(is_valid) {
            Ok(Self { text: text.into(), expression: None })
        } else {
            Err(InvalidTagPattern::Wildcards(SanitizedText::quotable(text, QUOTE_CHARS)))
        }
    }
}

/// Writes the pattern as it was parsed.
impl fmt::Display for TagPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_only_characters_of_tags_and_asterisks() {
        for valid in ["*", "3.13", "3.*-slim", "v1_*"] {
            assert_eq!(valid.parse::<TagPattern>().unwrap().to_string(), valid);
        }
        for invalid in ["", "3.1?", "3.[0-9]", "^3\\.", "a b", "{a,b}", "é", &"a".repeat(257)] {
            let error = invalid.parse::<TagPattern>().unwrap_err().to_string();
            assert!(error.contains("is not a pattern of tags") && error.len() < 300, "{error}");
        }
    }

    #[test]
    fn an_expression_matches_the_whole_tag() {
        for (expression, tag, expected) in [
            ("3\\.1[23]", "3.12", true),
            ("3\\.1[23]", "3.12-slim", false),
            ("3\\.1[23]", "13.12", false),
            ("v\\d+(-alpine)?", "v12-alpine", true),
            ("^v1$", "v1", true),
            ("a|b", "ax", true),
            ("(?:a|b)", "ax", false),
            ("", "a", false),
        ] {
            let pattern = TagPattern::expression(expression).unwrap();
            assert_eq!((pattern.matches(tag), pattern.to_string().as_str()), (expected, expression));
        }
        assert_ne!(TagPattern::expression("a*").unwrap(), "a*".parse().unwrap());
    }

    #[test]
    fn rejects_invalid_and_large_expressions() {
        for invalid in
            ["(", "[a", "a{99999}", "(?=a)", "\\p{Lu}", "(a{100}){100}", &"a".repeat(257), "\u{202e}("]
        {
            let error = TagPattern::expression(invalid).unwrap_err().to_string();
            assert!(
                error.contains("\" is not a supported regular expression: ") && error.len() < 300,
                "{error}"
            );
            assert!(error.chars().all(crate::text::is_visible), "{error}");
        }
    }
}
