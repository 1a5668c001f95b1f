//! The clients that all events share.

use std::sync::Arc;

use image_copy::oci::{Registry, Repository};
use image_copy::registry;
use image_copy_aws::{ClientOptions, CredentialArn, EcrClients, EcrCredentials, Functions, RepositoryArn};
use tokio::time::Instant;

use crate::courier::Courier;
use crate::deadline::Deadline;
use crate::event::Envelope;
use crate::ledger::{Claimant, Ledger};
use crate::logins::{Logins, UpstreamCredentials};
use crate::settings::Settings;

/// What events share: made once, for as long as the function lives.
pub(crate) struct Services {
    pub(crate) settings: Settings,
    pub(crate) ecr: EcrClients,
    /// Speaks to the destination, with ECR's own logins and no others.
    pub(crate) registries: registry::Client,
    logins: Arc<Logins>,
    pub(crate) functions: Functions,
    pub(crate) courier: Courier,
}

/// How AWS is called, as far as the installer decides.
pub(crate) fn client_options(settings: &Settings) -> ClientOptions {
    ClientOptions {
        region: settings.region.clone(),
        application: "cfn-container-image-provider".into(),
        endpoints: settings.network.endpoints,
        certificates: settings.network.certificates.clone(),
    }
}

impl Services {
    /// Makes the clients; nothing is sent.
    pub(crate) fn new(settings: Settings, ecr: EcrClients) -> Result<Self, String> {
        let network = &settings.network;
        let http = image_copy::http::Options {
            user_agent: crate::USER_AGENT.into(),
            certificates: network.certificates.clone(),
            ..image_copy::http::Options::default()
        };
        let options = registry::Options { http, plain_http: network.plain_http.clone() };
        let own = Arc::new(EcrCredentials::new(ecr.clone()));
        let registries = registry::Client::new(options, own.clone())?;
        let listed = settings.copying.as_ref().map(|copying| copying.logins.clone()).unwrap_or_default();
        let logins = Arc::new(Logins::new(&ecr, own, listed));
        let functions = ecr.functions();
        let courier = Courier::new(&network.certificates).map_err(|error| error.without_url().to_string())?;
        Ok(Self { settings, ecr, registries, logins, functions, courier })
    }

    /// Where the images of a repository go: the registry's host, by the endpoints that are wanted.
    pub(crate) fn data(&self, arn: &RepositoryArn) -> Result<Repository, String> {
        self.settings.network.endpoints.repository(arn).map_err(|error| {
            format!(
                "the provider's setting AWS_USE_DUALSTACK_ENDPOINT cannot be followed: {error}. Unset it for the function"
            )
        })
    }

    /// The client for what one event copies from `named`. Its tokens serve no other event, which
    /// may have another login.
    pub(crate) fn upstream(
        &self,
        arn: Option<CredentialArn>,
        named: &Registry,
        deadline: Instant,
    ) -> (registry::Client, Arc<UpstreamCredentials>) {
        let logins = UpstreamCredentials::new(&self.logins, arn, named.clone(), Some(deadline));
        let logins = Arc::new(logins);
        (self.registries.with_credentials(logins.clone()), logins)
    }

    /// Records and claims in a repository, as the event's resource sees them. What a failure leaves
    /// is put in order after the work's own deadline.
    pub(crate) fn ledger(&self, arn: &RepositoryArn, envelope: &Envelope, deadline: &Deadline) -> Ledger {
        let until = Some(deadline.job);
        let (stack_id, logical_id) = (envelope.stack_id.clone(), envelope.logical_resource_id.clone());
        // A Delete goes on without the endpoints that there are not.
        let data = self.data(arn).unwrap_or_else(|_| arn.repository());
        Ledger::new(
            self.ecr.repository(arn, until),
            self.registries.repository(data, until),
            Claimant { stack_id, logical_id },
        )
    }
}
