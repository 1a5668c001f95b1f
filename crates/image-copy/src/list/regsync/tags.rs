//! The rules in `tags` and `tagSets`.
//!
//! The tags of all sets are copied. In each set, a tag must be in one of the ranges in `semverRange`, match one of
//! the regular expressions in `allow`, and match none in `deny`. A missing list allows every tag
//! (<https://github.com/regclient/regclient/blob/main/cmd/regsync/root.go>, `filterTagList`).

use std::sync::Arc;

use semver::VersionReq;

use crate::list::entry::Entry;
use crate::list::fields::Fields;
use crate::list::output::Output;
use crate::list::rules::translated_range;
use crate::list::tag_pattern::TagPattern;
use crate::list::tag_rules::TagRules;
use crate::oci::Tag;

/// Operators of a constraint. Longer ones are first.
const OPERATORS: [&str; 7] = [">=", "<=", ">", "<", "=", "^", "~"];

/// Adds the entries of an item. `entry` is the one without tags.
pub(super) fn parse(item: &Fields<'_>, entry: &Entry, output: &mut Output) {
    let mut sets: Vec<Fields<'_>> = item.mapping("tags", output).into_iter().collect();
    for (set, path) in item.items("tagSets", output) {
        sets.extend(Fields::new(item.tree(), set, path, output));
    }
    // An empty `tags` is no set, and without any set all tags are copied.
    sets.retain(|set| !set.is_empty());
    if sets.is_empty() {
        return output.entry(entry.clone().with_rules(Arc::default()));
    }
    for set in sets {
        set.check_keys(output, |key, _| match key {
            "allow" | "deny" | "semverRange" => None,
            _ => Some("has no equivalent. Use allow, deny or semverRange".into()),
        });
        parse_set(&set, entry, output);
    }
}

fn parse_set(set: &Fields<'_>, entry: &Entry, output: &mut Output) {
    let allowed = set.texts("allow", output).unwrap_or_default();
    let denied = set.texts("deny", output).unwrap_or_default();
    let ranges = set.texts("semverRange", output).unwrap_or_default();
    let count = allowed.len() + denied.len() + ranges.len();
    let exact: Option<Vec<(Tag, usize)>> =
        allowed.iter().map(|(text, line)| Some((exact_tag(text)?, *line))).collect();
    let exact = exact.filter(|exact| !exact.is_empty() && ranges.is_empty());
    // Exact tags become entries of their own, which MAX_ENTRIES limits.
    let counted = if exact.is_some() { denied.len() } else { count };
    if !output.add_rule_values(set.line(), counted) {
        return;
    }
    let mut expressions = |key: &str, texts: &[(&str, usize)]| -> Vec<TagPattern> {
        let parse =
            |(text, line): &(&str, usize)| set.parse_by(key, *line, text, output, TagPattern::expression);
        texts.iter().filter_map(parse).collect()
    };
    let exclude = expressions("deny", &denied);
    if let Some(exact) = exact {
        // Without a list of tags, a missing tag is an error and not ignored.
        let is_denied = |tag: &Tag| exclude.iter().any(|pattern| pattern.matches(tag.as_str()));
        let entries = exact.into_iter().filter(|(tag, _)| !is_denied(tag));
        return entries.for_each(|(tag, line)| output.entry(Entry { line, ..entry.with_tag(tag) }));
    }
    let mut include = expressions("allow", &allowed);
    if include.is_empty() && !ranges.is_empty() {
        // An expression allows text after a version, as regsync does.
        include.extend(TagPattern::expression(".*").ok());
    }
    let parse =
        |(text, line): &(&str, usize)| set.parse_by("semverRange", *line, text, output, regsync_range);
    let semver = ranges.iter().filter_map(parse).collect();
    let rules = TagRules { semver, include, exclude, ..TagRules::default() };
    output.entry(entry.clone().with_rules(Arc::new(rules)));
}

/// Returns the only tag that an expression is meant to match: a period is often not escaped.
fn exact_tag(expression: &str) -> Option<Tag> {
    let exact = expression.strip_prefix('^').unwrap_or(expression);
    exact.strip_suffix('$').unwrap_or(exact).replace("\\.", ".").parse().ok()
}

/// Parses a range of regsync: constraints between blanks, all of which a version must satisfy
/// (<https://github.com/regclient/regclient/blob/main/internal/semver/semver.go>).
///
/// regsync reads a missing number as 0: `~1` is the range up to 1.1, and `1.2` is only 1.2.0.
///
/// # Errors
/// The reason if the range is invalid.
pub fn regsync_range(text: &str) -> Result<VersionReq, String> {
    translated_range(text, "\">=1.2 <2\"", |text| {
        text.split_whitespace().map(constraint).collect::<Vec<String>>().join(", ")
    })
}

/// Returns a constraint with an operator and three numbers.
fn constraint(text: &str) -> String {
    let operator = OPERATORS.into_iter().find(|operator| text.starts_with(operator));
    let version = text.strip_prefix(operator.unwrap_or_default()).unwrap_or(text);
    let version = version.strip_prefix('v').unwrap_or(version);
    let version = version.split('+').next().unwrap_or(version);
    let (numbers, pre_release) = version.split_at(version.find('-').unwrap_or(version.len()));
    let missing = 2_usize.saturating_sub(numbers.matches('.').count());
    format!("{}{numbers}{}{pre_release}", operator.unwrap_or("="), ".0".repeat(missing))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn translates_ranges() {
        for (text, expected) in [
            (">=1.0.0 <2.0.0", ">=1.0.0, <2.0.0"),
            ("^1.2", "^1.2.0"),
            ("~1", "~1.0.0"),
            ("~v1.2", "~1.2.0"),
            ("1.2", "=1.2.0"),
            (">1", ">1.0.0"),
            (">=2.0-rc.1", ">=2.0.0-rc.1"),
            ("<=2+build", "<=2.0.0"),
        ] {
            assert_eq!(regsync_range(text).unwrap().to_string(), expected, "{text}");
        }
        for invalid in ["", ">= 1", "x", "1.2.3.4", ">=1.0, <2", "||", "\u{202e}"] {
            let error = regsync_range(invalid).unwrap_err();
            assert!(error.contains("is not a range such as"), "{invalid}: {error}");
        }
        assert!(regsync_range(&">=1 ".repeat(100)).is_err());
    }
}
