//! Status 429 as registries return it.

use std::collections::BTreeMap;

use serde_json::json;

use crate::fault::Effect;

impl Effect {
    /// Docker Hub's error for too many requests from one IP address. It has no registry error document, and
    /// a retry helps
    /// (<https://github.com/docker/hub-feedback/issues/1907>).
    pub fn docker_hub_abuse(retry_after: u64) -> Self {
        let headers = [("content-type", "text/plain".to_owned()), ("retry-after", retry_after.to_string())];
        error(&headers, "Too Many Requests\n".to_owned())
    }

    /// ECR Public's error for a second pull within a second
    /// (<https://github.com/aws/aws-lambda-web-adapter/issues/429>).
    pub fn ecr_public_rate() -> Self {
        too_many_requests("Rate exceeded")
    }

    /// ECR Public's error after the monthly data limit, for which a retry does not help
    /// (<https://github.com/aws/aws-lambda-web-adapter/issues/595>).
    pub fn ecr_public_volume() -> Self {
        too_many_requests("Data limit exceeded")
    }

    /// GHCR's error for anonymous callers, who share one limit. Its delay is shorter than a millisecond.
    pub fn ghcr_rate() -> Self {
        let message = "retry-after: 522.7µs, allowed: 44000/minute";
        too_many_requests(message)
    }
}

fn too_many_requests(message: &str) -> Effect {
    let body = json!({"errors": [{"code": "TOOMANYREQUESTS", "message": message}]});
    error(&[("content-type", "application/json".to_owned())], body.to_string())
}

fn error(headers: &[(&str, String)], body: String) -> Effect {
    let headers: BTreeMap<_, _> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    Effect::Status { code: 429, headers, body }
}
