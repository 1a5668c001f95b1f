//! Requests that got no answer.

use std::time::Duration;

/// A request that got no complete answer. A response of any status is not an error here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {host}{}", tries(*attempts, *elapsed))]
pub struct Error {
    /// What went wrong.
    pub kind: Kind,
    /// Host and port that were asked.
    pub host: String,
    /// How often it was tried.
    pub attempts: u32,
    /// Time since the first try.
    pub elapsed: Duration,
}

impl Error {
    /// Whether another try may have an answer.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        !matches!(self.kind, Kind::Tls(_) | Kind::TooLarge { .. } | Kind::Forbidden(_))
    }
}

/// What kept a request from its answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Kind {
    /// The name has no address.
    #[error("no address was found for")]
    Dns,
    /// No connection came about; the text is the operating system's.
    #[error("connecting failed ({0}) to")]
    Connect(String),
    /// No connection came about in time.
    #[error("connecting timed out to")]
    ConnectTimeout,
    /// The certificate or the TLS handshake was refused; the text is the TLS library's.
    #[error("the TLS handshake failed ({0}) with")]
    Tls(String),
    /// Connected, but nothing came in time.
    #[error("waiting for an answer timed out from")]
    Timeout,
    /// The connection broke in the middle of a message.
    #[error("the connection was cut by")]
    Interrupted,
    /// More bytes than such an answer may have.
    #[error("more than {limit} bytes came from")]
    TooLarge {
        /// Bytes allowed.
        limit: u64,
    },
    /// A registry sent us to a place where none of its content can be.
    #[error("the registry named an address that is not allowed ({0}):")]
    Forbidden(&'static str),
}

fn tries(attempts: u32, elapsed: Duration) -> String {
    if attempts < 2 {
        return String::new();
    }
    format!(", {attempts} attempts in {} s", elapsed.as_secs().max(1))
}
