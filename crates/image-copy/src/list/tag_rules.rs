//! Rules that select tags of a repository.

use std::fmt;
use std::num::NonZeroUsize;

use semver::{Comparator, VersionReq};

use super::tag_pattern::TagPattern;
use super::version::{MIN_DATE, TagVersion};
use crate::oci::Tag;

/// Rules that select tags by their names. Without any rule, every tag is in.
///
/// An exact tag is always in. Any other tag must pass all other rules that exist, in this order: `exclude`,
/// `include`, `suffix`, `semver`, `newest`. A list passes if one of its members accepts the tag. If only exact
/// tags exist, all others are out.
///
/// `suffix`, `semver` and `newest` read the version in a tag. The text around the version must be known:
/// - Before it, there is nothing or `v`, or the text with which a matching `include` pattern starts.
/// - After it, there is `suffix`, or the text with which a matching `include` pattern ends. A regular expression
///   allows any text. Numbers of builds are not part of the text: `-jdk` follows the version in `17.0.3_7-jdk`.
///
/// So `^3` selects `3.13` and `v3.13`, but not `3.13-slim`. Pre-releases and dates are out, unless a range of
/// `semver` names one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TagRules {
    /// Tags that are always in.
    pub exact: Vec<Tag>,
    /// Ranges of versions.
    pub semver: Vec<VersionReq>,
    /// Patterns of tags that are in.
    pub include: Vec<TagPattern>,
    /// Patterns of tags that are out.
    pub exclude: Vec<TagPattern>,
    /// Text after the version, such as `-slim`. `None` means no text.
    pub suffix: Option<String>,
    /// Number of versions that are in, the newest first. Tags of the same version count once.
    pub newest: Option<NonZeroUsize>,
}

