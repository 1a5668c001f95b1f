//! Pull limits.

use std::collections::HashMap;

use http::HeaderValue;

use crate::distribution::error_response;
use crate::service::Response;

use super::profile::{Profile, RateHeaders, RateLimit};

/// IP address of anonymous callers (RFC 5737).
const ADDRESS: &str = "203.0.113.7";

/// Counted pulls, and limits that a test has set.
#[derive(Default)]
pub(super) struct Limits {
    used: HashMap<String, u64>,
    /// Replaces the anonymous limit of the profile.
    pub(super) anonymous: Option<Option<RateLimit>>,
    /// Replaces the user limit of the profile.
    pub(super) users: Option<Option<RateLimit>>,
}

impl Limits {
    fn limit(&self, profile: &Profile, user: Option<&str>) -> Option<RateLimit> {
        match user {
            None => self.anonymous.unwrap_or(profile.anonymous_limit),
            Some(_) => self.users.unwrap_or(profile.user_limit),
        }
    }

    /// Returns the remaining pulls of a user or of anonymous callers. `None` means unlimited.
    pub(super) fn remaining(&self, profile: &Profile, user: Option<&str>) -> Option<u64> {
        let limit = self.limit(profile, user)?;
        Some(limit.pulls.saturating_sub(self.used.get(user.unwrap_or(ADDRESS)).copied().unwrap_or(0)))
    }

    /// Sets the remaining pulls.
    pub(super) fn set_remaining(&mut self, profile: &Profile, user: Option<&str>, pulls: u64) {
        let limit = self.limit(profile, user).map_or(0, |limit| limit.pulls);
        self.used.insert(user.unwrap_or(ADDRESS).to_owned(), limit.saturating_sub(pulls));
    }

    /// Counts a pull.
    pub(super) fn count(&mut self, user: Option<&str>) {
        *self.used.entry(user.unwrap_or(ADDRESS).to_owned()).or_default() += 1;
    }

    /// Returns an error response if the limit is reached.
    pub(super) fn limit_error(&self, profile: &Profile, user: Option<&str>) -> Option<Response> {
        if self.remaining(profile, user)? > 0 {
            return None;
        }
        let kind = if user.is_some() { "" } else { "unauthenticated " };
        let message = format!(
            "You have reached your {kind}pull rate limit. https://www.docker.com/increase-rate-limit"
        );
        let mut response = error_response(429, "TOOMANYREQUESTS", &message);
        self.add_headers(profile, user, &mut response);
        Some(response)
    }

    /// Adds headers with limit, remaining pulls and source to a response.
    pub(super) fn add_headers(&self, profile: &Profile, user: Option<&str>, response: &mut Response) {
        let (Some(limit), Some(remaining)) = (self.limit(profile, user), self.remaining(profile, user))
        else {
            return;
        };
        if profile.rate_headers == RateHeaders::Absent {
            return;
        }
        let source = user.map_or_else(|| ADDRESS.to_owned(), |user| format!("account-of-{user}"));
        for (name, value) in [
            ("ratelimit-limit", format!("{};w={}", limit.pulls, limit.window)),
            ("ratelimit-remaining", format!("{remaining};w={}", limit.window)),
            ("docker-ratelimit-source", source),
        ] {
            if let Ok(value) = HeaderValue::try_from(value) {
                response.headers_mut().insert(name, value);
            }
        }
    }
}
