//! From an event of CloudFormation to its one response.
//!
//! There is a response in each case, even if the work fails, panics or does not stop. Lambda gets an error,
//! and repeats the event, only if the response could not be sent.

use std::time::SystemTime;

use serde_json::Value;
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::context::EventContext;
use crate::copy::{self, CopyReport, FinishedCopy, resumable_progress};
use crate::deadline::{Deadlines, MoreTime};
use crate::delete::{self, DeleteReport};
use crate::direct;
use crate::failure::Failure;
use crate::input::continuation::{self, StopReason};
use crate::input::envelope::Envelope;
use crate::input::event::{InvalidEvent, ResourceOperation};
use crate::input::failed_invocation::FailedInvocation;
use crate::input::{Event, Input};
use crate::invocation::{Invocation, Services};
use crate::logging::summary::{self, EventSummary, Report};
use crate::refresh;
use crate::respond::delivery::DeliveryError;
use crate::respond::function_error::FunctionError;
use crate::respond::reason::{code, reason};
use crate::respond::response::{Attributes, Response};
use crate::respond::success;

/// Handles one invocation.
///
/// Returns the result of a direct event or of a refresh workflow's event. Events of CloudFormation have none.
///
/// # Errors
/// The failure of a direct event. Also if the payload is no event, or the response could not be sent.
pub(crate) async fn handle(
    payload: Value,
    invocation: &Invocation,
    services: &Services,
) -> Result<Value, FunctionError> {
    let now = Instant::now();
    let sent = match Input::read(payload).map_err(FunctionError::not_sent)? {
        Input::Direct(event) => return direct::handle(event, invocation, services, now).await,
        Input::Refresh(event) => return refresh::handle(event, invocation, services, now).await,
        Input::CloudFormation(event) | Input::Continuation(event) => {
            let span = span(&event.envelope, invocation);
            let left = event.continuation.time_left(&event.envelope, SystemTime::now());
            let deadlines = Deadlines::new(now, invocation.time_left, Some(left));
            let more_time = MoreTime::new(invocation.time_left, left, event.envelope.service_timeout);
            let Event { envelope, operation, continuation } = event;
            let resource = envelope.resource();
            let context = EventContext {
                resource: &resource,
                continuation: &continuation,
                clients: &services.clients,
                deadlines,
                holder: invocation.lease_holder(),
            };
            let handler = EventHandler { envelope: &envelope, context, invocation, services, more_time };
            handler.respond(operation).instrument(span).await
        }
        Input::FailedInvocation(failed) => {
            let deadlines = Deadlines::new(now, invocation.time_left, None);
            respond_for_failed_invocation(failed, invocation, services, deadlines).await
        }
    };
    sent.map(|()| Value::Null).map_err(FunctionError::not_sent)
}

fn span(envelope: &Envelope, invocation: &Invocation) -> tracing::Span {
    tracing::error_span!(
        "event",
        stack_id = envelope.stack_id,
        logical_resource_id = envelope.logical_resource_id,
        request_type = envelope.request_type,
        request_id = envelope.request_id,
        lambda_request_id = invocation.request_id,
        version = env!("CARGO_PKG_VERSION"),
    )
}

/// One event in one invocation.
struct EventHandler<'a> {
    envelope: &'a Envelope,
    context: EventContext<'a>,
    invocation: &'a Invocation,
    services: &'a Services,
    more_time: MoreTime,
}

