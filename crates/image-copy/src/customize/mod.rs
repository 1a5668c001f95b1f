//! Changes images by Dockerfile lines, without a container runtime. No I/O.
//!
//! [`Customization::parse`] checks the lines that do not depend on an image. [`customize_image`] applies them
//! to one image: it edits the config and creates at most one layer. [`customize_index`] replaces the images
//! of an index. The same base and the same lines result in the same bytes on every machine.
//!
//! The content of base layers is not known. Lines that depend on it are rejected.

mod arguments;
mod base;
mod command;
mod config;
mod error;
mod evaluation;
mod expansion;
mod files;
mod gzip;
mod instruction;
mod layer;
mod manifest;
mod object;
mod parse;
mod path;
mod shell;
mod time;
mod words;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

pub(crate) use base::Base;
pub use base::recorded_base;
pub use error::CustomizationError;
use instruction::Line;
pub(crate) use manifest::{GeneratedBlob, customize_image, customize_index};
pub(crate) use time::creation_time;
pub use words::quote;

use crate::oci::Digest;

/// Maximum size of the lines in bytes. Files in a layer have at most 1 MiB in total.
pub const MAX_BYTES: usize = 2 << 20;

/// Version of the rules that turn lines into an image. A change of the rules increases it, so that earlier
/// copies are made again.
const VERSION: &str = "1";

/// Dockerfile lines that change an image.
#[derive(Clone, PartialEq, Eq)]
pub struct Customization {
    text: Arc<str>,
    lines: Arc<[Line]>,
    digest: Digest,
}

impl Customization {
    /// Parses Dockerfile lines without `FROM`.
    ///
    /// # Errors
    /// The first line that is invalid or not supported.
    pub fn parse(text: &str) -> Result<Self, CustomizationError> {
        let text = text.trim_end();
        if text.len() > MAX_BYTES {
            return Err(CustomizationError::new(None, format!("the lines have more than {MAX_BYTES} bytes")));
        }
        let lines = parse::parse(text)?;
        let digest = Digest::of(format!("{VERSION}\n{text}").as_bytes());
        Ok(Self { text: text.into(), lines: lines.into(), digest })
    }

    /// Parses texts, each with one or more lines. No text means no change, so that a condition of a template can
    /// remove the lines.
    ///
    /// # Errors
    /// As for [`Self::parse`]. The number of a line counts the lines of all texts.
    pub fn parse_texts(texts: &[&str]) -> Result<Option<Self>, CustomizationError> {
        let text = texts.join("\n");
        if text.trim().is_empty() { Ok(None) } else { Self::parse(&text).map(Some) }
    }

    /// Returns the lines as they were written, without white space at the end.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns a digest that is equal for equal lines. It is a part of the record of a copy.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }
}

impl fmt::Debug for Customization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Customization({} lines, {})", self.lines.len(), self.digest.short())
    }
}
