//! What is said of secrets, and of what they hold.

use image_copy::oci::Repository;
use image_copy_aws::{CredentialArn, LoginSecret, NotRead, Unusable};

use super::*;

const SECRET: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:logins/hub-AbCdEf";
const PRIVATE: &str = "ghcr.io/acme/app:2.1";

fn failed(problem: LoginProblem) -> String {
    let cause = registry::Error::Credentials(problem.to_string().into());
    let (side, operation, subject) = (Side::Source, Operation::ReadManifest, PRIVATE.to_owned());
    let failure = Box::new(copy::Failure::Registry { side, operation, subject, cause });
    format!("Login: {}", reason(&Failure::Login { failure, problem: Box::new(problem) }, REQUEST))
}

fn problem(obstacle: Obstacle, words: &str) -> LoginProblem {
    let (setting, arn) = (Setting::Template, SECRET.parse().unwrap());
    let action = "secretsmanager:GetSecretValue";
    let cause = match words.split_once(' ') {
        Some((code, message)) => service(action, code, message),
        None => network(Kind::ConnectTimeout, words),
    };
    LoginProblem::NotRead { setting, cause: NotRead::new(&arn, obstacle, &cause.to_string()) }
}

fn unusable(cause: Unusable) -> LoginProblem {
    let arn: CredentialArn = SECRET.parse().unwrap();
    LoginProblem::Unusable { arn: Box::new(arn), cause }
}

pub(super) fn lines() -> Vec<String> {
    let action = "secretsmanager:GetSecretValue";
    let user = "AccessDeniedException User: arn:aws:sts::123456789012:assumed-role/provider/cfn-container-image-provider is not authorized to perform: secretsmanager:GetSecretValue on resource: logins/hub-AbCdEf because no identity-based policy allows the action";
    let not_read = [
        (Obstacle::Missing, "ResourceNotFoundException Secrets Manager can't find the specified secret."),
        (
            Obstacle::NoSuchVersion,
            "ResourceNotFoundException Secrets Manager can't find the specified secret value for staging label: OLD",
        ),
        (
            Obstacle::Deleted,
            "InvalidRequestException You can't perform this operation on the secret because it was marked for deletion.",
        ),
        (Obstacle::Denied { action, is_foreign: false }, user),
        (Obstacle::Denied { action, is_foreign: true }, user),
        (Obstacle::Key { is_foreign: false }, "AccessDeniedException Access to KMS is not allowed"),
        (
            Obstacle::Key { is_foreign: true },
            "InvalidRequestException You can't access a secret from a different AWS account if you encrypt the secret with the default KMS service key.",
        ),
        (Obstacle::Unreachable { service: "secretsmanager" }, "secretsmanager.eu-west-1.amazonaws.com"),
        (Obstacle::Other, "InternalServiceError An error occurred on the server side."),
        (Obstacle::Unsuitable, "Unsuitable it holds bytes, not text"),
    ];
    let mut lines: Vec<String> =
        not_read.into_iter().map(|(obstacle, words)| failed(problem(obstacle, words))).collect();
    let Some(LoginProblem::NotRead { cause, .. }) =
        Some(problem(Obstacle::Missing, "ResourceNotFoundException not there"))
    else {
        return lines;
    };
    lines.push(failed(LoginProblem::NotRead { setting: Setting::Installer, cause }));
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
        let found = LoginSecret::parse(&text.into(), key).and_then(|secret| secret.login(&ghcr, &[]));
        let line = failed(unusable(found.unwrap_err()));
        assert!(!line.contains("planted"), "{line}");
        lines.push(line);
    }
    lines
}
