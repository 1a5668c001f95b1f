//! Writes a list in YAML.

use std::fmt::Display;

use image_copy::list::{Entry, TagRules, format_age};
use image_copy::text::is_visible;

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

fn item(Image { entry, unsupported, .. }: &Image) -> String {
    let comments = unsupported.iter().flat_map(|lines| lines.comment());
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
    let settings = settings(entry);
    if target.is_none() && selected.is_none() && settings.is_empty() {
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
    text + &settings
}

/// Returns the lines of `customize`, of tag rules and of the settings of the refresh stack.
fn settings(entry: &Entry) -> String {
    let mut text = String::new();
    if let Some(lines) = &entry.customization {
        text += "    customize:\n";
        text += &lines
            .text()
            .split('\n')
            .map(|line| format!("      - {}\n", text_scalar(line)))
            .collect::<String>();
    }
    if let Some(rules) = &entry.rules {
        text += "    tags:\n";
        let TagRules { exact, semver, include, exclude, suffix, newest } = &**rules;
        text += &values("exact", exact);
        text += &values("semver", semver);
        text += &values("include", include);
        text += &values("exclude", exclude);
        text +=
            &suffix.iter().map(|suffix| format!("      suffix: {}\n", scalar(suffix))).collect::<String>();
        text += &newest.iter().map(|newest| format!("      newest: {newest}\n")).collect::<String>();
    }
    text += &entry.min_age.map(|age| format!("    min_age: {}\n", format_age(age))).unwrap_or_default();
    text += if entry.prune { "    prune: true\n" } else { "" };
    text += if entry.is_shared { "    shared: true\n" } else { "" };
    text
}

/// Returns the line of a rule with several values.
fn values<T: Display>(key: &str, values: &[T]) -> String {
    let values: Vec<String> = values.iter().map(|value| scalar(&value.to_string())).collect();
    if values.is_empty() { String::new() } else { format!("      {key}: [{}]\n", values.join(", ")) }
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

/// Returns any text in YAML. Text that is not plain in all parsers is quoted, with escapes for invisible characters.
/// Single words are quoted, because some of them are numbers, booleans or null.
fn text_scalar(text: &str) -> String {
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.contains(' ')
        && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.ends_with([' ', ':']);
    if is_plain {
        return text.into();
    }
    let escaped = text.chars().map(|c| match c {
        '"' | '\\' => format!("\\{c}"),
        c if is_visible(c) => c.into(),
        c => format!("\\U{:08x}", u32::from(c)),
    });
    format!("\"{}\"", escaped.collect::<String>())
}
