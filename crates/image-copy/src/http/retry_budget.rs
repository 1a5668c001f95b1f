//! Budget of attempts and time, shared by all requests of an operation.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use tokio::time::Instant;

use super::retry::{is_transient, rate_limit_end, retry_after};
use super::{Backoff, Error, ErrorKind, PendingRequests};

/// Attempts, time and deadline of one operation, such as reading a blob from one registry. Clones share the
/// budget, so that nested retries do not multiply.
#[derive(Debug, Clone)]
pub(crate) struct RetryBudget {
    backoff: Backoff,
    deadline: Option<Instant>,
    started: Instant,
    usage: Arc<Mutex<BudgetUsage>>,
    pub(super) pending: PendingRequests,
}

/// The used part of a budget.
#[derive(Debug, Default)]
struct BudgetUsage {
    /// Number of pauses. The bound of the next pause depends on it.
    pauses: u32,
    /// Number of failed attempts.
    faults: u32,
    /// Time spent waiting for hosts that were silent or too slow.
    silence: Duration,
    /// Time of all pauses.
    paused: Duration,
}

impl RetryBudget {
    /// Creates a budget. `pending` contains the requests in flight.
    pub(crate) fn new(backoff: Backoff, deadline: Option<Instant>, pending: PendingRequests) -> Self {
        Self { backoff, deadline, started: Instant::now(), usage: Arc::default(), pending }
    }

    /// Resets the budget after progress.
    pub(crate) fn reset(&self) {
        *self.usage() = BudgetUsage::default();
    }

    /// Returns the number of failed attempts, at least one.
    pub(crate) fn attempts(&self) -> u32 {
        self.usage().faults.max(1)
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Waits before the next attempt after a response. Returns false if no attempt is left.
    pub(crate) async fn wait_after_response(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        let min_pause = if status == 429 { rate_limit_end(headers) } else { retry_after(headers) };
        is_transient(status) && self.wait_after_status(status, min_pause).await
    }

    /// Waits before the next attempt after a request without a complete response. Returns false if no attempt
    /// is left, or if the host was silent for too long.
    pub(crate) async fn wait_after_error(&self, error: &Error) -> bool {
        let silence = match &error.kind {
            ErrorKind::Silent { time, .. } | ErrorKind::Slow { time, .. } => *time,
            _ => Duration::ZERO,
        };
        let is_within_limit = {
            let mut usage = self.usage();
            usage.silence = usage.silence.saturating_add(silence);
            usage.silence < self.backoff.max_silence
        };
        error.is_transient() && self.count_fault() && is_within_limit && self.pause(None).await
    }

    /// Waits before the next attempt after a transient status. The registry requested `min_pause`.
    pub(crate) async fn wait_after_status(&self, status: StatusCode, min_pause: Option<Duration>) -> bool {
        let throttled = matches!(status.as_u16(), 429 | 503) && (min_pause.is_some() || status == 429);
        if throttled { self.pause(min_pause).await } else { self.wait_after_fault(min_pause).await }
    }

    /// Waits before the next attempt after a failed one.
    pub(crate) async fn wait_after_fault(&self, min_pause: Option<Duration>) -> bool {
        self.count_fault() && self.pause(min_pause).await
    }

    /// Counts a failed attempt. Returns true if attempts are left.
    fn count_fault(&self) -> bool {
        let mut usage = self.usage();
        usage.faults = usage.faults.saturating_add(1);
        usage.faults < self.backoff.max_attempts
    }

    async fn pause(&self, min_pause: Option<Duration>) -> bool {
        let pause = {
            let mut usage = self.usage();
            usage.pauses = usage.pauses.saturating_add(1);
            // The jitter is added to the requested time, because many clients get the same time.
            let pause = min_pause.unwrap_or_default().saturating_add(self.backoff.pause(usage.pauses));
            usage.paused = usage.paused.saturating_add(pause);
            let fits = match self.deadline {
                // The requested time can exceed the range of an Instant.
                Some(deadline) => Instant::now().checked_add(pause).is_some_and(|end| end < deadline),
                None => usage.paused < self.backoff.max_total_pause,
            };
            if !fits {
                return false;
            }
            pause
        };
        tokio::time::sleep(pause).await;
        true
    }

    fn usage(&self) -> MutexGuard<'_, BudgetUsage> {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::RETRY_AFTER;

    use super::*;

    fn headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())])
    }

    fn budget(backoff: Backoff, seconds: u64) -> RetryBudget {
        RetryBudget::new(
            backoff,
            Some(Instant::now() + Duration::from_secs(seconds)),
            PendingRequests::default(),
        )
    }

    fn silent(seconds: u64) -> Error {
        let kind = ErrorKind::Silent { time: Duration::from_secs(seconds), proxy: None };
        Error { kind, host: "registry.example".into(), attempts: 1, elapsed: Duration::ZERO }
    }

    #[tokio::test]
    async fn does_not_start_an_endless_pause() {
        for min_pause in [Some(Duration::from_secs(u64::MAX)), Some(Duration::MAX)] {
            for budget in [
                budget(Backoff::default(), 100),
                RetryBudget::new(Backoff::default(), None, PendingRequests::default()),
            ] {
                assert!(!budget.wait_after_status(StatusCode::TOO_MANY_REQUESTS, min_pause).await);
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn waits_for_the_requested_time_if_it_ends_before_the_deadline() {
        let budget = budget(Backoff::default(), 100);
        let started = Instant::now();
        assert!(budget.wait_after_response(StatusCode::TOO_MANY_REQUESTS, &headers("60")).await);
        assert!(started.elapsed() >= Duration::from_secs(60));
        assert!(
            !budget.wait_after_response(StatusCode::TOO_MANY_REQUESTS, &headers("60")).await,
            "beyond the deadline"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn limits_failed_attempts_but_not_throttled_ones() {
        let budget = budget(Backoff { max_attempts: 3, ..Backoff::default() }, 3600);
        let none = HeaderMap::new();
        for _ in 0..10 {
            assert!(budget.wait_after_response(StatusCode::TOO_MANY_REQUESTS, &none).await);
        }
        assert!(budget.wait_after_response(StatusCode::BAD_GATEWAY, &none).await);
        assert!(budget.clone().wait_after_response(StatusCode::BAD_GATEWAY, &none).await);
        assert!(
            !budget.wait_after_response(StatusCode::BAD_GATEWAY, &none).await,
            "clones share the attempts"
        );
        assert!(!budget.wait_after_response(StatusCode::NOT_FOUND, &none).await);
    }

    #[tokio::test(start_paused = true)]
    async fn stops_early_if_a_host_is_silent_without_progress() {
        let budget = budget(Backoff::default(), 3600);
        assert!(budget.wait_after_error(&silent(30)).await);
        budget.reset();
        assert!(budget.wait_after_error(&silent(30)).await);
        assert!(!budget.wait_after_error(&silent(30)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_deadline_limits_pauses_but_not_the_transfer() {
        let budget = RetryBudget::new(Backoff::default(), None, PendingRequests::default());
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert!(budget.wait_after_fault(None).await);
        assert!(
            !budget.wait_after_status(StatusCode::TOO_MANY_REQUESTS, Some(Duration::from_secs(300))).await
        );
    }
}
