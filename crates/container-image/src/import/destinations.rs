//! Sorts images, removes duplicates, and gives each image its own destination, as `sync` requires.

use std::collections::HashMap;

use image_copy::copy::PlatformSelection;
use image_copy::list::{Entry, Target};
use image_copy::oci::{Platform, Reference};

use super::found::{Image, Omission};

/// Maximum number of platforms of an entry, as in lists.
const MAX_PLATFORMS: usize = 32;

/// Returns sorted images without duplicates and without conflicts. A conflict is a note, and an omission if no
/// other name is free.
pub(super) fn distinct(
    mut images: Vec<Image>,
    omissions: &mut Vec<Omission>,
    notes: &mut Vec<String>,
) -> Vec<Image> {
    images.sort_by_cached_key(|Image { entry, .. }| {
        let lines = entry.customization.as_ref().map(|lines| lines.digest().clone());
        (entry.source.to_string(), target_name(&entry.target), lines)
    });
    images.dedup_by(is_merged);
    let mut taken: HashMap<String, Reference> = HashMap::new();
    let mut kept = Vec::new();
    for mut image in images {
        let Image { entry, file, .. } = &image;
        let place = format!("{file}:{}: {}", entry.line, entry.source);
        let Some(other) = taken.get(&destination(entry)) else {
            taken.insert(destination(entry), entry.source.clone());
            kept.push(image);
            continue;
        };
        // Each rule selects other tags.
        if entry.rules.is_some() && *other == entry.source {
            kept.push(image);
            continue;
        }
        let is_free = |entry: &Entry| !taken.contains_key(&destination(entry));
        match alternatives(entry, other).into_iter().find(is_free) {
            Some(entry) => {
                notes.push(format!("{place} {}", renaming(&entry, other)));
                taken.insert(destination(&entry), entry.source.clone());
                image.entry = entry;
                kept.push(image);
            }
            None => {
                let text =
                    format!("{place} was omitted: {other} has the same destination. Rename one of them");
                notes.push(text.clone());
                omissions.push(Omission { subject: entry.source.to_string(), text });
            }
        }
    }
    // An image that lost its tag has another name.
    kept.sort_by_cached_key(|image| (image.entry.source.to_string(), target_name(&image.entry.target)));
    kept
}

/// Merges an image into an equal one. Returns false if they differ.
fn is_merged(next: &mut Image, first: &mut Image) -> bool {
    fn key(entry: &Entry) -> impl PartialEq + '_ {
        (&entry.source, &entry.target, &entry.rules, &entry.customization)
    }
    let is_equal = key(&next.entry) == key(&first.entry);
    if is_equal {
        // The more careful settings of the refresh stack.
        first.entry.min_age = first.entry.min_age.max(next.entry.min_age);
        first.entry.prune &= next.entry.prune;
        first.entry.is_shared &= next.entry.is_shared;
        first.entry.platforms = merged(first.entry.platforms.take(), next.entry.platforms.take());
        first.unsupported = first.unsupported.take().or_else(|| next.unsupported.take());
    }
    is_equal
}

/// Returns the platforms of both selections. No selection means all platforms.
fn merged(first: Option<PlatformSelection>, second: Option<PlatformSelection>) -> Option<PlatformSelection> {
    let (first, second) = (first?, second?);
    let (Some(mut all), Some(more)) = (platforms(&first), platforms(&second)) else {
        return Some(PlatformSelection::All);
    };
    for platform in more {
        if !all.iter().any(|known| known.normalized() == platform.normalized()) {
            all.push(platform);
        }
    }
    match all.as_slice() {
        [one] => Some(PlatformSelection::One(one.clone())),
        several if several.len() > MAX_PLATFORMS => None,
        _ => Some(PlatformSelection::Several(all)),
    }
}

/// Returns the platforms of a selection, or `None` for all.
pub(super) fn platforms(selection: &PlatformSelection) -> Option<Vec<Platform>> {
    match selection {
        PlatformSelection::All => None,
        PlatformSelection::One(one) | PlatformSelection::Preferred(one) => Some(vec![one.clone()]),
        PlatformSelection::Several(several) => Some(several.clone()),
    }
}

/// Returns a name of the destination. Images without a tag are stored by digest, and never replace each other.
/// Rules can select any tag.
fn destination(entry: &Entry) -> String {
    let target = target_name(&entry.target);
    match &entry.source.tag {
        Some(tag) => format!("{target}:{tag}"),
        None if entry.rules.is_some() => format!("{target}:*"),
        None => format!("{target}@{}", entry.source),
    }
}

pub(super) fn target_name(target: &Target) -> String {
    match target {
        Target::Below(path) => path.clone(),
        Target::Repository(name) => name.to_string(),
    }
}

/// Returns other destinations: by digest for an image of the same repository, or else another path.
fn alternatives(entry: &Entry, other: &Reference) -> Vec<Entry> {
    let source = &entry.source;
    if source.repository == other.repository && source.digest.is_some() {
        let source = Reference { tag: None, ..source.clone() };
        return vec![Entry { source, tag: None, ..entry.clone() }];
    }
    if matches!(entry.target, Target::Repository(_)) {
        return Vec::new();
    }
    let default = target_name(&Entry::new(source.clone(), entry.line).target);
    let host = host_component(source.repository.registry().as_str());
    let paths = [default, format!("{host}/{}", source.repository.path())].into_iter();
    let renamed = paths.filter(|path| is_path(path));
    renamed.map(|path| Entry { target: Target::Below(path), ..entry.clone() }).collect()
}

/// Returns true for a path of a repository.
pub(super) fn is_path(path: &str) -> bool {
    matches!(Target::parse(path), Ok(Target::Below(_)))
}

/// Returns a host as a component of a path: `quay-io` for `quay.io`.
fn host_component(host: &str) -> String {
    let words = host.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-")
}

fn renaming(entry: &Entry, other: &Reference) -> String {
    let path = target_name(&entry.target);
    match &entry.source.tag {
        Some(tag) => format!("is copied to {path}:{tag}, because {other} has the same destination"),
        None if entry.rules.is_some() => {
            format!("is copied to {path}, because {other} has the same destination")
        }
        None => format!("is copied without its tag, because {other} has the same tag"),
    }
}
