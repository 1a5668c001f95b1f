//! Selects the next tag of a repository.

use std::cmp::Ordering;

use image_copy::list::{Scheme, Shape, TagVersion};
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

/// A tag with its version, of the same family as the current tag.
struct Candidate<'a> {
    tag: &'a Tag,
    version: TagVersion<'a>,
    /// False if a number in a word differs.
    is_same_shape: bool,
}

/// Returns the newest tag of the same shape that is not older than `current`. docs/versions.md has the rules.
///
/// `None` means that the current tag has no version, or that no tag meets the requirement. A release never moves to a
/// pre-release. A pre-release moves to the newest release, or without a newer release to the newest pre-release.
pub(super) fn newest(current: &Tag, all: &[Tag], requirement: Option<&VersionReq>) -> Option<Newest> {
    let (own, shape) = TagVersion::parse_with_shape(current.as_str())?;
    let mut family: Vec<Candidate<'_>> = all.iter().filter_map(|tag| candidate(tag, &shape)).collect();
    let same_shape = family.iter().filter(|one| one.is_same_shape).map(|one| &one.version);
    let scheme = Scheme::of(same_shape.chain([&own]));
    let meets =
        |version: &TagVersion<'_>| requirement.is_none_or(|wanted| wanted.matches(&version.release()));
    family.retain(|Candidate { version, .. }| {
        scheme.is_comparable(&own, version)
            && meets(version)
            && version.compare_in_scheme(&own) == Ordering::Greater
    });
    let same_shape = || family.iter().filter(|one| one.is_same_shape);
    let release = same_shape().filter(|one| one.version.is_release()).max_by(|a, b| by_age(a, b));
    let best = release.or_else(|| same_shape().filter(|_| !own.is_release()).max_by(|a, b| by_age(a, b)));
    let (tag, version) = match best {
        Some(best) => (best.tag, &best.version),
        None if meets(&own) => (current, &own),
        None => return None,
    };
    let is_ahead = |one: &&Candidate<'_>| {
        one.version.is_release() && one.version.compare_versions(version) == Ordering::Greater
    };
    let other_base = family.iter().filter(is_ahead).max_by(|a, b| by_age(a, b));
    Some(Newest { tag: tag.clone(), other_base: other_base.map(|one| one.tag.clone()) })
}

fn candidate<'a>(tag: &'a Tag, wanted: &Shape) -> Option<Candidate<'a>> {
    let (version, shape) = TagVersion::parse_with_shape(tag.as_str())?;
    let is_same_shape = shape == *wanted;
    shape.is_same_family(wanted).then_some(Candidate { tag, version, is_same_shape })
}

/// Orders tags by age. Tags of the same version, such as `2024.1` and `2024.01`, are ordered by their text.
fn by_age(one: &Candidate<'_>, other: &Candidate<'_>) -> Ordering {
    one.version.compare_in_scheme(&other.version).then_with(|| one.tag.cmp(other.tag))
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
