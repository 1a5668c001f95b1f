//! Sends requests.

use std::error::Error as _;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{CONTENT_LENGTH, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use tokio::time::{Instant, timeout};

use super::address::{GuardedResolver, LinkLocalName};
use super::retry::Tries;
use super::{Backoff, Error, Kind};

/// How requests are sent.
#[derive(Debug, Clone)]
pub struct Options {
    /// `User-Agent` of every request.
    pub user_agent: String,
    /// Certificates of authorities to trust besides the system's, as PEM.
    pub certificates: Vec<u8>,
    /// Proxy for every request; without one, what the environment says holds.
    pub proxy: Option<String>,
    /// How tries follow each other.
    pub backoff: Backoff,
    /// Longest wait for a connection. A black-holed route must not eat the time of the copy.
    pub connect_timeout: Duration,
    /// Longest wait for the next bytes.
    pub read_timeout: Duration,
    /// Longest wait for the answer to a whole blob: the registry hashes it once more.
    pub commit_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            user_agent: concat!("image-copy/", env!("CARGO_PKG_VERSION")).into(),
            certificates: Vec::new(),
            proxy: None,
            backoff: Backoff::default(),
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(30),
            commit_timeout: Duration::from_secs(180),
        }
    }
}

/// Keeps connections.
#[derive(Debug, Clone)]
pub struct Client {
    inner: reqwest::Client,
    options: Options,
}

/// A request that can be sent any number of times.
#[derive(Debug, Clone)]
pub struct Request {
    /// Method.
    pub method: Method,
    /// Target. Its query may be a secret and is never shown.
    pub url: Url,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
    /// Bytes that the answer's body may have.
    pub limit: u64,
    /// Tells answers that no waiting changes, whatever their status.
    pub is_final: fn(&Answer) -> bool,
}

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
    /// How often the request was sent.
    pub attempts: u32,
    /// Time since the first try.
    pub elapsed: Duration,
}

/// An answer whose body is still to come, if it is one that is wanted.
#[derive(Debug)]
pub enum Opened {
    /// Status 2xx: the body follows.
    Body(reqwest::Response),
    /// Any other status, read to its end.
    Answer(Answer),
}

/// Tells a stalled upload from one that waits for its own source.
#[derive(Debug)]
pub struct Activity {
    started: Instant,
    last_milliseconds: AtomicU64,
    waits_for_source: AtomicBool,
    finished: AtomicBool,
}

impl Default for Activity {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            last_milliseconds: AtomicU64::new(0),
            waits_for_source: AtomicBool::new(false),
            finished: AtomicBool::new(false),
        }
    }
}

impl Activity {
    /// The connection asked for more, and the source has it yet to deliver.
    pub fn asked(&self) {
        self.waits_for_source.store(true, Ordering::Relaxed);
    }

    /// The source delivered.
    pub fn delivered(&self) {
        self.waits_for_source.store(false, Ordering::Relaxed);
        self.last_milliseconds.store(self.now(), Ordering::Relaxed);
    }

