//! Formats changed lines as a patch for `git apply` and `patch`
//! (<https://www.gnu.org/software/diffutils/manual/html_node/Detailed-Unified.html>).

use std::borrow::Cow;
use std::ops::Range;

use image_copy::text::is_visible;

use super::diff::split_lines;

/// Output format of a patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PatchStyle {
    /// For programs: every byte of a line is as in the file.
    Plain,
    /// For terminals: invisible characters are escaped.
    Escaped,
    /// For terminals with colors.
    Colored,
}

/// Changed lines.
pub(super) struct Block {
    /// Numbers of the old lines, from 0.
    pub(super) old: Range<usize>,
    /// The lines in their place.
    pub(super) new: Vec<u8>,
}

/// Lines before and after a change.
const CONTEXT_LINES: usize = 3;

const RED: &str = "\u{1b}[31m";
const GREEN: &str = "\u{1b}[32m";
const CYAN: &str = "\u{1b}[36m";
const BOLD: &str = "\u{1b}[1m";
const NORMAL: &str = "\u{1b}[0m";

/// Returns the patch of a file. The blocks are in order, and unchanged lines separate them.
pub(super) fn patch(name: &[u8], old: &[u8], blocks: &[Block], style: PatchStyle) -> Vec<u8> {
    let lines: Vec<&[u8]> = split_lines(old).collect();
    let mut output = Output { style, text: Vec::new() };
    output.line(Some(BOLD), &[b"--- ", header_name('a', name).as_slice()].concat());
    output.line(Some(BOLD), &[b"+++ ", header_name('b', name).as_slice()].concat());
    // Number of lines that the previous hunks add or remove.
    let mut shift = 0;
    let are_in_one_hunk = |one: &Block, next: &Block| next.old.start - one.old.end <= 2 * CONTEXT_LINES;
    for hunk in blocks.chunk_by(are_in_one_hunk) {
        let (Some(first), Some(last)) = (hunk.first(), hunk.last()) else { continue };
        let start = first.old.start.saturating_sub(CONTEXT_LINES);
        let end = (last.old.end + CONTEXT_LINES).min(lines.len());
        let added: usize = hunk.iter().map(|block| split_lines(&block.new).count()).sum();
        let removed: usize = hunk.iter().map(|block| block.old.len()).sum();
        let new_start = start.saturating_add_signed(shift);
        let new_length = end - start - removed + added;
        shift += added.cast_signed() - removed.cast_signed();
        let header =
            format!("@@ -{} +{} @@", line_range(start, end - start), line_range(new_start, new_length));
        output.line(Some(CYAN), header.as_bytes());
        let mut at = start;
        for block in hunk {
            lines[at..block.old.start].iter().for_each(|line| output.content(' ', None, line));
            lines[block.old.clone()].iter().for_each(|line| output.content('-', Some(RED), line));
            split_lines(&block.new).for_each(|line| output.content('+', Some(GREEN), line));
            at = block.old.end;
        }
        lines[at..end].iter().for_each(|line| output.content(' ', None, line));
    }
    output.text
}

/// Formats lines for the header of a hunk. `start` counts from 0.
fn line_range(start: usize, length: usize) -> String {
    match length {
        // The line before the position.
        0 => format!("{start},0"),
        1 => format!("{}", start + 1),
        _ => format!("{},{length}", start + 1),
    }
}

struct Output {
    style: PatchStyle,
    text: Vec<u8>,
}

impl Output {
    fn line(&mut self, color: Option<&str>, line: &[u8]) {
        let color = color.filter(|_| self.style == PatchStyle::Colored);
        self.text.extend_from_slice(color.unwrap_or_default().as_bytes());
        self.text.extend_from_slice(line);
        self.text.extend_from_slice(color.map_or("", |_| NORMAL).as_bytes());
        self.text.push(b'\n');
    }

    /// Adds a line of the file.
    fn content(&mut self, sign: char, color: Option<&str>, line: &[u8]) {
        let without_end = line.strip_suffix(b"\n");
        let text = [sign.to_string().as_bytes(), &shown(self.style, without_end.unwrap_or(line))].concat();
        self.line(color, &text);
        if without_end.is_none() {
            self.line(None, b"\\ No newline at end of file");
        }
    }
}

/// Returns a line of the file in the given style.
fn shown(style: PatchStyle, line: &[u8]) -> Cow<'_, [u8]> {
    if style == PatchStyle::Plain {
        return line.into();
    }
    let text = String::from_utf8_lossy(line);
    let text = text.strip_suffix('\r').unwrap_or(&text);
    let escape = |c: char| match c == '\t' || is_visible(c) {
        true => c.to_string(),
        false => c.escape_default().to_string(),
    };
    text.chars().map(escape).collect::<String>().into_bytes().into()
}

/// Returns a file name for a header. Names with special characters are in quotes, as in git
/// (<https://git-scm.com/docs/git-config#Documentation/git-config.txt-corequotePath>).
fn header_name(side: char, name: &[u8]) -> Vec<u8> {
    let is_plain = |c: char| is_visible(c) && !matches!(c, '"' | '\\');
    let text = std::str::from_utf8(name).ok();
    // GNU patch ignores spaces at the end of a name.
    if let Some(text) = text.filter(|text| text.chars().all(is_plain) && !text.ends_with(' ')) {
        // Without a tab, GNU patch ends the name at the first space.
        let end = if text.contains(' ') { "\t" } else { "" };
        return format!("{side}/{text}{end}").into_bytes();
    }
    let mut quoted = format!("\"{side}/").into_bytes();
    for chunk in name.utf8_chunks() {
        for c in chunk.valid().chars() {
            let mut buffer = [0; 4];
            let bytes = c.encode_utf8(&mut buffer).as_bytes();
            if is_plain(c) { quoted.extend_from_slice(bytes) } else { extend_octal(&mut quoted, bytes) }
        }
        extend_octal(&mut quoted, chunk.invalid());
    }
    quoted.push(b'"');
    quoted
}

fn extend_octal(quoted: &mut Vec<u8>, bytes: &[u8]) {
    quoted.extend(bytes.iter().flat_map(|byte| format!("\\{byte:03o}").into_bytes()));
}
