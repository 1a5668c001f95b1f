//! Decides if a text starts and ends at the same places as the value that it is read from.
//!
//! Variables, placeholders and operators next to a text continue it: `$REGISTRY/a:1`, `"a/b:1-" + version`.

/// Maximum number of bytes that are read before or after a text, so that the time stays linear.
const LOOK_BYTES: usize = 256;

const QUOTES: [u8; 3] = [b'"', b'\'', b'`'];

/// Returns true if a value can start at `at`.
pub(super) fn is_start(bytes: &[u8], at: usize) -> bool {
    let Some((&previous, before)) = bytes[..at].split_last() else { return true };
    match previous {
        // A colon separates a key, as in "image:a/b:1".
        b'(' | b'[' | b',' | b';' | b'|' | b':' => true,
        b'=' => !is_in_url(before),
        b'{' => !before.ends_with(b"$") && !before.ends_with(b"#") && !before.ends_with(b"{"),
        b'>' => closes_element(before),
        b'*' => before.ends_with(b"*"),
        b'#' => before.last().is_none_or(|byte| byte.is_ascii_whitespace() || *byte == b'#'),
        // A line that a patch adds.
        b'+' => before.last().is_none_or(|byte| *byte == b'\n'),
        _ if QUOTES.contains(&previous) => is_opening(before, previous),
        0x80.. => !bytes[..at].ends_with("…".as_bytes()),
        _ => previous.is_ascii_whitespace(),
    }
}

/// Returns true if a value can end at `at`.
pub(super) fn is_end(bytes: &[u8], at: usize) -> bool {
    let rest = &bytes[at..];
    let Some((&next, after)) = rest.split_first() else { return true };
    match next {
        b')' | b']' | b',' | b';' | b'|' => true,
        b'}' => !after.first().is_some_and(|byte| continues(*byte) || *byte == b':'),
        b'<' => after.starts_with(b"/") || after.starts_with(b"br") || after.starts_with(b"!--"),
        b'*' => after.starts_with(b"*") || after.starts_with(b"/"),
        b'\\' => after.first().is_none_or(|byte| b"nrt\"'\\\r\n".contains(byte)),
        b'?' | b'!' => after.first().is_none_or(|byte| byte.is_ascii_whitespace() || b")\"'".contains(byte)),
        b'&' => {
            [&b"&"[..], b"quot;", b"#34;", b"#39;", b"lt;", b"nbsp;"]
                .iter()
                .any(|kind| after.starts_with(kind))
                || after.first().is_none_or(u8::is_ascii_whitespace)
        }
        _ if QUOTES.contains(&next) => is_closing(bytes, at),
        0x80.. => !rest.starts_with("…".as_bytes()),
        _ => next.is_ascii_whitespace(),
    }
}

/// Returns true if a text without quotes from `start` to `end` is the key of a mapping: `a: b`.
pub(super) fn is_plain_key(bytes: &[u8], start: usize, end: usize) -> bool {
    if bytes.get(end) != Some(&b':') || bytes.get(end + 1).is_some_and(|byte| !byte.is_ascii_whitespace()) {
        return false;
    }
    let line = tail(&bytes[..start]).rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    matches!(line.trim_ascii().last(), None | Some(b'-' | b'?' | b'{' | b','))
}

