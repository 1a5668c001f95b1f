//! Plays CloudFormation's part for one stack: order, requests, rollback, clean-up, time-outs.
//!
//! A [`Stack`] takes [`Template`]s and sends what CloudFormation would send, to whatever is behind
//! [`Provider`]; each operation gives a [`Transcript`].

mod apply;
mod deletion;
mod dependencies;
mod operation;
mod report;
mod resolve;
mod rollback;
mod template;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};

pub use report::{End, Phase, StackEvent, StackStatus, Transcript, Turn};
pub use template::{Moment, Policy, Resource, Template};

use crate::bucket::{ResponseBucket, Signature};
use crate::ids;
use crate::lambda::Function;
use operation::{Made, Play};
use resolve::Scope;
use rollback::Stuck;

/// What a `ServiceToken` names.
pub trait Provider: Send + Sync + 'static {
    /// Takes an event, and gives the id of the invocation.
    fn invoke(&self, event: Value) -> String;
}

impl Provider for Function {
    fn invoke(&self, event: Value) -> String {
        self.invoke_async(event)
    }
}

/// What a rollback does with a resource that was replaced before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReplacementRollback {
    /// The old id is the resource again, and the new one is deleted in the clean-up.
    #[default]
    DeleteNew,
    /// The new id is first updated with the old properties; if that leads back to another id, the
    /// new one is deleted. No source tells for certain which of the two CloudFormation does.
    UpdateThenDelete,
}

/// What can be chosen of a stack.
#[derive(Clone, Debug)]
pub struct StackSettings {
    /// The stack's name.
    pub name: String,
    /// Its account.
    pub account: String,
    /// Its Region.
    pub region: String,
    /// `ServiceToken` of custom resources whose properties have none.
    pub service_token: String,
    /// How long a second of `ServiceTimeout` lasts.
    pub second: Duration,
    /// How response URLs are signed.
    pub signature: Signature,
    /// What a rollback does with a replaced resource.
    pub replacement_rollback: ReplacementRollback,
}

impl StackSettings {
    /// A stack in the account and Region of a function; its seconds last ten milliseconds.
    pub fn of(name: &str, function: &Function) -> Self {
        let settings = function.settings();
        Self {
            name: name.to_owned(),
            account: settings.account.clone(),
            region: settings.region.clone(),
            service_token: settings.arn(),
            second: Duration::from_millis(10),
            signature: Signature::default(),
            replacement_rollback: ReplacementRollback::default(),
        }
    }
}

/// A resource as it stands.
#[derive(Clone, Debug)]
pub struct Live {
    /// Its physical id.
    pub physical_id: String,
    /// The properties it was last given.
    pub properties: Map<String, Value>,
    /// What `Fn::GetAtt` gives.
    pub attributes: Map<String, Value>,
    resource: Resource,
    request_id: String,
}

impl Live {
    fn new(resource: Resource, properties: Map<String, Value>, made: Made) -> Self {
        let Made { physical_id, attributes, request_id } = made;
        Self { physical_id, properties, attributes, resource, request_id }
    }

    fn doomed(&self, logical_id: &str) -> Doomed {
        Doomed {
            logical_id: logical_id.to_owned(),
            resource: self.resource.clone(),
            properties: self.properties.clone(),
            physical_id: self.physical_id.clone(),
        }
    }
}

/// Something to delete.
struct Doomed {
    logical_id: String,
    resource: Resource,
    properties: Map<String, Value>,
    physical_id: String,
}

/// A stack.
pub struct Stack {
    settings: StackSettings,
    id: String,
    provider: Arc<dyn Provider>,
    bucket: Arc<ResponseBucket>,
    status: Mutex<StackStatus>,
    template: Mutex<Template>,
    live: Mutex<BTreeMap<String, Live>>,
    stuck: Mutex<Option<Stuck>>,
    busy: tokio::sync::Mutex<()>,
}

impl Stack {
    /// A stack in which nothing is yet.
    pub fn new(settings: StackSettings, provider: Arc<dyn Provider>, bucket: Arc<ResponseBucket>) -> Self {
        let StackSettings { name, account, region, .. } = &settings;
        let partition = ids::partition(region);
        let uuid = ids::uuid();
        let id = format!("arn:{partition}:cloudformation:{region}:{account}:stack/{name}/{uuid}");
        Self {
            settings,
            id,
            provider,
            bucket,
            status: Mutex::new(StackStatus::New),
            template: Mutex::default(),
            live: Mutex::default(),
            stuck: Mutex::default(),
            busy: tokio::sync::Mutex::default(),
        }
    }

