//! Direct events: invocations by Terraform, Step Functions and scripts. Properties are at the top level.

use std::time::Duration;

use image_copy::list::parse_age;
use image_copy_aws::{InvalidProperty, Owner, display_value, parse_bool};
use serde_json::{Map, Value};

/// Owner of the copies of direct events without an `Owner`.
const DEFAULT_OWNER: &str = "direct";
/// Maximum length of an owner in bytes. The item of a tag has all owners and at most 400 KB.
const MAX_OWNER_BYTES: usize = 256;
/// Key that Terraform adds to the input of `aws_lambda_invocation` with `lifecycle_scope = "CRUD"`
/// (<https://registry.terraform.io/providers/hashicorp/aws/latest/docs/resources/lambda_invocation>).
const TERRAFORM: &str = "tf";
/// Key of the action: `copy`, which is the default, or `delete`. Other actions are no direct events.
pub(super) const ACTION: &str = "Action";
/// Key of the minimum age.
const MIN_AGE: &str = "MinAge";
const DRY_RUN: &str = "DryRun";
const SHARED: &str = "Shared";

/// An event that was not sent by CloudFormation.
#[derive(Debug, PartialEq)]
pub(crate) struct DirectEvent {
    pub(crate) owner: Owner,
    /// True if another owner can put another image under the tag.
    pub(crate) is_shared: bool,
    pub(crate) operation: DirectOperation,
}

/// Operation of a direct event.
#[derive(Debug, PartialEq)]
pub(crate) enum DirectOperation {
    /// Copies the image.
    ///
    /// With a minimum age, only if the function has known the digest of the source for this long.
    Copy { properties: Value, min_age: Option<Duration> },
    /// Plans the copy, and writes nothing.
    Plan { properties: Value },
    /// Removes the owner, and deletes the tag if no other owner needs it.
    Delete { properties: Value },
    /// Creates a resource of Terraform.
    Create { properties: Value },
    /// Updates a resource of Terraform.
    Update { properties: Value, previous: Value, previous_owner: Owner },
    /// Deletes a resource of Terraform. Its properties can be invalid.
    Destroy { properties: Value },
}

impl DirectEvent {
    /// Reads the payload of an invocation. Returns `None` if it is not an object.
    ///
    /// # Errors
    /// If a key that is no property is invalid, or cannot be combined with another one.
    pub(super) fn read(payload: &Value) -> Option<Result<Self, InvalidProperty>> {
        let mut properties = payload.as_object().cloned()?;
        Some(match properties.remove(TERRAFORM) {
            Some(terraform) => Self::read_terraform(properties, &terraform),
            None => Self::read_action(properties),
        })
    }

    fn read_action(mut properties: Map<String, Value>) -> Result<Self, InvalidProperty> {
        let owner = take_owner(&mut properties)?.unwrap_or_else(|| Owner::named(DEFAULT_OWNER));
        let is_shared = take_bool(&mut properties, SHARED)?;
        let action = properties.remove(ACTION).unwrap_or_else(|| "copy".into());
        let operation = match action.as_str() {
            Some("copy") => {
                let dry_run = take_bool(&mut properties, DRY_RUN)?;
                if dry_run {
                    reject_keys(&properties, &[MIN_AGE], "an event with DryRun")?;
                    DirectOperation::Plan { properties: Value::Object(properties) }
                } else {
                    let min_age = take_min_age(&mut properties)?;
                    DirectOperation::Copy { properties: Value::Object(properties), min_age }
                }
            }
            Some("delete") => {
                reject_keys(&properties, &[DRY_RUN, MIN_AGE], "a delete")?;
                DirectOperation::Delete { properties: Value::Object(properties) }
            }
            _ => {
                return Err(InvalidProperty::Value(format!(
                    "{ACTION} is {}: expected copy, delete, expand or report",
                    display_value(&action)
                )));
            }
        };
        Ok(Self { owner, is_shared, operation })
    }

