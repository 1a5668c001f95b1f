//! Templates, as far as the player dependencies them: custom resources, and siblings told what to do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::Notify;

use super::resolve;

/// Resources by logical id.
#[derive(Clone, Debug, Default)]
pub struct Template {
    pub(super) resources: BTreeMap<String, Resource>,
}

/// One resource of a template.
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
    /// A custom resource of this type, which the provider makes.
    Custom(String),
    /// A resource that the player makes up.
    Simulated(SimulatedResource),
}

impl Kind {
    /// The resource type.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Custom(name) => name,
            Self::Simulated(_) => "Emulator::Simulated",
        }
    }
}

/// What a simulated does when its call comes.
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

/// When a simulated's operation ends.
#[derive(Clone, Debug, Default)]
pub enum Trigger {
    /// As soon as it has begun.
    #[default]
    Immediately,
    /// So long after it has begun.
    After(Duration),
    /// As soon as a request for this custom resource is on its way.
    RequestSent(String),
    /// When the test says so.
    Notified(Arc<Notify>),
}

/// What becomes of a resource that is no longer needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// It is deleted.
    #[default]
    Delete,
    /// It is left alone.
    Retain,
    /// It is left alone, unless the operation that created it is rolled back.
    RetainExceptOnCreate,
}

impl Template {
    /// A template without resources.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a resource, or replaces the one of that name.
    #[must_use]
    pub fn with(mut self, logical_id: &str, resource: Resource) -> Self {
        self.resources.insert(logical_id.to_owned(), resource);
        self
    }

    /// Adds a `Custom::ContainerImage`.
    #[must_use]
    pub fn image(self, logical_id: &str, properties: Value) -> Self {
        self.with(logical_id, Resource::custom("Custom::ContainerImage", properties))
    }

    /// Takes a resource out.
    #[must_use]
    pub fn without(mut self, logical_id: &str) -> Self {
        self.resources.remove(logical_id);
        self
    }

    /// What each resource waits for: what it names, and what it depends on.
    pub(super) fn dependencies(&self) -> BTreeMap<String, BTreeSet<String>> {
        let dependencies = |resource: &Resource| {
            let mut dependencies = resource.depends_on.clone();
            for value in resource.properties.values() {
                resolve::references(value, &mut dependencies);
            }
            dependencies
        };
        self.resources.iter().map(|(id, resource)| (id.clone(), dependencies(resource))).collect()
    }
}

impl Resource {
    /// A custom resource.
    ///
    /// # Panics
    ///
    /// When the properties are not a JSON object.
    pub fn custom(resource_type: &str, properties: Value) -> Self {
        Self::new(Kind::Custom(resource_type.to_owned()), properties)
    }

    /// A resource of no particular type, which succeeds at whatever is asked of it.
    ///
    /// # Panics
    ///
    /// When the properties are not a JSON object.
    pub fn simulated(properties: Value) -> Self {
        Self::new(Kind::Simulated(SimulatedResource::default()), properties)
    }

    fn new(kind: Kind, properties: Value) -> Self {
        let Value::Object(properties) = properties else { panic!("properties are an object") };
        Self {
            kind,
            properties,
            depends_on: BTreeSet::new(),
            deletion_policy: Policy::Delete,
            update_replace_policy: Policy::Delete,
        }
    }

    /// Lets it wait for another resource: `DependsOn`.
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

    /// Gives a simulated an attribute for `Fn::GetAtt`.
    #[must_use]
    pub fn attribute(self, name: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        self.change(|simulated| {
            simulated.attributes.insert(name.to_owned(), value);
        })
    }

    /// Lets a simulated's creation fail.
    #[must_use]
    pub fn fails_to_create(self, trigger: Trigger, reason: &str) -> Self {
        let failure = Some(reason.to_owned());
        self.change(|simulated| simulated.create = Behaviour { trigger, failure })
    }

    /// Lets a simulated's update fail.
    #[must_use]
    pub fn fails_to_update(self, trigger: Trigger, reason: &str) -> Self {
        let failure = Some(reason.to_owned());
        self.change(|simulated| simulated.update = Behaviour { trigger, failure })
    }

    /// Lets a simulated's deletion fail.
    #[must_use]
    pub fn fails_to_delete(self, trigger: Trigger, reason: &str) -> Self {
        let failure = Some(reason.to_owned());
        self.change(|simulated| simulated.delete = Behaviour { trigger, failure })
    }

    /// Lets a simulated's creation and update succeed only then.
    #[must_use]
    pub fn completes_on(self, trigger: Trigger) -> Self {
        self.change(|simulated| {
            simulated.create.trigger = trigger.clone();
            simulated.update.trigger = trigger;
        })
    }

    fn change(mut self, change: impl FnOnce(&mut SimulatedResource)) -> Self {
        let Kind::Simulated(simulated) = &mut self.kind else { panic!("only siblings can be told") };
        change(simulated);
        self
    }

    /// Whether it stays when it is no longer needed.
    pub(super) fn is_retained(&self, creation_rolled_back: bool) -> bool {
        match self.deletion_policy {
            Policy::Delete => false,
            Policy::Retain => true,
            Policy::RetainExceptOnCreate => !creation_rolled_back,
        }
    }
}
