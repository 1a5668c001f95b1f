//! The engine with the emulator: Docker Hub as the source, ECR as the destination.

#![allow(dead_code, reason = "each test file uses some of the helpers")]
#![expect(clippy::unwrap_used, reason = "a failed setup fails the test")]

pub(crate) mod loopback_copy;
pub(crate) mod loopback_registry;

use std::sync::Arc;
use std::time::Duration;

use aws_emulator::{Emulator, Image, LogPosition, Mutability};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures_util::future::BoxFuture;
use image_copy::copy::{
    Destination, Error, Mirror, NullReporter, Outcome, Plan, PlatformSelection, Request, Source,
    TransferLimits, plan, read_current_state, transfer,
};
use image_copy::http;
use image_copy::oci::{self, Reference};
use image_copy::registry::{self, Client, Credentials, CredentialsProvider};
use secrecy::ExposeSecret as _;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// The name of the destination repository.
pub(crate) const APP: &str = "team/app";

pub(crate) struct World {
    pub(crate) emulator: Emulator,
    pub(crate) ecr: aws_emulator::Repository,
    pub(crate) client: Client,
    pub(crate) deadline: Option<Instant>,
    pub(crate) mirrors: Vec<Mirror>,
}

/// Options with the proxy and the CA certificate of the emulator, and pauses of milliseconds.
pub(crate) fn options(emulator: &Emulator) -> http::Options {
    let backoff = http::Backoff {
        first_pause: Duration::from_millis(2),
        longest_pause: Duration::from_millis(20),
        max_attempts: 5,
        max_total_pause: Duration::from_secs(10),
        max_silence: Duration::from_secs(60),
    };
    http::Options {
        certificates: emulator.ca_pem().as_bytes().to_vec(),
        proxy: Some(emulator.proxy_url()),
        backoff,
        connect_timeout: Duration::from_secs(2),
        read_timeout: Duration::from_millis(1000),
        commit_timeout: Duration::from_millis(1500),
        ..http::Options::default()
    }
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with_mutability(Mutability::Mutable).await
    }

    pub(crate) async fn with_mutability(mutability: Mutability) -> Self {
        let emulator = Emulator::start().await.unwrap();
        let ecr = emulator.ecr().create_repository(&emulator.repository_arn(APP), mutability);
        let credentials =
            WorldCredentials { ecr: EcrApi::new(&emulator), cached: Mutex::default(), hub: None };
        let client = Client::new(options(&emulator), Arc::new(credentials)).unwrap();
        Self { emulator, ecr, client, deadline: None, mirrors: Vec::new() }
    }

    /// Uses these credentials for Docker Hub in all later requests.
    pub(crate) fn sign_in(&mut self, username: &str, password: &str) {
        let credentials = Credentials { username: username.into(), password: password.into() };
        let cached = Mutex::default();
        let credentials =
            WorldCredentials { ecr: EcrApi::new(&self.emulator), cached, hub: Some(credentials) };
        self.client = Client::new(options(&self.emulator), Arc::new(credentials)).unwrap();
    }

    /// Uses these options in all later requests.
    pub(crate) fn set_options(&mut self, options: http::Options) {
        let credentials =
            WorldCredentials { ecr: EcrApi::new(&self.emulator), cached: Mutex::default(), hub: None };
        self.client = Client::new(options, Arc::new(credentials)).unwrap();
    }

    pub(crate) fn request(&self, source: &str, tag: Option<&str>, platforms: &str) -> Request {
        let destination: Reference = self.ecr.uri().parse().unwrap();
        Request {
            source: source.parse().unwrap(),
            destination: destination.repository,
            tag: tag.map(|tag| tag.parse().unwrap()),
            platforms: match platforms {
                "all" => PlatformSelection::All,
                list if list.contains(',') => PlatformSelection::Several(
                    list.split(',').map(|platform| platform.parse().unwrap()).collect(),
                ),
                platform => PlatformSelection::One(platform.parse().unwrap()),
            },
            earlier_copies: Vec::new(),
            include_referrers: false,
            customization: None,
        }
    }

    pub(crate) fn source(&self, request: &Request) -> Source {
        let name = request.source.repository.clone();
        Source::with_mirrors(&self.client, name, self.deadline, &self.mirrors)
    }

    pub(crate) fn destination(&self, request: &Request) -> Destination {
        Destination::of_registry(self.client.repository(request.destination.clone(), self.deadline))
    }

    pub(crate) async fn plan(&self, request: &Request) -> Result<Plan, Error> {
        self.plan_to(request, &self.source(request), &self.destination(request)).await
    }

    pub(crate) async fn plan_to(
        &self,
        request: &Request,
        from: &Source,
        to: &Destination,
    ) -> Result<Plan, Error> {
        plan(request, &read_current_state(request, from, to).await?, from, to).await
    }

    pub(crate) async fn copy(
        &self,
        source: &str,
        tag: Option<&str>,
        platforms: &str,
    ) -> Result<Outcome, Error> {
        let request = self.request(source, tag, platforms);
        self.copy_to(&request, &self.destination(&request)).await
    }

    pub(crate) fn request_with_referrers(&self, source: &str, tag: &str, platforms: &str) -> Request {
        Request { include_referrers: true, ..self.request(source, Some(tag), platforms) }
    }

    pub(crate) async fn copy_with_referrers(
        &self,
        source: &str,
        tag: &str,
        platforms: &str,
    ) -> Result<Outcome, Error> {
        let request = self.request_with_referrers(source, tag, platforms);
        self.copy_to(&request, &self.destination(&request)).await
    }

    pub(crate) async fn copy_to(&self, request: &Request, to: &Destination) -> Result<Outcome, Error> {
        let from = self.source(request);
        let plan = self.plan_to(request, &from, to).await?;
        let limits = TransferLimits { deadline: self.deadline, ..TransferLimits::default() };
        transfer(&plan, &from, to, &limits, Arc::new(NullReporter)).await
    }

    pub(crate) fn put_hub_image(&self, tag: &str, image: &Image) {
        self.emulator.docker_hub().put_image("library/python", tag, image);
    }

    /// Returns the requests to all hosts of Docker Hub since `mark`.
    pub(crate) fn upstream_requests(&self, mark: LogPosition) -> Vec<String> {
        let entries = self.emulator.log().since(mark);
        let upstream =
            entries.iter().filter(|entry| matches!(entry.service.as_str(), "upstream" | "token" | "cdn"));
        upstream.map(|entry| entry.operation.clone()).collect()
    }

    /// Asserts that the tag names the image, and that ECR has all its manifests and blobs, byte for byte.
    #[track_caller]
    pub(crate) fn check_stored(&self, tag: &str, image: &Image) {
        assert_eq!(self.ecr.resolve(tag).as_deref(), Some(image.digest()));
        for manifest in &image.manifests {
            let stored = self.ecr.manifest(&manifest.digest).expect("the manifest is stored");
            assert_eq!(stored, manifest.bytes, "{}", manifest.digest);
        }
        for blob in &image.blobs {
            assert_eq!(self.ecr.actual_blob_digest(blob.digest()).as_deref(), Some(blob.digest()));
        }
    }
}

