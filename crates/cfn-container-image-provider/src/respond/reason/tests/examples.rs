//! An example of every problem, at every step of a copy.

use std::time::Duration;

use image_copy::copy::{self, ImageLimit, Operation, Problem, Progress, Side};
use image_copy::customize::CustomizationError;
use image_copy::http::{self, ErrorKind};
use image_copy::oci::{Digest, ManifestError};
use image_copy::registry::{self, CredentialsSent, ErrorEntry, ErrorResponse, RateLimit};

use super::{DESTINATION, SOURCE};

pub(super) const PROBLEMS: [Problem; 23] = [
    Problem::Missing,
    Problem::CredentialsRequired,
    Problem::CredentialsRejected,
    Problem::AccessDenied,
    Problem::CredentialsUnavailable,
    Problem::PullLimit,
    Problem::Throttled,
    Problem::Unreachable,
    Problem::ProxyUnreachable,
    Problem::CertificateRejected,
    Problem::Interrupted,
    Problem::ServerError,
    Problem::Corrupt,
    Problem::InvalidResponse,
    Problem::ForbiddenAddress,
    Problem::Rejected,
    Problem::NoPlatform,
    Problem::TagImmutable,
    Problem::NotStorable,
    Problem::ImageLimitExceeded,
    Problem::ForeignLayer,
    Problem::NotCustomizable,
    Problem::Deadline,
];

pub(super) const OPERATIONS: [Operation; 9] = [
    Operation::ReadSettings,
    Operation::ReadManifest,
    Operation::ReadChildManifest,
    Operation::CheckBlobs,
    Operation::ReadBlob,
    Operation::StartUpload,
    Operation::SendBlob,
    Operation::WriteManifest,
    Operation::WriteTag,
];

pub(super) fn refusal(status: u16, credentials: CredentialsSent, code: &str, message: &str) -> ErrorResponse {
    ErrorResponse {
        status,
        errors: vec![ErrorEntry { code: code.into(), message: message.into(), detail: "".into() }],
        request: "GET /v2/x".into(),
        credentials,
        is_not_from_registry: false,
        rate_limit: None,
        retry_after: None,
        attempts: 1,
        elapsed: Duration::ZERO,
    }
}

pub(super) fn network(kind: ErrorKind, host: &str) -> registry::Error {
    http::Error { kind, host: host.into(), attempts: 5, elapsed: Duration::from_secs(71) }.into()
}

pub(super) fn service(name: &str, code: &str, message: &str) -> registry::Error {
    registry::Error::Service {
        service: name.into(),
        code: code.into(),
        message: message.into(),
        attempts: 1,
        elapsed: Duration::ZERO,
    }
}

/// Error of ECR after throttling until the deadline.
pub(super) fn throttled() -> registry::Error {
    registry::Error::Service {
        service: "ecr:PutImage".into(),
        code: "ThrottlingException".into(),
        message: "Rate exceeded".into(),
        attempts: 41,
        elapsed: Duration::from_secs(212),
    }
}

