//! Patterns of tags.

use std::fmt;
use std::str::FromStr;

use crate::text::{SanitizedText, matches_wildcards};

/// Maximum length of a pattern in characters. A tag has at most 128.
const MAX_CHARS: usize = 256;

/// Maximum length of a quoted pattern in characters.
const QUOTE_CHARS: usize = 100;

/// A pattern of tags, such as `3.*-slim`. Each `*` matches any characters or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagPattern(String);

/// A text that is not a pattern of tags.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is not a pattern of tags: expected letters, digits, `.`, `_`, `-`, and `*` for any characters"
)]
pub struct InvalidTagPattern(SanitizedText);

impl TagPattern {
    /// Returns true if the pattern matches the whole tag.
    #[must_use]
    pub fn matches(&self, tag: &str) -> bool {
        matches_wildcards(&self.0, tag)
    }

    /// Returns true if the pattern starts with `text`, before its first `*`.
    pub(super) fn starts_with(&self, text: &str) -> bool {
        self.0.starts_with(text)
    }

    /// Returns true if the pattern ends with `text`, after its last `*`.
    pub(super) fn ends_with(&self, text: &str) -> bool {
        self.0.ends_with(text)
    }
}

/// Rejects the wildcards of other tools, which no tag contains.
impl FromStr for TagPattern {
    type Err = InvalidTagPattern;

    fn from_str(text: &str) -> Result<Self, InvalidTagPattern> {
        let is_valid = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'*');
        if (1..=MAX_CHARS).contains(&text.len()) && text.bytes().all(is_valid) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidTagPattern(SanitizedText::quotable(text, QUOTE_CHARS)))
        }
    }
}

impl fmt::Display for TagPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
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
}
