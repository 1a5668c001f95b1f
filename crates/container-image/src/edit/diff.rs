//! Finds the lines that differ.

use std::ops::Range;

use similar::{Algorithm, capture_diff_slices};

use super::Change;
use super::patch::{Block, PatchStyle, patch};

/// Returns the unified diff of two texts.
pub(crate) fn diff(name: &str, old: &[u8], new: &[u8], style: PatchStyle) -> String {
    let (old_lines, new_lines): (Vec<&[u8]>, Vec<&[u8]>) =
        (split_lines(old).collect(), split_lines(new).collect());
    let differences = capture_diff_slices(Algorithm::Myers, &old_lines, &new_lines).into_iter();
    let block = |difference: similar::DiffOp| match difference.tag() {
        similar::DiffTag::Equal => None,
        _ => Some(Block { old: difference.old_range(), new: new_lines[difference.new_range()].concat() }),
    };
    let blocks: Vec<Block> = differences.filter_map(block).collect();
    String::from_utf8_lossy(&patch(name.as_bytes(), old, &blocks, style)).into_owned()
}

/// Returns the unified diff of a file and its changes, which are in order and do not overlap.
///
/// A general comparison takes much longer if a large file has many changes.
pub(crate) fn diff_of_changes(name: &[u8], old: &[u8], changes: &[Change], style: PatchStyle) -> Vec<u8> {
    let starts: Vec<usize> = split_lines(old)
        .scan(0, |at, line| {
            let start = *at;
            *at += line.len();
            Some(start)
        })
        .collect();
    let line_of = |at: usize| starts.partition_point(|start| *start <= at).saturating_sub(1);
    let mut blocks: Vec<(Range<usize>, Range<usize>)> = Vec::new();
    for (index, change) in changes.iter().enumerate() {
        if old[change.range.clone()] == *change.text.as_bytes() {
            continue;
        }
        let lines = line_of(change.range.start)..(line_of(change.range.end) + 1).min(starts.len());
        match blocks.last_mut() {
            Some((before, of_block)) if lines.start <= before.end => {
                (before.end, of_block.end) = (lines.end, index + 1);
            }
            _ => blocks.push((lines, index..index + 1)),
        }
    }
    let start_of = |line: usize| starts.get(line).copied().unwrap_or(old.len());
    let block = |(lines, of_block): (Range<usize>, Range<usize>)| {
        let (start, end) = (start_of(lines.start), start_of(lines.end));
        let mut new = Vec::with_capacity(end - start);
        let mut copied = start;
        for change in &changes[of_block] {
            new.extend_from_slice(&old[copied..change.range.start]);
            new.extend_from_slice(change.text.as_bytes());
            copied = change.range.end;
        }
        new.extend_from_slice(&old[copied..end]);
        Block { old: lines, new }
    };
    let blocks: Vec<Block> = blocks.into_iter().map(block).collect();
    patch(name, old, &blocks, style)
}

/// Splits a text into lines, each with its line feed. Only a line feed ends a line, as in git and patch.
pub(super) fn split_lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|byte| *byte == b'\n')
}