    /// Creates everything in the template, or undoes what it began.
    ///
    /// # Panics
    ///
    /// When the stack was created before.
    pub async fn create(&self, template: &Template) -> Transcript {
        let _busy = self.busy.lock().await;
        self.expect(&[StackStatus::New]);
        let play = Play::new(self);
        play.note(&self.settings.name, "CREATE_IN_PROGRESS", None);
        self.settle(template);
        let status = match play.forward(template).await {
            true => StackStatus::CreateComplete,
            false => play.undo_create(template).await,
        };
        play.finish(status)
    }

    /// Updates to another template, or returns to the present one.
    ///
    /// # Panics
    ///
    /// When the stack is in a status that CloudFormation does not update from.
    pub async fn update(&self, template: &Template) -> Transcript {
        let _busy = self.busy.lock().await;
        self.expect(&[
            StackStatus::CreateComplete,
            StackStatus::UpdateComplete,
            StackStatus::UpdateRollbackComplete,
        ]);
        let play = Play::new(self);
        play.note(&self.settings.name, "UPDATE_IN_PROGRESS", None);
        let old = lock(&self.template).clone();
        if !play.forward(template).await {
            let status = play.roll_back(&old, template).await;
            return play.finish(status);
        }
        play.clean_up(&old, template).await;
        self.settle(template);
        play.finish(StackStatus::UpdateComplete)
    }

    /// Continues a rollback that failed, without the resources to skip.
    ///
    /// # Panics
    ///
    /// When the stack is not in `UPDATE_ROLLBACK_FAILED`.
    pub async fn continue_update_rollback(&self, skip: &[&str]) -> Transcript {
        let _busy = self.busy.lock().await;
        let play = Play::new(self);
        let stuck = lock(&self.stuck).take();
        let mut stuck = stuck.expect("the stack is in UPDATE_ROLLBACK_FAILED");
        play.resume(&mut stuck, &skip.iter().copied().collect());
        let status = play.roll_back(&stuck.old, &stuck.new).await;
        play.finish(status)
    }

    /// Deletes everything.
    pub async fn delete(&self) -> Transcript {
        let _busy = self.busy.lock().await;
        let play = Play::new(self);
        let needs = lock(&self.template).needs();
        let status = play.delete_stack(&needs).await;
        play.finish(status)
    }

    /// Sends one event made by hand and waits for its end.
    ///
    /// `ResponseURL`, `StackId`, `RequestId` and `LogicalResourceId` are filled in where absent.
    pub async fn send(&self, event: Value) -> Turn {
        Play::new(self).send(Phase::Forward, event).await
    }

    /// The stack's ARN.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The present status.
    pub fn status(&self) -> StackStatus {
        *lock(&self.status)
    }

    /// A resource as it stands.
    pub fn resource(&self, logical_id: &str) -> Option<Live> {
        lock(&self.live).get(logical_id).cloned()
    }

    /// All resources as they stand.
    pub fn resources(&self) -> BTreeMap<String, Live> {
        lock(&self.live).clone()
    }

    /// The physical id of a resource.
    pub fn physical_id(&self, logical_id: &str) -> Option<String> {
        self.resource(logical_id).map(|live| live.physical_id)
    }

    /// Puts a resource into the stack without asking a provider: one that an older provider made.
    pub fn adopt(
        &self,
        logical_id: &str,
        resource: Resource,
        physical_id: &str,
        attributes: Map<String, Value>,
    ) {
        let mut properties = resource.properties.clone();
        let token = Value::String(self.settings.service_token.clone());
        properties.entry("ServiceToken").or_insert(token);
        let physical_id = physical_id.to_owned();
        let made = Made { physical_id, attributes, request_id: ids::uuid() };
        let live = Live::new(resource.clone(), properties, made);
        lock(&self.live).insert(logical_id.to_owned(), live);
        lock(&self.template).resources.insert(logical_id.to_owned(), resource);
        *lock(&self.status) = StackStatus::CreateComplete;
    }

    fn expect(&self, statuses: &[StackStatus]) {
        let status = self.status();
        assert!(statuses.contains(&status), "not possible in status {status}");
    }

    /// Makes a template the present one.
    fn settle(&self, template: &Template) {
        *lock(&self.template) = template.clone();
    }

    fn scope<'a>(&'a self, live: &'a BTreeMap<String, Live>) -> Scope<'a> {
        Scope {
            stack_id: &self.id,
            stack_name: &self.settings.name,
            account: &self.settings.account,
            region: &self.settings.region,
            live,
        }
    }

    /// An id as CloudFormation invents it for a resource that never told one.
    fn invent_id(&self, logical_id: &str) -> String {
        format!("{}-{logical_id}-{}", self.settings.name, ids::capitals(12))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
