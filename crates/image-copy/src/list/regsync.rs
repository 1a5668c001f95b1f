//! The `sync` section of a regsync file (<https://regclient.org/usage/regsync/>).
//!
//! One run of regsync is reproduced: keys that only set the time or the speed of runs are ignored. Other keys
//! without an equivalent are errors, unless their value is `false`.

use super::entry::{Entry, Target, has_tag_or_digest};
use super::fields::Fields;
use super::output::{Output, quoted};
use crate::oci::{Reference, Tag};
use crate::yaml::{Id, Tree};

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
        "source" | "target" | "type" | "tags" | "platform" | "platforms" => None,
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
        Some("repository") => {
            for (tag, line) in tags(item, output) {
                let source = entry.source.repository.with_tag(tag.clone());
                output.entry(Entry { line, source, tag: Some(tag), ..entry.clone() });
            }
        }
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

/// Returns the tags in `tags.allow`. regsync reads regular expressions. Only those that match one tag are
/// supported.
fn tags(item: &Fields<'_>, output: &mut Output) -> Vec<(Tag, usize)> {
    if item.get("tags").is_none() {
        item.error("tags", "is missing. Add allow with a list of tags below it", output);
    }
    let Some(rules) = item.mapping("tags", output) else { return Vec::new() };
    rules.check_keys(output, |key, _| match key {
        "allow" => None,
        _ => Some("has no equivalent. List the tags in allow".into()),
    });
    let mut tags = Vec::new();
    for (text, line) in rules.texts("allow", output).unwrap_or_default() {
        let exact = text.strip_prefix('^').unwrap_or(text);
        let exact = exact.strip_suffix('$').unwrap_or(exact).replace("\\.", ".");
        match exact.parse() {
            Ok(tag) => tags.push((tag, line)),
            Err(_) => {
                let problem = format!("{} is a regular expression. Write an exact tag", quoted(text));
                rules.error_in(line, "allow", &problem, output);
            }
        }
    }
    tags
}
