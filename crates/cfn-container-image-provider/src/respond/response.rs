//! The response document of an event.

use image_copy::copy::Outcome;
use image_copy_aws::{Properties, platform_names};
use serde::Serialize;

use crate::input::envelope::Envelope;

/// Maximum size of a response that CloudFormation reads, in bytes
/// (<https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref.html>).
const MAX_BODY_BYTES: usize = 4096;
/// Minimum length of a shortened reason, in bytes.
const MIN_REASON_BYTES: usize = 100;

/// Response to CloudFormation. The type in `aws_lambda_events` writes `"Reason": null`, which CloudFormation
/// rejects.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Response<'a> {
    status: &'static str,
    /// Not empty, also on success.
    reason: String,
    physical_resource_id: String,
    stack_id: &'a str,
    request_id: &'a str,
    logical_resource_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Attributes>,
}

/// Attributes for `Fn::GetAtt`, the same on Create and Update. All are strings except `Platforms`, which is a
/// list as in the original provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Attributes {
    pub(crate) image_reference: String,
    pub(crate) digest: String,
    pub(crate) image_uri: String,
    pub(crate) source_digest: String,
    pub(crate) source_reference: String,
    pub(crate) platforms: Vec<String>,
    pub(crate) repository_uri: String,
    pub(crate) tag: String,
    pub(crate) media_type: String,
    pub(crate) size: String,
    /// Counts of referrers, with `IncludeReferrers`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) referrers: Option<String>,
}

impl Attributes {
    /// Creates the attributes of a finished copy.
    pub(crate) fn new(properties: &Properties, outcome: &Outcome) -> Self {
        let repository = properties.repository.repository();
        let by_digest = repository.with_digest(outcome.digest.clone()).to_string();
        let by_tag = properties.tag.as_ref().map(|tag| repository.with_tag(tag.clone()).to_string());
        let mut source = properties.source.clone();
        source.digest = Some(outcome.source_digest.clone());
        Self {
            image_reference: by_tag.unwrap_or_else(|| by_digest.clone()),
            digest: outcome.digest.to_string(),
            image_uri: by_digest,
            source_digest: outcome.source_digest.to_string(),
            source_reference: source.to_string(),
            platforms: platform_names(&outcome.platforms),
            repository_uri: repository.to_string(),
            tag: properties.tag.as_ref().map(ToString::to_string).unwrap_or_default(),
            media_type: outcome.media_type.clone(),
            size: outcome.size.to_string(),
            referrers: outcome.referrers.as_ref().map(ToString::to_string),
        }
    }
}

impl<'a> Response<'a> {
    /// Creates the response to an event that succeeded.
    pub(crate) fn success(
        envelope: &'a Envelope,
        id: String,
        reason: String,
        data: Option<Attributes>,
    ) -> Self {
        Self { data, ..Self::new(envelope, "SUCCESS", id, reason) }
    }

    /// Creates the response to an event that failed. The resource keeps its physical id.
    pub(crate) fn failure(envelope: &'a Envelope, reason: String) -> Self {
        Self::new(envelope, "FAILED", envelope.physical_resource_id.clone(), reason)
    }

    fn new(envelope: &'a Envelope, status: &'static str, id: String, reason: String) -> Self {
        Self {
            status,
            reason,
            physical_resource_id: id,
            stack_id: &envelope.stack_id,
            request_id: &envelope.request_id,
            logical_resource_id: &envelope.logical_resource_id,
            data: None,
        }
    }

    /// Returns the document, shortened to [`MAX_BODY_BYTES`]: first the reason, which the log has in full, then
    /// the list of platforms. All other fields have a bounded length.
    pub(crate) fn body(mut self) -> Vec<u8> {
        loop {
            let body = serde_json::to_vec(&self).expect("texts and lists can always be written");
            let Some(excess) = body.len().checked_sub(MAX_BODY_BYTES).filter(|excess| *excess > 0) else {
                return body;
            };
            let platforms = self.data.as_mut().map(|data| &mut data.platforms);
            if self.reason.len() > MIN_REASON_BYTES {
                let kept = self.reason.len().saturating_sub(excess).max(MIN_REASON_BYTES);
                self.reason.truncate(self.reason.floor_char_boundary(kept));
            } else if let Some(platforms) = platforms.filter(|platforms| !platforms.is_empty()) {
                platforms.pop();
            } else {
                tracing::error!(bytes = body.len(), "the response is longer than CloudFormation's maximum");
                return body;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::input::tests::update;

    fn attributes(platforms: usize) -> Attributes {
        Attributes {
            image_reference: "host/python:3".into(),
            digest: "sha256:a".into(),
            image_uri: "host/python@sha256:a".into(),
            source_digest: "sha256:b".into(),
            source_reference: "docker.io/library/python:3@sha256:b".into(),
            platforms: (0..platforms).map(|n| format!("linux/arch{n}")).collect(),
            repository_uri: "host/python".into(),
            tag: "3".into(),
            media_type: "application/json".into(),
            size: "17".into(),
            referrers: None,
        }
    }

    #[test]
    fn fields_are_texts_and_never_null() {
        let event = update("https://bucket.example/");
        let response = Response::success(&event.envelope, "id".into(), "Copied.".into(), Some(attributes(2)));
        let body: Value = serde_json::from_slice(&response.body()).unwrap();
        assert_eq!(body["Status"], "SUCCESS");
        assert_eq!(body["RequestId"], event.envelope.request_id.as_str());
        assert_eq!(body["Data"]["Platforms"], json!(["linux/arch0", "linux/arch1"]));
        let texts = body["Data"].as_object().unwrap().iter().filter(|(name, _)| *name != "Platforms");
        assert_eq!(texts.map(|(_, value)| assert!(value.is_string())).count(), 9);
        let failed = Response::failure(&event.envelope, "Because.".into()).body();
        let failed: Value = serde_json::from_slice(&failed).unwrap();
        assert_eq!(failed["PhysicalResourceId"], event.envelope.physical_resource_id.as_str());
        assert!(failed.get("Data").is_none());
    }

    #[test]
    fn a_long_response_is_truncated_to_the_maximum_of_cloudformation() {
        let event = update("https://bucket.example/");
        for reason in ["ü".repeat(5000), "\u{1F600}\"\\".repeat(3000), "\n".repeat(9000), "short".into()] {
            let response =
                Response::success(&event.envelope, "id".into(), reason.clone(), Some(attributes(400)));
            let body = response.body();
            assert!(body.len() <= MAX_BODY_BYTES, "{}", body.len());
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert!(reason.starts_with(body["Reason"].as_str().unwrap()));
            assert!(!body["Reason"].as_str().unwrap().is_empty());
            assert_eq!(body["Data"]["Tag"], "3");
            assert!(!body["Data"]["Platforms"].as_array().unwrap().is_empty());
        }
    }
}
