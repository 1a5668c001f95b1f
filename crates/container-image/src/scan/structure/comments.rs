//! Comments of YAML and JSON.

use std::borrow::Cow;
use std::ops::Range;

use crate::scan::{ImageMatch, text};

/// Searches the comments of a file as plain text. `scalars` are the ranges of all keys and values, in file
/// order.
pub(super) fn search(text: &str, scalars: &[Range<usize>], images: &mut Vec<ImageMatch>) {
    let bytes = text.as_bytes();
    let mut end = 0;
    for scalar in scalars {
        search_gap(bytes, end..scalar.start, images);
        end = end.max(scalar.end);
    }
    search_gap(bytes, end..bytes.len(), images);
}

/// Searches the comments between two scalars. A comment follows white space and ends with its line.
fn search_gap(bytes: &[u8], gap: Range<usize>, images: &mut Vec<ImageMatch>) {
    let mut at = gap.start;
    while at < gap.end
        && let Some(offset) = memchr::memchr(b'#', &bytes[at..gap.end])
    {
        let start = at + offset;
        let is_comment = start == 0 || bytes[start - 1].is_ascii_whitespace();
        if !is_comment {
            at = start + 1;
            continue;
        }
        let length = memchr::memchr(b'\n', &bytes[start..]).unwrap_or(bytes.len() - start);
        images.extend(text::find_in(bytes, start + 1..start + length));
        at = start + length;
    }
}

/// Returns the comments of a JSON file, in file order.
pub(super) fn of_json(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut comments = Vec::new();
    let mut at = 0;
    while let Some(offset) = memchr::memchr2(b'"', b'/', &bytes[at..]) {
        let start = at + offset;
        let comment_end = match &bytes[start..] {
            [b'/', b'/', ..] => memchr::memchr(b'\n', &bytes[start..]).map_or(bytes.len(), |end| start + end),
            [b'/', b'*', ..] => {
                let end = memchr::memmem::find(&bytes[start + 2..], b"*/");
                end.map_or(bytes.len(), |end| start + end + 4)
            }
            [b'"', ..] => {
                at = end_of_string(bytes, start + 1);
                continue;
            }
            _ => {
                at = start + 1;
                continue;
            }
        };
        comments.push(start..comment_end);
        at = comment_end;
    }
    comments
}

/// Replaces comments by spaces, so that all offsets stay the same.
pub(super) fn without<'a>(text: &'a str, comments: &[Range<usize>]) -> Cow<'a, str> {
    let mut blanked = String::with_capacity(if comments.is_empty() { 0 } else { text.len() });
    let mut copied = 0;
    for comment in comments {
        blanked.push_str(&text[copied..comment.start]);
        let blank = |byte| if byte == b'\n' { '\n' } else { ' ' };
        blanked.extend(text[comment.clone()].bytes().map(blank));
        copied = comment.end;
    }
    if copied == 0 {
        return text.into();
    }
    blanked.push_str(&text[copied..]);
    blanked.into()
}

/// Returns the offset after the closing quote.
fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    while let Some(offset) = memchr::memchr2(b'"', b'\\', &bytes[at..]) {
        if bytes[at + offset] == b'"' {
            return at + offset + 1;
        }
        at = bytes.len().min(at + offset + 2);
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_comments_of_json() {
        let text = "// a\n{\"b\": \"//c\\\"\", /* é\n */ \"d\": 1} // e";
        let comments = of_json(text);
        let texts: Vec<&str> = comments.iter().map(|range| &text[range.clone()]).collect();
        assert_eq!(texts, ["// a", "/* é\n */", "// e"]);
        assert_eq!(without(text, &comments), "    \n{\"b\": \"//c\\\"\",      \n    \"d\": 1}     ");
        let text = "{\"a\": \"http://b\"} / c";
        assert_eq!((of_json(text), without(text, &[])), (vec![], text.into()));
    }

    #[test]
    fn reads_incomplete_json() {
        for (text, expected) in [("/*", 1), ("/", 0), ("\"\\", 0), ("//", 1), ("\"//", 0), ("é/*é", 1)] {
            let comments = of_json(text);
            assert_eq!(comments.len(), expected, "{text}");
            assert_eq!(without(text, &comments).len(), text.len(), "{text}");
        }
    }
}
