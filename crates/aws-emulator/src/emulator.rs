//! The emulator, as tests and the binary use it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio::task::AbortHandle;

use crate::api::dynamodb::DynamoDb;
use crate::api::ecr_public::EcrPublic;
use crate::api::iam::Iam;
use crate::api::parameters::Parameters;
use crate::api::secrets::Secrets;
use crate::blob::GeneratedBlobs;
use crate::body::BoxError;
use crate::ca::CertificateAuthority;
use crate::ecr::Ecr;
use crate::fault::Faults;
use crate::identity::{ContainerCredentials, ContainerEndpoint, InstanceMetadata, Sso, Sts};
use crate::log::Log;
use crate::objects::Objects;
use crate::proxy::{ProxyState, listen};
use crate::service::Service;
use crate::stack::CloudFormation;
use crate::upstream::{Profile, Registry};

/// Settings of the emulator.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Address of the proxy.
    pub listen: SocketAddr,
    /// Account of the caller's credentials.
    pub account: String,
    /// Region in [`Emulator::environment`].
    pub region: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            account: "123456789012".to_owned(),
            region: "eu-west-1".to_owned(),
        }
    }
}

/// A running emulator. Dropping it stops it.
pub struct Emulator {
    shared: Arc<ProxyState>,
    address: SocketAddr,
    settings: Settings,
    listeners: Mutex<Vec<AbortHandle>>,
    generated_blobs: Arc<GeneratedBlobs>,
    docker_hub: Arc<Registry>,
    upstreams: Mutex<Vec<Arc<Registry>>>,
    ecr: Arc<Ecr>,
    ecr_public: Arc<Registry>,
    ecr_public_api: Arc<EcrPublic>,
    secrets: Arc<Secrets>,
    parameters: Arc<Parameters>,
    dynamodb: Arc<DynamoDb>,
    sts: Arc<Sts>,
    sso: Arc<Sso>,
    iam: Arc<Iam>,
    objects: Arc<Objects>,
    cloudformation: Arc<CloudFormation>,
}

/// Name of the provider's state table, which exists from the start in the emulator's Region.
pub const STATE_TABLE: &str = "cfn-container-image-provider-state";

/// Access key ID that the emulator provides and accepts.
pub(crate) const ACCESS_KEY_ID: &str = "ASIAEMULATOREXAMPLE0";

/// Secret of [`ACCESS_KEY_ID`].
pub(crate) const SECRET_ACCESS_KEY: &str = "emulated-secret-key-that-signs-nothing-real";

impl Emulator {
    /// Starts the emulator with default settings on the caller's Tokio runtime.
    ///
    /// # Errors
    ///
    /// Returns an error if the proxy cannot listen, or the CA certificate cannot be created or written.
    pub async fn start() -> Result<Self, BoxError> {
        Self::start_with(Settings::default()).await
    }

