//! Hints about failures of `copy` and `sync`.

use std::env;
use std::path::PathBuf;

use image_copy::copy::{Failure, Operation, Problem, Side};
use image_copy::text::SanitizedText;
use image_copy::{http, registry};

use image_copy_aws::{EcrPublicCredentials, EcrRegistryHost, UnavailableCredentials};

use super::missing_repository;
use crate::args::ConnectionArgs;
use crate::{auth_files, child_process, display};

/// Names of the arguments, properties or files that a user can change.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names<'a> {
    pub(super) source: &'a str,
    pub(super) destination: &'a str,
}

impl<'a> Names<'a> {
    /// Names of `copy`, and of commands without a destination.
    pub(super) fn of_source(source: &'a str) -> Self {
        Self { source, destination: "DESTINATION" }
    }
}

/// Returns one thing to change. The match is exhaustive, so that a new problem needs a hint.
pub(super) fn hint(failure: &Failure, options: &ConnectionArgs, names: Names<'_>) -> String {
    if let Some(hint) = missing_repository::hint(failure, &profile_option(options)) {
        return hint;
    }
    let side = failure.side();
    let host = host(failure);
    let Names { source, destination } = names;
    let argument = match side {
        Side::Source => source,
        Side::Destination => destination,
    };
    match failure.problem() {
        Problem::Missing if failure.concerns_image_content() => {
            "The registry has lost a part of this image. Push the image again.".into()
        }
        Problem::Missing | Problem::ServerError if failure.is_not_from_registry() => {
            format!("Check the host and the port in {argument}.")
        }
        Problem::Missing if failure.operation() == Some(Operation::ListTags) => {
            format!("Check the name in {source}.")
        }
        Problem::Missing if side == Side::Source => {
            format!("Check the repository, the tag and the digest in {source}.")
        }
        Problem::Missing if failure.is_missing_repository() => {
            format!("Create the repository, or correct {destination}.")
        }
        Problem::Missing => rejected(side, failure.operation(), names),
        Problem::CredentialsRequired => format!(
            "Check {argument} (many registries return this for a missing repository), or {}.", login(failure, options)
        ),
        Problem::CredentialsRejected => credentials_rejected(failure, options),
        Problem::AccessDenied if is_expired(failure) => credentials_rejected(failure, options),
        Problem::AccessDenied if is_aws(failure) => {
            "Allow this for the AWS identity, or pass another --profile.".into()
        }
        Problem::AccessDenied => match side {
            Side::Source => format!("Check the repository in {source}, or use credentials with pull access."),
            Side::Destination => {
                format!("Use credentials with push access, or check the repository in {destination}.")
            }
        },
        Problem::CredentialsUnavailable => credentials_unavailable(failure, options),
        Problem::PullLimit => pull_limit(failure, options),
        Problem::Throttled => "Retry later, or with fewer --jobs.".into(),
        Problem::ProxyUnreachable => {
            format!("Check the proxy and its connection to the host, or add the host in {argument} to NO_PROXY.")
        }
        Problem::Unreachable => {
            format!("Check the host in {argument}{}.", proxy_hint(failure))
        }
        Problem::CertificateRejected if is_ca_certificate(failure) => REPLACE_CERTIFICATE.into(),
        Problem::CertificateRejected => certificate_rejected(failure, options),
        Problem::Rejected if is_plain(failure, options) && is_http_sent_to_https(failure) => {
            format!("Remove --plain-http{host}, because the registry uses TLS.")
        }
        Problem::Interrupted | Problem::Deadline => {
            "Retry. Copied blobs are skipped.".into()
        }
        Problem::ServerError => "Retry later, or contact the registry's operator.".into(),
        Problem::Corrupt => "Retry. If it fails again, choose another tag, because the registry or a proxy damages this image.".into(),
        Problem::InvalidResponse => format!("Check that {argument} refers to a container image in a registry."),
        Problem::ForbiddenAddress => {
            "The registry's operator must configure an address that other networks can reach. For a registry on this machine, use localhost, or add its name to --plain-http.".into()
        }
        Problem::Rejected => rejected(side, failure.operation(), names),
        Problem::NoPlatform => "Change --platform, or choose a tag with this platform.".into(),
        Problem::TagImmutable => {
            format!("Choose a new tag in {destination}, or make the repository's tags mutable.")
        }
        Problem::NotStorable => "Choose another tag, or copy one --platform.".into(),
        Problem::ImageLimitExceeded => format!("Use the digest of one image in {source}."),
        Problem::NotCustomizable => {
            "Correct --customize, or select other platforms with --platform.".into()
        }
        Problem::ForeignLayer => {
            "Exclude Windows with --platform, or choose a tag built since 2023.".into()
        }
    }
}

