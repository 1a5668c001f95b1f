//! Failures in one line: the step, the registry's own words, the attempts, and the state of the tag.
//! Front ends add their advice.

use std::fmt;

use super::amounts::{list, share};
use super::error::{Failure, Operation, Side};
use crate::http;
use crate::registry::{CredentialsSent, Error, ErrorResponse};

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary())
    }
}

impl std::error::Error for Failure {}

impl Failure {
    /// Returns the failure in one line without advice. It ends with a full stop or an ellipsis.
    #[must_use]
    pub fn summary(&self) -> String {
        match self {
            Self::Registry { side, operation, subject, cause } => {
                format!("{}: {}.", what(*side, *operation, subject, cause), why(subject, cause))
            }
            Self::NoPlatform { subject, wanted, available } if available.is_empty() => {
                format!("source {subject} has no image for platform {wanted}; it lists no platforms at all.")
            }
            Self::NoPlatform { subject, wanted, available } => {
                format!("source {subject} has no image for platform {wanted}; it has {}.", list(available))
            }
            Self::TagImmutable { subject, existing, wanted } => format!(
                "destination tag {subject} already names another image ({}) and the repository's tags are immutable (TAG_INVALID); the source is {}.",
                existing.short(),
                wanted.short()
            ),
            Self::NotStorable { subject, reason } => {
                format!("source {subject} cannot be stored at the destination: {reason}; nothing was copied.")
            }
            Self::ImageLimitExceeded { subject, limit } => {
                format!("source {subject} is not an image that can be copied: it has {limit}.")
            }
            Self::ForeignLayer { subject, layer, platform, cause } => {
                let image =
                    platform.as_ref().map_or("the image".into(), |one| format!("the image for {one}"));
                format!(
                    "destination {subject} rejected {image} without its layer {}, which may not be distributed and which the source does not have: {cause}.",
                    layer.short()
                )
            }
            Self::Deadline { subject, progress, elapsed, silent_host } => {
                let time =
                    format!("time ran out after {} s{}", elapsed.as_secs(), silent(silent_host.as_ref()));
                match progress.blobs {
                    0 => format!(
                        "{time}, before it was known what of source {subject} had to be copied; the tag was not written."
                    ),
                    _ => format!(
                        "{time}: {} of source {subject} were copied and the tag was not written.",
                        share(progress)
                    ),
                }
            }
        }
    }
}

/// ` (the source's host cdn.example was silent for the last 40 s)`
fn silent(silent_host: Option<&(Side, http::SilentHost)>) -> String {
    let Some((side, http::SilentHost { host, time })) = silent_host else { return String::new() };
    let side = match side {
        Side::Source => "source",
        Side::Destination => "destination",
    };
    format!(" (the {side}'s host {host} was silent for the last {})", http::format_seconds(*time))
}

fn what(side: Side, operation: Operation, subject: &str, cause: &Error) -> String {
    use http::ErrorKind;
    let unreached = matches!(cause, Error::Http(http::Error { kind, .. })
        if matches!(kind, ErrorKind::Dns | ErrorKind::Connect(_) | ErrorKind::ConnectTimeout | ErrorKind::Proxy { .. } | ErrorKind::Tls(_)));
    let refused =
        matches!(cause, Error::ErrorResponse(_) | Error::AuthorizationExpired(_) | Error::Service { .. });
    match (side, operation) {
        (Side::Source, _) if unreached => format!("source {subject} cannot be reached"),
        (Side::Source, _) => format!("source {subject} cannot be read"),
        (Side::Destination, _) if unreached => format!("destination {subject} cannot be reached"),
        (
            Side::Destination,
            Operation::ReadSettings
            | Operation::ReadManifest
            | Operation::ReadChildManifest
            | Operation::CheckBlobs
            | Operation::ReadBlob,
        ) => format!("destination {subject} cannot be read"),
        (Side::Destination, Operation::StartUpload | Operation::SendBlob | Operation::WriteManifest) => {
            let what = if refused { "refused the push" } else { "cannot be written" };
            format!("destination {subject} {what}")
        }
        (Side::Destination, Operation::WriteTag) => {
            let what = if refused { "refused the tag" } else { "cannot be given its tag" };
            format!("destination {subject} {what}")
        }
    }
}

