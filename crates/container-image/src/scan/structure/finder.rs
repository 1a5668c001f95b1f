//! Visits the nodes of a document once, and collects its images.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use image_copy::yaml::{Id, Tree};

use super::format::{Format, Role};
use super::pattern::{ITEM, Pattern};
use super::{comments, split, value};
use crate::scan::keys::is_image_key;
use crate::scan::{Evidence, ImageMatch, Spelling, scalar};

/// Options of build commands, whose value names the image that is built.
const OUTPUT_OPTIONS: [&str; 4] = ["-t", "--tag", "--destination", "--cache-repo"];

/// Lists of variables, as in Kubernetes, Amazon ECS and AWS CodeBuild. The `params` of Tekton also name images
/// that are built.
const VARIABLES: [&str; 5] =
    ["env", "environment", "environmentVariables", "environment_variables", "EnvironmentVariables"];

/// Maximum length in bytes of a text that is read at an alias. Many aliases can repeat a long one.
const MAX_ALIASED_BYTES: usize = 1024;

pub(super) struct ImageFinder<'a> {
    text: &'a str,
    tree: &'a Tree,
    patterns: Vec<(Pattern<'static>, Role)>,
    /// Keys and items from the root to the current node.
    path: Vec<&'a str>,
    /// Ranges of all scalars, in file order.
    scalars: Vec<Range<usize>>,
    /// Strings to search as text.
    texts: Vec<Id>,
    /// Images in fields. An alias adds its target.
    fields: HashMap<Id, Role>,
    /// Images in several values.
    split: Vec<split::SplitImage>,
    /// Nodes behind aliases.
    shared: HashSet<Id>,
    /// Images that the file itself builds.
    built: HashSet<&'a str>,
}

/// Facts about the mapping around a value.
#[derive(Debug, Clone, Copy, Default)]
struct Surroundings {
    /// The file itself builds the image of the mapping.
    is_built: bool,
    /// A build command in the list writes this image.
    is_output: bool,
    /// The mapping is a variable whose name is the key of an image: `{name: IMAGE, value: …}`.
    is_variable: bool,
}

impl<'a> ImageFinder<'a> {
    pub(super) fn new(text: &'a str, tree: &'a Tree) -> Self {
        Self {
            text,
            tree,
            patterns: Vec::new(),
            path: Vec::new(),
            scalars: Vec::new(),
            texts: Vec::new(),
            fields: HashMap::new(),
            split: Vec::new(),
            shared: HashSet::new(),
            built: HashSet::new(),
        }
    }

    /// Visits a document.
    pub(super) fn find(&mut self, root: Id, format: Format) {
        self.patterns = format.values();
        self.visit(root, Surroundings::default());
    }

    /// Returns all images.
    pub(super) fn images(mut self) -> Vec<ImageMatch> {
        let mut images = Vec::new();
        let split = std::mem::take(&mut self.split);
        for one in split {
            if one.values.iter().any(|value| self.shared.contains(value)) {
                continue;
            }
            for node in one.name_nodes.iter().chain(&one.values) {
                self.fields.insert(*node, Role::Skipped);
            }
            images.push(one.image);
        }
        images.extend(self.fields.iter().filter_map(|(node, role)| self.field(*node, *role)));
        for node in self.texts.iter().filter(|node| !self.fields.contains_key(node)) {
            self.search(*node, &mut images);
        }
        comments::search(self.text, &self.scalars, &mut images);
        images.retain(|one| !self.built.contains(one.image.to_string().as_str()));
        images
    }

    /// Notes the images of a value, which is a list of any kind.
    fn add_built(&mut self, node: Id) {
        let items = self.tree.items(node).unwrap_or(&[]);
        for node in items.iter().chain([&node]) {
            let text = self.text(*node).unwrap_or_default();
            self.built.extend(text.split([' ', ',', '\n', '=']));
        }
    }

