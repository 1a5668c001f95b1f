//! Payloads of invocations: events of CloudFormation, direct events, their properties, events of refresh
//! workflows, continuations, and records of failed invocations.

pub(crate) mod continuation;
pub(crate) mod direct;
pub(crate) mod envelope;
pub(crate) mod event;
pub(crate) mod failed_invocation;
mod issue_time;
pub(crate) mod refresh;
pub(crate) mod resource;

use std::time::SystemTime;

use image_copy_aws::InvalidProperty;
use serde_json::Value;

use continuation::ContinuationState;
use direct::DirectEvent;
use envelope::{Envelope, UnsupportedPayload};
use event::{InvalidEvent, ResourceOperation};
use failed_invocation::FailedInvocation;
use refresh::RefreshEvent;

/// All payloads that the function supports.
pub(crate) enum Input {
    /// A Create, Update or Delete of CloudFormation.
    CloudFormation(Event),
    /// An event that continues, because one invocation was not enough.
    Continuation(Event),
    /// An event of Terraform, Step Functions or a script.
    Direct(Result<DirectEvent, InvalidProperty>),
    /// An event of a refresh workflow.
    Refresh(Result<RefreshEvent, InvalidProperty>),
    /// Lambda's record of an invocation that failed.
    FailedInvocation(FailedInvocation),
}

/// Event of a custom resource.
pub(crate) struct Event {
    /// Fields that the response needs.
    pub(crate) envelope: Envelope,
    /// The operation, or the error if it cannot be read.
    pub(crate) operation: Result<ResourceOperation, InvalidEvent>,
    /// State of the event's chain of invocations.
    pub(crate) continuation: ContinuationState,
}

impl Input {
    /// Reads the payload of an invocation.
    pub(crate) fn read(mut payload: Value) -> Result<Self, UnsupportedPayload> {
        if let Some((continuation, event)) = ContinuationState::read(&mut payload) {
            return Event::read(event, |_| continuation).map(Self::Continuation);
        }
        if let Some(failed) = FailedInvocation::read(&mut payload) {
            return Ok(Self::FailedInvocation(failed));
        }
        if let Some(event) = RefreshEvent::read(&payload) {
            return Ok(Self::Refresh(event));
        }
        if payload.get("ResponseURL").is_none()
            && let Some(event) = DirectEvent::read(&payload)
        {
            return Ok(Self::Direct(event));
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

    use super::resource::CREATE_FAILED;
    use super::*;

    /// Returns an Update with this response URL.
    pub(crate) fn update(url: &str) -> Event {
        let mut payload = fixture("update");
        payload["ResponseURL"] = json!(url);
        let Ok(Input::CloudFormation(event)) = Input::read(payload) else { panic!("no event") };
        event
    }

    /// Returns an event of the shared fixtures.
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
    fn reads_the_three_request_types() {
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
    fn an_invalid_event_still_has_an_envelope() {
        for (name, value, expected) in [
            (
                "RequestType",
                json!("Destroy"),
                "its RequestType is \"Destroy\", expected Create, Update or Delete",
            ),
            ("RequestType", Value::Null, "its RequestType is \"\""),
            ("ResourceProperties", Value::Null, "its ResourceProperties are missing"),
            ("ResourceProperties", json!("text"), "its ResourceProperties are missing"),
            ("ResourceType", Value::Null, "its ResourceType is missing or not a string"),
            ("StackId", json!(3), "its StackId is missing"),
        ] {
            let mut event = fixture("update");
            event[name] = value;
            let event = read(event);
            let error = event.operation.unwrap_err().to_string();
            assert!(error.starts_with("The event is invalid: ") && error.contains(expected), "{error}");
            assert_eq!(event.envelope.logical_resource_id, "Python");
        }
    }

    #[test]
    fn reads_a_delete_with_missing_fields() {
        let event = read(json!({"RequestType": "Delete", "ResponseURL": "https://bucket.example/x"}));
        assert_eq!(event.operation, Ok(ResourceOperation::Delete { properties: Value::Null }));
        assert_eq!(event.envelope.physical_resource_id, CREATE_FAILED);
    }

    #[test]
    fn rejects_payloads_that_are_no_events() {
        for payload in
            [json!([]), json!("text"), Value::Null, json!({"ResponseURL": 3}), json!({"ResponseURL": "x"})]
        {
            assert!(Input::read(payload).is_err());
        }
    }

    #[test]
    fn reads_service_timeout_as_number_and_as_text() {
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
