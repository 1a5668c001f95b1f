//! Changes of images by Dockerfile lines.

use std::collections::BTreeMap;

use image_copy::copy::{ConfigChange, CustomizedContent};
use image_copy::oci::Platform;
use serde_json::{Value, json};

use super::patch_style;
use crate::edit::{self, PatchStyle};

/// Returns the lines of a plan: the number of changed platforms, and a diff of their configs.
pub(super) fn plan_lines(content: &CustomizedContent) -> Vec<String> {
    let platforms = match content.changes.len() {
        1 => "1 platform".to_owned(),
        several => format!("{several} platforms"),
    };
    let left_out = match content.attestations_left_out {
        0 => String::new(),
        1 => ", 1 attestation left out".to_owned(),
        several => format!(", {several} attestations left out"),
    };
    let mut lines = vec![format!("customized   {platforms}{left_out}"), String::new()];
    lines.extend(content.changes.iter().map(|change| diff(change).trim_end().to_owned()));
    lines
}

/// Returns a note if a copy lacks attestations of the source.
pub(crate) fn left_out_note(attestations: usize) -> Option<String> {
    match attestations {
        0 => None,
        1 => Some("1 attestation was left out, because it describes the image before the change".into()),
        several => Some(format!(
            "{several} attestations were left out, because they describe the images before the change"
        )),
    }
}

/// Changed settings of several platforms.
pub(super) struct SettingsChange<'a> {
    pub(super) platforms: Vec<&'a Platform>,
    before: Vec<u8>,
    after: Vec<u8>,
}

impl<'a> SettingsChange<'a> {
    /// Returns the changes of a plan. Platforms with the same settings share one.
    pub(super) fn all(content: &'a CustomizedContent) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for change in &content.changes {
            let (before, after) = (settings(&change.before), settings(&change.after));
            match all.iter_mut().find(|known| known.before == before && known.after == after) {
                Some(known) => known.platforms.extend(&change.platform),
                None => all.push(Self { platforms: change.platform.iter().collect(), before, after }),
            }
        }
        all
    }

    /// Returns a patch. `name` is the name of the image.
    pub(super) fn diff(&self, name: &str, style: PatchStyle) -> String {
        let platforms: Vec<String> = self.platforms.iter().map(ToString::to_string).collect();
        let name =
            if platforms.is_empty() { name.into() } else { format!("{name} ({})", platforms.join(", ")) };
        edit::diff(&name, &self.before, &self.after, style)
    }
}

/// Returns the settings of a config, and the lines that made its layers. Without times and digests, which differ
/// between platforms.
fn settings(config: &[u8]) -> Vec<u8> {
    let config: Value = serde_json::from_slice(config).unwrap_or_default();
    let history = config["history"].as_array().map(Vec::as_slice).unwrap_or_default();
    let lines: Vec<&Value> = history.iter().map(|entry| &entry["created_by"]).collect();
    sorted(json!({"config": config["config"], "history": lines}).to_string().as_bytes())
}

/// Returns the change of a config as a patch. Fields are sorted, so that only real changes are shown.
fn diff(change: &ConfigChange) -> String {
    let name = change.platform.as_ref().map_or_else(|| "image".to_owned(), ToString::to_string);
    edit::diff(&name, &sorted(&change.before), &sorted(&change.after), patch_style())
}

/// Returns a config with one field on each line.
fn sorted(config: &[u8]) -> Vec<u8> {
    type Fields = BTreeMap<String, Value>;
    let formatted =
        serde_json::from_slice::<Fields>(config).and_then(|fields| serde_json::to_vec_pretty(&fields));
    let mut text = formatted.unwrap_or_else(|_| config.to_vec());
    text.push(b'\n');
    text
}
