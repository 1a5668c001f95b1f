//! Versions in tags.

use std::cmp::Ordering;

use crate::oci::Tag;

/// The parts of a tag: `v1.27.0-rc.2-alpine3.19` has the prefix `v`, the numbers 1, 27 and 0, the
/// pre-release `rc` 2, and the suffix `-alpine3.19`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagVersion<'a> {
    /// Text before the first number.
    pub prefix: &'a str,
    /// The numbers, at least one.
    pub numbers: Vec<u64>,
    /// Kind and number of a pre-release. Without a number, it is 0.
    pre_release: Option<(String, u64)>,
    /// Text after the numbers and the pre-release, with its separator.
    pub suffix: &'a str,
}

/// Names of pre-releases. The single letters are those of Python.
const PRE_RELEASES: [&str; 9] = ["alpha", "beta", "preview", "snapshot", "pre", "dev", "rc", "a", "b"];

/// A first number from 1000 is a year or a date. It is not a successor of a small number.
const MIN_YEAR: u64 = 1000;

/// A single number from 100,000 is a date such as `20240807`, or a time. Numbers of builds are smaller.
pub(super) const MIN_DATE: u64 = 100_000;

impl<'a> TagVersion<'a> {
    /// Parses a tag. Returns `None` if it has no version.
    #[must_use]
    pub fn parse(tag: &'a str) -> Option<Self> {
        let digits = tag.find(|c: char| c.is_ascii_digit())?;
        let (prefix, rest) = tag.split_at(digits);
        let is_word = prefix.ends_with(['-', '_', '.']) && !prefix.starts_with(['-', '_', '.']);
        // A commit is not a version, even if it starts with digits.
        if !(prefix.is_empty() || prefix == "v" || is_word) || matches!(prefix, "sha-" | "git-") {
            return None;
        }
        let mut numbers = Vec::new();
        let mut rest = rest;
        loop {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            numbers.push(rest[..end].parse().ok()?);
            rest = &rest[end..];
            match rest.strip_prefix('.') {
                Some(more) if more.starts_with(|c: char| c.is_ascii_digit()) => rest = more,
                _ => break,
            }
        }
        let (pre_release, suffix) = pre_release(rest);
        // A commit, such as 3f1a9c0be2d7.
        if pre_release.is_none() && suffix.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            return None;
        }
        Some(Self { prefix, numbers, pre_release, suffix })
    }

    /// Returns true if the tags differ only in the version: both are releases or the same kind of
    /// pre-release, have the same suffix such as `-slim`, and the same count of numbers.
    #[must_use]
    pub fn is_same_variant(&self, other: &Self) -> bool {
        let kind = |version: &Self| version.pre_release.as_ref().map(|(kind, _)| kind.clone());
        let is_year = |version: &Self| version.numbers.first().is_some_and(|first| *first >= MIN_YEAR);
        self.prefix == other.prefix
            && self.suffix == other.suffix
            && self.numbers.len() == other.numbers.len()
            && kind(self) == kind(other)
            && is_year(self) == is_year(other)
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

    /// Orders versions by age, the oldest first. Prefix and suffix do not count.
    ///
    /// A pre-release is older than its release, `3.13` is older than `3.13.0`, and a date is older than any
    /// other version.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Ordering {
        other
            .is_date()
            .cmp(&self.is_date())
            .then_with(|| self.numbers.cmp(&other.numbers))
            .then_with(|| self.is_release().cmp(&other.is_release()))
            .then_with(|| self.pre_release.cmp(&other.pre_release))
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
        if let Some((kind, number)) = &self.pre_release {
            // The kinds are letters, so that the text is valid.
            version.pre = semver::Prerelease::new(&format!("{kind}.{number}")).unwrap_or_default();
        }
        version
    }
}

/// Returns the pre-release at the start of `rest`, and the text after it.
fn pre_release(rest: &str) -> (Option<(String, u64)>, &str) {
    let inner = rest.trim_start_matches(['-', '.', '_']);
    let word = inner.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(inner.len());
    let (kind, after) = inner.split_at(word);
    if rest.len() - inner.len() > 1 || !PRE_RELEASES.contains(&kind.to_ascii_lowercase().as_str()) {
        return (None, rest);
    }
    let number = after.strip_prefix(['.', '-']).filter(|n| n.starts_with(|c: char| c.is_ascii_digit()));
    let number = number.unwrap_or(after);
    let end = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    // A single letter without a number is a variant or a patch, as in OpenSSL's 1.1.1b.
    if kind.len() == 1 && (end == 0 || inner.len() != rest.len()) {
        return (None, rest);
    }
    let (number, suffix) = number.split_at(end);
    (Some((kind.to_ascii_lowercase(), number.parse().unwrap_or_default())), suffix)
}

/// Orders tags: versions before other tags, newer versions before older ones, and then by name.
#[must_use]
pub fn newest_first(a: &Tag, b: &Tag) -> Ordering {
    let by_version = match (TagVersion::parse(a.as_str()), TagVersion::parse(b.as_str())) {
        (Some(a), Some(b)) => b.compare(&a),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    };
    by_version.then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_tags_into_parts() {
        let version = TagVersion::parse("v1.27.0-rc.2-alpine3.19").unwrap();
        let pre_release = Some(("rc".to_owned(), 2));
        let expected =
            TagVersion { prefix: "v", numbers: vec![1, 27, 0], pre_release, suffix: "-alpine3.19" };
        assert_eq!(version, expected);
        let parts = |tag| TagVersion::parse(tag).map(|v| (v.prefix, v.numbers, v.pre_release, v.suffix));
        assert_eq!(parts("3.13.0rc1"), Some(("", vec![3, 13, 0], Some(("rc".into(), 1)), "")));
        assert_eq!(parts("3.9-slim-bookworm"), Some(("", vec![3, 9], None, "-slim-bookworm")));
        assert_eq!(parts("bookworm-20240904"), Some(("bookworm-", vec![20_240_904], None, "")));
        assert_eq!(parts("8-jdk"), Some(("", vec![8], None, "-jdk")));
        assert_eq!(parts("1.2-b"), Some(("", vec![1, 2], None, "-b")));
        for none in ["latest", "bookworm", "3f1a9c0be2d7", "sha-123456", "1.1.1b", "99999999999999999999"] {
            assert_eq!(parts(none), None, "{none}");
        }
    }

    #[test]
    fn orders_versions_by_age() {
        let ordered = [
            "20240807",
            "bookworm-20241016",
            "0.9",
            "3",
            "3.9",
            "3.13",
            "3.13.0a2",
            "3.13.0rc1",
            "3.13.0rc2",
            "3.13.0",
            "v3.13.1-slim",
            "2024.10",
        ];
        let versions: Vec<_> = ordered.iter().map(|tag| TagVersion::parse(tag).unwrap()).collect();
        for pair in versions.windows(2) {
            assert_eq!(pair[0].compare(&pair[1]), Ordering::Less, "{pair:?}");
        }
        assert_eq!(versions[3].compare(&TagVersion::parse("v3-slim").unwrap()), Ordering::Equal);
    }

    #[test]
    fn a_pre_release_is_semantic() {
        let semantic = |tag| TagVersion::parse(tag).unwrap().semantic().to_string();
        assert_eq!(semantic("3.14rc1"), "3.14.0-rc.1");
        assert_eq!(semantic("v1.27.0-rc.2-alpine3.19"), "1.27.0-rc.2");
        assert_eq!(semantic("3"), "3.0.0");
    }
}
