//! Builds the clients of registries and AWS from the connection options and the user's credentials.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use image_copy::copy::Destination;
use image_copy::http;
use image_copy::oci::{self, Registry};
use image_copy::registry::{Client, Credentials, CredentialsProvider, Error};
use image_copy_aws::{AwsClients, EcrRepository, Objects, RepositoryArn, RepositoryPolicy, ShellOptions};

use crate::args::ConnectionArgs;
use crate::auth_files::{self, AuthFiles};
use crate::aws::Aws;
use crate::{display, input_file};

/// Maximum size of the certificate file in bytes. The bundles of operating systems have 0.2 MiB.
const MAX_CERTIFICATE_BYTES: u64 = 8 << 20;

/// Name of the program in CloudTrail.
const APP_NAME: &str = "container-image";

/// Registries and AWS, with the user's credentials.
pub(crate) struct Connection {
    pub(crate) client: Client,
    aws: Arc<Aws>,
}

impl Connection {
    /// Reads the certificates, and checks `--authfile`. Sends nothing. `repositories` are those of this run.
    ///
    /// # Errors
    /// Error line that names the option to change.
    pub(crate) fn open<'a>(
        args: &ConnectionArgs,
        repositories: impl IntoIterator<Item = &'a oci::Repository>,
    ) -> Result<Self, String> {
        if let Some(file) = &args.authfile {
            auth_files::check(file).map_err(|reason| format!("--authfile: {reason}."))?;
        }
        let file = args.ca_file.as_deref();
        let certificates = match file {
            Some(file) => input_file::read(file, MAX_CERTIFICATE_BYTES).map_err(|error| {
                format!(
                    "--ca-file {}: the file cannot be read: {}.",
                    display::path(file),
                    display::io_error(&error)
                )
            })?,
            None => Vec::new(),
        };
        let aws = ShellOptions {
            profile: args.profile.clone(),
            region: args.region.clone(),
            app_name: APP_NAME.into(),
            certificates: certificates.clone(),
            ..ShellOptions::default()
        };
        let aws = Arc::new(Aws::new(aws, repositories));
        let options = http::Options {
            user_agent: concat!("container-image/", env!("CARGO_PKG_VERSION")).into(),
            certificates,
            plain_http: args.plain_http.iter().map(Registry::to_string).collect(),
            ..http::Options::default()
        };
        // The most specific credentials are first.
        let credentials =
            CredentialChain::new(vec![Arc::new(AuthFiles::of(args.authfile.as_deref())), aws.clone()]);
        match Client::new(options, Arc::new(credentials)) {
            Ok(client) => Ok(Self { client, aws }),
            Err(problem) => Err(match file {
                Some(file) => format!("--ca-file {}: {problem}.", display::path(file)),
                None => format!("{problem}."),
            }),
        }
    }

    /// Returns a repository through ECR's API, whose calls fail without AWS credentials. `None` if it is not in
    /// private ECR.
    pub(crate) async fn signed_ecr_repository(&self, repository: &oci::Repository) -> Option<EcrRepository> {
        self.aws.signed_ecr_repository(repository).await
    }

    /// Returns a repository in private ECR that counts as empty while it is missing. `None` without AWS
    /// credentials, and for other registries.
    pub(crate) async fn existing_or_empty(&self, repository: &oci::Repository) -> Option<Destination> {
        let inventory = self.aws.ecr_repository(repository).await?.or_empty();
        let registry = self.client.repository(repository.clone(), None);
        Some(Destination::with_inventory(registry, Arc::new(inventory)))
    }

    /// Reads the policy of an ECR repository. Without an AWS client for it, there is no error.
    pub(crate) async fn repository_policy(
        &self,
        arn: &RepositoryArn,
    ) -> Result<Option<RepositoryPolicy>, Option<Error>> {
        match self.aws.ecr_repository(&arn.repository()).await {
            Some(repository) => repository.policy().await.map_err(Some),
            None => Err(None),
        }
    }

    /// Returns true if the repository certainly exists.
    pub(crate) async fn is_existing(&self, repository: &oci::Repository) -> bool {
        match self.aws.ecr_repository(repository).await {
            Some(repository) => repository.policy().await.is_ok(),
            None => false,
        }
    }

    /// Returns the Region of the options, the environment or the profile.
    pub(crate) async fn configured_region(&self) -> Option<String> {
        self.aws.configured_region().await
    }

    /// Returns a client that has only the AWS credentials, for hosts of ECR.
    pub(crate) fn client_without_files(&self) -> Client {
        self.client.with_credentials(self.aws.clone())
    }

    /// Returns the AWS credentials for hosts of ECR.
    pub(crate) fn aws_credentials(&self) -> Arc<dyn CredentialsProvider> {
        self.aws.clone()
    }

    /// Returns the clients of AWS services.
    pub(crate) async fn aws_clients(&self) -> AwsClients {
        self.aws.clients().await
    }

    /// Returns the objects of S3.
    pub(crate) async fn objects(&self) -> Objects {
        self.aws.clients().await.objects(self.aws.certificates(), None)
    }

    /// Returns a repository through ECR's API. `None` if it is not in private ECR, or if no AWS credentials can be
    /// loaded.
    pub(crate) async fn ecr_repository(&self, repository: &oci::Repository) -> Option<EcrRepository> {
        self.aws.ecr_repository(repository).await
    }

    /// Returns a destination: through ECR's API if possible, otherwise only through the registry API.
    pub(crate) async fn destination(&self, repository: &oci::Repository) -> Destination {
        let registry = self.client.repository(repository.clone(), None);
        match self.ecr_repository(repository).await {
            Some(inventory) => Destination::with_inventory(registry, Arc::new(inventory)),
            None => Destination::of_registry(registry),
        }
    }
}

