//! From a direct event to the function's result or error.
//!
//! The caller waits for the result, so a copy that does not finish in one invocation fails with `Timeout` and
//! its progress. A repeated event copies only the missing blobs.

use std::time::Duration;

use image_copy_aws::{InvalidProperty, Owner};
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::context::EventContext;
use crate::copy::{self, AgedCopy, CopyReport, dry_run};
use crate::deadline::{Deadlines, MoreTime};
use crate::delete::{self, DeleteReport};
use crate::failure::Failure;
use crate::input::continuation::{ContinuationState, StopReason};
use crate::input::direct::{DirectEvent, DirectOperation};
use crate::input::resource::{CREATE_FAILED, Resource};
use crate::invocation::{Invocation, Services};
use crate::logging::direct_span;
use crate::logging::summary::{EventSummary, Report};
use crate::respond::direct_result::{CopyResult, DeleteResult, WaitingResult};
use crate::respond::function_error::{FunctionError, error_type};
use crate::respond::reason::{code, reason};
use crate::respond::success;

/// Handles a direct event.
pub(crate) async fn handle(
    event: Result<DirectEvent, InvalidProperty>,
    invocation: &Invocation,
    services: &Services,
    now: Instant,
) -> Result<Value, FunctionError> {
    let (owner, is_shared, operation) = match event {
        Ok(DirectEvent { owner, is_shared, operation }) => (owner, is_shared, Ok(operation)),
        Err(error) => (Owner::named(""), false, Err(error)),
    };
    let span = direct_span(&owner, &invocation.request_id);
    let handler = DirectHandler {
        continuation: ContinuationState::of_direct_event(),
        deadlines: Deadlines::new(now, invocation.time_left, None),
        owner,
        is_exclusive: !is_shared,
        invocation,
        services,
    };
    let work = async {
        match operation {
            Ok(operation) => handler.run(operation).await,
            Err(error) => Err(handler.fail(&Failure::Property(error), Report::Unreadable)),
        }
    };
    // On the heap, because this future is large and threads have small stacks.
    Box::pin(work.instrument(span)).await
}

/// One direct event.
struct DirectHandler<'a> {
    owner: Owner,
    is_exclusive: bool,
    continuation: ContinuationState,
    deadlines: Deadlines,
    invocation: &'a Invocation,
    services: &'a Services,
}

