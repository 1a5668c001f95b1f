//! Create and Update: a copy with its registration in the state table.
//!
//! | step | module |
//! |---|---|
//! | event → request | [`request`] |
//! | source, destination and the item → plan | [`planning`] |
//! | plan → content, registration, tag | [`lifecycle`] |
//! | these steps with the engine | [`job`] |
//! | plan only | [`dry_run`] |
//! | progress of the transfer | [`progress`] |

pub(crate) mod dry_run;
mod job;
pub(crate) mod lifecycle;
mod planning;
mod progress;
pub(crate) mod request;

use std::sync::{Arc, OnceLock};

use image_copy::copy::{self, Outcome, Problem, Progress, Request, Side};
use image_copy::registry::Usage;
use image_copy_aws::Properties;
use serde_json::Value;

use crate::catch::catch_panic_or_timeout;
use crate::clients::credentials::SourceCredentials;
use crate::context::EventContext;
use crate::event_state::StateUse;
use crate::failure::Failure;
use crate::input::continuation::TransferStats;
use job::CopyJob;
use progress::TransferProgress;

/// A finished copy.
pub(crate) struct FinishedCopy {
    pub(crate) properties: Properties,
    pub(crate) outcome: Outcome,
}

/// Result of a copy, successful or not.
pub(crate) struct CopyReport {
    pub(crate) result: Result<FinishedCopy, Failure>,
    /// The request of the copy. `None` if the properties are invalid.
    pub(crate) request: Option<Request>,
    pub(crate) traffic: Traffic,
    /// Progress of the blobs. `None` before the first plan.
    pub(crate) progress: Option<Progress>,
    pub(crate) transferred: TransferStats,
    /// Key of the item in which this event may have added the resource as an owner.
    pub(crate) registered: Option<String>,
    pub(crate) state: StateUse,
}

/// Requests to the registries.
#[derive(Default)]
pub(crate) struct Traffic {
    pub(crate) source: Usage,
    pub(crate) destination: Usage,
    pub(crate) served: Vec<copy::ReadCounts>,
}

/// Runs a Create, or an Update with its `previous` properties.
pub(crate) async fn copy(
    properties: &Value,
    previous: Option<&Value>,
    context: &EventContext<'_>,
) -> CopyReport {
    let progress = Arc::new(TransferProgress::default());
    let registered = OnceLock::new();
    if let Some(image) = &context.continuation.registered {
        let _ = registered.set(image.clone());
    }
    let state = context.state(context.deadlines.work);
    let (result, request, traffic) = match CopyJob::new(properties, previous, context, &progress) {
        Err(failure) => (Err(failure), None, Traffic::default()),
        Ok(job) => {
            let result =
                catch_panic_or_timeout(Box::pin(job.run(&state, &registered)), &context.deadlines).await;
            let result = result.map_err(|failure| with_secret_problem(failure, &job.credentials));
            let traffic = job.traffic();
            let properties = job.copy_request.properties;
            (result.map(|outcome| FinishedCopy { properties, outcome }), Some(job.request), traffic)
        }
    };
    CopyReport {
        result,
        request,
        traffic,
        progress: progress.progress(),
        transferred: progress.transferred(),
        registered: registered.into_inner(),
        state: state.table_use(),
    }
}

/// Adds the problem with a secret, if that is the cause.
fn with_secret_problem(failure: Failure, credentials: &SourceCredentials) -> Failure {
    match (failure, credentials.problem()) {
        (Failure::Copy(failure), Some(problem))
            if failure.side() == Side::Source && failure.problem() == Problem::CredentialsUnavailable =>
        {
            Failure::Secret { failure, problem: Box::new(problem) }
        }
        (failure, _) => failure,
    }
}

/// Returns the progress of a copy that another invocation can continue: it reached the deadline, or ECR
/// throttled it until then. `None` if another invocation would not help.
pub(crate) fn resumable_progress(
    failure: &Failure,
    progress: Option<Progress>,
    transferred: &TransferStats,
) -> Option<(copy::Error, Progress)> {
    let Failure::Copy(failure) = failure else { return None };
    let progress = match failure.as_ref() {
        // The next invocation would wait for the same host.
        copy::Failure::Deadline { silent_host: Some(_), .. } if !transferred.makes_progress() => return None,
        copy::Failure::Deadline { progress, .. } => *progress,
        other if other.side() == Side::Destination && other.problem() == Problem::Throttled => {
            progress.filter(|_| transferred.makes_progress())?
        }
        _ => return None,
    };
    (progress.blobs > 0).then(|| (failure.clone(), progress))
}
