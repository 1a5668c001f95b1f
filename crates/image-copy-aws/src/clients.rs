//! SDK clients, created for each Region on first use.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_sdk_ecr::config::SharedHttpClient;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, Connector, ConnectorBuilder};
use aws_smithy_runtime_api::client::http::{HttpConnectorSettings, SharedHttpConnector};
use tokio::time::Instant;

use crate::arn::RepositoryArn;
use crate::endpoints::{EndpointOptions, Service};
use crate::repository::EcrRepository;
use crate::retry::{RetryPolicy, RetryingClient};

/// A missing route must not use up an invocation.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Responses are small and quick. `PutImage` checks every layer, which takes seconds.
pub(crate) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);
const TLS: Provider = Provider::Rustls(CryptoMode::AwsLc);

/// Options of AWS clients that the environment does not set.
#[derive(Debug, Clone, Default)]
pub struct ClientOptions {
    /// Region of calls that are not about one repository. `None` means the environment's Region.
    pub region: Option<String>,
    /// Application name in CloudTrail: letters, digits and `-`.
    pub app_name: String,
    /// Endpoints that are called.
    pub endpoints: EndpointOptions,
    /// PEM of CA certificates that are trusted besides the system's. It must be valid, because the SDK panics
    /// on invalid PEM.
    pub certificates: Vec<u8>,
}

/// Clients of AWS services. Clones share connections.
#[derive(Clone)]
pub struct AwsClients {
    config: SdkConfig,
    retry_policy: RetryPolicy,
    by_region: Arc<Mutex<HashMap<String, aws_sdk_ecr::Client>>>,
}

impl AwsClients {
    /// Reads credentials, endpoints and proxies as the SDK does. Sends nothing: the first call fetches
    /// credentials.
    pub async fn from_environment(options: ClientOptions) -> Self {
        let mut loader = config_loader(options.app_name, &options.certificates)
            .use_fips(options.endpoints.fips)
            .use_dual_stack(options.endpoints.dual_stack);
        if let Some(region) = options.region {
            loader = loader.region(Region::new(region));
        }
        Self::new(loader.load().await, RetryPolicy::default())
    }

    /// Creates clients with this configuration, except its retries and timeouts.
    #[must_use]
    pub fn new(config: SdkConfig, retry_policy: RetryPolicy) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .build();
        // Only `RetryingClient` retries, because it retries longer than the SDK.
        let config =
            config.into_builder().retry_config(RetryConfig::disabled()).timeout_config(timeouts).build();
        Self { config, retry_policy, by_region: Arc::default() }
    }

    /// Returns the repository `arn`, whose calls end by `deadline`.
    #[must_use]
    pub fn repository(&self, arn: &RepositoryArn, deadline: Option<Instant>) -> EcrRepository {
        EcrRepository::new(arn.clone(), self.ecr_client(arn.region(), deadline))
    }

    pub(crate) fn config(&self) -> &SdkConfig {
        &self.config
    }

    pub(crate) fn retry_policy(&self) -> RetryPolicy {
        self.retry_policy
    }

    /// Returns the API host of a service, for errors.
    pub(crate) fn api_host(&self, service: Service, region: &str) -> String {
        let fips = self.config.use_fips().unwrap_or(false);
        EndpointOptions { fips, dual_stack: self.config.use_dual_stack().unwrap_or(false) }
            .api_host(service, region)
    }

    /// Returns a client for ECR in `region`, whose calls end by `deadline`.
    pub(crate) fn ecr_client(&self, region: &str, deadline: Option<Instant>) -> RetryingClient {
        let mut clients = self.by_region.lock().unwrap_or_else(PoisonError::into_inner);
        let client = clients.entry(region.to_owned()).or_insert_with(|| {
            let config = aws_sdk_ecr::config::Builder::from(&self.config)
                .region(Region::new(region.to_owned()))
                .build();
            aws_sdk_ecr::Client::from_conf(config)
        });
        RetryingClient::new(client.clone(), self.api_host(Service::Ecr, region), deadline, self.retry_policy)
    }
}

/// Returns a loader with this application name, and with these CA certificates if there are any.
pub(crate) fn config_loader(app_name: String, certificates: &[u8]) -> ConfigLoader {
    // Pinned, because `latest()` would change retries and timeouts with a `cargo update`.
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12());
    if let Ok(name) = AppName::new(app_name) {
        loader = loader.app_name(name);
    }
    if certificates.is_empty() { loader } else { loader.http_client(http_client_with(certificates)) }
}

/// Returns the SDK's HTTP client with these CA certificates.
fn http_client_with(certificates: &[u8]) -> SharedHttpClient {
    let context = tls_context(certificates);
    Builder::new().build_with_connector_fn(move |settings, components| {
        let mut builder = connector_builder();
        builder.set_connector_settings(settings.cloned());
        builder.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
        builder.tls_provider(TLS).tls_context(context.clone()).build()
    })
}

/// Returns a connection pool with the SDK's proxies, for requests that no SDK crate sends. It trusts these CA
/// certificates besides the system's, and follows no redirects.
pub(crate) fn connector_with(certificates: &[u8]) -> SharedHttpConnector {
    let settings = HttpConnectorSettings::builder().connect_timeout(CONNECT_TIMEOUT).build();
    let builder = connector_builder().connector_settings(settings);
    SharedHttpConnector::new(builder.tls_provider(TLS).tls_context(tls_context(certificates)).build())
}

/// A connector built by hand does not use the proxy unless it is set.
fn connector_builder() -> ConnectorBuilder {
    Connector::builder().proxy_config(ProxyConfig::from_env())
}

fn tls_context(certificates: &[u8]) -> TlsContext {
    let mut store = TrustStore::default();
    if !certificates.is_empty() {
        store = store.with_pem_certificate(certificates);
    }
    TlsContext::builder().with_trust_store(store).build().expect("a trust store is all that is needed")
}
