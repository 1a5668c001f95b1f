//! Division of an invocation's time into work, cleanup and response.

use std::time::{Duration, Instant as StdInstant};

use tokio::time::Instant;

/// Maximum time reserved for cleanup and response. The first attempts of a response take much less than a
/// second, and the rest allows retries if S3 is temporarily unavailable.
const MAX_RESERVE: Duration = Duration::from_secs(15);

/// Deadlines of one invocation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadlines {
    /// Start of the invocation.
    pub(crate) started: StdInstant,
    /// The engine stops and reports its progress.
    pub(crate) work: Instant,
    /// Work that has not stopped is aborted.
    pub(crate) abort: Instant,
    /// The cleanup after a failed copy ends.
    pub(crate) clean_up: Instant,
    /// The last attempt to send the response ends.
    pub(crate) response: Instant,
    /// Time between the end of the work and the end of the invocation.
    pub(crate) reserve: Duration,
}

impl Deadlines {
    /// Divides the remaining time of the invocation or, if that is less, of `ServiceTimeout`.
    pub(crate) fn new(now: Instant, left: Duration, service_timeout: Option<Duration>) -> Self {
        let left = service_timeout.map_or(left, |allowed| left.min(allowed));
        // The reserve of a short invocation is a fraction of its time.
        let reserve = (left / 5).min(MAX_RESERVE);
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

/// Maximum timeout of a Lambda function, less the time that an event can spend before the measurement
/// (<https://docs.aws.amazon.com/lambda/latest/dg/configuration-timeout.html>).
const MAX_FUNCTION_TIMEOUT: Duration = Duration::from_secs(890);

/// Setting that gives an event more time, if its value is below the maximum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MoreTime {
    /// Timeout of the function.
    FunctionTimeout,
    /// `ServiceTimeout` of the resource.
    ServiceTimeout,
    /// A repeated direct event continues where this one stopped.
    RepeatedEvent,
    /// The setting that limits the event has its maximum.
    None,
}

impl MoreTime {
    /// Compares the rest of an invocation that just started with the rest of the event's `service_timeout`
    /// in seconds.
    pub(crate) fn new(invocation_left: Duration, event_left: Duration, service_timeout: Option<u64>) -> Self {
        let is_short = service_timeout.is_some_and(|seconds| seconds < 3600);
        match event_left <= invocation_left {
            true if is_short => Self::ServiceTimeout,
            false if invocation_left < MAX_FUNCTION_TIMEOUT => Self::FunctionTimeout,
            _ => Self::None,
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
        let actual = [seconds(deadlines.work), seconds(deadlines.abort), seconds(deadlines.response)];
        for (actual, expected) in actual.into_iter().zip([work, abort, response]) {
            assert!((actual - expected).abs() < 0.001, "{actual} {expected}");
        }
    }

    #[test]
    fn reserves_a_fraction_of_a_short_invocation_and_seconds_of_a_long_one() {
        check(900, None, 885.0, 891.0, 899.25);
        check(5, None, 4.0, 4.4, 4.95);
        check(900, Some(60), 48.0, 52.8, 59.4);
        check(60, Some(3600), 48.0, 52.8, 59.4);
    }

    #[test]
    fn names_no_setting_that_has_its_maximum() {
        let check = |invocation, event, service_timeout, expected| {
            let [invocation, event] = [invocation, event].map(Duration::from_secs);
            assert_eq!(MoreTime::new(invocation, event, service_timeout), expected);
        };
        check(899, 3500, None, MoreTime::None);
        check(899, 300, Some(600), MoreTime::ServiceTimeout);
        check(899, 300, Some(3600), MoreTime::None);
        check(899, 300, None, MoreTime::None);
        check(60, 3500, None, MoreTime::FunctionTimeout);
        check(60, 300, Some(600), MoreTime::FunctionTimeout);
    }
}
