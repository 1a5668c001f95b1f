//! Refusals of registries that are too busy, or have had enough of somebody.

use std::collections::BTreeMap;

use serde_json::json;

use crate::fault::Effect;

impl Effect {
    /// Docker Hub's refusal of too many requests from an address, whatever they are for. It is no
    /// registry's error document, and waiting helps
    /// (<https://github.com/docker/hub-feedback/issues/1907>).
    pub fn docker_hub_abuse(retry_after: u64) -> Self {
        let headers = [("content-type", "text/plain".to_owned()), ("retry-after", retry_after.to_string())];
        refused(&headers, "Too Many Requests\n".to_owned())
    }

    /// ECR Public's refusal of a second pull within a second
    /// (<https://github.com/aws/aws-lambda-web-adapter/issues/429>).
    pub fn ecr_public_rate() -> Self {
        too_many_requests("Rate exceeded")
    }

    /// ECR Public's refusal after the volume of a month, which no waiting helps
    /// (<https://github.com/aws/aws-lambda-web-adapter/issues/595>).
    pub fn ecr_public_volume() -> Self {
        too_many_requests("Data limit exceeded")
    }

    /// GHCR's refusal of anonymous callers, who share one allowance, with a hint of no time at all.
    pub fn ghcr_rate() -> Self {
        let message = "retry-after: 522.7µs, allowed: 44000/minute";
        too_many_requests(message)
    }
}

fn too_many_requests(message: &str) -> Effect {
    let body = json!({"errors": [{"code": "TOOMANYREQUESTS", "message": message}]});
    refused(&[("content-type", "application/json".to_owned())], body.to_string())
}

fn refused(headers: &[(&str, String)], body: String) -> Effect {
    let headers: BTreeMap<_, _> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    Effect::Status { code: 429, headers, body }
}
