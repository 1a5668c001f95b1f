//! One budget of attempts and time for an operation and for every request below it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use tokio::time::Instant;

use super::retry::{is_transient, rate_limit_end, retry_after};
use super::{Backoff, Error, ErrorKind, PendingRequests};

/// Attempts, time and deadline of one operation, such as reading a blob from one registry. Clones share
/// them, so that retries within retries do not multiply.
#[derive(Debug, Clone)]
pub(crate) struct RetryBudget {
    backoff: Backoff,
    deadline: Option<Instant>,
    started: Instant,
    usage: Arc<Mutex<BudgetUsage>>,
    pub(super) pending: PendingRequests,
}

#[derive(Debug, Default)]
struct BudgetUsage {
    /// Pauses so far. Bounds of later pauses grow with it.
    pauses: u32,
    /// Attempts that ended in a fault.
    faults: u32,
    /// Time lost to hosts that were silent or too slow.
    silence: Duration,
    /// Time of all pauses.
    paused: Duration,
}

impl RetryBudget {
    /// `waits` lists the requests that are waiting for a response.
    pub(crate) fn new(backoff: Backoff, deadline: Option<Instant>, pending: PendingRequests) -> Self {
        Self { backoff, deadline, started: Instant::now(), usage: Arc::default(), pending }
    }

    /// Forgets earlier faults, after an attempt that gained something.
    pub(crate) fn reset(&self) {
        *self.usage() = BudgetUsage::default();
    }

    /// Returns the number of attempts that ended in a fault, at least one.
    pub(crate) fn attempts(&self) -> u32 {
        self.usage().faults.max(1)
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Waits before the next attempt after a response. Returns false if there is none.
    pub(crate) async fn wait_after_response(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        let retry_after_header = if status == 429 { rate_limit_end(headers) } else { retry_after(headers) };
        is_transient(status) && self.wait_after_status(status, retry_after_header).await
    }

    /// Waits before the next attempt after a request without a complete response. Returns false if there
    /// is none: a host that was silent for long enough is given up before its attempts are used up.
    pub(crate) async fn wait_after_error(&self, error: &Error) -> bool {
        let silence = match &error.kind {
            ErrorKind::Silent { time, .. } | ErrorKind::Slow { time, .. } => *time,
            _ => Duration::ZERO,
        };
        let has_patience = {
            let mut usage = self.usage();
            usage.silence = usage.silence.saturating_add(silence);
            usage.silence < self.backoff.max_silence
        };
        error.is_transient() && self.has_attempts() && has_patience && self.pause(None).await
    }

    /// Waits before the next attempt after a transient status. `asked` is the time the registry asks for.
    pub(crate) async fn wait_after_status(
        &self,
        status: StatusCode,
        retry_after_header: Option<Duration>,
    ) -> bool {
        let throttled =
            matches!(status.as_u16(), 429 | 503) && (retry_after_header.is_some() || status == 429);
        if throttled {
            self.pause(retry_after_header).await
        } else {
            self.wait_after_fault(retry_after_header).await
        }
    }

    /// Waits before the next attempt after a fault.
    pub(crate) async fn wait_after_fault(&self, retry_after_header: Option<Duration>) -> bool {
        self.has_attempts() && self.pause(retry_after_header).await
    }

    /// Counts a fault. Returns true if attempts are left.
    fn has_attempts(&self) -> bool {
        let mut usage = self.usage();
        usage.faults = usage.faults.saturating_add(1);
        usage.faults < self.backoff.max_attempts
    }

    async fn pause(&self, retry_after_header: Option<Duration>) -> bool {
        let pause = {
            let mut usage = self.usage();
            usage.pauses = usage.pauses.saturating_add(1);
            // A registry asks for a least time. Jitter on top spreads the clients that it asked.
            let pause =
                retry_after_header.unwrap_or_default().saturating_add(self.backoff.pause(usage.pauses));
            usage.paused = usage.paused.saturating_add(pause);
            let fits = match self.deadline {
                // A registry can ask for more time than an Instant can express.
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
    async fn a_wait_without_end_is_not_begun() {
        for retry_after_header in [Some(Duration::from_secs(u64::MAX)), Some(Duration::MAX)] {
            for budget in [
                budget(Backoff::default(), 100),
                RetryBudget::new(Backoff::default(), None, PendingRequests::default()),
            ] {
                assert!(!budget.wait_after_status(StatusCode::TOO_MANY_REQUESTS, retry_after_header).await);
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn waits_as_asked_when_that_ends_before_the_deadline() {
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
    async fn gives_up_on_faults_but_bears_throttling() {
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
    async fn gives_up_a_silent_host_early_unless_there_was_progress() {
        let budget = budget(Backoff::default(), 3600);
        assert!(budget.wait_after_error(&silent(30)).await);
        budget.reset();
        assert!(budget.wait_after_error(&silent(30)).await);
        assert!(!budget.wait_after_error(&silent(30)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn patience_without_a_deadline_counts_pauses_and_not_the_transfer() {
        let budget = RetryBudget::new(Backoff::default(), None, PendingRequests::default());
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert!(budget.wait_after_fault(None).await);
        assert!(
            !budget.wait_after_status(StatusCode::TOO_MANY_REQUESTS, Some(Duration::from_secs(300))).await
        );
    }
}
