//! Delivery of an event: attempts, retries, and the on-failure hook.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use serde_json::Value;

use super::record::{FailureCondition, record};
use super::runtime_api::NextInvocation;
use super::sandbox::{Outcome, Sandbox};
use super::{Attempt, Inner, lock};

/// Attempts an event until it succeeds or fails permanently.
pub(super) async fn deliver(inner: Arc<Inner>, request_id: String) {
    let mut attempts = 0;
    let failure = loop {
        let Some(event) = lock(&inner.events).get(&request_id).cloned() else {
            return;
        };
        if event.queued.elapsed() > inner.settings.max_event_age {
            break Some(FailureCondition::EventAgeExceeded);
        }
        attempts += 1;
        let invocation = NextInvocation {
            request_id: request_id.clone(),
            arn: inner.settings.arn(),
            trace_id: event.trace_id,
            deadline: SystemTime::now(),
            payload: Bytes::from(event.event.to_string()),
        };
        let outcome = attempt(&inner, invocation).await;
        if outcome.is_success() {
            break None;
        }
        let retry = attempts - 1;
        if retry >= inner.settings.max_retries as usize {
            break Some(FailureCondition::RetriesExhausted);
        }
        let delays = inner.settings.retry_delays;
        tokio::time::sleep(delays[retry.min(delays.len() - 1)]).await;
    };
    finish(&inner, &request_id, attempts, failure);
}

/// Finishes a delivery. After a permanent failure, calls the on-failure hook.
fn finish(inner: &Inner, request_id: &str, attempts: usize, failure: Option<FailureCondition>) {
    let mut events = lock(&inner.events);
    let Some(invocation) = events.get_mut(request_id) else {
        return;
    };
    let failure = failure.map(|condition| {
        invocation.failure_condition = Some(condition);
        let last = invocation.outcome();
        record(&inner.settings, request_id, &invocation.event, attempts, last, condition)
    });
    let hook = lock(&inner.hook).clone();
    // The hook runs first, so that a caller that waits for the end finds its effects.
    drop(events);
    if let (Some(hook), Some(failure)) = (hook, failure) {
        hook(failure);
    }
    if let Some(invocation) = lock(&inner.events).get_mut(request_id) {
        invocation.deliveries -= 1;
        invocation.done = invocation.deliveries == 0;
    }
    inner.changed.notify_waiters();
}

/// Makes one attempt at an event that is not in the queue.
pub(super) async fn attempt_once(
    inner: &Inner,
    request_id: String,
    event: &Value,
    trace_id: String,
) -> Outcome {
    let arn = inner.settings.arn();
    let payload = Bytes::from(event.to_string());
    attempt(inner, NextInvocation { request_id, arn, trace_id, deadline: SystemTime::now(), payload }).await
}

/// Makes one attempt at an event.
async fn attempt(inner: &Inner, invocation: NextInvocation) -> Outcome {
    let _permit = inner.permits.acquire().await.expect("the semaphore is never closed");
    let request_id = invocation.request_id.clone();
    let started = Instant::now();
    let (pid, outcome) = match ready_sandbox(inner).await {
        Err((pid, outcome)) => (pid, outcome),
        Ok(mut sandbox) => {
            lock(&inner.running).insert(request_id.clone(), Arc::clone(&sandbox.handle));
            let outcome = sandbox.run(invocation, inner.settings.timeout).await;
            lock(&inner.running).remove(&request_id);
            let pid = sandbox.handle.info().pid;
            // After a timeout or a crash, the sandbox cannot be reused.
            if matches!(outcome, Outcome::Response(_) | Outcome::Error(_)) {
                lock(&inner.idle).push(sandbox);
            }
            (Some(pid), outcome)
        }
    };
    let attempt = Attempt { pid, outcome: outcome.clone(), duration: started.elapsed() };
    if let Some(invocation) = lock(&inner.events).get_mut(&request_id) {
        invocation.attempts.push(attempt);
    }
    inner.changed.notify_waiters();
    outcome
}

/// Returns a ready sandbox, either idle or new.
async fn ready_sandbox(inner: &Inner) -> Result<Sandbox, (Option<u32>, Outcome)> {
    let limit = inner.settings.init_timeout;
    loop {
        let idle = lock(&inner.idle).pop();
        let Some(mut idle_sandbox) = idle else { break };
        // If an idle sandbox has ended since its last event, the next one is used.
        if idle_sandbox.wait_until_ready(limit).await.is_ok() {
            return Ok(idle_sandbox);
        }
    }
    let rejected_calls = Arc::clone(&inner.rejected_calls);
    let on_rejected = move |call| lock(&rejected_calls).push(call);
    let mut new_sandbox = Sandbox::start(&inner.settings, &inner.output, on_rejected)
        .await
        .map_err(|error| (None, Outcome::Crash(format!("{}: {error}", inner.settings.binary.display()))))?;
    lock(&inner.handles).push(Arc::clone(&new_sandbox.handle));
    match new_sandbox.wait_until_ready(limit).await {
        Ok(()) => Ok(new_sandbox),
        Err(outcome) => Err((Some(new_sandbox.handle.info().pid), outcome)),
    }
}
