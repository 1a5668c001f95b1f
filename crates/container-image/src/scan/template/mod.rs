//! CloudFormation templates in YAML and JSON. The YAML parser also reads JSON.
//!
//! The properties in [`properties`] contain images, so short names are allowed there. [`finder`] follows
//! conditions, [`maps`] and parameter defaults to the text. In all other [`strings`], an image has a host.

mod finder;
mod maps;
mod properties;
mod strings;

use std::path::Path;

use super::{ImageMatch, Scan};
use image_copy::yaml::{Id, Tree};

/// File extensions of templates.
const EXTENSIONS: [&str; 6] = ["yaml", "yml", "json", "template", "cfn", "cform"];

/// Returns true if the file has an extension of templates.
pub(super) fn has_template_extension(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension.to_ascii_lowercase().as_str()))
}

/// Returns true if the text must be parsed to decide.
pub(super) fn may_be_template(text: &str) -> bool {
    text.contains("Resources") && (text.contains("AWS::") || text.contains("Custom::"))
}

/// Returns true if an invalid document is meant as a template. Sources of template engines, such as Helm
/// and Jinja, are not.
pub(super) fn is_intended_template(text: &str) -> bool {
    !has_template_engine_syntax(text)
        && (has_key(text, "AWSTemplateFormatVersion") || (has_key(text, "Resources") && has_type(text)))
}

fn has_template_engine_syntax(text: &str) -> bool {
    // `{{resolve:…}}` is a dynamic reference of CloudFormation.
    let mut braces = text.match_indices("{{").map(|(at, _)| &text[at + 2..]);
    ["{%", "<%", "{#"].iter().any(|mark| text.contains(mark))
        || braces.any(|after| !after.starts_with("resolve:"))
}

/// Returns true if the document has the top-level key. In YAML, it is at the start of a line.
fn has_key(text: &str, key: &str) -> bool {
    let text = text.trim_start_matches('\u{feff}');
    let is_json = text.trim_start().starts_with('{');
    text.match_indices(key).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + key.len()..]);
        let begins = before.trim_end_matches(['"', '\'']);
        let is_quoted = begins.len() < before.len();
        let is_first = begins.is_empty() || begins.ends_with('\n') || (is_json && is_quoted);
        is_first && after.trim_start_matches(['"', '\'']).trim_start_matches([' ', '\t']).starts_with(':')
    })
}

/// Returns true if any `Type` is a resource type.
fn has_type(text: &str) -> bool {
    let names = ["AWS::", "Custom::"].into_iter().flat_map(|name| text.match_indices(name));
    names.into_iter().any(|(at, _)| {
        let before = text[..at].trim_end_matches(['"', '\'', ' ', '\t']);
        before.strip_suffix(':').is_some_and(|key| key.trim_end_matches(['"', '\'', ' ']).ends_with("Type"))
    })
}

/// Finds the images of a template. Returns `None` if the documents are no templates.
pub(super) fn scan(text: &str, tree: &Tree) -> Option<Scan> {
    if !tree.roots().any(|root| is_template(tree, root)) {
        return None;
    }
    let mut scan = Scan::default();
    for root in tree.roots() {
        let one = finder::ImageFinder::new(text, tree, root).images();
        scan.images.extend(one.images);
        scan.notes.extend(one.notes);
        scan.errors.extend(one.errors);
    }
    scan.images.sort_by_key(ImageMatch::start);
    scan.images.dedup();
    for notes in [&mut scan.notes, &mut scan.errors] {
        notes.sort_by_key(|note| note.at);
        notes.dedup();
    }
    Some(scan)
}

/// Returns true if a resource has a type with `::`.
fn is_template(tree: &Tree, root: Id) -> bool {
    let Some(resources) = tree.get(root, "Resources") else { return false };
    properties::resources(tree, resources).all.iter().any(|resource| {
        tree.get(*resource, "Type").and_then(|kind| tree.text(kind)).is_some_and(|kind| kind.contains("::"))
    })
}

#[cfg(test)]
mod tests;