/// The AWS SDK does not report that a proxy failed, but the client of registries does.
pub(super) fn proxy_hint(failure: &Failure) -> &'static str {
    let is_call = is_aws(failure) || host_name(failure) == Some("");
    let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    match is_call && ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"].into_iter().any(is_set) {
        true => ", and the proxy in HTTPS_PROXY",
        false => ". If the network requires a proxy, set HTTPS_PROXY",
    }
}

/// The mirror of Docker official images has no pull limit (<https://gallery.ecr.aws/docker/>).
fn pull_limit(failure: &Failure, options: &ConnectionArgs) -> String {
    let is_official =
        matches!(failure, Failure::Registry { subject, .. } if subject.starts_with("docker.io/library/"));
    let mirror = if is_official { " docker.io/library=public.ecr.aws/docker/library" } else { "" };
    format!("Read from a mirror (--mirror{mirror}), retry later, or {}.", login(failure, options))
}

fn rejected(side: Side, operation: Option<Operation>, names: Names<'_>) -> String {
    let Names { source, destination } = names;
    match (side, operation) {
        (Side::Destination, Some(Operation::WriteManifest | Operation::WriteTag)) => {
            format!(
                "The registry may not support this kind of image. Try one --platform, or another tag in {destination}."
            )
        }
        (Side::Destination, _) => format!("Check that the repository in {destination} accepts pushes."),
        (Side::Source, _) => format!("Check {source}, and that its registry allows pulls."),
    }
}

pub(super) fn credentials_unavailable(failure: &Failure, options: &ConnectionArgs) -> String {
    let reason = match failure {
        Failure::Registry { cause: registry::Error::Credentials(reason), .. } => reason.as_str(),
        _ => "",
    };
    if reason.contains(child_process::NOT_INSTALLED) {
        "Install the program, or pass a file with these credentials in --authfile.".into()
    } else if reason == UnavailableCredentials::NOT_CONFIGURED {
        "Sign in to AWS (aws login, or aws sso login), or select a profile with --profile.".into()
    } else if reason.starts_with(UnavailableCredentials::NOT_LOADED) {
        aws_credentials_not_loaded(reason, options)
    } else if reason.contains(auth_files::NO_SUCH_FILE) {
        "Correct the path in REGISTRY_AUTH_FILE.".into()
    } else {
        "Correct these credentials, or pass another file in --authfile.".into()
    }
}

/// Returns true if a TLS server rejected an unencrypted request.
fn is_http_sent_to_https(failure: &Failure) -> bool {
    let Failure::Registry { cause: registry::Error::ErrorResponse(response), .. } = failure else {
        return false;
    };
    response.status == 400 && response.mentions("https")
}

/// No trusted CA certificate helps against this failure.
pub(super) const REPLACE_CERTIFICATE: &str = "Install a server certificate (CA:FALSE) in the registry, and pass the certificate of its issuer in --ca-file.";

/// Returns true if the registry presents a CA certificate as its own.
pub(super) fn is_ca_certificate(failure: &Failure) -> bool {
    let Failure::Registry { cause: registry::Error::Http(error), .. } = failure else { return false };
    matches!(&error.kind, http::ErrorKind::Tls(reason) if reason.contains("CaUsedAsEndEntity"))
}

fn certificate_rejected(failure: &Failure, options: &ConnectionArgs) -> String {
    let host = host(failure);
    let advice = if options.ca_file.is_some() {
        "Check that the file in --ca-file contains the CA certificate of the host"
    } else if host.is_empty() {
        "If a proxy inspects TLS, pass its CA certificate in --ca-file"
    } else {
        "If the registry has a private CA, pass its certificate in --ca-file"
    };
    // Docker Hub has no unencrypted endpoint. With --plain-http, the failure comes from a redirect target.
    if host.is_empty() || is_plain(failure, options) {
        format!("{advice}.")
    } else {
        format!("{advice}; if it has no TLS, add --plain-http{host}.")
    }
}

/// Returns what gives the request credentials, as a clause.
pub(super) fn login(failure: &Failure, options: &ConnectionArgs) -> String {
    match (is_aws(failure), auth_file(options)) {
        (true, _) => format!("sign in to AWS: aws sso login{}", profile_option(options)),
        (false, Some(file)) => format!("add credentials{} to {file}", for_host(failure)),
        (false, None) => format!("log in: docker login{}", host(failure)),
    }
}