impl DirectHandler<'_> {
    async fn run(&self, operation: DirectOperation) -> Result<Value, FunctionError> {
        let resource = self.resource(&self.owner, None);
        match operation {
            DirectOperation::Copy { properties, min_age: None } => {
                self.copy(&properties, None, &resource).await.map(json)
            }
            DirectOperation::Copy { properties, min_age: Some(min_age) } => {
                self.copy_with_min_age(&properties, min_age, &resource).await
            }
            DirectOperation::Plan { properties } => self.plan(&properties, &resource).await,
            DirectOperation::Create { properties } => {
                self.check_deletable(&properties, &resource)?;
                self.copy(&properties, None, &resource).await.map(json)
            }
            DirectOperation::Update { properties, previous, previous_owner } => {
                self.update(&properties, &previous, &previous_owner).await.map(json)
            }
            DirectOperation::Delete { properties } => {
                delete::check(&properties, &self.context(&resource))
                    .map_err(|error| self.fail(&Failure::Property(error), Report::Unreadable))?;
                self.delete(&properties, &self.owner).await.map(json)
            }
            DirectOperation::Destroy { properties } => self.delete(&properties, &self.owner).await.map(json),
        }
    }

    /// Copies an image. If the previous properties name another image, deletes that one afterwards.
    async fn update(
        &self,
        properties: &Value,
        previous: &Value,
        previous_owner: &Owner,
    ) -> Result<CopyResult, FunctionError> {
        let previous_image = delete::image_key(previous, &self.context(&self.resource(previous_owner, None)));
        let resource = self.resource(&self.owner, previous_image.clone());
        self.check_deletable(properties, &resource)?;
        let mut result = self.copy(properties, Some(previous), &resource).await?;
        let is_same = previous_image.as_ref() == Some(&result.attributes.image_reference)
            && *previous_owner == self.owner;
        if previous_image.is_some() && !is_same {
            // The copy is complete, so this does not fail the update, as in CloudFormation's cleanup.
            let deleted = self.delete(previous, previous_owner).await;
            let text = deleted.map_or_else(|error| error.message, |result| result.message);
            result.change.message = format!("{} Previous image: {text}", result.change.message);
        }
        Ok(result)
    }

    async fn copy(
        &self,
        properties: &Value,
        previous: Option<&Value>,
        resource: &Resource,
    ) -> Result<CopyResult, FunctionError> {
        let report = copy::copy(properties, previous, &self.context(resource)).await;
        self.finish_copy(report, properties, resource).await
    }

    async fn copy_with_min_age(
        &self,
        properties: &Value,
        min_age: Duration,
        resource: &Resource,
    ) -> Result<Value, FunctionError> {
        match copy::copy_with_min_age(properties, min_age, &self.context(resource)).await {
            AgedCopy::Waiting(report) => {
                let result = WaitingResult::new(properties, &report);
                self.summary(resource, Report::Waiting(&report)).log_success(&result.change.message);
                Ok(json(result))
            }
            AgedCopy::Attempted(report) => self.finish_copy(*report, properties, resource).await.map(json),
        }
    }

    /// Logs the result of a copy. Cleans up if it failed.
    async fn finish_copy(
        &self,
        mut report: CopyReport,
        properties: &Value,
        resource: &Resource,
    ) -> Result<CopyResult, FunctionError> {
        // A repeated event has the same time, and would not finish this blob either.
        if let Some(reason) = StopReason::blob_too_large(&report.transferred)
            && let Err(failure) = &report.result
            && let Some((failure, _)) =
                copy::resumable_progress(failure, report.progress, &report.transferred)
        {
            report.result = Err(Failure::Stopped { failure, reason });
        }
        let failure = match &report.result {
            Ok(copied) => {
                let result = CopyResult::new(properties, copied, &report);
                self.summary(resource, Report::Copy(&report)).log_success(&result.change.message);
                return Ok(result);
            }
            Err(failure) => failure,
        };
        // The later event needs the registration, or has removed it.
        if let Some(registered) = report.registered.as_ref().filter(|_| *failure != Failure::Superseded) {
            delete::clean_up(registered, properties, &self.context(resource)).await;
        }
        Err(self.fail(failure, Report::Copy(&report)))
    }

    async fn plan(&self, properties: &Value, resource: &Resource) -> Result<Value, FunctionError> {
        let planned = dry_run::plan(properties, &self.context(resource)).await;
        planned.map_err(|failure| self.fail(&failure, Report::Unreadable))
    }

    /// Removes the owner of an image, and deletes the image if no other owner needs it.
    async fn delete(&self, properties: &Value, owner: &Owner) -> Result<DeleteResult, FunctionError> {
        let image = delete::image_key(properties, &self.context(&self.resource(owner, None)));
        let resource = self.resource(owner, image.clone());
        let report = delete::delete(properties, &self.context(&resource)).await;
        let DeleteReport { result, state } = &report;
        match result {
            Ok(deleted) => {
                let message = success::deleted(*deleted, *state);
                self.summary(&resource, Report::Delete(&report)).log_success(message);
                Ok(DeleteResult::new(properties, image, *deleted, message))
            }
            Err(failure) => Err(self.fail_for(&resource, failure, Report::Delete(&report))),
        }
    }

    /// Rejects properties whose image a later delete cannot find, because its digest is not known.
    fn check_deletable(&self, properties: &Value, resource: &Resource) -> Result<(), FunctionError> {
        match delete::check(properties, &self.context(resource)) {
            Err(error @ InvalidProperty::Missing(delete::TAG_MISSING)) => {
                Err(self.fail(&Failure::Property(error), Report::Unreadable))
            }
            // The copy reports other errors.
            _ => Ok(()),
        }
    }

    fn fail(&self, failure: &Failure, report: Report<'_>) -> FunctionError {
        self.fail_for(&self.resource(&self.owner, None), failure, report)
    }

    fn fail_for(&self, resource: &Resource, failure: &Failure, report: Report<'_>) -> FunctionError {
        let message = reason(failure, MoreTime::RepeatedEvent, &self.invocation.request_id);
        self.summary(resource, report).log_failure(failure, code(failure), &message);
        FunctionError { error_type: error_type(failure), message }
    }

    fn resource(&self, owner: &Owner, image: Option<String>) -> Resource {
        let physical_id = image.unwrap_or_else(|| CREATE_FAILED.into());
        let (owner, is_exclusive) = (owner.clone(), self.is_exclusive);
        Resource { owner, logical_id: String::new(), physical_id, is_exclusive }
    }

    fn context<'a>(&'a self, resource: &'a Resource) -> EventContext<'a> {
        EventContext {
            resource,
            continuation: &self.continuation,
            clients: &self.services.clients,
            deadlines: self.deadlines,
            holder: self.invocation.lease_holder(),
        }
    }

    fn summary<'a>(&self, resource: &'a Resource, report: Report<'a>) -> EventSummary<'a> {
        EventSummary { resource, report, invocation: 1, deadlines: self.deadlines }
    }
}

fn json(result: impl Serialize) -> Value {
    serde_json::to_value(result).expect("texts, numbers and lists can always be written")
}
