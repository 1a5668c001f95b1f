//! Summaries of failures.

use std::time::Duration;

use super::super::progress::Progress;
use super::*;
use crate::registry::{CredentialsSent, ErrorEntry, RateLimit};

fn response(status: u16, code: &str, message: &str) -> ErrorResponse {
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
fn contains_effect_and_reason() {
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
        ..response(429, "TOOMANYREQUESTS", message)
    };
    check(
        Side::Source,
        Operation::ReadManifest,
        limited.into(),
        "Image docker.io/library/nginx:1.27 could not be read: Docker Hub returned 429 TOOMANYREQUESTS \"You have reached your unauthenticated pull rate limit\" (0 of 100 pulls left for 203.0.113.7 per 6 h, resets in 3 h 10 min).",
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
        "Image docker.io/library/nginx:1.27 could not be read: connecting to registry-1.docker.io:443 timed out, 5 attempts in 71 s.",
    );
    let tried =
        ErrorResponse { attempts: 3, elapsed: Duration::from_secs(9), ..response(502, "", "Bad Gateway") };
    check(
        Side::Destination,
        Operation::SendBlob,
        tried.into(),
        "Image docker.io/library/nginx:1.27 could not be pushed: Docker Hub returned 502 \"Bad Gateway\", 3 attempts in 9 s.",
    );
}

#[test]
fn a_failed_creation_names_the_repository() {
    let cause = || Error::Service {
        service: "ecr:PutLifecyclePolicy".into(),
        code: "InvalidParameterException".into(),
        message: "no".into(),
        attempts: 1,
        elapsed: Duration::ZERO,
    };
    for (operation, expected) in [
        (Operation::CreateRepository, "could not be created"),
        (Operation::SetRepositoryPolicy, "was created, but a policy could not be set"),
    ] {
        let expected = format!(
            "Repository docker.io/library/nginx {expected}: ecr:PutLifecyclePolicy returned InvalidParameterException \"no\"."
        );
        check(Side::Destination, operation, cause(), &expected);
    }
}

#[test]
fn distinguishes_pull_limit_and_request_limit() {
    let busy = ErrorResponse {
        retry_after: Some(Duration::from_secs(60)),
        ..response(429, "", "Too Many Requests")
    };
    check(
        Side::Source,
        Operation::ReadManifest,
        busy.into(),
        "Image docker.io/library/nginx:1.27 could not be read: Docker Hub returned 429 \"Too Many Requests\" (retry after 1 min); this is its limit on requests, not on pulls.",
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
        "Image docker.io/library/nginx:1.27 could not be read: pulls required: 9, one per manifest; 3 of 100 pulls left for 203.0.113.7 per 6 h.",
    );
}

#[test]
fn names_an_unreachable_proxy() {
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
        "Image docker.io/library/nginx:1.27 could not be read: connecting to registry-1.docker.io through the proxy proxy.example:3128 (HTTPS_PROXY) failed (Connection refused), 5 attempts in 7 s.",
    );
}

#[test]
fn a_missed_deadline_contains_the_progress() {
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
        "Time ran out after 870 s: 17 of 22 blobs (61.0 of 98.0 GiB) of image public.ecr.aws/acme/cuda:12 were copied. The tag was not written."
    );
    let silent_host = http::SilentHost { host: "cdn.example".into(), time: Duration::from_secs(40) };
    assert_eq!(
        failure(Some((Side::Source, silent_host))).summary(),
        "Time ran out after 870 s (source host cdn.example sent nothing for the last 40 s): 17 of 22 blobs (61.0 of 98.0 GiB) of image public.ecr.aws/acme/cuda:12 were copied. The tag was not written."
    );
}

#[test]
fn names_silent_and_slow_hosts_with_the_time() {
    let time = Duration::from_secs(30);
    for (kind, expected) in [
        (http::ErrorKind::Silent { time, proxy: None }, "cdn.example sent nothing for 30 s"),
        (
            http::ErrorKind::Silent { time, proxy: Some("proxy.example:3128".into()) },
            "cdn.example or the proxy proxy.example:3128 sent nothing for 30 s",
        ),
        (
            http::ErrorKind::Slow { rate: 12, time },
            "cdn.example was too slow (12 bytes per second on average over 30 s)",
        ),
    ] {
        let error =
            http::Error { kind, host: "cdn.example".into(), attempts: 2, elapsed: Duration::from_secs(61) };
        let expected =
            format!("Image docker.io/library/nginx:1.27 could not be read: {expected}, 2 attempts in 61 s.");
        check(Side::Source, Operation::ReadBlob, error.into(), &expected);
    }
}
