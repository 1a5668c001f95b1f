//! Maps parts of a YAML scalar's value to the file. Quotes, indentation, line breaks and escape sequences
//! make the two differ.

use std::ops::Range;

use super::{ImageMatch, Spelling, text};

/// Returns true if the text is empty or null in YAML.
pub(super) fn is_null(text: &str) -> bool {
    matches!(text.trim(), "" | "~" | "null" | "Null" | "NULL")
}

/// Finds the references in the value of a scalar, except those whose spelling in the file is different.
/// `is_image` receives each reference and its range in the value.
pub(super) fn find(
    file: &str,
    scalar: Range<usize>,
    value: &str,
    is_image: impl Fn(&ImageMatch, &Range<usize>) -> bool,
) -> Vec<ImageMatch> {
    let found = text::find(value.as_bytes()).into_iter().filter_map(|one| Some((one.whole()?, one)));
    let (parts, found): (Vec<_>, Vec<_>) = found.filter(|(part, one)| is_image(one, part)).unzip();
    let places = if parts.is_empty() { Vec::new() } else { locate(file, scalar, value, &parts) };
    let located = found.into_iter().zip(places);
    located.filter_map(|(one, place)| Some(ImageMatch { spelling: Spelling::Whole(place?), ..one })).collect()
}

/// Returns the range of each part in the file. `scalar` is the range of the scalar with its quotes. `parts`
/// are ranges of its value in ascending order. They contain no white space.
///
/// A part is `None` if the file spells it in another way, such as with an escape sequence.
pub(super) fn locate(
    file: &str,
    scalar: Range<usize>,
    value: &str,
    parts: &[Range<usize>],
) -> Vec<Option<Range<usize>>> {
    let first = scalar.start;
    let source = file.get(scalar).unwrap_or_default();
    let characters = value.char_indices().filter(|(_, character)| !is_white_space(*character));
    let mut pairs = characters.map(|(at, _)| at).zip(Characters::new(source, value));
    let located = |part: &Range<usize>| {
        let (_, start) = pairs.find(|(at, _)| *at >= part.start)?;
        let range = first + start..first + start + part.len();
        (file.get(range.clone()) == value.get(part.clone())).then_some(range)
    };
    parts.iter().map(located).collect()
}

/// White space of YAML. Folding and indentation change only these characters.
fn is_white_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r')
}

/// Offsets of the characters of a scalar in the file, without white space.
struct Characters<'a> {
    source: &'a str,
    at: usize,
    quote: Option<char>,
}

impl<'a> Characters<'a> {
    fn new(source: &'a str, value: &str) -> Self {
        let quote = source.chars().next().filter(|first| matches!(first, '"' | '\''));
        // The content of a block can also start with a quote. It has no other characters than its value.
        let count = |text: &str| text.chars().filter(|character| !is_white_space(*character)).count();
        let quote = quote.filter(|_| count(source) > count(value));
        Self { source, at: usize::from(quote.is_some()), quote }
    }
}

impl Iterator for Characters<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        loop {
            let rest = self.source.get(self.at..)?;
            let character = rest.chars().next()?;
            let (length, is_space) = match (character, self.quote) {
                ('\\', Some('"')) => escape(rest),
                // A quote is written twice.
                ('\'', Some('\'')) => (2, false),
                _ => (character.len_utf8(), is_white_space(character)),
            };
            let start = self.at;
            self.at += length;
            if !is_space {
                return Some(start);
            }
        }
    }
}

