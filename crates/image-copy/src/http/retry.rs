//! Transient responses, and the times at which they end.

use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// Attempts and pauses of one operation.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// Bound of the first pause.
    pub first_pause: Duration,
    /// Bound of every later pause; the bounds double in between.
    pub longest_pause: Duration,
    /// Maximum number of attempts that end in a fault. Responses that ask to slow down do not count.
    pub max_attempts: u32,
    /// Maximum time of all pauses of an operation that has no deadline.
    pub max_total_pause: Duration,
    /// Maximum time that an operation loses to hosts that are silent or too slow, over all its attempts
    /// without progress. The attempt that exceeds it is the last.
    pub max_silence: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        // Half a second to thirty with full jitter is what spreads many functions over ECR's ten
        // PutImage a second (https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html).
        Self {
            first_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(30),
            max_attempts: 5,
            // Docker Hub's limit on requests of any kind ends within a minute.
            max_total_pause: Duration::from_secs(75),
            // Two attempts that last `Options::read_timeout`: one more than a single lost packet needs.
            max_silence: Duration::from_secs(60),
        }
    }
}

impl Backoff {
    /// A pause before attempt number `attempt + 1`, drawn from zero to the bound.
    pub(crate) fn pause(&self, attempt: u32) -> Duration {
        let bound =
            self.first_pause.saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(self.longest_pause);
        bound.mul_f64(fastrand::f64())
    }
}

/// Returns true if a request with this status can succeed the next time
/// (<https://github.com/google/go-containerregistry/blob/main/pkg/v1/remote/options.go>).
#[must_use]
pub(crate) fn is_transient(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 499 | 500 | 502 | 503 | 504 | 522)
}

/// Reads `Retry-After`, in seconds or as a date. More than a `Duration` can express becomes its maximum.
/// Less than 100 ms is ignored: a registry asked for a fraction of a millisecond
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

/// Returns the time after which a refused request can succeed: `Retry-After`, the reset time, or the
/// whole window of an allowance that is used up.
pub(crate) fn rate_limit_end(headers: &HeaderMap) -> Option<Duration> {
    let used_up = || numeric_header(headers, "ratelimit-remaining") == Some(0);
    retry_after(headers)
        .or_else(|| rate_limit_reset(headers))
        .or_else(|| rate_limit_window(headers).filter(|_| used_up()))
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

/// Reads the number in front of the parameters of a header.
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
    fn a_used_up_allowance_ends_with_its_window_at_the_latest() {
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
