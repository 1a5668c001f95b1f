//! Lambda's records of failed invocations: killed, timed out, or unable to send the response.
//!
//! Lambda sends the record of a failed event to the function's failure destination: the watchdog, which is
//! this program as a second function. It sends the response instead. If the first function did respond,
//! CloudFormation ignores the second response.

use serde_json::Value;

use super::continuation::ContinuationState;
use super::envelope::{Envelope, UnsupportedPayload};

/// Error type of an invocation that could not send its response.
pub(crate) const RESPONSE_NOT_SENT: &str = "ResponseNotSent";

/// Record of an event that Lambda does not retry any more
pub(crate) struct FailedInvocation {
    /// The envelope of the event, or an error if the payload was no event of CloudFormation.
    pub(crate) envelope: Result<Envelope, UnsupportedPayload>,
    /// Lambda request ID of the failed invocations.
    pub(crate) request_id: String,
    pub(crate) failure: InvocationFailure,
}

/// Failed invocations of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InvocationFailure {
    pub(crate) cause: FailureCause,
    /// Number of invocations.
    pub(crate) attempts: u64,
}

/// End of the last invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FailureCause {
    /// Lambda stopped it after this time, in Lambda's words.
    TimedOut(String),
    /// The process was killed, usually because it used too much memory.
    Killed,
    /// The process ended with this status, in Lambda's words.
    Exited(String),
    /// The work ended, but the response could not be sent.
    ResponseNotSent(String),
    /// The event exceeded its maximum age in the queue.
    EventAgeExceeded,
    /// Any other error.
    Error(String),
}

impl FailedInvocation {
    /// Reads a record. Returns `None` if the payload is something else. Records of successes, which need
    /// extra configuration, have no envelope.
    pub(crate) fn read(payload: &mut Value) -> Option<Self> {
        let condition = payload.pointer("/requestContext/condition")?.as_str()?.to_owned();
        let mut event = payload.get_mut("requestPayload")?.take();
        if let Some((_, original)) = ContinuationState::read(&mut event) {
            event = original;
        }
        let envelope = match condition.as_str() {
            "Success" => Err(UnsupportedPayload("the record of a call that succeeded")),
            _ => Envelope::read(&event),
        };
        let context = &payload["requestContext"];
        Some(Self {
            envelope,
            request_id: context["requestId"].as_str().unwrap_or_default().to_owned(),
            failure: InvocationFailure {
                cause: FailureCause::read(&condition, &payload["responsePayload"]),
                attempts: context["approximateInvokeCount"].as_u64().unwrap_or_default(),
            },
        })
    }
}

impl FailureCause {
    fn read(condition: &str, response: &Value) -> Self {
        let text = |name: &str| response[name].as_str().unwrap_or_default();
        let (kind, message) = (text("errorType"), text("errorMessage"));
        let after = |words: &str| message.split_once(words).map(|(_, rest)| rest.trim().to_owned());
        if condition == "EventAgeExceeded" {
            Self::EventAgeExceeded
        } else if kind == RESPONSE_NOT_SENT {
            Self::ResponseNotSent(message.into())
        } else if let Some(time) = after("Task timed out after ") {
            Self::TimedOut(time)
        } else if kind == "Runtime.OutOfMemory" || message.contains("signal: killed") {
            Self::Killed
        } else if let Some(status) = after("Runtime exited with error: ") {
            Self::Exited(status)
        } else {
            let texts = [kind, message].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>();
            Self::Error(if texts.is_empty() { condition.into() } else { texts.join(": ") })
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::input::Input;
    use crate::input::tests::fixture;

    fn record(event: Value, condition: &str, response: Value) -> Value {
        json!({
            "version": "1.0",
            "timestamp": "2026-11-21T12:00:00.000Z",
            "requestContext": {
                "requestId": "8f2a1c3e",
                "functionArn": "arn:aws:lambda:eu-west-1:123456789012:function:provider:$LATEST",
                "condition": condition,
                "approximateInvokeCount": 3,
            },
            "requestPayload": event,
            "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
            "responsePayload": response,
        })
    }

    fn read(record: Value) -> FailedInvocation {
        let Ok(Input::FailedInvocation(failed)) = Input::read(record) else { panic!("no record") };
        failed
    }

    #[test]
    fn finds_the_cause_in_lambdas_messages() {
        let message = |message: &str| json!({"errorMessage": message});
        let typed = |kind: &str, message: &str| json!({"errorType": kind, "errorMessage": message});
        for (condition, response, expected) in [
            (
                "RetriesExhausted",
                message("2026-11-21T12:00:00Z 8f2a1c3e Task timed out after 900.00 seconds"),
                FailureCause::TimedOut("900.00 seconds".into()),
            ),
            (
                "RetriesExhausted",
                typed("Sandbox.Timedout", "RequestId: 8f Error: Task timed out after 3.00 seconds"),
                FailureCause::TimedOut("3.00 seconds".into()),
            ),
            (
                "RetriesExhausted",
                typed("Runtime.ExitError", "RequestId: 8f Error: Runtime exited with error: signal: killed"),
                FailureCause::Killed,
            ),
            (
                "RetriesExhausted",
                typed("Runtime.OutOfMemory", "RequestId: 8f Error: x"),
                FailureCause::Killed,
            ),
            (
                "RetriesExhausted",
                typed("Runtime.ExitError", "RequestId: 8f Error: Runtime exited with error: exit status 1"),
                FailureCause::Exited("exit status 1".into()),
            ),
            (
                "RetriesExhausted",
                typed(RESPONSE_NOT_SENT, "the response"),
                FailureCause::ResponseNotSent("the response".into()),
            ),
            ("EventAgeExceeded", Value::Null, FailureCause::EventAgeExceeded),
            ("RetriesExhausted", typed("A", "b"), FailureCause::Error("A: b".into())),
            ("RecursionDetected", json!("text"), FailureCause::Error("RecursionDetected".into())),
        ] {
            let failed = read(record(fixture("create"), condition, response));
            assert_eq!(failed.failure, InvocationFailure { cause: expected, attempts: 3 });
            assert_eq!(failed.request_id, "8f2a1c3e");
            assert_eq!(failed.envelope.unwrap().logical_resource_id, "Python");
        }
    }

    #[test]
    fn finds_the_event_in_a_continuation() {
        let event = json!({"ContainerImageContinuation": {"invocation": 3, "issued_at": 1, "concurrent_blobs": 6, "event": fixture("update")}});
        let failed = read(record(event, "RetriesExhausted", Value::Null));
        assert!(failed.envelope.unwrap().physical_resource_id.ends_with("/python:3.13"));
    }

    #[test]
    fn records_of_other_payloads_have_no_envelope() {
        let own = record(fixture("create"), "RetriesExhausted", Value::Null);
        assert!(read(record(own, "RetriesExhausted", Value::Null)).envelope.is_err());
        assert!(read(record(json!({"hello": "world"}), "RetriesExhausted", Value::Null)).envelope.is_err());
        assert!(read(record(fixture("create"), "Success", Value::Null)).envelope.is_err());
    }
}
