//! Resources of a template: custom, simulated, and repositories.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::sync::Notify;

/// A resource of a template.
#[derive(Clone, Debug)]
pub struct Resource {
    pub(super) kind: Kind,
    pub(super) properties: Map<String, Value>,
    pub(super) depends_on: BTreeSet<String>,
    pub(super) deletion_policy: Policy,
    pub(super) update_replace_policy: Policy,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// A custom resource of this type.
    Custom(String),
    /// A repository in the emulated ECR.
    Repository,
    /// A resource of this type, which the emulator simulates.
    Simulated(String, Box<SimulatedResource>),
}

impl Kind {
    /// Returns the resource type.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Repository => "AWS::ECR::Repository",
            Self::Custom(name) | Self::Simulated(name, _) => name,
        }
    }
}

/// Attributes and behaviour of a simulated resource.
#[derive(Clone, Debug, Default)]
pub(super) struct SimulatedResource {
    pub(super) attributes: Map<String, Value>,
    pub(super) create: Behaviour,
    pub(super) update: Behaviour,
    pub(super) delete: Behaviour,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Behaviour {
    pub(super) trigger: Trigger,
    pub(super) failure: Option<String>,
}

/// Event that ends the operation of a simulated resource.
#[derive(Clone, Debug, Default)]
pub enum Trigger {
    /// The start of the operation.
    #[default]
    Immediately,
    /// A time after the start.
    After(Duration),
    /// A call for the custom resource with this logical ID.
    RequestSent(String),
    /// A notification by the test.
    Notified(Arc<Notify>),
}

/// A deletion policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// The resource is deleted.
    #[default]
    Delete,
    /// The resource is kept.
    Retain,
    /// The resource is kept, unless the operation that created it is rolled back.
    RetainExceptOnCreate,
}

impl Resource {
    /// Creates a custom resource.
    ///
    /// # Panics
    ///
    /// Panics if the properties are not a JSON object.
    pub fn custom(resource_type: &str, properties: Value) -> Self {
        Self::new(Kind::Custom(resource_type.to_owned()), properties)
    }

    /// Creates a simulated resource, whose operations succeed by default.
    ///
    /// # Panics
    ///
    /// Panics if the properties are not a JSON object.
    pub fn simulated(properties: Value) -> Self {
        Self::aws("Emulator::Simulated", properties)
    }

    /// Creates a simulated resource of this type. The type does not change its behaviour.
    ///
    /// # Panics
    ///
    /// Panics if the properties are not a JSON object.
    pub fn aws(resource_type: &str, properties: Value) -> Self {
        Self::new(Kind::Simulated(resource_type.to_owned(), Box::default()), properties)
    }

    fn new(kind: Kind, properties: Value) -> Self {
        let Value::Object(properties) = properties else { panic!("the properties must be a JSON object") };
        Self {
            kind,
            properties,
            depends_on: BTreeSet::new(),
            deletion_policy: Policy::Delete,
            update_replace_policy: Policy::Delete,
        }
    }

    /// Adds a resource to `DependsOn`.
    #[must_use]
    pub fn depends_on(mut self, logical_id: &str) -> Self {
        self.depends_on.insert(logical_id.to_owned());
        self
    }

    /// Sets the `DeletionPolicy`.
    #[must_use]
    pub fn deletion_policy(mut self, policy: Policy) -> Self {
        self.deletion_policy = policy;
        self
    }

    /// Sets the `UpdateReplacePolicy`.
    #[must_use]
    pub fn update_replace_policy(mut self, policy: Policy) -> Self {
        self.update_replace_policy = policy;
        self
    }

    /// Sets an attribute of a simulated resource for `Fn::GetAtt`.
    #[must_use]
    pub fn attribute(self, name: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        self.change(|simulated| {
            simulated.attributes.insert(name.to_owned(), value);
        })
    }

    /// Makes the creation of a simulated resource fail.
    #[must_use]
    pub fn fails_to_create(self, trigger: Trigger, reason: &str) -> Self {
        let failure = Some(reason.to_owned());
        self.change(|simulated| simulated.create = Behaviour { trigger, failure })
    }

    /// Makes the update of a simulated resource fail.
    #[must_use]
    pub fn fails_to_update(self, trigger: Trigger, reason: &str) -> Self {
        let failure = Some(reason.to_owned());
        self.change(|simulated| simulated.update = Behaviour { trigger, failure })
    }

    /// Makes the deletion of a simulated resource fail.
    #[must_use]
    pub fn fails_to_delete(self, trigger: Trigger, reason: &str) -> Self {
        let failure = Some(reason.to_owned());
        self.change(|simulated| simulated.delete = Behaviour { trigger, failure })
    }

    /// Delays the success of creation and update of a simulated resource.
    #[must_use]
    pub fn completes_on(self, trigger: Trigger) -> Self {
        self.change(|simulated| {
            simulated.create.trigger = trigger.clone();
            simulated.update.trigger = trigger;
        })
    }

    fn change(mut self, change: impl FnOnce(&mut SimulatedResource)) -> Self {
        let Kind::Simulated(_, simulated) = &mut self.kind else {
            panic!("only a simulated resource can have behaviour")
        };
        change(simulated);
        self
    }

    /// Returns the resource as in a template.
    pub(super) fn to_json(&self) -> Value {
        let mut resource = json!({"Type": self.kind.name(), "Properties": self.properties});
        if !self.depends_on.is_empty() {
            resource["DependsOn"] = json!(self.depends_on);
        }
        let policies =
            [("DeletionPolicy", self.deletion_policy), ("UpdateReplacePolicy", self.update_replace_policy)];
        for (name, policy) in policies {
            if policy != Policy::Delete {
                resource[name] = json!(format!("{policy:?}"));
            }
        }
        resource
    }

    /// Returns true if the resource is kept when it is no longer needed.
    pub(super) fn is_retained(&self, creation_rolled_back: bool) -> bool {
        match self.deletion_policy {
            Policy::Delete => false,
            Policy::Retain => true,
            Policy::RetainExceptOnCreate => !creation_rolled_back,
        }
    }
}