    /// Returns the text of a scalar, except of a long one behind an alias.
    fn text(&self, node: Id) -> Option<&'a str> {
        let is_own = self.tree.resolve(node) == node;
        self.tree.text(node).filter(|text| is_own || text.len() <= MAX_ALIASED_BYTES)
    }

    fn visit(&mut self, node: Id, around: Surroundings) {
        let tree = self.tree;
        let target = tree.resolve(node);
        if target != node {
            self.shared.insert(target);
        }
        if let Some(value) = self.text(node) {
            return self.scalar(node, target, value, around);
        }
        // The target of an alias is visited at its own place. This also ends cycles.
        if target != node {
            return;
        }
        match self.role() {
            Some(Role::Skipped) => return,
            Some(Role::Built) => return self.add_built(node),
            _ => {}
        }
        match tree.items(node) {
            Some(items) => self.items(items, around),
            None => self.mapping(node),
        }
    }

    fn items(&mut self, items: &'a [Id], around: Surroundings) {
        let tree = self.tree;
        // The option -t of `docker run` has no value.
        let is_build = items.iter().any(|item| tree.text(*item) == Some("build"));
        self.path.push(ITEM);
        let mut previous = None;
        for item in items {
            let is_output = previous.is_some_and(|option| {
                OUTPUT_OPTIONS.contains(&option) && (is_build || option.starts_with("--"))
            });
            self.visit(*item, Surroundings { is_output, ..around });
            previous = tree.text(*item);
        }
        self.path.pop();
    }

    fn mapping(&mut self, node: Id) {
        let tree = self.tree;
        let is_built = self.is_built(node);
        let is_variable = self.is_variable(node);
        if !is_built && let Some(found) = split::find(self.text, tree, node, &self.keys()) {
            self.split.push(found);
        }
        for pair in tree.pairs(node).chunks_exact(2) {
            let [key, value] = *pair else { continue };
            if tree.resolve(key) == key && tree.text(key).is_some() {
                self.scalars.push(tree.range(key));
            }
            self.path.push(self.text(key).unwrap_or_default());
            self.visit(value, Surroundings { is_built, is_output: false, is_variable });
            self.path.pop();
        }
    }

    /// Returns true if the mapping also describes the build of its image, as in Compose and Ansible.
    fn is_built(&self, mapping: Id) -> bool {
        let get = |key: &str| self.tree.get(mapping, key);
        get("build").is_some_and(|build| self.text(build).is_none_or(|text| !scalar::is_null(text)))
            || matches!(get("source").and_then(|source| self.text(source)), Some("build" | "local"))
    }

    /// Returns true for an item of a list of variables, if the name of the variable is the key of an image.
    fn is_variable(&self, mapping: Id) -> bool {
        let name = ["name", "Name"].iter().find_map(|key| self.tree.get(mapping, key));
        self.path.last() == Some(&ITEM)
            && VARIABLES.contains(&self.key())
            && name.and_then(|name| self.text(name)).is_some_and(is_image_key)
    }

    /// Returns the key of the current node, or of the list around it.
    fn key(&self) -> &'a str {
        self.keys()[0]
    }

    /// Returns the key of the current node and the key above it. Lists have none.
    fn keys(&self) -> [&'a str; 2] {
        let mut keys = self.path.iter().rev().filter(|part| **part != ITEM).copied();
        [keys.next().unwrap_or_default(), keys.next().unwrap_or_default()]
    }

    /// Returns the role of the current path in the format.
    fn role(&self) -> Option<Role> {
        self.patterns.iter().find(|(pattern, _)| pattern.matches(&self.path)).map(|(_, role)| *role)
    }

    fn scalar(&mut self, node: Id, target: Id, value: &str, around: Surroundings) {
        let is_own = node == target;
        if is_own {
            self.scalars.push(self.tree.range(node));
        }
        if value.is_empty() {
            return;
        }
        let option = value.split_once('=').map(|(option, _)| option);
        if around.is_output || option.is_some_and(|option| OUTPUT_OPTIONS.contains(&option)) {
            return self.add_built(node);
        }
        let key = self.key();
        let role = match self.role() {
            Some(Role::Built) => return self.add_built(node),
            Some(Role::Skipped) if !value::is_image_url(value) => return,
            Some(role) => role,
            None if is_image_key(key) => Role::TaggedImage,
            None if around.is_variable && matches!(key, "value" | "Value") => Role::TaggedImage,
            None if is_prose(key) => return,
            None => Role::Text,
        };
        let names_image = matches!(role, Role::Image | Role::TaggedImage);
        if around.is_built && names_image {
            return self.add_built(node);
        }
        if value::is_image_url(value) {
            self.fields.insert(target, Role::Image);
        } else if names_image && !value.contains(char::is_whitespace) {
            self.fields.insert(target, role);
        } else if is_own {
            self.texts.push(node);
        }
    }

    /// Returns the image in a field.
    fn field(&self, node: Id, role: Role) -> Option<ImageMatch> {
        let value = self.tree.text(node)?;
        let (image, part) = value::image(value, role)?;
        let range = scalar::locate(self.text, self.tree.range(node), value, &[part]).pop()??;
        Some(ImageMatch { image, evidence: Evidence::Field, spelling: Spelling::Whole(range) })
    }

    /// Searches a string as text.
    fn search(&self, node: Id, images: &mut Vec<ImageMatch>) {
        let Some(value) = self.tree.text(node) else { return };
        images.extend(scalar::find(self.text, self.tree.range(node), value, |_, _| true));
    }
}

/// Returns true for a key with text for people. It can name an image as an example.
fn is_prose(key: &str) -> bool {
    key == "description" || key.ends_with("Description")
}
