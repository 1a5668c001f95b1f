//! How many pulls a registry still allows.

use std::fmt;
use std::time::Duration;

use reqwest::header::HeaderMap;

use crate::http;
use crate::text::SanitizedText;

/// Maximum length of the caller's name in characters: an IPv6 address or an account id.
const SOURCE_CHARS: usize = 80;

/// Pull allowance as Docker Hub states it in its `ratelimit-*` headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimit {
    /// Pulls allowed in a window.
    pub limit: Option<u64>,
    /// Pulls left.
    pub remaining: Option<u64>,
    /// The window.
    pub window: Option<Duration>,
    /// Time until the window ends, if the registry states it.
    pub reset: Option<Duration>,
    /// Whom the registry counts: an address or an account.
    pub source: Option<SanitizedText>,
}

/// `0 of 100 pulls left for 203.0.113.7 per 6 h`
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
    /// The lower of two statements: answers overtake each other, and what one copy has spent does not
    /// come back while it lasts. Of another limit, or of another caller, the later statement holds.
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

    /// Returns the time after which the allowance is whole again, at the latest.
    pub(crate) fn time_to_reset(&self) -> Option<Duration> {
        self.reset.or(self.window)
    }

    /// Reads `ratelimit-limit: 100;w=21600` and its companions
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
    fn reads_the_allowance() {
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
    fn an_answer_that_was_overtaken_gives_no_pull_back() {
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