    /// Starts the emulator with these settings on the caller's Tokio runtime.
    ///
    /// # Errors
    ///
    /// Returns an error if the proxy cannot listen, or the CA certificate cannot be created or written.
    pub async fn start_with(settings: Settings) -> Result<Self, BoxError> {
        let shared = Arc::new(ProxyState {
            ca: CertificateAuthority::new()?,
            log: Arc::default(),
            faults: Arc::default(),
            services: RwLock::default(),
            access_keys: Arc::default(),
        });
        let (address, listener) = listen(Arc::clone(&shared), settings.listen, None).await?;
        let generated_blobs = Arc::<GeneratedBlobs>::default();
        let docker_hub = Arc::new(Registry::new(Profile::docker_hub(), Arc::clone(&generated_blobs)));
        let ecr = Arc::new(Ecr::new(&settings.account, Arc::clone(&generated_blobs)));
        let ecr_public = Arc::new(Registry::new(Profile::ecr_public(), Arc::clone(&generated_blobs)));
        let ecr_public_api = Arc::new(EcrPublic::new(&settings.account, Arc::clone(&ecr_public)));
        let secrets = Arc::new(Secrets::new(&settings.account));
        let parameters = Arc::new(Parameters::new(&settings.account));
        let dynamodb = Arc::new(DynamoDb::new(&settings.account));
        dynamodb.create_table(&settings.region, STATE_TABLE);
        let sts = Arc::new(Sts::new(&settings.account, Arc::clone(&shared.access_keys)));
        let sso = Arc::new(Sso::new(Arc::clone(&shared.access_keys)));
        let objects = Arc::new(Objects::new(&settings.account));
        let iam = Iam::new(
            &settings.account,
            vec![
                ("ecr", Arc::clone(&ecr) as _),
                ("ecr-public", Arc::clone(&ecr_public_api) as _),
                ("secretsmanager", Arc::clone(&secrets) as _),
                ("ssm", Arc::clone(&parameters) as _),
                ("dynamodb", Arc::clone(&dynamodb) as _),
                ("s3", Arc::clone(&objects) as _),
            ],
        );
        let cloudformation = Arc::new(CloudFormation::new(&settings.account));
        let listeners = Mutex::new(vec![listener]);
        let emulator = Self {
            shared,
            address,
            settings,
            listeners,
            generated_blobs,
            docker_hub,
            upstreams: Mutex::default(),
            ecr,
            ecr_public,
            ecr_public_api,
            secrets,
            parameters,
            dynamodb,
            sts,
            sso,
            iam: Arc::new(iam),
            objects,
            cloudformation,
        };
        let services: [Arc<dyn Service>; 12] = [
            Arc::clone(&emulator.docker_hub) as _,
            Arc::clone(&emulator.ecr) as _,
            Arc::clone(&emulator.ecr_public) as _,
            Arc::clone(&emulator.ecr_public_api) as _,
            Arc::clone(&emulator.secrets) as _,
            Arc::clone(&emulator.parameters) as _,
            Arc::clone(&emulator.dynamodb) as _,
            Arc::clone(&emulator.sts) as _,
            Arc::clone(&emulator.sso) as _,
            Arc::clone(&emulator.iam) as _,
            Arc::clone(&emulator.cloudformation) as _,
            Arc::clone(&emulator.objects) as _,
        ];
        emulator.shared.services.write().unwrap_or_else(PoisonError::into_inner).extend(services);
        Ok(emulator)
    }

    /// Adds a service. If several services serve a host, the first one receives the request.
    pub fn add(&self, service: Arc<dyn Service>) {
        let mut services = self.shared.services.write().unwrap_or_else(PoisonError::into_inner);
        // S3 is the last one, because registries have their own buckets.
        let last = services.len() - 1;
        services.insert(last, service);
    }