    /// The source has no more.
    pub fn finished(&self) {
        self.delivered();
        self.finished.store(true, Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn is_stalled(&self, options: &Options) -> bool {
        let limit =
            if self.finished.load(Ordering::Relaxed) { options.commit_timeout } else { options.read_timeout };
        let idle = self.now().saturating_sub(self.last_milliseconds.load(Ordering::Relaxed));
        !self.waits_for_source.load(Ordering::Relaxed) && Duration::from_millis(idle) > limit
    }
}

impl Client {
    /// Prepares a client; nothing is sent.
    ///
    /// # Errors
    /// One line when the proxy or a certificate cannot be used.
    pub fn new(options: Options) -> Result<Self, String> {
        let mut builder = reqwest::Client::builder()
            .user_agent(&options.user_agent)
            .connect_timeout(options.connect_timeout)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .http1_only()
            .dns_resolver(GuardedResolver);
        if let Some(proxy) = &options.proxy {
            let proxy =
                reqwest::Proxy::all(proxy).map_err(|error| format!("the proxy cannot be used: {error}"))?;
            builder = builder.proxy(proxy);
        }
        if !options.certificates.is_empty() {
            let certificates =
                reqwest::Certificate::from_pem_bundle(&options.certificates).map_err(|error| {
                    format!("the additional certificates cannot be read: {}", innermost(&error))
                })?;
            builder = builder.tls_certs_merge(certificates);
        }
        let inner =
            builder.build().map_err(|error| format!("TLS cannot be set up: {}", innermost(&error)))?;
        Ok(Self { inner, options })
    }

    /// How requests are sent.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Sends a request until an answer is worth having, and reads that to its end.
    ///
    /// # Errors
    /// When the last try got no whole answer.
    pub async fn send(&self, request: &Request, deadline: Option<Instant>) -> Result<Answer, Error> {
        let mut tries = Tries::new(self.options.backoff, deadline);
        loop {
            tries.count += 1;
            let result = match self.start(request).await {
                Ok(response) => self.read(response, request, &tries).await,
                Err(error) => Err(error),
            };
            match result {
                Ok(answer) => {
                    if (request.is_final)(&answer)
                        || !tries.after_answer(answer.status, &answer.headers).await
                    {
                        return Ok(answer);
                    }
                }
                Err(error) => {
                    if !tries.after_error(&error).await {
                        return Err(Error { attempts: tries.count, elapsed: tries.elapsed(), ..error });
                    }
                }
            }
        }
    }

    /// Sends a request until an answer is worth having, and leaves a wanted body to the caller.
    ///
    /// # Errors
    /// When the last try got no answer.
    pub async fn open(&self, request: &Request, deadline: Option<Instant>) -> Result<Opened, Error> {
        let mut tries = Tries::new(self.options.backoff, deadline);
        loop {
            tries.count += 1;
            let result = match self.start(request).await {
                Ok(response) if response.status().is_success() => return Ok(Opened::Body(response)),
                Ok(response) => self.read(response, request, &tries).await,
                Err(error) => Err(error),
            };
            match result {
                Ok(answer) => {
                    if (request.is_final)(&answer)
                        || !tries.after_answer(answer.status, &answer.headers).await
                    {
                        return Ok(Opened::Answer(answer));
                    }
                }
                Err(error) => {
                    if !tries.after_error(&error).await {
                        return Err(Error { attempts: tries.count, elapsed: tries.elapsed(), ..error });
                    }
                }
            }
        }
    }

    /// Sends a body that exists once, of `length` bytes. It is not tried again here: its owner does.
    ///
    /// # Errors
    /// When no whole answer came.
    pub async fn send_once(
        &self,
        request: &Request,
        body: reqwest::Body,
        length: u64,
        activity: &Activity,
    ) -> Result<Answer, Error> {
        let tries = Tries::new(self.options.backoff, None);
        let mut headers = request.headers.clone();
        // Stated by hand, or HTTP/1.1 would use the chunked encoding.
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        let sending = self
            .inner
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
            response = sending => response.map_err(|error| describe(&error, &request.url))?,
            () = stalled => return Err(failure(Kind::Timeout, &request.url)),
        };
        self.read(response, request, &tries).await
    }

    /// The next bytes of a body.
    ///
    /// # Errors
    /// When the connection broke or nothing came in time.
    pub async fn chunk(&self, response: &mut reqwest::Response) -> Result<Option<Bytes>, Error> {
        match timeout(self.options.read_timeout, response.chunk()).await {
            Ok(result) => result.map_err(|error| describe(&error, response.url())),
            Err(_) => Err(failure(Kind::Timeout, response.url())),
        }
    }

    async fn start(&self, request: &Request) -> Result<reqwest::Response, Error> {
        let sending = self
            .inner
            .request(request.method.clone(), request.url.clone())
            .headers(request.headers.clone())
            .body(request.body.clone())
            .send();
        match timeout(self.options.read_timeout + self.options.connect_timeout, sending).await {
            Ok(result) => result.map_err(|error| describe(&error, &request.url)),
            Err(_) => Err(failure(Kind::Timeout, &request.url)),
        }
    }

    async fn read(
        &self,
        mut response: reqwest::Response,
        request: &Request,
        tries: &Tries,
    ) -> Result<Answer, Error> {
        let (status, headers) = (response.status(), response.headers().clone());
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
        Ok(Answer { status, headers, body, attempts: tries.count.max(1), elapsed: tries.elapsed() })
    }
}

/// More of an error document than this is not read.
const ERROR_BODY_BYTES: u64 = 64 * 1024;

/// An error for the host of `url`, on the first try.
fn failure(kind: Kind, url: &Url) -> Error {
    let host = url.host_str().unwrap_or_default();
    let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    Error { kind, host, attempts: 1, elapsed: Duration::ZERO }
}

/// An error for a place that a registry must not send us to.
pub(crate) fn forbidden(reason: &'static str, url: &Url) -> Error {
    failure(Kind::Forbidden(reason), url)
}

/// An error for a body that ended before its time.
pub(crate) fn interrupted(url: &Url) -> Error {
    failure(Kind::Interrupted, url)
}

fn describe(error: &reqwest::Error, url: &Url) -> Error {
    let mut io_kind = None;
    let mut link_local = false;
    let mut cause = error.source();
    while let Some(current) = cause {
        // TLS failures are I/O errors within I/O errors, and `source` steps over the inner one.
        let mut io = current.downcast_ref::<io::Error>();
        while let Some(error) = io {
            io_kind = Some(error.kind());
            link_local |= error.get_ref().is_some_and(|inner| inner.is::<LinkLocalName>());
            io = error.get_ref().and_then(|inner| inner.downcast_ref());
        }
        link_local |= current.is::<LinkLocalName>();
        cause = current.source();
    }
    let kind = if link_local {
        Kind::Forbidden("link-local")
    } else if error.is_dns() {
        Kind::Dns
    } else if error.is_connect() && (error.is_timeout() || io_kind == Some(io::ErrorKind::TimedOut)) {
        Kind::ConnectTimeout
    } else if error.is_connect() && io_kind == Some(io::ErrorKind::InvalidData) {
        Kind::Tls(innermost(error))
    } else if error.is_connect() {
        Kind::Connect(innermost(error))
    } else if error.is_timeout() {
        Kind::Timeout
    } else {
        Kind::Interrupted
    };
    failure(kind, url)
}

/// The words of the cause at the end of the chain, which name no URL.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    if std::ptr::eq(cause, error) {
        return "no reason given".into();
    }
    let words = cause.to_string().replace('\n', " ");
    // The number says nothing to whoever reads the words.
    let words = words.split(" (os error").next().unwrap_or_default();
    words.chars().take(160).collect()
}
