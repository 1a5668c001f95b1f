//! One SDK client per Region, made when it is first needed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_sdk_ecr::config::SharedHttpClient;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, Connector};
use tokio::time::Instant;

use crate::arn::RepositoryArn;
use crate::endpoints::{EndpointOptions, Service};
use crate::repository::EcrRepository;
use crate::retry::{RetryPolicy, RetryingClient};

/// A route that leads nowhere must not use up an invocation.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Control-plane answers are small and quick; PutImage checks every layer, which takes seconds.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

/// What the environment does not say, or should not say twice.
#[derive(Debug, Clone, Default)]
pub struct ClientOptions {
    /// Serves calls that are not about one repository; none takes what the environment says.
    pub region: Option<String>,
    /// What CloudTrail shows, in letters, digits and `-`.
    pub application: String,
    /// Which endpoints are called.
    pub endpoints: EndpointOptions,
    /// Certificates of authorities to trust besides the system's, as PEM that was read before: the
    /// SDK panics over what it cannot read.
    pub certificates: Vec<u8>,
}

/// The SDK's clients. Cheap to clone; clones share the clients.
#[derive(Clone)]
pub struct AwsClients {
    config: SdkConfig,
    retry_policy: RetryPolicy,
    by_region: Arc<Mutex<HashMap<String, aws_sdk_ecr::Client>>>,
}

impl AwsClients {
    /// Reads credentials, endpoints and proxies as the SDK does. Asks nobody: credentials are fetched
    /// with the first call.
    pub async fn from_environment(options: ClientOptions) -> Self {
        // A pinned version: `latest()` would change retries and timeouts with a `cargo update`.
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .use_fips(options.endpoints.fips)
            .use_dual_stack(options.endpoints.dual_stack);
        if let Some(region) = options.region {
            loader = loader.region(Region::new(region));
        }
        if let Ok(name) = AppName::new(options.application) {
            loader = loader.app_name(name);
        }
        if !options.certificates.is_empty() {
            loader = loader.http_client(http_client_with(&options.certificates));
        }
        Self::new(loader.load().await, RetryPolicy::default())
    }

    /// Clients with this configuration, whose retries and timeouts do not count.
    #[must_use]
    pub fn new(config: SdkConfig, retry_policy: RetryPolicy) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .build();
        // `call` retries, with more patience than the SDK's three attempts: one owner per request.
        let config =
            config.into_builder().retry_config(RetryConfig::disabled()).timeout_config(timeouts).build();
        Self { config, retry_policy, by_region: Arc::default() }
    }

    /// The repository behind `arn`, whose calls end by `deadline`.
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

    /// The API host of a service, for errors.
    pub(crate) fn api_host(&self, service: Service, region: &str) -> String {
        let fips = self.config.use_fips().unwrap_or(false);
        EndpointOptions { fips, dual_stack: self.config.use_dual_stack().unwrap_or(false) }
            .api_host(service, region)
    }

    /// Calls to `region` that end by `deadline`.
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

/// The SDK's own HTTP client, but for these certificates. Built by hand, it would forget the proxy.
fn http_client_with(certificates: &[u8]) -> SharedHttpClient {
    let store = TrustStore::default().with_pem_certificate(certificates);
    let context = TlsContext::builder().with_trust_store(store).build();
    let context = context.expect("a trust store is all that is needed");
    Builder::new().build_with_connector_fn(move |settings, components| {
        let mut builder = Connector::builder().proxy_config(ProxyConfig::from_env());
        builder.set_connector_settings(settings.cloned());
        builder.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
        builder.tls_provider(Provider::Rustls(CryptoMode::AwsLc)).tls_context(context.clone()).build()
    })
}
