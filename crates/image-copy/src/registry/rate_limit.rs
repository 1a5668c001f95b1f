//! The pull limit of a registry.

use std::fmt;
use std::time::Duration;

use reqwest::header::HeaderMap;

use crate::http;
use crate::text::SanitizedText;

/// Maximum length of the source in characters. It is an IP address or an account ID.
const SOURCE_CHARS: usize = 80;

/// Pull limit in the `ratelimit-*` headers of Docker Hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimit {
    /// Number of pulls in each window.
    pub limit: Option<u64>,
    /// Number of remaining pulls.
    pub remaining: Option<u64>,
    /// Length of the window.
    pub window: Option<Duration>,
    /// Time until the window ends, if the registry states it.
    pub reset: Option<Duration>,
    /// IP address or account that the registry counts pulls for.
    pub source: Option<SanitizedText>,
}

/// For example, `0 of 100 pulls left for 203.0.113.7 per 6 h`.
impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.remaining.unwrap_or(0))?;
        if let Some(limit) = self.limit {
            write!(f, " of {limit}")?;
        }
        f.write_str(" pulls left")?;
        if let Some(source) = &self.source {
            write!(f, " for {source}")?;
        }
        if let Some(window) = self.window {
            write!(f, " per {}", http::format_duration(window))?;
        }
        match self.reset {
            Some(reset) => write!(f, ", resets in {}", http::format_duration(reset)),
            None => Ok(()),
        }
    }
}

impl RateLimit {
    /// Returns the lower one of two limits, because responses can arrive in another order. If the limit or
    /// the source has changed, returns the later one.
    pub(super) fn merged_with(self, earlier: Option<Self>) -> Self {
        match earlier {
            Some(earlier)
                if (earlier.limit, &earlier.source) == (self.limit, &self.source)
                    && earlier.remaining.is_some()
                    && earlier.remaining < self.remaining =>
            {
                earlier
            }
            _ => self,
        }
    }

    /// Returns the time until the limit resets, at most.
    pub(crate) fn time_to_reset(&self) -> Option<Duration> {
        self.reset.or(self.window)
    }

    /// Reads `ratelimit-limit: 100;w=21600` and related headers
    /// (<https://docs.docker.com/docker-hub/usage/pulls/>).
    pub(super) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let limit = Self {
            limit: http::numeric_header(headers, "ratelimit-limit"),
            remaining: http::numeric_header(headers, "ratelimit-remaining"),
            window: http::rate_limit_window(headers),
            reset: http::retry_after(headers).or_else(|| http::rate_limit_reset(headers)),
            source: text("docker-ratelimit-source")
                .map(|source| SanitizedText::quotable(source, SOURCE_CHARS)),
        };
        (limit.limit.is_some() || limit.remaining.is_some()).then_some(limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_headers_of_docker_hub() {
        let headers = [
            ("ratelimit-limit", "100;w=21600"),
            ("ratelimit-remaining", "76;w=21600"),
            ("docker-ratelimit-source", "203.0.113.7"),
        ];
        let headers = headers.iter().map(|(k, v)| (k.parse().unwrap(), v.parse().unwrap())).collect();
        let limit = RateLimit::from_headers(&headers).unwrap();
        assert_eq!((limit.limit, limit.remaining), (Some(100), Some(76)));
        assert_eq!(limit.window, Some(Duration::from_secs(21600)));
        assert_eq!(limit.source.as_deref(), Some("203.0.113.7"));
        assert_eq!(RateLimit::from_headers(&HeaderMap::new()), None);
    }

    #[test]
    fn keeps_the_lower_limit_if_responses_arrive_in_another_order() {
        let stated = |remaining, source: &str| RateLimit {
            limit: Some(100),
            remaining,
            window: None,
            reset: None,
            source: Some(source.into()),
        };
        for (earlier, later, expected) in [
            (stated(Some(7), "a"), stated(Some(8), "a"), Some(7)),
            (stated(Some(8), "a"), stated(Some(7), "a"), Some(7)),
            (stated(Some(7), "a"), stated(Some(90), "b"), Some(90)),
            (stated(None, "a"), stated(Some(8), "a"), Some(8)),
        ] {
            assert_eq!(later.merged_with(Some(earlier)).remaining, expected);
        }
        assert_eq!(stated(Some(8), "a").merged_with(None).remaining, Some(8));
    }
}
