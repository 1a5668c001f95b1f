//! Templates, as far as the player needs them: custom resources, and siblings told what to do.

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
    Sibling(Sibling),
}

impl Kind {
    /// The resource type.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Custom(name) => name,
            Self::Sibling(_) => "Emulator::Sibling",
        }
    }
}

/// What a sibling does when its turn comes.
#[derive(Clone, Debug, Default)]
pub(super) struct Sibling {
    pub(super) attributes: Map<String, Value>,
    pub(super) create: Behaviour,
    pub(super) update: Behaviour,
    pub(super) delete: Behaviour,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Behaviour {
    pub(super) moment: Moment,
    pub(super) failure: Option<String>,
}

/// When a sibling's operation ends.
#[derive(Clone, Debug, Default)]
pub enum Moment {
    /// As soon as it has begun.
    #[default]
    AtOnce,
    /// So long after it has begun.
    After(Duration),
    /// As soon as a request for this custom resource is on its way.
    Sent(String),
    /// When the test says so.
    Signal(Arc<Notify>),
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
    pub(super) fn needs(&self) -> BTreeMap<String, BTreeSet<String>> {
        let needs = |resource: &Resource| {
            let mut needs = resource.depends_on.clone();
            for value in resource.properties.values() {
                resolve::references(value, &mut needs);
            }
            needs
        };
        self.resources.iter().map(|(id, resource)| (id.clone(), needs(resource))).collect()
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
    pub fn sibling(properties: Value) -> Self {
        Self::new(Kind::Sibling(Sibling::default()), properties)
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

    /// Gives a sibling an attribute for `Fn::GetAtt`.
    #[must_use]
    pub fn attribute(self, name: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        self.change(|sibling| {
            sibling.attributes.insert(name.to_owned(), value);
        })
    }

    /// Lets a sibling's creation fail.
    #[must_use]
    pub fn fails_to_create(self, moment: Moment, reason: &str) -> Self {
        let failure = Some(reason.to_owned());
        self.change(|sibling| sibling.create = Behaviour { moment, failure })
    }

    /// Lets a sibling's update fail.
    #[must_use]
    pub fn fails_to_update(self, moment: Moment, reason: &str) -> Self {
        let failure = Some(reason.to_owned());
        self.change(|sibling| sibling.update = Behaviour { moment, failure })
    }

    /// Lets a sibling's deletion fail.
    #[must_use]
    pub fn fails_to_delete(self, moment: Moment, reason: &str) -> Self {
        let failure = Some(reason.to_owned());
        self.change(|sibling| sibling.delete = Behaviour { moment, failure })
    }

    /// Lets a sibling's creation and update succeed only then.
    #[must_use]
    pub fn takes(self, moment: Moment) -> Self {
        self.change(|sibling| {
            sibling.create.moment = moment.clone();
            sibling.update.moment = moment;
        })
    }

    fn change(mut self, change: impl FnOnce(&mut Sibling)) -> Self {
        let Kind::Sibling(sibling) = &mut self.kind else { panic!("only siblings can be told") };
        change(sibling);
        self
    }

    /// Whether it stays when it is no longer needed.
    pub(super) fn stays(&self, creation_rolled_back: bool) -> bool {
        match self.deletion_policy {
            Policy::Delete => false,
            Policy::Retain => true,
            Policy::RetainExceptOnCreate => !creation_rolled_back,
        }
    }
}
