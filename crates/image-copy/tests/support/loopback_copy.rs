//! Copies between registries on loopback ports, and helpers for their requests and responses.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use futures_util::future::BoxFuture;
use image_copy::copy::{
    Destination, Error, NullReporter, Outcome, PlatformSelection, Request, Source, TransferLimits, plan,
    read_current_state, transfer,
};
use image_copy::http;
use image_copy::oci::{self, Reference};
use image_copy::registry::{self, Client, Credentials, CredentialsProvider};

use super::loopback_registry::{LoopbackRegistry, ReceivedRequest, Response};

/// The same credentials for every registry.
struct FixedCredentials(Option<Credentials>);

impl CredentialsProvider for FixedCredentials {
    fn credentials_for<'a>(
        &'a self,
        _: &'a oci::Repository,
        _: Option<&'a Credentials>,
    ) -> BoxFuture<'a, Result<Option<Credentials>, registry::Error>> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

/// Returns a client with the same credentials for every registry, or none.
pub(crate) fn client(credentials: Option<(&str, &str)>) -> Client {
    client_with(credentials, http::Options::default())
}

/// Returns a client with other options.
pub(crate) fn client_with(credentials: Option<(&str, &str)>, mut options: http::Options) -> Client {
    options.backoff.max_attempts = 2;
    options.backoff.first_pause = std::time::Duration::from_millis(1);
    let credentials =
        credentials.map(|(user, password)| Credentials { username: user.into(), password: password.into() });
    Client::new(options, Arc::new(FixedCredentials(credentials))).unwrap()
}

/// Copies `source` to `destination`, both with a tag. The tag `signed` includes referrers.
pub(crate) async fn copy(client: &Client, source: &str, destination: &str) -> Result<Outcome, Error> {
    let (source, destination): (Reference, Reference) =
        (source.parse().unwrap(), destination.parse().unwrap());
    let request = Request {
        destination: destination.repository,
        tag: destination.tag,
        platforms: PlatformSelection::All,
        earlier_copies: Vec::new(),
        include_referrers: source.tag.as_ref().is_some_and(|tag| tag.as_str() == "signed"),
        customization: None,
        source,
    };
    let from = Source::from(client.repository(request.source.repository.clone(), None));
    let to = Destination::of_registry(client.repository(request.destination.clone(), None));
    let plan = plan(&request, &read_current_state(&request, &from, &to).await?, &from, &to).await?;
    transfer(&plan, &from, &to, &TransferLimits::default(), Arc::new(NullReporter)).await
}

pub(crate) const CREDENTIALS: Option<(&str, &str)> = Some(("u", "planted-password"));

/// Copies `a/b:1` of one registry to `x/y:1` of another.
pub(crate) async fn copy_between(
    credentials: Option<(&str, &str)>,
    from: &LoopbackRegistry,
    to: &LoopbackRegistry,
) -> Result<Outcome, Error> {
    copy(&client(credentials), &format!("{}/a/b:1", from.host), &format!("{}/x/y:1", to.host)).await
}

pub(crate) fn basic_header() -> String {
    format!("Basic {}", base64::prelude::BASE64_STANDARD.encode("u:planted-password"))
}

pub(crate) fn challenge(text: &str) -> Option<Response> {
    Some((401, vec![("WWW-Authenticate", text.to_owned())], Vec::new()))
}

pub(crate) fn json(text: &str) -> Option<Response> {
    Some((200, Vec::new(), text.as_bytes().to_vec()))
}

/// Returns a query parameter of a request, all values joined by spaces.
pub(crate) fn query_parameter(request: &ReceivedRequest, name: &str) -> String {
    let url: reqwest::Url = format!("http://localhost{}", request.target).parse().unwrap();
    let values = url.query_pairs().filter(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    values.collect::<Vec<_>>().join(" ")
}

pub(crate) fn authorization(request: &ReceivedRequest) -> &str {
    request.authorization.as_deref().unwrap_or_default()
}

/// The host of a registry, for its handler.
pub(crate) type Host = Arc<Mutex<String>>;

/// Starts a registry whose handler gets its host.
pub(crate) fn registry_with_host(
    handler: impl Fn(&ReceivedRequest, &str) -> Option<Response> + Send + Sync + 'static,
) -> (LoopbackRegistry, Host) {
    let host = Host::default();
    let known = host.clone();
    let registry = LoopbackRegistry::with_handler(move |request| handler(request, &known.lock().unwrap()));
    registry.host.clone_into(&mut host.lock().unwrap());
    (registry, host)
}
