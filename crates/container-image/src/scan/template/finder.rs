//! Follows a property to the text that names its image.

use std::collections::HashSet;

use image_copy::text::{SanitizedText, name_without_userinfo};

use super::properties::{self, Step};
use crate::scan::{Diagnostic, Evidence, ImageMatch, RawReference, Scan, Spelling};
use image_copy::yaml::{Id, Tree};

/// Source of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ValueKind {
    /// A property that must contain an image.
    Property,
    /// The default of a parameter, which a deployment can override.
    Parameter,
}

/// Returns true if another program fills in the text. It contains placeholder characters, or is upper-case
/// such as `REPLACE_ME`.
fn is_placeholder(text: &str) -> bool {
    text.contains(['$', '{', '}', '<', '>', '%', '*']) || !text.contains(|c: char| c.is_lowercase())
}

/// Maximum length of a quote, in characters. A property can contain a whole script by mistake.
const MAX_QUOTE_CHARS: usize = 80;

/// Returns true if the text is empty or null in YAML.
fn is_null(text: &str) -> bool {
    matches!(text.trim(), "" | "~" | "null")
}

/// Finds the images of a template.
pub(super) struct ImageFinder<'a> {
    text: &'a str,
    tree: &'a Tree,
    template: Id,
    scan: Scan,
    /// Visited nodes with their search paths. This bounds the work if aliases multiply or form a cycle.
    seen: HashSet<(Id, usize, usize)>,
}

impl<'a> ImageFinder<'a> {
    pub(super) fn new(text: &'a str, tree: &'a Tree, template: Id) -> Self {
        Self { text, tree, template, scan: Scan::default(), seen: HashSet::new() }
    }

    /// Returns all images of the template.
    pub(super) fn images(mut self) -> Scan {
        let tree = self.tree;
        let Some(resources) = tree.get(self.template, "Resources") else { return self.scan };
        for resource in properties::resources(tree, resources) {
            let kind = tree.get(resource, "Type").and_then(|kind| tree.text(kind));
            let properties = tree.get(resource, "Properties");
            let (Some(kind), Some(properties)) = (kind, properties) else { continue };
            for (index, path) in properties::image_paths(kind).iter().enumerate() {
                self.descend(properties, path, index);
            }
        }
        self.scan
    }

