//! Failures to read secrets and to find credentials in them.

use image_copy::http::ErrorKind;
use image_copy::oci::Repository;
use image_copy_aws::{CredentialArn, RegistrySecret, SecretReadError, SecretReadErrorKind, UnusableSecret};

use super::*;
use crate::clients::credentials::{SecretProblem, SecretSetting};

const SECRET: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:logins/hub-AbCdEf";
const PRIVATE: &str = "ghcr.io/acme/app:2.1";

fn failed(problem: SecretProblem) -> String {
    let cause = registry::Error::Credentials(problem.to_string().into());
    let (side, operation, subject) = (Side::Source, Operation::ReadManifest, PRIVATE.to_owned());
    let failure = Box::new(copy::Failure::Registry { side, operation, subject, cause });
    reason(&Failure::Secret { failure, problem: Box::new(problem) }, MoreTime::None, REQUEST)
}

fn problem(kind: SecretReadErrorKind, words: &str) -> SecretProblem {
    let (setting, arn) = (SecretSetting::CredentialArn, SECRET.parse().unwrap());
    let action = "secretsmanager:GetSecretValue";
    let response = match words.split_once(' ') {
        _ if kind == SecretReadErrorKind::UnsupportedType => words.to_owned(),
        Some((code, message)) => service(action, code, message).to_string(),
        None => network(ErrorKind::ConnectTimeout, words).to_string(),
    };
    SecretProblem::ReadFailed { setting, cause: SecretReadError::new(&arn, kind, &response) }
}

fn unusable(cause: UnusableSecret) -> SecretProblem {
    let arn: CredentialArn = SECRET.parse().unwrap();
    SecretProblem::Unusable { arn: Box::new(arn), cause }
}

pub(super) fn lines() -> Vec<String> {
    let action = "secretsmanager:GetSecretValue";
    let user = "AccessDeniedException User: arn:aws:sts::123456789012:assumed-role/provider/cfn-container-image-provider is not authorized to perform: secretsmanager:GetSecretValue on resource: logins/hub-AbCdEf because no identity-based policy allows the action";
    let read_errors = [
        (
            SecretReadErrorKind::NotFound,
            "ResourceNotFoundException Secrets Manager can't find the specified secret.",
        ),
        (
            SecretReadErrorKind::VersionNotFound,
            "ResourceNotFoundException Secrets Manager can't find the specified secret value for staging label: OLD",
        ),
        (
            SecretReadErrorKind::PendingDeletion,
            "InvalidRequestException You can't perform this operation on the secret because it was marked for deletion.",
        ),
        (SecretReadErrorKind::AccessDenied { action, is_other_account: false }, user),
        (SecretReadErrorKind::AccessDenied { action, is_other_account: true }, user),
        (
            SecretReadErrorKind::KmsKey { is_other_account: false },
            "AccessDeniedException Access to KMS is not allowed",
        ),
        (
            SecretReadErrorKind::KmsKey { is_other_account: true },
            "InvalidRequestException You can't access a secret from a different AWS account if you encrypt the secret with the default KMS service key.",
        ),
        (
            SecretReadErrorKind::Unreachable { service: "secretsmanager" },
            "secretsmanager.eu-west-1.amazonaws.com",
        ),
        (SecretReadErrorKind::Other, "InternalServiceError An error occurred on the server side."),
        (SecretReadErrorKind::UnsupportedType, "it contains bytes, not text"),
    ];
    let mut lines: Vec<String> =
        read_errors.into_iter().map(|(kind, words)| failed(problem(kind, words))).collect();
    let Some(SecretProblem::ReadFailed { cause, .. }) =
        Some(problem(SecretReadErrorKind::NotFound, "ResourceNotFoundException not found"))
    else {
        return lines;
    };
    lines.push(failed(SecretProblem::ReadFailed { setting: SecretSetting::RegistryCredentials, cause }));
    let ghcr = Repository::new("ghcr.io".parse().unwrap(), "acme/app").unwrap();
    for (text, key) in [
        ("planted", None),
        ("{}", None),
        ("{}", Some("hub")),
        (r#"{"username": "me", "password": "planted"}"#, None),
        (r#"{"username": "me", "password": "planted", "registry": "quay.io"}"#, None),
        (r#"{"auths": {"quay.io": {"auth": "bWU6cGxhbnRlZA=="}}}"#, None),
        (r#"{"auths": "planted"}"#, None),
    ] {
        let found =
            RegistrySecret::parse(&text.into(), key).and_then(|secret| secret.credentials_for(&ghcr, &[]));
        let line = failed(unusable(found.unwrap_err()));
        assert!(!line.contains("planted"), "{line}");
        lines.push(line);
    }
    lines
}
