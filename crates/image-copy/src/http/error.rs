//! Errors of requests that got no complete response.

use std::time::Duration;

use crate::text::SanitizedText;

/// Error of a request that got no complete response. A response of any status is not an error here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}", kind.describe(host), attempts_suffix(*attempts, *elapsed))]
pub struct Error {
    /// Kind of the error.
    pub kind: ErrorKind,
    /// Host and port of the request.
    pub host: SanitizedText,
    /// Number of attempts.
    pub attempts: u32,
    /// Time since the first attempt.
    pub elapsed: Duration,
}

impl Error {
    /// Returns true if another attempt can succeed.
    #[must_use]
    pub(crate) fn is_transient(&self) -> bool {
        !matches!(self.kind, ErrorKind::Tls(_) | ErrorKind::TooLarge { .. } | ErrorKind::ForbiddenAddress(_))
    }

    /// Returns true if the host sent nothing for too long.
    pub(crate) fn is_silent_host(&self) -> bool {
        self.silence().is_some()
    }

    /// Returns the time for which the host sent nothing, if that is the error.
    pub(crate) fn silence(&self) -> Option<Duration> {
        match self.kind {
            ErrorKind::Silent { time, .. } => Some(time),
            _ => None,
        }
    }
}

/// Kind of an [`Error`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorKind {
    /// The name of the host has no address.
    Dns,
    /// The connection failed. Contains the operating system's message.
    Connect(SanitizedText),
    /// The connection timed out.
    ConnectTimeout,
    /// The connection through the proxy failed.
    Proxy {
        /// Host and port, and the environment variable that names it.
        proxy: String,
        /// Message of the proxy or of the operating system.
        reason: SanitizedText,
    },
    /// The certificate was rejected, or the TLS handshake failed. Contains the TLS library's message.
    Tls(SanitizedText),
    /// The host is connected, but sent nothing for too long.
    Silent {
        /// Time without a byte.
        time: Duration,
        /// The proxy of the connection, which can be the silent one.
        proxy: Option<String>,
    },
    /// The host sent or accepted bytes more slowly than [`Options::minimum_rate`](super::Options).
    Slow {
        /// Average rate in bytes per second.
        rate: u64,
        /// Period of the average.
        time: Duration,
    },
    /// The connection was interrupted.
    Interrupted,
    /// The response is larger than allowed.
    TooLarge {
        /// Maximum size in bytes.
        limit: u64,
    },
    /// The address is not allowed. Contains the reason.
    ForbiddenAddress(&'static str),
}

impl ErrorKind {
    /// Returns [`Self::Slow`] for `bytes` in `time`.
    pub(super) fn too_slow(bytes: u64, time: Duration) -> Self {
        let rate = u128::from(bytes) * 1000 / time.as_millis().max(1);
        Self::Slow { rate: u64::try_from(rate).unwrap_or(u64::MAX), time }
    }

    /// Describes the error, with the host.
    fn describe(&self, host: &str) -> String {
        match self {
            Self::Dns => format!("the host name {host} could not be resolved"),
            Self::Connect(reason) => format!("connecting to {host} failed ({reason})"),
            Self::ConnectTimeout => format!("connecting to {host} timed out"),
            Self::Proxy { proxy, reason } => {
                format!("connecting to {host} through the proxy {proxy} failed ({reason})")
            }
            Self::Tls(reason) => {
                format!("the TLS handshake with {host} failed ({})", readable_tls_reason(reason))
            }
            Self::Silent { time, proxy: None } => {
                format!("{host} sent nothing for {}", format_seconds(*time))
            }
            Self::Silent { time, proxy: Some(proxy) } => {
                format!("{host} or the proxy {proxy} sent nothing for {}", format_seconds(*time))
            }
            Self::Slow { rate, time } => {
                format!(
                    "{host} was too slow ({rate} bytes per second on average over {})",
                    format_seconds(*time)
                )
            }
            Self::Interrupted => format!("the connection to {host} was interrupted"),
            Self::TooLarge { limit } => format!("{host} sent more than {limit} bytes"),
            Self::ForbiddenAddress(reason) => {
                format!("the address of {host} is not allowed ({reason})")
            }
        }
    }
}

/// Replaces names of Rust types, such as `NotValidYet`, in a message of the TLS library.
fn readable_tls_reason(reason: &str) -> String {
    // `openssl req -x509` creates such self-signed certificates by default.
    if reason.contains("CaUsedAsEndEntity") {
        return "the registry's certificate is a CA certificate; issue one with CA:FALSE".into();
    }
    let Some((before, name)) = reason.rsplit_once(": ").filter(|(_, name)| !name.contains(' ')) else {
        return reason.to_owned();
    };
    let mut message = format!("{before}:");
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            message.push(' ');
        }
        message.push(letter.to_ascii_lowercase());
    }
    message
}

/// Returns a phrase such as `, 5 attempts in 71 s`. After one attempt, it is empty.
pub(crate) fn attempts_suffix(attempts: u32, elapsed: Duration) -> String {
    if attempts < 2 {
        return String::new();
    }
    format!(", {attempts} attempts in {} s", elapsed.as_secs().max(1))
}

/// Returns a time in whole seconds, at least one.
pub(crate) fn format_seconds(time: Duration) -> String {
    let rounded = time.as_secs().saturating_add(u64::from(time.subsec_millis() >= 500));
    format!("{} s", rounded.max(1))
}

/// Returns a time in hours and minutes, such as `3 h 10 min`. A time below one minute is in seconds.
pub(crate) fn format_duration(length: Duration) -> String {
    let minutes = length.as_secs() / 60;
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{} s", length.as_secs()),
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::readable_tls_reason;

    #[test]
    fn tls_messages_contain_no_type_names() {
        for (reason, expected) in [
            ("invalid peer certificate: UnknownIssuer", "invalid peer certificate: unknown issuer"),
            ("invalid peer certificate: NotValidYet", "invalid peer certificate: not valid yet"),
            (
                "invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))",
                "the registry's certificate is a CA certificate; issue one with CA:FALSE",
            ),
            ("certificate not valid for name \"a\"", "certificate not valid for name \"a\""),
            ("received fatal alert: the name is unknown", "received fatal alert: the name is unknown"),
        ] {
            assert_eq!(readable_tls_reason(reason), expected);
        }
    }
}
