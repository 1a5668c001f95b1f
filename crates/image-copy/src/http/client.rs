//! Sends requests.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{CONTENT_LENGTH, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use tokio::time::{Instant, timeout};

use super::address::{Origin, PlainHosts, check_target, is_this_machine};
use super::describe::{describe, failure, forbidden, host_of};
use super::proxy::Proxies;
use super::resolver::GuardedResolver;
use super::wait::Wait;
use super::{Activity, Body, Error, ErrorKind, Options, RetryBudget, Waits};

/// Keeps connections. Clones share them.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    /// Budget of all requests through this handle. Without one, each request has its own.
    budget: Option<RetryBudget>,
}

/// Cannot be printed, because addresses of proxies can contain passwords.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

struct Shared {
    inner: reqwest::Client,
    /// For hosts on this machine, which no proxy could reach; made when there is one.
    direct: OnceLock<reqwest::Client>,
    /// For requests on behalf of a registry on this machine, which may use other names for it. Created
    /// when it is needed.
    nearby: OnceLock<reqwest::Client>,
    plain: PlainHosts,
    proxies: Proxies,
    options: Options,
}

/// A request that can be sent any number of times. Cannot be printed, because its parts can be secrets.
#[derive(Clone)]
pub(crate) struct Request {
    /// Method.
    pub(crate) method: Method,
    /// Target. Its query can be a secret.
    pub(crate) url: Url,
    /// Kind of the registry that the target was named by. It decides if the target is allowed.
    pub(crate) origin: Origin,
    /// Headers.
    pub(crate) headers: HeaderMap,
    /// Body.
    pub(crate) body: Bytes,
    /// Bytes that the answer's body may have.
    pub(crate) limit: u64,
    /// Tells answers that no waiting changes, whatever their status.
    pub(crate) is_final: fn(&Answer) -> bool,
}

/// A response, read to its end. Cannot be printed, because it can be a token.
pub(crate) struct Answer {
    /// Status.
    pub(crate) status: StatusCode,
    /// Headers.
    pub(crate) headers: HeaderMap,
    /// Body.
    pub(crate) body: Bytes,
    /// How often the request was sent.
    pub(crate) attempts: u32,
    /// How many tries were answered as wanted, those too whose body broke off: a registry counts them.
    pub(crate) granted: u32,
    /// Time since the first try.
    pub(crate) elapsed: Duration,
}

/// A response whose body is read later if the request succeeded.
pub(crate) enum Opened {
    /// Status 2xx: the body follows.
    Body(Body),
    /// Any other status, read to its end.
    Answer(Answer),
}

impl Client {
    /// Prepares a client; nothing is sent.
    ///
    /// # Errors
    /// One line when the proxy or a certificate cannot be used.
    pub fn new(options: Options) -> Result<Self, String> {
        let plain = PlainHosts::new(&options.plain_http);
        let proxies = options.proxy.as_deref().map_or_else(Proxies::of_environment, Proxies::all);
        let resolver = GuardedResolver::new(Origin::Public, &plain, &proxies.hosts());
        let inner = options.client(resolver, false)?;
        let (direct, nearby) = Default::default();
        let shared = Shared { inner, direct, nearby, plain, proxies, options };
        Ok(Self { shared: Arc::new(shared), budget: None })
    }

    /// Returns a handle whose requests share a budget, including those for tokens.
    pub(crate) fn with_budget(&self, budget: RetryBudget) -> Self {
        Self { shared: self.shared.clone(), budget: Some(budget) }
    }

    /// How requests are sent.
    #[must_use]
    pub(crate) fn options(&self) -> &Options {
        &self.shared.options
    }

    /// Sends a request until an answer is worth having, and reads that to its end.
    ///
    /// # Errors
    /// When the last try got no whole answer.
    pub(crate) async fn send(&self, request: &Request, deadline: Option<Instant>) -> Result<Answer, Error> {
        let mut attempts = Attempts::new(self.budget(deadline));
        loop {
            let result = match self.start(request, &mut attempts).await {
                Ok(body) => read(body, request, &mut attempts).await,
                Err(error) => Err(error),
            };
            if let Some(end) = attempts.settle(result, request).await {
                return end;
            }
        }
    }

    /// Sends a request until an answer is worth having, and leaves a wanted body to the caller.
    ///
    /// # Errors
    /// When the last try got no answer.
    pub(crate) async fn open(&self, request: &Request, deadline: Option<Instant>) -> Result<Opened, Error> {
        let mut attempts = Attempts::new(self.budget(deadline));
        loop {
            let result = match self.start(request, &mut attempts).await {
                Ok(body) if body.status().is_success() => return Ok(Opened::Body(body)),
                Ok(body) => read(body, request, &mut attempts).await,
                Err(error) => Err(error),
            };
            if let Some(end) = attempts.settle(result, request).await {
                return end.map(Opened::Answer);
            }
        }
    }

    /// Observes the upload of `length` bytes to `url`, which is about to start.
    pub(crate) fn activity(&self, url: &Url, length: u64) -> Arc<Activity> {
        Arc::new(Activity::new(self.wait(url), length))
    }

    /// Sends a body that exists once, of `length` bytes. It is not tried again here: its owner does.
    ///
    /// # Errors
    /// When no whole answer came.
    pub(crate) async fn send_once(
        &self,
        request: &Request,
        body: reqwest::Body,
        length: u64,
        activity: &Activity,
    ) -> Result<Answer, Error> {
        let mut attempts = Attempts::new(self.budget(None));
        attempts.count = 1;
        let mut headers = request.headers.clone();
        // Stated by hand, or HTTP/1.1 would use the chunked encoding.
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        let sending = self
            .client_for(request)?
            .request(request.method.clone(), request.url.clone())
            .headers(headers)
            .body(body)
            .send();
        let response = tokio::select! {
            response = sending => response.map_err(|error| self.describe(&error, &request.url))?,
            kind = activity.stalled(self.options()) => return Err(self.failure(kind, &request.url)),
        };
        read(Body::new(self.clone(), response, self.wait(&request.url)), request, &mut attempts).await
    }

