//! Sends requests.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_LENGTH, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use tokio::time::{Instant, timeout};

use super::address::{Network, PlainHttpHosts, check_target, is_loopback_host};
use super::attempts::{Attempts, read_response};
use super::pending_requests::PendingRequest;
use super::proxy::Proxies;
use super::reqwest_error::{classify_error, forbidden_address, host_with_port, new_error};
use super::resolver::GuardedResolver;
use super::{Error, ErrorKind, Options, PendingRequests, RetryBudget, StreamingResponse, UploadMonitor};

/// HTTP client with a pool of connections. Clones share it.
#[derive(Clone)]
pub struct Client {
    shared: Arc<ClientState>,
    /// Budget of all requests through this handle. Without one, each request has its own.
    budget: Option<RetryBudget>,
}

/// Cannot be printed, because addresses of proxies can contain passwords.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

struct ClientState {
    default_client: reqwest::Client,
    /// Client for loopback hosts, which a proxy cannot reach. Created at the first use.
    direct_client: OnceLock<reqwest::Client>,
    /// Client for registries on loopback, which can use other names for this machine. Created at the first
    /// use.
    loopback_client: OnceLock<reqwest::Client>,
    plain_http: PlainHttpHosts,
    proxies: Proxies,
    options: Options,
}

/// A request that can be sent any number of times. Cannot be printed, because its parts can be secrets.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// Target. Its query can be a secret.
    pub(crate) url: Url,
    /// Network of the registry in the reference. It decides if the target is allowed.
    pub(crate) network: Network,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Maximum size of the body of a successful response, in bytes.
    pub(crate) limit: u64,
    /// Returns true if another attempt would get the same response, even if the status is transient.
    pub(crate) is_final: fn(&Response) -> bool,
}

/// A response with its whole body. Cannot be printed, because it can contain a token.
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Number of attempts.
    pub(crate) attempts: u32,
    /// Number of responses with status 2xx. Interrupted ones are included, because registries count them as
    /// pulls.
    pub(crate) successes: u32,
    /// Time since the first attempt.
    pub(crate) elapsed: Duration,
}

/// A response, complete or with a body that the caller reads.
pub(crate) enum ReceivedResponse {
    /// A response with status 2xx. The caller reads its body.
    Streaming(StreamingResponse),
    /// A response with its whole body.
    Complete(Response),
}

impl Client {
    /// Creates a client. Sends nothing.
    ///
    /// # Errors
    /// One line if the proxy or a certificate cannot be used.
    pub fn new(options: Options) -> Result<Self, String> {
        let plain_http = PlainHttpHosts::new(&options.plain_http);
        let proxies = options.proxy.as_deref().map_or_else(Proxies::from_environment, Proxies::single);
        let resolver = GuardedResolver::new(Network::Public, &plain_http, &proxies.hosts());
        let default_client = options.build_client(resolver, false)?;
        let (direct_client, loopback_client) = Default::default();
        let shared =
            ClientState { default_client, direct_client, loopback_client, plain_http, proxies, options };
        Ok(Self { shared: Arc::new(shared), budget: None })
    }

    /// Returns a client whose requests share a budget, including those for tokens.
    pub(crate) fn with_budget(&self, budget: RetryBudget) -> Self {
        Self { shared: self.shared.clone(), budget: Some(budget) }
    }

    #[must_use]
    pub(crate) fn options(&self) -> &Options {
        &self.shared.options
    }

    /// Sends a request, with retries, and reads the response to its end.
    ///
    /// # Errors
    /// If the last attempt got no complete response.
    pub(crate) async fn send(&self, request: &Request, deadline: Option<Instant>) -> Result<Response, Error> {
        let mut attempts = Attempts::new(self.budget(deadline));
        loop {
            let result = match self.send_attempt(request, &mut attempts).await {
                Ok(response) => read_response(response, request, &mut attempts).await,
                Err(error) => Err(error),
            };
            if let Some(result) = attempts.finish_or_wait(result, request).await {
                return result;
            }
        }
    }

    /// Sends a request, with retries. Leaves the body of a successful response to the caller.
    ///
    /// # Errors
    /// If the last attempt got no response.
    pub(crate) async fn send_streaming(
        &self,
        request: &Request,
        deadline: Option<Instant>,
    ) -> Result<ReceivedResponse, Error> {
        let mut attempts = Attempts::new(self.budget(deadline));
        loop {
            let result = match self.send_attempt(request, &mut attempts).await {
                Ok(response) if response.status().is_success() => {
                    return Ok(ReceivedResponse::Streaming(response));
                }
                Ok(response) => read_response(response, request, &mut attempts).await,
                Err(error) => Err(error),
            };
            if let Some(result) = attempts.finish_or_wait(result, request).await {
                return result.map(ReceivedResponse::Complete);
            }
        }
    }

