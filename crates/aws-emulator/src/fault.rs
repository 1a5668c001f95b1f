//! Faults as data: which requests they hit, and what happens to those.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// Which requests a fault hits. A pattern left out matches everything; `*` stands for any text.
///
/// Operations are `ping`, `token`, `manifest.head`, `manifest.get`, `manifest.put`,
/// `manifest.delete`, `blob.head`, `blob.get`, `blob.content` (the second host that a blob is
/// read from), `upload.start`, `upload.patch`, `upload.put`, `upload.delete`, `tags.list`,
/// `referrers`, `response.put`, and the calls of APIs such as `ecr:<Action>`,
/// `secretsmanager:GetSecretValue`, `ssm:GetParameter`, `ecr-public:GetAuthorizationToken`,
/// `dynamodb:PutItem`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RequestFilter {
    /// Pattern for the host name.
    pub host: Option<String>,
    /// Pattern for the operation.
    pub operation: Option<String>,
    /// Text that path and query contain.
    pub path: Option<String>,
    /// How many filter requests are let through first.
    pub skip: usize,
    /// How many are then hit; all when absent.
    pub times: Option<usize>,
}

/// Which body of an exchange a fault is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// What the client sends.
    Request,
    /// What the client gets.
    Response,
}

/// What a fault does.
///
/// Effects on bodies hit the request body of PUT and PATCH, and else the response body, unless
/// `on` says so. A response that is reset or truncated after no bytes is lost whole, head included,
/// though the service has done what was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Effect {
    /// Resets the connection after so many bytes of the body.
    Reset {
        /// Bytes that go by before.
        #[serde(default)]
        after_bytes: u64,
        /// The body in question.
        #[serde(default)]
        on: Option<Direction>,
    },
    /// Ends the connection in good order, but before the body is complete.
    Truncate {
        /// Bytes that go by before.
        #[serde(default)]
        after_bytes: u64,
        /// The body in question.
        #[serde(default)]
        on: Option<Direction>,
    },
    /// Flips the bits of one byte.
    Corrupt {
        /// Its position.
        #[serde(default)]
        at_byte: u64,
        /// The body in question.
        #[serde(default)]
        on: Option<Direction>,
    },
    /// Answers with a status instead.
    Status {
        /// The status.
        code: u16,
        /// Headers of the answer.
        #[serde(default)]
        headers: BTreeMap<String, String>,
        /// Its body.
        #[serde(default)]
        body: String,
    },
    /// Returns an error of an AWS API, in that API's own format. Registries ignore it.
    ApiError {
        /// Name of the error, such as `ThrottlingException`. It also determines the status.
        error: String,
        /// Its message.
        #[serde(default)]
        message: String,
    },
    /// Stands still in mid-body.
    Stall {
        /// Bytes that go by before.
        #[serde(default)]
        after_bytes: u64,
        /// Milliseconds; for ever when absent.
        #[serde(default)]
        for_ms: Option<u64>,
        /// The body in question.
        #[serde(default)]
        on: Option<Direction>,
    },
    /// Lets the body through at this rate only.
    Slow {
        /// Bytes per second.
        bytes_per_second: u64,
        /// The body in question.
        #[serde(default)]
        on: Option<Direction>,
    },
    /// Lets all the bodies that it hits share one link.
    SharedLink {
        /// What they share.
        #[serde(rename = "bytes_per_second")]
        link: Link,
        /// The body in question.
        #[serde(default)]
        on: Option<Direction>,
    },
    /// Declares what authorizes the request expired, in the words of the service: a bearer token,
    /// ECR's login, AWS credentials. At a token service, every token given out before. The second
    /// host that a blob is read from knows no tokens.
    ExpireToken,
    /// Declares the signature of the URL expired that a blob is read from.
    ExpireSignature,
    /// Answers late.
    Delay {
        /// Milliseconds.
        ms: u64,
    },
    /// Declines a mount although mounts are on.
    RefuseMount,
    /// Sends the client elsewhere with a 307.
    Redirect {
        /// The URL.
        location: String,
    },
}

impl Effect {
    /// An error of an AWS API, with its name and message.
    pub fn api_error(error: &str, message: &str) -> Self {
        Self::ApiError { error: error.to_owned(), message: message.to_owned() }
    }
}

/// A link that several bodies share: a NAT gateway, the network of a small function.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "u64", into = "u64")]
pub struct Link {
    bytes_per_second: u64,
    /// When what was sent so far is through.
    free: Arc<Mutex<Option<Instant>>>,
}

impl Link {
    /// When so many bytes more are through.
    pub(crate) fn send(&self, bytes: usize) -> Instant {
        let takes = Duration::from_secs_f64(bytes as f64 / self.bytes_per_second.max(1) as f64);
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let through = free.map_or(now, |free| free.max(now)) + takes;
        *free = Some(through);
        through
    }
}

