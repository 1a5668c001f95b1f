//! The main part of create and update: each resource gets the template's properties.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::dependencies::{self, OnFailure};
use super::operation::{RequestType, ResourceRequest, StackOperation};
use super::report::Phase;
use super::resource::{Kind, Resource};
use super::template::Template;
use super::{DeployedResource, lock};

/// Changes by logical ID, which a rollback reverts.
pub(super) type Changes = BTreeMap<String, Change>;

/// A change of one resource.
#[derive(Clone, Debug)]
pub(super) struct Change {
    /// The resource before the change. `None` for a new resource.
    pub(super) before: Option<DeployedResource>,
    pub(super) resource: Resource,
    pub(super) properties: Map<String, Value>,
    /// Physical ID in the response, also in a failed one.
    pub(super) physical_id: Option<String>,
    pub(super) progress: Progress,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The result is unknown.
    Started,
    Failed,
    Done,
}

impl StackOperation<'_> {
    /// Applies a template to all resources. Returns true on success.
    pub(super) async fn apply(&self, template: &Template) -> bool {
        let dependencies = template.dependencies();
        let step = |id: String| async move { self.apply_to(template, &id).await };
        let failed = dependencies::run_in_order(&dependencies, OnFailure::Cancel, step).await;
        if !failed.is_empty() {
            self.add_cancelled_events();
        }
        failed.is_empty()
    }

    /// Adds events for the resources whose operation was cancelled.
    fn add_cancelled_events(&self) {
        let changes = lock(&self.changes);
        for (id, change) in changes.iter().filter(|(_, change)| change.progress == Progress::Started) {
            let (status, action) = match change.before {
                None => ("CREATE_FAILED", "creation"),
                Some(_) => ("UPDATE_FAILED", "update"),
            };
            let physical_id = change.before.as_ref().map(|before| before.physical_id.as_str());
            let reason = format!("Resource {action} cancelled");
            self.add_resource_event(id, &change.resource, physical_id, status, Some(&reason));
        }
    }

    async fn apply_to(&self, template: &Template, id: &str) -> Result<(), String> {
        let resource = &template.resources[id];
        let before = lock(&self.stack.deployed).get(id).cloned();
        let request_type = if before.is_some() { RequestType::Update } else { RequestType::Create };
        let properties = match self.properties(template, resource, before.as_ref()) {
            Ok(properties) => properties,
            Err(reason) => {
                let status = format!("{request_type:?}_FAILED").to_uppercase();
                let physical_id = before.as_ref().map(|before| before.physical_id.as_str());
                self.add_resource_event(id, resource, physical_id, &status, Some(&reason));
                return Err(reason);
            }
        };
        if let Some(before) = before.as_ref().filter(|before| before.properties == properties) {
            let unchanged = DeployedResource { resource: resource.clone(), ..before.clone() };
            lock(&self.stack.deployed).insert(id.to_owned(), unchanged);
            return Ok(());
        }
        lock(&self.changes).insert(
            id.to_owned(),
            Change {
                before: before.clone(),
                resource: resource.clone(),
                properties: properties.clone(),
                physical_id: None,
                progress: Progress::Started,
            },
        );
        let result = self
            .handle(ResourceRequest {
                phase: Phase::Main,
                request_type,
                logical_id: id,
                resource,
                properties: &properties,
                old_properties: before.as_ref().map(|before| &before.properties),
                physical_id: before.as_ref().map(|before| before.physical_id.as_str()),
            })
            .await;
        let (physical_id, progress) = match &result {
            Ok(provisioned) => (Some(provisioned.physical_id.clone()), Progress::Done),
            Err(error) => (error.physical_id.clone(), Progress::Failed),
        };
        if let Some(change) = lock(&self.changes).get_mut(id) {
            change.physical_id = physical_id;
            change.progress = progress;
        }
        let provisioned = result.map_err(|error| error.reason)?;
        let deployed = DeployedResource::new(resource.clone(), properties, provisioned);
        lock(&self.stack.deployed).insert(id.to_owned(), deployed);
        Ok(())
    }

    /// Returns the properties of an event, with all references resolved.
    fn properties(
        &self,
        template: &Template,
        resource: &Resource,
        before: Option<&DeployedResource>,
    ) -> Result<Map<String, Value>, String> {
        let deployed = lock(&self.stack.deployed);
        let mut properties = self.stack.resolver(template, &deployed).properties(&resource.properties)?;
        if let Kind::Custom(_) = resource.kind {
            let token = &self.stack.settings.service_token;
            properties.entry("ServiceToken").or_insert_with(|| json!(token));
        }
        if let Some(before) = before {
            if before.resource.kind.name() != resource.kind.name() {
                return Err("Update of resource type is not permitted.".to_owned());
            }
            if before.properties.get("ServiceToken") != properties.get("ServiceToken") {
                return Err("Modifying service token is not allowed.".to_owned());
            }
        }
        Ok(properties)
    }
}
