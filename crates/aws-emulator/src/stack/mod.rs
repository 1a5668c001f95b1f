//! Emulates CloudFormation: order, requests, rollback, clean-up and timeouts of stacks.
//!
//! A [`Stack`] processes [`Template`]s, sends CloudFormation's events to a [`Provider`], and returns an
//! [`OperationReport`] of each operation. [`CloudFormation`] is the API that describes stacks.

mod api;
mod apply;
mod call;
mod conditions;
mod deletion;
mod dependencies;
mod functions;
mod load;
mod operation;
mod parameters;
mod record;
mod report;
mod repository;
mod resolve;
mod resource;
mod rollback;
mod settings;
mod template;
mod text;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use serde_json::{Map, Value};

pub use api::CloudFormation;
pub use report::{CallOutcome, OperationReport, Phase, ProviderCall, StackEvent, StackStatus};
pub use resource::{Policy, Resource, Trigger};
pub use settings::{ReplacementRollback, StackSettings};
pub use template::Template;

use crate::Ecr;
use crate::bucket::ResponseBucket;
use crate::ids;
use crate::lambda::Function;
use operation::{Provisioned, StackOperation};
use record::ResourceRecord;
use resolve::Resolver;
use rollback::FailedRollback;

/// The target of a `ServiceToken`.
pub trait Provider: Send + Sync + 'static {
    /// Accepts an event, and returns the ID of the invocation.
    fn invoke(&self, event: Value) -> String;
}

impl Provider for Function {
    fn invoke(&self, event: Value) -> String {
        self.invoke_async(event)
    }
}

/// A resource of the stack.
#[derive(Clone, Debug)]
pub struct DeployedResource {
    /// Physical ID.
    pub physical_id: String,
    /// Current properties.
    pub properties: Map<String, Value>,
    /// Attributes for `Fn::GetAtt`.
    pub attributes: Map<String, Value>,
    resource: Resource,
    request_id: String,
}

impl DeployedResource {
    fn new(resource: Resource, properties: Map<String, Value>, provisioned: Provisioned) -> Self {
        let Provisioned { physical_id, attributes, request_id } = provisioned;
        Self { physical_id, properties, attributes, resource, request_id }
    }

    fn to_pending_deletion(&self, logical_id: &str) -> PendingDeletion {
        PendingDeletion {
            logical_id: logical_id.to_owned(),
            resource: self.resource.clone(),
            properties: self.properties.clone(),
            physical_id: self.physical_id.clone(),
        }
    }
}

/// A resource to delete.
struct PendingDeletion {
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
    /// Creates the repositories in templates.
    ecr: Option<Arc<Ecr>>,
    status: Mutex<StackStatus>,
    /// Start of the creation, and of the last update.
    created: Mutex<Option<SystemTime>>,
    updated: Mutex<Option<SystemTime>>,
    /// Last event of each resource by logical ID.
    records: Mutex<BTreeMap<String, ResourceRecord>>,
    template: Mutex<Template>,
    deployed: Mutex<BTreeMap<String, DeployedResource>>,
    failed_rollback: Mutex<Option<FailedRollback>>,
    operation_lock: tokio::sync::Mutex<()>,
}

