//! Follows a property to the text that names its image.

use std::collections::{HashMap, HashSet};

use image_copy::text::{SanitizedText, name_without_userinfo};

use super::maps::Maps;
use super::properties::{self, Step};
use super::strings::StringFinder;
use crate::scan::scalar::is_null;
use crate::scan::{Diagnostic, Evidence, ImageMatch, RawReference, Scan, Spelling, scalar};
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

/// Finds the images of a template.
pub(super) struct ImageFinder<'a> {
    text: &'a str,
    tree: &'a Tree,
    template: Id,
    scan: Scan,
    maps: Maps<'a>,
    /// Collections of `Fn::ForEach` by identifier.
    loops: HashMap<&'a str, Id>,
    /// Visited nodes with the path and the number of remaining steps. This bounds the work if aliases
    /// multiply or form a cycle.
    seen: HashSet<(Id, &'static str, usize)>,
    /// Values, parameters and collections that were followed.
    followed: HashSet<Id>,
    /// Texts of image properties.
    texts: HashSet<Id>,
    /// Functions with an unknown result, and their names.
    computed: HashMap<Id, String>,
}

impl<'a> ImageFinder<'a> {
    pub(super) fn new(text: &'a str, tree: &'a Tree, template: Id) -> Self {
        Self {
            text,
            tree,
            template,
            scan: Scan::default(),
            maps: Maps::new(tree, template),
            loops: HashMap::new(),
            seen: HashSet::new(),
            followed: HashSet::new(),
            texts: HashSet::new(),
            computed: HashMap::new(),
        }
    }

    /// Returns all images of the template.
    pub(super) fn images(mut self) -> Scan {
        let tree = self.tree;
        if let Some(resources) = tree.get(self.template, "Resources") {
            let resources = properties::resources(tree, resources);
            self.loops = resources.loops;
            resources.all.into_iter().for_each(|resource| self.resource(resource));
        }
        let mut strings = StringFinder::new(self.text, tree, &self.texts);
        strings.computed = std::mem::take(&mut self.computed);
        strings.find(self.template);
        let StringFinder { images, computed, .. } = strings;
        self.scan.images.extend(images);
        for (node, function) in computed {
            self.note(node, &format!("its value is computed by {function}"));
        }
        self.scan
    }

    fn resource(&mut self, resource: Id) {
        let tree = self.tree;
        let kind = tree.get(resource, "Type").and_then(|kind| tree.text(kind));
        let (Some(kind), Some(properties)) = (kind, tree.get(resource, "Properties")) else { return };
        if let Some(image) = properties::built_image(tree, resource) {
            self.texts.insert(tree.resolve(image));
            return;
        }
        for path in properties::image_paths(kind) {
            self.descend(properties, &properties::steps(path), path);
        }
    }

