//! References in all strings of a template, such as environment variables, user data and inline buildspecs.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use image_copy::yaml::{Id, Tree};

use crate::scan::{ImageMatch, scalar};

/// Finds references with a registry host in the strings of a template.
pub(super) struct StringFinder<'a> {
    text: &'a str,
    tree: &'a Tree,
    /// Strings that are not searched.
    skipped: &'a HashSet<Id>,
    /// Functions with an unknown result, and their names. A function with a reference in its arguments is
    /// removed.
    pub(super) computed: HashMap<Id, String>,
    pub(super) images: Vec<ImageMatch>,
}

/// Sides of a string to which a function adds other text.
#[derive(Debug, Clone, Copy, Default)]
struct JoinedSides {
    start: bool,
    end: bool,
}

impl<'a> StringFinder<'a> {
    pub(super) fn new(text: &'a str, tree: &'a Tree, skipped: &'a HashSet<Id>) -> Self {
        Self { text, tree, skipped, computed: HashMap::new(), images: Vec::new() }
    }

    /// Searches all strings of a document.
    pub(super) fn find(&mut self, root: Id) {
        self.visit(root, JoinedSides::default());
    }

    fn visit(&mut self, node: Id, sides: JoinedSides) {
        let tree = self.tree;
        // The target of an alias is visited at its own place. This also ends cycles.
        if tree.resolve(node) != node {
            return;
        }
        let before = self.images.len();
        if let Some(value) = tree.text(node) {
            self.string(node, value, sides);
        }
        let items = tree.items(node).unwrap_or_default();
        match tree.tag(node) {
            Some("Join") => self.join(items, sides),
            _ => items.iter().for_each(|item| self.visit(*item, sides)),
        }
        for (key, value) in tree.entries(node).filter(|(key, _)| !is_prose(key)) {
            match tree.items(value).filter(|_| key == "Fn::Join" && tree.resolve(value) == value) {
                Some(items) => self.join(items, sides),
                None => self.visit(value, sides),
            }
        }
        if self.images.len() > before {
            self.computed.remove(&node);
        }
    }

    /// Searches the arguments of a `Join`. A reference that continues in the next part is incomplete.
    fn join(&mut self, arguments: &[Id], sides: JoinedSides) {
        let [delimiter, list] = arguments else { return };
        let tree = self.tree;
        let literal = |node: Id| tree.text(node).filter(|_| tree.tag(node).is_none());
        let delimiter = literal(*delimiter);
        let beside = |neighbor: Option<&Id>| match (delimiter, neighbor) {
            (Some(""), Some(neighbor)) => literal(*neighbor),
            (known, _) => known,
        };
        let starts_inside = |before| continues(beside(before).and_then(|text| text.chars().next_back()));
        let ends_inside = |after| continues(beside(after).and_then(|text| text.chars().next()));
        let is_list = tree.resolve(*list) == *list && tree.tag(*list).is_none();
        let Some(parts) = tree.items(*list).filter(|_| is_list) else {
            return self.visit(*list, JoinedSides { start: starts_inside(None), end: ends_inside(None) });
        };
        for (index, part) in parts.iter().enumerate() {
            let start = if index == 0 { sides.start } else { starts_inside(parts.get(index - 1)) };
            let after = parts.get(index + 1);
            let end = if after.is_none() { sides.end } else { ends_inside(after) };
            self.visit(*part, JoinedSides { start, end });
        }
    }

    /// Searches one string as text.
    fn string(&mut self, node: Id, value: &str, sides: JoinedSides) {
        if self.skipped.contains(&node) {
            return;
        }
        let is_image = |_: &ImageMatch, range: &Range<usize>| is_complete(value, range, sides);
        self.images.extend(scalar::find(self.text, self.tree.range(node), value, is_image));
    }
}

/// Returns true for a key with text for people. It can name an image as an example.
fn is_prose(key: &str) -> bool {
    let is_description = key.to_ascii_lowercase().ends_with("description");
    is_description || matches!(key, "AllowedPattern" | "AWS::CloudFormation::Interface")
}

/// Returns true if the character continues a reference, or is unknown.
fn continues(character: Option<char>) -> bool {
    character.is_none_or(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':' | '@'))
}

/// Returns true if no other text continues the reference.
fn is_complete(value: &str, reference: &Range<usize>, sides: JoinedSides) -> bool {
    let reaches = |rest: &str| rest.chars().all(|character| continues(Some(character)));
    let follows = sides.start && reaches(&value[..reference.start]);
    let precedes = sides.end && reaches(&value[reference.end..]);
    !follows && !precedes
}

#[cfg(test)]
mod tests;