/// A tag is in or out, for one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagDecision<'a> {
    /// The rules select the tag.
    In(InReason<'a>),
    /// The rules do not select the tag.
    Out(OutReason<'a>),
}

/// The reason a tag is in. Its text continues a sentence that starts with the tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InReason<'a> {
    /// An exact tag.
    Exact,
    /// One of the newest versions.
    Newest {
        /// Position of the version, from 1.
        position: usize,
        /// Number of versions that are in.
        newest: NonZeroUsize,
    },
    /// The range that contains the version.
    Range(&'a VersionReq),
    /// The suffix of the version.
    Suffix(&'a str),
    /// The first pattern that matches.
    Included(&'a TagPattern),
    /// No rule excludes the tag.
    NotExcluded,
}

/// The reason a tag is out. Its text continues a sentence that starts with the tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutReason<'a> {
    /// All rules are exact tags.
    NotExact,
    /// The first excluding pattern that matches.
    Excluded(&'a TagPattern),
    /// No pattern matches.
    NotIncluded,
    /// The tag has no version.
    NoVersion,
    /// Text before the version that no rule names.
    Prefix(&'a str),
    /// Text after the version that no rule names.
    Suffix(&'a str),
    /// The suffix that the version does not have.
    NoSuffix(&'a str),
    /// A date or a time instead of a version.
    Date,
    /// A pre-release that no range names.
    PreRelease,
    /// No range contains the version.
    OutsideRange,
    /// An older version than the newest ones.
    Older {
        /// Number of versions that are in.
        newest: NonZeroUsize,
    },
}

impl TagRules {
    /// Returns the number of values in all lists.
    #[must_use]
    pub fn values(&self) -> usize {
        self.exact.len() + self.semver.len() + self.include.len() + self.exclude.len()
    }

    /// Returns true if a pattern is a regular expression, which YAML of this project cannot contain.
    #[must_use]
    pub fn has_expressions(&self) -> bool {
        self.include.iter().chain(&self.exclude).any(TagPattern::is_expression)
    }

    /// Returns the decision for each tag, in the same order.
    #[must_use]
    pub fn decide<'a>(&'a self, tags: &'a [Tag]) -> Vec<TagDecision<'a>> {
        let decisions = tags.iter().map(|tag| self.decide_alone(tag)).collect();
        match self.newest {
            Some(newest) => keep_newest(tags, decisions, newest),
            None => decisions,
        }
    }

    /// Returns the decision for a tag without regard to others.
    fn decide_alone<'a>(&'a self, tag: &'a Tag) -> TagDecision<'a> {
        if self.exact.contains(tag) {
            return TagDecision::In(InReason::Exact);
        }
        if !self.exact.is_empty() && self.has_only_exact_tags() {
            return TagDecision::Out(OutReason::NotExact);
        }
        let tag = tag.as_str();
        if let Some(pattern) = self.exclude.iter().find(|pattern| pattern.matches(tag)) {
            return TagDecision::Out(OutReason::Excluded(pattern));
        }
        let mut included = self.include.iter().filter(|pattern| pattern.matches(tag)).peekable();
        let first = included.peek().copied();
        if first.is_none() && !self.include.is_empty() {
            return TagDecision::Out(OutReason::NotIncluded);
        }
        match self.check_version(tag, &included.collect::<Vec<_>>()) {
            Ok(Some(reason)) => TagDecision::In(reason),
            Ok(None) => TagDecision::In(first.map_or(InReason::NotExcluded, InReason::Included)),
            Err(reason) => TagDecision::Out(reason),
        }
    }

    /// Returns true if `exact` is the only kind of rule, or if no rule exists.
    pub(super) fn has_only_exact_tags(&self) -> bool {
        let Self { exact: _, semver, include, exclude, suffix, newest } = self;
        let has_no_version_rule = semver.is_empty() && suffix.is_none() && newest.is_none();
        has_no_version_rule && include.is_empty() && exclude.is_empty()
    }

    /// Checks the version in a tag. Returns the rule that accepts it, or `None` if no rule of its own does.
    /// `included` are the patterns that match the tag.
    fn check_version<'a>(
        &'a self,
        tag: &'a str,
        included: &[&TagPattern],
    ) -> Result<Option<InReason<'a>>, OutReason<'a>> {
        if self.semver.is_empty() && self.suffix.is_none() && self.newest.is_none() {
            return Ok(None);
        }
        let version = TagVersion::parse(tag).ok_or(OutReason::NoVersion)?;
        let TagVersion { prefix, suffix, variant, .. } = version;
        if !matches!(prefix, "" | "v") && !included.iter().any(|pattern| pattern.starts_with(prefix)) {
            return Err(OutReason::Prefix(prefix));
        }
        let wanted = self.suffix.as_deref().unwrap_or_default();
        let is_wanted = suffix == wanted || (variant == wanted && !variant.is_empty());
        if !is_wanted {
            let ends = |pattern: &&TagPattern| {
                pattern.ends_with(suffix) || (!variant.is_empty() && pattern.ends_with(variant))
            };
            match suffix {
                "" => return Err(OutReason::NoSuffix(wanted)),
                _ if included.iter().any(ends) => {}
                _ => return Err(OutReason::Suffix(suffix)),
            }
        }
        if !self.semver.is_empty() {
            return self.check_range(&version).map(Some);
        }
        if !version.is_release() {
            return Err(OutReason::PreRelease);
        }
        Ok(self.suffix.as_deref().map(InReason::Suffix))
    }

    fn check_range(&self, version: &TagVersion<'_>) -> Result<InReason<'_>, OutReason<'static>> {
        let any_comparator =
            |test: fn(&Comparator) -> bool| self.semver.iter().flat_map(|range| &range.comparators).any(test);
        if version.is_date() && !any_comparator(|comparator| comparator.major >= MIN_DATE) {
            return Err(OutReason::Date);
        }
        // A range contains a pre-release only if it names one of the same version, as in Cargo.
        let semantic = version.semantic();
        match self.semver.iter().find(|range| range.matches(&semantic)) {
            Some(range) => Ok(InReason::Range(range)),
            None if !version.is_release() && !any_comparator(|comparator| !comparator.pre.is_empty()) => {
                Err(OutReason::PreRelease)
            }
            None => Err(OutReason::OutsideRange),
        }
    }
}

/// Keeps the newest versions of the tags that are in. Exact tags do not count.
fn keep_newest<'a>(
    tags: &'a [Tag],
    mut decisions: Vec<TagDecision<'a>>,
    newest: NonZeroUsize,
) -> Vec<TagDecision<'a>> {
    let candidates = tags.iter().zip(&decisions).enumerate().filter_map(|(at, (tag, decision))| {
        let counts = matches!(decision, TagDecision::In(reason) if *reason != InReason::Exact);
        TagVersion::parse(tag.as_str()).filter(|_| counts).map(|version| (at, version))
    });
    let mut candidates: Vec<_> = candidates.collect();
    candidates.sort_by(|(_, a), (_, b)| b.compare(a));
    let mut position = 0;
    let mut previous: Option<&TagVersion<'_>> = None;
    for (at, version) in &candidates {
        if previous.is_none_or(|previous| version.compare(previous).is_ne()) {
            position += 1;
        }
        previous = Some(version);
        decisions[*at] = match position <= newest.get() {
            true => TagDecision::In(InReason::Newest { position, newest }),
            false => TagDecision::Out(OutReason::Older { newest }),
        };
    }
    decisions
}

impl TagDecision<'_> {
    /// Returns true if the tag is in.
    #[must_use]
    pub fn is_in(&self) -> bool {
        matches!(self, Self::In(_))
    }
}

/// The reason, without the tag.
impl fmt::Display for TagDecision<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::In(reason) => reason.fmt(f),
            Self::Out(reason) => reason.fmt(f),
        }
    }
}

impl fmt::Display for InReason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact => f.write_str("is an exact tag"),
            Self::Newest { position, newest } => write!(f, "is version {position} of the newest {newest}"),
            Self::Range(range) => write!(f, "is in the range {range}"),
            Self::Suffix(suffix) => write!(f, "has the suffix {suffix}"),
            Self::Included(pattern) => write!(f, "matches {pattern}"),
            Self::NotExcluded => f.write_str("is not excluded"),
        }
    }
}

impl fmt::Display for OutReason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotExact => f.write_str("is not an exact tag"),
            Self::Excluded(pattern) => write!(f, "is excluded by {pattern}"),
            Self::NotIncluded => f.write_str("matches no included pattern"),
            Self::NoVersion => f.write_str("has no version"),
            Self::Prefix(prefix) => write!(f, "has {prefix} before its version"),
            Self::Suffix(suffix) => write!(f, "has the suffix {suffix}"),
            Self::NoSuffix(suffix) => write!(f, "has no suffix {suffix}"),
            Self::Date => f.write_str("is a date"),
            Self::PreRelease => f.write_str("is a pre-release"),
            Self::OutsideRange => f.write_str("is outside the range"),
            Self::Older { newest } => write!(f, "is older than the newest {newest}"),
        }
    }
}

#[cfg(test)]
mod tests;
