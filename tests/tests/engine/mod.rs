//! The engine with emulated source registries and emulated ECR as the destination.

#![allow(dead_code, reason = "each test file uses its part")]
#![expect(clippy::unwrap_used, reason = "a failed setup ends the test")]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_emulator::{Emulator, Mutability};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures_util::future::BoxFuture;
use image_copy::copy::{
    Destination, Error, Mirror, NullReporter, Outcome, PlatformSelection, Request, Source, TransferLimits,
    plan, read_current_state, transfer,
};
use image_copy::http;
use image_copy::oci::{self, Reference};
use image_copy::registry::{self, Client, Credentials, CredentialsProvider};
use serde_json::json;

pub(crate) const REGION: &str = "eu-west-1";

/// Credentials by host.
#[derive(Clone, Default)]
pub(crate) struct StaticCredentials(HashMap<String, (String, String)>);

impl StaticCredentials {
    /// Adds credentials for a host.
    pub(crate) fn with(mut self, host: &str, user: &str, password: &str) -> Self {
        self.0.insert(host.to_owned(), (user.to_owned(), password.to_owned()));
        self
    }

    /// Adds credentials for a host of private ECR from its API.
    pub(crate) fn with_ecr(self, emulator: &Emulator, host: &str, region: &str) -> Self {
        let (user, password) = ecr_credentials(emulator, region);
        self.with(host, &user, &password)
    }
}

/// Returns user name and password for private ECR in a Region.
pub(crate) fn ecr_credentials(emulator: &Emulator, region: &str) -> (String, String) {
    let response = emulator.ecr().call(region, "GetAuthorizationToken", &json!({})).unwrap();
    let token = response["authorizationData"][0]["authorizationToken"].as_str().unwrap();
    let pair = String::from_utf8(BASE64_STANDARD.decode(token).unwrap()).unwrap();
    let (user, password) = pair.split_once(':').unwrap();
    (user.to_owned(), password.to_owned())
}

impl CredentialsProvider for StaticCredentials {
    fn credentials_for<'a>(
        &'a self,
        repository: &'a oci::Repository,
        _: Option<&'a Credentials>,
    ) -> BoxFuture<'a, Result<Option<Credentials>, registry::Error>> {
        let credentials = self.0.get(repository.registry().api_host()).map(|(username, password)| {
            Credentials { username: username.clone(), password: password.clone().into() }
        });
        Box::pin(async move { Ok(credentials) })
    }
}

/// An engine with these credentials that writes to emulated ECR.
pub(crate) struct Engine {
    client: Client,
    destination: aws_emulator::Repository,
}

impl Engine {
    pub(crate) fn new(
        emulator: &Emulator,
        repository: &str,
        credentials: StaticCredentials,
        plain_http: &[&str],
    ) -> Self {
        let arn = emulator.repository_arn(repository);
        let destination = emulator.ecr().create_repository(&arn, Mutability::Mutable);
        let host = destination.uri().split('/').next().unwrap().to_owned();
        let credentials = credentials.with_ecr(emulator, &host, REGION);
        let client = Client::new(options(emulator, plain_http), Arc::new(credentials)).unwrap();
        Self { client, destination }
    }

    /// The destination repository.
    pub(crate) fn destination(&self) -> &aws_emulator::Repository {
        &self.destination
    }

    /// Copies all platforms of an image under the tag `copy`.
    pub(crate) async fn copy(&self, source: &str) -> Result<Outcome, Error> {
        self.copy_with_mirrors(source, &[]).await
    }

    /// Copies like `copy`, but reads from mirrors first.
    pub(crate) async fn copy_with_mirrors(&self, source: &str, mirrors: &[Mirror]) -> Result<Outcome, Error> {
        let destination: Reference = self.destination.uri().parse().unwrap();
        let request = Request {
            source: source.parse().unwrap(),
            destination: destination.repository,
            tag: Some("copy".parse().unwrap()),
            platforms: PlatformSelection::All,
            earlier_copies: Vec::new(),
            include_referrers: false,
            customization: None,
        };
        let from = Source::with_mirrors(&self.client, request.source.repository.clone(), None, mirrors);
        let to = Destination::of_registry(self.client.repository(request.destination.clone(), None));
        let state = read_current_state(&request, &from, &to).await?;
        let plan = plan(&request, &state, &from, &to).await?;
        transfer(&plan, &from, &to, &TransferLimits::default(), Arc::new(NullReporter)).await
    }
}

/// Returns options with the emulator's proxy and CA certificate, and with short delays.
fn options(emulator: &Emulator, plain_http: &[&str]) -> http::Options {
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
        plain_http: plain_http.iter().map(|&host| host.to_owned()).collect(),
        ..http::Options::default()
    }
}
