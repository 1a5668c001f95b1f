//! Tag rules of other tools as rules of a list.

use std::sync::Arc;

use image_copy::list::{TagPattern, TagRules};
use semver::VersionReq;

/// Meaning of a regular expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// It matches the whole tag. A period is a period, because few files escape it.
    Regsync,
    /// It matches any part of the tag. A period is any character.
    Skopeo,
}

/// Returns the pattern with `*` that matches the same tags as a regular expression, if there is one.
pub(super) fn pattern(expression: &str, dialect: Dialect) -> Option<TagPattern> {
    let (start, rest) = match expression.strip_prefix('^') {
        Some(rest) => ("", rest),
        None if dialect == Dialect::Skopeo => ("*", expression),
        None => ("", expression),
    };
    let (rest, end) = match rest.strip_suffix('$') {
        Some(rest) => (rest, ""),
        None if dialect == Dialect::Skopeo => (rest, "*"),
        None => (rest, ""),
    };
    let mut text = start.to_owned();
    let mut characters = rest.chars().peekable();
    while let Some(character) = characters.next() {
        let is_many = character == '.' && characters.next_if_eq(&'*').is_some();
        let literal = match character {
            _ if is_many => '*',
            '.' if dialect == Dialect::Regsync => '.',
            '\\' => characters.next_if(|next| matches!(next, '.' | '-' | '_'))?,
            letter if letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_') => letter,
            _ => return None,
        };
        // A quantifier, of which `.*` is the only one with an equivalent.
        if characters.peek().is_some_and(|next| matches!(next, '*' | '+' | '?' | '{')) {
            return None;
        }
        text.push(literal);
    }
    text += end;
    while text.contains("**") {
        text = text.replace("**", "*");
    }
    text.parse().ok()
}

/// Returns the rules for all tags of a repository.
pub(super) fn all_tags() -> Arc<TagRules> {
    Arc::new(TagRules { include: "*".parse().into_iter().collect(), ..TagRules::default() })
}

/// Parses a constraint of skopeo: alternatives between `||`, of which a version must satisfy one
/// (<https://github.com/Masterminds/semver#checking-version-constraints>).
///
/// Returns `None` if a range of a list cannot express it.
pub(super) fn skopeo_ranges(text: &str) -> Option<Vec<VersionReq>> {
    text.split("||").map(skopeo_range).collect()
}

fn skopeo_range(text: &str) -> Option<VersionReq> {
    let mut comparators: Vec<String> = Vec::new();
    for word in text.split([' ', ',']).filter(|word| !word.is_empty()) {
        match comparators.last_mut() {
            // A blank can follow an operator.
            Some(last) if !last.contains(|c: char| c.is_ascii_alphanumeric() || c == '*') => *last += word,
            _ => comparators.push(word.into()),
        }
    }
    let is_number = |text: &String| text.starts_with(|c: char| c.is_ascii_digit());
    let has_wildcard = |text: &String| text.contains(['x', 'X', '*']);
    for comparator in comparators.iter_mut().filter(|text| is_number(text) && !has_wildcard(text)) {
        // In a list, a version without an operator also means later ones.
        comparator.insert(0, '=');
    }
    comparators.join(", ").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_become_patterns() {
        for (expression, regsync, skopeo) in [
            ("^1\\.13\\..*$", Some("1.13.*"), Some("1.13.*")),
            ("1\\.13\\..*", Some("1.13.*"), Some("*1.13.*")),
            ("^v1", Some("v1"), Some("v1*")),
            ("slim", Some("slim"), Some("*slim*")),
            (".*-slim", Some("*-slim"), Some("*-slim*")),
            ("1.2.*", Some("1.2*"), None),
            ("a\\-b_c", Some("a-b_c"), Some("*a-b_c*")),
            (".*", Some("*"), Some("*")),
            ("", None, Some("*")),
            ("v?1", None, None),
            ("1.+", None, None),
            ("1\\.+", None, None),
            ("(a|b)", None, None),
            ("a|b", None, None),
            ("[0-9]", None, None),
            ("\\d", None, None),
            ("1{2}", None, None),
            (".**", None, None),
        ] {
            let found = |dialect| pattern(expression, dialect).map(|pattern| pattern.to_string());
            assert_eq!(found(Dialect::Regsync).as_deref(), regsync, "{expression}");
            assert_eq!(found(Dialect::Skopeo).as_deref(), skopeo, "{expression}");
        }
    }

    #[test]
    fn constraints_of_skopeo_become_ranges() {
        for (text, expected) in [
            (">= 3.12.0", ">=3.12.0"),
            (">=1.2 <2, !=3", ""),
            (">=1.2, <2", ">=1.2, <2"),
            (">= 1.2 < 2", ">=1.2, <2"),
            ("1.2.3", "=1.2.3"),
            ("1.2", "=1.2"),
            ("2.x", "2.*"),
            ("^1.2 || ~2.3", "^1.2 / ~2.3"),
            ("1.2 - 1.4", ""),
            ("*", "*"),
            ("", ""),
        ] {
            let ranges = skopeo_ranges(text).unwrap_or_default();
            let found: Vec<String> = ranges.iter().map(ToString::to_string).collect();
            assert_eq!(found.join(" / "), expected, "{text}");
        }
    }
}
