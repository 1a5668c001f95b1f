//! The `sync` section of a regsync file (<https://regclient.org/usage/regsync/>).
//!
//! One run of regsync is reproduced: keys that only set the time or the speed of runs are ignored. Other keys
//! without an equivalent are errors, unless their value is `false`.

mod tags;

use super::entry::{Entry, Target, has_tag_or_digest};
use super::fields::Fields;
use super::output::Output;
use crate::oci::Reference;
use crate::yaml::{Id, Tree};

pub use tags::regsync_range;

/// Keys of `defaults` and of each item that do not change what one run copies.
const IGNORED: [&str; 9] = [
    "blobLimit",
    "cacheCount",
    "cacheTime",
    "fastCopy",
    "interval",
    "parallel",
    "ratelimit",
    "schedule",
    "userAgent",
];

pub(super) fn parse(file: &Fields<'_>, output: &mut Output) {
    let tree = file.tree();
    file.check_keys(output, |key, value| match key {
        "creds" | "defaults" | "sync" => None,
        "version" if tree.text(value) == Some("1") => None,
        "version" => Some("is not 1. Write the list in version 1 of regsync".into()),
        // regsync ignores these keys, which hold anchors.
        _ if key.starts_with("x-") => None,
        _ => Some("has no equivalent. Remove it".into()),
    });
    for (item, path) in file.items("creds", output) {
        let Some(credentials) = Fields::new(tree, item, path, output) else { continue };
        credentials.check_keys(output, |key, _| match key {
            // Without user and password, regsync reads Docker's credentials, too.
            "registry" => None,
            _ => Some("has no equivalent. Remove it, and log in to the registry".into()),
        });
    }
    if let Some(defaults) = file.mapping("defaults", output) {
        defaults.check_keys(output, |key, value| without_equivalent(tree, key, value));
    }
    for (item, path) in file.items("sync", output) {
        if output.is_full() {
            break;
        }
        if let Some(item) = Fields::new(tree, item, path, output) {
            parse_item(&item, output);
        }
    }
}

/// Returns the end of a sentence if a key changes the result.
fn without_equivalent(tree: &Tree, key: &str, value: Id) -> Option<String> {
    let is_off = tree.text(value) == Some("false");
    (!is_off && !IGNORED.contains(&key)).then(|| "has no equivalent. Remove it".into())
}

fn parse_item(item: &Fields<'_>, output: &mut Output) {
    item.check_keys(output, |key, value| match key {
        "source" | "target" | "type" | "tags" | "tagSets" | "platform" | "platforms" => None,
        _ => without_equivalent(item.tree(), key, value),
    });
    let kind = item.required_text("type", output);
    let source = reference(item, "source", output);
    let target = reference(item, "target", output);
    let (Some((source_text, source)), Some((_, target))) = (source, target) else { return };
    let mut entry = Entry::new(source, item.line());
    entry.target = Target::Repository(target.repository.clone());
    entry.platforms = item.platforms("platforms", output).or_else(|| item.platforms("platform", output));
    match kind {
        Some("image") => output.entry(Entry { tag: target.tag, ..entry }),
        Some("repository") if has_tag_or_digest(source_text) => {
            item.error("source", "has a tag, but type is repository. Write type: image", output);
        }
        Some("repository") => tags::parse(item, &entry, output),
        Some(_) => item.error("type", "is not image or repository. List each repository", output),
        None => {}
    }
}

fn reference<'a>(item: &Fields<'a>, key: &str, output: &mut Output) -> Option<(&'a str, Reference)> {
    let text = item.required_text(key, output)?;
    if text.contains("{{") {
        item.error(key, "contains a template, which is not supported. Write the reference", output);
        return None;
    }
    Some((text, item.parse(key, item.line_of(key), text, output)?))
}
