//! What is worth trying again, and when.

use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use tokio::time::Instant;

use super::Error;

/// How tries follow each other.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// Bound of the first pause.
    pub first: Duration,
    /// Bound of every later pause; the bounds double in between.
    pub longest: Duration,
    /// Tries in all for what may be a fault; being told to slow down does not count.
    pub attempts: u32,
    /// How long being told to slow down is borne when there is no deadline.
    pub patience: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        // Half a second to thirty with full jitter is what spreads many functions over ECR's ten
        // PutImage a second (https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html).
        Self {
            first: Duration::from_millis(500),
            longest: Duration::from_secs(30),
            attempts: 5,
            patience: Duration::from_secs(300),
        }
    }
}

impl Backoff {
    /// A pause before try number `attempt + 1`, drawn from zero to the bound.
    pub(crate) fn pause(&self, attempt: u32) -> Duration {
        let bound = self.first.saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(self.longest);
        bound.mul_f64(fastrand::f64())
    }
}

/// Whether an answer with this status may be another one next time
/// (<https://github.com/google/go-containerregistry/blob/main/pkg/v1/remote/options.go>).
#[must_use]
pub(crate) fn is_transient(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 499 | 500 | 502 | 503 | 504 | 522)
}

/// Bookkeeping of the tries of one request, or of the connections of one blob.
#[derive(Debug)]
pub(crate) struct Tries {
    backoff: Backoff,
    deadline: Instant,
    started: Instant,
    /// Tries so far.
    pub(crate) count: u32,
    /// Those that were answered as wanted, whatever became of the body.
    pub(crate) granted: u32,
    faults: u32,
}

impl Tries {
    pub(crate) fn new(backoff: Backoff, deadline: Option<Instant>) -> Self {
        let started = Instant::now();
        let deadline = deadline.unwrap_or(started + backoff.patience);
        Self { backoff, deadline, started, count: 0, granted: 0, faults: 0 }
    }

    /// Something was gained: faults before do not count any more.
    pub(crate) fn progressed(&mut self) {
        (self.count, self.faults) = (0, 0);
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Waits before the next try after an answer, or says that there is none.
    pub(crate) async fn after_answer(&mut self, status: StatusCode, headers: &HeaderMap) -> bool {
        is_transient(status) && self.after_status(status, retry_after(headers)).await
    }

    /// Waits before the next try after no answer, or says that there is none.
    pub(crate) async fn after_error(&mut self, error: &Error) -> bool {
        error.is_transient() && self.after_fault(None).await
    }

    /// Waits before the next try of what ended with a status that may be another one next time.
    pub(crate) async fn after_status(&mut self, status: StatusCode, asked: Option<Duration>) -> bool {
        let told_to_slow_down = matches!(status.as_u16(), 429 | 503) && (asked.is_some() || status == 429);
        if told_to_slow_down { self.wait(asked).await } else { self.after_fault(asked).await }
    }

    /// Waits before the next try of what ended in a fault.
    pub(crate) async fn after_fault(&mut self, asked: Option<Duration>) -> bool {
        self.faults += 1;
        self.faults < self.backoff.attempts && self.wait(asked).await
    }

    async fn wait(&mut self, asked: Option<Duration>) -> bool {
        // The hint is a least time: jitter goes on top, so that not everybody returns at once.
        let pause = asked.unwrap_or_default().saturating_add(self.backoff.pause(self.count));
        // A registry may ask for more time than can be counted.
        if Instant::now().checked_add(pause).is_none_or(|end| end >= self.deadline) {
            return false;
        }
        tokio::time::sleep(pause).await;
        true
    }
}

/// `Retry-After`, in seconds or as a date. Less than 100 ms is no hint: a registry has been seen to
/// ask for a fraction of a millisecond (<https://github.com/nicholas-fedor/watchtower/pull/2366>).
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let pause = match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok()?,
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::now()).ok()?,
    };
    (pause >= Duration::from_millis(100)).then_some(pause)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())])
    }

    #[test]
    fn reads_retry_after_as_seconds_or_date() {
        assert_eq!(retry_after(&headers("60")), Some(Duration::from_secs(60)));
        assert_eq!(retry_after(&headers("0.0004")), None);
        assert_eq!(retry_after(&headers("-5")), None);
        assert_eq!(retry_after(&headers("soon")), None);
        let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(90));
        let seconds = retry_after(&headers(&date)).unwrap().as_secs();
        assert!((88..=90).contains(&seconds), "{seconds}");
    }

    #[tokio::test]
    async fn a_wait_without_end_is_not_begun() {
        let asked = retry_after(&headers("18446744073709549568"));
        assert!(asked.is_some_and(|pause| pause > Duration::from_secs(1 << 60)));
        for asked in [asked, Some(Duration::MAX)] {
            let mut tries = Tries::new(Backoff::default(), Some(Instant::now() + Duration::from_secs(100)));
            assert!(!tries.after_status(StatusCode::TOO_MANY_REQUESTS, asked).await);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn waits_as_asked_when_that_ends_before_the_deadline() {
        let backoff = Backoff::default();
        let mut tries = Tries::new(backoff, Some(Instant::now() + Duration::from_secs(100)));
        tries.count = 1;
        let started = Instant::now();
        assert!(tries.after_answer(StatusCode::TOO_MANY_REQUESTS, &headers("60")).await);
        assert!(started.elapsed() >= Duration::from_secs(60));
        assert!(
            !tries.after_answer(StatusCode::TOO_MANY_REQUESTS, &headers("60")).await,
            "beyond the deadline"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn gives_up_on_faults_but_bears_throttling() {
        let backoff = Backoff { attempts: 3, ..Backoff::default() };
        let mut tries = Tries::new(backoff, Some(Instant::now() + Duration::from_secs(3600)));
        let none = HeaderMap::new();
        for _ in 0..10 {
            tries.count += 1;
            assert!(tries.after_answer(StatusCode::TOO_MANY_REQUESTS, &none).await);
        }
        assert!(tries.after_answer(StatusCode::BAD_GATEWAY, &none).await);
        assert!(tries.after_answer(StatusCode::BAD_GATEWAY, &none).await);
        assert!(!tries.after_answer(StatusCode::BAD_GATEWAY, &none).await);
        assert!(!tries.after_answer(StatusCode::NOT_FOUND, &none).await);
    }
}
