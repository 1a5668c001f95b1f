//! Formats the change of a file as a patch.

use std::borrow::Cow;

use image_copy::text::is_visible;
use similar::{ChangeTag, TextDiff};

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

/// Lines before and after a change.
const CONTEXT_LINES: usize = 3;

const RED: &str = "\u{1b}[31m";
const GREEN: &str = "\u{1b}[32m";
const CYAN: &str = "\u{1b}[36m";
const BOLD: &str = "\u{1b}[1m";
const NORMAL: &str = "\u{1b}[0m";

/// Returns the unified diff of one file. Bytes that are not UTF-8 become replacement characters.
pub(crate) fn diff(name: &str, old: &[u8], new: &[u8], style: PatchStyle) -> String {
    let (old, new) = (String::from_utf8_lossy(old), String::from_utf8_lossy(new));
    let all = TextDiff::from_lines(&*old, &*new);
    let mut text = colored_line(style, BOLD, &format!("--- {}", header_name('a', name)));
    text.push_str(&colored_line(style, BOLD, &format!("+++ {}", header_name('b', name))));
    for hunk in all.unified_diff().context_radius(CONTEXT_LINES).iter_hunks() {
        text.push_str(&colored_line(style, CYAN, hunk.header().to_string().trim_end()));
        for change in hunk.iter_changes() {
            let (sign, color) = match change.tag() {
                ChangeTag::Delete => ('-', Some(RED)),
                ChangeTag::Insert => ('+', Some(GREEN)),
                ChangeTag::Equal => (' ', None),
            };
            let line = format!("{sign}{}", content(style, change.value().trim_end_matches('\n')));
            match color {
                Some(color) => text.push_str(&colored_line(style, color, &line)),
                None => text.push_str(&(line + "\n")),
            }
            if change.missing_newline() {
                text.push_str("\\ No newline at end of file\n");
            }
        }
    }
    text
}

/// Returns a file name for a header. Git quotes names with special characters
/// (<https://git-scm.com/docs/git-config#Documentation/git-config.txt-corequotePath>).
fn header_name(side: char, name: &str) -> String {
    let is_plain = |c: char| is_visible(c) && !matches!(c, '"' | '\\');
    if name.chars().all(is_plain) {
        return format!("{side}/{name}");
    }
    let mut quoted = format!("\"{side}/");
    for c in name.chars() {
        if is_plain(c) {
            quoted.push(c);
        } else {
            quoted.extend(c.encode_utf8(&mut [0; 4]).bytes().map(|byte| format!("\\{byte:03o}")));
        }
    }
    quoted + "\""
}

/// Returns a line of the file in the given style.
fn content(style: PatchStyle, line: &str) -> Cow<'_, str> {
    let text = line.strip_suffix('\r').unwrap_or(line);
    let is_shown = |c: char| c == '\t' || is_visible(c);
    if style == PatchStyle::Plain || text.chars().all(is_shown) {
        return line.into();
    }
    let escape = |c: char| if is_shown(c) { c.to_string() } else { c.escape_default().to_string() };
    text.chars().map(escape).collect()
}

fn colored_line(style: PatchStyle, color: &str, line: &str) -> String {
    match style {
        PatchStyle::Plain | PatchStyle::Escaped => format!("{line}\n"),
        PatchStyle::Colored => format!("{color}{line}{NORMAL}\n"),
    }
}