/// Returns the length in bytes of an escape sequence at the start of `rest`, and true if it is white space
/// (<https://yaml.org/spec/1.2.2/#57-escaped-characters>).
fn escape(rest: &str) -> (usize, bool) {
    let Some(kind) = rest[1..].chars().next() else { return (1, false) };
    let digits = match kind {
        'x' => 2,
        'u' => 4,
        'U' => 8,
        // The first two are JSON's and YAML's. A line break joins two lines.
        _ => return (1 + kind.len_utf8(), matches!(kind, 'n' | 't' | 'r') || is_white_space(kind)),
    };
    let code = rest.get(2..2 + digits).and_then(|code| u32::from_str_radix(code, 16).ok());
    match code {
        // JSON writes characters above U+FFFF as two sequences.
        Some(0xD800..=0xDBFF) => (12, false),
        code => (2 + digits, code.and_then(char::from_u32).is_some_and(is_white_space)),
    }
}

#[cfg(test)]
mod tests {
    use image_copy::yaml::Tree;

    use super::*;

    /// Finds `a:1` and `b:2`, and returns the text of the file at their places and the text before it.
    #[track_caller]
    fn check(scalar: &str, expected: &[Option<&str>]) {
        let text = format!("é: {scalar}\nnext: 1\n");
        let tree = Tree::parse(&text).unwrap();
        let node = tree.get(0, "é").unwrap();
        let (range, value) = (tree.range(node), tree.text(node).unwrap());
        let parts: Vec<Range<usize>> =
            ["a:1", "b:2"].iter().filter_map(|part| value.find(part).map(|at| at..at + 3)).collect();
        assert_eq!(parts.len(), expected.len(), "{value:?}");
        for (found, expected) in locate(&text, range, value, &parts).into_iter().zip(expected) {
            let found = found.map(|found| text[..found.end].rsplit('\n').next().unwrap());
            assert_eq!(found, *expected, "{scalar}");
        }
    }

    #[test]
    fn locates_parts_in_all_styles() {
        check("a:1", &[Some("é: a:1")]);
        check("x a:1\n  y b:2", &[Some("é: x a:1"), Some("  y b:2")]);
        check("'it''s é a:1 ''b:2'''", &[Some("é: 'it''s é a:1"), Some("é: 'it''s é a:1 ''b:2")]);
        check("|2- # comment a:1\n   é a:1\n\n  b:2\n", &[Some("   é a:1"), Some("  b:2")]);
        check(">\n  x\n  a:1\n   y b:2\n", &[Some("  a:1"), Some("   y b:2")]);
        check("|\n  > a:1\n  b:2\n", &[Some("  > a:1"), Some("  b:2")]);
        check(">-\n  | a:1\n", &[Some("  | a:1")]);
        check("|\n  'x' a:1\n  'b:2'\n", &[Some("  'x' a:1"), Some("  'b:2")]);
        check(">\n  \"x\\n\" a:1\n", &[Some("  \"x\\n\" a:1")]);
        check("!Sub |\n  a:1\n", &[Some("  a:1")]);
        check("!Sub 'a:1'", &[Some("é: !Sub 'a:1")]);
        check("&x \"a:1\"", &[Some("é: &x \"a:1")]);
    }

    #[test]
    fn locates_parts_after_escape_sequences() {
        check(r#""\na:1\t b:2""#, &[Some(r#"é: "\na:1"#), Some(r#"é: "\na:1\t b:2"#)]);
        check(
            r#""\"\\ \x41\u0020\u00e9\ud83d\ude80\U0001F680 a:1\
              \ b:2""#,
            &[Some(r#"é: "\"\\ \x41\u0020\u00e9\ud83d\ude80\U0001F680 a:1"#), Some(r#"              \ b:2"#)],
        );
        check("\"x a:\\\n  1 b:2\"", &[None, Some("  1 b:2")]);
        check(r#""a\u003a1 b:2""#, &[None, Some(r#"é: "a\u003a1 b:2"#)]);
    }

    #[test]
    fn reads_incomplete_text() {
        for source in ["", "\"", "\"\\", "\"\\u", "\"\\u12", "\"\\ud800", "'", "''", "|", ">"] {
            let part = 2..5;
            let found = locate(source, 0..source.len(), "x a:1", std::slice::from_ref(&part));
            assert_eq!(found, [None], "{source}");
        }
    }
}
