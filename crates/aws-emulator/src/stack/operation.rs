//! One operation on a stack: its calls to the provider and its events.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use serde_json::{Map, Value, json};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::apply::Changes;
use super::call::{CallInProgress, service_timeout};
use super::lock;
use super::report::{CallOutcome, OperationReport, Phase, ProviderCall, StackEvent, StackStatus};
use super::resource::{Behaviour, Kind, Resource, SimulatedResource, Trigger};
use super::{PendingDeletion, Stack};
use crate::bucket::{ProviderResponse, RequestIds, ResponseError, Status, URL_VALIDITY};
use crate::ids;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestType {
    Create,
    Update,
    Delete,
}

/// A request to create, update or delete a resource.
pub(super) struct ResourceRequest<'a> {
    pub(super) phase: Phase,
    pub(super) request_type: RequestType,
    pub(super) logical_id: &'a str,
    pub(super) resource: &'a Resource,
    pub(super) properties: &'a Map<String, Value>,
    pub(super) old_properties: Option<&'a Map<String, Value>>,
    pub(super) physical_id: Option<&'a str>,
}

impl ResourceRequest<'_> {
    /// Returns the physical ID after success. A Delete keeps it.
    fn physical_id_after<'a>(&'a self, provisioned: &'a Provisioned) -> Option<&'a str> {
        match self.request_type {
            RequestType::Delete => self.physical_id,
            RequestType::Create | RequestType::Update => Some(&provisioned.physical_id),
        }
    }
}

/// Result of a successful create or update.
#[derive(Default)]
pub(super) struct Provisioned {
    pub(super) physical_id: String,
    pub(super) attributes: Map<String, Value>,
    pub(super) request_id: String,
}

/// Result of a failed request.
pub(super) struct ProvisioningError {
    pub(super) reason: String,
    /// Physical ID in the response, if it had one.
    pub(super) physical_id: Option<String>,
}

/// One operation on a stack.
pub(super) struct StackOperation<'a> {
    pub(super) stack: &'a Stack,
    pub(super) changes: Mutex<Changes>,
    pub(super) pending_deletions: Mutex<Vec<PendingDeletion>>,
    pub(super) started: Instant,
    pub(super) calls: Mutex<Vec<ProviderCall>>,
    events: Mutex<Vec<StackEvent>>,
    sent: Notify,
}

impl<'a> StackOperation<'a> {
    pub(super) fn new(stack: &'a Stack) -> Self {
        Self {
            stack,
            changes: Mutex::default(),
            pending_deletions: Mutex::default(),
            started: Instant::now(),
            calls: Mutex::default(),
            events: Mutex::default(),
            sent: Notify::new(),
        }
    }

    /// Finishes the operation.
    pub(super) fn finish(self, status: StackStatus) -> OperationReport {
        self.add_event(&self.stack.settings.name, &status.to_string(), None);
        *lock(&self.stack.status) = status;
        let duration = self.started.elapsed();
        OperationReport {
            status,
            calls: self.calls.into_inner().unwrap_or_else(PoisonError::into_inner),
            events: self.events.into_inner().unwrap_or_else(PoisonError::into_inner),
            duration,
        }
    }

    /// Adds an event to the stack.
    pub(super) fn add_event(&self, logical_id: &str, status: &str, reason: Option<&str>) {
        lock(&self.events).push(StackEvent {
            at: self.started.elapsed(),
            logical_id: logical_id.to_owned(),
            status: status.to_owned(),
            reason: reason.map(ToOwned::to_owned),
        });
    }

    /// Sends a request to a resource and waits for the result.
    pub(super) async fn handle(
        &self,
        request: ResourceRequest<'_>,
    ) -> Result<Provisioned, ProvisioningError> {
        let request_type = match request.request_type {
            RequestType::Create => "CREATE",
            RequestType::Update => "UPDATE",
            RequestType::Delete => "DELETE",
        };
        let add_event = |physical_id: Option<&str>, state: &str, reason: Option<&str>| {
            let status = format!("{request_type}_{state}");
            self.add_resource_event(request.logical_id, request.resource, physical_id, &status, reason);
        };
        add_event(request.physical_id, "IN_PROGRESS", None);
        let result = match &request.resource.kind {
            Kind::Custom(resource_type) => self.request_custom(&request, resource_type).await,
            Kind::Repository => self.stack.change_repository(&request),
            Kind::Simulated(_, simulated) => self.request_simulated(&request, simulated).await,
        };
        match &result {
            Ok(provisioned) => add_event(request.physical_id_after(provisioned), "COMPLETE", None),
            Err(error) => {
                let physical_id = error.physical_id.as_deref().or(request.physical_id);
                add_event(physical_id, "FAILED", Some(&error.reason));
            }
        }
        result
    }

