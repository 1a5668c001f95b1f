//! YAML of regsync (<https://regclient.org/usage/regsync/>).

use std::sync::Arc;

use image_copy::list::{Entry, TagPattern, TagRules, Target, regsync_range};
use image_copy::oci::{Reference, Tag};
use image_copy::yaml::{Id, Tree};

use super::found::Found;
use super::mapping::{self, entries, get, items, key as key_name, text, texts};
use super::rules::{self, Dialect};

/// Problem of a key that only needs a note.
const NO_EQUIVALENT: &str = "has no equivalent";

pub(super) fn read(tree: &Tree, root: Id, found: &mut Found) {
    for (key, value) in entries(tree, root) {
        match key {
            "creds" | "defaults" | "sync" => {}
            "version" if tree.text(value) == Some("1") => {}
            // regsync ignores these keys, which hold anchors.
            _ if key.starts_with("x-") => {}
            _ => found.note(tree.line(value), &key_name(key), NO_EQUIVALENT),
        }
    }
    for (at, credentials) in items(tree, root, "creds").iter().enumerate() {
        for (key, value) in entries(tree, *credentials).into_iter().filter(|(key, _)| *key != "registry") {
            let problem = match key {
                "user" | "pass" | "credHelper" | "credHost" => "has no equivalent. Log in to the registry",
                "tls" => "has no equivalent. Set --plain-http for a registry without TLS",
                "regcert" => "has no equivalent. Set --ca-file",
                "mirrors" => "has no equivalent. Set --mirror",
                _ => NO_EQUIVALENT,
            };
            found.note(tree.line(value), &format!("creds[{at}].{}", key_name(key)), problem);
        }
    }
    if let Some(defaults) = get(tree, root, "defaults") {
        for (key, value) in entries(tree, defaults) {
            note_key(tree, key, value, "defaults", found);
        }
    }
    for (at, item) in items(tree, root, "sync").iter().enumerate() {
        read_item(tree, *item, &format!("sync[{at}]"), found);
    }
}

/// Notes a key of `defaults` or of an item that a list does not have, unless it is off.
fn note_key(tree: &Tree, key: &str, value: Id, path: &str, found: &mut Found) {
    if mapping::is_null(tree, value) || tree.text(value) == Some("false") {
        return;
    }
    let problem = match key {
        "schedule" | "interval" => "has no equivalent. Run sync on a schedule",
        "parallel" => "has no equivalent. Set --jobs",
        "digestTags" | "referrers" => "has no equivalent. Set --include-referrers",
        _ => NO_EQUIVALENT,
    };
    found.note(tree.line(value), &format!("{path}.{}", key_name(key)), problem);
}

fn read_item(tree: &Tree, item: Id, path: &str, found: &mut Found) {
    const KEYS: [&str; 7] = ["source", "target", "type", "tags", "tagSets", "platform", "platforms"];
    let keys = entries(tree, item);
    for (key, value) in keys.into_iter().filter(|(key, _)| !KEYS.contains(key)) {
        note_key(tree, key, value, path, found);
    }
    let line = tree.line(item);
    let (source_text, kind) = (text(tree, item, "source").unwrap_or_default(), text(tree, item, "type"));
    if !matches!(kind, Some("image" | "repository")) {
        let problem = "is not of type image or repository. List each image of the registry";
        return found.omit(line, path, source_text, problem);
    }
    let Some(source) = found.reference(line, &format!("{path}.source"), source_text) else { return };
    let target_text = text(tree, item, "target").unwrap_or_default();
    let Some(target) = found.reference(line, &format!("{path}.target"), target_text) else { return };
    let mut entry = Entry::new(source, line);
    entry.target = Target::Repository(target.repository.clone());
    entry.platforms = platforms(tree, item, path, found);
    if kind == Some("image") {
        return found.image(Entry { tag: target.tag, ..entry });
    }
    let rules = get(tree, item, "tags").into_iter().map(|rules| (rules, format!("{path}.tags")));
    let sets = items(tree, item, "tagSets").iter().enumerate();
    let sets = sets.map(|(at, rules)| (*rules, format!("{path}.tagSets[{at}]")));
    let mut has_rule = false;
    for (rules, path) in rules.chain(sets) {
        has_rule |= read_tags(tree, rules, &path, &entry, found);
    }
    if !has_rule {
        found.image(entry.with_rules(rules::all_tags()));
    }
}

