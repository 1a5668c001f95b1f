//! How the time of an invocation is divided: the work, the response, nothing left to chance.

use std::time::{Duration, Instant as StdInstant};

use tokio::time::Instant;

/// Time kept back for the response in a long invocation. The answer's first attempts take well below
/// a second; the rest is for an S3 that has a bad moment.
const LONGEST_RESERVE: Duration = Duration::from_secs(15);

/// When what has to be over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadlines {
    /// When the event came.
    pub(crate) started: StdInstant,
    /// The engine stops by itself, and says how far it came.
    pub(crate) work: Instant,
    /// What has not stopped by itself is stopped.
    pub(crate) abort: Instant,
    /// Cleaning up after a failed copy ends.
    pub(crate) clean_up: Instant,
    /// No attempt to send the response goes on beyond this.
    pub(crate) response: Instant,
    /// How long before the end the work has to be over.
    pub(crate) reserve: Duration,
}

impl Deadlines {
    /// Divides what is left of the invocation or, if that is less, what the template allows.
    pub(crate) fn new(now: Instant, left: Duration, service_timeout: Option<Duration>) -> Self {
        let left = service_timeout.map_or(left, |allowed| left.min(allowed));
        // A short invocation keeps back a part, a long one no more than it needs.
        let reserve = (left / 5).min(LONGEST_RESERVE);
        let end = now + left;
        Self {
            started: now.into_std(),
            work: end - reserve,
            abort: end - reserve * 3 / 5,
            clean_up: end - reserve * 3 / 10,
            response: end - reserve / 20,
            reserve,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(left: u64, allowed: Option<u64>, work: f64, abort: f64, response: f64) {
        let now = Instant::now();
        let deadlines = Deadlines::new(now, Duration::from_secs(left), allowed.map(Duration::from_secs));
        let seconds = |instant: Instant| instant.duration_since(now).as_secs_f64();
        let got = [seconds(deadlines.work), seconds(deadlines.abort), seconds(deadlines.response)];
        for (got, expected) in got.into_iter().zip([work, abort, response]) {
            assert!((got - expected).abs() < 0.001, "{got} {expected}");
        }
    }

    #[test]
    fn keeps_a_part_of_a_short_invocation_and_little_of_a_long_one() {
        check(900, None, 885.0, 891.0, 899.25);
        check(5, None, 4.0, 4.4, 4.95);
        check(900, Some(60), 48.0, 52.8, 59.4);
        check(60, Some(3600), 48.0, 52.8, 59.4);
    }
}