    fn budget(&self, deadline: Option<Instant>) -> RetryBudget {
        let own = || RetryBudget::new(self.options().backoff, deadline, Waits::default());
        self.budget.clone().unwrap_or_else(own)
    }

    fn wait(&self, url: &Url) -> Arc<Wait> {
        self.budget(None).waits.add(host_of(url))
    }

    /// Returns true if the configuration lists the host of `url` for unencrypted HTTP.
    pub(crate) fn is_listed_as_plain(&self, url: &Url) -> bool {
        self.shared.plain.has(url)
    }

    /// Returns the client for a request, if its target is allowed.
    fn client_for(&self, request: &Request) -> Result<&reqwest::Client, Error> {
        let Request { url, origin, .. } = request;
        let Shared { inner, direct, nearby, plain, proxies, options } = &*self.shared;
        check_target(url, *origin, plain).map_err(|reason| forbidden(reason, url))?;
        let is_direct = is_this_machine(url.host_str().unwrap_or_default());
        let kept = match (is_direct, origin) {
            (true, _) => direct,
            (false, Origin::Loopback) => nearby,
            (false, Origin::Private | Origin::Public) => return Ok(inner),
        };
        if let Some(client) = kept.get() {
            return Ok(client);
        }
        let resolver = GuardedResolver::new(*origin, plain, &proxies.hosts());
        let client = options.client(resolver, is_direct);
        let client = client.map_err(|problem| failure(ErrorKind::Connect(problem.into()), url))?;
        Ok(kept.get_or_init(|| client))
    }

    pub(super) fn describe(&self, error: &reqwest::Error, url: &Url) -> Error {
        describe(error, url, self.proxy(url))
    }

    /// Returns the failure of a request to `url`, with the proxy that can be the silent one.
    pub(super) fn failure(&self, kind: ErrorKind, url: &Url) -> Error {
        match kind {
            ErrorKind::Silent { time, .. } => {
                failure(ErrorKind::Silent { time, proxy: self.proxy(url) }, url)
            }
            kind => failure(kind, url),
        }
    }

    fn proxy(&self, url: &Url) -> Option<String> {
        match is_this_machine(url.host_str().unwrap_or_default()) {
            true => None,
            false => self.shared.proxies.name(url),
        }
    }

    /// Sends a request once, up to the head of the response. All of the head must arrive in time, also
    /// after informational responses.
    async fn start(&self, request: &Request, attempts: &mut Attempts) -> Result<Body, Error> {
        attempts.count = attempts.count.saturating_add(1);
        let sending = self
            .client_for(request)?
            .request(request.method.clone(), request.url.clone())
            .headers(request.headers.clone())
            .body(request.body.clone())
            .send();
        let wait = attempts.budget.waits.add(host_of(&request.url));
        let Options { read_timeout, connect_timeout, .. } = self.options();
        let time = read_timeout.saturating_add(*connect_timeout);
        match timeout(time, sending).await {
            Ok(Ok(response)) => Ok(Body::new(self.clone(), response, wait)),
            Ok(Err(error)) => Err(self.describe(&error, &request.url)),
            Err(_) => Err(self.failure(ErrorKind::Silent { time, proxy: None }, &request.url)),
        }
    }
}

/// Reads a response to its end.
async fn read(mut response: Body, request: &Request, attempts: &mut Attempts) -> Result<Answer, Error> {
    let (status, headers) = (response.status(), response.headers().clone());
    attempts.granted += u32::from(status.is_success());
    let mut body = BytesMut::new();
    // The answer to HEAD has no body, whatever length it states.
    while request.method != Method::HEAD
        && let Some(chunk) = response.next().await?
    {
        let limit = if status.is_success() { request.limit } else { ERROR_BODY_BYTES };
        if (body.len() as u64).saturating_add(chunk.len() as u64) > limit {
            if status.is_success() {
                return Err(failure(ErrorKind::TooLarge { limit }, &request.url));
            }
            break;
        }
        body.extend_from_slice(&chunk);
    }
    let Attempts { count, granted, started, .. } = *attempts;
    Ok(Answer { status, headers, body: body.freeze(), attempts: count, granted, elapsed: started.elapsed() })
}

/// Attempts at one request, within the budget of its operation.
struct Attempts {
    budget: RetryBudget,
    started: Instant,
    count: u32,
    /// Attempts with a wanted status, also if the body was interrupted.
    granted: u32,
}

impl Attempts {
    fn new(budget: RetryBudget) -> Self {
        Self { budget, started: Instant::now(), count: 0, granted: 0 }
    }

    /// Returns the final result, or `None` after the pause before the next attempt.
    async fn settle(
        &mut self,
        result: Result<Answer, Error>,
        request: &Request,
    ) -> Option<Result<Answer, Error>> {
        match result {
            Ok(answer) => {
                let is_over = (request.is_final)(&answer)
                    || !self.budget.wait_after_response(answer.status, &answer.headers).await;
                is_over.then_some(Ok(answer))
            }
            Err(error) if self.budget.wait_after_error(&error).await => None,
            Err(error) => Some(Err(Error { attempts: self.count, elapsed: self.started.elapsed(), ..error })),
        }
    }
}

/// More of an error document than this is not read.
const ERROR_BODY_BYTES: u64 = 64 * 1024;
