//! Writes a list in YAML.

use image_copy::list::Entry;

use super::destinations::{platforms, target_name};
use super::found::{Image, Omission};

/// Maximum length of a comment in characters.
const MAX_COMMENT_CHARS: usize = 400;

/// Returns the list, sorted by the source.
pub(super) fn list(images: &[Image], omissions: &[Omission]) -> String {
    let images = images.iter().map(|image| (image.entry.source.to_string(), item(image)));
    let omissions = omissions.iter().map(|omission| (omission.subject.clone(), comment(&omission.text)));
    let mut items: Vec<(String, String)> = images.chain(omissions).collect();
    items.sort();
    items.dedup();
    let is_empty = !items.iter().any(|(_, text)| text.lines().any(|line| line.starts_with("  - ")));
    let title = if is_empty { "images: []\n" } else { "images:\n" };
    std::iter::once(title).chain(items.iter().map(|(_, text)| text.as_str())).collect()
}

fn item(Image { entry, customization, .. }: &Image) -> String {
    let comments = customization.iter().flat_map(|customization| customization.comment());
    let mut text: String = comments.map(|line| comment(&line)).collect();
    let source = scalar(&entry.source.to_string());
    let default = Entry::new(entry.source.clone(), entry.line).target;
    let target = (entry.target != default).then(|| target_name(&entry.target));
    let selected = entry.platforms.as_ref().map(|selection| match platforms(selection) {
        None => "all".into(),
        Some(several) => {
            let names: Vec<String> = several.iter().map(|one| scalar(&one.to_string())).collect();
            if let [one] = names.as_slice() { one.clone() } else { format!("[{}]", names.join(", ")) }
        }
    });
    if target.is_none() && selected.is_none() {
        text += &format!("  - {source}\n");
        return text;
    }
    text += &format!("  - source: {source}\n");
    if let Some(target) = target {
        text += &format!("    repository: {}\n", scalar(&target));
    }
    if let Some(selected) = selected {
        text += &format!("    platform: {selected}\n");
    }
    text
}

/// Returns a comment. The text is one visible line.
fn comment(text: &str) -> String {
    let shortened: String = text.chars().take(MAX_COMMENT_CHARS).collect();
    format!("  # {shortened}\n")
}

/// Returns a name in YAML. Names have no quotes and no backslashes. Those that other programs could read as a
/// number are quoted.
fn scalar(name: &str) -> String {
    let is_plain = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._/:@-".contains(&byte));
    if is_plain { name.into() } else { format!("\"{name}\"") }
}
