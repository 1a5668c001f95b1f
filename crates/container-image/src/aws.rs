//! Amazon ECR and ECR Public, through the AWS SDK. AWS is contacted only for their hosts.

use futures_util::future::BoxFuture;
use image_copy::oci;
use image_copy::registry::{Credentials, CredentialsProvider, Error};
use image_copy_aws::{
    AwsClients, EcrCredentials, EcrPublicCredentials, EcrRegistryHost, EcrRepository, RepositoryArn,
    ShellClients, ShellOptions, UnavailableCredentials,
};
use tokio::sync::OnceCell;

/// Region for ECR Public, and for credentials without another Region.
const DEFAULT_REGION: &str = "us-east-1";

/// AWS with the user's credentials. They are loaded when the first host of ECR needs them.
pub(crate) struct Aws {
    options: ShellOptions,
    services: OnceCell<Services>,
}

struct Services {
    clients: ShellClients,
    ecr: EcrCredentials,
    public: EcrPublicCredentials,
}

impl Aws {
    /// `repositories` are all repositories of this run. The Region of the first one in private ECR is the
    /// default Region.
    pub(crate) fn new<'a>(
        mut options: ShellOptions,
        repositories: impl IntoIterator<Item = &'a oci::Repository>,
    ) -> Self {
        let region = repositories.into_iter().find_map(private_host).map(|host| host.region);
        options.default_region = region.unwrap_or_else(|| DEFAULT_REGION.to_owned());
        Self { options, services: OnceCell::new() }
    }

    /// Returns the repository through ECR's API. `None` if it is not in private ECR, or if no AWS credentials
    /// can be loaded: the registry's API also accepts the credentials of `docker login`.
    pub(crate) async fn ecr_repository(&self, repository: &oci::Repository) -> Option<EcrRepository> {
        let arn = RepositoryArn::from_any_host(repository)?;
        let clients = &self.services().await.clients;
        match clients.load_credentials().await {
            Ok(()) => Some(clients.private.repository(&arn, None)),
            Err(reason) => {
                tracing::debug!(%reason, "ECR's API is not used: no AWS credentials");
                None
            }
        }
    }

    /// Returns the repository through ECR's API, whose calls fail without AWS credentials. `None` if it is not in
    /// private ECR.
    pub(crate) async fn signed_ecr_repository(&self, repository: &oci::Repository) -> Option<EcrRepository> {
        let arn = RepositoryArn::from_any_host(repository)?;
        Some(self.services().await.clients.private.repository(&arn, None))
    }

    /// Returns the Region of the options, the environment or the profile.
    pub(crate) async fn configured_region(&self) -> Option<String> {
        self.options.configured_region().await
    }

    /// Returns the CA certificates to trust in addition to the system's, as PEM.
    pub(crate) fn certificates(&self) -> &[u8] {
        &self.options.certificates
    }

    /// Returns the clients of AWS services.
    pub(crate) async fn clients(&self) -> AwsClients {
        self.services().await.clients.private.clone()
    }

    async fn services(&self) -> &Services {
        let load = async || {
            let clients = ShellClients::load(self.options.clone()).await;
            let (private, public) = (clients.private.clone(), clients.public.clone());
            Services { clients, ecr: EcrCredentials::new(private), public: EcrPublicCredentials::new(public) }
        };
        self.services.get_or_init(load).await
    }
}

/// Returns the host of a repository in private ECR.
pub(crate) fn private_host(repository: &oci::Repository) -> Option<EcrRegistryHost> {
    EcrRegistryHost::parse(repository.registry().as_str())
}

impl CredentialsProvider for Aws {
    fn credentials_for<'a>(
        &'a self,
        repository: &'a oci::Repository,
        rejected: Option<&'a Credentials>,
    ) -> BoxFuture<'a, Result<Option<Credentials>, Error>> {
        Box::pin(async move {
            if EcrPublicCredentials::is_for(repository.registry().as_str()) {
                return self.services().await.public.credentials_for(repository, rejected).await;
            }
            if private_host(repository).is_none() {
                return Ok(None);
            }
            let Services { clients, ecr, .. } = self.services().await;
            match clients.load_credentials().await {
                Ok(()) => ecr.credentials_for(repository, rejected).await,
                // The registry's error about a stored password is more useful.
                Err(UnavailableCredentials::NotConfigured) if rejected.is_some() => Ok(None),
                Err(reason) => Err(Error::Credentials(reason.to_string().into())),
            }
        })
    }

    fn needs_no_challenge(&self, repository: &oci::Repository) -> bool {
        private_host(repository).is_some()
    }
}
