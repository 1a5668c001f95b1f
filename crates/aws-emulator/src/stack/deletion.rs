//! Deleting resources: with the stack, after a rollback, or when they are no longer needed.

use std::collections::BTreeMap;

use super::apply::Progress;
use super::dependencies::{self, Needs, OnFailure};
use super::operation::{Ask, Made, Play, Verb};
use super::report::{Phase, StackStatus};
use super::template::{Kind, Policy, Template};
use super::{Doomed, Live, lock};

impl Play<'_> {
    /// Undoes a create as far as it came.
    pub(super) async fn undo_create(&self, template: &Template) -> StackStatus {
        self.note(&self.stack.settings.name, "ROLLBACK_IN_PROGRESS", None);
        self.doom_created(Phase::Rollback);
        let doomed = std::mem::take(&mut *lock(&self.doomed));
        let failed = self.delete_all(Phase::Rollback, doomed, &template.needs()).await;
        if failed.is_empty() { StackStatus::RollbackComplete } else { StackStatus::RollbackFailed }
    }

    /// Marks what this operation created, or began to create, for deletion.
    ///
    /// Where no answer gave an id, CloudFormation invents one.
    pub(super) fn doom_created(&self, phase: Phase) {
        let trail = lock(&self.trail);
        for (id, trace) in trail.iter().filter(|(_, trace)| trace.before.is_none()) {
            let unmade_sibling =
                matches!(trace.resource.kind, Kind::Sibling(_)) && trace.progress != Progress::Done;
            if unmade_sibling || trace.resource.stays(true) {
                lock(&self.stack.live).remove(id);
                continue;
            }
            let physical_id = trace.physical_id.clone();
            let physical_id = physical_id.unwrap_or_else(|| self.stack.invent_id(id));
            let made = Made { physical_id, ..Made::default() };
            let created = Live::new(trace.resource.clone(), trace.properties.clone(), made);
            lock(&self.doomed).push(created.doomed(id));
            // An update abandons what it cannot clean up; a stack keeps what it cannot roll back.
            let mut live = lock(&self.stack.live);
            match phase {
                Phase::CleanUp => drop(live.remove(id)),
                Phase::Forward | Phase::Rollback => drop(live.insert(id.clone(), created)),
            }
        }
    }

    /// Deletes what an update left behind: replaced ids, and resources no longer in the template.
    pub(super) async fn clean_up(&self, old: &Template, new: &Template) {
        let cleaning = "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS";
        self.note(&self.stack.settings.name, cleaning, None);
        let doomed = self.outgrown(new);
        // What cannot be deleted is abandoned: the update counts as complete.
        self.delete_all(Phase::CleanUp, doomed, &old.needs()).await;
    }

    /// What an update left behind.
    fn outgrown(&self, new: &Template) -> Vec<Doomed> {
        let mut doomed = Vec::new();
        for (id, trace) in lock(&self.trail).iter() {
            let Some(before) = &trace.before else {
                continue;
            };
            let replaced = trace.physical_id.as_ref() != Some(&before.physical_id);
            if replaced && trace.resource.update_replace_policy == Policy::Delete {
                doomed.push(before.doomed(id));
            }
        }
        let mut live = lock(&self.stack.live);
        let removed: Vec<String> =
            live.keys().filter(|id| !new.resources.contains_key(*id)).cloned().collect();
        for id in removed {
            let gone = live.remove(&id).filter(|live| !live.resource.stays(false));
            doomed.extend(gone.map(|live| live.doomed(&id)));
        }
        doomed
    }

    /// Deletes the whole stack.
    pub(super) async fn delete_stack(&self, needs: &Needs) -> StackStatus {
        self.note(&self.stack.settings.name, "DELETE_IN_PROGRESS", None);
        let mut doomed = Vec::new();
        lock(&self.stack.live).retain(|id, live| {
            let stays = live.resource.stays(false);
            doomed.extend((!stays).then(|| live.doomed(id)));
            !stays
        });
        let failed = self.delete_all(Phase::Forward, doomed, needs).await;
        if failed.is_empty() { StackStatus::DeleteComplete } else { StackStatus::DeleteFailed }
    }

    /// Deletes resources, those that need others first; gives what failed, with the reason.
    ///
    /// A failure holds up nothing: CloudFormation deletes what the resource depends on anyway.
    pub(super) async fn delete_all(
        &self,
        phase: Phase,
        doomed: Vec<Doomed>,
        needs: &Needs,
    ) -> BTreeMap<String, String> {
        let doomed: BTreeMap<_, _> =
            doomed.into_iter().map(|doomed| (doomed.logical_id.clone(), doomed)).collect();
        let mut order = dependencies::reversed(needs);
        for id in doomed.keys() {
            order.entry(id.clone()).or_default();
        }
        let delete = |id: String| {
            let doomed = doomed.get(&id);
            async move {
                let Some(doomed) = doomed else { return Ok(()) };
                self.delete(phase, doomed).await
            }
        };
        dependencies::run(&order, OnFailure::GoOn, delete).await
    }

    async fn delete(&self, phase: Phase, doomed: &Doomed) -> Result<(), String> {
        let result = self
            .ask(Ask {
                phase,
                verb: Verb::Delete,
                logical_id: &doomed.logical_id,
                resource: &doomed.resource,
                properties: &doomed.properties,
                old_properties: None,
                physical_id: Some(&doomed.physical_id),
            })
            .await;
        result.map_err(|failed| failed.reason)?;
        let mut live = lock(&self.stack.live);
        // In a clean-up the logical id may live on with another physical id.
        if live.get(&doomed.logical_id).is_some_and(|live| live.physical_id == doomed.physical_id) {
            live.remove(&doomed.logical_id);
        }
        Ok(())
    }
}
