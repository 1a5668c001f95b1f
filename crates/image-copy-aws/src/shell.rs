//! SDK clients with the AWS credentials of a shell.
//!
//! The sources and their order are those of the AWS SDKs
//! (<https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html#credentialProviderChain>).

use std::env;
use std::time::{Duration, SystemTime};

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::{EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider};
use aws_config::identity::IdentityCache;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_config::{Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, Result, SharedCredentialsProvider, future};
use tokio::sync::Mutex;

use crate::clients::{AwsClients, config_loader};
use crate::retry::RetryPolicy;
use crate::unavailable::UnavailableCredentials;

/// Time to load credentials. A process or a chain of roles can take longer than the SDK's 5 s.
const LOAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Minimum remaining validity of cached credentials. The SDK itself renews them 10 s before they expire.
const MIN_VALIDITY: Duration = Duration::from_secs(60);

/// Options of AWS clients that the environment and the configuration files do not set.
#[derive(Debug, Clone, Default)]
pub struct ShellOptions {
    /// Profile whose credentials are used instead of those of environment variables, as in the AWS CLI
    /// (<https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-options.html>).
    pub profile: Option<String>,
    /// Region of calls that are not about one repository. It overrides the environment and the profile.
    pub region: Option<String>,
    /// Region of these calls if nothing else sets one.
    pub default_region: String,
    /// Application name in CloudTrail: letters, digits and `-`.
    pub app_name: String,
    /// PEM of CA certificates that are trusted besides the system's. It must be valid, because the SDK panics
    /// on invalid PEM.
    pub certificates: Vec<u8>,
}

impl ShellOptions {
    /// Returns the Region of the options, the environment or the profile. `None` if nothing sets one.
    pub async fn configured_region(&self) -> Option<String> {
        self.region_chain().region().await.map(|region| region.to_string())
    }

    /// Without the instance metadata service, which the SDK's default chain asks for the Region.
    fn region_chain(&self) -> RegionProviderChain {
        let mut profile_region = ProfileFileRegionProvider::builder();
        if let Some(profile) = &self.profile {
            profile_region = profile_region.profile_name(profile);
        }
        RegionProviderChain::first_try(self.region.clone().map(Region::new))
            .or_else(EnvironmentVariableRegionProvider::new())
            .or_else(profile_region.build())
    }
}

/// Clients with the AWS credentials of a shell.
#[derive(Clone)]
pub struct ShellClients {
    /// Clients for private ECR.
    pub private: AwsClients,
    /// Clients for ECR Public, which also allows anonymous access. They never contact the instance metadata
    /// service, because a machine without one would wait for it.
    pub public: AwsClients,
    credentials: SharedCredentialsProvider,
}

impl ShellClients {
    /// Reads Region, endpoints and proxies as the SDK does. Sends nothing: the first call fetches credentials.
    pub async fn load(options: ShellOptions) -> Self {
        let region = options.region_chain().or_else(Region::new(options.default_region.clone()));
        let ShellOptions { profile, app_name, certificates, .. } = options;
        let mut loader = config_loader(app_name, &certificates)
            .region(region)
            .no_credentials()
            .identity_cache(IdentityCache::lazy().load_timeout(LOAD_TIMEOUT).build());
        if let Some(profile) = &profile {
            loader = loader.profile_name(profile);
        }
        let config = loader.load().await;
        let provider_config = provider_config(&config);
        let public = cached(sources(profile.as_deref(), &provider_config));
        let mut private = vec![public.clone()];
        // An explicit profile must contain credentials itself.
        if profile.is_none() {
            let instance = ImdsCredentialsProvider::builder().configure(&provider_config).build();
            private.push(SharedCredentialsProvider::new(instance));
        }
        let private = cached(private);
        let clients = |credentials: &SharedCredentialsProvider| {
            let config = config.clone().into_builder().credentials_provider(credentials.clone()).build();
            AwsClients::new(config, RetryPolicy::default())
        };
        Self { private: clients(&private), public: clients(&public), credentials: private }
    }

    /// Loads the credentials for private ECR, unless they are cached.
    ///
    /// # Errors
    /// If no source provides credentials. The error is the same for the rest of the process.
    pub async fn load_credentials(&self) -> std::result::Result<(), UnavailableCredentials> {
        match self.credentials.provide_credentials().await {
            Ok(_) => Ok(()),
            Err(error) => Err(UnavailableCredentials::from(&error)),
        }
    }
}

