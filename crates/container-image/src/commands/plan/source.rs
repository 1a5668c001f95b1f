//! Access to the source of an image as the function has it: with a secret, or anonymously.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use image_copy::oci::{self, Registry};
use image_copy::registry::{Client, Credentials, CredentialsProvider, Error};
use image_copy_aws::{CopySettings, CredentialArn, RegistrySecret, SecretReadErrorKind};

use super::check::Checker;
use super::findings::ImagePlan;
use super::properties::Known;
use super::sentence;

/// A client for the source of an image.
pub(super) struct SourceAccess {
    pub(super) client: Client,
    /// True if the function can have other credentials, so that a rejection is no failure.
    pub(super) is_uncertain: bool,
}

impl Checker<'_> {
    /// Returns the function's access to the source. Adds a failure if a secret is missing or unusable.
    ///
    /// The function does not have the user's credentials of `docker login`. They are used only if the function's
    /// are unknown.
    pub(super) async fn source_access(
        &self,
        known: &Known,
        settings: Option<&CopySettings>,
        line: usize,
        plan: &mut ImagePlan,
    ) -> SourceAccess {
        let own = || SourceAccess { client: self.connection.client.clone(), is_uncertain: true };
        let source = &known.properties.source.repository;
        if known.is_unknown("CredentialArn") {
            return own();
        }
        let listed = settings.map(|settings| settings.registry_credentials.as_slice());
        let of_registry =
            listed.unwrap_or_default().iter().find(|listed| listed.registry == *source.registry());
        let Some(arn) = known.properties.credentials.as_ref().or(of_registry.map(|listed| &listed.arn))
        else {
            return match listed {
                Some(_) => {
                    SourceAccess { client: self.connection.client_without_files(), is_uncertain: false }
                }
                None => own(),
            };
        };
        let same = listed.unwrap_or_default().iter().filter(|listed| listed.arn.is_same_secret(arn));
        let registries: Vec<Registry> = same.map(|listed| listed.registry.clone()).collect();
        match self.secret(arn, source, &registries).await {
            Ok(credentials) => {
                let aws = self.connection.aws_credentials();
                let secret = SecretCredentials { source: source.clone(), credentials, aws };
                let client = self.connection.client.with_credentials(Arc::new(secret));
                SourceAccess { client, is_uncertain: false }
            }
            Err(SecretProblem::Failure(text, code)) => {
                plan.fail(line, text, code);
                own()
            }
            Err(SecretProblem::NotChecked(reason)) => {
                plan.not_checked(line, format!("the credentials of the source: {reason}"));
                own()
            }
        }
    }

    async fn secret(
        &self,
        arn: &CredentialArn,
        source: &oci::Repository,
        listed: &[Registry],
    ) -> Result<Credentials, SecretProblem> {
        let text = self.connection.aws_clients().await.secrets().read(arn, None).await.map_err(|error| {
            // The user can lack permissions that the function has.
            if let SecretReadErrorKind::AccessDenied { .. }
            | SecretReadErrorKind::KmsKey { .. }
            | SecretReadErrorKind::Unreachable { .. }
            | SecretReadErrorKind::Other = &error.kind
            {
                return SecretProblem::NotChecked(error.to_string());
            }
            SecretProblem::Failure(
                sentence(&format!("{error}. Correct its ARN, or create it.")),
                error.kind.code(),
            )
        })?;
        let secret = RegistrySecret::parse(&text, arn.json_key());
        secret.and_then(|secret| secret.credentials_for(source, listed)).map_err(|problem| {
            let text = format!("{} {arn} {problem}. {}", arn.kind(), problem.remedy());
            SecretProblem::Failure(sentence(&text), problem.code())
        })
    }
}

enum SecretProblem {
    /// Sentences with one thing to change, and their code.
    Failure(String, &'static str),
    /// The reason why the user cannot read it.
    NotChecked(String),
}

/// Credentials of a secret for one repository, and AWS credentials for hosts of ECR.
struct SecretCredentials {
    source: oci::Repository,
    credentials: Credentials,
    aws: Arc<dyn CredentialsProvider>,
}

impl CredentialsProvider for SecretCredentials {
    fn credentials_for<'a>(
        &'a self,
        repository: &'a oci::Repository,
        rejected: Option<&'a Credentials>,
    ) -> BoxFuture<'a, Result<Option<Credentials>, Error>> {
        if *repository == self.source {
            return Box::pin(async { Ok(Some(self.credentials.clone())) });
        }
        self.aws.credentials_for(repository, rejected)
    }

    fn needs_no_challenge(&self, repository: &oci::Repository) -> bool {
        self.aws.needs_no_challenge(repository)
    }
}
