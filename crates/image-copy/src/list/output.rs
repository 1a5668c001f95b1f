//! Collects the entries and errors of a list.

use super::MAX_ENTRIES;
use super::entry::Entry;
use crate::text::SanitizedText;

/// Maximum number of errors that are reported.
const MAX_ERRORS: usize = 20;

/// Maximum number of values in the tag rules of a list. Aliases can repeat them for each image.
pub const MAX_RULE_VALUES: usize = 10_000;

/// Maximum size of the Dockerfile lines of an image in bytes. An event of the refresh stack contains them, and an item
/// of Step Functions has at most 256 KiB, also if JSON escapes each byte as `\u0001`
/// (<https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html>).
pub const MAX_CUSTOMIZE_BYTES: usize = 32 << 10;

/// Maximum size of the Dockerfile lines of all images in bytes. Aliases and `defaults` can repeat them for each image,
/// and all events of a run contain them.
pub const MAX_TOTAL_CUSTOMIZE_BYTES: usize = 8 << 20;

/// Maximum length of a quoted text in characters.
const QUOTE_CHARS: usize = 100;

/// An error in a list: `images.txt:3: images[1].tags: …`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {problem}")]
pub struct ListError {
    /// Name of the list.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// The key, the problem, and one thing to change.
    pub problem: String,
}

pub(super) struct Output<'a> {
    file: &'a str,
    entries: Vec<Entry>,
    errors: Vec<ListError>,
    has_too_many: bool,
    rule_values: usize,
    customize_bytes: usize,
}

impl<'a> Output<'a> {
    pub(super) fn new(file: &'a str) -> Self {
        Self {
            file,
            entries: Vec::new(),
            errors: Vec::new(),
            has_too_many: false,
            rule_values: 0,
            customize_bytes: 0,
        }
    }

    pub(super) fn entry(&mut self, entry: Entry) {
        self.customize_bytes = self.customize_bytes.saturating_add(entry.customize_bytes());
        if self.customize_bytes > MAX_TOTAL_CUSTOMIZE_BYTES && !self.has_too_many {
            self.has_too_many = true;
            let limit = MAX_TOTAL_CUSTOMIZE_BYTES >> 20;
            let problem =
                format!("the lines in customize have more than {limit} MiB for all images. Split the list.");
            self.error(entry.line, problem);
        }
        if self.entries.len() < MAX_ENTRIES {
            self.entries.push(entry);
        } else if !self.has_too_many {
            self.has_too_many = true;
            self.error(entry.line, format!("the list has more than {MAX_ENTRIES} images. Split it."));
        }
    }

    /// Counts the values of tag rules. Returns false if the list has too many.
    pub(super) fn add_rule_values(&mut self, line: usize, count: usize) -> bool {
        self.rule_values = self.rule_values.saturating_add(count);
        let is_allowed = self.rule_values <= MAX_RULE_VALUES;
        if !is_allowed && !self.has_too_many {
            self.has_too_many = true;
            self.error(
                line,
                format!("the list has more than {MAX_RULE_VALUES} values in tag rules. Split it."),
            );
        }
        is_allowed
    }

    /// Returns true if further entries and errors would be dropped.
    pub(super) fn is_full(&self) -> bool {
        self.has_too_many || self.errors.len() >= MAX_ERRORS
    }

    /// Adds an error, unless there are already many.
    pub(super) fn error(&mut self, line: usize, problem: String) {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(ListError { file: self.file.into(), line, problem });
        }
    }

    pub(super) fn finish(self) -> Result<Vec<Entry>, Vec<ListError>> {
        if self.errors.is_empty() { Ok(self.entries) } else { Err(self.errors) }
    }
}

/// Returns text of a list for a message, on one line between double quotes.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", SanitizedText::quotable(text, QUOTE_CHARS))
}
