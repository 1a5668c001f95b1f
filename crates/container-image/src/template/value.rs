//! Values of a template.

use std::fmt;

use serde_json::{Map, Value as Json};

/// Result of an expression in a template. Numbers and booleans are text, as in the events of custom resources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    List(Vec<Value>),
    /// In the order of the template.
    Map(Vec<(String, Value)>),
    /// `AWS::NoValue`, which removes the property or the item.
    Removed,
    Unknown(Unknown),
}

/// Reason for a value that only the deployment knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Unknown {
    /// A clause, such as `it imports the value Repository`.
    pub(crate) reason: String,
    /// Logical IDs of the resources that the value contains.
    pub(crate) resources: Vec<String>,
}

impl Unknown {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), resources: Vec::new() }
    }

    /// Returns the reason for a value that the deployment of `resource` returns.
    pub(crate) fn of_resource(resource: &str) -> Self {
        Self {
            reason: format!("it is known after the creation of {resource}"),
            resources: vec![resource.to_owned()],
        }
    }

    /// Adds the resources of another part of the same value.
    pub(crate) fn and(mut self, other: Self) -> Self {
        for resource in other.resources {
            if !self.resources.contains(&resource) {
                self.resources.push(resource);
            }
        }
        self
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl Value {
    /// Returns the value of a key. `None` if it is missing or removed.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        let Self::Map(entries) = self else { return None };
        let (_, value) = entries.iter().find(|(name, _)| name == key)?;
        (*value != Self::Removed).then_some(value)
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the first unknown part.
    pub(crate) fn unknown(&self) -> Option<&Unknown> {
        match self {
            Self::Unknown(unknown) => Some(unknown),
            Self::List(items) => items.iter().find_map(Self::unknown),
            Self::Map(entries) => entries.iter().find_map(|(_, value)| value.unknown()),
            Self::Text(_) | Self::Removed => None,
        }
    }

    /// Returns the value as JSON, as in an event of a custom resource. Unknown values are left out.
    pub(crate) fn to_json(&self) -> Json {
        match self {
            Self::Text(text) => text.as_str().into(),
            Self::List(items) => items.iter().filter(|item| item.is_known()).map(Self::to_json).collect(),
            Self::Map(entries) => {
                let known = entries.iter().filter(|(_, value)| value.is_known());
                Json::Object(
                    known.map(|(name, value)| (name.clone(), value.to_json())).collect::<Map<_, _>>(),
                )
            }
            Self::Removed | Self::Unknown(_) => Json::Null,
        }
    }

    fn is_known(&self) -> bool {
        !matches!(self, Self::Removed | Self::Unknown(_))
    }
}
