//! Clients that all events share.

pub(crate) mod credentials;

use std::sync::Arc;

use image_copy::oci::Repository;
use image_copy::registry;
use image_copy_aws::{
    AwsClients, ClientOptions, CredentialArn, EcrCredentials, Functions, RepositoryArn, StateTable,
};
use tokio::time::Instant;

use crate::settings::Settings;
use credentials::{SharedCredentials, SourceCredentials};

/// Clients that all events of this process share.
pub(crate) struct Clients {
    pub(crate) settings: Settings,
    pub(crate) ecr: AwsClients,
    /// For the destination, only with the credentials of the function's role.
    pub(crate) registries: registry::Client,
    credentials: Arc<SharedCredentials>,
    pub(crate) functions: Functions,
    pub(crate) state_table: Option<StateTable>,
}

/// Returns the options of AWS clients from the settings.
pub(crate) fn client_options(settings: &Settings) -> ClientOptions {
    ClientOptions {
        region: settings.region.clone(),
        app_name: "cfn-container-image-provider".into(),
        endpoints: settings.network.endpoints,
        certificates: settings.network.certificates.clone(),
    }
}

impl Clients {
    /// Creates the clients. Sends nothing.
    pub(crate) fn new(settings: Settings, ecr: AwsClients) -> Result<Self, String> {
        let network = &settings.network;
        let options = image_copy::http::Options {
            user_agent: crate::USER_AGENT.into(),
            certificates: network.certificates.clone(),
            plain_http: network.plain_http.clone(),
            ..image_copy::http::Options::default()
        };
        let ecr_credentials = Arc::new(EcrCredentials::new(ecr.clone()));
        let registries = registry::Client::new(options, ecr_credentials.clone())?;
        let listed = settings.copy.as_ref().map(|copy| copy.registry_credentials.clone()).unwrap_or_default();
        let credentials = Arc::new(SharedCredentials::new(&ecr, ecr_credentials, listed));
        let functions = ecr.functions();
        let state_table = settings.state_table.as_ref().map(|name| ecr.state_table(name));
        Ok(Self { settings, ecr, registries, credentials, functions, state_table })
    }

    /// Returns the repository with the host for uploads, according to the endpoint settings.
    pub(crate) fn destination(&self, arn: &RepositoryArn) -> Result<Repository, String> {
        self.settings
            .network
            .endpoints
            .repository(arn)
            .map_err(|error| format!("The provider's parameter UseDualStackEndpoints is invalid: {error}"))
    }

    /// Returns the client for the source of one event, and its credentials. Other events do not share its
    /// tokens, because they can have other credentials.
    pub(crate) fn source(
        &self,
        arn: Option<CredentialArn>,
        source: &Repository,
        deadline: Instant,
    ) -> (registry::Client, Arc<SourceCredentials>) {
        let credentials = SourceCredentials::new(&self.credentials, arn, source.clone(), Some(deadline));
        let credentials = Arc::new(credentials);
        (self.registries.with_credentials(credentials.clone()), credentials)
    }
}
