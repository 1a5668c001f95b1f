//! Changes of images by Dockerfile lines.

use std::collections::BTreeMap;

use image_copy::copy::{ConfigChange, CustomizedContent, Plan};

use super::patch_style;
use crate::edit;

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

/// Returns a note if the copy lacks attestations of the source.
pub(crate) fn left_out_note(plan: &Plan) -> Option<String> {
    match plan.customized.as_ref()?.attestations_left_out {
        0 => None,
        1 => Some("1 attestation was left out, because it describes the image before the change".into()),
        several => Some(format!(
            "{several} attestations were left out, because they describe the images before the change"
        )),
    }
}

/// Returns the change of a config as a patch. Fields are sorted, so that only real changes are shown.
fn diff(change: &ConfigChange) -> String {
    let name = change.platform.as_ref().map_or_else(|| "image".to_owned(), ToString::to_string);
    edit::diff(&name, &sorted(&change.before), &sorted(&change.after), patch_style())
}

/// Returns a config with one field on each line.
fn sorted(config: &[u8]) -> Vec<u8> {
    type Fields = BTreeMap<String, serde_json::Value>;
    let formatted =
        serde_json::from_slice::<Fields>(config).and_then(|fields| serde_json::to_vec_pretty(&fields));
    let mut text = formatted.unwrap_or_else(|_| config.to_vec());
    text.push(b'\n');
    text
}
