//! Dockerfile lines that another tool adds to an image.
//!
//! An entry has them as `customize` if all of them are supported. Otherwise, they become a comment and a note,
//! because some of the lines can depend on the others.

use image_copy::customize::Customization;
use image_copy::list::MAX_CUSTOMIZE_BYTES;
use image_copy::text::SanitizedText;

use super::found::Found;

/// Dockerfile lines that a list cannot express.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UnsupportedLines {
    /// Path of the key in the file.
    key: String,
    reason: String,
    lines: Vec<String>,
}

/// Returns the lines of texts. If a line is not supported, this is a note.
pub(super) fn parse(
    key: &str,
    line: usize,
    texts: &[String],
    found: &mut Found,
) -> Result<Option<Customization>, UnsupportedLines> {
    let all: Vec<&str> = texts.iter().map(String::as_str).collect();
    let reason = match Customization::parse_texts(&all) {
        Ok(Some(lines)) if lines.text().len() >= MAX_CUSTOMIZE_BYTES => {
            format!("it has more than {} KiB", MAX_CUSTOMIZE_BYTES >> 10)
        }
        Ok(lines) => return Ok(lines),
        Err(error) => error.to_string(),
    };
    found.note(
        line,
        key,
        &format!(
            "is not applied: {reason}. The list copies the image unchanged, and has the lines as a comment"
        ),
    );
    let lines = texts.iter().flat_map(|text| text.lines());
    let lines = lines.map(|line| SanitizedText::from(line).as_str().to_owned());
    let lines = lines.filter(|line| !line.is_empty()).collect();
    Err(UnsupportedLines { key: key.into(), reason, lines })
}

impl UnsupportedLines {
    /// Returns the comment at the entry, without number signs.
    pub(super) fn comment(&self) -> Vec<String> {
        let title = format!("{} is not applied: {}", self.key, self.reason);
        let lines = self.lines.iter().map(|line| format!("  {line}"));
        std::iter::once(title).chain(lines).collect()
    }
}
