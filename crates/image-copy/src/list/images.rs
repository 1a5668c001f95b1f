//! The YAML format of this project.
//!
//! ```yaml
//! defaults:
//!   platform: [linux/amd64, linux/arm64]
//! images:
//!   - nginx:1.27
//!   - source: ghcr.io/acme/app
//!     tags: ["2.1", "2.2"]
//!     repository: team/app
//! ```

use super::entry::{Entry, Target, has_tag_or_digest};
use super::fields::Fields;
use super::output::Output;
use crate::copy::PlatformSelection;
use crate::oci::{Reference, Tag};

/// Values for images that do not have their own.
#[derive(Default)]
struct Defaults {
    platforms: Option<PlatformSelection>,
    credentials: Option<String>,
}

pub(super) fn parse(list: &Fields<'_>, output: &mut Output) {
    list.check_keys(output, |key, _| match key {
        // For anchors, as in Compose files and regsync.
        _ if key.starts_with("x-") => None,
        _ => unknown(key, &["defaults", "images"]),
    });
    let defaults = list.mapping("defaults", output);
    let defaults = defaults.map(|fields| parse_defaults(&fields, output)).unwrap_or_default();
    let tree = list.tree();
    for (item, path) in list.items("images", output) {
        if output.is_full() {
            break;
        }
        match tree.text(item).map(str::parse::<Reference>) {
            Some(Ok(source)) => output.entry(defaults.applied_to(Entry::new(source, tree.line(item)))),
            Some(Err(error)) => output.error(tree.line(item), format!("{path}: {error}. Correct it.")),
            None => {
                if let Some(image) = Fields::new(tree, item, path, output) {
                    parse_image(&image, &defaults, output);
                }
            }
        }
    }
}

fn parse_defaults(fields: &Fields<'_>, output: &mut Output) -> Defaults {
    fields.check_keys(output, |key, _| unknown(key, &["platform", "credentials"]));
    let platforms = fields.platforms("platform", output);
    Defaults { platforms, credentials: fields.text("credentials", output).map(Into::into) }
}

impl Defaults {
    fn applied_to(&self, entry: Entry) -> Entry {
        let platforms = entry.platforms.or_else(|| self.platforms.clone());
        let credentials = entry.credentials.or_else(|| self.credentials.clone());
        Entry { platforms, credentials, ..entry }
    }
}

fn parse_image(image: &Fields<'_>, defaults: &Defaults, output: &mut Output) {
    const KEYS: [&str; 5] = ["source", "repository", "tags", "platform", "credentials"];
    image.check_keys(output, |key, _| unknown(key, &KEYS));
    let Some(text) = image.required_text("source", output) else { return };
    let Some(source) = image.parse::<Reference>("source", image.line_of("source"), text, output) else {
        return;
    };
    let mut entry = Entry::new(source, image.line());
    entry.platforms = image.platforms("platform", output);
    entry.credentials = image.text("credentials", output).map(Into::into);
    if let Some(name) = image.text("repository", output) {
        match Target::parse(name) {
            Ok(target) => entry.target = target,
            Err(problem) => {
                let problem = format!("{problem}. Correct it");
                image.error_in(image.line_of("repository"), "repository", &problem, output);
            }
        }
    }
    let entry = defaults.applied_to(entry);
    if image.get("tags").is_none() {
        return output.entry(entry);
    }
    if has_tag_or_digest(text) {
        return image.error("tags", "conflicts with the tag in source. Remove one of them", output);
    }
    for (text, line) in tags(image, output) {
        if let Some(tag) = image.parse::<Tag>("tags", line, text, output) {
            let source = entry.source.repository.with_tag(tag.clone());
            output.entry(Entry { line, source, tag: Some(tag), ..entry.clone() });
        }
    }
}

/// Returns the exact tags with their lines.
fn tags<'a>(image: &Fields<'a>, output: &mut Output) -> Vec<(&'a str, usize)> {
    let rules = image.get("tags").and_then(|tags| image.tree().entries(tags).next());
    if rules.is_some() {
        let Some(rules) = image.mapping("tags", output) else { return Vec::new() };
        rules.check_keys(output, |_, _| Some("is a tag rule, which is not supported. List the tags".into()));
        return Vec::new();
    }
    image.texts("tags", output).unwrap_or_default()
}

/// Returns the end of a sentence if a key is not known.
fn unknown(key: &str, known: &[&str]) -> Option<String> {
    if known.contains(&key) {
        return None;
    }
    Some(match key {
        "customize" => "is not supported. Remove it".into(),
        _ => format!("is not a key of a list. Use one of {}", known.join(", ")),
    })
}
