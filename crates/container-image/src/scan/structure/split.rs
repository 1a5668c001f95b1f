//! Images whose name and tag are separate values of a mapping: Helm values, Kustomize and Ansible.

use std::ops::Range;

use image_copy::yaml::{Id, Tree};

use super::value::is_image_name;
use crate::scan::scalar::is_null;
use crate::scan::spelling::{Part, Parts, Style};
use crate::scan::{Evidence, ImageMatch, RawReference, Spelling};

/// An image in several values.
pub(super) struct SplitImage {
    pub(super) image: ImageMatch,
    /// Values of the name.
    pub(super) name_nodes: Vec<Id>,
    /// Values that change.
    pub(super) values: Vec<Id>,
}

/// Keys that spell an image together, the first with a value wins.
struct Keys {
    names: &'static [&'static str],
    tags: &'static [&'static str],
}

/// Entries of `images` in Kustomize. If an entry has `newTag` and `digest`, both are in the result
/// (<https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/images>).
const KUSTOMIZE: Keys = Keys { names: &["newName", "name"], tags: &["newTag"] };

/// The mapping below a key such as `image`.
const IMAGE: Keys =
    Keys { names: &["repository", "image", "name", "repo"], tags: &["tag", "version", "imageTag"] };

/// A mapping with other values. Charts have no standard for their values.
const OTHER: Keys = Keys { names: &["repository", "image"], tags: &["tag", "imageTag"] };

/// A mapping with the name and the tag in keys that can only be those of an image.
const LONG: Keys = Keys { names: &["imageName", "imageRepository"], tags: &["imageTag"] };

/// A mapping with a repository below any key. Only a host is evidence.
const REPOSITORY: Keys = Keys { names: &["repository"], tags: &["tag"] };

/// Returns the image that the entries of a mapping spell. `path` is the key of the mapping and the key above it.
pub(super) fn find(text: &str, tree: &Tree, mapping: Id, path: &[&str; 2]) -> Option<SplitImage> {
    let keys = keys(tree, mapping, path)?;
    let value = |key: &str| tree.get(mapping, key).filter(|value| has_text(tree, *value));
    let name = keys.names.iter().find_map(|key| value(key))?;
    let registry = value("registry").filter(|_| !std::ptr::eq(keys.names, KUSTOMIZE.names));
    let tag = own_entry(tree, mapping, keys.tags);
    let digest = own_entry(tree, mapping, &["digest"]);
    let tag_text = tag.map(|(_, value)| text_of(tree, value)).unwrap_or_default();
    let digest_text = digest.map(|(_, value)| text_of(tree, value)).unwrap_or_default();
    if tag_text.is_empty() && digest_text.is_empty() {
        return None;
    }
    let mut reference = registry.map(|node| text_of(tree, node)).unwrap_or_default().to_owned();
    if !reference.is_empty() {
        reference = format!("{}/", reference.trim_end_matches('/'));
    }
    reference.push_str(text_of(tree, name));
    let without_tag: RawReference = reference.parse().ok()?;
    if without_tag.tag.is_some() || without_tag.digest.is_some() {
        return None;
    }
    for (separator, part) in [(':', tag_text), ('@', digest_text)] {
        if !part.is_empty() {
            reference.push(separator);
            reference.push_str(part);
        }
    }
    let image: RawReference = reference.parse().ok()?;
    if !is_image_name(&image) {
        return None;
    }
    let is_field = !std::ptr::eq(keys.names, REPOSITORY.names);
    let evidence = if is_field { Evidence::Field } else { Evidence::of_host(&image)? };
    let part = |entry: Option<(Id, Id)>| match entry {
        Some((key, value)) => part(text, tree, key, value).map(Some),
        None => Some(None),
    };
    let (tag_part, digest_part) = (part(tag)?, part(digest)?);
    let values: Vec<Id> = [tag, digest].into_iter().flatten().map(|(_, value)| value).collect();
    let name_nodes: Vec<Id> = registry.into_iter().chain([name]).collect();
    // The name can be an alias, or can come from a merged mapping.
    let own = |node: &Id| tree.pairs(mapping).contains(node) && tree.resolve(*node) == *node;
    let start_of = |node: &Id| inner(text, &tree.range(*node)).start;
    let start = name_nodes.iter().chain(&values).filter(|node| own(node)).map(start_of).min()?;
    let tag_key = tag_name(&keys);
    let parts = Parts { start, tag: tag_part, digest: digest_part, tag_key };
    let spelling = Spelling::Parts(Box::new(parts));
    Some(SplitImage { image: ImageMatch { image, evidence, spelling }, name_nodes, values })
}

