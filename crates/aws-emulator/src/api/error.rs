//! Errors of the AWS APIs.

use serde_json::Value;

/// An error of an AWS API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) name: &'static str,
    pub(crate) message: String,
    /// Current item after a failed condition in DynamoDB, if the request has
    /// `ReturnValuesOnConditionCheckFailure`.
    pub(crate) item: Option<Value>,
}

impl ApiError {
    pub(crate) fn new(name: &'static str, message: impl Into<String>) -> Self {
        Self { name, message: message.into(), item: None }
    }
}
