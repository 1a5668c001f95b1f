//! Create and Update: a copy with its registration in the state table.
//!
//! | step | module |
//! |---|---|
//! | event → request | [`request`] |
//! | minimum age of the source's digest, for direct events | [`age`] |
//! | source, destination and the item → plan | [`planning`] |
//! | plan → content, registration, tag | [`lifecycle`] |
//! | these steps with the engine | [`job`] |
//! | plan only | [`dry_run`] |
//! | progress of the transfer | [`progress`] |

pub(crate) mod age;
pub(crate) mod dry_run;
mod job;
pub(crate) mod lifecycle;
mod planning;
mod progress;
pub(crate) mod request;

use std::sync::OnceLock;
use std::time::Duration;

use image_copy::copy::{self, Outcome, Problem, Progress, Request, Side};
use image_copy::registry::Usage;
use image_copy_aws::Properties;
use serde_json::Value;

use crate::catch::catch_panic_or_timeout;
use crate::clients::credentials::SourceCredentials;
use crate::context::EventContext;
use crate::event_state::{EventState, StateUse, Store};
use crate::failure::Failure;
use crate::input::continuation::TransferStats;
pub(crate) use job::WaitingImage;
use job::{CopyJob, JudgedImage};
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

/// Result of a copy with a minimum age.
pub(crate) enum AgedCopy {
    /// The digest was first seen too recently. Nothing is copied.
    Waiting(Box<WaitingReport>),
    /// The copy was attempted, or the age is unknown.
    Attempted(Box<CopyReport>),
}

/// An image that waits for its minimum age.
pub(crate) struct WaitingReport {
    pub(crate) image: Box<WaitingImage>,
    /// `<registry>/<repository>:<tag>`, or `@<digest>` without a tag. `None` if the digest is not known yet.
    pub(crate) image_reference: Option<String>,
    pub(crate) properties: Properties,
    pub(crate) request: Request,
    pub(crate) traffic: Traffic,
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
    let state = context.state(context.deadlines.work);
    match CopyJob::new(properties, previous, context) {
        Ok(job) => run(job, &state, context).await,
        Err(failure) => CopyReport::not_started(failure, context, &state),
    }
}

/// Copies an image, if the digest that its source reference names has been known for at least `min_age`.
/// Otherwise, the source receives only the request that resolves the reference.
pub(crate) async fn copy_with_min_age(
    properties: &Value,
    min_age: Duration,
    context: &EventContext<'_>,
) -> AgedCopy {
    let state = context.state(context.deadlines.work);
    let report = match CopyJob::new(properties, None, context) {
        Err(failure) => CopyReport::not_started(failure, context, &state),
        Ok(job) => {
            let judged = Box::pin(job.judge_age(min_age, &state));
            match catch_panic_or_timeout(judged, &context.deadlines).await {
                Ok(JudgedImage::Waiting(image)) => {
                    return AgedCopy::Waiting(Box::new(WaitingReport {
                        image,
                        traffic: job.traffic(),
                        image_reference: job.copy_request.item_key(),
                        properties: job.copy_request.properties,
                        request: job.request,
                        state: state.table_use(),
                    }));
                }
                // The tag can move meanwhile, so the copy is that of the judged digest.
                Ok(JudgedImage::OldEnough { source_digest }) => {
                    run(job.with_source_digest(source_digest), &state, context).await
                }
                Err(failure) => CopyReport::new(job, Err(failure), None, &state),
            }
        }
    };
    AgedCopy::Attempted(Box::new(report))
}

/// Runs a copy.
async fn run<S: Store>(job: CopyJob, state: &EventState<S>, context: &EventContext<'_>) -> CopyReport {
    let registered = OnceLock::new();
    if let Some(image) = &context.continuation.registered {
        let _ = registered.set(image.clone());
    }
    let result = catch_panic_or_timeout(Box::pin(job.run(state, &registered)), &context.deadlines).await;
    CopyReport::new(job, result, registered.into_inner(), state)
}

impl CopyReport {
    fn new<S: Store>(
        job: CopyJob,
        result: Result<Outcome, Failure>,
        registered: Option<String>,
        state: &EventState<S>,
    ) -> Self {
        let result = result.map_err(|failure| with_secret_problem(failure, &job.credentials));
        let traffic = job.traffic();
        let properties = job.copy_request.properties;
        Self {
            result: result.map(|outcome| FinishedCopy { properties, outcome }),
            request: Some(job.request),
            traffic,
            progress: job.progress.progress(),
            transferred: job.progress.transferred(),
            registered,
            state: state.table_use(),
        }
    }

    /// Creates the report of a copy whose event or settings are invalid.
    fn not_started<S: Store>(failure: Failure, context: &EventContext<'_>, state: &EventState<S>) -> Self {
        Self {
            result: Err(failure),
            request: None,
            traffic: Traffic::default(),
            progress: None,
            transferred: TransferProgress::default().transferred(),
            registered: context.continuation.registered.clone(),
            state: state.table_use(),
        }
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
