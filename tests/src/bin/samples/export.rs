//! Reads the evaluated templates that `tests/templates/run.sh --export` writes.

use std::path::Path;

use aws_emulator::BoxError;
use aws_emulator::stack::Policy;
use serde_json::{Map, Value};

/// The provider's environment and the samples.
pub(crate) struct Export {
    /// Variables of the provider's function with the template's defaults.
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) samples: Vec<Sample>,
}

/// The resources of a sample that involve the provider.
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) repositories: Vec<Resource>,
    /// Its `Custom::ContainerImage` resources.
    pub(crate) images: Vec<Resource>,
}

/// One resource of a template, without functions.
#[derive(Clone)]
pub(crate) struct Resource {
    pub(crate) logical_id: String,
    pub(crate) properties: Map<String, Value>,
    pub(crate) deletion_policy: Policy,
    /// ARN of a repository.
    arn: Option<String>,
}

impl Export {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read or parsed.
    pub(crate) fn read(path: &Path) -> Result<Self, BoxError> {
        let text = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let document: Value = serde_json::from_slice(&text)?;
        let mut environment = Vec::new();
        for (name, value) in object(&document["environment"], "environment")? {
            environment.push((name.clone(), string(value, name)?.to_owned()));
        }
        let samples = object(&document["samples"], "samples")?.iter();
        let samples: Result<_, BoxError> = samples.map(|(name, value)| Sample::read(name, value)).collect();
        Ok(Self { environment, samples: samples? })
    }

    /// Returns the value of a variable. It is empty if the template does not set it.
    pub(crate) fn variable(&self, name: &str) -> &str {
        let found = self.environment.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value.as_str())
    }
}

impl Sample {
    fn read(name: &str, document: &Value) -> Result<Self, BoxError> {
        let (mut repositories, mut images) = (Vec::new(), Vec::new());
        for (logical_id, value) in object(document, name)? {
            let resource = Resource::read(logical_id, value)?;
            match string(&value["Type"], "Type")? {
                "AWS::ECR::Repository" => repositories.push(resource),
                "Custom::ContainerImage" => images.push(resource),
                other => return Err(format!("{name}: {other} is not supported").into()),
            }
        }
        Ok(Self { name: name.to_owned(), repositories, images })
    }
}

impl Resource {
    fn read(logical_id: &str, document: &Value) -> Result<Self, BoxError> {
        let deletion_policy = match document["DeletionPolicy"].as_str() {
            None | Some("Delete") => Policy::Delete,
            Some("Retain") => Policy::Retain,
            Some("RetainExceptOnCreate") => Policy::RetainExceptOnCreate,
            Some(other) => {
                return Err(format!("{logical_id}: DeletionPolicy {other} is not supported").into());
            }
        };
        Ok(Self {
            logical_id: logical_id.to_owned(),
            properties: object(&document["Properties"], logical_id)?.clone(),
            deletion_policy,
            arn: document["Arn"].as_str().map(ToOwned::to_owned),
        })
    }

    /// Returns true if the resource remains when the stack is deleted.
    pub(crate) fn is_retained(&self) -> bool {
        self.deletion_policy != Policy::Delete
    }

    /// Returns a string property.
    ///
    /// # Errors
    ///
    /// Fails if the property is not a string.
    pub(crate) fn text(&self, property: &str) -> Result<&str, BoxError> {
        let value = self.properties.get(property).unwrap_or(&Value::Null);
        string(value, &format!("{}.{property}", self.logical_id))
    }

    /// Returns the ARN of a repository.
    ///
    /// # Errors
    ///
    /// Fails if the resource has no ARN.
    pub(crate) fn arn(&self) -> Result<&str, BoxError> {
        self.arn.as_deref().ok_or_else(|| format!("{} has no ARN", self.logical_id).into())
    }

    /// Returns true if a property is `true`.
    pub(crate) fn is_true(&self, property: &str) -> bool {
        let value = self.properties.get(property).unwrap_or(&Value::Null);
        value
            .as_bool()
            .unwrap_or_else(|| value.as_str().is_some_and(|text| text.eq_ignore_ascii_case("true")))
    }
}

fn object<'a>(value: &'a Value, name: &str) -> Result<&'a Map<String, Value>, BoxError> {
    value.as_object().ok_or_else(|| format!("{name} is {value}, expected an object").into())
}

fn string<'a>(value: &'a Value, name: &str) -> Result<&'a str, BoxError> {
    value.as_str().ok_or_else(|| format!("{name} is {value}, expected a string").into())
}
