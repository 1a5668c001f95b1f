//! One SDK client per Region, made when it is first needed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use tokio::time::Instant;

use crate::arn::RepositoryArn;
use crate::call::{Calls, Patience};
use crate::repository::EcrRepository;

/// A route that leads nowhere must not use up an invocation.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Control-plane answers are small and quick; PutImage checks every layer, which takes seconds.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

/// The SDK's clients. Cheap to clone; clones share the clients.
#[derive(Clone)]
pub struct EcrClients {
    config: SdkConfig,
    patience: Patience,
    by_region: Arc<Mutex<HashMap<String, aws_sdk_ecr::Client>>>,
}

impl EcrClients {
    /// Reads Region, credentials and endpoints as the SDK does. Asks nobody: credentials are
    /// fetched with the first call.
    ///
    /// `region` serves calls that are not about one repository; `application` is what CloudTrail
    /// shows, in letters, digits and `-`.
    pub async fn from_environment(region: Option<String>, application: &str) -> Self {
        // A pinned version: `latest()` would change retries and timeouts with a `cargo update`.
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12());
        if let Some(region) = region {
            loader = loader.region(Region::new(region));
        }
        if let Ok(name) = AppName::new(application.to_owned()) {
            loader = loader.app_name(name);
        }
        Self::new(loader.load().await, Patience::default())
    }

    /// Clients with this configuration, whose Region, retries and timeouts do not count.
    #[must_use]
    pub fn new(config: SdkConfig, patience: Patience) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .build();
        // `call` retries, with more patience than the SDK's three attempts: one owner per request.
        let config =
            config.into_builder().retry_config(RetryConfig::disabled()).timeout_config(timeouts).build();
        Self { config, patience, by_region: Arc::default() }
    }

    /// The repository behind `arn`, whose calls end by `deadline`.
    #[must_use]
    pub fn repository(&self, arn: &RepositoryArn, deadline: Option<Instant>) -> EcrRepository {
        EcrRepository::new(arn.clone(), self.calls(arn.region(), deadline))
    }

    pub(crate) fn config(&self) -> &SdkConfig {
        &self.config
    }

    /// Calls to `region` that end by `deadline`.
    pub(crate) fn calls(&self, region: &str, deadline: Option<Instant>) -> Calls {
        let mut clients = self.by_region.lock().unwrap_or_else(PoisonError::into_inner);
        let client = clients.entry(region.to_owned()).or_insert_with(|| {
            let config = aws_sdk_ecr::config::Builder::from(&self.config)
                .region(Region::new(region.to_owned()))
                .build();
            aws_sdk_ecr::Client::from_conf(config)
        });
        Calls::new(client.clone(), region, deadline, self.patience)
    }
}
