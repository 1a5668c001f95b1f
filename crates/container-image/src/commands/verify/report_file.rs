//! Images in the file of `sync --report`: an object from the source to the URI with digest.

use std::collections::BTreeMap;
use std::path::Path;

use image_copy::oci::{ParseError, Reference};
use image_copy::text::{SanitizedText, name_without_userinfo};

use super::images::{CopySource, Origin, ReliedCopy, ReliedImages};
use crate::{display, input_file};

/// Maximum size of the file in bytes. A report of the largest list, with 20,000 images, has about 5 MiB.
const MAX_REPORT_BYTES: u64 = 64 << 20;

/// Maximum length of a quoted value in characters.
const QUOTE_CHARS: usize = 100;

/// Reads a report.
///
/// # Errors
/// Error line that names the file.
pub(super) fn read(path: &Path) -> Result<ReliedImages, String> {
    let name = display::path(path);
    let content = input_file::read(path, MAX_REPORT_BYTES)
        .map_err(|error| display::unreadable("the report", path, &error))?;
    let entries: BTreeMap<String, String> = serde_json::from_slice(&content).map_err(|error| {
        format!(
            "the report {name} is not a JSON object of sources and URIs: {}. Write it with sync --report.",
            SanitizedText::new(&error.to_string(), QUOTE_CHARS)
        )
    })?;
    if entries.is_empty() {
        return Err(format!("the report {name} contains no image. Write it with sync --report."));
    }
    let mut images = ReliedImages::default();
    for (source, uri) in &entries {
        let invalid = |value: &str, problem: String| {
            let value = SanitizedText::quotable(&name_without_userinfo(value), QUOTE_CHARS);
            format!(
                "the report {name} contains \"{value}\": {problem}. Write the report again with sync --report."
            )
        };
        let reference = parse(source).map_err(|problem| invalid(source, problem))?;
        let copy = parse(uri).map_err(|problem| invalid(uri, problem))?;
        let digest = copy.digest.clone();
        if digest.is_none() {
            return Err(invalid(uri, "expected a digest".into()));
        }
        let source = Some(CopySource { reference, digest: None });
        let name = Reference { tag: None, ..copy };
        images.add(name, ReliedCopy { origin: Origin::Report, digest, source });
    }
    Ok(images)
}

fn parse(text: &str) -> Result<Reference, String> {
    text.parse().map_err(|error: ParseError| error.to_string())
}
