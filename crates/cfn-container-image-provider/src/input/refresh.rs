//! Events of a refresh workflow: a list becomes items of a Map state, and their results become a report
//! (cloudformation/image-refresh.yaml).

use image_copy::oci::Prefix;
use image_copy_aws::{InvalidProperty, ObjectLocation, Owner, RepositoryArn, display_value};
use serde_json::{Map, Value};

use super::direct::{ACTION, take_owner};

/// An event of a refresh workflow.
#[derive(Debug, PartialEq)]
pub(crate) enum RefreshEvent {
    Expand(ExpandEvent),
    Report(ReportEvent),
}

/// Turns a list into direct events, one for each image.
#[derive(Debug, PartialEq)]
pub(crate) struct ExpandEvent {
    pub(crate) list: ListSource,
    /// Prefix of all repositories: a registry of ECR, optionally with the start of a path.
    pub(crate) prefix: Prefix,
    pub(crate) owner: Owner,
    /// Object to which the direct events are written.
    pub(crate) items: ObjectLocation,
    /// Object to which failures are written.
    pub(crate) failures: ObjectLocation,
}

/// The list.
#[derive(Debug, PartialEq)]
pub(crate) enum ListSource {
    Text(String),
    Object(ObjectLocation),
}

/// Turns the results of direct events into a report.
#[derive(Debug, PartialEq)]
pub(crate) struct ReportEvent {
    /// Manifest of the results. `None` if there was no item.
    pub(crate) manifest: Option<ObjectLocation>,
    /// Object with the failures of the list.
    pub(crate) failures: ObjectLocation,
    /// Object to which the report is written.
    pub(crate) report: ObjectLocation,
    /// Percentage of failed images, from 0 to 100, above which the run has failed.
    pub(crate) tolerated_failure_percentage: f64,
    pub(crate) owner: Owner,
    /// ARN of the execution.
    pub(crate) execution: String,
    /// Time at which the execution started.
    pub(crate) started: String,
}

impl RefreshEvent {
    /// Reads the payload of an invocation. Returns `None` if it has another action.
    ///
    /// # Errors
    /// The first invalid key.
    pub(super) fn read(payload: &Value) -> Option<Result<Self, InvalidProperty>> {
        let read = match payload.get(ACTION)?.as_str()? {
            "expand" => read_expand,
            "report" => read_report,
            _ => return None,
        };
        let mut keys = Keys(payload.as_object()?.clone());
        keys.0.remove(ACTION);
        Some(read(&mut keys).and_then(|event| keys.reject_others().map(|()| event)))
    }

    /// Returns the owner of the copies.
    pub(crate) fn owner(&self) -> &Owner {
        match self {
            Self::Expand(event) => &event.owner,
            Self::Report(event) => &event.owner,
        }
    }
}

fn read_expand(keys: &mut Keys) -> Result<RefreshEvent, InvalidProperty> {
    Ok(RefreshEvent::Expand(ExpandEvent {
        list: keys.list()?,
        prefix: keys.prefix()?,
        owner: keys.owner()?,
        items: keys.object("Items")?,
        failures: keys.object("Failures")?,
    }))
}

fn read_report(keys: &mut Keys) -> Result<RefreshEvent, InvalidProperty> {
    let has_manifest = keys.0.get("Manifest").is_some_and(|manifest| !manifest.is_null());
    let manifest = if has_manifest { Some(keys.object("Manifest")?) } else { None };
    keys.0.remove("Manifest");
    Ok(RefreshEvent::Report(ReportEvent {
        manifest,
        failures: keys.object("Failures")?,
        report: keys.object("Report")?,
        tolerated_failure_percentage: keys.percentage("ToleratedFailurePercentage")?,
        owner: keys.owner()?,
        execution: keys.text("Execution")?,
        started: keys.text("Started")?,
    }))
}

/// Keys that were not read yet.
struct Keys(Map<String, Value>);

impl Keys {
    fn take(&mut self, name: &str, expected: &str) -> Result<Value, InvalidProperty> {
        let missing = || InvalidProperty::Value(format!("{name} is missing: expected {expected}"));
        self.0.remove(name).ok_or_else(missing)
    }

    fn object(&mut self, name: &str) -> Result<ObjectLocation, InvalidProperty> {
        const EXPECTED: &str = "an object in S3 with Bucket and Key";
        let value = self.take(name, EXPECTED)?;
        let shown = display_value(&value);
        serde_json::from_value(value).map_err(|_| invalid(name, &shown, EXPECTED))
    }

    fn list(&mut self) -> Result<ListSource, InvalidProperty> {
        const EXPECTED: &str = "an object with Text, or an object in S3 with Bucket and Key";
        let value = self.take("List", EXPECTED)?;
        let is_text = value.as_object().is_some_and(|fields| fields.len() == 1);
        if let Some(text) = value.get("Text").and_then(Value::as_str).filter(|_| is_text) {
            return Ok(ListSource::Text(text.into()));
        }
        let shown = display_value(&value);
        serde_json::from_value(value).map(ListSource::Object).map_err(|_| invalid("List", &shown, EXPECTED))
    }

