//! What the function is called with.
//!
//! The envelope is read first, from raw JSON, so that whatever is wrong with the rest still gets an
//! answer at its `ResponseURL`.

use std::fmt;
use std::time::SystemTime;

use aws_lambda_events::event::cloudformation::CloudFormationCustomResourceRequest as Request;
use reqwest::Url;
use serde_json::Value;

use super::continuation::Round;
use super::issued::issued;
use super::lost::FailedInvocation;

/// The id of a resource that never came to be, as the provider before ours has it.
pub(crate) const CREATE_FAILED: &str = "create-failed";

/// All that the function can be called with.
pub(crate) enum Input {
    /// CloudFormation wants something done, and waits for the answer.
    CloudFormation(Event),
    /// The same event once more, for another invocation was not enough.
    Continuation(Event),
    /// Lambda tells of an invocation that failed, of this function or of another.
    FailedInvocation(FailedInvocation),
}

/// An event of a custom resource.
pub(crate) struct Event {
    /// Where and as what to answer.
    pub(crate) envelope: Envelope,
    /// What is wanted, or why that cannot be told.
    pub(crate) change: Result<Change, InvalidEvent>,
    /// How often it was begun before.
    pub(crate) round: Round,
}

/// What an answer needs. Texts that are missing from the event are empty.
pub(crate) struct Envelope {
    pub(crate) response_url: ResponseUrl,
    pub(crate) stack_id: String,
    pub(crate) request_id: String,
    pub(crate) logical_resource_id: String,
    pub(crate) request_type: String,
    /// The id that the resource has so far, or [`CREATE_FAILED`].
    pub(crate) physical_resource_id: String,
    /// `ServiceTimeout` in seconds, when the properties hold one that CloudFormation accepts.
    pub(crate) service_timeout: Option<u64>,
}

/// What CloudFormation wants.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Change {
    Create {
        properties: Value,
    },
    Update {
        properties: Value,
        previous: Value,
    },
    /// With properties as they came: nothing about them can fail it.
    Delete {
        properties: Value,
    },
}

/// An event that cannot be understood; one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the event cannot be read: {0}")]
pub(crate) struct InvalidEvent(String);

