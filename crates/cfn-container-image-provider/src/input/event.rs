//! The operation of an event.

use aws_lambda_events::event::cloudformation::CloudFormationCustomResourceRequest as Request;
use serde_json::Value;

use super::envelope::Envelope;

/// Operation on a resource.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ResourceOperation {
    Create {
        properties: Value,
    },
    Update {
        properties: Value,
        previous: Value,
    },
    /// The properties are not validated, so that they cannot fail a Delete.
    Delete {
        properties: Value,
    },
}

/// The event is invalid. The text is one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("The event is invalid: {0}")]
pub(crate) struct InvalidEvent(String);

impl ResourceOperation {
    pub(super) fn read(mut payload: Value, envelope: &Envelope) -> Result<Self, InvalidEvent> {
        match envelope.request_type.as_str() {
            // A Delete needs only the envelope, so the rest cannot fail it.
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
            return Err(InvalidEvent("its ResourceProperties are missing or not an object".into()));
        }
        // The errors of the event types do not name the field.
        let update = (envelope.request_type == "Update").then_some("PhysicalResourceId");
        let mut texts =
            ["StackId", "RequestId", "LogicalResourceId", "ResourceType"].into_iter().chain(update);
        if let Some(name) = texts.find(|name| !payload.get(*name).is_some_and(Value::is_string)) {
            return Err(InvalidEvent(format!("its {name} is missing or not a string")));
        }
        // Local substitutes for CloudFormation omit this field. Then there are no previous properties.
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
            _ => Err(InvalidEvent("its RequestType is unknown".into())),
        }
    }
}
