//! Replaces references in files, and changes no other byte.

mod diff;
mod patch;
mod replace;

use std::ops::Range;

pub(crate) use diff::{diff, diff_of_changes};
pub(crate) use patch::PatchStyle;
pub(crate) use replace::FileSnapshot;

/// Replacement text for a range of bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) range: Range<usize>,
    pub(crate) text: String,
}

/// Puts changes in order. Several images can share a part of a file, such as a tag behind an alias.
///
/// # Errors
/// Reason as a clause, if two changes contradict each other.
pub(crate) fn in_order(mut changes: Vec<Change>) -> Result<Vec<Change>, String> {
    changes.sort_by_key(|change| (change.range.start, change.range.end));
    changes.dedup();
    match changes.windows(2).any(|pair| pair[1].range.start < pair[0].range.end) {
        true => Err("two references share a text, and would change it differently".into()),
        false => Ok(changes),
    }
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