/// A call with something that nobody waits for an answer to.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the function was called with {0}")]
pub(crate) struct UnknownInput(pub(crate) &'static str);

impl Input {
    /// Sorts out what a call is about.
    pub(crate) fn read(mut payload: Value) -> Result<Self, UnknownInput> {
        if let Some((round, event)) = Round::read(&mut payload) {
            return Event::read(event, |_| round).map(Self::Continuation);
        }
        if let Some(failed) = FailedInvocation::read(&mut payload) {
            return Ok(Self::FailedInvocation(failed));
        }
        let event = payload.clone();
        let first = |envelope: &Envelope| Round::first(event, envelope, SystemTime::now());
        Event::read(payload, first).map(Self::CloudFormation)
    }
}

impl Event {
    fn read(payload: Value, round: impl FnOnce(&Envelope) -> Round) -> Result<Self, UnknownInput> {
        let envelope = Envelope::read(&payload)?;
        let round = round(&envelope);
        let change = Change::read(payload, &envelope);
        Ok(Self { envelope, change, round })
    }
}

impl Envelope {
    /// When CloudFormation issued the event, as far as that can be told; see [`issued`].
    pub(crate) fn issued(&self) -> Option<SystemTime> {
        issued(self.response_url.expose())
    }

    /// Reads what an answer needs, whatever the rest looks like.
    pub(crate) fn read(payload: &Value) -> Result<Self, UnknownInput> {
        let text = |name: &str| payload.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let Some(url) = payload.get("ResponseURL") else {
            return Err(UnknownInput("something that is not an event of a CloudFormation custom resource"));
        };
        let url = url.as_str().and_then(|url| Url::parse(url).ok());
        let url = url.ok_or(UnknownInput("a CloudFormation event whose ResponseURL is not a URL"))?;
        let id = text("PhysicalResourceId");
        let timeout = payload.pointer("/ResourceProperties/ServiceTimeout");
        let timeout =
            timeout.and_then(|value| value.as_u64().or_else(|| value.as_str()?.trim().parse().ok()));
        Ok(Self {
            response_url: ResponseUrl(url),
            stack_id: text("StackId"),
            request_id: text("RequestId"),
            logical_resource_id: text("LogicalResourceId"),
            request_type: text("RequestType"),
            physical_resource_id: if id.is_empty() { CREATE_FAILED.into() } else { id },
            service_timeout: timeout.filter(|seconds| (1..=3600).contains(seconds)),
        })
    }
}

impl Change {
    fn read(mut payload: Value, envelope: &Envelope) -> Result<Self, InvalidEvent> {
        match envelope.request_type.as_str() {
            // All that Delete needs is in the envelope; the rest must not be able to fail it.
            "Delete" => {
                let properties = payload.get("ResourceProperties").cloned().unwrap_or_default();
                return Ok(Self::Delete { properties });
            }
            "Create" | "Update" => {}
            other => {
                let other = other.escape_debug().to_string();
                let other: String = other.chars().take(60).collect();
                return Err(InvalidEvent(format!(
                    "its RequestType is \"{other}\", expected Create, Update or Delete"
                )));
            }
        }
        if !payload.get("ResourceProperties").is_some_and(Value::is_object) {
            return Err(InvalidEvent("it has no ResourceProperties, or they are not a map".into()));
        }
        // The types' own errors do not name the field.
        let update = (envelope.request_type == "Update").then_some("PhysicalResourceId");
        let mut texts =
            ["StackId", "RequestId", "LogicalResourceId", "ResourceType"].into_iter().chain(update);
        if let Some(name) = texts.find(|name| !payload.get(*name).is_some_and(Value::is_string)) {
            return Err(InvalidEvent(format!("its {name} is missing or not a string")));
        }
        // Stand-ins for CloudFormation leave this one out; then nothing is known to have been before.
        if let Some(event) = payload.as_object_mut() {
            event.entry("OldResourceProperties").or_insert(Value::Null);
        }
        let event =
            serde_json::from_value::<Request>(payload).map_err(|error| InvalidEvent(error.to_string()))?;
        match event {
            Request::Create(event) => Ok(Self::Create { properties: event.resource_properties }),
            Request::Update(event) => Ok(Self::Update {
                properties: event.resource_properties,
                previous: event.old_resource_properties,
            }),
            _ => Err(InvalidEvent("its RequestType is not known".into())),
        }
    }
}

/// The address for the answer. Whoever knows it can answer for us, so it cannot be printed.
pub(crate) struct ResponseUrl(Url);

impl ResponseUrl {
    /// The address itself, for the request alone.
    pub(crate) fn expose(&self) -> &Url {
        &self.0
    }
}

impl fmt::Debug for ResponseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseUrl(..)")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

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
        assert!(matches!(create.change, Ok(Change::Create { properties }) if properties["Tag"] == "3.13"));
        let update = read(fixture("update"));
        assert!(matches!(update.change, Ok(Change::Update { previous, .. }) if previous["Nonce"] == "1"));
        let delete = read(fixture("delete"));
        assert!(matches!(delete.change, Ok(Change::Delete { properties }) if properties["Tag"] == "3.13"));
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
            let error = event.change.unwrap_err().to_string();
            assert!(error.starts_with("the event cannot be read: ") && error.contains(expected), "{error}");
            assert_eq!(event.envelope.logical_resource_id, "Python");
        }
    }

    #[test]
    fn a_delete_is_understood_whatever_else_is_missing() {
        let event = read(json!({"RequestType": "Delete", "ResponseURL": "https://bucket.example/x"}));
        assert_eq!(event.change, Ok(Change::Delete { properties: Value::Null }));
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
