//! Record of a failed invocation, as Lambda sends it to an on-failure destination.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::sandbox::Outcome;
use super::settings::FunctionSettings;
use crate::timestamp;

/// Reason of a permanent failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureCondition {
    /// All attempts failed.
    RetriesExhausted,
    /// The event reached its maximum age before the next attempt.
    EventAgeExceeded,
}

impl FailureCondition {
    fn name(self) -> &'static str {
        match self {
            Self::RetriesExhausted => "RetriesExhausted",
            Self::EventAgeExceeded => "EventAgeExceeded",
        }
    }
}

/// Returns the record in the format of
/// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>.
pub(super) fn record(
    settings: &FunctionSettings,
    request_id: &str,
    event: &Value,
    attempts: usize,
    last: Option<&Outcome>,
    condition: FailureCondition,
) -> Value {
    let mut record = json!({
        "version": "1.0",
        "timestamp": timestamp::iso(SystemTime::now()),
        "requestContext": {
            "requestId": request_id,
            "functionArn": format!("{}:$LATEST", settings.arn()),
            "condition": condition.name(),
            "approximateInvokeCount": attempts,
        },
        "requestPayload": event,
    });
    // An event without an attempt has no response.
    if let Some(last) = last {
        record["responseContext"] = json!({
            "statusCode": 200,
            "executedVersion": "$LATEST",
            "functionError": "Unhandled",
        });
        record["responsePayload"] = payload(settings, request_id, last);
    }
    record
}

/// Returns the function's result as in a synchronous invocation.
fn payload(settings: &FunctionSettings, request_id: &str, outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Response(body) | Outcome::Error(body) => {
            serde_json::from_str(body).unwrap_or_else(|_| Value::String(body.clone()))
        }
        Outcome::Timeout => {
            let now = timestamp::iso(SystemTime::now());
            let seconds = settings.timeout.as_secs_f64();
            let message = format!("{now} {request_id} Task timed out after {seconds:.2} seconds");
            json!({ "errorMessage": message })
        }
        Outcome::Crash(status) => json!({
            "errorType": "Runtime.ExitError",
            "errorMessage":
                format!("RequestId: {request_id} Error: Runtime exited with error: {status}"),
        }),
    }
}
