//! Errors of a customization.

use std::fmt;

use crate::text::SanitizedText;

/// Maximum number of characters of a quoted word.
const QUOTE_CHARS: usize = 60;

/// The reason that lines cannot be applied to an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomizationError {
    /// Number of the line, starting at 1. `None` if the reason is the image.
    pub line: Option<usize>,
    /// The problem and its solution, in one line without a full stop at the end.
    pub problem: String,
}

impl CustomizationError {
    pub(super) fn new(line: Option<usize>, problem: impl Into<String>) -> Self {
        Self { line, problem: problem.into() }
    }
}

/// `line 2: "apt-get" is not supported in RUN`
impl fmt::Display for CustomizationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        f.write_str(&self.problem)
    }
}

impl std::error::Error for CustomizationError {}

/// Returns a word of the user between double quotes.
pub(super) fn quoted(word: &str) -> String {
    format!("\"{}\"", SanitizedText::quotable(word, QUOTE_CHARS))
}
