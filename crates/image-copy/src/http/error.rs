//! Requests that got no answer.

use std::time::Duration;

use crate::text::SanitizedText;

/// A request that got no complete answer. A response of any status is not an error here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}", kind.describe(host), attempts_suffix(*attempts, *elapsed))]
pub struct Error {
    /// What went wrong.
    pub kind: ErrorKind,
    /// Host and port that were asked.
    pub host: SanitizedText,
    /// How often it was tried.
    pub attempts: u32,
    /// Time since the first try.
    pub elapsed: Duration,
}

impl Error {
    /// Whether another try may have an answer.
    #[must_use]
    pub(crate) fn is_transient(&self) -> bool {
        !matches!(self.kind, ErrorKind::Tls(_) | ErrorKind::TooLarge { .. } | ErrorKind::ForbiddenAddress(_))
    }

    /// Returns true if the host sent nothing for too long.
    pub(crate) fn is_silent_host(&self) -> bool {
        matches!(self.kind, ErrorKind::Silent { .. })
    }
}

/// What kept a request from its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorKind {
    /// The name has no address.
    Dns,
    /// No connection came about; the text is the operating system's.
    Connect(SanitizedText),
    /// No connection came about in time.
    ConnectTimeout,
    /// No connection came about through the proxy.
    Proxy {
        /// Host and port, and the variable that names it.
        proxy: String,
        /// The proxy's words, or the operating system's.
        reason: SanitizedText,
    },
    /// The certificate or the TLS handshake was refused; the text is the TLS library's.
    Tls(SanitizedText),
    /// The host is connected, but sent nothing.
    Silent {
        /// Time without a byte.
        time: Duration,
        /// The proxy in between, which can be the silent one.
        proxy: Option<String>,
    },
    /// The host sent or took bytes more slowly than [`Options::minimum_rate`](super::Options).
    Slow {
        /// Average rate in bytes per second.
        rate: u64,
        /// Time over which it was averaged.
        time: Duration,
    },
    /// The connection broke in the middle of a message.
    Interrupted,
    /// More bytes than such an answer may have.
    TooLarge {
        /// Bytes allowed.
        limit: u64,
    },
    /// A registry sent us to a place where none of its content can be.
    ForbiddenAddress(&'static str),
}

impl ErrorKind {
    /// The rate of `bytes` in `time`.
    pub(super) fn too_slow(bytes: u64, time: Duration) -> Self {
        let rate = u128::from(bytes) * 1000 / time.as_millis().max(1);
        Self::Slow { rate: u64::try_from(rate).unwrap_or(u64::MAX), time }
    }

    /// What happened, in words around the host.
    fn describe(&self, host: &str) -> String {
        match self {
            Self::Dns => format!("no address was found for {host}"),
            Self::Connect(reason) => format!("connecting to {host} failed ({reason})"),
            Self::ConnectTimeout => format!("connecting to {host} timed out"),
            Self::Proxy { proxy, reason } => {
                format!("connecting to {host} through the proxy {proxy} failed ({reason})")
            }
            Self::Tls(reason) => {
                format!("the TLS handshake with {host} failed ({})", readable_tls_reason(reason))
            }
            Self::Silent { time, proxy: None } => format!("{host} was silent for {}", format_seconds(*time)),
            Self::Silent { time, proxy: Some(proxy) } => {
                format!("{host} or the proxy {proxy} was silent for {}", format_seconds(*time))
            }
            Self::Slow { rate, time } => {
                format!(
                    "{host} was too slow ({rate} bytes per second on average over {})",
                    format_seconds(*time)
                )
            }
            Self::Interrupted => format!("the connection to {host} was cut"),
            Self::TooLarge { limit } => format!("{host} sent more than {limit} bytes"),
            Self::ForbiddenAddress(reason) => {
                format!("it leads to an address that is not allowed ({reason}): {host}")
            }
        }
    }
}

/// The TLS library ends some of its sentences with a name of its own, such as `NotValidYet`.
fn readable_tls_reason(reason: &str) -> String {
    // A self-signed certificate as many recipes make it.
    if reason.contains("CaUsedAsEndEntity") {
        return "the registry's certificate is itself an authority; issue one with CA:FALSE".into();
    }
    let Some((before, name)) = reason.rsplit_once(": ").filter(|(_, name)| !name.contains(' ')) else {
        return reason.to_owned();
    };
    let mut words = format!("{before}:");
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            words.push(' ');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}

/// `, 5 attempts in 71 s`; nothing when one was all.
pub(crate) fn attempts_suffix(attempts: u32, elapsed: Duration) -> String {
    if attempts < 2 {
        return String::new();
    }
    format!(", {attempts} attempts in {} s", elapsed.as_secs().max(1))
}

/// A time in whole seconds, at least one.
pub(crate) fn format_seconds(time: Duration) -> String {
    let rounded = time.as_secs().saturating_add(u64::from(time.subsec_millis() >= 500));
    format!("{} s", rounded.max(1))
}

/// A length of time as people say it, such as `3 h 10 min`.
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
    fn names_of_the_tls_library_become_words() {
        for (reason, expected) in [
            ("invalid peer certificate: UnknownIssuer", "invalid peer certificate: unknown issuer"),
            ("invalid peer certificate: NotValidYet", "invalid peer certificate: not valid yet"),
            (
                "invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))",
                "the registry's certificate is itself an authority; issue one with CA:FALSE",
            ),
            ("certificate not valid for name \"a\"", "certificate not valid for name \"a\""),
            ("received fatal alert: the name is unknown", "received fatal alert: the name is unknown"),
        ] {
            assert_eq!(readable_tls_reason(reason), expected);
        }
    }
}
