//! A custom resource's response, parsed as strictly as CloudFormation does.

use std::fmt;

use serde_json::{Map, Value};

/// CloudFormation's limit of the response body in bytes.
const BODY_LIMIT: usize = 4_096;
/// CloudFormation's limit of the physical ID in bytes.
const PHYSICAL_ID_LIMIT: usize = 1_024;

/// Identifiers of a request, which the response repeats.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestIds {
    /// ARN of the stack.
    pub stack_id: String,
    /// Name of the resource in the template.
    pub logical_id: String,
    /// ID of the request.
    pub request_id: String,
}

impl RequestIds {
    /// Returns the key of the response in the bucket.
    pub fn object_key(&self) -> String {
        format!("{}|{}|{}", self.stack_id, self.logical_id, self.request_id)
    }
}

/// Status of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// `SUCCESS`
    Success,
    /// `FAILED`
    Failed,
}

/// A response that CloudFormation accepts.
#[derive(Clone, Debug, PartialEq)]
pub struct ProviderResponse {
    /// Status of the request.
    pub status: Status,
    /// Reason, which a failure always has.
    pub reason: Option<String>,
    /// Physical ID of the resource.
    pub physical_id: String,
    /// Attributes for `Fn::GetAtt`: strings and lists of strings.
    pub data: Map<String, Value>,
    /// True if CloudFormation masks `Data` in its output.
    pub no_echo: bool,
}

/// Error in a response, by CloudFormation's reaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResponseError {
    /// CloudFormation ignores the response and continues to wait.
    Discarded(String),
    /// The resource fails immediately with this text instead of the provider's reason.
    Invalid(String),
}

impl fmt::Display for ResponseError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Discarded(text) => write!(formatter, "discarded: {text}"),
            Self::Invalid(text) => write!(formatter, "invalid: {text}"),
        }
    }
}

impl ProviderResponse {
    /// Parses the body of a PUT as the response to a request.
    ///
    /// # Errors
    ///
    /// Returns the first error that CloudFormation finds.
    pub fn parse(body: &[u8], ids: &RequestIds) -> Result<Self, ResponseError> {
        if body.len() > BODY_LIMIT {
            let length = body.len();
            return Err(ResponseError::Invalid(format!("Response object is too long. ({length} bytes)")));
        }
        let object: Map<String, Value> = serde_json::from_slice(body)
            .map_err(|error| ResponseError::Discarded(format!("not a JSON object: {error}")))?;
        check_ids(&object, ids)?;
        let status = match object.get("Status").and_then(Value::as_str) {
            Some("SUCCESS") => Status::Success,
            Some("FAILED") => Status::Failed,
            _ => {
                return Err(discarded("Status", "SUCCESS or FAILED", object.get("Status")));
            }
        };
        let reason = reason(&object, status)?;
        let no_echo = match object.get("NoEcho") {
            None => false,
            Some(Value::Bool(no_echo)) => *no_echo,
            other => return Err(discarded("NoEcho", "a boolean", other)),
        };
        Ok(Self { status, reason, physical_id: physical_id(&object)?, data: data(&object)?, no_echo })
    }
}

fn check_ids(object: &Map<String, Value>, ids: &RequestIds) -> Result<(), ResponseError> {
    for (name, expected) in
        [("StackId", &ids.stack_id), ("RequestId", &ids.request_id), ("LogicalResourceId", &ids.logical_id)]
    {
        if object.get(name).and_then(Value::as_str) != Some(expected) {
            return Err(discarded(name, &format!("{expected:?}"), object.get(name)));
        }
    }
    Ok(())
}

fn reason(object: &Map<String, Value>, status: Status) -> Result<Option<String>, ResponseError> {
    match object.get("Reason") {
        Some(Value::String(reason)) => Ok(Some(reason.clone())),
        None if status == Status::Success => Ok(None),
        other => Err(discarded("Reason", "a string", other)),
    }
}

fn physical_id(object: &Map<String, Value>) -> Result<String, ResponseError> {
    match object.get("PhysicalResourceId").and_then(Value::as_str) {
        Some(id) if !id.is_empty() && id.len() <= PHYSICAL_ID_LIMIT => Ok(id.to_owned()),
        _ => Err(ResponseError::Invalid("Invalid PhysicalResourceId".to_owned())),
    }
}