    /// Sends the event of a custom resource.
    async fn request_custom(
        &self,
        request: &ResourceRequest<'_>,
        resource_type: &str,
    ) -> Result<Provisioned, ProvisioningError> {
        let mut event = json!({
            "RequestType": format!("{:?}", request.request_type),
            "ServiceToken": request.properties.get("ServiceToken"),
            "ResourceType": resource_type,
            "LogicalResourceId": request.logical_id,
            "ResourceProperties": request.properties,
        });
        if let Some(physical_id) = request.physical_id {
            event["PhysicalResourceId"] = json!(physical_id);
        }
        if let Some(old) = request.old_properties {
            event["OldResourceProperties"] = json!(old);
        }
        let token = request.properties.get("ServiceToken").and_then(Value::as_str);
        if token != Some(self.stack.settings.service_token.as_str()) {
            // The message of Lambda (https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html).
            let reason = format!("Function not found: {}", token.unwrap_or_default());
            return Err(ProvisioningError { reason, physical_id: None });
        }
        let call = self.send(request.phase, event).await;
        let request_id = call.event["RequestId"].as_str().unwrap_or_default().to_owned();
        match call.outcome {
            CallOutcome::Responded(response) if response.status == Status::Success => {
                Ok(Provisioned { physical_id: response.physical_id, attributes: response.data, request_id })
            }
            CallOutcome::Responded(response) => Err(ProvisioningError {
                reason: format!(
                    "Received response status [FAILED] from custom resource. Message returned: {} \
                     (RequestId: {request_id})",
                    response.reason.unwrap_or_default()
                ),
                physical_id: Some(response.physical_id),
            }),
            CallOutcome::Invalid(reason) => Err(ProvisioningError { reason, physical_id: None }),
            CallOutcome::TimedOut | CallOutcome::Pending | CallOutcome::Cancelled => Err(ProvisioningError {
                reason: format!(
                    "CloudFormation did not receive a response from your Custom Resource. Please \
                     check your logs for requestId [{request_id}]."
                ),
                physical_id: None,
            }),
        }
    }

    /// Sends an event and waits for the outcome. Adds missing fields of the envelope.
    pub(super) async fn send(&self, phase: Phase, mut event: Value) -> ProviderCall {
        let stack = self.stack;
        let mut field = |name: &str, value: &dyn Fn() -> String| {
            if event.get(name).is_none() {
                event[name] = Value::String(value());
            }
            event[name].as_str().unwrap_or_default().to_owned()
        };
        let request_ids = RequestIds {
            stack_id: field("StackId", &|| stack.id.clone()),
            logical_id: field("LogicalResourceId", &|| "Resource".to_owned()),
            request_id: field("RequestId", &ids::uuid),
        };
        field("ResponseURL", &|| stack.bucket.presign(&request_ids, stack.settings.signature, URL_VALIDITY));
        let limit = stack.settings.simulated_second * service_timeout(&event);
        let seen = stack.bucket.uploads(&request_ids).len();
        let in_progress = CallInProgress::new(self, phase, event.clone());
        in_progress.update(|call| call.invocation_id = stack.provider.invoke(event));
        self.sent.notify_waiters();
        let end = timeout(limit, self.accepted_response(&request_ids, seen, &in_progress)).await;
        in_progress.finish_call(end.unwrap_or(CallOutcome::TimedOut))
    }

    /// Waits for a response that CloudFormation does not ignore.
    async fn accepted_response(
        &self,
        request_ids: &RequestIds,
        mut seen: usize,
        in_progress: &CallInProgress<'_, '_>,
    ) -> CallOutcome {
        loop {
            let uploads = self.stack.bucket.wait_for_uploads(request_ids, seen).await;
            for upload in uploads.iter().skip(seen).filter(|upload| upload.status == 200) {
                match ProviderResponse::parse(&upload.body, request_ids) {
                    Ok(response) => return CallOutcome::Responded(response),
                    Err(ResponseError::Invalid(reason)) => return CallOutcome::Invalid(reason),
                    Err(ResponseError::Discarded(reason)) => {
                        in_progress.update(|call| call.discarded_responses.push(reason));
                    }
                }
            }
            seen = uploads.len();
        }
    }

    async fn request_simulated(
        &self,
        request: &ResourceRequest<'_>,
        simulated: &SimulatedResource,
    ) -> Result<Provisioned, ProvisioningError> {
        let success = Behaviour::default();
        let behaviour = match (request.phase, request.request_type) {
            (Phase::Main, RequestType::Create) => &simulated.create,
            (Phase::Main, RequestType::Update) => &simulated.update,
            (_, RequestType::Delete) => &simulated.delete,
            _ => &success,
        };
        match &behaviour.trigger {
            Trigger::Immediately => {}
            Trigger::After(delay) => tokio::time::sleep(*delay).await,
            Trigger::RequestSent(logical_id) => self.wait_until_sent(logical_id).await,
            Trigger::Notified(signal) => signal.notified().await,
        }
        if let Some(reason) = &behaviour.failure {
            return Err(ProvisioningError { reason: reason.clone(), physical_id: None });
        }
        let physical_id = request
            .physical_id
            .map_or_else(|| self.stack.generate_physical_id(request.logical_id), ToOwned::to_owned);
        let attributes = simulated.attributes.clone();
        Ok(Provisioned { physical_id, attributes, request_id: ids::uuid() })
    }

    async fn wait_until_sent(&self, logical_id: &str) {
        loop {
            let sent = self.sent.notified();
            if lock(&self.calls).iter().any(|call| call.logical_id() == logical_id) {
                return;
            }
            sent.await;
        }
    }
}
