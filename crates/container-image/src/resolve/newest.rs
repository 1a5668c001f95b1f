//! Selects the next tag of a repository.

use std::cmp::Ordering;

use image_copy::list::TagVersion;
use image_copy::oci::Tag;
use semver::VersionReq;

/// Returns the newest tag of the same variant that is not older than `current`.
///
/// A tag without a version is returned unchanged. `None` means that no tag meets the requirement.
pub(super) fn newest(current: &Tag, all: &[Tag], requirement: Option<&VersionReq>) -> Option<Tag> {
    let Some(own) = TagVersion::parse(current.as_str()) else {
        return requirement.is_none().then(|| current.clone());
    };
    let meets =
        |version: &TagVersion<'_>| requirement.is_none_or(|wanted| wanted.matches(&version.release()));
    let mut best = meets(&own).then(|| (current.as_str(), own.clone()));
    for tag in all {
        let Some(version) = TagVersion::parse(tag.as_str()).filter(|version| version.is_same_variant(&own))
        else {
            continue;
        };
        let minimum = best.as_ref().map_or(&own, |(_, best)| best);
        if meets(&version) && version.compare(minimum) == Ordering::Greater {
            best = Some((tag.as_str(), version));
        }
    }
    let (best, _) = best?;
    best.parse().ok()
}

/// Returns the tags that are more specific than `current`, the most specific first.
///
/// The order is total, so that a second run changes nothing.
pub(super) fn more_specific(current: &Tag, all: &[Tag]) -> Vec<Tag> {
    let is_more_specific = |tag: &&Tag| by_specificity(tag, current) == Ordering::Less;
    let mut tags: Vec<Tag> = all.iter().filter(is_more_specific).cloned().collect();
    tags.sort_by(by_specificity);
    tags
}

/// Orders versions before words, more numbers before fewer, releases before pre-releases, and newer before
/// older.
fn by_specificity(a: &Tag, b: &Tag) -> Ordering {
    let (left, right) = (TagVersion::parse(a.as_str()), TagVersion::parse(b.as_str()));
    match (&left, &right) {
        (Some(left), Some(right)) => right
            .numbers
            .len()
            .cmp(&left.numbers.len())
            .then_with(|| right.is_release().cmp(&left.is_release()))
            .then_with(|| right.compare(left))
            .then_with(|| a.as_str().len().cmp(&b.as_str().len()))
            .then_with(|| a.cmp(b)),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(names: &[&str]) -> Vec<Tag> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[track_caller]
    fn check(current: &str, requirement: &str, expected: Option<&str>) {
        let all = tags(&[
            "3",
            "3.8",
            "3.9",
            "3.10",
            "3.10.4",
            "3.11.0",
            "3.13",
            "4.0",
            "3.9-slim",
            "3.12-slim",
            "3.13-alpine",
            "3.14rc1",
            "3.14rc2",
            "3.14.0rc1",
            "v3.20",
            "20240807",
            "latest",
            "bookworm",
            "3.9-slim-bookworm",
            "bookworm-20240904",
            "bookworm-20241016",
            "2024.10",
            "3.14-rc",
        ]);
        let requirement = (!requirement.is_empty()).then(|| requirement.parse().unwrap());
        let found = newest(&current.parse().unwrap(), &all, requirement.as_ref());
        assert_eq!(found.as_ref().map(Tag::as_str), expected, "{current} {requirement:?}");
    }

    #[test]
    fn moves_to_the_newest_of_the_same_kind() {
        check("3.9", "", Some("4.0"));
        check("3.9", "^3.9", Some("3.13"));
        check("3.9", "~3.9", Some("3.9"));
        check("3.9", ">=3.9, <3.11", Some("3.10"));
        check("3.9-slim", "^3", Some("3.12-slim"));
        check("3.9-slim-bookworm", "", Some("3.9-slim-bookworm"));
        check("3.9.1", "", Some("3.11.0"));
        check("3", "", Some("3"));
        check("3.14rc1", "", Some("3.14rc2"));
        check("v3.1", "", Some("v3.20"));
        check("bookworm-20240904", "", Some("bookworm-20241016"));
    }

    #[test]
    fn never_moves_to_an_older_version_or_another_kind() {
        check("5.0", "", Some("5.0"));
        check("latest", "", Some("latest"));
        check("bookworm", "", Some("bookworm"));
        check("latest", "^3", None);
        check("3.9", "^7", None);
        check("4.0", "^3", None);
    }

    #[test]
    fn prefers_the_most_specific_tag() {
        let all = tags(&["latest", "3", "3.13-slim", "3.13.1-slim", "3.13.1", "3.13", "stable", "3.14.0rc1"]);
        let check = |current: &str, expected: &[&str]| {
            let found = more_specific(&current.parse().unwrap(), &all);
            assert_eq!(found.iter().map(Tag::as_str).collect::<Vec<_>>(), expected, "{current}");
        };
        check("stable", &["3.13.1", "3.13.1-slim", "3.14.0rc1", "3.13", "3.13-slim", "3", "latest"]);
        check("3.13", &["3.13.1", "3.13.1-slim", "3.14.0rc1"]);
        // A resolved tag stays unchanged.
        check("3.13.1-slim", &["3.13.1"]);
        check("3.13.1", &[]);
    }
}
