//! What every endpoint needs: the registry's address, authorization, redirects.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Method, Url};

use super::auth::{Authorization, Party};
use super::{Access, Client, Credentials, Error, LoginSent, RateLimit, Refusal, Repository};
use crate::http::{self, Answer, Opened, Origin};
use crate::oci::{Digest, Registry};

const MAX_REDIRECTS: usize = 5;

/// Authorizations made for one request: one for the challenge, and one should the token that was
/// at hand have ended at that very moment.
const MAX_RENEWALS: usize = 2;

/// An answer with what is needed to report it.
pub(super) struct Reply {
    pub(super) opened: Opened,
    pub(super) login: LoginSent,
    /// Whether another host answered than was asked.
    pub(super) redirected: bool,
    /// A digest stated on the way: registry.k8s.io states it in the redirect only.
    pub(super) digest_on_the_way: Option<Digest>,
    request: String,
}

impl Reply {
    /// The answer when its status is 2xx, else the refusal.
    pub(super) fn accepted(self) -> Result<Answer, Error> {
        match self.opened {
            Opened::Answer(answer) if answer.status.is_success() => Ok(answer),
            Opened::Answer(answer) => Err(Refusal::of(&answer, self.request, self.login).into()),
            Opened::Body(_) => Err(Error::Protocol("a body came where none was asked for")),
        }
    }

    /// The status, whatever it is.
    pub(super) fn status(&self) -> u16 {
        match &self.opened {
            Opened::Answer(answer) => answer.status.as_u16(),
            Opened::Body(response) => response.status().as_u16(),
        }
    }

    /// The refusal that this reply is.
    pub(super) fn refusal(&self) -> Error {
        match &self.opened {
            Opened::Answer(answer) => {
                let refusal = Refusal::of(answer, self.request.clone(), self.login);
                // The signature in a redirect lasts for seconds; the registry makes a new one.
                let signature_expired = self.redirected && matches!(refusal.status, 400 | 401 | 403);
                if signature_expired { Error::Expired(Box::new(refusal)) } else { refusal.into() }
            }
            Opened::Body(_) => Error::Protocol("a body came where none was asked for"),
        }
    }
}

impl Repository {
    /// Address of `rest` below this repository, such as `manifests/latest`.
    pub(super) async fn url(&self, rest: &str) -> Result<Url, Error> {
        let base = self.client.base(self.name.registry()).await?;
        base.join(&format!("v2/{}/{rest}", self.name.path()))
            .map_err(|_| Error::Protocol("the name makes no address"))
    }

    /// A request that can be repeated.
    pub(super) fn request(method: Method, url: Url, limit: u64) -> http::Request {
        http::Request {
            method,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            limit,
            is_final: is_pull_limit,
        }
    }

    /// Adds a body and its media type.
    pub(super) fn with_body(
        mut request: http::Request,
        media_type: &str,
        body: Bytes,
    ) -> Result<http::Request, Error> {
        let value =
            HeaderValue::from_str(media_type).map_err(|_| Error::Protocol("the media type is no header"))?;
        request.headers.insert(CONTENT_TYPE, value);
        request.body = body;
        Ok(request)
    }

    /// Sends a request and reads the answer to its end.
    pub(super) async fn ask(&self, request: http::Request) -> Result<Reply, Error> {
        self.converse(request, Reading::Whole).await
    }

    /// Sends a request and leaves a wanted body to the caller.
    pub(super) async fn open(&self, request: http::Request) -> Result<Reply, Error> {
        self.converse(request, Reading::Streamed).await
    }

    pub(super) async fn chunk(&self, response: &mut reqwest::Response) -> Result<Option<Bytes>, Error> {
        Ok(self.client.shared.http.chunk(response).await?)
    }

    /// The authorization that a body is sent with; a request without a body went before.
    pub(super) async fn authorization(&self, url: &Url) -> Result<Authorization, Error> {
        let host = authority(url);
        let Client { shared, authorizer, .. } = &self.client;
        authorizer.before(&self.party(&host, self.is_own(url)), &shared.http, self.deadline).await
    }

    /// Whether `answer` refused `sent` for being too old, and a newer one is now at hand.
    pub(super) async fn was_renewed(
        &self,
        url: &Url,
        answer: &Answer,
        sent: &Authorization,
    ) -> Result<bool, Error> {
        let host = authority(url);
        let Client { shared, authorizer, .. } = &self.client;
        let party = self.party(&host, self.is_own(url));
        Ok(authorizer.after(answer, sent, &party, &shared.http, self.deadline).await?.is_some())
    }

    pub(super) fn origin(&self) -> Origin {
        self.client.origin(self.name.registry())
    }

    async fn converse(&self, mut request: http::Request, reading: Reading) -> Result<Reply, Error> {
        let described = format!("{} {}", request.method, request.url.path());
        let mut own = true;
        let mut digest_on_the_way = None;
        for _ in 0..=MAX_REDIRECTS {
            let (opened, login) = self.converse_with_host(&mut request, own, reading).await?;
            let Some(target) = redirect(&opened, &request)? else {
                return Ok(Reply { opened, login, redirected: !own, digest_on_the_way, request: described });
            };
            if let Opened::Answer(answer) = &opened {
                digest_on_the_way = digest_on_the_way.or(stated_digest(&answer.headers));
            }
            http::check_target(&target, self.origin()).map_err(|reason| http::forbidden(reason, &target))?;
            // A login never follows to another host, port or scheme, nor back from there.
            own = own && target.origin() == request.url.origin();
            request.url = target;
        }
        Err(Error::Protocol("it redirects without end"))
    }