    fn read_terraform(
        mut properties: Map<String, Value>,
        terraform: &Value,
    ) -> Result<Self, InvalidProperty> {
        let owner = take_owner(&mut properties)?;
        let previous = terraform.get("prev_input").and_then(Value::as_object).cloned().unwrap_or_default();
        let action = terraform.get("action").and_then(Value::as_str).unwrap_or_default();
        // The input of a delete can be that of a failed update, which Terraform keeps.
        if action != "delete" {
            take_bool(&mut properties, SHARED)?;
            reject_keys(&properties, &[ACTION, DRY_RUN, MIN_AGE], "an event of Terraform")?;
        }
        let (owner, operation) = match action {
            "create" => (owner, DirectOperation::Create { properties: Value::Object(properties) }),
            "update" => {
                let mut previous = previous;
                let previous_owner = take_owner(&mut previous).ok().flatten().or_else(|| owner.clone());
                let Some(previous_owner) = previous_owner else { return Err(owner_missing()) };
                let (properties, previous) = (Value::Object(properties), Value::Object(previous));
                (owner, DirectOperation::Update { properties, previous, previous_owner })
            }
            // The input is that of the last create or update.
            "delete" => {
                let mut previous = previous;
                let previous_owner = take_owner(&mut previous).ok().flatten();
                let properties = if properties.is_empty() { previous } else { properties };
                (owner.or(previous_owner), DirectOperation::Destroy { properties: Value::Object(properties) })
            }
            other => {
                let other = Value::String(other.chars().take(60).collect());
                return Err(InvalidProperty::Value(format!(
                    "The action of {TERRAFORM} is {other}: expected create, update or delete"
                )));
            }
        };
        // Like a resource of a stack: the last event determines the image.
        Ok(Self { owner: owner.ok_or_else(owner_missing)?, is_shared: true, operation })
    }
}

/// Rejects keys that `event` does not support. Without them, it can have another effect than the caller
/// expects.
fn reject_keys(properties: &Map<String, Value>, keys: &[&str], event: &str) -> Result<(), InvalidProperty> {
    match keys.iter().find(|key| properties.contains_key(**key)) {
        Some(key) => Err(InvalidProperty::Value(format!("{key} cannot be used in {event}. Remove it"))),
        None => Ok(()),
    }
}

fn owner_missing() -> InvalidProperty {
    InvalidProperty::Missing(
        "Owner is missing: expected a name for the resource in Terraform, such as terraform/base-images/python",
    )
}

/// Removes and parses `Owner`.
pub(super) fn take_owner(properties: &mut Map<String, Value>) -> Result<Option<Owner>, InvalidProperty> {
    let Some(value) = properties.remove("Owner") else { return Ok(None) };
    match value.as_str().map(str::trim) {
        Some(name)
            if (1..=MAX_OWNER_BYTES).contains(&name.len()) && name.chars().all(|c| c.is_ascii_graphic()) =>
        {
            Ok(Some(Owner::named(name)))
        }
        _ => Err(InvalidProperty::Value(format!(
            "Owner is {}: expected a name of at most {MAX_OWNER_BYTES} characters without spaces",
            display_value(&value)
        ))),
    }
}

/// Removes and parses a boolean, which is false by default.
fn take_bool(properties: &mut Map<String, Value>, name: &str) -> Result<bool, InvalidProperty> {
    properties.remove(name).map_or(Ok(false), |value| parse_bool(name, &value))
}

