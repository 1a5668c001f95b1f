//! Faults as data: the requests that a fault hits, and its effect on them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// Requests that a fault hits. A missing pattern matches everything. In a pattern, `*` matches any text.
///
/// Operations of registries are `ping`, `token`, `manifest.head`, `manifest.get`, `manifest.put`,
/// `manifest.delete`, `blob.head`, `blob.get`, `blob.content` (the download from the redirect target),
/// `upload.start`, `upload.patch`, `upload.put`, `upload.delete`, `tags.list` and `referrers`.
/// `response.put` is the PUT to the response bucket. Operations of AWS APIs are named by service and
/// action, such as `ecr:PutImage`, `secretsmanager:GetSecretValue`, `ssm:GetParameter`,
/// `ecr-public:GetAuthorizationToken` and `dynamodb:PutItem`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RequestFilter {
    /// Pattern of the host name.
    pub host: Option<String>,
    /// Pattern of the operation.
    pub operation: Option<String>,
    /// Text that path and query must contain.
    pub path: Option<String>,
    /// Number of matching requests that pass before the first hit.
    pub skip: usize,
    /// Maximum number of hits. Missing means unlimited.
    pub times: Option<usize>,
}

/// Body of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// The request body, which the client sends.
    Request,
    /// The response body, which the client receives.
    Response,
}

/// Effect of a fault.
///
/// Effects on bodies hit the request body of PUT and PATCH, and otherwise the response body. `on` overrides
/// this. If a response is reset or truncated after 0 bytes, the client receives no status line either. The
/// service has processed the request nevertheless.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Effect {
    /// Resets the connection in the middle of the body.
    Reset {
        /// Bytes that pass before the reset.
        #[serde(default)]
        after_bytes: u64,
        /// The affected body.
        #[serde(default)]
        on: Option<Direction>,
    },
    /// Closes the connection without an error before the body is complete.
    Truncate {
        /// Bytes that pass before the end.
        #[serde(default)]
        after_bytes: u64,
        /// The affected body.
        #[serde(default)]
        on: Option<Direction>,
    },
    /// Inverts the bits of one byte.
    Corrupt {
        /// Position of the byte.
        #[serde(default)]
        at_byte: u64,
        /// The affected body.
        #[serde(default)]
        on: Option<Direction>,
    },
    /// Returns this response instead of the service's.
    Status {
        /// HTTP status.
        code: u16,
        /// Headers.
        #[serde(default)]
        headers: BTreeMap<String, String>,
        /// Body.
        #[serde(default)]
        body: String,
    },
    /// Returns an error of an AWS API in that API's format. Registries ignore this effect.
    ApiError {
        /// Name of the error, such as `ThrottlingException`. It also determines the status.
        error: String,
        /// Message of the error.
        #[serde(default)]
        message: String,
    },
    /// Stops sending in the middle of the body.
    Stall {
        /// Bytes that pass before the stall.
        #[serde(default)]
        after_bytes: u64,
        /// Duration in milliseconds. Missing means forever.
        #[serde(default)]
        for_ms: Option<u64>,
        /// The affected body.
        #[serde(default)]
        on: Option<Direction>,
    },
    /// Limits the rate of the body.
    Slow {
        /// Bytes per second.
        bytes_per_second: u64,
        /// The affected body.
        #[serde(default)]
        on: Option<Direction>,
    },
    /// Limits the total rate of all bodies that the fault hits.
    SharedLink {
        /// The shared rate limit.
        #[serde(rename = "bytes_per_second")]
        link: Link,
        /// The affected body.
        #[serde(default)]
        on: Option<Direction>,
    },
    /// Expires the credentials of the request: a bearer token, an ECR authorization token, or AWS
    /// credentials. At a token service, all tokens issued so far expire. Downloads from a redirect target
    /// have no tokens and ignore this effect.
    ExpireToken,
    /// Expires the signature of the URL from which a blob is downloaded.
    ExpireSignature,
    /// Delays the response.
    Delay {
        /// Milliseconds.
        ms: u64,
    },
    /// Declines a blob mount although blob mounting is enabled.
    DeclineMount,
    /// Redirects the request with status 307.
    Redirect {
        /// Target URL.
        location: String,
    },
}

impl Effect {
    /// Creates an error of an AWS API with a name and a message.
    pub fn api_error(error: &str, message: &str) -> Self {
        Self::ApiError { error: error.to_owned(), message: message.to_owned() }
    }
}

/// A network link that several bodies share, such as a NAT gateway or the network of a small function.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "u64", into = "u64")]
pub struct Link {
    bytes_per_second: u64,
    /// Time at which everything sent so far has passed the link.
    free_at: Arc<Mutex<Option<Instant>>>,
}

impl Link {
    /// Sends bytes over the link, and returns the time at which they have passed it.
    pub(crate) fn reserve(&self, bytes: usize) -> Instant {
        let duration = Duration::from_secs_f64(bytes as f64 / self.bytes_per_second.max(1) as f64);
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let next = free_at.map_or(now, |free_at| free_at.max(now)) + duration;
        *free_at = Some(next);
        next
    }
}

impl From<u64> for Link {
    fn from(bytes_per_second: u64) -> Self {
        Self { bytes_per_second, free_at: Arc::default() }
    }
}

impl From<Link> for u64 {
    fn from(link: Link) -> Self {
        link.bytes_per_second
    }
}

