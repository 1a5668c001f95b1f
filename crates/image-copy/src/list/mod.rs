//! Lists of images to copy.
//!
//! [`parse`] reads three formats, and recognizes them by their content: plain lines ([`lines`]), the YAML of
//! this project ([`images`]) and the `sync` section of regsync ([`regsync`]). [`entry`] describes the result,
//! [`fields`] reads YAML mappings, and [`output`] collects entries and errors.
//!
//! [`TagRules`] select tags of a repository, by the [`TagVersion`] in a tag and by its text. [`rules`] reads them
//! from YAML, and [`age`] reads minimum ages. No I/O.

mod age;
mod entry;
mod fields;
mod images;
mod lines;
mod output;
mod regsync;
mod rules;
mod tag_pattern;
mod tag_rules;
mod version;

pub use age::{InvalidAge, format_age, parse_age};
pub use entry::{Entry, Target};
pub use output::{ListError, MAX_CUSTOMIZE_BYTES, MAX_RULE_VALUES, MAX_TOTAL_CUSTOMIZE_BYTES};
pub use regsync::regsync_range;
pub use tag_pattern::{InvalidTagPattern, TagPattern};
pub use tag_rules::{InReason, OutReason, TagDecision, TagRules};
pub use version::{Scheme, Shape, TagVersion, newest_first, sorted_newest_first};

use crate::yaml::Tree;
use fields::Fields;
use output::Output;

/// Maximum size of a list in bytes. The largest public list, a generated regsync file, has 1 MB
/// (<https://github.com/rancher/artifact-mirror/blob/main/regsync.yaml>).
pub const MAX_LIST_BYTES: usize = 4 << 20;

/// Maximum number of images in a list. The largest public list has about 10,000.
pub const MAX_ENTRIES: usize = 20_000;

/// Parses a list. `file` is its name in messages. An empty list has no entries.
///
/// # Errors
/// The first 20 errors, each with the line and the key. A list with an error has no entries, so that a typo
/// does not cause a partial copy.
pub fn parse(file: &str, content: &[u8]) -> Result<Vec<Entry>, Vec<ListError>> {
    let mut output = Output::new(file);
    match text(content) {
        Err((line, problem)) => output.error(line, problem),
        Ok(text) if is_yaml(text) => parse_yaml(text, &mut output),
        Ok(text) => lines::parse(text, &mut output),
    }
    output.finish()
}

/// Returns the text without its byte order mark, or a line with an error.
fn text(content: &[u8]) -> Result<&str, (usize, String)> {
    if content.len() > MAX_LIST_BYTES {
        let problem = format!("the list is larger than {} MiB. Split it.", MAX_LIST_BYTES >> 20);
        return Err((1, problem));
    }
    let content = content.strip_prefix("\u{feff}".as_bytes()).unwrap_or(content);
    std::str::from_utf8(content).map_err(|error| {
        let before = &content[..error.valid_up_to()];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        (line, "the list is not UTF-8 text. Save it as UTF-8.".into())
    })
}

/// Returns true if the first line that is not a comment belongs to YAML or JSON. A reference never contains a
/// colon at its end or before a space.
#[must_use]
pub fn is_yaml(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim_end);
    let first =
        lines.find(|line| !line.is_empty() && !line.trim_start().starts_with('#')).unwrap_or_default();
    let is_key = |line: &str| line.ends_with(':') || line.contains(": ") || line.contains(":\t");
    first.starts_with(['{', '[', '%'])
        || first.starts_with("---")
        || first == "-"
        || first.starts_with("- ")
        || is_key(lines::without_comment(first).trim_end())
}

fn parse_yaml(text: &str, output: &mut Output) {
    let tree = match Tree::parse(text) {
        Ok(tree) => tree,
        Err(error) => {
            return output.error(error.line, format!("the YAML is invalid: {}. Correct it.", error.reason));
        }
    };
    let mut roots = tree.roots();
    let Some(root) = roots.next() else { return };
    if let Some(second) = roots.next() {
        return output.error(tree.line(second), "the file has several YAML documents. Keep one, or convert manifests with container-image import.".into());
    }
    if tree.items(root).is_some() {
        return output
            .error(tree.line(root), "the list has no key. Write images: above the references.".into());
    }
    let Some(list) = Fields::new(&tree, root, String::new(), output) else { return };
    match (list.get("images"), list.get("sync")) {
        (Some(_), None) => images::parse(&list, output),
        (None, Some(_)) => regsync::parse(&list, output),
        (Some(_), Some(sync)) => {
            let problem = "images and sync are different formats. Keep one of these keys.";
            output.error(tree.line(sync), problem.into());
        }
        (None, None) if tree.get(root, "images").is_some() => {
            let problem = "images has no items. Add a reference, such as - nginx:1.27.";
            output.error(tree.line(root), problem.into());
        }
        (None, None) if tree.get(root, "image").is_some() => {
            output.error(tree.line(root), "image is not a key of a list. Rename it to images.".into());
        }
        (None, None) => {
            let problem = "the list has no images. Add the key images, or convert the file of another tool with \
                           container-image import.";
            output.error(tree.line(root), problem.into());
        }
    }
}

#[cfg(test)]
mod tests;
