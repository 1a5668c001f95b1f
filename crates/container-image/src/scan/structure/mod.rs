//! Files in YAML and JSON that are no CloudFormation templates.
//!
//! The [`mod@format`] decides which values hold an image. All other strings and the comments are searched as plain
//! text. Keys, tags, anchors and aliases are never images.

mod comments;
mod finder;
mod format;
mod pattern;
mod split;
mod value;

use std::borrow::Cow;
use std::path::Path;

use image_copy::yaml::{SyntaxError, Tree};

use super::{ImageMatch, text};
use format::Format;

/// A file in YAML or JSON.
pub(super) struct Source<'a> {
    /// Content with spaces in place of the comments of JSON.
    text: Cow<'a, str>,
    pub(super) tree: Tree,
    /// Images in the comments of JSON.
    in_comments: Vec<ImageMatch>,
}

impl<'a> Source<'a> {
    /// Parses a file. The YAML parser also reads JSON.
    ///
    /// # Errors
    /// The first syntax error.
    pub(super) fn parse(path: &Path, text: &'a str) -> Result<Self, SyntaxError> {
        let comments = if is_json(path) { comments::of_json(text) } else { Vec::new() };
        let in_comments = comments.iter().flat_map(|range| text::find_in(text.as_bytes(), range.clone()));
        let in_comments = in_comments.collect();
        let text = comments::without(text, &comments);
        let tree = Tree::parse(&text)?;
        Ok(Self { text, tree, in_comments })
    }
}

/// Returns true if the file has an extension of YAML or JSON.
pub(super) fn has_extension(path: &Path) -> bool {
    is_json(path) || extension_is(path, &["yaml", "yml"])
}

/// Returns false if a file contains no image in its fields and as plain text.
pub(super) fn can_contain_images(path: &Path, text: &str) -> bool {
    Format::of_file(path).is_some()
        || has_image_key(text.as_bytes())
        || !text::find(text.as_bytes()).is_empty()
}

/// Finds the images of a file.
pub(super) fn find(path: &Path, source: &Source<'_>) -> Vec<ImageMatch> {
    let mut finder = finder::ImageFinder::new(&source.text, &source.tree);
    for root in source.tree.roots() {
        finder.find(root, Format::of(path, &source.tree, root));
    }
    let mut images = finder.images();
    images.extend_from_slice(&source.in_comments);
    images.sort_by_key(ImageMatch::start);
    images
}

fn is_json(path: &Path) -> bool {
    extension_is(path, &["json", "jsonc", "json5"])
}

fn extension_is(path: &Path, extensions: &[&str]) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| extensions.iter().any(|known| extension.eq_ignore_ascii_case(known)))
}

/// Parts of keys that hold an image, or a list of images, in files of any format.
const KEYS: [&str; 8] =
    ["image", "Image", "IMAGE", "container", "Container", "CONTAINER", "services", "repository"];

/// Maximum length of the rest of a key, as in `imageIdentifier` and `ContainerDefinitions`.
const MAX_KEY_REST: usize = 24;

/// Returns true if the text has a key that can hold an image, or the URL of one. Most other files need no
/// tree.
fn has_image_key(text: &[u8]) -> bool {
    let is_key = |end: usize| {
        let rest = &text[end..];
        let letters = rest
            .iter()
            .take(MAX_KEY_REST)
            .take_while(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(byte));
        let after = rest[letters.count()..].trim_ascii_start();
        let after = after.strip_prefix(b"\"").or(after.strip_prefix(b"'")).unwrap_or(after);
        after.trim_ascii_start().starts_with(b":")
    };
    let has_key = |key: &&str| memchr::memmem::find_iter(text, *key).any(|at| is_key(at + key.len()));
    KEYS.iter().any(has_key)
        // The name of a variable, whose value is at another key.
        || memchr::memmem::find(text, b"IMAGE").is_some()
        || memchr::memmem::find(text, b"docker://").is_some()
        || memchr::memmem::find(text, b"docker-image://").is_some()
}

#[cfg(test)]
mod tests;