impl PartialEq for Link {
    fn eq(&self, other: &Self) -> bool {
        self.bytes_per_second == other.bytes_per_second
    }
}

impl Eq for Link {}

/// A fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Requests that the fault hits.
    #[serde(default, rename = "match")]
    pub filter: RequestFilter,
    /// Effect on these requests.
    #[serde(flatten)]
    pub effect: Effect,
}

impl Fault {
    /// Creates a fault for every request with this operation.
    pub fn on(operation: &str, effect: Effect) -> Self {
        let filter = RequestFilter { operation: Some(operation.to_owned()), ..RequestFilter::default() };
        Self { filter, effect }
    }

    /// Limits the fault to host names that match a pattern.
    #[must_use]
    pub fn host(mut self, pattern: &str) -> Self {
        self.filter.host = Some(pattern.to_owned());
        self
    }

    /// Limits the fault to requests whose path and query contain this text.
    #[must_use]
    pub fn path(mut self, part: &str) -> Self {
        self.filter.path = Some(part.to_owned());
        self
    }

    /// Limits the number of hits.
    #[must_use]
    pub fn times(mut self, times: usize) -> Self {
        self.filter.times = Some(times);
        self
    }

    /// Limits the fault to one hit.
    #[must_use]
    pub fn once(self) -> Self {
        self.times(1)
    }

    /// Passes this number of matching requests first, without an effect.
    #[must_use]
    pub fn skip(mut self, skip: usize) -> Self {
        self.filter.skip = skip;
        self
    }
}

struct ActiveFault {
    fault: Fault,
    skipped: usize,
    hits: usize,
}

/// Active faults. A request is hit by the first fault that matches and is not used up. Several faults for
/// one operation therefore take effect one after the other.
#[derive(Default)]
pub struct Faults {
    active: Mutex<Vec<ActiveFault>>,
}

impl Faults {
    /// Adds a fault.
    pub fn add(&self, fault: Fault) {
        self.lock().push(ActiveFault { fault, skipped: 0, hits: 0 });
    }

    /// Adds the faults of a JSON list, and returns their number.
    ///
    /// # Errors
    ///
    /// Returns an error if the text is not such a list.
    pub fn load(&self, text: &str) -> Result<usize, serde_json::Error> {
        let faults: Vec<Fault> = serde_json::from_str(text)?;
        let count = faults.len();
        for fault in faults {
            self.add(fault);
        }
        Ok(count)
    }

    /// Removes all faults.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// Returns the total number of hits of the active faults.
    pub fn hit_count(&self) -> usize {
        self.lock().iter().map(|active| active.hits).sum()
    }

    /// Returns the effect for a request and counts the hit.
    pub(crate) fn hit(&self, host: &str, operation: &str, target: &str) -> Option<Effect> {
        for active in self.lock().iter_mut() {
            let filter = &active.fault.filter;
            let matches = filter.host.as_ref().is_none_or(|pattern| glob(pattern, host))
                && filter.operation.as_ref().is_none_or(|pattern| glob(pattern, operation))
                && filter.path.as_ref().is_none_or(|part| target.contains(part.as_str()));
            if !matches || filter.times.is_some_and(|times| active.hits >= times) {
                continue;
            }
            if active.skipped < filter.skip {
                active.skipped += 1;
                continue;
            }
            active.hits += 1;
            return Some(active.fault.effect.clone());
        }
        None
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<ActiveFault>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns true if a pattern, in which `*` matches any text, matches the whole text.
pub(crate) fn glob(pattern: &str, text: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(rest) = text.strip_prefix(before) else {
        return false;
    };
    (0..=rest.len()).filter(|&at| rest.is_char_boundary(at)).any(|at| glob(after, &rest[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_matches_any_text() {
        for (pattern, text, matches) in [
            ("*", "", true),
            ("blob.*", "blob.get", true),
            ("blob.*", "manifest.get", false),
            ("*.dkr.ecr.*", "1.dkr.ecr.eu-west-1.amazonaws.com", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b", "ab-", false),
        ] {
            assert_eq!(glob(pattern, text), matches, "{pattern} on {text}");
        }
    }

    #[test]
    fn a_fault_counts_skipped_requests_and_hits() {
        let faults = Faults::default();
        let text = r#"[
            {"match": {"operation": "blob.*", "skip": 1, "times": 2}, "effect": "truncate", "after_bytes": 7},
            {"match": {"host": "*.docker.io"}, "effect": "expire-token"}
        ]"#;
        assert_eq!(faults.load(text).unwrap(), 2);
        let truncation = Some(Effect::Truncate { after_bytes: 7, on: None });
        let expired = Some(Effect::ExpireToken);
        let hit = || faults.hit("registry-1.docker.io", "blob.get", "/v2/");
        assert_eq!([hit(), hit(), hit(), hit()], [expired.clone(), truncation.clone(), truncation, expired]);
        assert_eq!(faults.hit("example.com", "ping", "/v2/"), None);
        assert_eq!(faults.hit_count(), 4);
    }

    #[test]
    fn rejects_unknown_fields_of_a_fault() {
        let faults = Faults::default();
        assert!(
            faults.load(r#"[{"match": {"operation": "x", "time": 1}, "effect": "expire-token"}]"#).is_err()
        );
        assert!(faults.load(r#"[{"match": {}, "effect": "explode"}]"#).is_err());
    }
}