/// Removes and parses the minimum age.
fn take_min_age(properties: &mut Map<String, Value>) -> Result<Option<Duration>, InvalidProperty> {
    let Some(value) = properties.remove(MIN_AGE) else { return Ok(None) };
    let text = value.as_str().map_or_else(|| value.to_string(), |text| text.trim().to_owned());
    parse_age(&text)
        .map(Some)
        .map_err(|error| InvalidProperty::Value(format!("{MIN_AGE} is invalid: {error}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(payload: Value) -> Result<DirectEvent, InvalidProperty> {
        DirectEvent::read(&payload).unwrap()
    }

    #[test]
    fn reads_copies_and_dry_runs() {
        let event = read(json!({"ImageReference": "python:3", "Owner": "nightly"})).unwrap();
        assert_eq!(event.owner, Owner::named("nightly"));
        assert_eq!(
            event.operation,
            DirectOperation::Copy { properties: json!({"ImageReference": "python:3"}), min_age: None }
        );
        let event = read(json!({"ImageReference": "python:3", "DryRun": "true"})).unwrap();
        assert_eq!(event.owner, Owner::named("direct"));
        assert!(matches!(event.operation, DirectOperation::Plan { .. }));
    }

    #[test]
    fn reads_actions() {
        let properties = json!({"ImageReference": "python:3"});
        let with = |other: Value| {
            let mut payload = properties.clone();
            payload.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
            read(payload).unwrap()
        };
        let copy = |min_age| DirectOperation::Copy { properties: properties.clone(), min_age };
        assert_eq!(with(json!({"Action": "copy"})).operation, copy(None));
        let min_age = Some(Duration::from_secs(48 * 3600));
        assert_eq!(with(json!({"MinAge": " 48h "})).operation, copy(min_age));
        let deleted = with(json!({"Action": "delete", "Owner": "nightly", "Shared": true}));
        assert_eq!(deleted.owner, Owner::named("nightly"));
        assert_eq!(deleted.operation, DirectOperation::Delete { properties: properties.clone() });
    }

    #[test]
    fn reads_the_operations_of_terraform() {
        let input = json!({"ImageReference": "python:3", "Owner": "team"});
        let with = |action: &str, previous: Value| {
            let mut payload = input.clone();
            payload["tf"] = json!({"action": action, "prev_input": previous});
            read(payload).unwrap()
        };
        let properties = json!({"ImageReference": "python:3"});
        let owner = Owner::named("team");
        assert_eq!(
            with("create", Value::Null),
            DirectEvent {
                owner: owner.clone(),
                is_shared: true,
                operation: DirectOperation::Create { properties: properties.clone() }
            }
        );
        let previous = json!({"ImageReference": "python:2", "Owner": "other"});
        assert_eq!(
            with("update", previous).operation,
            DirectOperation::Update {
                properties: properties.clone(),
                previous: json!({"ImageReference": "python:2"}),
                previous_owner: Owner::named("other"),
            }
        );
        let delete = DirectOperation::Destroy { properties };
        assert_eq!(with("delete", input.clone()).operation, delete);
        let only_previous = read(json!({"tf": {"action": "delete", "prev_input": input}})).unwrap();
        assert_eq!(only_previous, DirectEvent { owner, is_shared: true, operation: delete });
        let invalid = json!({"Owner": "team", "DryRun": true, "Shared": "x", "tf": {"action": "delete"}});
        assert!(read(invalid).is_ok(), "Terraform can delete the input of a failed update");
    }

    #[test]
    fn rejects_invalid_keys_by_name() {
        for (payload, expected) in [
            (json!({"Owner": ""}), "Owner is \"\""),
            (json!({"Owner": "a b"}), "Owner is \"a b\""),
            (json!({"Owner": 3}), "Owner is 3"),
            (json!({"Owner": "x".repeat(300)}), "Owner is \"xxx"),
            (json!({"DryRun": "yes"}), "DryRun is \"yes\": expected true or false"),
            (json!({"Owner": "a", "tf": {"action": "read"}}), "The action of tf is \"read\""),
            (json!({"Owner": "a", "tf": 3}), "The action of tf is \"\""),
            (json!({"tf": {"action": "create", "prev_input": null}}), "Owner is missing"),
            (json!({"Action": "move"}), "Action is \"move\": expected copy, delete, expand or report"),
            (
                json!({"MinAge": "2w"}),
                "MinAge is invalid: \"2w\" is not an age: expected a number with m, h or d",
            ),
            (json!({"MinAge": 48}), "MinAge is invalid: \"48\" is not an age"),
            (json!({"MinAge": "48h", "DryRun": true}), "MinAge cannot be used in an event with DryRun"),
            (json!({"MinAge": "48h", "Action": "delete"}), "MinAge cannot be used in a delete"),
            (
                json!({"MinAge": "48h", "Owner": "a", "tf": {"action": "create"}}),
                "MinAge cannot be used in an event of Terraform",
            ),
            (json!({"Action": true}), "Action is true: expected"),
            (json!({"Action": "delete", "DryRun": false}), "DryRun cannot be used in a delete"),
            (
                json!({"Owner": "a", "DryRun": true, "tf": {"action": "create"}}),
                "DryRun cannot be used in an event of Terraform",
            ),
            (
                json!({"Owner": "a", "Action": "delete", "tf": {"action": "update"}}),
                "Action cannot be used in an event of Terraform",
            ),
        ] {
            let error = read(payload.clone()).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{payload}: {error}");
        }
        assert!(DirectEvent::read(&json!("text")).is_none());
    }
}
