//! Turns files of other tools into a list for `sync`.
//!
//! [`mod@format`] recognizes the format of a file. One module for each format adds images and notes to [`found`].
//! [`text`] parses references with variables, [`rules`] translates tag rules, and [`customization`] handles Dockerfile
//! lines. [`destinations`] removes duplicates and conflicts, and [`output`] writes the list. No I/O.

mod compose;
mod customization;
mod destinations;
mod format;
mod found;
mod kubernetes;
mod lines;
mod mapping;
mod output;
mod regsync;
mod rules;
mod skopeo;
mod table;
mod terraform;
mod text;

pub(crate) use format::Format;

use image_copy::list::{
    self, ListError, MAX_ENTRIES, MAX_LIST_BYTES, MAX_RULE_VALUES, MAX_TOTAL_CUSTOMIZE_BYTES, TagRules,
    Target,
};
use image_copy::text::SanitizedText;
use image_copy::yaml::{Id, Tree};

use found::{Found, Image};

/// Maximum size of a file in bytes. `kubectl get pods -o json` writes about 10 KB for each pod, and Kubernetes
/// supports 150,000 pods (<https://kubernetes.io/docs/setup/best-practices/cluster-large/>). Larger clusters
/// can be imported by namespace.
pub(crate) const MAX_FILE_BYTES: usize = 256 << 20;

/// A file to import.
pub(crate) struct File {
    /// Name in messages.
    pub(crate) name: String,
    pub(crate) content: Vec<u8>,
}

/// A list for `sync`.
#[derive(Debug)]
pub(crate) struct Imported {
    /// The list in YAML, with a line break at the end.
    pub(crate) list: String,
    /// Everything that the list does not express, without periods at the end.
    pub(crate) notes: Vec<String>,
}

/// Imports files.
///
/// # Errors
/// One line for each error: an unreadable file, a text that is no list, or files without any image for the list.
pub(crate) fn import(files: &[File], format: Option<Format>) -> Result<Imported, Vec<String>> {
    let mut errors = Vec::new();
    let mut images = Vec::new();
    let mut omissions = Vec::new();
    let mut notes = Vec::new();
    for file in files {
        let mut found = Found::new(&file.name);
        errors.extend(read(file, format, &mut found).err().into_iter().flatten());
        if found.is_empty() {
            found.note_file("contains no image");
        }
        images.append(&mut found.images);
        omissions.append(&mut found.omissions);
        notes.append(&mut found.into_notes());
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    if images.is_empty() {
        let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
        let names = names.join(", ");
        let hint = if format.is_some() { "Check --format" } else { "Set --format if it is not recognized" };
        return Err(vec![match omissions.as_slice() {
            [] => format!("no image was found in {names}. {hint}."),
            [one] => format!("the list would be empty. {}.", one.text),
            [first, more @ ..] => {
                let others = if more.len() == 1 { "other" } else { "others" };
                format!("the list would be empty. {} ({} {others} omitted).", first.text, more.len())
            }
        }]);
    }
    let images = destinations::distinct(images, &mut omissions, &mut notes);
    if images.len() > MAX_ENTRIES {
        return Err(vec![format!("the list would have more than {MAX_ENTRIES} images. Import fewer files.")]);
    }
    let rules = images.iter().filter_map(|image| image.entry.rules.as_deref());
    if rules.map(TagRules::values).sum::<usize>() > MAX_RULE_VALUES {
        return Err(vec![format!(
            "the list would have more than {MAX_RULE_VALUES} values in tag rules. Import fewer files."
        )]);
    }
    if images.iter().map(|image| image.entry.customize_bytes()).sum::<usize>() > MAX_TOTAL_CUSTOMIZE_BYTES {
        let limit = MAX_TOTAL_CUSTOMIZE_BYTES >> 20;
        return Err(vec![format!(
            "the list would have more than {limit} MiB of lines in customize. Import fewer files."
        )]);
    }
    let is_complete = |image: &&Image| matches!(image.entry.target, Target::Repository(_));
    let complete = images.iter().filter(is_complete).count();
    if complete > 0 && complete < images.len() {
        notes.push(
            "some destinations are complete names, others are paths below --to. Import the files separately"
                .into(),
        );
    }
    let list = output::list(&images, &omissions);
    if list.len() > MAX_LIST_BYTES {
        let limit = MAX_LIST_BYTES >> 20;
        return Err(vec![format!("the list would be larger than {limit} MiB. Import fewer files.")]);
    }
    Ok(Imported { list, notes })
}

fn read(file: &File, format: Option<Format>, found: &mut Found) -> Result<(), Vec<String>> {
    let content = file.content.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&file.content);
    let failed = |line: usize, problem: String| Err(vec![format!("{}:{line}: {problem}", file.name)]);
    let content = match std::str::from_utf8(content) {
        Ok(content) => content,
        Err(error) => {
            let before = &content[..error.valid_up_to()];
            let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
            return failed(line, "the file is not UTF-8 text. Save it as UTF-8.".into());
        }
    };
    match format.or_else(|| format::of_text(&file.name, content)) {
        Some(Format::Lines) => {
            return lines::read(content, found).or_else(|(line, problem)| failed(line, problem));
        }
        Some(Format::Terraform) => {
            return terraform::read(content, found).or_else(|(line, problem)| failed(line, problem));
        }
        Some(Format::List) => return read_list(file, found),
        _ => {}
    }
    let tree = match Tree::parse(content) {
        Ok(tree) => tree,
        Err(error) => {
            let hint = if content.contains("{{") { "Render the template first" } else { "Correct it" };
            return failed(error.line, format!("the YAML is invalid: {}. {hint}.", error.reason));
        }
    };
    for root in tree.roots().filter(|root| !mapping::is_null(&tree, *root)) {
        match format.or_else(|| format::of_document(&tree, root)) {
            Some(Format::List) => return read_list(file, found),
            format => read_document(&tree, root, format, found),
        }
    }
    Ok(())
}

fn read_document(tree: &Tree, root: Id, format: Option<Format>, found: &mut Found) {
    match format {
        Some(Format::Regsync) => regsync::read(tree, root, found),
        Some(Format::Skopeo) => skopeo::read(tree, root, found),
        Some(Format::Kubernetes) => kubernetes::read(tree, root, found),
        Some(Format::Compose) => compose::read(tree, root, found),
        _ => match tree.items(root) {
            Some(items) => items.iter().for_each(|item| lines::read_item(tree, *item, found)),
            None => found.note(tree.line(root), "the document", "has an unknown format. Set --format"),
        },
    }
}

/// Reads a list for `sync`, such as one with plain lines.
fn read_list(file: &File, found: &mut Found) -> Result<(), Vec<String>> {
    let entries = list::parse(&file.name, &file.content)
        .map_err(|errors| errors.iter().map(ListError::to_string).collect::<Vec<_>>())?;
    entries.into_iter().for_each(|entry| found.image(entry));
    Ok(())
}

/// Returns text of a file for a message, on one line between double quotes.
fn quoted(text: &str) -> String {
    /// Maximum length in characters.
    const CHARS: usize = 100;
    format!("\"{}\"", SanitizedText::quotable(text, CHARS))
}

#[cfg(test)]
mod tests;
