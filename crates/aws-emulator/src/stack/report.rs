//! Report of an operation on a stack.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use crate::bucket::ProviderResponse;

/// Status of a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StackStatus {
    /// The stack is not created.
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

/// The part of an operation to which a call belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The create, update or delete itself.
    Main,
    /// The rollback.
    Rollback,
    /// The deletion of resources that are no longer needed, after success or rollback.
    CleanUp,
}

/// Outcome of a call.
#[derive(Clone, Debug, PartialEq)]
pub enum CallOutcome {
    /// The call is in progress.
    Pending,
    /// The provider sent a valid response, either success or failure.
    Responded(ProviderResponse),
    /// The provider sent an invalid response, and CloudFormation reports this reason instead.
    Invalid(String),
    /// The provider sent no valid response in time.
    TimedOut,
    /// Another resource failed, and CloudFormation stopped waiting.
    Cancelled,
}

/// A call to the provider.
#[derive(Clone, Debug)]
pub struct ProviderCall {
    /// Part of the operation.
    pub phase: Phase,
    /// The event.
    pub event: Value,
    /// Request ID of the Lambda invocation.
    pub invocation_id: String,
    /// Outcome.
    pub outcome: CallOutcome,
    /// Reasons for which CloudFormation discarded responses.
    pub discarded_responses: Vec<String>,
    /// Time since the start of the operation.
    pub at: Duration,
    /// Duration.
    pub duration: Duration,
}

impl ProviderCall {
    /// Returns `Create`, `Update` or `Delete`.
    pub fn request_type(&self) -> &str {
        self.event["RequestType"].as_str().unwrap_or_default()
    }

    /// Returns the logical ID.
    pub fn logical_id(&self) -> &str {
        self.event["LogicalResourceId"].as_str().unwrap_or_default()
    }

    /// Returns the physical ID in the event.
    pub fn physical_id(&self) -> Option<&str> {
        self.event["PhysicalResourceId"].as_str()
    }

    /// Returns the accepted response.
    pub fn response(&self) -> Option<&ProviderResponse> {
        if let CallOutcome::Responded(response) = &self.outcome { Some(response) } else { None }
    }
}

/// An event of the stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StackEvent {
    /// Time since the start of the operation.
    pub at: Duration,
    /// Logical ID, or the stack's name.
    pub logical_id: String,
    /// Status, such as `CREATE_FAILED`.
    pub status: String,
    /// Reason of a failure.
    pub reason: Option<String>,
}

/// Report of one operation.
#[derive(Clone, Debug)]
pub struct OperationReport {
    /// Status of the stack after the operation.
    pub status: StackStatus,
    /// Calls to the provider in the order in which they were sent.
    pub calls: Vec<ProviderCall>,
    /// Events of the stack, oldest first.
    pub events: Vec<StackEvent>,
    /// Duration.
    pub duration: Duration,
}

impl OperationReport {
    /// Returns the calls in short form, such as `Update Python rollback`.
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

    /// Returns the first call with a request type for a resource.
    pub fn call(&self, request_type: &str, logical_id: &str) -> Option<&ProviderCall> {
        self.calls.iter().find(|call| call.request_type() == request_type && call.logical_id() == logical_id)
    }

    /// Returns the reasons of all failures in the stack's events.
    pub fn failures(&self) -> Vec<String> {
        let failed = self.events.iter().filter(|event| event.status.ends_with("_FAILED"));
        failed.filter_map(|event| event.reason.clone()).collect()
    }
}