    async fn converse_with_host(
        &self,
        request: &mut http::Request,
        own: bool,
        reading: Reading,
    ) -> Result<(Opened, LoginSent), Error> {
        let host = authority(&request.url);
        let party = self.party(&host, own);
        let Client { shared, authorizer, .. } = &self.client;
        let mut authorization = authorizer.before(&party, &shared.http, self.deadline).await?;
        let mut renewals = 0;
        loop {
            authorization.apply(&mut request.headers);
            let opened = match reading {
                Reading::Whole => Opened::Answer(shared.http.send(request, self.deadline).await?),
                Reading::Streamed => shared.http.open(request, self.deadline).await?,
            };
            self.count(&opened);
            if renewals < MAX_RENEWALS
                && let Opened::Answer(answer) = &opened
                && let Some(next) =
                    authorizer.after(answer, &authorization, &party, &shared.http, self.deadline).await?
            {
                authorization = next;
                renewals += 1;
                continue;
            }
            return Ok((opened, authorization.login_sent()));
        }
    }

    fn party<'a>(&'a self, host: &'a str, own: bool) -> Party<'a> {
        let actions = match self.access {
            Access::Pull => "pull",
            Access::PullAndPush => "pull,push",
        };
        Party {
            host,
            scope: own.then(|| format!("repository:{}:{actions}", self.name.path())),
            credentials: own.then_some((&*self.client.credentials as &dyn Credentials, &self.name)),
            origin: self.origin(),
        }
    }

    fn is_own(&self, url: &Url) -> bool {
        authority(url) == self.name.registry().api_host()
    }

    fn count(&self, opened: &Opened) {
        let (attempts, headers) = match opened {
            Opened::Answer(answer) => (answer.attempts, &answer.headers),
            Opened::Body(response) => (1, response.headers()),
        };
        self.usage.requests.fetch_add(u64::from(attempts), Ordering::Relaxed);
        if let Some(limit) = RateLimit::of(headers) {
            let mut known = self.usage.rate_limit.lock().unwrap_or_else(PoisonError::into_inner);
            *known = Some(limit.after(known.take()));
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Reading {
    Whole,
    Streamed,
}

impl Client {
    fn origin(&self, registry: &Registry) -> Origin {
        Origin::of(registry.host(), self.is_plain(registry))
    }

    fn is_plain(&self, registry: &Registry) -> bool {
        self.shared.plain_http.iter().any(|host| host == registry.as_str())
    }

    /// Where the registry answers: without TLS when the configuration lists the host. On this
    /// machine it may be with or without, which one request finds out; elsewhere TLS is a must, at
    /// private addresses too, for somebody may listen in between.
    async fn base(&self, registry: &Registry) -> Result<Url, Error> {
        let cell = {
            let mut bases = self.shared.bases.lock().unwrap_or_else(PoisonError::into_inner);
            bases.entry(registry.as_str().to_owned()).or_default().clone()
        };
        let url = |scheme: &str| {
            let url = format!("{scheme}://{}/", registry.api_host()).parse::<Url>();
            let url = url.map_err(|_| Error::Protocol("the host makes no address"))?;
            http::check_target(&url, self.origin(registry)).map_err(|why| http::forbidden(why, &url))?;
            Ok(url)
        };
        let found = cell.get_or_try_init(async || {
            if self.is_plain(registry) {
                return url("http");
            }
            let secure = url("https")?;
            match http::is_this_machine(registry.host()) && !self.speaks_tls(&secure).await {
                true => url("http"),
                false => Ok(secure),
            }
        });
        found.await.cloned()
    }

    /// A refused certificate is TLS too: it must be reported, not evaded.
    async fn speaks_tls(&self, base: &Url) -> bool {
        let Ok(ping) = base.join("v2/") else { return false };
        let request = Repository::request(Method::GET, ping, 1 << 20);
        match self.shared.http.open(&request, Some(tokio::time::Instant::now())).await {
            Ok(_) => true,
            Err(error) => matches!(error.kind, http::Kind::Tls(reason) if reason.contains("certificate")),
        }
    }
}

fn redirect(opened: &Opened, request: &http::Request) -> Result<Option<Url>, Error> {
    let Opened::Answer(answer) = opened else { return Ok(None) };
    let follows = matches!(answer.status.as_u16(), 301 | 302 | 303 | 307 | 308);
    if !follows || !matches!(request.method, Method::GET | Method::HEAD) {
        return Ok(None);
    }
    let location = answer.headers.get(LOCATION).and_then(|value| value.to_str().ok());
    let location = location.ok_or(Error::Protocol("it redirects to nowhere"))?;
    request.url.join(location).map(Some).map_err(|_| Error::Protocol("it redirects to no address"))
}

pub(super) fn stated_digest(headers: &HeaderMap) -> Option<Digest> {
    headers.get("docker-content-digest")?.to_str().ok()?.parse().ok()
}

fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Whether no waiting helps: pulls are used up, and nobody knows for how long. The limit on requests
/// of any kind, which is told in other words, ends in a minute
/// (<https://docs.docker.com/docker-hub/usage/>).
fn is_pull_limit(answer: &Answer) -> bool {
    let refusal = || Refusal::of(answer, "", LoginSent::No);
    answer.status == 429 && http::retry_after(&answer.headers).is_none() && refusal().is_pull_limit()
}
