//! Common parts of the AWS APIs: awsJson, signatures, host names, errors and denials.
//!
//! Each API is a [`Service`]. This module parses its requests and formats its responses.
//!
//! [`Service`]: crate::service::Service

pub(crate) mod caller;
mod denials;
pub(crate) mod dynamodb;
pub(crate) mod ecr_public;
mod error;
pub(crate) mod hosts;
pub(crate) mod iam;
pub(crate) mod parameters;
pub(crate) mod query;
pub(crate) mod secrets;
mod signature;

use std::time::{SystemTime, UNIX_EPOCH};

use http::HeaderMap;
use serde_json::{Value, json};

use crate::body::{full, read};
use crate::fault::Effect;
use crate::service::{Operation, Request, Response, reset_connection, response};

pub(crate) use caller::Caller;
pub(crate) use denials::{Denials, Deny, access_denied};
pub(crate) use error::ApiError;
pub(crate) use signature::check as check_signature;

/// Names of an AWS API.
pub(crate) struct Api {
    /// Name in signatures, IAM actions and log operations.
    pub(crate) service: &'static str,
    /// Service name in the log.
    pub(crate) log_service: &'static str,
    /// Prefix of the action in `X-Amz-Target`.
    pub(crate) target_prefix: &'static str,
    /// Prefixes of IPv4 host names.
    pub(crate) hosts: &'static [&'static str],
    /// Prefixes of dual-stack host names.
    pub(crate) dual_stack_hosts: &'static [&'static str],
    /// Version of awsJson.
    pub(crate) json: JsonVersion,
}

/// Version of awsJson, which determines the content type and the format of error names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JsonVersion {
    /// `application/x-amz-json-1.0`, with a namespace in error names. This is the namespace of the API's own errors.
    V1_0(&'static str),
    /// `application/x-amz-json-1.1`, without a namespace in error names.
    V1_1,
}

impl JsonVersion {
    fn content_type(self) -> &'static str {
        match self {
            Self::V1_0(_) => "application/x-amz-json-1.0",
            Self::V1_1 => "application/x-amz-json-1.1",
        }
    }

    /// Returns the value of `__type` for an error.
    fn error_type(self, name: &str) -> String {
        let namespace = match (self, name) {
            (Self::V1_1, _) => return name.to_owned(),
            (Self::V1_0(_), "ValidationException") => "com.amazon.coral.validate",
            (Self::V1_0(_), "ThrottlingException") => "com.amazon.coral.availability",
            (
                Self::V1_0(_),
                "AccessDeniedException"
                | "ExpiredTokenException"
                | "IncompleteSignatureException"
                | "InvalidSignatureException"
                | "MissingAuthenticationTokenException"
                | "SerializationException"
                | "UnknownOperationException"
                | "UnrecognizedClientException",
            ) => "com.amazon.coral.service",
            (Self::V1_0(namespace), _) => namespace,
        };
        format!("{namespace}#{name}")
    }
}

impl Api {
    /// Returns the Region of a lower-case host name of this API.
    pub(crate) fn region(&self, host: &str) -> Option<String> {
        let (name, region, suffix) = hosts::split_at_region(host)?;
        let partition = hosts::partition_of(&region);
        let classic = suffix == partition.suffix && self.hosts.contains(&name.as_str());
        let dual_stack = suffix == partition.api_suffix && self.dual_stack_hosts.contains(&name.as_str());
        (classic || dual_stack).then_some(region)
    }

    /// Returns the action of a request.
    pub(crate) fn action<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        headers.get("x-amz-target")?.to_str().ok()?.strip_prefix(self.target_prefix)
    }

    /// Returns the operation of a request for the log and for faults.
    pub(crate) fn operation(&self, headers: &HeaderMap) -> Operation {
        let name = format!("{}:{}", self.service, self.action(headers).unwrap_or("unknown"));
        Operation { action: Some(name.clone()), ..Operation::new(self.log_service, name) }
    }

    /// Parses a call, executes it, and formats the result. `execute` receives the Region, the caller, the action and
    /// the input.
    pub(crate) async fn respond(
        &self,
        account: &str,
        request: Request,
        execute: impl FnOnce(&str, &Caller, &str, &Value) -> Result<Value, ApiError>,
    ) -> Response {
        let Some(region) = self.region(&request.host) else { return reset_connection() };
        let caller = Caller::of(&request.headers, account, &region);
        let action = self.action(&request.headers).unwrap_or("unknown").to_owned();
        let signed = signature::check(&request, &region, self.service);
        let effect = request.effect;
        let Ok(bytes) = read(request.body, 8 * 1024 * 1024).await else {
            return self.error_response(&ApiError::new("SerializationException", "The body broke off"));
        };
        if let Some(Effect::ApiError { error, message }) = effect {
            return self.format_error(&error, &message, None);
        }
        let result = signed.and_then(|()| {
            let input = serde_json::from_slice(&bytes)
                .map_err(|error| ApiError::new("SerializationException", error.to_string()))?;
            execute(&region, &caller, &action, &input)
        });
        match result {
            Ok(output) => {
                let headers = [("content-type", self.json.content_type())];
                response(200, &headers, full(output.to_string()))
            }
            Err(error) => self.error_response(&error),
        }
    }

    /// Returns the response for an error.
    pub(crate) fn error_response(&self, error: &ApiError) -> Response {
        self.format_error(error.name, &error.message, error.item.as_ref())
    }

    fn format_error(&self, name: &str, message: &str, item: Option<&Value>) -> Response {
        let mut body = json!({"__type": self.json.error_type(name)});
        // Some errors, such as SSM's ParameterNotFound, have no message.
        if !message.is_empty() {
            body["message"] = json!(message);
        }
        if let Some(item) = item {
            body["Item"] = item.clone();
        }
        let status = match name {
            "InternalServerError" | "InternalServiceError" | "ServerException" => 500,
            "ServiceUnavailable" | "ServiceUnavailableException" => 503,
            _ => 400,
        };
        response(status, &[("content-type", self.json.content_type())], full(body.to_string()))
    }

    /// Returns the error for an action that the emulator does not implement.
    pub(crate) fn unknown(&self, action: &str) -> ApiError {
        let message = format!("aws-emulator: {}:{action} is not implemented", self.service);
        ApiError::new("UnknownOperationException", message)
    }
}

/// Returns the seconds since 1970, as the APIs format timestamps.
pub(crate) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_millis() as f64 / 1e3)
}
