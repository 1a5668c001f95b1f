//! What happened while a stack was played.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use crate::bucket::ProviderResponse;

/// The status of a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StackStatus {
    /// Nothing was done yet.
    New,
    /// `CREATE_COMPLETE`
    CreateComplete,
    /// `ROLLBACK_COMPLETE`
    RollbackComplete,
    /// `ROLLBACK_FAILED`
    RollbackFailed,
    /// `UPDATE_COMPLETE`
    UpdateComplete,
    /// `UPDATE_ROLLBACK_COMPLETE`
    UpdateRollbackComplete,
    /// `UPDATE_ROLLBACK_FAILED`
    UpdateRollbackFailed,
    /// `DELETE_COMPLETE`
    DeleteComplete,
    /// `DELETE_FAILED`
    DeleteFailed,
}

impl fmt::Display for StackStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::New => "NEW",
            Self::CreateComplete => "CREATE_COMPLETE",
            Self::RollbackComplete => "ROLLBACK_COMPLETE",
            Self::RollbackFailed => "ROLLBACK_FAILED",
            Self::UpdateComplete => "UPDATE_COMPLETE",
            Self::UpdateRollbackComplete => "UPDATE_ROLLBACK_COMPLETE",
            Self::UpdateRollbackFailed => "UPDATE_ROLLBACK_FAILED",
            Self::DeleteComplete => "DELETE_COMPLETE",
            Self::DeleteFailed => "DELETE_FAILED",
        })
    }
}

/// The part of an operation in which a request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// What the operation is for.
    Main,
    /// Undoing it.
    Rollback,
    /// Deleting what is no longer needed, after success or rollback.
    CleanUp,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq)]
pub enum CallOutcome {
    /// It has not ended.
    Pending,
    /// With an answer, which may be a failure.
    Responded(ProviderResponse),
    /// With an answer so wrong that CloudFormation put its own words in its place.
    Invalid(String),
    /// Without an answer in time.
    TimedOut,
    /// Another resource failed, and nobody waited any longer.
    Cancelled,
}

/// One request to the provider and what came back.
#[derive(Clone, Debug)]
pub struct ProviderCall {
    /// When in the operation it was sent.
    pub phase: Phase,
    /// The event.
    pub event: Value,
    /// Lambda's id of the invocation.
    pub invocation_id: String,
    /// How it ended.
    pub outcome: CallOutcome,
    /// Answers that were discarded, with the reason.
    pub discarded_responses: Vec<String>,
    /// When it was sent, counted from the start of the operation.
    pub at: Duration,
    /// How long it took to its end.
    pub duration: Duration,
}

impl ProviderCall {
    /// `Create`, `Update` or `Delete`.
    pub fn request_type(&self) -> &str {
        self.event["RequestType"].as_str().unwrap_or_default()
    }

    /// The logical id.
    pub fn logical_id(&self) -> &str {
        self.event["LogicalResourceId"].as_str().unwrap_or_default()
    }

    /// The physical id in the event.
    pub fn physical_id(&self) -> Option<&str> {
        self.event["PhysicalResourceId"].as_str()
    }

    /// The answer, if one was accepted.
    pub fn response(&self) -> Option<&ProviderResponse> {
        if let CallOutcome::Responded(response) = &self.outcome { Some(response) } else { None }
    }
}

/// A line of the stack's events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StackEvent {
    /// When it happened, counted from the start of the operation.
    pub at: Duration,
    /// Logical id, or the stack's name.
    pub logical_id: String,
    /// Such as `CREATE_FAILED`.
    pub status: String,
    /// Why.
    pub reason: Option<String>,
}

/// One operation on a stack.
#[derive(Clone, Debug)]
pub struct OperationReport {
    /// The stack's status in the end.
    pub status: StackStatus,
    /// Every request, in the order sent.
    pub calls: Vec<ProviderCall>,
    /// The stack's events, oldest first.
    pub events: Vec<StackEvent>,
    /// How long it took.
    pub duration: Duration,
}

impl OperationReport {
    /// What was sent, one short line each: `Update Python rollback`.
    pub fn summary(&self) -> Vec<String> {
        let line = |call: &ProviderCall| {
            let phase = match call.phase {
                Phase::Main => "",
                Phase::Rollback => " rollback",
                Phase::CleanUp => " clean-up",
            };
            format!("{} {}{phase}", call.request_type(), call.logical_id())
        };
        self.calls.iter().map(line).collect()
    }

    /// The first request of a kind for a resource.
    pub fn call(&self, request_type: &str, logical_id: &str) -> Option<&ProviderCall> {
        self.calls.iter().find(|call| call.request_type() == request_type && call.logical_id() == logical_id)
    }

    /// Why resources failed, as the stack's events say it.
    pub fn failures(&self) -> Vec<String> {
        let failed = self.events.iter().filter(|event| event.status.ends_with("_FAILED"));
        failed.filter_map(|event| event.reason.clone()).collect()
    }
}