    /// Returns a monitor for an upload of `length` bytes to `url`, which is about to start.
    pub(crate) fn monitor_upload(&self, url: &Url, length: u64) -> Arc<UploadMonitor> {
        Arc::new(UploadMonitor::new(self.add_pending(url), length))
    }

    /// Sends a stream of `length` bytes. Makes one attempt, because only the caller can create the stream
    /// again.
    ///
    /// # Errors
    /// If there is no complete response.
    pub(crate) async fn send_upload(
        &self,
        request: &Request,
        body: reqwest::Body,
        length: u64,
        monitor: &UploadMonitor,
    ) -> Result<Response, Error> {
        let mut attempts = Attempts::new(self.budget(None));
        attempts.count = 1;
        let mut headers = request.headers.clone();
        // Without this header, the HTTP client would use the chunked encoding.
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        let sending = self
            .client_for(request)?
            .request(request.method.clone(), request.url.clone())
            .headers(headers)
            .body(body)
            .send();
        let response = tokio::select! {
            response = sending => response.map_err(|error| self.classify_error(&error, &request.url))?,
            kind = monitor.wait_until_stalled(self.options()) => {
                return Err(self.new_error(kind, &request.url));
            }
        };
        read_response(
            StreamingResponse::new(self.clone(), response, self.add_pending(&request.url)),
            request,
            &mut attempts,
        )
        .await
    }

    fn budget(&self, deadline: Option<Instant>) -> RetryBudget {
        let new_budget = || RetryBudget::new(self.options().backoff, deadline, PendingRequests::default());
        self.budget.clone().unwrap_or_else(new_budget)
    }

    fn add_pending(&self, url: &Url) -> Arc<PendingRequest> {
        self.budget(None).pending.add(host_with_port(url))
    }

    /// Returns true if the configuration lists the host of `url` for unencrypted HTTP.
    pub(crate) fn allows_plain_http(&self, url: &Url) -> bool {
        self.shared.plain_http.contains(url)
    }

    /// Returns the client for a request, if its target is allowed.
    fn client_for(&self, request: &Request) -> Result<&reqwest::Client, Error> {
        let Request { url, network, .. } = request;
        let ClientState { default_client, direct_client, loopback_client, plain_http, proxies, options } =
            &*self.shared;
        check_target(url, *network, plain_http).map_err(|reason| forbidden_address(reason, url))?;
        let is_direct = is_loopback_host(url.host_str().unwrap_or_default());
        let cell = match (is_direct, network) {
            (true, _) => direct_client,
            (false, Network::Loopback) => loopback_client,
            (false, Network::Private | Network::Public) => return Ok(default_client),
        };
        if let Some(client) = cell.get() {
            return Ok(client);
        }
        let resolver = GuardedResolver::new(*network, plain_http, &proxies.hosts());
        let client = options.build_client(resolver, is_direct);
        let client = client.map_err(|problem| new_error(ErrorKind::Connect(problem.into()), url))?;
        Ok(cell.get_or_init(|| client))
    }

    pub(super) fn classify_error(&self, error: &reqwest::Error, url: &Url) -> Error {
        classify_error(error, url, self.proxy_for(url))
    }

    /// Returns an error for a request to `url`. If the host is silent, the error also names the proxy, which
    /// can be the silent one.
    pub(super) fn new_error(&self, kind: ErrorKind, url: &Url) -> Error {
        match kind {
            ErrorKind::Silent { time, .. } => {
                new_error(ErrorKind::Silent { time, proxy: self.proxy_for(url) }, url)
            }
            kind => new_error(kind, url),
        }
    }

    fn proxy_for(&self, url: &Url) -> Option<String> {
        match is_loopback_host(url.host_str().unwrap_or_default()) {
            true => None,
            false => self.shared.proxies.describe(url),
        }
    }

    /// Sends a request once, and reads the head of the response. The time limit includes informational
    /// responses.
    async fn send_attempt(
        &self,
        request: &Request,
        attempts: &mut Attempts,
    ) -> Result<StreamingResponse, Error> {
        attempts.count = attempts.count.saturating_add(1);
        let sending = self
            .client_for(request)?
            .request(request.method.clone(), request.url.clone())
            .headers(request.headers.clone())
            .body(request.body.clone())
            .send();
        let pending = attempts.budget.pending.add(host_with_port(&request.url));
        let Options { read_timeout, connect_timeout, .. } = self.options();
        let time = read_timeout.saturating_add(*connect_timeout);
        match timeout(time, sending).await {
            Ok(Ok(response)) => Ok(StreamingResponse::new(self.clone(), response, pending)),
            Ok(Err(error)) => Err(self.classify_error(&error, &request.url)),
            Err(_) => Err(self.new_error(ErrorKind::Silent { time, proxy: None }, &request.url)),
        }
    }
}
