//! The parts of a file that spell an image, and how they change.

use std::ops::Range;

use super::RawReference;
use crate::edit::Change;

/// The parts of a file that spell an image, as ranges of bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// The complete reference.
    Whole(Range<usize>),
    /// Separate values of a mapping.
    Parts(Box<Parts>),
}

/// An image whose tag and digest are values of a mapping, as in Helm values and in Kustomize. At least one
/// of them exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parts {
    /// Offset of the first part.
    pub(crate) start: usize,
    /// Value with the tag. Without a `digest`, it can also contain the digest: `1.27@sha256:…`.
    pub(crate) tag: Option<Part>,
    /// Value with the digest. It can be empty.
    pub(crate) digest: Option<Part>,
    /// Name of the key for a tag.
    pub(crate) tag_key: &'static str,
}

/// A value of a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// Range of the key without its quotes.
    pub(crate) key: Range<usize>,
    /// Range of the value without its quotes, or the end of its missing value.
    pub(crate) value: Range<usize>,
    /// Value in the file. Null is empty.
    pub(crate) text: String,
    pub(crate) style: Style,
}

/// Notation of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// In quotes.
    Quoted,
    /// Without quotes in YAML.
    Plain,
    /// Without quotes in JSON: a number or null.
    Json,
    /// Only a key with a colon.
    Missing,
}

impl Spelling {
    /// Returns the offset of the first byte.
    pub(super) fn start(&self) -> usize {
        match self {
            Self::Whole(range) => range.start,
            Self::Parts(parts) => parts.start,
        }
    }

    /// Returns the changes that turn `image` into `target`, in file order. The names are equal.
    pub(super) fn changes(&self, image: &RawReference, target: &RawReference) -> Vec<Change> {
        match self {
            Self::Whole(range) => vec![Change { range: range.clone(), text: target.to_string() }],
            Self::Parts(parts) => parts.changes(image, target),
        }
    }
}

impl Parts {
    fn changes(&self, image: &RawReference, target: &RawReference) -> Vec<Change> {
        let digest = target.digest.as_deref().unwrap_or_default();
        // A chart needs a tag, even if the new reference has only a digest.
        let tag = target.tag.as_deref().or(image.tag.as_deref()).unwrap_or_default();
        let both = || if digest.is_empty() { tag.to_owned() } else { format!("{tag}@{digest}") };
        let mut changes = Vec::new();
        match (&self.tag, &self.digest) {
            (Some(tag_part), Some(digest_part)) => {
                changes.extend(tag_part.change(tag));
                changes.extend(digest_part.change(digest));
            }
            (Some(part), None) => changes.extend(part.change(&both())),
            (None, Some(part)) if tag.is_empty() => changes.extend(part.change(digest)),
            // The value of `digest` cannot contain a tag.
            (None, Some(part)) => {
                changes.push(Change { range: part.key.clone(), text: self.tag_key.into() });
                changes.extend(part.change(&both()));
            }
            (None, None) => {}
        }
        changes.sort_by_key(|change| change.range.start);
        changes
    }
}

impl Part {
    /// Returns the change of the value, or `None` if it stays the same.
    fn change(&self, new: &str) -> Option<Change> {
        let quoted = || format!("\"{new}\"");
        let text = match self.style {
            _ if new == self.text => return None,
            Style::Quoted => new.to_owned(),
            Style::Json => quoted(),
            Style::Plain if needs_quotes(new) => quoted(),
            Style::Plain => new.to_owned(),
            Style::Missing if needs_quotes(new) => format!(" {}", quoted()),
            Style::Missing => format!(" {new}"),
        };
        Some(Change { range: self.value.clone(), text })
    }
}

/// Words that are not strings in YAML 1.1 (<https://yaml.org/type/bool.html>).
const WORDS: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];

/// Returns true if YAML reads a plain tag as another type than a string: a word, a number or a date.
fn needs_quotes(tag: &str) -> bool {
    let is_digit = |c: char| c.is_ascii_hexdigit() || matches!(c, 'x' | 'o' | '_' | '.' | '-');
    tag.is_empty()
        || WORDS.iter().any(|word| tag.eq_ignore_ascii_case(word))
        || (tag.starts_with(|c: char| c.is_ascii_digit()) && tag.chars().all(is_digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_tags_that_are_not_strings() {
        for tag in ["1", "1.30", "1e3", "0x1f", "0o7", "1_000", "2024-01-02", "yes", "No", "null", ""] {
            assert!(needs_quotes(tag), "{tag}");
        }
        for tag in ["latest", "v1", "1.30-alpine", "1.2.3-rc1", "1.30@sha256:00", "deadbeef", "_1"] {
            assert!(!needs_quotes(tag), "{tag}");
        }
    }
}