    /// Serves a service on a port of its own, in plain HTTP and without the proxy.
    ///
    /// # Errors
    ///
    /// Returns an error if no port can be opened.
    pub async fn expose(&self, service: Arc<dyn Service>) -> Result<SocketAddr, BoxError> {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (address, listener) = listen(Arc::clone(&self.shared), any, Some(service)).await?;
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).push(listener);
        Ok(address)
    }

    /// Returns Docker Hub.
    pub fn docker_hub(&self) -> &Arc<Registry> {
        &self.docker_hub
    }

    /// Returns ECR of all accounts and Regions.
    pub fn ecr(&self) -> &Arc<Ecr> {
        &self.ecr
    }

    /// Returns the registry `public.ecr.aws` of ECR Public.
    pub fn ecr_public(&self) -> &Arc<Registry> {
        &self.ecr_public
    }

    /// Returns the API that issues authorization tokens for ECR Public.
    pub fn ecr_public_api(&self) -> &Arc<EcrPublic> {
        &self.ecr_public_api
    }

    /// Returns Secrets Manager of all accounts and Regions.
    pub fn secrets(&self) -> &Arc<Secrets> {
        &self.secrets
    }

    /// Returns SSM Parameter Store of all accounts and Regions.
    pub fn parameters(&self) -> &Arc<Parameters> {
        &self.parameters
    }

    /// Returns DynamoDB of all Regions. The Region of the settings has the table [`STATE_TABLE`].
    pub fn dynamodb(&self) -> &Arc<DynamoDb> {
        &self.dynamodb
    }

    /// Returns STS of all Regions.
    pub fn sts(&self) -> &Arc<Sts> {
        &self.sts
    }

    /// Returns the portal of IAM Identity Center in all Regions.
    pub fn sso(&self) -> &Arc<Sso> {
        &self.sso
    }

    /// Returns IAM, which simulates the permissions of the role of all programs.
    pub fn iam(&self) -> &Arc<Iam> {
        &self.iam
    }

    /// Returns CloudFormation of all Regions, which describes the stacks that a test adds.
    pub fn cloudformation(&self) -> &Arc<CloudFormation> {
        &self.cloudformation
    }

    /// Returns S3 of all Regions, except the buckets of registries and of CloudFormation.
    pub fn objects(&self) -> &Arc<Objects> {
        &self.objects
    }

    /// Opens an endpoint for the credentials of a container.
    ///
    /// # Errors
    ///
    /// Returns an error if no port can be opened.
    pub async fn container_credentials(&self) -> Result<ContainerCredentials, BoxError> {
        let endpoint = Arc::new(ContainerEndpoint::new(Arc::clone(&self.shared.access_keys)));
        let token = endpoint.token().to_owned();
        let address = self.expose(endpoint).await?;
        Ok(ContainerCredentials { url: format!("http://{address}{}", ContainerEndpoint::PATH), token })
    }

    /// Opens the metadata service of an EC2 instance, and returns the URL for
    /// `AWS_EC2_METADATA_SERVICE_ENDPOINT`.
    ///
    /// # Errors
    ///
    /// Returns an error if no port can be opened.
    pub async fn instance_metadata(&self) -> Result<String, BoxError> {
        let service = InstanceMetadata::new(Arc::clone(&self.shared.access_keys));
        Ok(format!("http://{}", self.expose(Arc::new(service)).await?))
    }

    /// Expires all temporary credentials that were issued.
    pub fn expire_credentials(&self) {
        self.shared.access_keys.expire_all();
    }

    /// Returns the ARN of a repository in the account and Region of the settings.
    pub fn repository_arn(&self, name: &str) -> String {
        crate::ecr::repository_arn(&self.settings.account, &self.settings.region, name)
    }

    /// Adds an upstream registry.
    pub fn add_upstream(&self, profile: Profile) -> Arc<Registry> {
        let registry = Arc::new(Registry::new(profile, Arc::clone(&self.generated_blobs)));
        self.add(Arc::clone(&registry) as Arc<dyn Service>);
        self.upstreams.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&registry));
        registry
    }

    /// Returns the added upstream registry with a host name.
    pub fn upstream(&self, host: &str) -> Option<Arc<Registry>> {
        let upstreams = self.upstreams.lock().unwrap_or_else(PoisonError::into_inner);
        upstreams.iter().find(|registry| registry.profile().registry_host == host).cloned()
    }

    /// Returns the request log.
    pub fn log(&self) -> &Arc<Log> {
        &self.shared.log
    }

    /// Returns the faults.
    pub fn faults(&self) -> &Arc<Faults> {
        &self.shared.faults
    }

    /// Returns the settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Returns the URL for `HTTPS_PROXY`.
    pub fn proxy_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the path for `SSL_CERT_FILE`.
    pub fn ca_file(&self) -> PathBuf {
        self.shared.ca.file()
    }

    /// Returns the root certificate in PEM.
    pub fn ca_pem(&self) -> &str {
        self.shared.ca.pem()
    }

    /// Returns a folder that is deleted when the emulator is dropped.
    pub fn folder(&self) -> &Path {
        self.shared.ca.folder()
    }

    /// Returns the environment variables for a program that uses the emulator instead of AWS and other
    /// registries.
    ///
    /// To override `STATE_TABLE`, append the variable again.
    pub fn environment(&self) -> Vec<(String, String)> {
        let proxy = self.proxy_url();
        let ca_file = self.ca_file().to_string_lossy().into_owned();
        [
            ("HTTPS_PROXY", proxy.as_str()),
            ("https_proxy", proxy.as_str()),
            ("NO_PROXY", "127.0.0.1,localhost,::1"),
            ("no_proxy", "127.0.0.1,localhost,::1"),
            ("SSL_CERT_FILE", ca_file.as_str()),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID),
            ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY),
            ("AWS_SESSION_TOKEN", "emulated-session-token"),
            ("AWS_REGION", self.settings.region.as_str()),
            ("AWS_DEFAULT_REGION", self.settings.region.as_str()),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("STATE_TABLE", STATE_TABLE),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        for listener in self.listeners.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            listener.abort();
        }
    }
}
