//! Makes text from outside safe to print: messages of registries, AWS and other programs, and file names.
//!
//! Text is sanitized once, when it is read. All code that prints it relies on this.

mod userinfo;

use std::fmt;
use std::ops::Deref;

pub use userinfo::{name_without_userinfo, userinfo_length, without_userinfo};

/// Default maximum length of a [`SanitizedText`] in characters.
const MAX_CHARS: usize = 1000;

/// Maximum length of a name in characters, so that a message can contain several.
const MAX_NAME_CHARS: usize = 500;

/// Text from outside that is safe to print: one line of limited length without control, format and other
/// invisible characters. Each run of white space becomes one space. Escape sequences for colours are
/// removed. User names and passwords in URLs become `***`.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SanitizedText(Box<str>);

impl SanitizedText {
    /// Sanitizes `text` and truncates it to `max` characters, with an ellipsis at the end.
    #[must_use]
    pub fn new(text: &str, max: usize) -> Self {
        let mut line = String::new();
        let mut length = 0;
        let mut is_after_gap = false;
        let text = without_userinfo(text);
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            if let Some(after) = after_escape_sequence(c, rest.as_str()) {
                rest = after.chars();
                continue;
            }
            if c.is_whitespace() || c.is_control() {
                is_after_gap = length > 0;
                continue;
            }
            if !is_visible(c) {
                continue;
            }
            let needed = 1 + usize::from(is_after_gap);
            if length + needed > max {
                line.push('…');
                break;
            }
            if is_after_gap {
                line.push(' ');
            }
            line.push(c);
            length += needed;
            is_after_gap = false;
        }
        Self(line.into())
    }

    /// Like [`SanitizedText::new`], for text between double quotes: double quotes inside become single.
    #[must_use]
    pub fn quotable(text: &str, max: usize) -> Self {
        let Self(line) = Self::new(text, max);
        Self(line.replace('"', "'").into())
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for SanitizedText {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for SanitizedText {
    fn eq(&self, other: &str) -> bool {
        *self.0 == *other
    }
}

impl PartialEq<&str> for SanitizedText {
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}

impl From<&str> for SanitizedText {
    fn from(text: &str) -> Self {
        Self::new(text, MAX_CHARS)
    }
}

impl From<String> for SanitizedText {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl fmt::Display for SanitizedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for SanitizedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Replaces each invisible character with an escape such as `\n` or `\u{1b}`, so that different names stay
/// different. A name longer than 500 characters ends with an ellipsis.
#[must_use]
pub fn escaped(name: &str) -> String {
    let mut shown = String::new();
    let mut length = 0;
    for c in name.chars() {
        let start = shown.len();
        if c == ' ' || is_visible(c) {
            shown.push(c);
        } else {
            shown.extend(c.escape_default());
        }
        length += shown[start..].chars().count();
        if length > MAX_NAME_CHARS {
            shown.truncate(start);
            shown.push('…');
            break;
        }
    }
    shown
}

/// Replaces invisible characters in a JSON document with `\u` escapes. JSON requires escapes only for the
/// first 32 characters.
#[must_use]
pub fn escaped_json(document: &str) -> String {
    let mut text = String::with_capacity(document.len());
    for c in document.chars() {
        // A line break in a valid document is outside of strings.
        if matches!(c, ' ' | '\n') || is_visible(c) {
            text.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            text += &format!("\\u{unit:04x}");
        }
    }
    text
}

/// Returns true if a terminal shows the character without any other effect. Returns false for spaces other
/// than U+0020, and for the general categories Cc, Cf, Co, Cn, Zl and Zp.
#[must_use]
pub fn is_visible(c: char) -> bool {
    match c {
        ' '..='~' => true,
        // Letters and marks without a glyph.
        '\u{34f}'
        | '\u{115f}'..='\u{1160}'
        | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{2800}'
        | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{ffa0}'
        | '\u{e0100}'..='\u{e01ef}' => false,
        // `escape_debug` escapes the categories above. The letter in front keeps accents unescaped.
        _ => {
            let mut buffer = [b'a'; 5];
            let end = 1 + c.encode_utf8(&mut buffer[1..]).len();
            let text = std::str::from_utf8(&buffer[..end]).unwrap_or_default();
            text.escape_debug().nth(1) == Some(c)
        }
    }
}

/// Returns the text after a control sequence that starts with `first`, such as one for colours (ECMA-48,
/// section 5.4).
fn after_escape_sequence(first: char, rest: &str) -> Option<&str> {
    let parameters = match first {
        '\u{1b}' => rest.strip_prefix('[')?,
        '\u{9b}' => rest,
        _ => return None,
    };
    let last = parameters.find(|c| !matches!(c, ' '..='?'))?;
    let is_complete = matches!(parameters.as_bytes()[last], b'@'..=b'~');
    is_complete.then(|| &parameters[last + 1..])
}

/// Returns true if `pattern` matches all of `text`. Each `*` matches any characters or none.
#[must_use]
pub fn matches_wildcards(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        // The leftmost match leaves the most text for the parts that follow.
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
    }
    text.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sanitized_text_is_one_visible_line() {
        for (text, expected) in [
            ("plain words", "plain words"),
            (" \r\n two\n\n\tlines\u{85}\u{2028}of\u{2029}it\u{a0} ", "two lines of it"),
            ("\u{1b}[31mred\u{1b}[0m \u{9b}1;31mbold\u{9b}m", "red bold"),
            ("\u{1b}]0;title\u{7}\u{1b}[2J\u{1b}", "]0;title"),
            ("\u{1b}[3\u{202e}1m", "[31m"),
            ("a\0b\u{7f}c\u{90}d", "a b c d"),
            ("l\u{202a}e\u{202e}f\u{2066}t\u{2069}\u{200e}\u{200f}\u{61c}", "left"),
            ("z\u{200b}e\u{200c}r\u{200d}o\u{feff}\u{2060}\u{ad}", "zero"),
            ("t\u{e0001}a\u{e0061}g\u{e007f}s\u{fe0f}\u{e0100}", "tags"),
            ("p\u{e000}r\u{f8ff}i\u{f0000}v\u{10ffff}", "priv"),
            ("h\u{3164}i\u{115f}d\u{ffa0}d\u{2800}en\u{34f}", "hidden"),
            ("\u{fff9}x\u{fffb}\u{180e}", "x"),
            ("Größe 文件 नमस्ते e\u{301} 😀", "Größe 文件 नमस्ते e\u{301} 😀"),
            ("a \"quoted\" b", "a \"quoted\" b"),
            ("at https://me:planted@h/x", "at https://***@h/x"),
            ("", ""),
        ] {
            assert_eq!(SanitizedText::from(text).as_str(), expected, "{text:?}");
        }
        assert_eq!(SanitizedText::quotable("a \"quoted\" b", 99).as_str(), "a 'quoted' b");
    }

    #[test]
    fn sanitized_text_has_only_visible_characters() {
        for c in ('\0'..=char::MAX).filter(|c| c.is_control() || (c.is_whitespace() && *c != ' ')) {
            assert!(!is_visible(c), "{c:?}");
            assert_eq!(SanitizedText::from(format!("a{c}é")).as_str(), "a é", "{c:?}");
        }
        let all: String = ('\0'..=char::MAX).collect();
        let clean = SanitizedText::new(&all, usize::MAX);
        assert!(clean.chars().all(is_visible));
    }

    #[test]
    fn truncates_by_characters_with_an_ellipsis() {
        for (text, max, expected) in
            [("äöü", 3, "äöü"), ("äöüß", 3, "äöü…"), ("ab   \n", 2, "ab"), ("ab c", 3, "ab…"), ("x", 0, "…")]
        {
            assert_eq!(SanitizedText::new(text, max).as_str(), expected, "{text:?}");
        }
        assert_eq!(SanitizedText::from("x".repeat(3_000_000)).chars().count(), MAX_CHARS + 1);
    }

    #[test]
    fn escapes_invisible_characters_of_names() {
        for (name, expected) in [
            ("a b.txt", "a b.txt"),
            ("x\u{1b}[31m\n\ty\u{202e}", "x\\u{1b}[31m\\n\\ty\\u{202e}"),
            ("größe\u{a0}", "größe\\u{a0}"),
        ] {
            assert_eq!(escaped(name), expected);
        }
        let long = escaped(&"\u{1b}".repeat(5000));
        assert!(long.chars().count() <= MAX_NAME_CHARS + 1 && long.ends_with("}…"), "{long}");
    }

    #[test]
    fn escaped_json_has_the_same_value() {
        let value = serde_json::json!({"a\u{202e}": ["\u{7f}\u{9b}\n\u{1b} ü", "\u{e0061}\u{2028}"]});
        let text = escaped_json(&format!("{value:#}"));
        assert!(text.chars().all(|c| c == '\n' || is_visible(c)), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }

    #[test]
    fn wildcards_match_any_characters_or_none() {
        for (pattern, text, expected) in [
            ("latest", "latest", true),
            ("latest", "latest2", false),
            ("*", "", true),
            ("dev-*", "dev-", true),
            ("dev-*", "xdev-1", false),
            ("*-rc", "1.2-rc", true),
            ("*-rc", "1.2-rc1", false),
            ("a*b*c", "axbxbc", true),
            ("a*b*c", "acb", false),
            ("a*a", "a", false),
            ("*ab*ab*", "xabyab", true),
            ("*ab*ab*", "xab", false),
        ] {
            assert_eq!(matches_wildcards(pattern, text), expected, "{pattern} {text}");
        }
    }
}
