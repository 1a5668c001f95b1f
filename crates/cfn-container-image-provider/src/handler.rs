//! From an event to its one answer.
//!
//! The job may fail, panic or not come to an end: the answer is given in each case, and only when
//! that could not be delivered does Lambda hear of an error (and tries the whole event again).

use std::panic::AssertUnwindSafe;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt as _;
use serde_json::Value;
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::continuation::{self, Halt, Round};
use crate::copying::{self, Claimed};
use crate::courier::Undelivered;
use crate::deadline::Deadline;
use crate::event::{Envelope, Event, Input};
use crate::job::{Done, Trail, identity, job, unfinished};
use crate::reason::{Failure, reason};
use crate::report;
use crate::response::Answer;
use crate::services::Services;
use crate::watchdog::FailedInvocation;

/// One call of the function.
pub(crate) struct Invocation {
    /// Lambda's request id.
    pub(crate) request_id: String,
    /// The function as it was called, which is how it calls itself.
    pub(crate) function_arn: String,
    /// Time until Lambda stops the function.
    pub(crate) left: Duration,
}

/// Handles one call.
///
/// # Errors
/// When the call is none of CloudFormation's, or the answer could not be delivered.
pub(crate) async fn handle(
    payload: Value,
    invocation: &Invocation,
    services: &Services,
) -> Result<(), String> {
    let now = Instant::now();
    match Input::read(payload).map_err(|error| error.to_string())? {
        Input::CloudFormation(event) | Input::Continuation(event) => {
            let span = span(&event.envelope, invocation);
            let left = event.round.left(&event.envelope, SystemTime::now());
            let deadline = Deadline::new(now, invocation.left, Some(left));
            let answered = answer(event, invocation, services, deadline).instrument(span).await;
            answered.map_err(|error| error.to_string())
        }
        Input::FailedInvocation(failed) => {
            let deadline = Deadline::new(now, invocation.left, None);
            answer_for(failed, invocation, services, deadline).await.map_err(|error| error.to_string())
        }
    }
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

async fn answer(
    event: Event,
    invocation: &Invocation,
    services: &Services,
    deadline: Deadline,
) -> Result<(), Undelivered> {
    let Event { envelope, change, round } = event;
    let trail = Trail::default();
    let result = match change {
        Err(error) => Err(Failure::Event(error)),
        Ok(change) => guarded(job(change, &envelope, services, &deadline, &round, &trail), &deadline).await,
    };
    let ending = report::Ending { envelope: &envelope, trail: &trail, round: round.number, deadline };
    let result = match result {
        Ok(done) => Ok(done),
        Err(failure) => match unfinished(&failure, &trail.tally) {
            None => Err(failure),
            Some((failure, progress)) => {
                let handed_over = hand_over(&round, &envelope, invocation, services, &deadline, &trail);
                match handed_over.await {
                    // The next round answers.
                    Ok(()) => {
                        ending.continued(progress);
                        return Ok(());
                    }
                    Err(halt) => Err(Failure::Halted { failure, halt }),
                }
            }
        },
    };
    let text = match &result {
        Ok(done) => format!("{} ({})", report::sentence(done), invocation.request_id),
        Err(failure) => reason(failure, &invocation.request_id),
    };
    let answer = match &result {
        Ok(done) => {
            let (id, attributes) = identity(done, &envelope);
            Answer::success(&envelope, id, text.clone(), attributes)
        }
        Err(_) => Answer::failure(&envelope, text.clone()),
    };
    let delivered = deliver(answer, &envelope, services, &deadline).await;
    ending.answered(&result, &text);
    delivered
}

/// Has another invocation go on with the event, or says why none does.
async fn hand_over(
    round: &Round,
    envelope: &Envelope,
    invocation: &Invocation,
    services: &Services,
    deadline: &Deadline,
    trail: &Trail,
) -> Result<(), Halt> {
    let claimed = trail.claimed.get();
    let handed_over = async {
        let place = claimed.map(|Claimed(_, place)| place);
        let payload = continuation::next(round, envelope, &trail.tally, place, deadline.reserve)?;
        let invoked = services.functions.invoke(&invocation.function_arn, payload, deadline.job);
        invoked.await.map_err(Halt::NotInvoked)
    };
    let handed_over = handed_over.await;
    if let (Err(_), Some(claimed)) = (&handed_over, claimed) {
        copying::give_up(claimed).await;
    }
    handed_over
}

/// Gives the answer that invocations which failed did not give.
async fn answer_for(
    failed: FailedInvocation,
    invocation: &Invocation,
    services: &Services,
    deadline: Deadline,
) -> Result<(), Undelivered> {
    let FailedInvocation { waiting, request_id, lost } = failed;
    let envelope = match waiting {
        Ok(envelope) => envelope,
        // Not an error: Lambda would try it again, and perhaps hand us the record of that.
        Err(error) => {
            tracing::warn!(%error, failed_request_id = request_id, "a failed call that nobody waits for");
            return Ok(());
        }
    };
    let span = span(&envelope, invocation);
    let work = async {
        let text = reason(&Failure::Lost(lost), &request_id);
        let answer = Answer::failure(&envelope, text.clone());
        let delivered = deliver(answer, &envelope, services, &deadline).await;
        report::lost(&text, &request_id, deadline.started.elapsed());
        delivered
    };
    work.instrument(span).await
}

async fn deliver(
    answer: Answer<'_>,
    envelope: &Envelope,
    services: &Services,
    deadline: &Deadline,
) -> Result<(), Undelivered> {
    let delivered = services.courier.deliver(&envelope.response_url, answer.body(), deadline.answer).await;
    if let Err(error) = &delivered {
        tracing::error!(%error, "CloudFormation does not know how it went");
    }
    delivered
}

/// Sees to it that a job ends: with a result of its own, by a panic, or because time is up.
async fn guarded(
    job: impl Future<Output = Result<Done, Failure>>,
    deadline: &Deadline,
) -> Result<Done, Failure> {
    // Nothing of a job that panicked is used again but the clients, which hold no half-made state.
    let caught = AssertUnwindSafe(job).catch_unwind();
    match tokio::time::timeout_at(deadline.job, caught).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(Failure::Panic),
        Err(_) => Err(Failure::TimeRanOut { seconds: deadline.started.elapsed().as_secs() }),
    }
}

#[cfg(test)]
mod tests;
