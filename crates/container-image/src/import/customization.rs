//! Dockerfile lines that another tool adds to an image.
//!
//! A list has no key for them. They become a comment at the entry, and a note.

use image_copy::text::SanitizedText;

use super::found::Found;

/// Dockerfile lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Customization {
    /// Path of the key in the file.
    key: String,
    lines: Vec<String>,
}

impl Customization {
    /// Returns the lines of texts, and notes that the list does not apply them.
    pub(super) fn new(key: &str, line: usize, texts: &[String], found: &mut Found) -> Self {
        found.note(
            line,
            key,
            "is not applied. The list copies the image unchanged, and has the lines as a comment",
        );
        let lines = texts.iter().flat_map(|text| text.lines());
        let lines = lines.map(|line| SanitizedText::from(line).as_str().to_owned());
        Self { key: key.into(), lines: lines.filter(|line| !line.is_empty()).collect() }
    }

    /// Returns the comment at the entry, without number signs.
    pub(super) fn comment(&self) -> Vec<String> {
        let title = format!("{} is not applied:", self.key);
        let lines = self.lines.iter().map(|line| format!("  {line}"));
        std::iter::once(title).chain(lines).collect()
    }
}
