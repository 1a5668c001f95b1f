//! Tests of printed texts.

use super::*;
use crate::scan::Evidence;
use crate::{auth_files, child_process};
use image_copy::copy::{ImageLimit, PlatformSelection, Problem, Progress, ReferrerCounts};
use image_copy::customize::Customization;
use image_copy::http;
use image_copy::oci::{Digest, Reference};
use image_copy::registry::{CredentialsSent, ErrorEntry, ErrorResponse};

fn error_response(status: u16, code: &str, message: &str, credentials: CredentialsSent) -> registry::Error {
    registry::Error::from(ErrorResponse {
        status,
        errors: vec![ErrorEntry { code: code.into(), message: message.into(), detail: "".into() }],
        request: "GET /v2/acme/app/manifests/2.1".into(),
        credentials,
        is_not_from_registry: false,
        rate_limit: None,
        retry_after: None,
        attempts: 1,
        elapsed: Duration::ZERO,
    })
}

fn connection_error(kind: http::ErrorKind) -> registry::Error {
    let host = "registry.example:443".into();
    registry::Error::Http(http::Error { kind, host, attempts: 5, elapsed: Duration::from_secs(71) })
}

fn at(side: Side, operation: Operation, cause: registry::Error) -> Failure {
    Failure::Registry { side, operation, subject: "registry.example/acme/app:2.1".into(), cause }
}

fn source(cause: registry::Error) -> Failure {
    at(Side::Source, Operation::ReadManifest, cause)
}

