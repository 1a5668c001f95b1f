//! Credentials for sources, and the registries that get them.
//!
//! The destination never uses a secret: its credentials are those of the function's role.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use image_copy::oci::{self, Registry};
use image_copy::registry::{self, Credentials, CredentialsProvider};
use image_copy_aws::{
    AwsClients, CredentialArn, EcrCredentials, EcrPublicCredentials, RegistryCredential, RegistrySecret,
    SecretReadError, Secrets, UnusableSecret,
};
use tokio::time::Instant;

/// Credentials that all events of this process share. Secrets are cached.
pub(crate) struct SharedCredentials {
    secrets: Secrets,
    listed: Vec<RegistryCredential>,
    ecr: Arc<EcrCredentials>,
    public: EcrPublicCredentials,
    cache: Mutex<HashMap<CredentialArn, Arc<CachedSecret>>>,
}

type CachedSecret = tokio::sync::Mutex<Option<RegistrySecret>>;

/// Problem with the secret that contains the credentials. Shows nothing from the secret.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum SecretProblem {
    /// The secret could not be read.
    #[error("{cause}")]
    ReadFailed { setting: SecretSetting, cause: SecretReadError },
    /// It contains no credentials for this registry.
    #[error("{} {arn} {cause}", arn.kind())]
    Unusable { arn: Box<CredentialArn>, cause: UnusableSecret },
}

/// Setting that contains the secret's ARN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SecretSetting {
    /// `CredentialArn` in the template.
    CredentialArn,
    /// `REGISTRY_CREDENTIALS` in the provider's settings.
    RegistryCredentials,
}

impl SharedCredentials {
    /// Creates credentials from the registries and secrets in `listed`, and those of AWS. Sends nothing.
    pub(crate) fn new(
        clients: &AwsClients,
        ecr: Arc<EcrCredentials>,
        listed: Vec<RegistryCredential>,
    ) -> Self {
        let public = EcrPublicCredentials::new(clients.clone());
        Self { secrets: clients.secrets(), listed, ecr, public, cache: Mutex::default() }
    }

    /// Returns the credentials in a secret, if they are for this registry. After a rejection the secret is
    /// read again, because it can have changed.
    async fn credentials_from_secret(
        &self,
        arn: &CredentialArn,
        repository: &oci::Repository,
        rejected: Option<&Credentials>,
        setting: SecretSetting,
        deadline: Option<Instant>,
    ) -> Result<Credentials, SecretProblem> {
        let cached = self.cached_secret(arn);
        // The lock is held during the request, so that other tasks wait instead of sending one too.
        let mut cached = cached.lock().await;
        // An unusable secret is read again too, so that a corrected secret is used at once.
        let known = cached.as_ref().map(|secret| self.extract_credentials(secret, arn, repository));
        if let Some(Ok(credentials)) = &known
            && rejected != Some(credentials)
        {
            return Ok(credentials.clone());
        }
        match (self.read(arn, setting, deadline).await, known) {
            (Ok(secret), _) => self.extract_credentials(cached.insert(secret), arn, repository),
            // The registry's error for the cached credentials is more useful.
            (Err(problem), Some(Ok(credentials))) => {
                tracing::warn!(%problem, "a secret could not be read again");
                Ok(credentials)
            }
            (Err(problem), _) => Err(problem),
        }
    }

    /// Returns the template's credentials for a mirror. They are optional, and must be for the mirror
    /// according to the secret.
    async fn mirror_credentials(
        &self,
        arn: &CredentialArn,
        mirror: &oci::Repository,
        rejected: Option<&Credentials>,
        deadline: Option<Instant>,
    ) -> Option<Credentials> {
        let cached = self.cached_secret(arn);
        let mut cached = cached.lock().await;
        if cached.is_none() {
            *cached = self.read(arn, SecretSetting::CredentialArn, deadline).await.ok();
        }
        let credentials = self.extract_credentials(cached.as_ref()?, arn, mirror).ok()?;
        (rejected != Some(&credentials)).then_some(credentials)
    }

