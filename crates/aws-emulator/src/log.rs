//! The request log: what was asked of whom, and what came of it. Never a secret.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::HeaderMap;
use http::header::{AUTHORIZATION, USER_AGENT};
use serde::Serialize;

use crate::fault::Direction;

/// Which kind of login a request carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Authorization {
    /// No `Authorization` header.
    None,
    /// A user name and password.
    Basic,
    /// A token.
    Bearer,
    /// A request signed for AWS.
    Aws,
    /// Anything else.
    Other,
}

impl Authorization {
    /// Tells the scheme of the `Authorization` header, and nothing of its value.
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

/// One request and its answer.
#[derive(Clone, Debug, Serialize)]
pub struct LogEntry {
    /// Position in the log.
    pub number: usize,
    /// When it came, counted from the start of the emulator.
    pub at: Duration,
    /// The host that was asked, in lower case and without port.
    pub host: String,
    /// Which part of the emulator answered: `upstream`, `token`, `cdn`, `ecr`, `ecr-api`,
    /// `ecr-public-api`, `secrets`, `parameters`, `dynamodb`, `s3`, `response`, `attacker`, or
    /// `none` for a host that nobody serves.
    pub service: String,
    /// What was asked, such as `manifest.get` or `ecr:PutImage`; see [`crate::RequestFilter`].
    pub operation: String,
    /// The repository the request names, if it does.
    pub repository: Option<String>,
    /// The IAM action that the request spends, such as `ecr:BatchGetImage`.
    pub action: Option<String>,
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The status of the answer; none while there is no answer, or when the connection was dropped.
    pub status: Option<u16>,
    /// Bytes of the request body that were received.
    pub request_bytes: u64,
    /// Bytes of the response body that were handed to the connection.
    pub response_bytes: u64,
    /// The kind of login that came along.
    pub authorization: Authorization,
    /// Whether the registry counted it as a pull.
    pub is_pull: bool,
    /// The `User-Agent` header.
    pub user_agent: Option<String>,
    /// The fault that was injected, if any.
    pub fault: Option<String>,
}

/// A position in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogPosition(usize);

/// Every request since the start, oldest first.
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
    /// All entries.
    pub fn entries(&self) -> Vec<LogEntry> {
        self.lock().clone()
    }

    /// The beginning of the log.
    pub fn start(&self) -> LogPosition {
        LogPosition(0)
    }

    /// The present end of the log.
    pub fn mark(&self) -> LogPosition {
        LogPosition(self.lock().len())
    }

    /// The entries that came after `mark`.
    pub fn since(&self, mark: LogPosition) -> Vec<LogEntry> {
        self.lock()[mark.0..].to_vec()
    }

    /// The entries after `mark` whose operation matches a glob such as `blob.*`.
    pub fn matching(&self, mark: LogPosition, operation: &str) -> Vec<LogEntry> {
        let lock = self.lock();
        let matching = |entry: &&LogEntry| crate::fault::glob(operation, &entry.operation);
        lock[mark.0..].iter().filter(matching).cloned().collect()
    }

    /// How many entries [`Log::of`] would give.
    pub fn count(&self, mark: LogPosition, operation: &str) -> usize {
        self.matching(mark, operation).len()
    }

    /// How often each operation was asked for since `mark`.
    pub fn counts(&self, mark: LogPosition) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for entry in &self.lock()[mark.0..] {
            *counts.entry(entry.operation.clone()).or_default() += 1;
        }
        counts
    }

    /// How many pulls were counted since `mark`.
    pub fn pulls(&self, mark: LogPosition) -> usize {
        self.lock()[mark.0..].iter().filter(|entry| entry.is_pull).count()
    }

    /// The log from `mark` on, one line per entry, for a person to read.
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

/// A handle on the log entry of the request at hand.
#[derive(Clone)]
pub struct LogHandle {
    log: Arc<Log>,
    number: usize,
}

impl LogHandle {
    /// Opens an entry.
    pub(crate) fn begin(log: &Arc<Log>, host: &str, parts: &http::request::Parts) -> Self {
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
    pub fn note(&self, change: impl FnOnce(&mut LogEntry)) {
        change(&mut self.log.lock()[self.number]);
    }

    pub(crate) fn add_bytes(&self, direction: Direction, bytes: u64) {
        self.note(|entry| match direction {
            Direction::Request => entry.request_bytes += bytes,
            Direction::Response => entry.response_bytes += bytes,
        });
    }
}
