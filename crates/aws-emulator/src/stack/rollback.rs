//! Rollback of an update: sends the old properties, then deletes new resources.

use std::collections::BTreeSet;

use super::apply::{Change, Changes, Progress};
use super::dependencies::{self, OnFailure};
use super::operation::{RequestType, ResourceRequest, StackOperation};
use super::report::{Phase, StackStatus};
use super::template::Template;
use super::{DeployedResource, PendingDeletion, ReplacementRollback, lock};

/// A failed rollback, which can be continued.
#[derive(Default)]
pub(super) struct FailedRollback {
    /// Changes that are not yet reverted.
    pub(super) changes: Changes,
    /// Resources to delete afterwards.
    pub(super) pending_deletions: Vec<PendingDeletion>,
    /// The template to return to, and the failed one.
    pub(super) old: Template,
    pub(super) new: Template,
}

impl StackOperation<'_> {
    /// Rolls an update back.
    pub(super) async fn roll_back(&self, old: &Template, new: &Template) -> StackStatus {
        self.add_event(&self.stack.settings.name, "UPDATE_ROLLBACK_IN_PROGRESS", None);
        let dependencies = old.dependencies();
        let revert = |id: String| async move {
            let change = lock(&self.changes).get(&id).cloned();
            match change {
                Some(change) => self.revert(&id, change).await,
                None => Ok(()),
            }
        };
        let failed = dependencies::run_in_order(&dependencies, OnFailure::Continue, revert).await;
        if !failed.is_empty() {
            let mut changes = std::mem::take(&mut *lock(&self.changes));
            changes.retain(|id, change| failed.contains_key(id) || change.before.is_none());
            let pending_deletions = std::mem::take(&mut *lock(&self.pending_deletions));
            let failed_rollback =
                FailedRollback { changes, pending_deletions, old: old.clone(), new: new.clone() };
            *lock(&self.stack.failed_rollback) = Some(failed_rollback);
            return StackStatus::UpdateRollbackFailed;
        }
        let status = "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS";
        self.add_event(&self.stack.settings.name, status, None);
        self.schedule_deletion_of_created(Phase::CleanUp);
        let pending_deletions = std::mem::take(&mut *lock(&self.pending_deletions));
        // If a deletion fails, the resource is abandoned and the rollback succeeds.
        self.delete_all(Phase::CleanUp, pending_deletions, &new.dependencies()).await;
        self.stack.set_template(old);
        StackStatus::UpdateRollbackComplete
    }

    /// Removes resources from a rollback, as ContinueUpdateRollback does.
    pub(super) fn skip_resources(&self, failed_rollback: &mut FailedRollback, skip: &BTreeSet<&str>) {
        let mut changes = std::mem::take(&mut failed_rollback.changes);
        for id in skip {
            // A skipped resource counts as rolled back, whatever its state is.
            if let Some(before) = changes.remove(*id).and_then(|change| change.before) {
                let mut deployed = lock(&self.stack.deployed);
                let physical_id = deployed.get(*id).map(|deployed| deployed.physical_id.clone());
                let physical_id = physical_id.unwrap_or_else(|| before.physical_id.clone());
                self.add_resource_event(id, &before.resource, Some(&physical_id), "UPDATE_COMPLETE", None);
                deployed.insert((*id).to_owned(), DeployedResource { physical_id, ..before });
            }
        }
        *lock(&self.changes) = changes;
        *lock(&self.pending_deletions) = std::mem::take(&mut failed_rollback.pending_deletions);
    }

    /// Reverts the change of one resource.
    async fn revert(&self, id: &str, change: Change) -> Result<(), String> {
        let Some(before) = change.before.clone() else {
            return Ok(());
        };
        let current = change.physical_id.clone().unwrap_or_else(|| before.physical_id.clone());
        let replaced = change.progress == Progress::Done && current != before.physical_id;
        let new_deletion = |physical_id: &str| PendingDeletion {
            logical_id: id.to_owned(),
            resource: change.resource.clone(),
            properties: change.properties.clone(),
            physical_id: physical_id.to_owned(),
        };
        if replaced && self.stack.settings.replacement_rollback == ReplacementRollback::DeleteNew {
            let physical_id = Some(before.physical_id.as_str());
            self.add_resource_event(id, &before.resource, physical_id, "UPDATE_COMPLETE", None);
            lock(&self.stack.deployed).insert(id.to_owned(), before);
            lock(&self.pending_deletions).push(new_deletion(&current));
            return Ok(());
        }
        let result = self
            .handle(ResourceRequest {
                phase: Phase::Rollback,
                request_type: RequestType::Update,
                logical_id: id,
                resource: &before.resource,
                properties: &before.properties,
                old_properties: Some(&change.properties),
                physical_id: Some(&current),
            })
            .await;
        let provisioned = result.map_err(|error| error.reason)?;
        if provisioned.physical_id != current {
            lock(&self.pending_deletions).push(new_deletion(&current));
        }
        let deployed = DeployedResource::new(before.resource.clone(), before.properties, provisioned);
        lock(&self.stack.deployed).insert(id.to_owned(), deployed);
        Ok(())
    }
}
