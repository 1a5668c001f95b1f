//! Versions in tags.

mod numbers;
mod parser;
mod scheme;
mod tokens;
mod words;

use std::cmp::Ordering;

use crate::oci::Tag;
pub use scheme::Scheme;

/// The parts of a tag: `v1.27.0-rc.2-alpine3.19` has the prefix `v`, the numbers 1, 27 and 0, the
/// pre-release `rc` 2, and the suffix `-alpine3.19`. docs/versions.md has the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagVersion<'a> {
    /// Text before the first number.
    pub prefix: &'a str,
    /// The numbers, at least one. Those of a date and its time follow each other.
    pub numbers: Vec<u64>,
    /// The pre-release, or `None` for a release.
    pre_release: Option<PreRelease>,
    /// Text after the numbers and the pre-release, with its separator.
    pub suffix: &'a str,
    /// The suffix without the numbers of builds at its start: `-jdk` in `17.0.3_7-jdk`.
    pub variant: &'a str,
    /// Numbers in the suffix that order builds of the same version.
    builds: Vec<u64>,
    /// True if the numbers start with a date, or with a year and a month.
    is_date: bool,
}

/// The parts of a tag that must be the same in comparable tags: words, separators, places and count of numbers, and
/// the numbers in words such as `alpine3.19`. A pre-release does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// The tag without its ordering numbers, commits and pre-release.
    text: String,
    /// The same, without the numbers of words.
    family: String,
}

impl Shape {
    /// Returns true if the tags would have the same shape with the same numbers in words.
    #[must_use]
    pub fn is_same_family(&self, other: &Self) -> bool {
        self.family == other.family
    }
}

/// A pre-release, such as `rc1`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct PreRelease {
    /// Pre-releases of a lower rank are older.
    rank: u8,
    /// The word in lower case.
    kind: String,
    /// At least one number. Without one in the tag, it is 0.
    numbers: Vec<u64>,
}

/// A single number from 100,000 is a date such as `20240807`, or a time, in tag rules.
pub(super) const MIN_DATE: u64 = 100_000;

/// A single number from 100 counts builds. It is not a major version.
const MIN_COUNTER: u64 = 100;

impl<'a> TagVersion<'a> {
    /// Parses a tag. Returns `None` if it has no version.
    #[must_use]
    pub fn parse(tag: &'a str) -> Option<Self> {
        parser::parse(tag).map(|(version, _)| version)
    }

    /// Parses a tag with its shape, which needs more memory.
    #[must_use]
    pub fn parse_with_shape(tag: &'a str) -> Option<(Self, Shape)> {
        parser::parse(tag).map(|(version, parser)| (version, parser.shape()))
    }

    /// Returns true if the version is not a pre-release.
    #[must_use]
    pub fn is_release(&self) -> bool {
        self.pre_release.is_none()
    }

    /// Returns true if the version is a single number that is a date, such as `20240807`.
    #[must_use]
    pub fn is_date(&self) -> bool {
        matches!(self.numbers[..], [number] if number >= MIN_DATE)
    }

    /// Returns true if the numbers are a date in any form, such as `2023-10-01` or `2024.10`.
    #[must_use]
    pub fn is_calendar(&self) -> bool {
        self.is_date
    }

    /// Returns true if `next` has a newer major version. Dates and counters have none.
    #[must_use]
    pub fn is_new_major(&self, next: &Self) -> bool {
        let is_counter = |version: &Self| matches!(version.numbers[..], [number] if number >= MIN_COUNTER && !numbers::is_year(number));
        let has_none = |version: &Self| version.is_date || is_counter(version);
        self.first_number() < next.first_number() && !has_none(self) && !has_none(next)
    }

    fn first_number(&self) -> u64 {
        self.numbers.first().copied().unwrap_or_default()
    }

    /// Orders versions by age, the oldest first. Prefix and words do not count.
    ///
    /// A pre-release is older than its release, `3.13` is older than `3.13.0`, and a date is older than any
    /// other version. Numbers of builds order tags of the same version.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Ordering {
        other.is_date().cmp(&self.is_date()).then_with(|| self.compare_in_scheme(other))
    }

    /// Orders comparable versions of one [`Scheme`], in which large numbers are not always dates.
    #[must_use]
    pub fn compare_in_scheme(&self, other: &Self) -> Ordering {
        self.compare_versions(other).then_with(|| self.builds.cmp(&other.builds))
    }

    /// Orders versions without regard to their builds.
    #[must_use]
    pub fn compare_versions(&self, other: &Self) -> Ordering {
        self.numbers
            .cmp(&other.numbers)
            .then_with(|| self.is_release().cmp(&other.is_release()))
            .then_with(|| self.pre_release_order().cmp(&other.pre_release_order()))
    }

    fn pre_release_order(&self) -> Option<(u8, &[u64])> {
        self.pre_release.as_ref().map(|one| (one.rank, one.numbers.as_slice()))
    }

    /// Returns a semantic version without the pre-release. Missing numbers are 0.
    #[must_use]
    pub fn release(&self) -> semver::Version {
        let number = |at: usize| self.numbers.get(at).copied().unwrap_or_default();
        semver::Version::new(number(0), number(1), number(2))
    }

    /// Returns a semantic version: `3.14rc1` is 3.14.0-rc.1. Missing numbers are 0.
    #[must_use]
    pub fn semantic(&self) -> semver::Version {
        let mut version = self.release();
        if let Some(PreRelease { kind, numbers, .. }) = &self.pre_release {
            let numbers: String = numbers.iter().map(|number| format!(".{number}")).collect();
            // The kinds are letters, so that the text is valid.
            version.pre = semver::Prerelease::new(&format!("{kind}{numbers}")).unwrap_or_default();
        }
        version
    }
}

/// Orders tags: versions before other tags, newer versions before older ones, and then by name.
#[must_use]
pub fn newest_first(a: &Tag, b: &Tag) -> Ordering {
    by_version((a, &TagVersion::parse(a.as_str())), (b, &TagVersion::parse(b.as_str())))
}

/// Returns the tags in the order of [`newest_first`]. Each tag is parsed once, because there can be 200,000.
#[must_use]
pub fn sorted_newest_first<'t>(tags: impl IntoIterator<Item = &'t Tag>) -> Vec<&'t Tag> {
    let mut parsed: Vec<_> = tags.into_iter().map(|tag| (tag, TagVersion::parse(tag.as_str()))).collect();
    parsed.sort_by(|(a, a_version), (b, b_version)| by_version((a, a_version), (b, b_version)));
    parsed.into_iter().map(|(tag, _)| tag).collect()
}

fn by_version(
    (a, a_version): (&Tag, &Option<TagVersion<'_>>),
    (b, b_version): (&Tag, &Option<TagVersion<'_>>),
) -> Ordering {
    let by_version = match (a_version, b_version) {
        (Some(a), Some(b)) => b.compare(a),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    };
    by_version.then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests;