    fn prefix(&mut self) -> Result<Prefix, InvalidProperty> {
        const EXPECTED: &str = "a registry of ECR with the start of repository names, such as 123456789012.dkr.ecr.eu-west-1.amazonaws.com/mirror";
        let value = self.take("Prefix", EXPECTED)?;
        let prefix = value.as_str().and_then(|text| text.trim().parse::<Prefix>().ok());
        // The path only serves to check the registry.
        let is_ecr = |prefix: &Prefix| {
            prefix.join("path").is_some_and(|name| RepositoryArn::from_repository(&name).is_some())
        };
        prefix.filter(is_ecr).ok_or_else(|| invalid("Prefix", &display_value(&value), EXPECTED))
    }

    fn owner(&mut self) -> Result<Owner, InvalidProperty> {
        const MISSING: InvalidProperty = InvalidProperty::Missing(
            "Owner is missing: expected a name for the list, such as refresh/images",
        );
        take_owner(&mut self.0)?.ok_or(MISSING)
    }

    fn text(&mut self, name: &str) -> Result<String, InvalidProperty> {
        let value = self.take(name, "a text")?;
        let text = value.as_str().ok_or_else(|| invalid(name, &display_value(&value), "a text"));
        text.map(ToOwned::to_owned)
    }

    fn percentage(&mut self, name: &str) -> Result<f64, InvalidProperty> {
        const EXPECTED: &str = "a number from 0 to 100";
        let value = self.take(name, EXPECTED)?;
        let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
        number
            .filter(|number| (0.0..=100.0).contains(number))
            .ok_or_else(|| invalid(name, &display_value(&value), EXPECTED))
    }

    fn reject_others(&self) -> Result<(), InvalidProperty> {
        match self.0.keys().next() {
            Some(name) => {
                let name = display_value(&Value::String(name.clone()));
                Err(InvalidProperty::Unknown(format!("{name} is not a key of this action. Remove it")))
            }
            None => Ok(()),
        }
    }
}

fn invalid(name: &str, shown: &str, expected: &str) -> InvalidProperty {
    InvalidProperty::Value(format!("{name} is {shown}: expected {expected}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn expand() -> Value {
        json!({
            "Action": "expand", "List": {"Text": "nginx:1"}, "Owner": "refresh/images",
            "Prefix": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/mirror",
            "Items": {"Bucket": "runs", "Key": "items.json"},
            "Failures": {"Bucket": "runs", "Key": "failures.json"},
        })
    }

    fn report() -> Value {
        json!({
            "Action": "report", "Manifest": {"Bucket": "runs", "Key": "manifest.json"},
            "Failures": {"Bucket": "runs", "Key": "failures.json"},
            "Report": {"Bucket": "runs", "Key": "report.json"}, "ToleratedFailurePercentage": "2.5",
            "Owner": "refresh/images", "Execution": "arn:aws:states:eu-west-1:123456789012:execution:a:b",
            "Started": "2026-11-21T03:00:00Z",
        })
    }

    fn read(payload: &Value) -> Result<RefreshEvent, InvalidProperty> {
        RefreshEvent::read(payload).unwrap()
    }

    #[test]
    fn reads_both_actions() {
        let Ok(RefreshEvent::Expand(event)) = read(&expand()) else { panic!("no expansion") };
        assert_eq!(event.list, ListSource::Text("nginx:1".into()));
        assert_eq!((event.owner.name(), event.items.key.as_str()), ("refresh/images", "items.json"));
        let Ok(RefreshEvent::Report(event)) = read(&report()) else { panic!("no report") };
        assert_eq!(event.tolerated_failure_percentage, 2.5);
        assert_eq!(event.manifest.unwrap().to_string(), "s3://runs/manifest.json");
        let mut without_items = report();
        without_items["Manifest"] = Value::Null;
        let Ok(RefreshEvent::Report(event)) = read(&without_items) else { panic!("no report") };
        assert_eq!(event.manifest, None);
        for other in [json!({"Action": "copy"}), json!({"ImageReference": "nginx"}), json!("expand")] {
            assert!(RefreshEvent::read(&other).is_none());
        }
    }

    #[test]
    fn rejects_invalid_keys_by_name() {
        for (name, value, expected) in [
            ("List", json!("nginx"), "List is \"nginx\": expected an object with Text"),
            ("List", json!({"Text": "a", "Key": "b"}), "List is "),
            ("List", Value::Null, "List is null: expected"),
            (
                "Prefix",
                json!("docker.io/library"),
                "Prefix is \"docker.io/library\": expected a registry of ECR",
            ),
            ("Prefix", json!("123456789012.dkr.ecr.eu-west-1.amazonaws.com/A B"), "Prefix is "),
            (
                "Items",
                json!("s3://runs/items.json"),
                "Items is \"s3://runs/items.json\": expected an object in S3",
            ),
            ("Failures", json!({"Bucket": "a/b", "Key": "x"}), "Failures is "),
            ("Owner", json!(""), "Owner is \"\""),
            ("Output", json!(1), "\"Output\" is not a key of this action"),
        ] {
            let mut payload = expand();
            payload[name] = value;
            let error = read(&payload).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
        for name in ["List", "Prefix", "Items", "Failures", "Owner"] {
            let mut payload = expand();
            payload.as_object_mut().unwrap().remove(name);
            let error = read(&payload).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{name} is missing: expected")), "{error}");
        }
        for (name, value) in [
            ("ToleratedFailurePercentage", json!(101)),
            ("ToleratedFailurePercentage", json!("many")),
            ("Execution", json!(3)),
            ("Manifest", json!({"Bucket": "runs"})),
        ] {
            let mut payload = report();
            payload[name] = value;
            let error = read(&payload).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{name} is ")), "{error}");
        }
    }
}