    /// Follows `path` from `node`. `index` is the index of the path in its resource.
    fn descend(&mut self, node: Id, path: &[Step<'_>], index: usize) {
        let tree = self.tree;
        let node = tree.resolve(node);
        let Some((step, rest)) = path.split_first() else { return self.image(node) };
        if !self.seen.insert((node, index, path.len())) {
            return;
        }
        if let Some(("If", branches)) = self.function(node) {
            for branch in tree.items(branches).unwrap_or_default().iter().skip(1) {
                self.descend(*branch, path, index);
            }
            return;
        }
        match step {
            Step::Key(key) => {
                if let Some(value) = tree.get(node, key) {
                    self.descend(value, rest, index);
                }
            }
            Step::Each => {
                for item in tree.items(node).unwrap_or_default() {
                    self.descend(*item, rest, index);
                }
            }
            Step::Any => {
                for (_, value) in tree.entries(node).collect::<Vec<_>>() {
                    self.descend(value, rest, index);
                }
            }
        }
    }

    /// Returns the name of an intrinsic function without `Fn::`, and its argument.
    fn function(&self, node: Id) -> Option<(&'a str, Id)> {
        if let Some(tag) = self.tree.tag(node) {
            return Some((tag, node));
        }
        let mut entries = self.tree.entries(node);
        let (name, argument) = entries.next()?;
        let name = if name == "Ref" { name } else { name.strip_prefix("Fn::")? };
        entries.next().is_none().then_some((name, argument))
    }

    /// Handles the value of an image property.
    fn image(&mut self, node: Id) {
        match self.tree.text(node) {
            Some(text) if is_null(text) => self.error(node, "the image reference is empty"),
            None if self.function(node).is_none() => {
                self.error(node, "the image reference is a list or a mapping");
            }
            _ => self.value(node),
        }
    }

    /// Follows intrinsic functions to a text.
    fn value(&mut self, node: Id) {
        let tree = self.tree;
        let node = tree.resolve(node);
        if !self.seen.insert((node, usize::MAX, 0)) {
            return;
        }
        let Some((function, argument)) = self.function(node) else {
            return self.literal(node, ValueKind::Property);
        };
        match function {
            "If" => {
                for branch in tree.items(argument).unwrap_or_default().iter().skip(1) {
                    self.value(*branch);
                }
            }
            "Ref" => self.parameter(argument),
            "FindInMap" => self.map_entries(node, argument),
            "Select" => self.selected_item(node, argument),
            "Sub" => match tree.text(argument) {
                Some(text) if !text.contains("${") => self.literal(argument, ValueKind::Property),
                _ => self.note(node, "its value is computed by Sub"),
            },
            // These return the image of another resource or stack.
            "GetAtt" | "ImportValue" => {}
            other => {
                self.note(
                    node,
                    &format!("its value is computed by {}", SanitizedText::new(other, MAX_QUOTE_CHARS)),
                );
            }
        }
    }

    /// Adds the default and the allowed values of a parameter, which must stay consistent. Other targets of
    /// `Ref` have separate images.
    fn parameter(&mut self, name: Id) {
        let tree = self.tree;
        let parameters = tree.get(self.template, "Parameters");
        let Some(parameter) = parameters.zip(tree.text(name)).and_then(|(all, name)| tree.get(all, name))
        else {
            return;
        };
        let kind = tree.get(parameter, "Type").and_then(|kind| tree.text(kind)).unwrap_or("String");
        if kind != "String" {
            return;
        }
        let allowed = tree.get(parameter, "AllowedValues").and_then(|all| tree.items(all));
        let default = tree.get(parameter, "Default");
        for value in default.iter().chain(allowed.unwrap_or_default()) {
            self.literal(tree.resolve(*value), ValueKind::Parameter);
        }
    }

    /// Follows the map entries that the keys can select. A key that is not literal selects all.
    fn map_entries(&mut self, node: Id, argument: Id) {
        let tree = self.tree;
        let Some([name, keys @ ..]) = tree.items(argument) else { return };
        let maps = tree.get(self.template, "Mappings");
        let literal = |id: Id| tree.text(id).filter(|_| tree.tag(id).is_none());
        let Some(map) = maps.zip(literal(*name)).and_then(|(maps, name)| tree.get(maps, name)) else {
            return self.note(node, "its map is not in this template");
        };
        let mut values = vec![map];
        for key in keys.iter().take(2) {
            let below = |value: Id| match literal(*key) {
                Some(key) => tree.get(value, key).into_iter().collect(),
                None => tree.entries(value).map(|(_, value)| value).collect::<Vec<_>>(),
            };
            values = values.into_iter().flat_map(below).collect();
        }
        let fallback = keys.get(2).and_then(|options| tree.get(*options, "DefaultValue"));
        for value in values.into_iter().chain(fallback) {
            self.value(value);
        }
    }

    fn selected_item(&mut self, node: Id, argument: Id) {
        let tree = self.tree;
        let chosen = tree.items(argument).and_then(|arguments| match arguments {
            [index, list] => tree.items(*list)?.get(tree.text(*index)?.parse::<usize>().ok()?).copied(),
            _ => None,
        });
        match chosen {
            Some(chosen) => self.value(chosen),
            None => self.note(node, "its value is computed by Select"),
        }
    }

    /// Parses a text that must be an image reference.
    fn literal(&mut self, node: Id, kind: ValueKind) {
        let Some(value) = self.tree.text(node).map(str::trim).filter(|value| !is_null(value)) else {
            return;
        };
        if value.starts_with("{{resolve:") {
            return self.note(node, "CloudFormation resolves it during deployment");
        }
        let range = self.tree.range(node);
        let image = match value.parse::<RawReference>() {
            Ok(image) => image,
            // Image Builder and Lightsail have other image identifiers.
            Err(_) if value.starts_with("arn:") || value.starts_with(':') => return,
            Err(_) if is_placeholder(value) => {
                return self.note(node, "it contains a placeholder");
            }
            Err(_) if kind == ValueKind::Parameter => {
                return self.note(node, "the value of the parameter is not a reference");
            }
            Err(problem) => {
                let shown = SanitizedText::quotable(&name_without_userinfo(value), MAX_QUOTE_CHARS);
                return self.error(node, &format!("invalid image reference \"{shown}\": {problem}"));
            }
        };
        if image.is_codebuild_image() {
            return;
        }
        match self.text.get(range.clone()).and_then(|source| source.find(value)) {
            Some(offset) => {
                let start = range.start + offset;
                let spelling = Spelling::Whole(start..start + value.len());
                self.scan.images.push(ImageMatch { image, evidence: Evidence::Field, spelling });
            }
            None => self.note(node, "it contains escape sequences"),
        }
    }

    fn note(&mut self, node: Id, reason: &str) {
        let text = format!("this image was skipped: {reason}");
        self.scan.notes.push(Diagnostic { at: self.tree.range(node).start, text });
    }

    fn error(&mut self, node: Id, reason: &str) {
        let text = format!("{reason}. Correct it, or exclude the file with --exclude");
        self.scan.errors.push(Diagnostic { at: self.tree.range(node).start, text });
    }
}
