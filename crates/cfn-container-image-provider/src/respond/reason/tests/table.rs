//! The reason of every failure.

use std::collections::HashSet;
use std::time::Duration;

use image_copy::copy::Progress;
use image_copy::http::{ErrorKind, SilentHost};
use image_copy::registry::ErrorResponse;
use image_copy_aws::{InvokeError, Owner, Properties};
use serde_json::{Value, json};

use super::*;
use crate::input::Input;
use crate::settings::Settings;

/// Problems that ECR and the function's own credentials exclude.
const IMPOSSIBLE: [(Problem, Side); 8] = [
    (Problem::Missing, Side::Destination),
    (Problem::CredentialsRequired, Side::Destination),
    (Problem::CredentialsUnavailable, Side::Source),
    (Problem::PullLimit, Side::Destination),
    (Problem::Corrupt, Side::Destination),
    (Problem::InvalidResponse, Side::Destination),
    (Problem::ForbiddenAddress, Side::Destination),
    // Such a copy continues or reports the reason why it stops.
    (Problem::Deadline, Side::Source),
];

/// Returns the content of `reasons.txt`, in the order of the codes.
pub(super) fn table() -> String {
    let mut lines = Vec::new();
    for problem in PROBLEMS {
        for (side, operation) in
            [(Side::Source, Operation::ReadManifest), (Side::Destination, Operation::StartUpload)]
        {
            if IMPOSSIBLE.contains(&(problem, side)) {
                continue;
            }
            if let Some(failure) = example(problem, side, operation) {
                assert_eq!(failure.problem(), problem);
                lines.push(text(failure));
            }
        }
    }
    let subject = || DESTINATION.to_owned();
    for (operation, cause) in [
        (
            Operation::ReadSettings,
            service(
                "ecr:DescribeRepositories",
                "RepositoryNotFoundException",
                "The repository with name 'team/app' does not exist",
            ),
        ),
        (
            Operation::ReadManifest,
            service(
                "ecr:BatchGetImage",
                "AccessDeniedException",
                "User: arn:aws:sts::1:assumed-role/x is not authorized to perform: ecr:BatchGetImage on resource: y",
            ),
        ),
        (Operation::StartUpload, service("ecr:GetAuthorizationToken", "AccessDeniedException", "denied")),
        (
            Operation::WriteTag,
            service("ecr:PutImage", "ImageTagAlreadyExistsException", "the tag is immutable"),
        ),
        (Operation::WriteTag, service("ecr:PutImage", "LimitExceededException", "too many images")),
        (Operation::WriteTag, service("ecr:PutImage", "KmsException", "the key is disabled")),
        (Operation::WriteTag, throttled()),
        (
            Operation::ReadSettings,
            service("ecr:DescribeRepositories", "ExpiredTokenException", "it is expired"),
        ),
        (Operation::WriteTag, registry::Error::Protocol("the response of AWS cannot be decoded")),
        (
            Operation::WriteTag,
            service("ecr:PutImage", "ImageDigestDoesNotMatchException", "the digest does not match"),
        ),
        (
            Operation::WriteManifest,
            refusal(404, CredentialsSent::Yes, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry").into(),
        ),
    ] {
        let failure =
            copy::Failure::Registry { side: Side::Destination, operation, subject: subject(), cause };
        lines.push(text(failure));
    }
    for subject in [SOURCE, "ghcr.io/acme/app:2.1"] {
        // As after HEAD, which has no body to say why.
        let wordless = ErrorResponse { errors: Vec::new(), ..refusal(401, CredentialsSent::No, "", "") };
        let (side, operation) = (Side::Source, Operation::ReadManifest);
        let (subject, cause) = (subject.to_owned(), wordless.into());
        let failure = copy::Failure::Registry { side, operation, subject, cause };
        lines.push(text(failure));
    }
    let part_gone = copy::Failure::Registry {
        side: Side::Source,
        operation: Operation::ReadBlob,
        subject: SOURCE.to_owned(),
        cause: refusal(404, CredentialsSent::No, "BLOB_UNKNOWN", "blob unknown to registry").into(),
    };
    lines.push(text(part_gone));
    for problem in
        [Problem::CredentialsRejected, Problem::AccessDenied, Problem::Throttled, Problem::Unreachable]
    {
        // ECR as a source.
        let cause = cause(problem).unwrap();
        let (side, operation, subject) = (Side::Source, Operation::ReadManifest, subject());
        let failure = copy::Failure::Registry { side, operation, subject, cause };
        lines.push(text(failure));
    }
    let page = ErrorResponse {
        errors: Vec::new(),
        is_not_from_registry: true,
        ..refusal(404, CredentialsSent::No, "", "")
    };
    for cause in [page.into(), registry::Error::Protocol("too many redirects")] {
        let (side, operation, subject) = (Side::Source, Operation::ReadManifest, SOURCE.to_owned());
        lines.push(text(copy::Failure::Registry { side, operation, subject, cause }));
    }
    for cause in [
        network(ErrorKind::Dns, "123456789012.dkr.ecr-fips.eu-west-1.amazonaws.com"),
        service(
            "ecr:BatchGetImage",
            registry::NOT_SENT,
            "FIPS is enabled but this partition does not support FIPS",
        ),
    ] {
        let (side, operation, subject) = (Side::Destination, Operation::ReadManifest, subject());
        let failure = copy::Failure::Registry { side, operation, subject, cause };
        lines.push(text(failure));
    }
    lines.extend(secrets::lines());
    let early = copy::Failure::Deadline {
        subject: SOURCE.into(),
        progress: Progress::default(),
        elapsed: Duration::from_secs(48),
        silent_host: None,
    };
    lines.push(text(early.clone()));
    let time = Duration::from_secs(30);
    for side in [Side::Source, Side::Destination] {
        let silent = copy::Failure::Deadline {
            subject: SOURCE.into(),
            progress: Progress::default(),
            elapsed: Duration::from_secs(48),
            silent_host: Some((side, SilentHost { host: "registry.example".into(), time })),
        };
        lines.push(text(silent));
        for kind in [ErrorKind::Silent { time, proxy: None }, ErrorKind::Slow { rate: 35, time }] {
            let operation = if side == Side::Source { Operation::ReadBlob } else { Operation::SendBlob };
            let subject = if side == Side::Source { SOURCE } else { DESTINATION }.to_owned();
            let cause = network(kind, "registry.example");
            lines.push(text(copy::Failure::Registry { side, operation, subject, cause }));
        }
    }
    for failure in [
        Failure::NotDeleted(Box::new(NotDeleted {
            image: subject(),
            cause: service("ecr:DescribeImages", "AccessDeniedException", "denied"),
        })),
        Failure::NotDeleted(Box::new(NotDeleted {
            image: subject(),
            cause: network(
                ErrorKind::Silent { time: Duration::from_secs(30), proxy: None },
                "api.ecr.eu-west-1.amazonaws.com",
            ),
        })),
        stopped(StopReason::BlobTooLarge { digest: Digest::of(b"a"), size: 70 << 20, transferred: 20 << 20 }),
        stopped(StopReason::NoProgress),
        stopped(StopReason::ServiceTimeout { allowed: 300 }),
        stopped(StopReason::InvocationLimit(10)),
        stopped(StopReason::InvokeFailed(InvokeError::AccessDenied { code: "AccessDeniedException".into() })),
        stopped(StopReason::InvokeFailed(InvokeError::Failed("no response in time".into()))),
        invocation(FailureCause::TimedOut("900.00 seconds".into()), 3),
        invocation(FailureCause::Killed, 3),
        invocation(FailureCause::Exited("exit status 1".into()), 3),
        invocation(
            FailureCause::ResponseNotSent(
                "sending the response to bucket.s3.amazonaws.com failed: HTTP 503 (attempts: 7)".into(),
            ),
            1,
        ),
        invocation(
            FailureCause::ResponseNotSent(
                "sending the response to bucket.s3.amazonaws.com failed: operation timed out (attempts: 7)"
                    .into(),
            ),
            1,
        ),
        invocation(FailureCause::EventAgeExceeded, 0),
        invocation(FailureCause::Error("Runtime.Unknown: because".into()), 2),
        Failure::TimeRanOut { seconds: 889 },
        Failure::Panic,
        Failure::Superseded,
        Failure::AgeUnknown { state: StateUse::Off },
        Failure::AgeUnknown { state: StateUse::Unavailable },
        Failure::TagBusy { image: subject() },
        Failure::LeaseEnded { image: subject() },
        Failure::OtherOwner {
            image: subject(),
            other: Owner::of_resource(
                "arn:aws:cloudformation:eu-west-1:123456789012:stack/images/7c9e6679-7425-40de-944b-e07fc1f90ae7",
                "Python",
            ),
            digest: Digest::of(b"other"),
            owner: Owner::named("nightly"),
        },
        not_allowed("docker.io/library quay.io/prometheus", "libary/nginx:1.27"),
        Failure::Setting(setting("REGISTRY_CREDENTIALS", "quay.io=quay-login")),
        Failure::Setting(setting("ALLOWED_SOURCES", "docker.io/*/x")),
        Failure::Setting(setting("CA_BUNDLE", "/opt/missing.pem")),
        Failure::Setting(setting("AWS_USE_FIPS_ENDPOINT", "yes")),
        property(json!({})),
        property(json!({"ImageReference": "nginx"})),
        property(json!({"ImageReference": "nginx", "RepositoryArn": "team/app"})),
        property(json!({"ImageReference": "nginx", "Tagg": "1",
            "RepositoryArn": "arn:aws:ecr:eu-west-1:123456789012:repository/team/app"})),
        property(json!({"ImageReference": "nginx", "CredentialArn": "hub/login",
            "RepositoryArn": "arn:aws:ecr:eu-west-1:123456789012:repository/team/app"})),
    ] {
        let text = reason(&failure, MoreTime::None, REQUEST);
        assert_eq!(code(&failure), format!("CI-{}", code_of(&text)));
        lines.push(text);
    }
    for (failure, more_time) in [
        (stopped(StopReason::NoProgress), MoreTime::FunctionTimeout),
        (stopped(StopReason::ServiceTimeout { allowed: 300 }), MoreTime::ServiceTimeout),
        (Failure::Copy(Box::new(early.clone())), MoreTime::FunctionTimeout),
        (Failure::Copy(Box::new(early)), MoreTime::ServiceTimeout),
    ] {
        lines.push(reason(&failure, more_time, REQUEST));
    }
    lines.extend(refresh::lines());
    lines.push(reason(&unreadable_event(), MoreTime::None, REQUEST));
    lines.iter().for_each(|line| assert_one_short_line(line));
    lines.sort_by(|a, b| (code_of(a), a).cmp(&(code_of(b), b)));
    lines.dedup();
    let without_code: HashSet<&str> = lines.iter().map(|line| line.rsplit_once(" (CI-").unwrap().0).collect();
    assert_eq!(without_code.len(), lines.len(), "two codes have the same text");
    lines.join("\n") + "\n"
}

fn stopped(reason: StopReason) -> Failure {
    let failure = example(Problem::Deadline, Side::Source, Operation::ReadBlob).unwrap();
    Failure::Stopped { failure: Box::new(failure), reason }
}

fn unreadable_event() -> Failure {
    let event = json!({"RequestType": "Destroy", "ResponseURL": "https://bucket.example/"});
    let Ok(Input::CloudFormation(event)) = Input::read(event) else { panic!("not an event") };
    Failure::Event(event.operation.unwrap_err())
}

fn invocation(cause: FailureCause, attempts: u64) -> Failure {
    Failure::Invocation(InvocationFailure { cause, attempts })
}

fn setting(name: &str, value: &str) -> String {
    let settings = Settings::read(|asked| (asked == name).then(|| value.to_owned()));
    settings.copy.unwrap_err()
}

fn not_allowed(allowed: &str, source: &str) -> Failure {
    let settings = Settings::read(|asked| (asked == "ALLOWED_SOURCES").then(|| allowed.to_owned()));
    let allowed = settings.copy.unwrap().allowed_sources;
    Failure::SourceNotAllowed(allowed.check(&source.parse().unwrap()).unwrap_err())
}

fn property(properties: Value) -> Failure {
    let default = copy::PlatformSelection::All;
    Failure::Property(Properties::parse(&properties, &Value::Null, &default).unwrap_err())
}
