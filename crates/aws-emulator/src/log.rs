//! The request log. It contains no secrets.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::HeaderMap;
use http::header::{AUTHORIZATION, USER_AGENT};
use serde::Serialize;

use crate::fault::Direction;

/// Scheme of the credentials in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Authorization {
    /// No `Authorization` header.
    None,
    /// User name and password.
    Basic,
    /// Bearer token.
    Bearer,
    /// AWS signature.
    Aws,
    /// Any other scheme.
    Other,
}

impl Authorization {
    /// Returns the scheme of the `Authorization` header without its value.
    pub fn of(headers: &HeaderMap) -> Self {
        let Some(value) = headers.get(AUTHORIZATION) else {
            return Self::None;
        };
        let value = value.to_str().unwrap_or_default();
        let scheme = value.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
        match scheme.as_str() {
            "basic" => Self::Basic,
            "bearer" => Self::Bearer,
            "aws4-hmac-sha256" => Self::Aws,
            _ => Self::Other,
        }
    }
}

/// A request and its response.
#[derive(Clone, Debug, Serialize)]
pub struct LogEntry {
    /// Position in the log.
    pub number: usize,
    /// Time of the request since the start of the emulator.
    pub at: Duration,
    /// Requested host in lower case without port.
    pub host: String,
    /// Part of the emulator that handled the request: `upstream`, `token`, `cdn`, `ecr`, `ecr-api`,
    /// `ecr-public-api`, `secrets`, `parameters`, `dynamodb`, `sts`, `sso`, `iam`, `cloudformation`, `lambda`,
    /// `container`, `instance`, `s3`, `response`, `attacker`, or `none` if no service serves the host.
    pub service: String,
    /// Operation, such as `manifest.get` or `ecr:PutImage`. See [`crate::RequestFilter`].
    pub operation: String,
    /// Repository in the request.
    pub repository: Option<String>,
    /// IAM actions that the request needs, such as `ecr:BatchGetImage`, separated by spaces.
    pub action: Option<String>,
    /// HTTP method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Status of the response. `None` if the response is still missing or the connection was dropped.
    pub status: Option<u16>,
    /// Received bytes of the request body.
    pub request_bytes: u64,
    /// Sent bytes of the response body.
    pub response_bytes: u64,
    /// Scheme of the credentials.
    pub authorization: Authorization,
    /// True if the registry counts the request as a pull.
    pub is_pull: bool,
    /// `User-Agent` header.
    pub user_agent: Option<String>,
    /// Fault that hit the request.
    pub fault: Option<String>,
}

/// A position in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogPosition(usize);

/// All requests since the start, oldest first.
pub struct Log {
    started: Instant,
    entries: Mutex<Vec<LogEntry>>,
}

impl Default for Log {
    fn default() -> Self {
        Self { started: Instant::now(), entries: Mutex::default() }
    }
}

impl Log {
    /// Returns all entries.
    pub fn entries(&self) -> Vec<LogEntry> {
        self.lock().clone()
    }

    /// Returns the beginning of the log.
    pub fn start(&self) -> LogPosition {
        LogPosition(0)
    }

    /// Returns the current end of the log.
    pub fn mark(&self) -> LogPosition {
        LogPosition(self.lock().len())
    }

    /// Returns the entries after `mark`.
    pub fn since(&self, mark: LogPosition) -> Vec<LogEntry> {
        self.lock()[mark.0..].to_vec()
    }

    /// Returns the entries after `mark` whose operation matches a pattern such as `blob.*`.
    pub fn matching(&self, mark: LogPosition, operation: &str) -> Vec<LogEntry> {
        let lock = self.lock();
        let matching = |entry: &&LogEntry| crate::fault::glob(operation, &entry.operation);
        lock[mark.0..].iter().filter(matching).cloned().collect()
    }

    /// Returns the number of entries that [`Log::matching`] returns.
    pub fn count(&self, mark: LogPosition, operation: &str) -> usize {
        self.matching(mark, operation).len()
    }

    /// Returns the number of requests after `mark` by operation.
    pub fn counts(&self, mark: LogPosition) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for entry in &self.lock()[mark.0..] {
            *counts.entry(entry.operation.clone()).or_default() += 1;
        }
        counts
    }

    /// Returns the number of pulls after `mark`.
    pub fn pulls(&self, mark: LogPosition) -> usize {
        self.lock()[mark.0..].iter().filter(|entry| entry.is_pull).count()
    }

    /// Returns the entries after `mark` as readable text, one line each.
    pub fn text(&self, mark: LogPosition) -> String {
        let mut text = String::new();
        for e in &self.lock()[mark.0..] {
            let status = e.status.map_or_else(|| "-".to_owned(), |status| status.to_string());
            let fault = e.fault.as_ref().map(|fault| format!(" [{fault}]")).unwrap_or_default();
            text += &format!(
                "{:>8.3}s {} {} {} {}{} up {} down {}{fault}\n",
                e.at.as_secs_f64(),
                e.operation,
                status,
                e.method,
                e.host,
                e.target,
                e.request_bytes,
                e.response_bytes,
            );
        }
        text
    }

    fn lock(&self) -> MutexGuard<'_, Vec<LogEntry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Access to the log entry of one request.
#[derive(Clone)]
pub struct LogHandle {
    log: Arc<Log>,
    number: usize,
}

impl LogHandle {
    /// Adds an entry for a request.
    pub(crate) fn add_entry(log: &Arc<Log>, host: &str, parts: &http::request::Parts) -> Self {
        let user_agent = parts.headers.get(USER_AGENT).and_then(|value| value.to_str().ok());
        let mut entries = log.lock();
        let number = entries.len();
        entries.push(LogEntry {
            number,
            at: log.started.elapsed(),
            host: host.to_owned(),
            service: "none".to_owned(),
            operation: "none".to_owned(),
            repository: None,
            action: None,
            method: parts.method.to_string(),
            target: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
            status: None,
            request_bytes: 0,
            response_bytes: 0,
            authorization: Authorization::of(&parts.headers),
            is_pull: false,
            user_agent: user_agent.map(ToOwned::to_owned),
            fault: None,
        });
        drop(entries);
        Self { log: Arc::clone(log), number }
    }

    /// Changes the entry.
    pub fn update(&self, change: impl FnOnce(&mut LogEntry)) {
        change(&mut self.log.lock()[self.number]);
    }

    pub(crate) fn add_bytes(&self, direction: Direction, bytes: u64) {
        self.update(|entry| match direction {
            Direction::Request => entry.request_bytes += bytes,
            Direction::Response => entry.response_bytes += bytes,
        });
    }
}
