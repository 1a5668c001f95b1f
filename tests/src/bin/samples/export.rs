//! Reads what `tests/templates/run.sh --export` writes: the templates, evaluated.

use std::path::Path;

use aws_emulator::BoxError;
use aws_emulator::stack::Policy;
use serde_json::{Map, Value};

/// The provider's environment and the samples.
pub(crate) struct Export {
    /// Variables of the provider's function, as its template sets them by default.
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) samples: Vec<Sample>,
}

/// What of a sample the provider has to do with.
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
    /// That of a repository.
    arn: Option<String>,
}

impl Export {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is not such a file.
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

    /// What the template sets a variable to; nothing when it does not.
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
                other => return Err(format!("{name}: {other} is not played").into()),
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
            Some(other) => return Err(format!("{logical_id}: DeletionPolicy {other} is not played").into()),
        };
        Ok(Self {
            logical_id: logical_id.to_owned(),
            properties: object(&document["Properties"], logical_id)?.clone(),
            deletion_policy,
            arn: document["Arn"].as_str().map(ToOwned::to_owned),
        })
    }

    /// Whether it stays when the stack is deleted.
    pub(crate) fn is_retained(&self) -> bool {
        self.deletion_policy != Policy::Delete
    }

    /// A property that has to be a text.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub(crate) fn text(&self, property: &str) -> Result<&str, BoxError> {
        let value = self.properties.get(property).unwrap_or(&Value::Null);
        string(value, &format!("{}.{property}", self.logical_id))
    }

    /// The ARN, of a repository.
    ///
    /// # Errors
    ///
    /// When it has none.
    pub(crate) fn arn(&self) -> Result<&str, BoxError> {
        self.arn.as_deref().ok_or_else(|| format!("{} has no ARN", self.logical_id).into())
    }

    /// Whether a property says yes.
    pub(crate) fn flag(&self, property: &str) -> bool {
        let value = self.properties.get(property).unwrap_or(&Value::Null);
        value
            .as_bool()
            .unwrap_or_else(|| value.as_str().is_some_and(|text| text.eq_ignore_ascii_case("true")))
    }
}

fn object<'a>(value: &'a Value, what: &str) -> Result<&'a Map<String, Value>, BoxError> {
    value.as_object().ok_or_else(|| format!("{what} is {value}, expected an object").into())
}

fn string<'a>(value: &'a Value, what: &str) -> Result<&'a str, BoxError> {
    value.as_str().ok_or_else(|| format!("{what} is {value}, expected a text").into())
}
