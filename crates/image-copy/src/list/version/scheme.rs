//! Schemes of tags: small numbers, years and dates in one repository.

use std::collections::HashSet;

use super::TagVersion;
use super::numbers::{calendar_digits, digits};

/// First numbers of tags with the same shape that look like years or dates, but only count.
///
/// Repositories mix versions and dates: `3`, `3.20` and `20240807`. A date is not a successor of a version. But
/// after build 999 comes 1000, and later 2007, which looks like a year. If other tags have a number with as many digits
/// that is not a year or a date, such as 1000, then all numbers with as many digits count.
#[derive(Debug, Clone, Default)]
pub struct Scheme {
    /// Counts of digits.
    counters: HashSet<u32>,
}

impl Scheme {
    /// Derives the scheme of tags with the same shape.
    #[must_use]
    pub fn of<'v>(versions: impl IntoIterator<Item = &'v TagVersion<'v>>) -> Self {
        let numbers = versions.into_iter().map(TagVersion::first_number);
        Self { counters: numbers.filter(|one| calendar_digits(*one).is_none()).map(digits).collect() }
    }

    /// Returns true if the tags both start with a date of the same length, or both do not.
    #[must_use]
    pub fn is_comparable(&self, one: &TagVersion<'_>, other: &TagVersion<'_>) -> bool {
        let date = |version: &TagVersion<'_>| {
            calendar_digits(version.first_number()).filter(|digits| !self.counters.contains(digits))
        };
        date(one) == date(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(tags: &[&str], one: &str, other: &str, expected: bool) {
        let versions: Vec<TagVersion<'_>> = tags.iter().filter_map(|tag| TagVersion::parse(tag)).collect();
        let parse = |tag| TagVersion::parse(tag).unwrap();
        let scheme = Scheme::of(&versions);
        assert_eq!(scheme.is_comparable(&parse(one), &parse(other)), expected, "{tags:?} {one} {other}");
    }

    #[test]
    fn separates_versions_from_dates() {
        check(&["3", "20240807"], "3", "20240807", false);
        check(&["3.9", "2024.10"], "3.9", "2024.10", false);
        check(&["2", "2023"], "2", "2023", false);
        check(&["20230901", "20240807"], "20230901", "20240807", true);
        // A later number can change from a counter to a date.
        check(&["9.3-1552", "9.5-1733517551"], "9.3-1552", "9.5-1733517551", true);
    }

    #[test]
    fn counters_pass_years_and_dates() {
        check(&["999", "1000", "2007"], "999", "2007", true);
        check(&["1999", "2000", "2100"], "1999", "2100", true);
        check(&["99998", "100001", "200001"], "99998", "200001", true);
    }
}
