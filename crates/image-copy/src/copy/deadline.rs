//! The time limit of a step.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::reporting::{Error, Failure, Progress};
use super::request::Request;

/// Ends `work` at the deadline with [`Failure::Deadline`], which states what `reached` returns then.
pub(super) async fn in_time<T>(
    deadline: Option<Instant>,
    request: &Request,
    work: impl Future<Output = Result<T, Error>>,
    reached: impl FnOnce() -> (Progress, Duration),
) -> Result<T, Error> {
    let Some(deadline) = deadline else { return work.await };
    timeout_at(deadline, work).await.unwrap_or_else(|_| {
        let (subject, (progress, elapsed)) = (request.source.to_string(), reached());
        Err(Box::new(Failure::Deadline { subject, progress, elapsed }))
    })
}