fn data(object: &Map<String, Value>) -> Result<Map<String, Value>, ResponseError> {
    let data = match object.get("Data") {
        None => return Ok(Map::new()),
        Some(Value::Object(data)) => data,
        other => return Err(discarded("Data", "an object", other)),
    };
    for (key, value) in data {
        let simple = match value {
            Value::String(_) => true,
            Value::Array(items) => items.iter().all(Value::is_string),
            _ => false,
        };
        if !simple {
            let name = format!("Data.{key}");
            return Err(discarded(&name, "a string or a list of strings", Some(value)));
        }
    }
    Ok(data.clone())
}

fn discarded(name: &str, expected: &str, found: Option<&Value>) -> ResponseError {
    let found = found.map_or_else(|| "missing".to_owned(), Value::to_string);
    ResponseError::Discarded(format!("{name} is {found}, expected {expected}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ids() -> RequestIds {
        let [stack_id, logical_id, request_id] = ["s", "l", "r"].map(ToOwned::to_owned);
        RequestIds { stack_id, logical_id, request_id }
    }

    /// Parses a valid response in which one field has another value or is missing.
    fn parse_with(field: &str, value: Option<Value>) -> Result<ProviderResponse, ResponseError> {
        let mut object = json!({
            "Status": "FAILED", "Reason": "r", "PhysicalResourceId": "p", "StackId": "s",
            "RequestId": "r", "LogicalResourceId": "l", "Data": { "A": "a", "L": ["a"] },
        });
        let fields = object.as_object_mut().unwrap();
        match value {
            Some(value) => fields.insert(field.to_owned(), value),
            None => fields.remove(field),
        };
        ProviderResponse::parse(object.to_string().as_bytes(), &ids())
    }

    #[test]
    fn accepts_a_valid_response() {
        let response = parse_with("NoEcho", Some(json!(true))).unwrap();
        assert_eq!((response.status, response.physical_id.as_str()), (Status::Failed, "p"));
        assert_eq!((response.data.len(), response.no_echo), (2, true));
        assert!(parse_with("Data", None).unwrap().data.is_empty());
    }

    #[test]
    fn discards_malformed_responses() {
        for (field, value) in [
            ("Status", Some(json!("Success"))),
            ("Status", None),
            ("Reason", Some(Value::Null)),
            ("Reason", None),
            ("Reason", Some(json!({ "a": 1 }))),
            ("StackId", Some(json!("S"))),
            ("RequestId", None),
            ("LogicalResourceId", Some(json!(1))),
            ("Data", Some(Value::Null)),
            ("Data", Some(json!({ "A": 1 }))),
            ("Data", Some(json!({ "A": { "B": "b" } }))),
            ("Data", Some(json!({ "A": [1] }))),
        ] {
            let read = parse_with(field, value.clone());
            assert!(matches!(read, Err(ResponseError::Discarded(_))), "{field} {value:?}: {read:?}");
        }
        assert!(matches!(ProviderResponse::parse(b"[]", &ids()), Err(ResponseError::Discarded(_))));
    }

    #[test]
    fn discards_a_null_reason_also_on_success() {
        let body = json!({
            "Status": "SUCCESS", "Reason": null, "PhysicalResourceId": "p", "StackId": "s",
            "RequestId": "r", "LogicalResourceId": "l",
        });
        let read = ProviderResponse::parse(body.to_string().as_bytes(), &ids());
        assert_eq!(read, Err(ResponseError::Discarded("Reason is null, expected a string".to_owned())));
    }

    #[test]
    fn rejects_invalid_ids_and_long_responses() {
        for value in [None, Some(json!("")), Some(json!("x".repeat(1_025))), Some(json!(7))] {
            let read = parse_with("PhysicalResourceId", value.clone());
            assert!(matches!(read, Err(ResponseError::Invalid(_))), "{value:?}: {read:?}");
        }
        let read = parse_with("Reason", Some(json!("x".repeat(4_096))));
        assert!(matches!(read, Err(ResponseError::Invalid(_))), "{read:?}");
    }
}
