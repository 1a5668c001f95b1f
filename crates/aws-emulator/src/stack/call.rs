//! A call to the provider that is in progress.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::lock;
use super::operation::StackOperation;
use super::report::{CallOutcome, Phase, ProviderCall};

/// CloudFormation's maximum time for a response in seconds.
const SERVICE_TIMEOUT: u32 = 3_600;

/// A call in progress. If it is dropped before its end, it is cancelled.
pub(super) struct CallInProgress<'a, 'b> {
    operation: &'a StackOperation<'b>,
    index: usize,
    since: Instant,
}

impl<'a, 'b> CallInProgress<'a, 'b> {
    pub(super) fn new(operation: &'a StackOperation<'b>, phase: Phase, event: Value) -> Self {
        let mut calls = lock(&operation.calls);
        calls.push(ProviderCall {
            phase,
            event,
            invocation_id: String::new(),
            outcome: CallOutcome::Pending,
            discarded_responses: Vec::new(),
            at: operation.started.elapsed(),
            duration: Duration::ZERO,
        });
        Self { operation, index: calls.len() - 1, since: Instant::now() }
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut ProviderCall)) {
        change(&mut lock(&self.operation.calls)[self.index]);
    }

    pub(super) fn finish_call(self, end: CallOutcome) -> ProviderCall {
        self.update(|call| call.outcome = end);
        let index = self.index;
        let operation = self.operation;
        drop(self);
        lock(&operation.calls)[index].clone()
    }
}

impl Drop for CallInProgress<'_, '_> {
    fn drop(&mut self) {
        let duration = self.since.elapsed();
        self.update(|call| {
            call.duration = duration;
            if call.outcome == CallOutcome::Pending {
                call.outcome = CallOutcome::Cancelled;
            }
        });
    }
}

/// Returns the `ServiceTimeout` of an event in seconds.
pub(super) fn service_timeout(event: &Value) -> u32 {
    let value = &event["ResourceProperties"]["ServiceTimeout"];
    let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    text.parse().unwrap_or(SERVICE_TIMEOUT).clamp(1, SERVICE_TIMEOUT)
}