/// Returns true if a byte next to a quote or a brace belongs to the same word.
fn continues(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_$/-.@{%".contains(&byte)
}

/// Returns true if a quote after `before` opens a string that does not continue another value.
fn is_opening(before: &[u8], quote: u8) -> bool {
    let before = trim_end(before, |byte| byte == quote || byte == b'\\');
    match before.last() {
        None => true,
        Some(byte) if byte.is_ascii_alphanumeric() || *byte == b'_' => is_string_prefix(before),
        Some(b'$' | b'@') => !before[..before.len() - 1].last().is_some_and(|byte| continues(*byte)),
        // A quoted default value: ${IMAGE:-"a/b:1"}.
        Some(b'-') => before.ends_with(b":-"),
        Some(b'}' | b')' | b']' | b'.' | b'/' | b'%' | b'+' | b'~' | b'&') => false,
        _ => !ends_with_operator(before),
    }
}

/// Returns true for letters before a string: `f"…"`, `rb'…'`.
fn is_string_prefix(before: &[u8]) -> bool {
    let letters = before.iter().rev().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_');
    let count = letters.clone().take(3).count();
    count <= 2
        && letters.take(2).all(|byte| b"rbufls".contains(&byte.to_ascii_lowercase()))
        && !before[..before.len() - count].last().is_some_and(|byte| continues(*byte))
}

/// Returns true if an operator that joins strings is at the end of `before`, on the same or the previous line.
fn ends_with_operator(before: &[u8]) -> bool {
    let line = trim_end(before, |byte| matches!(byte, b' ' | b'\t'));
    let (text, is_same_line) = match line.strip_suffix(b"\n") {
        Some(above) => (trim_end(above, |byte| matches!(byte, b' ' | b'\t' | b'\r')), false),
        None => (line, true),
    };
    let [.., last] = text else { return false };
    let rest = &text[..text.len() - 1];
    match last {
        b'+' => !(is_same_line && rest.last().is_none_or(|byte| *byte == b'\n')),
        b'~' => true,
        b'&' => !rest.ends_with(b"&"),
        b'.' if rest.ends_with(b".") => !rest.ends_with(b".."),
        b'.' => match rest.last() {
            Some(byte) if QUOTES.contains(byte) || matches!(byte, b' ' | b'\t' | b')' | b']' | b'}') => true,
            _ => {
                let word = trim_end(rest, |byte| byte.is_ascii_alphanumeric() || byte == b'_');
                word.ends_with(b"$")
            }
        },
        _ => false,
    }
}

/// Returns true if the quote at `at` closes a string that is complete, and that is not the key of a mapping.
fn is_closing(bytes: &[u8], at: usize) -> bool {
    let quote = bytes[at];
    let count = bytes[at..].iter().take(LOOK_BYTES).take_while(|byte| **byte == quote).count();
    let rest = &bytes[at + count..bytes.len().min(at + count + LOOK_BYTES)];
    let Some((&next, after)) = rest.split_first() else { return true };
    match next {
        b':' => false,
        b'.' => !is_joined_by_dot(after),
        b')' => !has_tag_method(after),
        _ if continues(next) || next == b'<' => false,
        _ if QUOTES.contains(&next) => !after.first().is_some_and(|byte| continues(*byte)),
        _ => {
            let line = rest.trim_ascii_start();
            let gap = &rest[..rest.len() - line.len()];
            match memchr::memchr(b'\n', gap) {
                None => !starts_with_operator(line, is_after_separator(bytes, at)),
                // A line that starts with an operator is indented. A line of a patch is not.
                Some(newline) if newline + 1 < gap.len() => {
                    !line.starts_with(b"+ ") && !line.starts_with(b".. ") && !line.starts_with(b". ")
                }
                Some(_) => true,
            }
        }
    }
}

/// Returns true if the string that ends at `at` is the first thing in its line or in a list, as a key is.
fn is_after_separator(bytes: &[u8], at: usize) -> bool {
    let before = tail(&bytes[..at]);
    let string = before.iter().rposition(|byte| *byte == bytes[at]);
    string.is_some_and(|open| {
        matches!(before[..open].trim_ascii_end().last(), None | Some(b'{' | b',' | b'\n'))
    })
}

/// Returns true if `text` starts with an operator that makes the string before it a part or a key.
fn starts_with_operator(text: &[u8], can_be_key: bool) -> bool {
    match text {
        [b'+' | b'~', ..] => true,
        [b'%', next, ..] => *next == b' ' || *next == b'(' || next.is_ascii_alphabetic(),
        [b'&', next, rest @ ..] => *next == b' ' && !rest.trim_ascii_start().is_empty(),
        [b'.', rest @ ..] => is_joined_by_dot(rest),
        [b'=', next, ..] => !matches!(next, b'=' | b'~'),
        [b':', ..] => can_be_key,
        _ => false,
    }
}

/// Returns true if a dot after a string joins another one. Methods and the end of a sentence do not.
fn is_joined_by_dot(after: &[u8]) -> bool {
    match after.first() {
        Some(b'.') => !after.starts_with(b".."),
        Some(byte) if byte.is_ascii_alphabetic() => {
            [&b"concat"[..], b"plus", b"append", b"replace", b"format"]
                .iter()
                .any(|name| after.starts_with(name))
        }
        _ => matches!(after.trim_ascii_start().first(), Some(b'$' | b'"' | b'\'' | b'(')),
    }
}

/// Returns true if a method supplies the tag: `DockerImageName.parse("a").withTag("1")`.
fn has_tag_method(after: &[u8]) -> bool {
    let rest = after.trim_ascii_start();
    [&b".withTag("[..], b".WithTag(", b".with_tag("].iter().any(|method| rest.starts_with(method))
}

/// Returns true if a `>` after `before` is the end of a tag of XML or HTML.
fn closes_element(before: &[u8]) -> bool {
    let before = tail(before);
    let open = before.iter().rposition(|byte| matches!(byte, b'<' | b'>' | b'\n'));
    open.is_some_and(|at| before[at] == b'<' && before.get(at + 1).is_some_and(u8::is_ascii_alphabetic))
}

/// Returns true if an equals sign after `before` belongs to the query of a URL.
fn is_in_url(before: &[u8]) -> bool {
    let before = tail(before);
    let start = before.iter().rposition(|byte| byte.is_ascii_whitespace() || b"\"'`(,".contains(byte));
    memchr::memmem::find(&before[start.map_or(0, |at| at + 1)..], b"://").is_some()
}

fn tail(bytes: &[u8]) -> &[u8] {
    &bytes[bytes.len().saturating_sub(LOOK_BYTES)..]
}

/// Removes matching bytes at the end, at most [`LOOK_BYTES`].
fn trim_end(bytes: &[u8], matches: impl Fn(u8) -> bool) -> &[u8] {
    let count = bytes.iter().rev().take(LOOK_BYTES).take_while(|byte| matches(**byte)).count();
    &bytes[..bytes.len() - count]
}