/// Adds an image for each exact tag, or the rules. Returns false if there are no rules, which allows all tags.
fn read_tags(tree: &Tree, set: Id, path: &str, entry: &Entry, found: &mut Found) -> bool {
    let values = |key: &str| get(tree, set, key).map(|value| texts(tree, value)).unwrap_or_default();
    let (allowed, denied, ranges) = (values("allow"), values("deny"), values("semverRange"));
    if allowed.is_empty() && denied.is_empty() && ranges.is_empty() {
        return false;
    }
    let exact: Option<Vec<(Tag, usize)>> =
        allowed.iter().map(|(text, line)| Some((exact_tag(text)?, *line))).collect();
    if let Some(exact) = exact.filter(|exact| !exact.is_empty() && ranges.is_empty()) {
        read_exact(&exact, &denied, path, entry, found);
        return true;
    }
    let name = entry.source.repository.to_string();
    let mut patterns = |key: &str, texts: &[(&str, usize)], problem: &dyn Fn(&str) -> String| {
        let mut patterns = Vec::new();
        for (text, line) in texts {
            match rules::pattern(text, Dialect::Regsync) {
                Some(pattern) => patterns.push(pattern),
                None => found.omit(*line, &format!("{path}.{key}"), &name, &problem(&super::quoted(text))),
            }
        }
        patterns
    };
    let include = patterns("allow", &allowed, &|text| {
        format!("has the regular expression {text}. Write patterns with *, or list the tags")
    });
    let exclude = patterns("deny", &denied, &denies);
    let mut semver = Vec::new();
    for (text, line) in &ranges {
        let key = format!("{path}.semverRange");
        match regsync_range(text) {
            Ok(range) => {
                semver.push(range);
                let problem = "becomes semver, which leaves out pre-releases, and text after a version";
                found.note(*line, &key, problem);
            }
            Err(_) => {
                let problem = format!("has the range {}. Write ranges of semver", super::quoted(text));
                found.omit(*line, &key, &name, &problem);
            }
        }
    }
    // Without its ranges or expressions, a rule would select more tags.
    let is_complete =
        (allowed.is_empty() || !include.is_empty()) && (ranges.is_empty() || !semver.is_empty());
    if is_complete {
        let include =
            if include.is_empty() && semver.is_empty() { rules::all_tags().include.clone() } else { include };
        let rules = TagRules { semver, include, exclude, ..TagRules::default() };
        found.image(entry.clone().with_rules(Arc::new(rules)));
    }
    true
}

/// Adds an image for each exact tag that is not denied.
fn read_exact(
    exact: &[(Tag, usize)],
    denied: &[(&str, usize)],
    path: &str,
    entry: &Entry,
    found: &mut Found,
) {
    let name = entry.source.repository.to_string();
    let mut expressions = Vec::new();
    for (text, line) in denied {
        match TagPattern::expression(text) {
            Ok(expression) => expressions.push(expression),
            Err(_) => found.omit(*line, &format!("{path}.deny"), &name, &denies(&super::quoted(text))),
        }
    }
    let is_allowed =
        |tag: &Tag| !expressions.iter().any(|expression: &TagPattern| expression.matches(tag.as_str()));
    for (tag, line) in exact.iter().filter(|(tag, _)| is_allowed(tag)) {
        let source: Reference = entry.source.repository.with_tag(tag.clone());
        found.image(Entry { line: *line, source, tag: Some(tag.clone()), ..entry.clone() });
    }
}

fn denies(expression: &str) -> String {
    format!("denies tags by the regular expression {expression}. Check the tags")
}

/// Returns the only tag that a regular expression of regsync matches. regsync anchors expressions.
fn exact_tag(expression: &str) -> Option<Tag> {
    let exact = expression.strip_prefix('^').unwrap_or(expression);
    exact.strip_suffix('$').unwrap_or(exact).replace("\\.", ".").parse().ok()
}

fn platforms(
    tree: &Tree,
    item: Id,
    path: &str,
    found: &mut Found,
) -> Option<image_copy::copy::PlatformSelection> {
    let (key, value) = ["platforms", "platform"].iter().find_map(|key| Some((key, get(tree, item, key)?)))?;
    let names: Vec<&str> = texts(tree, value).into_iter().map(|(text, _)| text).collect();
    let names = names.join(",");
    let parsed = names.parse();
    if parsed.is_err() {
        let problem = format!("{} is not a platform. All platforms are copied", super::quoted(&names));
        found.note(tree.line(value), &format!("{path}.{key}"), &problem);
    }
    parsed.ok()
}
