//! Credentials for Amazon ECR, from the AWS CLI
//! (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html>).
//!
//! The AWS CLI supports all kinds of AWS credentials, such as profiles, SSO, roles and processes.

use std::collections::HashMap;

use futures_util::future::BoxFuture;
use image_copy::oci;
use image_copy::registry::{Credentials, CredentialsProvider, Error};
use secrecy::ExposeSecret as _;
use tokio::process::Command;
use tokio::sync::Mutex;

use crate::child_process::{RunError, TIMEOUT, run, set_process_group_without_terminal};

const AWS: &str = "aws";

/// The only Region with authorization tokens for ECR Public
/// (<https://docs.aws.amazon.com/AmazonECRPublic/latest/APIReference/API_GetAuthorizationToken.html>).
const PUBLIC_REGION: &str = "us-east-1";

/// Domains of private ECR registries
/// (<https://github.com/kubernetes/cloud-provider-aws/tree/master/cmd/ecr-credential-provider>).
const DOMAINS: [&str; 7] = [
    "amazonaws.com",
    "amazonaws.com.cn",
    "c2s.ic.gov",
    "sc2s.sgov.gov",
    "cloud.adc-e.uk",
    "csp.hci.ic.gov",
    "amazonaws.eu",
];
/// Domains of private dual-stack registries.
const DUAL_STACK_DOMAINS: [&str; 2] = ["on.aws", "on.amazonwebservices.com.cn"];

/// Runs the AWS CLI for hosts of ECR, and only for these.
pub(crate) struct EcrCredentials {
    program: String,
    cache: Mutex<HashMap<Service, Result<Option<Credentials>, String>>>,
}

/// Scope of the credentials. One password is valid for all registries of a Region.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Service {
    Private { region: String },
    Public,
}

impl Service {
    /// Returns the service of a host, or `None` if the host is not an ECR registry.
    pub(crate) fn of(host: &str) -> Option<Self> {
        let host = host.to_ascii_lowercase();
        let host = host.strip_suffix(":443").unwrap_or(&host);
        if matches!(host, "public.ecr.aws" | "ecr-public.aws.com") {
            return Some(Self::Public);
        }
        let (account, rest) = host.split_once('.')?;
        let under = |prefixes: [&str; 2], domains: &[&str]| {
            let (region, domain) =
                prefixes.iter().find_map(|prefix| rest.strip_prefix(prefix))?.split_once('.')?;
            domains.contains(&domain).then(|| region.to_owned())
        };
        let region = under(["dkr.ecr.", "dkr.ecr-fips."], &DOMAINS)
            .or_else(|| under(["dkr-ecr.", "dkr-ecr-fips."], &DUAL_STACK_DOMAINS))?;
        let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        let is_region = region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        (is_account && is_region && !region.starts_with('-')).then_some(Self::Private { region })
    }

    /// Returns the command that prints the password.
    pub(crate) fn command(&self) -> String {
        format!("{AWS} {}", self.arguments().join(" "))
    }

    fn arguments(&self) -> [&str; 4] {
        match self {
            Self::Private { region } => ["ecr", "get-login-password", "--region", region],
            Self::Public => ["ecr-public", "get-login-password", "--region", PUBLIC_REGION],
        }
    }
}

impl EcrCredentials {
    pub(crate) fn new() -> Self {
        Self { program: AWS.into(), cache: Mutex::default() }
    }

    /// Returns credentials. Without the AWS CLI it returns `None`, because the registry's own error is
    /// clearer.
    async fn run_cli(&self, service: &Service) -> Result<Option<Credentials>, String> {
        let arguments = service.arguments();
        let failed = |reason: &str| format!("{} returned no password: {reason}", service.command());
        let mut command = Command::new(&self.program);
        command.args(arguments);
        // The AWS CLI can prompt for an MFA code.
        set_process_group_without_terminal(&mut command);
        let output = match run(command, "", TIMEOUT).await {
            Err(RunError::NotInstalled) => return Ok(None),
            result => result.map_err(|error| failed(&error.to_string()))?,
        };
        if !output.success {
            return Err(failed(&output.failure_reason().await));
        }
        match output.stdout.expose_secret().trim() {
            "" => Err(failed("its output is empty")),
            password => Ok(Some(Credentials { username: "AWS".into(), password: password.into() })),
        }
    }
}