    /// Follows the remaining `steps` of `path` from `node`.
    fn descend(&mut self, node: Id, steps: &[Step<'_>], path: &'static str) {
        let tree = self.tree;
        let node = tree.resolve(node);
        let Some((step, rest)) = steps.split_first() else { return self.image(node) };
        if !self.seen.insert((node, path, steps.len())) {
            return;
        }
        if let Some(("If", branches)) = self.function(node) {
            for branch in tree.items(branches).unwrap_or_default().iter().skip(1) {
                self.descend(*branch, steps, path);
            }
            return;
        }
        match step {
            Step::Key(key) => {
                if let Some(value) = tree.get(node, key) {
                    self.descend(value, rest, path);
                }
            }
            Step::Each => {
                for item in tree.items(node).unwrap_or_default() {
                    self.descend(*item, rest, path);
                }
            }
            Step::Any => {
                for (_, value) in tree.entries(node).collect::<Vec<_>>() {
                    self.descend(value, rest, path);
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
        if !self.followed.insert(node) {
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
            "Ref" => self.parameter(node, tree.text(argument).unwrap_or_default()),
            "FindInMap" => self.map_entries(node, argument),
            "Select" => self.selected_item(node, argument),
            "Sub" => match tree.text(argument) {
                Some(text) if !text.contains("${") => self.literal(argument, ValueKind::Property),
                Some(text) => match text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) {
                    Some(name) if !name.contains(['$', '!', '.']) => self.parameter(node, name),
                    _ => self.computed(node, "Sub"),
                },
                None => self.computed(node, "Sub"),
            },
            // These return the image of another resource or stack.
            "GetAtt" | "ImportValue" => {}
            other => self.computed(node, other),
        }
    }

    /// Adds the default and the allowed values of a parameter, which must stay consistent, or the items of a
    /// loop. Other targets of `Ref` have separate images.
    fn parameter(&mut self, node: Id, name: &str) {
        let tree = self.tree;
        if let Some(collection) = self.loops.get(name).copied() {
            return match tree.items(collection) {
                Some(items) if self.followed.insert(tree.resolve(collection)) => {
                    items.iter().for_each(|item| self.value(*item));
                }
                Some(_) => {}
                None => self.computed(node, "Fn::ForEach"),
            };
        }
        let parameters = tree.get(self.template, "Parameters");
        let Some(parameter) = parameters.and_then(|all| tree.get(all, name)) else { return };
        let kind = tree.get(parameter, "Type").and_then(|kind| tree.text(kind)).unwrap_or("String");
        if kind != "String" || !self.followed.insert(tree.resolve(parameter)) {
            return;
        }
        let allowed = tree.get(parameter, "AllowedValues").and_then(|all| tree.items(all));
        let default = tree.get(parameter, "Default");
        for value in default.iter().chain(allowed.unwrap_or_default()) {
            self.literal(tree.resolve(*value), ValueKind::Parameter);
        }
    }

    /// Follows the map entries that the keys can select.
    fn map_entries(&mut self, node: Id, argument: Id) {
        let tree = self.tree;
        let Some([map, first, second, options @ ..]) = tree.items(argument) else { return };
        let Some(values) = self.maps.values(*map, *first, *second) else {
            return self.note(node, "its map is not in this template");
        };
        let fallback = options.first().and_then(|options| tree.get(*options, "DefaultValue"));
        for value in values.into_iter().chain(fallback) {
            self.value(value);
        }
    }

    fn selected_item(&mut self, node: Id, argument: Id) {
        let tree = self.tree;
        let chosen = tree.items(argument).and_then(|arguments| match arguments {
            // A tag is a function that returns the list.
            [index, list] if tree.tag(*list).is_none() => {
                tree.items(*list)?.get(tree.text(*index)?.parse::<usize>().ok()?).copied()
            }
            _ => None,
        });
        match chosen {
            Some(chosen) => self.value(chosen),
            None => self.computed(node, "Select"),
        }
    }

    /// Parses a text that must be an image reference.
    fn literal(&mut self, node: Id, kind: ValueKind) {
        let Some(text) = self.tree.text(node).filter(|text| !is_null(text)) else { return };
        if !self.texts.insert(node) {
            return;
        }
        let value = text.trim();
        if value.starts_with("{{resolve:") {
            return self.note(node, "CloudFormation resolves it during deployment");
        }
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
        let start = text.len() - text.trim_start().len();
        let part = start..start + value.len();
        let places = scalar::locate(self.text, self.tree.range(node), text, std::slice::from_ref(&part));
        match places.into_iter().next().flatten() {
            Some(place) => self.scan.images.push(ImageMatch {
                image,
                evidence: Evidence::Field,
                spelling: Spelling::Whole(place),
            }),
            None => self.note(node, "it contains escape sequences"),
        }
    }

    /// Remembers a function with an unknown result.
    fn computed(&mut self, node: Id, function: &str) {
        self.computed.insert(node, SanitizedText::new(function, MAX_QUOTE_CHARS).to_string());
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
