//! YAML of `skopeo sync --src yaml`
//! (<https://github.com/containers/skopeo/blob/main/docs/skopeo-sync.1.md>).

use std::sync::Arc;

use image_copy::list::{Entry, TagRules, Target};
use image_copy::oci::{Reference, Registry, Tag};
use image_copy::yaml::{Id, Tree};

use super::destinations::target_name;
use super::found::Found;
use super::mapping::{entries, get, is_mapping, key as key_name, texts};
use super::rules::{self, Dialect};

/// Keys that contain images.
const IMAGE_KEYS: [&str; 3] = ["images", "images-by-tag-regex", "images-by-semver"];

/// Returns true if a value has keys that only skopeo uses.
pub(super) fn is_skopeo(tree: &Tree, root: Id) -> bool {
    let has_images = |value: Id| {
        IMAGE_KEYS.iter().any(|key| get(tree, value, key).is_some_and(|images| is_mapping(tree, images)))
    };
    tree.entries(root).any(|(_, value)| has_images(value))
}

pub(super) fn read(tree: &Tree, root: Id, found: &mut Found) {
    for (registry, settings) in entries(tree, root) {
        read_registry(tree, registry, settings, found);
    }
    let is_renamed = |entry: &Entry| entry.target != Entry::new(entry.source.clone(), entry.line).target;
    if found.images.iter().any(|image| is_renamed(&image.entry)) {
        found.note_file(
            "is imported like skopeo sync without --scoped: copies are named after the last part of the path",
        );
    }
}

fn read_registry(tree: &Tree, registry: &str, settings: Id, found: &mut Found) {
    let path = key_name(registry);
    for (key, value) in entries(tree, settings) {
        let problem = match key {
            "images" | "images-by-tag-regex" | "images-by-semver" => continue,
            "credentials" => "has no equivalent. Log in to the registry",
            "tls-verify" if tree.text(value) == Some("true") => continue,
            "tls-verify" => "has no equivalent. Set --ca-file, or --plain-http for a registry without TLS",
            "cert-dir" => "has no equivalent. Set --ca-file",
            _ => "has no equivalent",
        };
        found.note(tree.line(value), &format!("{path}.{}", key_name(key)), problem);
    }
    for key in IMAGE_KEYS {
        let Some(repositories) = get(tree, settings, key) else { continue };
        for (name, rules) in entries(tree, repositories) {
            let path = format!("{path}.{key}.{}", key_name(name));
            let line = tree.line(rules);
            let Some(repository) = repository(registry, name, line, &path, found) else { continue };
            let mut repository = Repository { source: repository, line, path, found };
            match key {
                "images" => repository.exact(&texts(tree, rules)),
                "images-by-tag-regex" => repository.expressions(&texts(tree, rules)),
                _ => repository.ranges(&texts(tree, rules)),
            }
        }
    }
}

/// Returns a repository as a reference.
fn repository(registry: &str, name: &str, line: usize, path: &str, found: &mut Found) -> Option<Reference> {
    let complete = format!("{registry}/{name}");
    let reference = found.reference(line, path, &complete)?;
    // Without a dot, the first component of a reference is not a host.
    if registry.parse::<Registry>().ok().as_ref() != Some(reference.repository.registry()) {
        found.omit(line, path, &complete, "has no host of a registry. Add a domain or a port");
        return None;
    }
    Some(reference)
}

/// A repository with rules for its tags.
struct Repository<'a> {
    source: Reference,
    line: usize,
    path: String,
    found: &'a mut Found,
}

impl Repository<'_> {
    fn image(&mut self, source: Reference, line: usize) {
        self.entry(Entry::new(source, line));
    }

    fn rules(&mut self, rules: TagRules, line: usize) {
        self.entry(Entry::new(self.source.clone(), line).with_rules(Arc::new(rules)));
    }

    fn entry(&mut self, mut entry: Entry) {
        let path = target_name(&entry.target);
        let name = path.rsplit('/').next().unwrap_or(&path).to_owned();
        entry.target = Target::Below(name);
        self.found.image(entry);
    }

    fn omit(&mut self, line: usize, problem: &str) {
        let name = self.source.repository.to_string();
        self.found.omit(line, &self.path, &name, problem);
    }

    /// Adds tags and digests.
    fn exact(&mut self, tags: &[(&str, usize)]) {
        if tags.iter().all(|(tag, _)| tag.is_empty()) {
            return self.rules(rules::all_tags().as_ref().clone(), self.line);
        }
        for (tag, line) in tags {
            let repository = &self.source.repository;
            let reference = match (tag.parse(), tag.parse()) {
                (Ok(digest), _) => repository.with_digest(digest),
                (_, Ok(tag)) => repository.with_tag(tag),
                _ => {
                    let problem = format!("has the invalid tag {}. Correct it", super::quoted(tag));
                    self.omit(*line, &problem);
                    continue;
                }
            };
            self.image(reference, *line);
        }
    }

    fn expressions(&mut self, expressions: &[(&str, usize)]) {
        for (text, line) in expressions {
            match (exact_tag(text), rules::pattern(text, Dialect::Skopeo)) {
                (Some(tag), _) => self.image(self.source.repository.with_tag(tag), *line),
                (None, Some(pattern)) => {
                    self.rules(TagRules { include: vec![pattern], ..TagRules::default() }, *line);
                }
                (None, None) => {
                    let problem = "Write patterns with *, or list the tags";
                    self.omit(
                        *line,
                        &format!("has the regular expression {}. {problem}", super::quoted(text)),
                    );
                }
            }
        }
    }

    fn ranges(&mut self, ranges: &[(&str, usize)]) {
        for (text, line) in ranges {
            match rules::skopeo_ranges(text) {
                Some(semver) => self.rules(TagRules { semver, ..TagRules::default() }, *line),
                None => {
                    let problem = format!("has the range {}. Write ranges of semver", super::quoted(text));
                    self.omit(*line, &problem);
                }
            }
        }
    }
}

/// Returns the only tag that a regular expression matches. skopeo does not anchor expressions.
fn exact_tag(expression: &str) -> Option<Tag> {
    let exact = expression.strip_prefix('^')?.strip_suffix('$')?;
    // An unescaped period matches every character.
    if exact.replace("\\.", "").contains('.') {
        return None;
    }
    exact.replace("\\.", ".").parse().ok()
}
