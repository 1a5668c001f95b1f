//! Selects the next tag of a repository.

use std::cmp::Ordering;

use image_copy::list::{Scheme, TagVersion};
use image_copy::oci::Tag;
use semver::VersionReq;

/// The newest tag of the same shape, which can be the current one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Newest {
    pub(super) tag: Tag,
    /// A tag of a newer version that differs in the numbers of words, such as `3.14-alpine3.22` for
    /// `3.13-alpine3.19`.
    pub(super) other_base: Option<Tag>,
}

/// A tag with its version.
#[derive(Clone, Copy)]
struct Candidate<'a, 'v> {
    tag: &'a str,
    version: &'v TagVersion<'a>,
}

/// Returns the newest tag of the same shape that is not older than `current`. docs/versions.md has the rules.
///
/// `None` means that the current tag has no version, or that no tag meets the requirement. A release never moves to a pre-release. A pre-release moves to the newest release, or without a newer release to the
/// newest pre-release.
pub(super) fn newest(current: &Tag, all: &[Tag], requirement: Option<&VersionReq>) -> Option<Newest> {
    let own = TagVersion::parse(current.as_str())?;
    let meets =
        |version: &TagVersion<'_>| requirement.is_none_or(|wanted| wanted.matches(&version.release()));
    let parsed = all.iter().filter_map(|tag| Some((tag.as_str(), TagVersion::parse(tag.as_str())?)));
    let family: Vec<_> = parsed.filter(|(_, version)| version.is_same_family(&own)).collect();
    let same_shape = family.iter().map(|(_, version)| version).filter(|version| version.is_same_shape(&own));
    let scheme = Scheme::of(same_shape.chain([&own]));
    let newer: Vec<Candidate<'_, '_>> = family
        .iter()
        .map(|(tag, version)| Candidate { tag, version })
        .filter(|one| scheme.is_comparable(&own, one.version) && meets(one.version))
        .filter(|one| one.version.compare_in_scheme(&own) == Ordering::Greater)
        .collect();
    let own = Candidate { tag: current.as_str(), version: &own };
    let same_shape = newer.iter().filter(|one| one.version.is_same_shape(own.version));
    let best = best(own, same_shape.copied()).or_else(|| meets(own.version).then_some(own))?;
    let is_ahead = |one: &&Candidate<'_, '_>| {
        one.version.is_release() && one.version.compare_versions(best.version) == Ordering::Greater
    };
    let other_base = newer.iter().filter(is_ahead).copied().max_by(by_age);
    Some(Newest { tag: best.tag.parse().ok()?, other_base: other_base.and_then(|one| one.tag.parse().ok()) })
}

/// Returns the newest release, or the newest pre-release for a pre-release.
fn best<'a, 'v>(
    own: Candidate<'a, 'v>,
    newer: impl Iterator<Item = Candidate<'a, 'v>> + Clone,
) -> Option<Candidate<'a, 'v>> {
    let release = newer.clone().filter(|one| one.version.is_release()).max_by(by_age);
    release.or_else(|| newer.filter(|_| !own.version.is_release()).max_by(by_age))
}

/// Orders tags by age. Tags of the same version, such as `2024.1` and `2024.01`, are ordered by their text.
fn by_age(one: &Candidate<'_, '_>, other: &Candidate<'_, '_>) -> Ordering {
    one.version.compare_in_scheme(other.version).then_with(|| one.tag.cmp(other.tag))
}

/// Returns the tags that are more specific than `current`, the most specific first.
///
/// The order is total, so that a second run changes nothing.
pub(super) fn more_specific(current: &Tag, all: &[Tag]) -> Vec<Tag> {
    let own = (current, TagVersion::parse(current.as_str()));
    let parsed = all.iter().map(|tag| (tag, TagVersion::parse(tag.as_str())));
    let mut tags: Vec<_> = parsed.filter(|one| by_specificity(one, &own) == Ordering::Less).collect();
    tags.sort_by(by_specificity);
    tags.into_iter().map(|(tag, _)| tag.clone()).collect()
}

/// Orders versions before words, more numbers before fewer, releases before pre-releases, and newer before
/// older. A date is as specific as one number.
fn by_specificity(
    (a, left): &(&Tag, Option<TagVersion<'_>>),
    (b, right): &(&Tag, Option<TagVersion<'_>>),
) -> Ordering {
    let numbers = |version: &TagVersion<'_>| if version.is_calendar() { 1 } else { version.numbers.len() };
    match (left, right) {
        (Some(left), Some(right)) => numbers(right)
            .cmp(&numbers(left))
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
mod tests;