impl EventHandler<'_> {
    async fn respond(&self, operation: Result<ResourceOperation, InvalidEvent>) -> Result<(), DeliveryError> {
        // On the heap, because these futures are large and threads have small stacks.
        match operation {
            Ok(ResourceOperation::Create { properties }) => Box::pin(self.copy(&properties, None)).await,
            Ok(ResourceOperation::Update { properties, previous }) => {
                Box::pin(self.copy(&properties, Some(&previous))).await
            }
            Ok(ResourceOperation::Delete { properties }) => Box::pin(self.delete(&properties)).await,
            Err(error) => self.fail(&Failure::Event(error), Report::Unreadable).await,
        }
    }

    async fn copy(&self, properties: &Value, previous: Option<&Value>) -> Result<(), DeliveryError> {
        let Self { context, .. } = self;
        let mut report = Box::pin(copy::copy(properties, previous, context)).await;
        let unfinished = report
            .result
            .as_ref()
            .err()
            .and_then(|failure| resumable_progress(failure, report.progress, &report.transferred));
        if let Some((failure, progress)) = unfinished {
            match self.invoke_continuation(&report).await {
                // The next invocation responds.
                Ok(()) => {
                    self.summary(Report::Copy(&report)).log_continuation(progress);
                    return Ok(());
                }
                Err(reason) => report.result = Err(Failure::Stopped { failure, reason }),
            }
        }
        let failure = match &report.result {
            Ok(copied) => {
                let FinishedCopy { properties, outcome } = copied;
                let attributes = Attributes::new(properties, outcome);
                let text = self.with_request_id(&success::copied(copied, report.state));
                let id = attributes.image_reference.clone();
                let result =
                    self.deliver(Response::success(self.envelope, id, text.clone(), Some(attributes))).await;
                self.summary(Report::Copy(&report)).log_success(&text);
                return result;
            }
            Err(failure) => failure,
        };
        // The later event needs the registration, or has removed it.
        if let Some(registered) = report.registered.as_ref().filter(|_| *failure != Failure::Superseded) {
            delete::clean_up(registered, properties, context).await;
        }
        self.fail(failure, Report::Copy(&report)).await
    }

    async fn delete(&self, properties: &Value) -> Result<(), DeliveryError> {
        let report = delete::delete(properties, &self.context).await;
        let DeleteReport { result, state } = &report;
        let deleted = match result {
            Ok(deleted) => *deleted,
            Err(failure) => return self.fail(failure, Report::Delete(&report)).await,
        };
        let text = self.with_request_id(success::deleted(deleted, *state));
        let id = self.envelope.physical_resource_id.clone();
        let result = self.deliver(Response::success(self.envelope, id, text.clone(), None)).await;
        self.summary(Report::Delete(&report)).log_success(&text);
        result
    }

    async fn fail(&self, failure: &Failure, report: Report<'_>) -> Result<(), DeliveryError> {
        let text = reason(failure, self.more_time, &self.invocation.request_id);
        let result = self.deliver(Response::failure(self.envelope, text.clone())).await;
        self.summary(report).log_failure(failure, code(failure), &text);
        result
    }

    /// Invokes the function for the same event, or returns the reason why not.
    async fn invoke_continuation(&self, report: &CopyReport) -> Result<(), StopReason> {
        let CopyReport { transferred, registered, .. } = report;
        let reserve = self.context.deadlines.reserve;
        let payload = continuation::next_payload(
            self.context.continuation,
            self.envelope,
            transferred,
            registered.as_deref(),
            reserve,
        )?;
        let functions = &self.services.clients.functions;
        let invoked = functions.invoke(&self.invocation.function_arn, payload, self.context.deadlines.abort);
        invoked.await.map_err(StopReason::InvokeFailed)
    }

    async fn deliver(&self, response: Response<'_>) -> Result<(), DeliveryError> {
        deliver(response, self.envelope, self.services, &self.context.deadlines).await
    }

    fn summary<'a>(&'a self, report: Report<'a>) -> EventSummary<'a> {
        EventSummary {
            resource: self.context.resource,
            report,
            invocation: self.context.continuation.invocation,
            deadlines: self.context.deadlines,
        }
    }

    fn with_request_id(&self, sentence: &str) -> String {
        format!("{sentence} (request {})", self.invocation.request_id)
    }
}

/// Responds for invocations that sent no response.
async fn respond_for_failed_invocation(
    failed: FailedInvocation,
    invocation: &Invocation,
    services: &Services,
    deadlines: Deadlines,
) -> Result<(), DeliveryError> {
    let FailedInvocation { envelope, request_id, failure } = failed;
    let envelope = match envelope {
        Ok(envelope) => envelope,
        // An error would cause a retry by Lambda.
        Err(error) => {
            tracing::warn!(%error, failed_request_id = request_id, "ignored a failed invocation without a CloudFormation event");
            return Ok(());
        }
    };
    let span = span(&envelope, invocation);
    let work = async {
        let failure = Failure::Invocation(failure);
        let text = reason(&failure, MoreTime::None, &request_id);
        let response = Response::failure(&envelope, text.clone());
        let result = deliver(response, &envelope, services, &deadlines).await;
        summary::log_failed_invocation(code(&failure), &text, &request_id, deadlines.started.elapsed());
        result
    };
    work.instrument(span).await
}

async fn deliver(
    response: Response<'_>,
    envelope: &Envelope,
    services: &Services,
    deadlines: &Deadlines,
) -> Result<(), DeliveryError> {
    let result =
        services.responses.deliver(&envelope.response_url, response.body(), deadlines.response).await;
    if let Err(error) = &result {
        tracing::error!(%error, "the response could not be sent");
    }
    result
}

#[cfg(test)]
mod tests;
