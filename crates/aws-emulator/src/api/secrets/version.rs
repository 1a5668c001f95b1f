//! Versions of a secret.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::api::{ApiError, now};

pub(super) const CURRENT: &str = "AWSCURRENT";
const PREVIOUS: &str = "AWSPREVIOUS";

/// A version of a secret.
pub(super) struct Version {
    pub(super) id: String,
    pub(super) stages: Vec<String>,
    content: Content,
    created: f64,
}

/// Content of a version.
pub(super) enum Content {
    Text(String),
    Binary(Vec<u8>),
}

impl Version {
    /// Creates a version with the current time.
    pub(super) fn new(stage: &str, content: Content) -> Self {
        Self { id: version_id(), stages: vec![stage.to_owned()], content, created: now() }
    }

    /// Moves the label of the current version to previous.
    pub(super) fn demote(&mut self) {
        let was_current = self.stages.iter().any(|stage| stage == CURRENT);
        self.stages.retain(|stage| stage != CURRENT && stage != PREVIOUS);
        if was_current {
            self.stages.push(PREVIOUS.to_owned());
        }
    }
}

/// Returns the requested version. The default is the current one.
pub(super) fn select<'a>(
    versions: &'a [Version],
    id: Option<&str>,
    stage: Option<&str>,
) -> Result<&'a Version, ApiError> {
    let missing = |selector: String| {
        let message = format!("Secrets Manager can't find the specified secret value for {selector}");
        ApiError::new("ResourceNotFoundException", message)
    };
    let has_stage = |version: &&Version, stage: &str| version.stages.iter().any(|label| label == stage);
    let Some(id) = id else {
        let stage = stage.unwrap_or(CURRENT);
        let found = versions.iter().find(|version| has_stage(version, stage));
        return found.ok_or_else(|| missing(format!("staging label: {stage}")));
    };
    let found = versions.iter().find(|version| version.id == id);
    let found = found.ok_or_else(|| missing(format!("VersionId: {id}")))?;
    if stage.is_some_and(|stage| !has_stage(&found, stage)) {
        let message = "You provided a VersionStage that is not associated to the provided VersionId.";
        return Err(ApiError::new("InvalidRequestException", message));
    }
    Ok(found)
}

/// Formats a version as the API does.
pub(super) fn describe(arn: &str, version: &Version) -> Value {
    let name = arn.rsplit_once(":secret:").map_or("", |(_, name)| &name[..name.len() - 7]);
    let mut output = json!({
        "ARN": arn,
        "Name": name,
        "VersionId": version.id,
        "VersionStages": version.stages,
        "CreatedDate": version.created,
    });
    match &version.content {
        Content::Text(text) => output["SecretString"] = json!(text),
        Content::Binary(bytes) => output["SecretBinary"] = json!(BASE64_STANDARD.encode(bytes)),
    }
    output
}

/// Generates a version ID.
fn version_id() -> String {
    let (high, low) = (fastrand::u64(..), fastrand::u64(..));
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xfff,
        low >> 52,
        low & 0xffff_ffff_ffff
    )
}