fn tag_name(keys: &Keys) -> &'static str {
    keys.tags.first().copied().unwrap_or_default()
}

fn keys(tree: &Tree, mapping: Id, [key, above]: &[&str; 2]) -> Option<Keys> {
    let has = |key: &str| tree.get(mapping, key).is_some();
    if *key == "images" && has("name") {
        return Some(KUSTOMIZE);
    }
    if key.get(key.len().saturating_sub(5)..).is_some_and(|end| end.eq_ignore_ascii_case("image")) {
        return Some(IMAGE);
    }
    if has("imageTag") && LONG.names.iter().any(|name| has(name)) {
        return Some(LONG);
    }
    // `image` with a separate tag, or a repository that can only be one of images.
    let is_image = has("image") || has("registry") || has("pullPolicy") || has("imagePullPolicy");
    if is_image || above.to_ascii_lowercase().ends_with("images") {
        return Some(OTHER);
    }
    (has("repository") && has("tag")).then_some(REPOSITORY)
}

fn has_text(tree: &Tree, node: Id) -> bool {
    !text_of(tree, node).is_empty()
}

/// Maximum length of a part of an image in bytes. A name has at most 255.
const MAX_PART_BYTES: usize = 1024;

/// Returns the text of a value. Null is empty, and so is a long text, which many aliases can repeat.
fn text_of(tree: &Tree, node: Id) -> &str {
    let text = tree.text(node).filter(|text| text.len() <= MAX_PART_BYTES && !is_null(text));
    text.unwrap_or_default().trim()
}

/// Returns key and value of the first key that has a value, or otherwise of the first that exists. Merged
/// mappings are left out, because other mappings share their values.
fn own_entry(tree: &Tree, mapping: Id, names: &[&str]) -> Option<(Id, Id)> {
    let pairs = || tree.pairs(mapping).chunks_exact(2).map(|pair| (pair[0], pair[1]));
    let entry = |name: &&str| pairs().find(|(key, _)| tree.text(*key) == Some(name));
    let entries: Vec<(Id, Id)> = names.iter().filter_map(entry).collect();
    entries.iter().find(|(_, value)| has_text(tree, *value)).or(entries.first()).copied()
}

/// Returns the place of a value. An alias, a list, a block of lines or an escape sequence has none.
fn part(text: &str, tree: &Tree, key: Id, value: Id) -> Option<Part> {
    if tree.resolve(value) != value {
        return None;
    }
    let written = tree.text(value)?;
    let (key_range, range) = (tree.range(key), tree.range(value));
    let is_json = text[key_range.clone()].starts_with('"');
    let content = text_of(tree, value).to_owned();
    let key = inner(text, &key_range);
    if range.is_empty() {
        let after_key = &text[key_range.end..];
        let spaces = after_key.len() - after_key.trim_start().len();
        let end = key_range.end + spaces + 1;
        return after_key[spaces..].starts_with(':').then_some(Part {
            key,
            value: end..end,
            text: content,
            style: Style::Missing,
        });
    }
    let between = &text[key_range.end..range.start];
    let is_block = between.contains('\n') && between.contains(['|', '>']);
    let (value, style) = match text.as_bytes()[range.start] {
        b'"' | b'\'' => (inner(text, &range), Style::Quoted),
        _ if is_json => (range, Style::Json),
        _ if is_block => return None,
        _ => (range, Style::Plain),
    };
    (text[value.clone()] == *written).then_some(Part { key, value, text: content, style })
}

/// Returns the range inside of the quotes.
fn inner(text: &str, range: &Range<usize>) -> Range<usize> {
    match text.as_bytes().get(range.start) {
        Some(b'"' | b'\'') if range.len() > 1 => range.start + 1..range.end - 1,
        _ => range.clone(),
    }
}
