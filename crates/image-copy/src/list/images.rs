//! The YAML format of this project.
//!
//! ```yaml
//! defaults:
//!   platform: [linux/amd64, linux/arm64]
//!   min_age: 48h
//! images:
//!   - nginx:1.27
//!   - source: ghcr.io/acme/app
//!     tags: ["2.1", "2.2"]
//!     repository: team/app
//!     customize: |
//!       RUN mkdir -p /data
//!       VOLUME /data
//!   - source: python
//!     tags: {semver: ^3.12, newest: 3}
//!     prune: true
//! ```

use std::time::Duration;

use super::age::parse_age;
use super::entry::{Entry, Target, has_tag_or_digest};
use super::fields::{Fields, ImageLines};
use super::output::Output;
use super::rules::Tags;
use crate::copy::PlatformSelection;
use crate::oci::Reference;

/// Keys of [`Settings`].
const SETTINGS: [&str; 7] = ["tags", "platform", "customize", "credentials", "min_age", "prune", "shared"];

pub(super) fn parse(list: &Fields<'_>, output: &mut Output) {
    list.check_keys(output, |key, _| match key {
        // For anchors, as in Compose files and regsync.
        _ if key.starts_with("x-") => None,
        _ => unknown(key, &["defaults", "images"]),
    });
    let defaults = list.mapping("defaults", output);
    let defaults = defaults.map(|fields| {
        fields.check_keys(output, |key, _| unknown(key, &SETTINGS));
        Settings::parse(&fields, output)
    });
    let defaults = defaults.unwrap_or_default();
    let tree = list.tree();
    for (item, path) in list.items("images", output) {
        if output.is_full() {
            break;
        }
        let Some(text) = tree.text(item) else {
            if let Some(image) = Fields::new(tree, item, path, output) {
                parse_image(&image, &defaults, output);
            }
            continue;
        };
        match text.parse::<Reference>() {
            Ok(source) => {
                let line = tree.line(item);
                Settings::default().or(&defaults, line).add(Entry::new(source, line), text, output);
            }
            Err(error) => output.error(tree.line(item), format!("{path}: {error}. Correct it.")),
        }
    }
}

fn parse_image(image: &Fields<'_>, defaults: &Settings, output: &mut Output) {
    const NAMES: [&str; 2] = ["source", "repository"];
    image.check_keys(output, |key, _| unknown(key, &[&NAMES[..], &SETTINGS].concat()));
    let Some(text) = image.required_text("source", output) else { return };
    let Some(source) = image.parse::<Reference>("source", image.line_of("source"), text, output) else {
        return;
    };
    let mut entry = Entry::new(source, image.line());
    if let Some(name) = image.text("repository", output)
        && let Some(target) =
            image.parse_by("repository", image.line_of("repository"), name, output, Target::parse)
    {
        entry.target = target;
    }
    let own = Settings::parse(image, output);
    if image.get("tags").is_some() && has_tag_or_digest(text) {
        return image.error("tags", "conflicts with the tag in source. Remove one of them", output);
    }
    own.or(defaults, image.line()).add(entry, text, output);
}

/// Settings of an image, or defaults for all images.
#[derive(Default)]
struct Settings {
    tags: Option<Tags>,
    platforms: Option<PlatformSelection>,
    customization: Option<ImageLines>,
    credentials: Option<String>,
    min_age: Option<Duration>,
    prune: Option<bool>,
    is_shared: Option<bool>,
}

impl Settings {
    fn parse(fields: &Fields<'_>, output: &mut Output) -> Self {
        let min_age = fields.text("min_age", output);
        Self {
            tags: Tags::parse(fields, output),
            platforms: fields.platforms("platform", output),
            customization: fields.customization("customize", output),
            credentials: fields.text("credentials", output).map(Into::into),
            min_age: min_age.and_then(|text| {
                fields.parse_by("min_age", fields.line_of("min_age"), text, output, parse_age)
            }),
            prune: fields.switch("prune", output),
            is_shared: fields.switch("shared", output),
        }
    }

    /// Adds the defaults for missing settings of an image on this line.
    fn or(self, defaults: &Self, line: usize) -> Self {
        Self {
            tags: self.tags.or_else(|| defaults.tags.as_ref().map(|tags| tags.at_line(line))),
            platforms: self.platforms.or_else(|| defaults.platforms.clone()),
            customization: self.customization.or_else(|| defaults.customization.clone()),
            credentials: self.credentials.or_else(|| defaults.credentials.clone()),
            min_age: self.min_age.or(defaults.min_age),
            prune: self.prune.or(defaults.prune),
            is_shared: self.is_shared.or(defaults.is_shared),
        }
    }

    /// Adds the entries of an image. `source` is its reference as written: a tag in it replaces the tags of the
    /// defaults.
    fn add(self, entry: Entry, source: &str, output: &mut Output) {
        let entry = Entry {
            platforms: self.platforms,
            customization: match self.customization {
                Some(ImageLines::Lines(lines)) => Some(lines),
                Some(ImageLines::NoLines) | None => None,
            },
            credentials: self.credentials,
            min_age: self.min_age,
            prune: self.prune.unwrap_or_default(),
            is_shared: self.is_shared.unwrap_or_default(),
            ..entry
        };
        match self.tags.filter(|_| !has_tag_or_digest(source)) {
            None => output.entry(entry),
            Some(Tags::Rules(rules)) => output.entry(entry.with_rules(rules)),
            Some(Tags::Exact(tags)) => {
                tags.into_iter().for_each(|(tag, line)| output.entry(Entry { line, ..entry.with_tag(tag) }));
            }
        }
    }
}

/// Returns the end of a sentence if a key is not known.
fn unknown(key: &str, known: &[&str]) -> Option<String> {
    let is_known = known.contains(&key);
    (!is_known).then(|| format!("is not a key of a list. Use one of {}", known.join(", ")))
}