/// A cause for each problem that a registry or the network can make.
pub(super) fn cause(problem: Problem) -> Option<registry::Error> {
    let (digest, host) = (Digest::of(b"a"), "registry.example:443");
    let refused = |status, login, code, message| Some(Box::new(refusal(status, login, code, message)));
    let refused = match problem {
        Problem::Missing => refused(404, CredentialsSent::No, "MANIFEST_UNKNOWN", "manifest unknown"),
        Problem::CredentialsRequired => {
            refused(401, CredentialsSent::No, "UNAUTHORIZED", "authentication required")
        }
        Problem::CredentialsRejected => refused(401, CredentialsSent::Yes, "UNAUTHORIZED", "bad credentials"),
        Problem::AccessDenied => refused(403, CredentialsSent::Yes, "DENIED", "not allowed"),
        Problem::Throttled => refused(429, CredentialsSent::Yes, "TOOMANYREQUESTS", "Rate exceeded"),
        Problem::ServerError => refused(502, CredentialsSent::Yes, "", "Bad Gateway"),
        Problem::Rejected => refused(405, CredentialsSent::Yes, "UNSUPPORTED", "Invalid parameter"),
        Problem::PullLimit => {
            let limit = RateLimit {
                limit: Some(100),
                remaining: Some(0),
                window: Some(Duration::from_secs(21600)),
                reset: None,
                source: Some("203.0.113.7".into()),
            };
            let message = "You have reached your unauthenticated pull rate limit";
            let refusal = refusal(429, CredentialsSent::No, "TOOMANYREQUESTS", message);
            Some(Box::new(ErrorResponse {
                rate_limit: Some(limit),
                retry_after: Some(Duration::from_secs(11400)),
                ..refusal
            }))
        }
        _ => None,
    };
    if let Some(refused) = refused {
        return Some(registry::Error::ErrorResponse(refused));
    }
    Some(match problem {
        Problem::CredentialsUnavailable => {
            registry::Error::Credentials("AWS credentials cannot be loaded (\"timed out\")".into())
        }
        Problem::Unreachable => network(ErrorKind::ConnectTimeout, host),
        Problem::ProxyUnreachable => network(
            ErrorKind::Proxy {
                proxy: "proxy.internal:3128 (HTTPS_PROXY)".into(),
                reason: "connection refused".into(),
            },
            host,
        ),
        Problem::CertificateRejected => {
            network(ErrorKind::Tls("invalid peer certificate: UnknownIssuer".into()), host)
        }
        Problem::Interrupted => network(ErrorKind::Interrupted, host),
        Problem::ForbiddenAddress => network(ErrorKind::ForbiddenAddress("link-local"), host),
        Problem::Corrupt => registry::Error::DigestMismatch { expected: digest, actual: Digest::of(b"b") },
        Problem::InvalidResponse => ManifestError::DockerSchema1.into(),
        _ => return None,
    })
}

/// An example of the problem at this side; none where it is always the other's.
pub(super) fn example(problem: Problem, side: Side, operation: Operation) -> Option<copy::Failure> {
    use copy::Failure;
    let subject = if side == Side::Source { SOURCE } else { DESTINATION }.to_owned();
    let (arm, amd) = ("linux/arm64".parse().unwrap(), "linux/amd64".parse().unwrap());
    let failure = match problem {
        Problem::NoPlatform => Failure::NoPlatform { subject, wanted: arm, available: vec![amd] },
        Problem::TagImmutable => {
            Failure::TagImmutable { subject, existing: Digest::of(b"a"), wanted: Digest::of(b"b") }
        }
        Problem::NotStorable => {
            Failure::NotStorable { subject, reason: "ECR does not store images without layers".into() }
        }
        Problem::ImageLimitExceeded => Failure::ImageLimitExceeded { subject, limit: ImageLimit::Manifests },
        Problem::ForeignLayer => Failure::ForeignLayer {
            subject,
            layer: Digest::of(b"a"),
            platform: Some("windows/amd64".parse().unwrap()),
            cause: refusal(404, CredentialsSent::Yes, "BLOB_UNKNOWN", "blob unknown to registry").into(),
        },
        Problem::NotCustomizable => Failure::NotCustomizable {
            subject,
            platform: Some("windows/amd64".parse().unwrap()),
            cause: CustomizationError {
                line: None,
                problem: "its config is not supported: it is not for Linux".into(),
            },
        },
        Problem::Deadline => {
            let progress = Progress {
                blobs: 22,
                present: 10,
                copied: 7,
                bytes: 98,
                bytes_present: 41,
                bytes_copied: 20,
                ..Progress::default()
            };
            Failure::Deadline { subject, progress, elapsed: Duration::from_secs(870), silent_host: None }
        }
        _ => Failure::Registry { side, operation, subject, cause: cause(problem).unwrap() },
    };
    (failure.side() == side).then_some(failure)
}