impl From<u64> for Link {
    fn from(bytes_per_second: u64) -> Self {
        Self { bytes_per_second, free: Arc::default() }
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

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What it hits.
    #[serde(default, rename = "match")]
    pub filter: RequestFilter,
    /// What it does.
    #[serde(flatten)]
    pub effect: Effect,
}

impl Fault {
    /// A fault that hits every request for the operation.
    pub fn on(operation: &str, effect: Effect) -> Self {
        let filter = RequestFilter { operation: Some(operation.to_owned()), ..RequestFilter::default() };
        Self { filter, effect }
    }

    /// The same, on this host only.
    #[must_use]
    pub fn host(mut self, pattern: &str) -> Self {
        self.filter.host = Some(pattern.to_owned());
        self
    }

    /// The same, where path and query contain this text.
    #[must_use]
    pub fn path(mut self, part: &str) -> Self {
        self.filter.path = Some(part.to_owned());
        self
    }

    /// The same, so many times.
    #[must_use]
    pub fn times(mut self, times: usize) -> Self {
        self.filter.times = Some(times);
        self
    }

    /// The same, once.
    #[must_use]
    pub fn once(self) -> Self {
        self.times(1)
    }

    /// The same, after so many filter requests.
    #[must_use]
    pub fn skip(mut self, skip: usize) -> Self {
        self.filter.skip = skip;
        self
    }
}

struct Armed {
    fault: Fault,
    seen: usize,
    fired: usize,
}

/// The faults in force. Each request is hit by the first that is due, so that several faults on
/// one operation come one after the other.
#[derive(Default)]
pub struct Faults {
    armed: Mutex<Vec<Armed>>,
}

impl Faults {
    /// Adds a fault.
    pub fn add(&self, fault: Fault) {
        self.lock().push(Armed { fault, seen: 0, fired: 0 });
    }

    /// Adds the faults of a JSON list.
    ///
    /// # Errors
    ///
    /// When the text is not such a list.
    pub fn load(&self, text: &str) -> Result<usize, serde_json::Error> {
        let faults: Vec<Fault> = serde_json::from_str(text)?;
        let count = faults.len();
        for fault in faults {
            self.add(fault);
        }
        Ok(count)
    }

    /// Forgets all faults.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// How often the faults in force have struck, all together.
    pub fn hit_count(&self) -> usize {
        self.lock().iter().map(|armed| armed.fired).sum()
    }

    /// The effect that is due for a request, if any.
    pub(crate) fn take(&self, host: &str, operation: &str, target: &str) -> Option<Effect> {
        for armed in self.lock().iter_mut() {
            let wanted = &armed.fault.filter;
            let matches = wanted.host.as_ref().is_none_or(|pattern| glob(pattern, host))
                && wanted.operation.as_ref().is_none_or(|pattern| glob(pattern, operation))
                && wanted.path.as_ref().is_none_or(|part| target.contains(part.as_str()));
            if !matches || wanted.times.is_some_and(|times| armed.fired >= times) {
                continue;
            }
            if armed.seen < wanted.skip {
                armed.seen += 1;
                continue;
            }
            armed.fired += 1;
            return Some(armed.fault.effect.clone());
        }
        None
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Armed>> {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a pattern, in which `*` stands for any text, matches all of a text.
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
    fn a_star_stands_for_any_text() {
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
    fn a_fault_strikes_after_its_skip_and_so_many_times() {
        let faults = Faults::default();
        let text = r#"[
            {"match": {"operation": "blob.*", "skip": 1, "times": 2}, "effect": "truncate", "after_bytes": 7},
            {"match": {"host": "*.docker.io"}, "effect": "expire-token"}
        ]"#;
        assert_eq!(faults.load(text).unwrap(), 2);
        let cut = Some(Effect::Truncate { after_bytes: 7, on: None });
        let expired = Some(Effect::ExpireToken);
        let strike = || faults.take("registry-1.docker.io", "blob.get", "/v2/");
        assert_eq!([strike(), strike(), strike(), strike()], [expired.clone(), cut.clone(), cut, expired]);
        assert_eq!(faults.take("example.com", "ping", "/v2/"), None);
        assert_eq!(faults.hit_count(), 4);
    }

    #[test]
    fn a_misspelt_fault_is_refused() {
        let faults = Faults::default();
        assert!(
            faults.load(r#"[{"match": {"operation": "x", "time": 1}, "effect": "expire-token"}]"#).is_err()
        );
        assert!(faults.load(r#"[{"match": {}, "effect": "explode"}]"#).is_err());
    }
}