fn why(subject: &str, cause: &Error) -> String {
    match cause {
        Error::ErrorResponse(refusal) | Error::AuthorizationExpired(refusal) => {
            let is_hub = subject.starts_with("docker.io/");
            let note = match refusal.status {
                401 if is_hub && refusal.credentials != CredentialsSent::Yes => {
                    "; Docker Hub says this also of repositories that do not exist"
                }
                429 if is_hub && !refusal.is_pull_limit() => {
                    "; this is not the limit on pulls, but the one on requests of any kind in a minute"
                }
                _ => "",
            };
            format!("{refusal}{}{note}", allowance(refusal))
        }
        other => other.to_string(),
    }
}

/// ` (0 of 100 left for 203.0.113.7 in each 6 h)`
fn allowance(refusal: &ErrorResponse) -> String {
    let Some(limit) = refusal.rate_limit.as_ref().filter(|_| refusal.is_pull_limit()) else {
        return match refusal.retry_after {
            Some(pause) if refusal.status == 429 => {
                format!(" (it asks to wait {})", http::format_duration(pause))
            }
            _ => String::new(),
        };
    };
    let mut text = format!(" ({limit}");
    match refusal.retry_after.filter(|_| limit.reset.is_none()) {
        Some(pause) => text += &format!(", resets in {})", http::format_duration(pause)),
        None => text += ")",
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::progress::Progress;
    use super::*;
    use crate::registry::{ErrorEntry, RateLimit};

    fn refusal(status: u16, code: &str, message: &str) -> ErrorResponse {
        ErrorResponse {
            status,
            errors: vec![ErrorEntry { code: code.into(), message: message.into(), detail: "".into() }],
            request: "GET /v2/x".into(),
            credentials: CredentialsSent::No,
            is_not_from_registry: false,
            rate_limit: None,
            retry_after: None,
            attempts: 1,
            elapsed: Duration::ZERO,
        }
    }

    #[track_caller]
    fn check(side: Side, operation: Operation, cause: Error, expected: &str) {
        let subject = "docker.io/library/nginx:1.27".to_owned();
        assert_eq!(Failure::Registry { side, operation, subject, cause }.summary(), expected);
    }

    #[test]
    fn says_what_and_why_in_the_registrys_words() {
        let limit = RateLimit {
            limit: Some(100),
            remaining: Some(0),
            window: Some(Duration::from_secs(21600)),
            reset: None,
            source: Some("203.0.113.7".into()),
        };
        let message = "You have reached your unauthenticated pull rate limit";
        let limited = ErrorResponse {
            rate_limit: Some(limit),
            retry_after: Some(Duration::from_secs(11400)),
            ..refusal(429, "TOOMANYREQUESTS", message)
        };
        check(
            Side::Source,
            Operation::ReadManifest,
            limited.into(),
            "source docker.io/library/nginx:1.27 cannot be read: registry says 429 TOOMANYREQUESTS \"You have reached your unauthenticated pull rate limit\" (0 of 100 left for 203.0.113.7 in each 6 h, resets in 3 h 10 min).",
        );
        let timeout = http::Error {
            kind: http::ErrorKind::ConnectTimeout,
            host: "registry-1.docker.io:443".into(),
            attempts: 5,
            elapsed: Duration::from_secs(71),
        };
        check(
            Side::Source,
            Operation::ReadBlob,
            timeout.into(),
            "source docker.io/library/nginx:1.27 cannot be reached: connecting to registry-1.docker.io:443 timed out, 5 attempts in 71 s.",
        );
        let tried =
            ErrorResponse { attempts: 3, elapsed: Duration::from_secs(9), ..refusal(502, "", "Bad Gateway") };
        check(
            Side::Destination,
            Operation::SendBlob,
            tried.into(),
            "destination docker.io/library/nginx:1.27 refused the push: registry says 502 \"Bad Gateway\", 3 attempts in 9 s.",
        );
    }

    #[test]
    fn tells_the_limit_on_pulls_from_the_one_on_requests() {
        let busy = ErrorResponse {
            retry_after: Some(Duration::from_secs(60)),
            ..refusal(429, "", "Too Many Requests")
        };
        check(
            Side::Source,
            Operation::ReadManifest,
            busy.into(),
            "source docker.io/library/nginx:1.27 cannot be read: registry says 429 \"Too Many Requests\" (it asks to wait 1 min); this is not the limit on pulls, but the one on requests of any kind in a minute.",
        );
        let limit = RateLimit {
            limit: Some(100),
            remaining: Some(3),
            window: Some(Duration::from_secs(21600)),
            reset: None,
            source: Some("203.0.113.7".into()),
        };
        check(
            Side::Source,
            Operation::ReadManifest,
            Error::TooFewPulls { needed: 9, limit },
            "source docker.io/library/nginx:1.27 cannot be read: pulls needed: 9, one for each manifest; 3 of 100 left for 203.0.113.7 in each 6 h.",
        );
    }

    #[test]
    fn a_proxy_that_is_down_is_not_taken_for_the_registry() {
        let kind = http::ErrorKind::Proxy {
            proxy: "proxy.example:3128 (HTTPS_PROXY)".into(),
            reason: "Connection refused".into(),
        };
        let host = "registry-1.docker.io".into();
        let down = http::Error { kind, host, attempts: 5, elapsed: Duration::from_secs(7) };
        check(
            Side::Source,
            Operation::ReadManifest,
            down.into(),
            "source docker.io/library/nginx:1.27 cannot be reached: connecting to registry-1.docker.io through the proxy proxy.example:3128 (HTTPS_PROXY) failed (Connection refused), 5 attempts in 7 s.",
        );
    }

    #[test]
    fn tells_the_progress_when_time_ran_out() {
        let progress = Progress {
            blobs: 22,
            present: 10,
            copied: 7,
            bytes: 98 << 30,
            bytes_present: 41 << 30,
            bytes_copied: 20 << 30,
            ..Progress::default()
        };
        let failure = |silent_host| Failure::Deadline {
            subject: "public.ecr.aws/acme/cuda:12".into(),
            progress,
            elapsed: Duration::from_secs(870),
            silent_host,
        };
        assert_eq!(
            failure(None).summary(),
            "time ran out after 870 s: 17 of 22 blobs (61.0 of 98.0 GiB) of source public.ecr.aws/acme/cuda:12 were copied and the tag was not written."
        );
        let silent_host = http::SilentHost { host: "cdn.example".into(), time: Duration::from_secs(40) };
        assert_eq!(
            failure(Some((Side::Source, silent_host))).summary(),
            "time ran out after 870 s (the source's host cdn.example was silent for the last 40 s): 17 of 22 blobs (61.0 of 98.0 GiB) of source public.ecr.aws/acme/cuda:12 were copied and the tag was not written."
        );
    }

    #[test]
    fn names_silence_and_slowness_with_host_and_time() {
        let time = Duration::from_secs(30);
        for (kind, expected) in [
            (http::ErrorKind::Silent { time, proxy: None }, "cdn.example was silent for 30 s"),
            (
                http::ErrorKind::Silent { time, proxy: Some("proxy.example:3128".into()) },
                "cdn.example or the proxy proxy.example:3128 was silent for 30 s",
            ),
            (
                http::ErrorKind::Slow { rate: 12, time },
                "cdn.example was too slow (12 bytes per second on average over 30 s)",
            ),
        ] {
            let error = http::Error {
                kind,
                host: "cdn.example".into(),
                attempts: 2,
                elapsed: Duration::from_secs(61),
            };
            let expected = format!(
                "source docker.io/library/nginx:1.27 cannot be read: {expected}, 2 attempts in 61 s."
            );
            check(Side::Source, Operation::ReadBlob, error.into(), &expected);
        }
    }
}
