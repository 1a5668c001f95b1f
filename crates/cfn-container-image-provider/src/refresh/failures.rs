//! Images that failed, as in `failures.json` and the report of a run.

use image_copy::text::SanitizedText;
use image_copy_aws::ListedImage;
use serde::{Deserialize, Serialize};

use super::RefreshContext;
use crate::failure::Failure;
use crate::respond::function_error::error_type;

/// A failed image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct FailedImage {
    /// Reference of the source, or its repository.
    pub(super) source: String,
    /// `<registry>/<repository>:<tag>`, or the repository.
    pub(super) destination: String,
    /// Class of the failure (docs/direct.md), or the name of an error of Step Functions or Lambda.
    pub(super) error_type: String,
    /// One line.
    pub(super) message: SanitizedLine,
}

/// One line of text, sanitized when it is read.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub(super) struct SanitizedLine(SanitizedText);

impl FailedImage {
    /// Creates the failure of an image before its event was sent.
    pub(super) fn new(image: &ListedImage, failure: &Failure, context: &RefreshContext<'_>) -> Self {
        let (source, destination) = (image.entry.source.to_string(), image.name());
        let message = context.reason(failure).into();
        Self { source, destination, error_type: error_type(failure).into(), message }
    }
}

impl From<String> for SanitizedLine {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<SanitizedLine> for String {
    fn from(SanitizedLine(text): SanitizedLine) -> Self {
        text.as_str().into()
    }
}

impl std::fmt::Display for SanitizedLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