impl Stack {
    /// Creates an empty stack.
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
            ecr: None,
            status: Mutex::new(StackStatus::New),
            created: Mutex::default(),
            updated: Mutex::default(),
            records: Mutex::default(),
            template: Mutex::default(),
            deployed: Mutex::default(),
            failed_rollback: Mutex::default(),
            operation_lock: tokio::sync::Mutex::default(),
        }
    }

    /// Creates the repositories in templates in this ECR.
    #[must_use]
    pub fn with_ecr(self, ecr: &Arc<Ecr>) -> Self {
        Self { ecr: Some(Arc::clone(ecr)), ..self }
    }

    /// Creates all resources of the template, or rolls back.
    ///
    /// # Panics
    ///
    /// Panics if the stack was created before.
    pub async fn create(&self, template: &Template) -> OperationReport {
        let _guard = self.operation_lock.lock().await;
        self.assert_status(&[StackStatus::New]);
        let operation = StackOperation::new(self);
        operation.add_event(&self.settings.name, "CREATE_IN_PROGRESS", None);
        *lock(&self.created) = Some(SystemTime::now());
        self.set_template(template);
        let status = match operation.apply(template).await {
            true => StackStatus::CreateComplete,
            false => operation.roll_back_create(template).await,
        };
        operation.finish(status)
    }

    /// Updates the stack to another template, or rolls back.
    ///
    /// # Panics
    ///
    /// Panics if CloudFormation does not permit an update in the stack's status.
    pub async fn update(&self, template: &Template) -> OperationReport {
        let _guard = self.operation_lock.lock().await;
        self.assert_status(&[
            StackStatus::CreateComplete,
            StackStatus::UpdateComplete,
            StackStatus::UpdateRollbackComplete,
        ]);
        let operation = StackOperation::new(self);
        operation.add_event(&self.settings.name, "UPDATE_IN_PROGRESS", None);
        *lock(&self.updated) = Some(SystemTime::now());
        let old = lock(&self.template).clone();
        if !operation.apply(template).await {
            let status = operation.roll_back(&old, template).await;
            return operation.finish(status);
        }
        operation.clean_up(&old, template).await;
        self.set_template(template);
        operation.finish(StackStatus::UpdateComplete)
    }

    /// Continues a failed rollback without the resources in `skip`.
    ///
    /// # Panics
    ///
    /// Panics if the stack is not in `UPDATE_ROLLBACK_FAILED`.
    pub async fn continue_update_rollback(&self, skip: &[&str]) -> OperationReport {
        let _guard = self.operation_lock.lock().await;
        let operation = StackOperation::new(self);
        let failed_rollback = lock(&self.failed_rollback).take();
        let mut failed_rollback = failed_rollback.expect("the stack is in UPDATE_ROLLBACK_FAILED");
        operation.skip_resources(&mut failed_rollback, &skip.iter().copied().collect());
        let status = operation.roll_back(&failed_rollback.old, &failed_rollback.new).await;
        operation.finish(status)
    }

    /// Deletes the stack.
    pub async fn delete(&self) -> OperationReport {
        let _guard = self.operation_lock.lock().await;
        let operation = StackOperation::new(self);
        let dependencies = lock(&self.template).dependencies();
        let status = operation.delete_stack(&dependencies).await;
        operation.finish(status)
    }

    /// Sends one event and waits for the outcome.
    ///
    /// Missing `ResponseURL`, `StackId`, `RequestId` and `LogicalResourceId` are added.
    pub async fn send(&self, event: Value) -> ProviderCall {
        StackOperation::new(self).send(Phase::Main, event).await
    }

    /// Returns the stack's ARN.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// Returns the status.
    pub fn status(&self) -> StackStatus {
        *lock(&self.status)
    }

    /// Returns a resource.
    pub fn resource(&self, logical_id: &str) -> Option<DeployedResource> {
        lock(&self.deployed).get(logical_id).cloned()
    }

    /// Returns all resources.
    pub fn resources(&self) -> BTreeMap<String, DeployedResource> {
        lock(&self.deployed).clone()
    }

    /// Returns the physical ID of a resource.
    pub fn physical_id(&self, logical_id: &str) -> Option<String> {
        self.resource(logical_id).map(|deployed| deployed.physical_id)
    }

    /// Adds a resource without a call to the provider, such as one that an older provider created.
    pub fn import_resource(
        &self,
        logical_id: &str,
        resource: Resource,
        physical_id: &str,
        attributes: Map<String, Value>,
    ) {
        let mut properties = resource.properties.clone();
        let token = Value::String(self.settings.service_token.clone());
        properties.entry("ServiceToken").or_insert(token);
        let provisioned =
            Provisioned { physical_id: physical_id.to_owned(), attributes, request_id: ids::uuid() };
        let deployed = DeployedResource::new(resource.clone(), properties, provisioned);
        lock(&self.deployed).insert(logical_id.to_owned(), deployed);
        let record = ResourceRecord::new(&resource, Some(physical_id), "IMPORT_COMPLETE", None);
        lock(&self.records).insert(logical_id.to_owned(), record);
        lock(&self.template).resources.insert(logical_id.to_owned(), resource);
        *lock(&self.status) = StackStatus::CreateComplete;
    }

    fn assert_status(&self, statuses: &[StackStatus]) {
        let status = self.status();
        assert!(statuses.contains(&status), "CloudFormation rejects this operation in status {status}");
    }

    /// Sets the current template.
    fn set_template(&self, template: &Template) {
        *lock(&self.template) = template.clone();
    }

    fn resolver<'a>(
        &'a self,
        template: &'a Template,
        deployed: &'a BTreeMap<String, DeployedResource>,
    ) -> Resolver<'a> {
        Resolver {
            stack_id: &self.id,
            stack_name: &self.settings.name,
            account: &self.settings.account,
            region: &self.settings.region,
            template,
            deployed,
        }
    }

    /// Generates a physical ID as CloudFormation does for a resource without one.
    fn generate_physical_id(&self, logical_id: &str) -> String {
        format!("{}-{logical_id}-{}", self.settings.name, ids::capitals(12))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
