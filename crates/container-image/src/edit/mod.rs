//! Replaces references in files, and changes no other byte.

mod diff;
mod replace;

use std::ops::Range;

pub(crate) use diff::{PatchStyle, diff};
pub(crate) use replace::FileSnapshot;

/// Replacement text for a range of bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) range: Range<usize>,
    pub(crate) text: String,
}

/// Returns the content with `changes` applied. They must be in order and must not overlap.
pub(crate) fn apply(content: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut changed = Vec::with_capacity(content.len() + changes.len() * 80);
    let mut copied = 0;
    for change in changes {
        changed.extend_from_slice(&content[copied..change.range.start]);
        changed.extend_from_slice(change.text.as_bytes());
        copied = change.range.end;
    }
    changed.extend_from_slice(&content[copied..]);
    changed
}

#[cfg(test)]
mod tests;
