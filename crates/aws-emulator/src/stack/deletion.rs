//! Deletion of resources: with the stack, after a rollback, and in the clean-up of an update.

use std::collections::BTreeMap;

use super::apply::Progress;
use super::dependencies::{self, Dependencies, OnFailure};
use super::operation::{Provisioned, RequestType, ResourceRequest, StackOperation};
use super::report::{Phase, StackStatus};
use super::resource::{Kind, Policy};
use super::template::Template;
use super::{DeployedResource, PendingDeletion, lock};

impl StackOperation<'_> {
    /// Deletes the resources of a failed create.
    pub(super) async fn roll_back_create(&self, template: &Template) -> StackStatus {
        self.add_event(&self.stack.settings.name, "ROLLBACK_IN_PROGRESS", None);
        self.schedule_deletion_of_created(Phase::Rollback);
        let pending_deletions = std::mem::take(&mut *lock(&self.pending_deletions));
        let failed = self.delete_all(Phase::Rollback, pending_deletions, &template.dependencies()).await;
        if failed.is_empty() { StackStatus::RollbackComplete } else { StackStatus::RollbackFailed }
    }

    /// Schedules the deletion of the resources that this operation created or started to create.
    ///
    /// If no response had an ID, CloudFormation generates one.
    pub(super) fn schedule_deletion_of_created(&self, phase: Phase) {
        let changes = lock(&self.changes);
        for (id, change) in changes.iter().filter(|(_, change)| change.before.is_none()) {
            let incomplete_simulated =
                matches!(change.resource.kind, Kind::Simulated(..)) && change.progress != Progress::Done;
            if incomplete_simulated || change.resource.is_retained(true) {
                lock(&self.stack.deployed).remove(id);
                continue;
            }
            let physical_id = change.physical_id.clone();
            let physical_id = physical_id.unwrap_or_else(|| self.stack.generate_physical_id(id));
            let provisioned = Provisioned { physical_id, ..Provisioned::default() };
            let created =
                DeployedResource::new(change.resource.clone(), change.properties.clone(), provisioned);
            lock(&self.pending_deletions).push(created.to_pending_deletion(id));
            // If a deletion fails, an update abandons the resource, and a create keeps it in the stack.
            let mut deployed = lock(&self.stack.deployed);
            match phase {
                Phase::CleanUp => drop(deployed.remove(id)),
                Phase::Main | Phase::Rollback => drop(deployed.insert(id.clone(), created)),
            }
        }
    }

    /// Deletes replaced physical IDs and resources that the new template does not have.
    pub(super) async fn clean_up(&self, old: &Template, new: &Template) {
        let status = "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS";
        self.add_event(&self.stack.settings.name, status, None);
        let pending_deletions = self.obsolete_resources(new);
        // If a deletion fails, the resource is abandoned and the update succeeds.
        self.delete_all(Phase::CleanUp, pending_deletions, &old.dependencies()).await;
    }

    /// Returns the resources that an update no longer needs.
    fn obsolete_resources(&self, new: &Template) -> Vec<PendingDeletion> {
        let mut pending_deletions = Vec::new();
        for (id, change) in lock(&self.changes).iter() {
            let Some(before) = &change.before else {
                continue;
            };
            let replaced = change.physical_id.as_ref() != Some(&before.physical_id);
            if replaced && change.resource.update_replace_policy == Policy::Delete {
                pending_deletions.push(before.to_pending_deletion(id));
            }
        }
        let mut deployed = lock(&self.stack.deployed);
        let removed: Vec<String> =
            deployed.keys().filter(|id| !new.resources.contains_key(*id)).cloned().collect();
        for id in removed {
            let removed_resource =
                deployed.remove(&id).filter(|deployed| !deployed.resource.is_retained(false));
            pending_deletions.extend(removed_resource.map(|deployed| deployed.to_pending_deletion(&id)));
        }
        pending_deletions
    }

    /// Deletes all resources of the stack.
    pub(super) async fn delete_stack(&self, dependencies: &Dependencies) -> StackStatus {
        self.add_event(&self.stack.settings.name, "DELETE_IN_PROGRESS", None);
        let mut pending_deletions = Vec::new();
        lock(&self.stack.deployed).retain(|id, deployed| {
            let is_retained = deployed.resource.is_retained(false);
            pending_deletions.extend((!is_retained).then(|| deployed.to_pending_deletion(id)));
            !is_retained
        });
        let failed = self.delete_all(Phase::Main, pending_deletions, dependencies).await;
        if failed.is_empty() { StackStatus::DeleteComplete } else { StackStatus::DeleteFailed }
    }

    /// Deletes resources before the resources that they depend on. Returns the failures with their reasons.
    ///
    /// After a failure, CloudFormation continues and deletes the dependencies too.
    pub(super) async fn delete_all(
        &self,
        phase: Phase,
        pending_deletions: Vec<PendingDeletion>,
        dependencies: &Dependencies,
    ) -> BTreeMap<String, String> {
        let pending_deletions: BTreeMap<_, _> =
            pending_deletions.into_iter().map(|deletion| (deletion.logical_id.clone(), deletion)).collect();
        let mut order = dependencies::reversed(dependencies);
        for id in pending_deletions.keys() {
            order.entry(id.clone()).or_default();
        }
        let delete = |id: String| {
            let deletion = pending_deletions.get(&id);
            async move {
                let Some(deletion) = deletion else { return Ok(()) };
                self.delete(phase, deletion).await
            }
        };
        dependencies::run_in_order(&order, OnFailure::Continue, delete).await
    }

    async fn delete(&self, phase: Phase, deletion: &PendingDeletion) -> Result<(), String> {
        let result = self
            .handle(ResourceRequest {
                phase,
                request_type: RequestType::Delete,
                logical_id: &deletion.logical_id,
                resource: &deletion.resource,
                properties: &deletion.properties,
                old_properties: None,
                physical_id: Some(&deletion.physical_id),
            })
            .await;
        result.map_err(|error| error.reason)?;
        let mut deployed = lock(&self.stack.deployed);
        // In a clean-up, the logical ID can have a new physical ID, which is kept.
        if deployed
            .get(&deletion.logical_id)
            .is_some_and(|deployed| deployed.physical_id == deletion.physical_id)
        {
            deployed.remove(&deletion.logical_id);
        }
        Ok(())
    }
}