/// Returns the file with credentials that a setting names, and the setting. No other file is read, so that
/// `docker login` does not help.
fn auth_file(options: &ConnectionArgs) -> Option<String> {
    let variable = || env::var_os("REGISTRY_AUTH_FILE").filter(|path| !path.is_empty()).map(PathBuf::from);
    let named = |(path, setting): (PathBuf, _)| format!("the file {} ({setting})", display::path(&path));
    let option = options.authfile.clone().map(|path| (path, "--authfile"));
    option.or_else(|| Some((variable()?, "REGISTRY_AUTH_FILE"))).map(named)
}

/// Returns the host of the credentials as a phrase.
fn for_host(failure: &Failure) -> String {
    host_name(failure).map(|host| format!(" for {host}")).unwrap_or_default()
}

pub(super) fn credentials_rejected(failure: &Failure, options: &ConnectionArgs) -> String {
    let host = host(failure);
    match failure {
        // AWS rejected the credentials of a call.
        Failure::Registry { cause: registry::Error::Service { .. }, .. } => {
            format!("Sign in to AWS again: aws sso login{}.", profile_option(options))
        }
        _ => match (is_aws(failure), auth_file(options)) {
            (true, Some(file)) => {
                format!("Remove the old password{} from {file}, and sign in to AWS.", for_host(failure))
            }
            (true, None) => format!("Remove the old password (docker logout{host}), and sign in to AWS."),
            (false, Some(file)) => format!("Correct the credentials{} in {file}.", for_host(failure)),
            (false, None) => format!("Log in again: docker login{host}."),
        },
    }
}

/// Returns true if ECR's registry rejected an expired password. It returns status 403
/// (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/common-errors-docker.html>).
fn is_expired(failure: &Failure) -> bool {
    use registry::Error::{AuthorizationExpired, ErrorResponse};
    let Failure::Registry { cause: ErrorResponse(response) | AuthorizationExpired(response), .. } = failure
    else {
        return false;
    };
    is_aws(failure) && response.mentions("expired")
}

fn aws_credentials_not_loaded(reason: &str, options: &ConnectionArgs) -> String {
    let profile = profile_option(options);
    if reason.contains(UnavailableCredentials::MISSING_PROFILE) {
        let setting = if options.profile.is_some() { "--profile" } else { "AWS_PROFILE" };
        format!("Correct {setting}, or configure the profile: aws configure{profile}.")
    } else if reason.contains("Login token") {
        format!("Sign in to AWS again: aws login{profile}.")
    } else if reason.contains("SSO") || reason.contains("UnauthorizedException") {
        format!("Sign in to AWS again: aws sso login{profile}.")
    } else {
        "Correct these credentials, or select another profile with --profile.".into()
    }
}

fn profile_option(options: &ConnectionArgs) -> String {
    let profile = options.aws_profile().map(|profile| SanitizedText::from(profile.as_str()));
    profile.map(|profile| format!(" --profile {profile}")).unwrap_or_default()
}

/// Returns true if the registry is ECR or ECR Public, or if an API of AWS failed.
fn is_aws(failure: &Failure) -> bool {
    if matches!(failure, Failure::Registry { cause: registry::Error::Service { .. }, .. }) {
        return true;
    }
    let is_aws = |host| EcrRegistryHost::parse(host).is_some() || EcrPublicCredentials::is_for(host);
    host_name(failure).is_some_and(is_aws)
}

fn is_plain(failure: &Failure, options: &ConnectionArgs) -> bool {
    options.plain_http.iter().any(|registry| Some(registry.as_str()) == host_name(failure))
}

/// Returns the registry's host with a leading space. Docker Hub is the default and returns an empty text.
fn host(failure: &Failure) -> String {
    match host_name(failure) {
        Some("docker.io") | None => String::new(),
        Some(host) => format!(" {host}"),
    }
}

pub(super) fn host_name(failure: &Failure) -> Option<&str> {
    match failure {
        Failure::Registry { subject, .. } => subject.split('/').next(),
        Failure::NoPlatform { .. }
        | Failure::TagImmutable { .. }
        | Failure::NotStorable { .. }
        | Failure::ImageLimitExceeded { .. }
        | Failure::ForeignLayer { .. }
        | Failure::NotCustomizable { .. }
        | Failure::Deadline { .. } => None,
    }
}
