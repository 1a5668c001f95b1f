//! Undoing an update: old properties sent back, then what came new removed.

use std::collections::BTreeSet;

use super::apply::{Progress, Trace, Trail};
use super::dependencies::{self, OnFailure};
use super::operation::{Ask, Play, Verb};
use super::report::{Phase, StackStatus};
use super::template::Template;
use super::{Doomed, Live, ReplacementRollback, lock};

/// A rollback that failed and may be continued.
#[derive(Default)]
pub(super) struct Stuck {
    /// What is still to be undone.
    pub(super) trail: Trail,
    /// What is to be deleted after that.
    pub(super) doomed: Vec<Doomed>,
    /// The template to return to, and the one to leave.
    pub(super) old: Template,
    pub(super) new: Template,
}

impl Play<'_> {
    /// Undoes an update as far as it came.
    pub(super) async fn roll_back(&self, old: &Template, new: &Template) -> StackStatus {
        self.note(&self.stack.settings.name, "UPDATE_ROLLBACK_IN_PROGRESS", None);
        let needs = old.needs();
        let undo = |id: String| async move {
            let trace = lock(&self.trail).get(&id).cloned();
            match trace {
                Some(trace) => self.undo(&id, trace).await,
                None => Ok(()),
            }
        };
        let failed = dependencies::run(&needs, OnFailure::GoOn, undo).await;
        if !failed.is_empty() {
            let mut trail = std::mem::take(&mut *lock(&self.trail));
            trail.retain(|id, trace| failed.contains_key(id) || trace.before.is_none());
            let doomed = std::mem::take(&mut *lock(&self.doomed));
            let stuck = Stuck { trail, doomed, old: old.clone(), new: new.clone() };
            *lock(&self.stack.stuck) = Some(stuck);
            return StackStatus::UpdateRollbackFailed;
        }
        let cleaning = "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS";
        self.note(&self.stack.settings.name, cleaning, None);
        self.doom_created(Phase::CleanUp);
        let doomed = std::mem::take(&mut *lock(&self.doomed));
        // What cannot be deleted is abandoned: the rollback counts as complete.
        self.delete_all(Phase::CleanUp, doomed, &new.needs()).await;
        self.stack.settle(old);
        StackStatus::UpdateRollbackComplete
    }

    /// Takes resources out of a rollback, as ContinueUpdateRollback does.
    pub(super) fn resume(&self, stuck: &mut Stuck, skip: &BTreeSet<&str>) {
        let mut trail = std::mem::take(&mut stuck.trail);
        for id in skip {
            // A resource that is skipped counts as rolled back, whatever state it is in.
            if let Some(before) = trail.remove(*id).and_then(|trace| trace.before) {
                let mut live = lock(&self.stack.live);
                let physical_id = live.get(*id).map(|live| live.physical_id.clone());
                let physical_id = physical_id.unwrap_or_else(|| before.physical_id.clone());
                live.insert((*id).to_owned(), Live { physical_id, ..before });
            }
        }
        *lock(&self.trail) = trail;
        *lock(&self.doomed) = std::mem::take(&mut stuck.doomed);
    }

    /// Gives one resource its old properties back.
    async fn undo(&self, id: &str, trace: Trace) -> Result<(), String> {
        let Some(before) = trace.before.clone() else {
            return Ok(());
        };
        let current = trace.physical_id.clone().unwrap_or_else(|| before.physical_id.clone());
        let replaced = trace.progress == Progress::Done && current != before.physical_id;
        let doomed = |physical_id: &str| Doomed {
            logical_id: id.to_owned(),
            resource: trace.resource.clone(),
            properties: trace.properties.clone(),
            physical_id: physical_id.to_owned(),
        };
        if replaced && self.stack.settings.replacement_rollback == ReplacementRollback::DeleteNew {
            lock(&self.stack.live).insert(id.to_owned(), before);
            lock(&self.doomed).push(doomed(&current));
            return Ok(());
        }
        let result = self
            .ask(Ask {
                phase: Phase::Rollback,
                verb: Verb::Update,
                logical_id: id,
                resource: &before.resource,
                properties: &before.properties,
                old_properties: Some(&trace.properties),
                physical_id: Some(&current),
            })
            .await;
        let made = result.map_err(|failed| failed.reason)?;
        if made.physical_id != current {
            lock(&self.doomed).push(doomed(&current));
        }
        let live = Live::new(before.resource.clone(), before.properties, made);
        lock(&self.stack.live).insert(id.to_owned(), live);
        Ok(())
    }
}