/// Returns the configuration of the sources of credentials.
fn provider_config(config: &SdkConfig) -> ProviderConfig {
    let mut sources = ProviderConfig::without_region()
        .with_behavior_version(config.behavior_version())
        .with_region(config.region().cloned())
        .with_use_fips(config.use_fips())
        .with_use_dual_stack(config.use_dual_stack());
    if let Some(http_client) = config.http_client() {
        sources = sources.with_http_client(http_client);
    }
    sources
}

/// Returns all sources except the instance metadata service.
fn sources(profile: Option<&str>, config: &ProviderConfig) -> Vec<SharedCredentialsProvider> {
    let profiles = ProfileFileCredentialsProvider::builder().configure(config);
    if let Some(profile) = profile {
        let credentials = profiles.profile_name(profile).build();
        return vec![SharedCredentialsProvider::new(NamedProfile { name: profile.to_owned(), credentials })];
    }
    vec![
        SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new()),
        SharedCredentialsProvider::new(profiles.build()),
        SharedCredentialsProvider::new(
            WebIdentityTokenCredentialsProvider::builder().configure(config).build(),
        ),
        SharedCredentialsProvider::new(EcsCredentialsProvider::builder().configure(config).build()),
    ]
}

/// The credentials of one profile. A profile without credentials is an error.
#[derive(Debug)]
struct NamedProfile {
    name: String,
    credentials: ProfileFileCredentialsProvider,
}

impl NamedProfile {
    async fn load(&self) -> Result {
        self.credentials.provide_credentials().await.map_err(|error| match error {
            CredentialsError::CredentialsNotLoaded(_) => {
                let missing = UnavailableCredentials::MISSING_PROFILE;
                let reason = format!("profile `{}` {missing}, or contains no credentials", self.name);
                CredentialsError::invalid_configuration(reason)
            }
            other => other,
        })
    }
}

impl ProvideCredentials for NamedProfile {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.load())
    }
}

fn cached(sources: Vec<SharedCredentialsProvider>) -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(CachedCredentials { sources, cache: Mutex::default() })
}

/// Asks each source in order. The result is cached for all clients.
///
/// A failure is final: a source that hangs is not asked twice, and the SDK returns another error the second
/// time.
#[derive(Debug)]
struct CachedCredentials {
    sources: Vec<SharedCredentialsProvider>,
    cache: Mutex<Option<std::result::Result<Credentials, UnavailableCredentials>>>,
}

impl CachedCredentials {
    async fn load(&self) -> Result {
        // The lock is held meanwhile, so that other tasks wait instead of loading them too.
        let mut cache = self.cache.lock().await;
        match &*cache {
            Some(Ok(credentials)) if is_valid(credentials) => return Ok(credentials.clone()),
            Some(Err(error)) => return Err(error.to_sdk_error()),
            Some(Ok(_)) | None => {}
        }
        let result = match tokio::time::timeout(LOAD_TIMEOUT, self.first_credentials()).await {
            Ok(result) => result,
            Err(_) => Err(CredentialsError::provider_timed_out(LOAD_TIMEOUT)),
        };
        let result = result.map_err(|error| UnavailableCredentials::from(&error));
        cache.insert(result).clone().map_err(|error| error.to_sdk_error())
    }

    async fn first_credentials(&self) -> Result {
        for source in &self.sources {
            match source.provide_credentials().await {
                // The SDK's own chain would use credentials of another source instead.
                Err(error @ CredentialsError::CredentialsNotLoaded(_)) if is_missing_profile(&error) => {
                    return Err(CredentialsError::invalid_configuration(error));
                }
                Err(CredentialsError::CredentialsNotLoaded(_)) => {}
                result => return result,
            }
        }
        Err(CredentialsError::not_loaded(UnavailableCredentials::NotConfigured))
    }
}

/// Returns true if `AWS_PROFILE` names a profile that does not exist. A missing default profile is no error.
fn is_missing_profile(error: &CredentialsError) -> bool {
    let is_named = env::var_os("AWS_PROFILE").is_some_and(|profile| !profile.is_empty());
    let cause = std::error::Error::source(error).map(ToString::to_string);
    is_named && cause.is_some_and(|cause| cause.contains(UnavailableCredentials::MISSING_PROFILE))
}

fn is_valid(credentials: &Credentials) -> bool {
    credentials.expiry().is_none_or(|expiry| expiry > SystemTime::now() + MIN_VALIDITY)
}

impl ProvideCredentials for CachedCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.load())
    }
}