/// Returns one failure of each kind, most of them at the source.
fn failures() -> Vec<Failure> {
    let subject = || "registry.example/acme/app:2.1".to_owned();
    let digest = |fill: &[u8]| Digest::of(fill);
    let (yes, no) = (CredentialsSent::Yes, CredentialsSent::No);
    vec![
        source(error_response(404, "MANIFEST_UNKNOWN", "manifest unknown", no)),
        at(
            Side::Destination,
            Operation::StartUpload,
            error_response(404, "NAME_UNKNOWN", "no such repository", yes),
        ),
        source(error_response(401, "UNAUTHORIZED", "authentication required", no)),
        source(error_response(401, "UNAUTHORIZED", "authentication required", yes)),
        source(error_response(403, "DENIED", "no", yes)),
        at(Side::Destination, Operation::StartUpload, error_response(403, "DENIED", "no", yes)),
        source(registry::Error::Credentials("credentials file /h cannot be read".into())),
        source(error_response(429, "TOOMANYREQUESTS", "You have reached your pull rate limit", no)),
        source(error_response(429, "TOOMANYREQUESTS", "slow down", no)),
        source(connection_error(http::ErrorKind::Dns)),
        source(connection_error(http::ErrorKind::Proxy { proxy: "p:1".into(), reason: "refused".into() })),
        source(connection_error(http::ErrorKind::Tls("unknown issuer".into()))),
        at(Side::Destination, Operation::SendBlob, connection_error(http::ErrorKind::Interrupted)),
        source(error_response(502, "", "Bad Gateway", no)),
        source(registry::Error::DigestMismatch { expected: digest(b"a"), actual: digest(b"b") }),
        source(registry::Error::Protocol("there is no Location")),
        source(connection_error(http::ErrorKind::ForbiddenAddress("link-local"))),
        source(error_response(400, "NAME_INVALID", "invalid name", no)),
        at(Side::Destination, Operation::WriteManifest, error_response(400, "MANIFEST_INVALID", "bad", yes)),
        at(Side::Destination, Operation::SendBlob, error_response(400, "SIZE_INVALID", "bad", yes)),
        Failure::NoPlatform {
            subject: subject(),
            wanted: "linux/arm64".parse().unwrap(),
            available: vec!["linux/amd64".parse().unwrap()],
        },
        Failure::TagImmutable { subject: subject(), existing: digest(b"a"), wanted: digest(b"b") },
        Failure::NotStorable { subject: subject(), reason: "it is too large".into() },
        Failure::ImageLimitExceeded { subject: subject(), limit: ImageLimit::Manifests },
        Failure::ForeignLayer {
            subject: subject(),
            layer: digest(b"a"),
            platform: Some("windows/amd64".parse().unwrap()),
            cause: error_response(400, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry", yes),
        },
        Failure::NotCustomizable {
            subject: subject(),
            platform: None,
            cause: Customization::parse("RUN apt-get update").unwrap_err(),
        },
        Failure::Deadline {
            subject: subject(),
            progress: Progress::default(),
            elapsed: Duration::ZERO,
            silent_host: None,
        },
    ]
}

#[test]
fn every_failure_is_one_short_line_with_a_hint() {
    let mut seen = std::collections::BTreeSet::new();
    for failure in failures() {
        let text = line(&failure);
        assert!(!text.contains('\n') && text.chars().count() <= MAX_LINE_CHARS, "{text}");
        assert!(text.starts_with(&failure.summary()), "{text}");
        assert!(text.ends_with(&format!(". ({})", failure.code())), "{text}");
        assert!(text.len() > failure.summary().len() + " (CI-001)".len() + 20, "{text}");
        seen.insert(failure.problem());
    }
    // `Deadline` is the last variant of `Problem`, so its number is the number of kinds.
    assert_eq!(seen.len(), Problem::Deadline as usize + 1, "{seen:?}");
}

fn line(failure: &Failure) -> String {
    failure_line(failure, &ConnectionArgs::default(), "SOURCE")
}

#[test]
fn hints_do_not_repeat_given_options() {
    let failure = source(connection_error(http::ErrorKind::Tls("unknown issuer".into())));
    let with_certificate = || ConnectionArgs { ca_file: Some("ca.pem".into()), ..Default::default() };
    let options =
        ConnectionArgs { plain_http: vec!["registry.example".parse().unwrap()], ..with_certificate() };
    let text = failure_line(&failure, &options, "SOURCE");
    assert!(
        text.ends_with("Check that the file in --ca-file contains the CA certificate of the host. (CI-017)"),
        "{text}"
    );
    let text = failure_line(&failure, &with_certificate(), "SOURCE");
    assert!(text.ends_with("if it has no TLS, add --plain-http registry.example. (CI-017)"), "{text}");
    let text = failure_line(
        &source(error_response(
            400,
            "",
            "Client sent an HTTP request to an HTTPS server.",
            CredentialsSent::No,
        )),
        &options,
        "SOURCE",
    );
    assert!(
        text.ends_with("Remove --plain-http registry.example, because the registry uses TLS. (CI-025)"),
        "{text}"
    );
}

#[test]
fn hints_at_a_new_certificate_if_no_option_helps() {
    let reason = "invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))";
    let failure = source(connection_error(http::ErrorKind::Tls(reason.into())));
    let hint = " Install a server certificate (CA:FALSE) in the registry, and pass the certificate of its issuer in --ca-file. (CI-017)";
    for ca_file in [None, Some("ca.pem".into())] {
        let text = failure_line(&failure, &ConnectionArgs { ca_file, ..Default::default() }, "SOURCE");
        assert!(text.ends_with(hint), "{text}");
    }
    let one = unresolved::Unresolved::new(&failure, "a/b:1".into(), Evidence::Field, vec!["a:1".into()]);
    let text = one.line(&ConnectionArgs::default());
    assert!(text.ends_with(&format!("Found in a:1.{hint}")), "{text}");
}

#[test]
fn distinguishes_a_failed_proxy_from_a_failed_registry() {
    let proxy = "proxy.example:3128 (HTTPS_PROXY)".to_owned();
    let text = line(&source(connection_error(http::ErrorKind::Proxy {
        proxy,
        reason: "Connection refused".into(),
    })));
    assert!(text.contains("through the proxy proxy.example:3128 (HTTPS_PROXY) failed"), "{text}");
    assert!(text.contains("Check the proxy"), "{text}");
    let kind = http::ErrorKind::Proxy { proxy: "p:1 (HTTPS_PROXY)".into(), reason: "refused".into() };
    let failure = source(connection_error(kind));
    let one = unresolved::Unresolved::new(&failure, "a/b:1".into(), Evidence::Field, vec!["a:1".into()]);
    let text = one.line(&ConnectionArgs::default());
    assert!(text.contains("through the proxy p:1 (HTTPS_PROXY) failed (refused)"), "{text}");
    assert!(
        text.ends_with(
            "Found in a:1. Check the proxy and its connection to the host, or add the host to NO_PROXY. (CI-016)"
        ),
        "{text}"
    );
}

#[test]
fn distinguishes_a_missing_program_from_a_missing_file() {
    let text = |reason: &str| line(&source(registry::Error::Credentials(reason.into())));
    assert!(
        text(child_process::NOT_INSTALLED)
            .ends_with("Install the program, or pass a file with these credentials in --authfile. (CI-009)")
    );
    assert!(text(auth_files::NO_SUCH_FILE).ends_with("Correct the path in REGISTRY_AUTH_FILE. (CI-009)"));
    assert!(text("it failed").contains("Correct these credentials"));
}

#[test]
fn hints_at_the_aws_credentials_of_ecr() {
    let sso = "sign in to AWS: aws sso login --profile dev. (CI-004)";
    let again = "Sign in to AWS again: aws sso login --profile dev.";
    for host in [
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
        "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com",
        "123456789012.dkr-ecr.eu-west-1.on.aws",
    ] {
        let logout = format!("Remove the old password (docker logout {host}), and sign in to AWS.");
        let credentials = |reason: &str| registry::Error::Credentials(reason.into());
        for (cause, expected) in [
            (error_response(401, "DENIED", "no", CredentialsSent::No), sso.to_owned()),
            (error_response(401, "DENIED", "no", CredentialsSent::Yes), format!("{logout} (CI-007)")),
            (
                error_response(403, "DENIED", "it has expired", CredentialsSent::Yes),
                format!("{logout} (CI-008)"),
            ),
            (
                error_response(403, "DENIED", "no", CredentialsSent::Yes),
                "Allow this for the AWS identity, or pass another --profile. (CI-008)".to_owned(),
            ),
            (aws_error("ExpiredTokenException"), format!("{again} (CI-007)")),
            (
                credentials("AWS credentials cannot be loaded (\"the SSO token has expired\")"),
                format!("{again} (CI-009)"),
            ),
            (
                credentials("AWS credentials cannot be loaded (\"cached Login token is expired\")"),
                "Sign in to AWS again: aws login --profile dev. (CI-009)".to_owned(),
            ),
            (
                credentials("no AWS credentials are configured"),
                "Sign in to AWS (aws login, or aws sso login), or select a profile with --profile. (CI-009)"
                    .to_owned(),
            ),
            (
                credentials("AWS credentials cannot be loaded (\"profile `dev` was not defined\")"),
                "Correct --profile, or configure the profile: aws configure --profile dev. (CI-009)"
                    .to_owned(),
            ),
            (
                credentials("AWS credentials cannot be loaded (\"AccessDenied no\")"),
                "Correct these credentials, or select another profile with --profile. (CI-009)".to_owned(),
            ),
        ] {
            let (side, operation) = (Side::Destination, Operation::StartUpload);
            let failure = Failure::Registry { side, operation, subject: format!("{host}/app:1"), cause };
            let options = ConnectionArgs { profile: Some("dev".into()), ..Default::default() };
            let text = failure_line(&failure, &options, "SOURCE");
            assert!(text.ends_with(&expected), "{text}");
        }
    }
}

fn aws_error(code: &str) -> registry::Error {
    registry::Error::Service {
        service: "ecr:PutImage".into(),
        code: code.into(),
        message: "no".into(),
        attempts: 1,
        elapsed: Duration::ZERO,
    }
}

#[track_caller]
fn check(failure: &Failure, expected: &str) {
    assert_eq!(line(failure), expected);
}

#[test]
fn hints_name_the_option_to_change() {
    check(
        &source(error_response(401, "UNAUTHORIZED", "authentication required", CredentialsSent::No)),
        "Image registry.example/acme/app:2.1 could not be read: registry.example returned 401 UNAUTHORIZED \"authentication required\". Check SOURCE (many registries return this for a missing repository), or log in: docker login registry.example. (CI-004)",
    );
    check(
        &at(
            Side::Destination,
            Operation::StartUpload,
            connection_error(http::ErrorKind::Tls("unknown issuer".into())),
        ),
        "Image registry.example/acme/app:2.1 could not be pushed: the TLS handshake with registry.example:443 failed (unknown issuer), 5 attempts in 71 s. If the registry has a private CA, pass its certificate in --ca-file; if it has no TLS, add --plain-http registry.example. (CI-017)",
    );
    let subject = "docker.io/library/nginx:1.27".into();
    let cause = error_response(429, "TOOMANYREQUESTS", "pull rate limit", CredentialsSent::No);
    let limited =
        Failure::Registry { side: Side::Source, operation: Operation::ReadManifest, subject, cause };
    check(
        &limited,
        "Image docker.io/library/nginx:1.27 could not be read: Docker Hub returned 429 TOOMANYREQUESTS \"pull rate limit\". Read from a mirror (--mirror docker.io/library=public.ecr.aws/docker/library), retry later, or log in: docker login. (CI-010)",
    );
}

/// `docker login` writes to another file.
#[test]
fn hints_name_the_file_with_credentials() {
    let options = ConnectionArgs { authfile: Some("team/auth.json".into()), ..Default::default() };
    for (sent, expected) in [
        (
            CredentialsSent::No,
            "or add credentials for registry.example to the file team/auth.json (--authfile). (CI-004)",
        ),
        (
            CredentialsSent::Yes,
            "Correct the credentials for registry.example in the file team/auth.json (--authfile). (CI-005)",
        ),
    ] {
        let failure = source(error_response(401, "UNAUTHORIZED", "authentication required", sent));
        let text = failure_line(&failure, &options, "SOURCE");
        assert!(text.ends_with(expected), "{text}");
    }
}

#[test]
fn shortens_the_quote_and_never_the_hint() {
    let failure = source(error_response(401, "UNAUTHORIZED", &"word ".repeat(60), CredentialsSent::Yes));
    let text = line(&failure);
    assert_eq!(text.chars().count(), MAX_LINE_CHARS);
    assert!(text.contains("registry.example/acme/app:2.1"), "{text}");
    assert!(text.ends_with("…\". Log in again: docker login registry.example. (CI-005)"), "{text}");
    let hex = "0".repeat(64);
    let two = format!("{} sha256:{hex} and sha256:{hex}.", "x".repeat(100));
    assert_eq!(
        shortened(two, 200),
        format!("{} sha256:000000000000 and sha256:000000000000.", "x".repeat(100))
    );
}

#[test]
fn prints_the_outcome_in_one_line() {
    let request = Request {
        source: "python:3.13".parse().unwrap(),
        destination: "localhost:5000/python".parse::<Reference>().unwrap().repository,
        tag: Some("3.13".parse().unwrap()),
        platforms: PlatformSelection::All,
        earlier_copies: Vec::new(),
        include_referrers: false,
        customization: None,
    };
    let blobs = Progress {
        blobs: 5,
        present: 2,
        copied: 3,
        bytes: 9,
        bytes_present: 1,
        bytes_copied: 5 << 20,
        ..Progress::default()
    };
    let done = Outcome {
        source_digest: Digest::of(b""),
        digest: Digest::of(b""),
        media_type: String::new(),
        platforms: Vec::new(),
        source_platform_count: None,
        size: 0,
        blobs,
        manifests_written: 2,
        referrers: None,
        tag: TagChange::Moved { from: None },
        read_counts: Vec::new(),
        elapsed: Duration::from_millis(1250),
    };
    let name =
        "localhost:5000/python:3.13@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(outcome(&request, &done), format!("{name}: 3 blobs copied (5.0 MiB), 2 present, 1.2 s"));
    let repository = |name: &str| name.parse::<Reference>().unwrap().repository;
    let source = ReadCounts { repository: request.source.repository.clone(), manifests: 1, blobs: 1 };
    let without_mirrors = Outcome { read_counts: vec![source.clone()], ..done.clone() };
    assert_eq!(outcome(&request, &without_mirrors), outcome(&request, &done));
    let mirror =
        ReadCounts { repository: repository("public.ecr.aws/docker/library/python"), manifests: 3, blobs: 2 };
    let mirrored = Outcome { read_counts: vec![mirror, source], ..done.clone() };
    let line = outcome(&request, &mirrored);
    let expected = format!(
        "read from public.ecr.aws/docker/library/python (3 manifests, 2 blobs) and {} (1 manifest, 1 blob), 1.2 s",
        request.source.repository
    );
    assert!(line.ends_with(&expected), "{line}");
    let unchanged = Outcome {
        blobs: Progress { blobs: 5, present: 5, ..Progress::default() },
        manifests_written: 0,
        tag: TagChange::Unchanged,
        ..done
    };
    assert_eq!(
        outcome(&request, &unchanged),
        format!("{name}: 0 blobs copied (0 bytes), 5 present, nothing to do, 1.2 s")
    );
    assert_eq!(referrers_warning(&unchanged), None);
    let counts = ReferrerCounts {
        present: 2,
        refused: 1,
        first_reason: Some("because.".into()),
        ..ReferrerCounts::default()
    };
    let unchanged = Outcome { referrers: Some(counts), ..unchanged };
    assert_eq!(
        outcome(&request, &unchanged),
        format!(
            "{name}: 0 blobs copied (0 bytes), 5 present, referrers: 2 present, 1 refused, nothing to do, 1.2 s"
        )
    );
    assert_eq!(
        referrers_warning(&unchanged).unwrap(),
        "some referrers were not copied (2 present, 1 refused): because."
    );
}
