//! The forward part of create and update: every resource made what the template says.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::dependencies::{self, OnFailure};
use super::operation::{Ask, Play, Verb};
use super::report::Phase;
use super::template::{Kind, Resource, Template};
use super::{Live, lock};

/// What was begun on each resource, for a rollback to undo.
pub(super) type Trail = BTreeMap<String, Trace>;

/// What was begun on one resource.
#[derive(Clone, Debug)]
pub(super) struct Trace {
    /// The resource before; none when it was being created.
    pub(super) before: Option<Live>,
    pub(super) resource: Resource,
    pub(super) properties: Map<String, Value>,
    /// The id in the answer, a failed one included.
    pub(super) physical_id: Option<String>,
    pub(super) progress: Progress,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Nobody knows how far it came.
    Begun,
    Failed,
    Done,
}

impl Play<'_> {
    /// Makes every resource what the template says; tells whether that succeeded.
    pub(super) async fn forward(&self, template: &Template) -> bool {
        let needs = template.needs();
        let step = |id: String| async move { self.step(template, &id).await };
        let failed = dependencies::run(&needs, OnFailure::Cancel, step).await;
        if !failed.is_empty() {
            self.note_cancelled();
        }
        failed.is_empty()
    }

    /// Writes down which resources nobody waits for any longer.
    fn note_cancelled(&self) {
        let trail = lock(&self.trail);
        for (id, trace) in trail.iter().filter(|(_, trace)| trace.progress == Progress::Begun) {
            let (status, doing) = match trace.before {
                None => ("CREATE_FAILED", "creation"),
                Some(_) => ("UPDATE_FAILED", "update"),
            };
            self.note(id, status, Some(&format!("Resource {doing} cancelled")));
        }
    }

    async fn step(&self, template: &Template, id: &str) -> Result<(), String> {
        let resource = &template.resources[id];
        let before = lock(&self.stack.live).get(id).cloned();
        let verb = if before.is_some() { Verb::Update } else { Verb::Create };
        let properties = match self.properties(resource, before.as_ref()) {
            Ok(properties) => properties,
            Err(reason) => {
                let status = format!("{verb:?}_FAILED").to_uppercase();
                self.note(id, &status, Some(&reason));
                return Err(reason);
            }
        };
        if let Some(before) = before.as_ref().filter(|before| before.properties == properties) {
            let unchanged = Live { resource: resource.clone(), ..before.clone() };
            lock(&self.stack.live).insert(id.to_owned(), unchanged);
            return Ok(());
        }
        lock(&self.trail).insert(
            id.to_owned(),
            Trace {
                before: before.clone(),
                resource: resource.clone(),
                properties: properties.clone(),
                physical_id: None,
                progress: Progress::Begun,
            },
        );
        let result = self
            .ask(Ask {
                phase: Phase::Forward,
                verb,
                logical_id: id,
                resource,
                properties: &properties,
                old_properties: before.as_ref().map(|before| &before.properties),
                physical_id: before.as_ref().map(|before| before.physical_id.as_str()),
            })
            .await;
        let (physical_id, progress) = match &result {
            Ok(made) => (Some(made.physical_id.clone()), Progress::Done),
            Err(failed) => (failed.physical_id.clone(), Progress::Failed),
        };
        if let Some(trace) = lock(&self.trail).get_mut(id) {
            trace.physical_id = physical_id;
            trace.progress = progress;
        }
        let made = result.map_err(|failed| failed.reason)?;
        let live = Live::new(resource.clone(), properties, made);
        lock(&self.stack.live).insert(id.to_owned(), live);
        Ok(())
    }

    /// The properties to send, complete and resolved.
    fn properties(&self, resource: &Resource, before: Option<&Live>) -> Result<Map<String, Value>, String> {
        let live = lock(&self.stack.live);
        let mut properties = self.stack.scope(&live).properties(&resource.properties)?;
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
