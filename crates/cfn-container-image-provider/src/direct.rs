//! From a direct event to the function's result or error.
//!
//! The caller waits for the result, so a copy that does not finish in one invocation fails with `Timeout` and
//! its progress. A repeated event copies only the missing blobs.

use image_copy::copy::TagChange;
use image_copy_aws::{InvalidProperty, Owner};
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::context::EventContext;
use crate::copy::{self, CopyReport, FinishedCopy, dry_run};
use crate::deadline::{Deadlines, MoreTime};
use crate::delete::{self, DeleteReport};
use crate::failure::Failure;
use crate::input::continuation::{ContinuationState, StopReason};
use crate::input::direct::{DirectEvent, DirectOperation};
use crate::input::resource::{CREATE_FAILED, Resource};
use crate::invocation::{Invocation, Services};
use crate::logging::summary::{EventSummary, Report};
use crate::respond::function_error::{FunctionError, error_type};
use crate::respond::reason::{code, reason};
use crate::respond::response::Attributes;
use crate::respond::success;

/// Result of a copy.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CopyResult {
    #[serde(flatten)]
    attributes: Attributes,
    /// The reference in the event, so that callers can compare it.
    requested_reference: String,
    /// `new`, `moved` or `unchanged`.
    change: &'static str,
    /// Digest that the tag named before, or empty.
    previous_digest: String,
    bytes_copied: u64,
    /// Manifests read from the source. Docker Hub counts them as pulls.
    pulls: u64,
    /// Remaining pulls, if the source reports them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pulls_left: Option<u64>,
    /// One sentence.
    message: String,
}

/// Result of a delete.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DeleteResult {
    /// The image that was requested. `None` if it is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    image_reference: Option<String>,
    /// The reference in the event, so that callers can compare it.
    requested_reference: String,
    /// `deleted` or `kept`.
    change: &'static str,
    /// One sentence.
    message: String,
}

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
    let span = tracing::error_span!(
        "event",
        owner = owner.name(),
        lambda_request_id = invocation.request_id,
        version = env!("CARGO_PKG_VERSION"),
    );
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
            DirectOperation::Copy { properties } => self.copy(&properties, None, &resource).await.map(json),
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
            result.message = format!("{} Previous image: {text}", result.message);
        }
        Ok(result)
    }

    async fn copy(
        &self,
        properties: &Value,
        previous: Option<&Value>,
        resource: &Resource,
    ) -> Result<CopyResult, FunctionError> {
        let context = self.context(resource);
        let mut report = copy::copy(properties, previous, &context).await;
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
                self.summary(resource, Report::Copy(&report)).log_success(&result.message);
                return Ok(result);
            }
            Err(failure) => failure,
        };
        // The later event needs the registration, or has removed it.
        if let Some(registered) = report.registered.as_ref().filter(|_| *failure != Failure::Superseded) {
            delete::clean_up(registered, properties, &context).await;
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
                Ok(DeleteResult {
                    image_reference: image,
                    requested_reference: requested_reference(properties),
                    change: if deleted.is_kept() { "kept" } else { "deleted" },
                    message: message.into(),
                })
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

impl CopyResult {
    fn new(properties: &Value, copied: &FinishedCopy, report: &CopyReport) -> Self {
        let outcome = &copied.outcome;
        let is_new = outcome.manifests_written > 0;
        let (change, previous) = match &outcome.tag {
            TagChange::Moved { from: Some(previous) } => ("moved", Some(previous)),
            TagChange::Moved { from: None } => ("new", None),
            TagChange::Untagged if is_new => ("new", None),
            TagChange::Untagged | TagChange::Unchanged => ("unchanged", None),
        };
        let usage = &report.traffic.source;
        Self {
            attributes: Attributes::new(&copied.properties, outcome),
            requested_reference: requested_reference(properties),
            change,
            previous_digest: previous.map(ToString::to_string).unwrap_or_default(),
            bytes_copied: outcome.blobs.bytes_copied,
            pulls: usage.manifest_gets,
            pulls_left: usage.rate_limit.as_ref().and_then(|limit| limit.remaining),
            message: success::copied(outcome, report.state),
        }
    }
}

fn requested_reference(properties: &Value) -> String {
    properties["ImageReference"].as_str().unwrap_or_default().into()
}

fn json(result: impl Serialize) -> Value {
    serde_json::to_value(result).expect("texts, numbers and lists can always be written")
}
