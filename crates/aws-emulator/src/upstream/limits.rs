//! Counted pulls.

use std::collections::HashMap;

use http::HeaderValue;

use crate::distribution::refusal;
use crate::service::Response;

use super::profile::{Profile, RateHeaders, RateLimit};

/// The address that anonymous callers seem to come from (RFC 5737).
const ADDRESS: &str = "203.0.113.7";

/// What each source has used, and what a test decided otherwise.
#[derive(Default)]
pub(super) struct Limits {
    used: HashMap<String, u64>,
    /// Overrides the anonymous limit of the profile.
    pub(super) anonymous: Option<Option<RateLimit>>,
    /// Overrides the users' limit of the profile.
    pub(super) users: Option<Option<RateLimit>>,
}

impl Limits {
    fn limit(&self, profile: &Profile, user: Option<&str>) -> Option<RateLimit> {
        match user {
            None => self.anonymous.unwrap_or(profile.anonymous_limit),
            Some(_) => self.users.unwrap_or(profile.user_limit),
        }
    }

    /// Pulls that a source has left; none when there is no limit.
    pub(super) fn remaining(&self, profile: &Profile, user: Option<&str>) -> Option<u64> {
        let limit = self.limit(profile, user)?;
        Some(limit.pulls.saturating_sub(self.used.get(user.unwrap_or(ADDRESS)).copied().unwrap_or(0)))
    }

    /// Decides what a source has left.
    pub(super) fn set_remaining(&mut self, profile: &Profile, user: Option<&str>, pulls: u64) {
        let limit = self.limit(profile, user).map_or(0, |limit| limit.pulls);
        self.used.insert(user.unwrap_or(ADDRESS).to_owned(), limit.saturating_sub(pulls));
    }

    /// Counts a pull.
    pub(super) fn count(&mut self, user: Option<&str>) {
        *self.used.entry(user.unwrap_or(ADDRESS).to_owned()).or_default() += 1;
    }

    /// Refuses a pull beyond the limit.
    pub(super) fn refusal(&self, profile: &Profile, user: Option<&str>) -> Option<Response> {
        if self.remaining(profile, user)? > 0 {
            return None;
        }
        let kind = if user.is_some() { "" } else { "unauthenticated " };
        let message = format!(
            "You have reached your {kind}pull rate limit. https://www.docker.com/increase-rate-limit"
        );
        let mut response = refusal(429, "TOOMANYREQUESTS", &message);
        self.announce(profile, user, &mut response);
        Some(response)
    }

    /// Writes limit, remaining pulls and source into an answer.
    pub(super) fn announce(&self, profile: &Profile, user: Option<&str>, response: &mut Response) {
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
