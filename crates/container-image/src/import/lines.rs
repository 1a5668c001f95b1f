//! Text with references: one on each line, words of `kubectl get -o jsonpath`, and tables.

use image_copy::list::{self, Entry};
use image_copy::yaml::{Id, Tree};

use super::found::Found;
use super::table::Table;
use super::text as reference_text;

/// Part of the error about a file that is no list.
const SEARCH: &str = "To find the images in other files, use list --no-filename";

/// Reads the lines of a file.
///
/// # Errors
/// Line number and message if a line is neither a line of a list nor a row of images.
pub(super) fn read(content: &str, found: &mut Found) -> Result<(), (usize, String)> {
    let mut table = None;
    for (at, line) in content.lines().enumerate() {
        if let Some(header) = Table::of(line) {
            table = Some(header);
        } else if line.trim().is_empty() {
            table = None;
        } else if let Some(table) = &table {
            table.references(line).iter().for_each(|reference| read_word(reference, at + 1, found));
        } else {
            read_line(line, at + 1, found)?;
        }
    }
    Ok(())
}

/// Reads a text in a YAML or JSON array.
pub(super) fn read_item(tree: &Tree, item: Id, found: &mut Found) {
    match tree.text(item) {
        Some(text) => read_word(text, tree.line(item), found),
        None => found.note(tree.line(item), "the item", "is not an image. Set --format"),
    }
}

fn read_line(line: &str, at: usize, found: &mut Found) -> Result<(), (usize, String)> {
    // A line of a list for sync, with options and comments.
    if let Ok(entries) = list::parse("", line.as_bytes()) {
        entries.into_iter().for_each(|entry| found.image(Entry { line: at, ..entry }));
        return Ok(());
    }
    let line = line.split_once(" #").map_or(line, |(line, _)| line);
    let is_separator = |c: char| c.is_whitespace() || matches!(c, ',' | '"' | '\'');
    let words: Vec<&str> = line.split(is_separator).filter(|word| !word.is_empty()).collect();
    // `uniq -c` writes a number in front.
    let words = match words.as_slice() {
        [count, image] if count.bytes().all(|byte| byte.is_ascii_digit()) => &[*image],
        words => words,
    };
    // In prose and in programs, every word could be a short name.
    let is_complete = |word: &&&str| word.contains([':', '/', '@']);
    let is_prose = words.iter().filter(is_complete).count() * 2 < words.len();
    if words.len() > 1 && (is_prose || words.iter().any(|word| !is_image(word))) {
        return Err((at, format!("the line is not a list of images: {}. {SEARCH}.", super::quoted(line))));
    }
    words.iter().for_each(|word| read_word(word, at, found));
    Ok(())
}

/// Returns true for a reference, also if a variable or the repository of an image ID is missing.
fn is_image(word: &str) -> bool {
    let Ok(text) = reference_text::parse(word) else { return true };
    reference_text::reference(&text.value).err().is_none_or(|problem| problem == reference_text::IS_IMAGE_ID)
}

fn read_word(word: &str, line: usize, found: &mut Found) {
    if let Some(reference) = found.reference(line, "the image", word) {
        found.image(Entry::new(reference, line));
    }
}
