//! What comes over the wire: events, their properties, continuations, records of lost invocations.

pub(crate) mod continuation;
pub(crate) mod envelope;
pub(crate) mod event;
pub(crate) mod failed_invocation;
mod issue_time;
pub(crate) mod properties;

use std::time::SystemTime;

use serde_json::Value;

use continuation::ContinuationState;
use envelope::{Envelope, UnsupportedPayload};
use event::{InvalidEvent, ResourceOperation};
use failed_invocation::FailedInvocation;

/// Everything that the function can be called with.
pub(crate) enum Input {
    /// CloudFormation wants a change, and waits for the response.
    CloudFormation(Event),
    /// The same event again, because one invocation was not enough.
    Continuation(Event),
    /// Lambda reports an invocation that failed.
    FailedInvocation(FailedInvocation),
}

/// An event of a custom resource.
pub(crate) struct Event {
    /// What the response needs.
    pub(crate) envelope: Envelope,
    /// The change, or why it cannot be read.
    pub(crate) operation: Result<ResourceOperation, InvalidEvent>,
    /// Which invocation for the event this is.
    pub(crate) continuation: ContinuationState,
}

impl Input {
    /// Reads the payload of a call.
    pub(crate) fn read(mut payload: Value) -> Result<Self, UnsupportedPayload> {
        if let Some((continuation, event)) = ContinuationState::read(&mut payload) {
            return Event::read(event, |_| continuation).map(Self::Continuation);
        }
        if let Some(failed) = FailedInvocation::read(&mut payload) {
            return Ok(Self::FailedInvocation(failed));
        }
        let event = payload.clone();
        let first = |envelope: &Envelope| ContinuationState::first(event, envelope, SystemTime::now());
        Event::read(payload, first).map(Self::CloudFormation)
    }
}

impl Event {
    fn read(
        payload: Value,
        continuation: impl FnOnce(&Envelope) -> ContinuationState,
    ) -> Result<Self, UnsupportedPayload> {
        let envelope = Envelope::read(&payload)?;
        let continuation = continuation(&envelope);
        let operation = ResourceOperation::read(payload, &envelope);
        Ok(Self { envelope, operation, continuation })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::envelope::CREATE_FAILED;
    use super::*;

    /// An Update whose answer goes there.
    pub(crate) fn update(url: &str) -> Event {
        let mut payload = fixture("update");
        payload["ResponseURL"] = json!(url);
        let Ok(Input::CloudFormation(event)) = Input::read(payload) else { panic!("no event") };
        event
    }

    /// The events of the shared fixtures.
    pub(crate) fn fixture(name: &str) -> Value {
        let path = format!("{}/../../tests/fixtures/events/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        serde_json::from_str(&text).unwrap()
    }

    fn read(payload: Value) -> Event {
        let Ok(Input::CloudFormation(event)) = Input::read(payload) else { panic!("no event") };
        event
    }

    #[test]
    fn reads_the_three_kinds_of_events() {
        let create = read(fixture("create"));
        assert_eq!(create.envelope.logical_resource_id, "Python");
        assert_eq!(create.envelope.physical_resource_id, CREATE_FAILED);
        assert!(
            matches!(create.operation, Ok(ResourceOperation::Create { properties }) if properties["Tag"] == "3.13")
        );
        let update = read(fixture("update"));
        assert!(
            matches!(update.operation, Ok(ResourceOperation::Update { previous, .. }) if previous["Nonce"] == "1")
        );
        let delete = read(fixture("delete"));
        assert!(
            matches!(delete.operation, Ok(ResourceOperation::Delete { properties }) if properties["Tag"] == "3.13")
        );
        assert!(delete.envelope.physical_resource_id.ends_with("/python:3.13"));
    }

    #[test]
    fn what_is_wrong_inside_is_told_after_the_envelope_was_read() {
        for (name, value, expected) in [
            (
                "RequestType",
                json!("Destroy"),
                "its RequestType is \"Destroy\", expected Create, Update or Delete",
            ),
            ("RequestType", Value::Null, "its RequestType is \"\""),
            ("ResourceProperties", Value::Null, "it has no ResourceProperties"),
            ("ResourceProperties", json!("text"), "it has no ResourceProperties"),
            ("ResourceType", Value::Null, "its ResourceType is missing or not a string"),
            ("StackId", json!(3), "its StackId is missing"),
        ] {
            let mut event = fixture("update");
            event[name] = value;
            let event = read(event);
            let error = event.operation.unwrap_err().to_string();
            assert!(error.starts_with("the event cannot be read: ") && error.contains(expected), "{error}");
            assert_eq!(event.envelope.logical_resource_id, "Python");
        }
    }

    #[test]
    fn a_delete_is_understood_whatever_else_is_missing() {
        let event = read(json!({"RequestType": "Delete", "ResponseURL": "https://bucket.example/x"}));
        assert_eq!(event.operation, Ok(ResourceOperation::Delete { properties: Value::Null }));
        assert_eq!(event.envelope.physical_resource_id, CREATE_FAILED);
    }

    #[test]
    fn what_nobody_waits_for_is_an_error_of_the_call() {
        for payload in
            [json!({}), json!("text"), Value::Null, json!({"ResponseURL": 3}), json!({"ResponseURL": "x"})]
        {
            assert!(Input::read(payload).is_err());
        }
    }

    #[test]
    fn the_time_that_the_template_allows_is_read_as_number_and_as_text() {
        for (value, expected) in [
            (json!("300"), Some(300)),
            (json!(300), Some(300)),
            (json!("soon"), None),
            (json!("99999"), None),
        ] {
            let mut event = fixture("create");
            event["ResourceProperties"]["ServiceTimeout"] = value;
            assert_eq!(read(event).envelope.service_timeout, expected);
        }
    }

    #[test]
    fn the_response_url_cannot_be_printed() {
        let event = read(fixture("create"));
        assert_eq!(format!("{:?}", event.envelope.response_url), "ResponseUrl(..)");
    }
}