    fn cached_secret(&self, arn: &CredentialArn) -> Arc<CachedSecret> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(cache.entry(arn.clone()).or_default())
    }

    async fn read(
        &self,
        arn: &CredentialArn,
        setting: SecretSetting,
        deadline: Option<Instant>,
    ) -> Result<RegistrySecret, SecretProblem> {
        let text = self.secrets.read(arn, deadline).await;
        let text = text.map_err(|cause| SecretProblem::ReadFailed { setting, cause })?;
        tracing::debug!(secret = %arn, "read a secret");
        RegistrySecret::parse(&text, arn.json_key())
            .map_err(|cause| SecretProblem::Unusable { arn: Box::new(arn.clone()), cause })
    }

    fn extract_credentials(
        &self,
        secret: &RegistrySecret,
        arn: &CredentialArn,
        repository: &oci::Repository,
    ) -> Result<Credentials, SecretProblem> {
        let registries = self.listed.iter().filter(|listed| listed.arn.is_same_secret(arn));
        let registries: Vec<Registry> = registries.map(|listed| listed.registry.clone()).collect();
        let credentials = secret.credentials_for(repository, &registries);
        credentials.map_err(|cause| SecretProblem::Unusable { arn: Box::new(arn.clone()), cause })
    }
}

/// Credentials for the source of one event.
pub(crate) struct SourceCredentials {
    shared: Arc<SharedCredentials>,
    /// `CredentialArn` in the template.
    arn: Option<CredentialArn>,
    /// The source repository in the template. Mirrors come from the provider's settings.
    source: oci::Repository,
    deadline: Option<Instant>,
    problem: Mutex<Option<SecretProblem>>,
}

impl SourceCredentials {
    /// Creates the credentials for a copy from `source`, which ends by `deadline`.
    pub(crate) fn new(
        shared: &Arc<SharedCredentials>,
        arn: Option<CredentialArn>,
        source: oci::Repository,
        deadline: Option<Instant>,
    ) -> Self {
        Self { shared: Arc::clone(shared), arn, source, deadline, problem: Mutex::default() }
    }

    /// Returns the cause of the last [`registry::Error::Credentials`] from here.
    pub(crate) fn problem(&self) -> Option<SecretProblem> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the credentials for a registry from a secret, if a secret is configured.
    async fn credentials_from_secret(
        &self,
        repository: &oci::Repository,
        rejected: Option<&Credentials>,
    ) -> Result<Option<Credentials>, SecretProblem> {
        let (shared, deadline) = (&self.shared, self.deadline);
        let registry = repository.registry();
        match &self.arn {
            Some(arn) if *repository == self.source => {
                let found = shared.credentials_from_secret(
                    arn,
                    repository,
                    rejected,
                    SecretSetting::CredentialArn,
                    deadline,
                );
                return found.await.map(Some);
            }
            Some(arn) => {
                if let Some(credentials) =
                    shared.mirror_credentials(arn, repository, rejected, deadline).await
                {
                    return Ok(Some(credentials));
                }
            }
            None => {}
        }
        let Some(listed) = shared.listed.iter().find(|listed| listed.registry == *registry) else {
            return Ok(None);
        };
        let found = shared.credentials_from_secret(
            &listed.arn,
            repository,
            rejected,
            SecretSetting::RegistryCredentials,
            deadline,
        );
        found.await.map(Some)
    }

    async fn find_credentials(
        &self,
        repository: &oci::Repository,
        rejected: Option<&Credentials>,
    ) -> Result<Option<Credentials>, registry::Error> {
        match self.credentials_from_secret(repository, rejected).await {
            Ok(Some(credentials)) => return Ok(Some(credentials)),
            Ok(None) => {}
            Err(problem) => {
                let text = problem.to_string();
                *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = Some(problem);
                return Err(registry::Error::Credentials(text.into()));
            }
        }
        match self.shared.ecr.credentials_for(repository, rejected).await? {
            Some(credentials) => Ok(Some(credentials)),
            None => self.shared.public.credentials_for(repository, rejected).await,
        }
    }
}

impl CredentialsProvider for SourceCredentials {
    fn credentials_for<'a>(
        &'a self,
        repository: &'a oci::Repository,
        rejected: Option<&'a Credentials>,
    ) -> BoxFuture<'a, Result<Option<Credentials>, registry::Error>> {
        Box::pin(self.find_credentials(repository, rejected))
    }

    fn needs_no_challenge(&self, repository: &oci::Repository) -> bool {
        self.shared.ecr.needs_no_challenge(repository)
    }
}

#[cfg(test)]
mod tests;