/// Caches the credentials for ECR until they are rejected, as the provider does.
struct WorldCredentials {
    ecr: EcrApi,
    cached: Mutex<Option<Credentials>>,
    hub: Option<Credentials>,
}

/// Requests credentials from the API of the emulated ECR, without an SDK.
struct EcrApi {
    client: reqwest::Client,
    access_key: String,
}

impl EcrApi {
    fn new(emulator: &Emulator) -> Self {
        let certificate = reqwest::Certificate::from_pem(emulator.ca_pem().as_bytes()).unwrap();
        let client = reqwest::Client::builder()
            .proxy(reqwest::Proxy::all(emulator.proxy_url()).unwrap())
            .tls_certs_merge([certificate])
            .build()
            .unwrap();
        let environment = emulator.environment();
        let access_key = environment.into_iter().find(|(name, _)| name == "AWS_ACCESS_KEY_ID").unwrap().1;
        Self { client, access_key }
    }

    async fn credentials(&self, region: &str) -> Credentials {
        let credential = format!("{}/20261121/{region}/ecr/aws4_request", self.access_key);
        let response = self
            .client
            .post(format!("https://api.ecr.{region}.amazonaws.com/"))
            .header("X-Amz-Target", "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken")
            .header("Content-Type", "application/x-amz-json-1.1")
            .header(
                "Authorization",
                format!(
                    "AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host;x-amz-date, Signature=00"
                ),
            )
            .header("X-Amz-Date", "20261121T000000Z")
            .body("{}")
            .send()
            .await
            .unwrap();
        let document: serde_json::Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        let token =
            document["authorizationData"][0]["authorizationToken"].as_str().expect("a token").to_owned();
        let pair = String::from_utf8(BASE64_STANDARD.decode(token).unwrap()).unwrap();
        let (username, password) = pair.split_once(':').unwrap();
        Credentials { username: username.into(), password: password.into() }
    }
}

impl CredentialsProvider for WorldCredentials {
    fn credentials_for<'a>(
        &'a self,
        repository: &'a oci::Repository,
        rejected: Option<&'a Credentials>,
    ) -> BoxFuture<'a, Result<Option<Credentials>, registry::Error>> {
        Box::pin(async move {
            match repository.registry().api_host().split('.').collect::<Vec<_>>().as_slice() {
                [_, "dkr", "ecr", region, "amazonaws", "com"] => {
                    let mut cached = self.cached.lock().await;
                    let is_rejected = |credentials: &Credentials| {
                        rejected.is_some_and(|r| {
                            r.password.expose_secret() == credentials.password.expose_secret()
                        })
                    };
                    if cached.as_ref().is_none_or(is_rejected) {
                        *cached = Some(self.ecr.credentials(region).await);
                    }
                    Ok(cached.clone())
                }
                ["registry-1", "docker", "io"] => Ok(self.hub.clone()),
                _ => Ok(None),
            }
        })
    }
}

/// Returns the name of the destination repository.
pub(crate) fn destination_name(world: &World) -> oci::Repository {
    world.ecr.uri().parse::<Reference>().unwrap().repository
}
