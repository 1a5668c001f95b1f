//! Tag rules in YAML.
//!
//! ```yaml
//! tags:
//!   exact: [latest]
//!   semver: ["^3.12", "~2.7"]
//!   include: ["*-slim"]
//!   exclude: ["*-rc*"]
//!   suffix: -slim
//!   newest: 3
//! ```

use std::fmt::Display;
use std::num::NonZeroUsize;
use std::sync::Arc;

use semver::VersionReq;

use super::fields::Fields;
use super::output::{Output, quoted};
use super::tag_rules::TagRules;
use crate::oci::Tag;
use crate::text::SanitizedText;

/// Maximum length of a range in bytes.
const MAX_RANGE_BYTES: usize = 256;

/// Maximum length of a tag in bytes.
const MAX_TAG_BYTES: usize = 128;

/// Keys of tag rules.
const KEYS: [&str; 6] = ["exact", "semver", "include", "exclude", "suffix", "newest"];

/// The tags of an item.
#[derive(Clone)]
pub(super) enum Tags {
    /// Exact tags, each with its line.
    Exact(Vec<(Tag, usize)>),
    Rules(Arc<TagRules>),
}

impl Tags {
    /// Parses exact tags or rules at the key `tags`. Rules with only exact tags need no list of tags.
    pub(super) fn parse(fields: &Fields<'_>, output: &mut Output) -> Option<Self> {
        if !fields.is_mapping("tags") {
            return fields.get("tags").map(|_| Self::Exact(exact(fields, "tags", output)));
        }
        let mapping = fields.mapping("tags", output)?;
        mapping.check_keys(output, |key, _| {
            (!KEYS.contains(&key)).then(|| format!("is not a tag rule. Use one of {}", KEYS.join(", ")))
        });
        if KEYS.iter().all(|key| mapping.get(key).is_none()) {
            fields.error("tags", "has no rule. Add a rule, such as newest: 3", output);
            return None;
        }
        let exact = exact(&mapping, "exact", output);
        let rules = TagRules {
            exact: exact.iter().map(|(tag, _)| tag.clone()).collect(),
            semver: values(&mapping, "semver", output, range),
            include: values(&mapping, "include", output, str::parse),
            exclude: values(&mapping, "exclude", output, str::parse),
            suffix: value(&mapping, "suffix", output, suffix),
            newest: value(&mapping, "newest", output, positive),
        };
        if rules.has_only_exact_tags() {
            return Some(Self::Exact(exact));
        }
        output.add_rule_values(mapping.line(), rules.values()).then(|| Self::Rules(Arc::new(rules)))
    }

    /// Returns the tags of the defaults for an image on this line.
    pub(super) fn at_line(&self, line: usize) -> Self {
        match self {
            Self::Exact(tags) => Self::Exact(tags.iter().map(|(tag, _)| (tag.clone(), line)).collect()),
            Self::Rules(rules) => Self::Rules(Arc::clone(rules)),
        }
    }
}

/// Returns the tags at a key with their lines.
fn exact(fields: &Fields<'_>, key: &str, output: &mut Output) -> Vec<(Tag, usize)> {
    let texts = fields.texts(key, output).unwrap_or_default();
    texts
        .into_iter()
        .filter_map(|(text, line)| Some((fields.parse(key, line, text, output)?, line)))
        .collect()
}

/// Parses each text at a key.
fn values<T, E: Display>(
    fields: &Fields<'_>,
    key: &str,
    output: &mut Output,
    parse: fn(&str) -> Result<T, E>,
) -> Vec<T> {
    let texts = fields.texts(key, output).unwrap_or_default();
    texts.into_iter().filter_map(|(text, line)| fields.parse_by(key, line, text, output, parse)).collect()
}

/// Parses the text at a key.
fn value<T, E: Display>(
    fields: &Fields<'_>,
    key: &str,
    output: &mut Output,
    parse: fn(&str) -> Result<T, E>,
) -> Option<T> {
    let text = fields.text(key, output)?;
    fields.parse_by(key, fields.line_of(key), text, output, parse)
}

fn range(text: &str) -> Result<VersionReq, String> {
    translated_range(text, "^3.9 or \">=1.2, <2\"", str::to_owned)
}

/// Parses a range in a form that `translate` turns into that of `semver`. `example` is one in the same form.
pub(super) fn translated_range(
    text: &str,
    example: &str,
    translate: fn(&str) -> String,
) -> Result<VersionReq, String> {
    if text.len() > MAX_RANGE_BYTES {
        return Err(format!("{} is longer than {MAX_RANGE_BYTES} bytes", quoted(text)));
    }
    translate(text).parse().map_err(|error: semver::Error| {
        // The reason can quote a character of the text.
        let reason = SanitizedText::from(error.to_string().as_str());
        format!("{} is not a range such as {example}: {reason}", quoted(text))
    })
}

fn suffix(text: &str) -> Result<String, String> {
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    match text.len() <= MAX_TAG_BYTES && text.bytes().all(is_valid) {
        true => Ok(text.into()),
        false => Err(format!("{} is not the end of a tag, such as -slim", quoted(text))),
    }
}

fn positive(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| format!("{} is not a number from 1", quoted(text)))
}

#[cfg(test)]
mod tests;
