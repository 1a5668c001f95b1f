//! The deadline of a step.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::destination::Destination;
use super::reporting::{Error, Failure, Progress, Side};
use super::request::Request;
use super::source::Source;
use crate::http::SilentHost;

/// Runs `work` until the deadline.
///
/// # Errors
/// The error of `work`. At the deadline, [`Failure::Deadline`] with the result of `reached` and with the
/// silent host that `work` was waiting for.
pub async fn with_deadline<T>(
    deadline: Option<Instant>,
    request: &Request,
    (source, destination): (&Source, &Destination),
    work: impl Future<Output = Result<T, Error>>,
    reached: impl FnOnce() -> (Progress, Duration),
) -> Result<T, Error> {
    let Some(deadline) = deadline else { return work.await };
    // Pinned, so that `work` still exists when the silent host is read.
    let mut work = std::pin::pin!(work);
    let failure = match timeout_at(deadline, &mut work).await {
        Ok(Err(failure)) if Instant::now() >= deadline => Some(failure),
        Ok(result) => return result,
        Err(_) => None,
    };
    let (subject, (progress, elapsed)) = (request.source.to_string(), reached());
    let shortest = shortest_silence(source, elapsed);
    // The last call has the same deadline, so it can fail before this function does.
    if let Some(failure) = failure.filter(|failure| failure.silence().is_none_or(|time| time >= shortest)) {
        return Err(failure);
    }
    let silent_host = silent_host(source, destination, shortest);
    Err(Box::new(Failure::Deadline { subject, progress, elapsed, silent_host }))
}

/// Returns the shortest silence of a host that explains a missed deadline: the connection timeout, or half of the
/// copy if that is less.
fn shortest_silence(source: &Source, elapsed: Duration) -> Duration {
    source.upstream().http_options().connect_timeout.min(elapsed / 2)
}

/// Returns the host that has been silent for the longest time, if that is not less than `shortest`.
fn silent_host(source: &Source, destination: &Destination, shortest: Duration) -> Option<(Side, SilentHost)> {
    let of_source = source.silent_host().map(|silent_host| (Side::Source, silent_host));
    let of_destination =
        destination.repository.silent_host().map(|silent_host| (Side::Destination, silent_host));
    let longest = of_source.into_iter().chain(of_destination).max_by_key(|(_, silent_host)| silent_host.time);
    longest.filter(|(_, silent_host)| silent_host.time >= shortest)
}
