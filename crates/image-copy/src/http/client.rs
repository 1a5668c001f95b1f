//! Sends requests.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{CONTENT_LENGTH, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use tokio::time::{Instant, timeout};

use super::address::{GuardedResolver, Origin, PlainHosts, check_target, is_this_machine};
use super::describe::{describe, failure, forbidden};
use super::proxy::Proxies;
use super::retry::Tries;
use super::{Activity, Error, Kind, Options};

/// Keeps connections.
#[derive(Debug, Clone)]
pub struct Client {
    inner: reqwest::Client,
    /// For hosts on this machine, which no proxy could reach; made when there is one.
    direct: Arc<OnceLock<reqwest::Client>>,
    /// For requests on behalf of a registry on this machine, which may use other names for it. Created
    /// when it is needed.
    nearby: Arc<OnceLock<reqwest::Client>>,
    plain: Arc<PlainHosts>,
    proxies: Arc<Proxies>,
    options: Options,
}

/// A request that can be sent any number of times.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// Method.
    pub(crate) method: Method,
    /// Target. Its query may be a secret and is never shown.
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

/// An answer, read to its end.
#[derive(Debug, Clone)]
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

/// An answer whose body is still to come, if it is one that is wanted.
#[derive(Debug)]
pub(crate) enum Opened {
    /// Status 2xx: the body follows.
    Body(reqwest::Response),
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
        Ok(Self { inner, direct, nearby, plain: Arc::new(plain), proxies: Arc::new(proxies), options })
    }

    /// How requests are sent.
    #[must_use]
    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    /// Sends a request until an answer is worth having, and reads that to its end.
    ///
    /// # Errors
    /// When the last try got no whole answer.
    pub(crate) async fn send(&self, request: &Request, deadline: Option<Instant>) -> Result<Answer, Error> {
        let mut tries = Tries::new(self.options.backoff, deadline);
        loop {
            tries.count += 1;
            let result = match self.start(request).await {
                Ok(response) => self.read(response, request, &mut tries).await,
                Err(error) => Err(error),
            };
            if let Some(end) = settle(result, request, &mut tries).await {
                return end;
            }
        }
    }

    /// Sends a request until an answer is worth having, and leaves a wanted body to the caller.
    ///
    /// # Errors
    /// When the last try got no answer.
    pub(crate) async fn open(&self, request: &Request, deadline: Option<Instant>) -> Result<Opened, Error> {
        let mut tries = Tries::new(self.options.backoff, deadline);
        loop {
            tries.count += 1;
            let result = match self.start(request).await {
                Ok(response) if response.status().is_success() => return Ok(Opened::Body(response)),
                Ok(response) => self.read(response, request, &mut tries).await,
                Err(error) => Err(error),
            };
            if let Some(end) = settle(result, request, &mut tries).await {
                return end.map(Opened::Answer);
            }
        }
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
        let mut tries = Tries::new(self.options.backoff, None);
        let mut headers = request.headers.clone();
        // Stated by hand, or HTTP/1.1 would use the chunked encoding.
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        let sending = self
            .client_for(request)?
            .request(request.method.clone(), request.url.clone())
            .headers(headers)
            .body(body)
            .send();
        let stalled = async {
            while !activity.is_stalled(&self.options) {
                tokio::time::sleep(Duration::from_millis(500).min(self.options.read_timeout)).await;
            }
        };
        let response = tokio::select! {
            response = sending => response.map_err(|error| self.describe(&error, &request.url))?,
            () = stalled => return Err(failure(Kind::Timeout, &request.url)),
        };
        self.read(response, request, &mut tries).await
    }

    /// The next bytes of a body.
    ///
    /// # Errors
    /// When the connection broke or nothing came in time.
    pub(crate) async fn chunk(&self, response: &mut reqwest::Response) -> Result<Option<Bytes>, Error> {
        match timeout(self.options.read_timeout, response.chunk()).await {
            Ok(result) => result.map_err(|error| self.describe(&error, response.url())),
            Err(_) => Err(failure(Kind::Timeout, response.url())),
        }
    }

    /// Returns true if the configuration lists the host of `url` for unencrypted HTTP.
    pub(crate) fn is_listed_as_plain(&self, url: &Url) -> bool {
        self.plain.has(url)
    }

    /// Returns the client for a request, if its target is allowed.
    fn client_for(&self, request: &Request) -> Result<&reqwest::Client, Error> {
        let Request { url, origin, .. } = request;
        check_target(url, *origin, &self.plain).map_err(|reason| forbidden(reason, url))?;
        let is_direct = is_this_machine(url.host_str().unwrap_or_default());
        let kept = match (is_direct, origin) {
            (true, _) => &self.direct,
            (false, Origin::Loopback) => &self.nearby,
            (false, Origin::Private | Origin::Public) => return Ok(&self.inner),
        };
        if let Some(client) = kept.get() {
            return Ok(client);
        }
        let resolver = GuardedResolver::new(*origin, &self.plain, &self.proxies.hosts());
        let client = self.options.client(resolver, is_direct);
        let client = client.map_err(|problem| failure(Kind::Connect(problem.into()), url))?;
        Ok(kept.get_or_init(|| client))
    }

    fn describe(&self, error: &reqwest::Error, url: &Url) -> Error {
        let proxy =
            if is_this_machine(url.host_str().unwrap_or_default()) { None } else { self.proxies.name(url) };
        describe(error, url, proxy)
    }

    async fn start(&self, request: &Request) -> Result<reqwest::Response, Error> {
        let sending = self
            .client_for(request)?
            .request(request.method.clone(), request.url.clone())
            .headers(request.headers.clone())
            .body(request.body.clone())
            .send();
        match timeout(self.options.read_timeout + self.options.connect_timeout, sending).await {
            Ok(result) => result.map_err(|error| self.describe(&error, &request.url)),
            Err(_) => Err(failure(Kind::Timeout, &request.url)),
        }
    }

    async fn read(
        &self,
        mut response: reqwest::Response,
        request: &Request,
        tries: &mut Tries,
    ) -> Result<Answer, Error> {
        let (status, headers) = (response.status(), response.headers().clone());
        tries.granted += u32::from(status.is_success());
        let mut body = BytesMut::new();
        // The answer to HEAD has no body, whatever length it states.
        while request.method != Method::HEAD
            && let Some(chunk) = self.chunk(&mut response).await?
        {
            let limit = if status.is_success() { request.limit } else { ERROR_BODY_BYTES };
            if body.len() as u64 + chunk.len() as u64 > limit {
                if status.is_success() {
                    return Err(failure(Kind::TooLarge { limit }, &request.url));
                }
                break;
            }
            body.extend_from_slice(&chunk);
        }
        let body = body.freeze();
        let (attempts, granted) = (tries.count.max(1), tries.granted);
        Ok(Answer { status, headers, body, attempts, granted, elapsed: tries.elapsed() })
    }
}

/// What one try came to in the end, or `None` after the pause before the next.
async fn settle(
    result: Result<Answer, Error>,
    request: &Request,
    tries: &mut Tries,
) -> Option<Result<Answer, Error>> {
    match result {
        Ok(answer) => {
            let is_over =
                (request.is_final)(&answer) || !tries.after_answer(answer.status, &answer.headers).await;
            is_over.then_some(Ok(answer))
        }
        Err(error) if tries.after_error(&error).await => None,
        Err(error) => Some(Err(Error { attempts: tries.count, elapsed: tries.elapsed(), ..error })),
    }
}

/// More of an error document than this is not read.
const ERROR_BODY_BYTES: u64 = 64 * 1024;
