//! Rules for retries: transient statuses, pauses, and rate limit headers.

use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// Limits on the attempts and pauses of one operation.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// Upper bound of the first pause. It doubles with each pause, up to `longest_pause`.
    pub first_pause: Duration,
    /// Upper bound of every pause.
    pub longest_pause: Duration,
    /// Maximum number of failed attempts. Throttled attempts do not count.
    pub max_attempts: u32,
    /// Maximum total time of the pauses of an operation without a deadline.
    pub max_total_pause: Duration,
    /// Maximum total time that an operation waits for hosts that are silent or too slow. Progress resets it.
    /// The attempt that exceeds it is the last one.
    pub max_silence: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        // These bounds spread the requests of many functions over ECR's limit of ten PutImage per second
        // (https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html).
        Self {
            first_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(30),
            max_attempts: 5,
            // The window of Docker Hub's limit on requests of any kind is one minute.
            max_total_pause: Duration::from_secs(75),
            // Two attempts of `Options::read_timeout`. A single lost packet needs one.
            max_silence: Duration::from_secs(60),
        }
    }
}

impl Backoff {
    /// Returns a random pause before attempt `attempt + 1`, between zero and its upper bound.
    pub(crate) fn pause(&self, attempt: u32) -> Duration {
        let bound =
            self.first_pause.saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(self.longest_pause);
        bound.mul_f64(fastrand::f64())
    }
}

/// Returns true if another attempt after this status can succeed
/// (<https://github.com/google/go-containerregistry/blob/main/pkg/v1/remote/options.go>).
#[must_use]
pub(crate) fn is_transient(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 499 | 500 | 502 | 503 | 504 | 522)
}

/// Reads `Retry-After`, in seconds or as a date. More than a `Duration` can express becomes its maximum.
/// Less than 100 ms is ignored, because a registry sent a fraction of a millisecond
/// (<https://github.com/nicholas-fedor/watchtower/pull/2366>).
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let is_number = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let pause = match text.parse::<f64>() {
        Ok(seconds) if is_number => Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX),
        Ok(_) => return None,
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::now()).ok()?,
    };
    (pause >= Duration::from_millis(100)).then_some(pause)
}

/// Returns the time after which a throttled request can succeed: `Retry-After`, the reset time, or the whole
/// window if no requests are left.
pub(crate) fn rate_limit_end(headers: &HeaderMap) -> Option<Duration> {
    let is_exceeded = || numeric_header(headers, "ratelimit-remaining") == Some(0);
    retry_after(headers)
        .or_else(|| rate_limit_reset(headers))
        .or_else(|| rate_limit_window(headers).filter(|_| is_exceeded()))
}

/// Reads `RateLimit-Reset` in seconds
/// (<https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-ratelimit-headers-06>), or
/// `X-RateLimit-Reset`, which many services state in seconds since 1970.
pub(crate) fn rate_limit_reset(headers: &HeaderMap) -> Option<Duration> {
    // No window is 30 years long.
    const EARLIEST_DATE: u64 = 1_000_000_000;
    let seconds =
        ["ratelimit-reset", "x-ratelimit-reset"].iter().find_map(|name| numeric_header(headers, name))?;
    if seconds < EARLIEST_DATE {
        return Some(Duration::from_secs(seconds));
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(Duration::from_secs(seconds).saturating_sub(now))
}

/// Reads the window of `ratelimit-limit: 100;w=21600`
/// (<https://docs.docker.com/docker-hub/usage/pulls/>).
pub(crate) fn rate_limit_window(headers: &HeaderMap) -> Option<Duration> {
    let names = ["ratelimit-limit", "ratelimit-remaining"];
    let text = names.iter().find_map(|name| headers.get(*name)?.to_str().ok()?.split(";w=").nth(1))?;
    Some(Duration::from_secs(text.trim().parse().ok()?))
}

/// Reads a header that contains a number, without its parameters.
pub(crate) fn numeric_header(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.split(';').next()?.trim().parse().ok()
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
        for invalid in ["-5", "1e400", "NaN", "inf", "+5", ""] {
            assert_eq!(retry_after(&headers(invalid)), None, "{invalid}");
        }
        assert_eq!(retry_after(&headers("soon")), None);
        for endless in ["18446744073709551616", &"9".repeat(400)] {
            assert_eq!(retry_after(&headers(endless)), Some(Duration::MAX), "{endless}");
        }
        let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(90));
        let seconds = retry_after(&headers(&date)).unwrap().as_secs();
        assert!((88..=90).contains(&seconds), "{seconds}");
    }

    #[test]
    fn a_rate_limit_ends_with_its_window_at_the_latest() {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let (later, longest) = ((now + 90).to_string(), format!("1;w={}", u64::MAX));
        let headers = |pairs: &[(&'static str, &str)]| {
            pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
        };
        for (pairs, expected) in [
            (vec![("ratelimit-limit", "100;w=20"), ("ratelimit-remaining", "0;w=20")], Some(20)),
            (vec![("ratelimit-limit", "100;w=20"), ("ratelimit-remaining", "1;w=20")], None),
            (vec![("ratelimit-remaining", "0"), ("ratelimit-limit", longest.as_str())], Some(u64::MAX)),
            (vec![("ratelimit-reset", "7"), ("ratelimit-remaining", "0;w=20")], Some(7)),
            (vec![("x-ratelimit-reset", "1000000000")], Some(0)),
            (vec![("retry-after", "5"), ("ratelimit-reset", "7")], Some(5)),
            (vec![("ratelimit-remaining", "0")], None),
        ] {
            assert_eq!(rate_limit_end(&headers(&pairs)), expected.map(Duration::from_secs), "{pairs:?}");
        }
        let seconds = rate_limit_end(&headers(&[("x-ratelimit-reset", &later)])).unwrap().as_secs();
        assert!((88..=90).contains(&seconds), "{seconds}");
    }
}