impl CredentialsProvider for EcrCredentials {
    fn credentials_for<'a>(
        &'a self,
        repository: &'a oci::Repository,
        _: Option<&'a Credentials>,
    ) -> BoxFuture<'a, Result<Option<Credentials>, Error>> {
        Box::pin(async move {
            let Some(service) = Service::of(repository.registry().as_str()) else { return Ok(None) };
            // Held while the program runs, so that it runs once.
            let mut cache = self.cache.lock().await;
            if !cache.contains_key(&service) {
                let result = self.run_cli(&service).await;
                cache.insert(service.clone(), result);
            }
            match (cache.get(&service), &service) {
                (Some(Ok(found)), _) => Ok(found.clone()),
                // ECR Public also accepts anonymous pulls.
                (Some(Err(reason)), Service::Public) => {
                    tracing::debug!(reason, "reading ECR Public without credentials");
                    Ok(None)
                }
                (Some(Err(reason)), Service::Private { .. }) => {
                    Err(Error::Credentials(reason.as_str().into()))
                }
                (None, _) => Ok(None),
            }
        })
    }

    fn needs_no_challenge(&self, repository: &oci::Repository) -> bool {
        matches!(Service::of(repository.registry().as_str()), Some(Service::Private { .. }))
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    const PRIVATE: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";

    fn with_script(folder: &tempfile::TempDir, script: &str) -> EcrCredentials {
        let program = folder.path().join("aws");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        EcrCredentials { program: program.to_str().unwrap().into(), cache: Mutex::default() }
    }

    async fn password(provider: &EcrCredentials, host: &str) -> Result<Option<String>, String> {
        let repository = oci::Repository::new(host.parse().unwrap(), "acme/app").unwrap();
        let found = provider.credentials_for(&repository, None).await.map_err(|error| error.to_string())?;
        Ok(found.map(|found| format!("{} {}", found.username, found.password.expose_secret())))
    }

    #[test]
    fn recognizes_only_ecr_hosts() {
        for (host, expected) in [
            (PRIVATE, Some("eu-west-1")),
            ("123456789012.DKR.ecr-fips.us-gov-west-1.amazonaws.com:443", Some("us-gov-west-1")),
            ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", Some("cn-north-1")),
            ("123456789012.dkr-ecr.eu-west-1.on.aws", Some("eu-west-1")),
            ("123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.example", None),
            ("123456789012.dkr.ecr.eu-west-1.on.aws", None),
            ("12345678901.dkr.ecr.eu-west-1.amazonaws.com", None),
            ("123456789012.dkr.ecr.--profile.amazonaws.com", None),
            ("docker.io", None),
        ] {
            let expected = expected.map(|region| Service::Private { region: region.into() });
            assert_eq!(Service::of(host), expected, "{host}");
        }
        assert_eq!(Service::of("public.ecr.aws"), Some(Service::Public));
        assert_eq!(Service::of("public.ecr.aws.example"), None);
    }

    #[tokio::test]
    async fn runs_the_aws_cli_once_per_region() {
        let folder = tempfile::tempdir().unwrap();
        let script = r#"echo x >> "$0.calls"; echo "password for $*""#;
        let credentials = with_script(&folder, script);
        for host in [PRIVATE, "210987654321.dkr.ecr.eu-west-1.amazonaws.com"] {
            let expected = "AWS password for ecr get-login-password --region eu-west-1";
            assert_eq!(password(&credentials, host).await.unwrap().as_deref(), Some(expected));
        }
        let expected = "AWS password for ecr-public get-login-password --region us-east-1";
        assert_eq!(password(&credentials, "public.ecr.aws").await.unwrap().as_deref(), Some(expected));
        assert_eq!(password(&credentials, "ghcr.io").await, Ok(None));
        assert_eq!(fs::read_to_string(folder.path().join("aws.calls")).unwrap().lines().count(), 2);
    }

    #[tokio::test]
    async fn without_aws_credentials_private_ecr_fails_and_ecr_public_is_anonymous() {
        let folder = tempfile::tempdir().unwrap();
        let credentials =
            with_script(&folder, "echo secret; echo 'Unable to locate credentials' >&2; exit 253");
        let error = password(&credentials, PRIVATE).await.unwrap_err();
        assert!(
            error.contains("aws ecr get-login-password --region eu-west-1 returned no password"),
            "{error}"
        );
        assert!(error.contains("Unable to locate credentials") && !error.contains("secret"), "{error}");
        assert_eq!(password(&credentials, "public.ecr.aws").await, Ok(None));
    }

    #[tokio::test]
    async fn returns_no_credentials_without_the_aws_cli() {
        let credentials = EcrCredentials { program: "nonexistent-aws".into(), cache: Mutex::default() };
        assert_eq!(password(&credentials, PRIVATE).await, Ok(None));
    }
}
