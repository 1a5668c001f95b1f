//! Lines on a terminal, with or without a symbol, such as `+ nginx:1.27 …`.

use super::patch_style;
use super::table::{stderr_columns, terminal_columns};
use crate::edit::PatchStyle;

/// Indentation of the rows after the first one.
const INDENT: &str = "  ";

/// Returns a line for stdout. On a terminal, it has line breaks and a colored symbol.
pub(super) fn for_stdout(line: &str) -> String {
    let Some(columns) = terminal_columns() else { return line.to_owned() };
    let rows = wrapped(line, columns);
    if patch_style() == PatchStyle::Colored { colored(&rows) } else { rows }
}

/// Returns a line for stderr. On a terminal, it has line breaks.
pub(crate) fn for_stderr(line: &str) -> String {
    stderr_columns().map_or_else(|| line.to_owned(), |columns| wrapped(line, columns))
}

/// Colors the symbol. These colors are readable on light and dark backgrounds.
fn colored(line: &str) -> String {
    let color = match line.as_bytes() {
        [b'+', b' ', ..] => 32,
        [b'~', b' ', ..] => 36,
        [b'!', b' ', ..] => 31,
        _ => return line.to_owned(),
    };
    format!("\u{1b}[1;{color}m{}\u{1b}[0m{}", &line[..1], &line[1..])
}

/// Breaks a line between words into rows of at most `columns` characters. A longer word has its own row.
///
/// Code in backquotes is one word, because a copied command must not contain a line break. So are a number and its
/// unit.
fn wrapped(line: &str, columns: usize) -> String {
    let (mut text, mut width) = (String::new(), 0);
    for word in words(line) {
        let length = word.chars().count();
        // The symbol never has its own row.
        if width > INDENT.len() && width + 1 + length > columns {
            text += "\n";
            text += INDENT;
            width = INDENT.len();
        } else if width > 0 {
            text.push(' ');
            width += 1;
        }
        text += word;
        width += length;
    }
    text
}

/// Splits a line at spaces. An unclosed backquote is an ordinary character.
fn words(line: &str) -> Vec<&str> {
    let closed = line.matches('`').count() / 2 * 2;
    let (mut words, mut start, mut quotes) = (Vec::new(), 0, 0);
    for (at, character) in line.char_indices() {
        if character == '`' && quotes < closed {
            quotes += 1;
        }
        if character == ' ' && quotes % 2 == 0 && !ends_with_number(&line[start..at]) {
            words.push(&line[start..at]);
            start = at + 1;
        }
    }
    words.push(&line[start..]);
    words
}

fn ends_with_number(text: &str) -> bool {
    let last = text.rsplit(' ').next().unwrap_or_default();
    !last.is_empty() && last.chars().all(|character| character.is_ascii_digit() || character == '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn breaks_between_words() {
        assert_eq!(wrapped("+ one, two, three", 12), "+ one, two,\n  three");
        assert_eq!(wrapped("+ one, two, three", 17), "+ one, two, three");
        assert_eq!(wrapped("+ a-word-of-its-own, two", 10), "+ a-word-of-its-own,\n  two");
        assert_eq!(wrapped("+ größe, zwei", 8), "+ größe,\n  zwei");
        assert_eq!(wrapped("+ one, 4.6 MiB, 0.1 s", 12), "+ one,\n  4.6 MiB,\n  0.1 s");
    }

    #[test]
    fn does_not_break_code() {
        let line = "Create it with `aws ecr create-repository --region x`, or retry.";
        assert_eq!(
            wrapped(line, 30),
            "Create it with\n  `aws ecr create-repository --region x`,\n  or retry."
        );
        assert_eq!(wrapped("an `unclosed quote", 12), "an `unclosed\n  quote");
    }
}