/// Queries each source in order and returns the first credentials that the registry has not rejected.
///
/// ECR's passwords that `docker login` stored expire after 12 hours.
struct CredentialChain {
    sources: Vec<Arc<dyn CredentialsProvider>>,
    /// Requests with a body are not repeated, so that later ones must not send rejected credentials again.
    rejected: Mutex<Vec<(oci::Repository, Credentials)>>,
}

impl CredentialChain {
    fn new(sources: Vec<Arc<dyn CredentialsProvider>>) -> Self {
        Self { sources, rejected: Mutex::default() }
    }

    fn is_rejected(&self, repository: &oci::Repository, credentials: &Credentials) -> bool {
        let all = self.rejected.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().any(|(of, rejected)| of == repository && rejected == credentials)
    }

    fn add_rejected(&self, repository: &oci::Repository, credentials: &Credentials) {
        if !self.is_rejected(repository, credentials) {
            let mut all = self.rejected.lock().unwrap_or_else(PoisonError::into_inner);
            all.push((repository.clone(), credentials.clone()));
        }
    }
}

impl CredentialsProvider for CredentialChain {
    fn credentials_for<'a>(
        &'a self,
        repository: &'a oci::Repository,
        rejected: Option<&'a Credentials>,
    ) -> BoxFuture<'a, Result<Option<Credentials>, Error>> {
        Box::pin(async move {
            if let Some(rejected) = rejected {
                self.add_rejected(repository, rejected);
            }
            let mut last = None;
            for source in &self.sources {
                let found = source.credentials_for(repository, rejected.or(last.as_ref())).await?;
                match found {
                    Some(credentials) if !self.is_rejected(repository, &credentials) => {
                        return Ok(Some(credentials));
                    }
                    Some(credentials) => last = Some(credentials),
                    None => {}
                }
            }
            Ok(last)
        })
    }

    fn needs_no_challenge(&self, repository: &oci::Repository) -> bool {
        self.sources.iter().any(|source| source.needs_no_challenge(repository))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(&'static str, &'static str);

    impl CredentialsProvider for Fixed {
        fn credentials_for<'a>(
            &'a self,
            repository: &'a oci::Repository,
            _: Option<&'a Credentials>,
        ) -> BoxFuture<'a, Result<Option<Credentials>, Error>> {
            let credentials = (repository.registry().as_str() == self.0)
                .then(|| Credentials { username: self.1.into(), password: "x".into() });
            Box::pin(async move { Ok(credentials) })
        }
    }

    fn named(host: &str) -> oci::Repository {
        oci::Repository::new(host.parse().unwrap(), "acme/app").unwrap()
    }

    #[tokio::test]
    async fn returns_the_first_credentials_that_are_not_rejected() {
        let chain = CredentialChain::new(vec![
            Arc::new(Fixed("a", "first")),
            Arc::new(Fixed("a", "x")),
            Arc::new(Fixed("b", "second")),
        ]);
        let credentials = async |host| {
            chain.credentials_for(&named(host), None).await.unwrap().map(|credentials| credentials.username)
        };
        assert_eq!(credentials("a").await.as_deref(), Some("first"));
        assert_eq!(credentials("b").await.as_deref(), Some("second"));
        assert_eq!(credentials("c").await, None);
        let first = chain.credentials_for(&named("a"), None).await.unwrap().unwrap();
        let next = chain.credentials_for(&named("a"), Some(&first)).await.unwrap().unwrap();
        assert_eq!(next.username, "x", "the first was rejected");
        assert_eq!(credentials("a").await.as_deref(), Some("x"), "the first was rejected before");
        chain.credentials_for(&named("a"), Some(&next)).await.unwrap().unwrap();
        assert_eq!(credentials("a").await.as_deref(), Some("x"), "both were rejected");
    }
}
