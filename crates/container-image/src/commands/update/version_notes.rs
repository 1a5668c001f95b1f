//! Notes about versions: before a file is changed, and for references that `--latest` and `--semver` cannot move.

use image_copy::list::TagVersion;

use super::changes::Entry;
use super::selection::{self, Selection};
use super::{Resolutions, Targets};
use crate::resolve::{Lookup, Resolution};
use crate::scan::RawReference;

/// Returns a note for each new major version, for each tag without a version, and for each newer version with another
/// base.
pub(super) fn notes(selection: &Selection, targets: &Targets<'_>, resolutions: &Resolutions) -> Vec<Entry> {
    let Some(lookup @ Lookup::NewestTag(requirement)) = &selection.lookup else { return Vec::new() };
    let option = if requirement.is_some() { "--semver" } else { "--latest" };
    let mut notes = Vec::new();
    for (target, found) in targets {
        let Some(query) = selection::reference_to_query(target) else { continue };
        let Some(Ok(resolution)) = resolutions.get(&query.to_string()) else { continue };
        let mut texts = Vec::new();
        if lacks_version(target, lookup) {
            texts.push(format!("{target} has no version in its tag; {option} keeps the tag"));
        }
        if let Some(result) = selection::apply_resolution(target, lookup, resolution)
            && is_new_major(target, &result)
        {
            let tag = |image: &RawReference| image.effective_tag().unwrap_or_default().to_owned();
            texts.push(format!("{} {} -> {} is a new major version", target.name, tag(target), tag(&result)));
        }
        if let Resolution::Tag { other_base: Some(other), .. } = resolution {
            texts.push(format!("{target} keeps its base; the newer tag {other} has another one"));
        }
        let (first, others) = places(found.locations());
        notes.extend(texts.into_iter().map(|text| Entry {
            reference: Some(target.to_string()),
            evidence: Some(found.evidence),
            message: format!("{first}: {text}{others}."),
        }));
    }
    notes
}

/// Returns the first place, and a text with the number of the others.
fn places(mut all: Vec<String>) -> (String, String) {
    let others = match all.len() {
        0 | 1 => String::new(),
        2 => " (and in 1 other place)".into(),
        count => format!(" (and in {} other places)", count - 1),
    };
    all.truncate(1);
    (all.pop().unwrap_or_default(), others)
}

/// Returns true if the tag has no version that `lookup` can move.
pub(super) fn lacks_version(target: &RawReference, lookup: &Lookup) -> bool {
    let has_version = |tag| TagVersion::parse(tag).is_some();
    matches!(lookup, Lookup::NewestTag(_)) && !target.effective_tag().is_some_and(has_version)
}

/// Returns true if the references have tags of different major versions.
pub(super) fn is_new_major(from: &RawReference, to: &RawReference) -> bool {
    let (Some(from), Some(to)) = (from.effective_tag(), to.effective_tag()) else { return false };
    let (Some(from), Some(to)) = (TagVersion::parse(from), TagVersion::parse(to)) else { return false };
    from.is_new_major(&to)
}
