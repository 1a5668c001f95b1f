//! The HTTP proxy. It terminates TLS after CONNECT, and accepts plain requests in absolute form.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use http::{Method, Uri};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::body::{Body, Counting, empty, full};
use crate::ca::CertificateAuthority;
use crate::fault::{Direction, Effect, Faults};
use crate::faulty_body::{Faulty, direction};
use crate::log::{Log, LogHandle};
use crate::service::{HangUp, Request, Response, Service, response};
use crate::stream::{Cut, Wire};

/// State that all connections share.
pub(crate) struct Shared {
    pub(crate) ca: CertificateAuthority,
    pub(crate) log: Arc<Log>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) services: RwLock<Vec<Arc<dyn Service>>>,
}

impl Shared {
    fn service(&self, host: &str) -> Option<Arc<dyn Service>> {
        let services = self.services.read().unwrap_or_else(PoisonError::into_inner);
        services.iter().find(|service| service.serves(host)).cloned()
    }
}

/// Rule by which a connection selects the service for a request.
#[derive(Clone)]
enum Door {
    /// By the host name of each request. CONNECT opens a tunnel.
    Proxy,
    /// By the host that CONNECT named.
    Tunnel(String),
    /// Always the same service.
    Only(Arc<dyn Service>),
}

/// Listens and serves all connections until the returned task is aborted.
pub(crate) async fn listen(
    shared: Arc<Shared>,
    address: SocketAddr,
    only: Option<Arc<dyn Service>>,
) -> io::Result<(SocketAddr, tokio::task::AbortHandle)> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let door = only.map_or(Door::Proxy, Door::Only);
    let task = tokio::spawn(async move {
        // Connections end with the listener, because the set aborts them when it is dropped.
        let mut connections = tokio::task::JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                    connections.spawn(connection(stream, Arc::clone(&shared), door.clone()));
                },
                Some(_) = connections.join_next() => {}
            }
        }
    });
    Ok((address, task.abort_handle()))
}

async fn connection(stream: TcpStream, shared: Arc<Shared>, door: Door) {
    // A failure costs only latency.
    let _ = stream.set_nodelay(true);
    let cut = Cut::default();
    let wire = TokioIo::new(Wire::new(stream, cut.clone()));
    let (tunnel, opened) = tokio::sync::oneshot::channel();
    let tunnel = std::sync::Mutex::new(Some(tunnel));
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let (shared, door, cut) = (Arc::clone(&shared), door.clone(), cut.clone());
        let tunnel = if request.method() == Method::CONNECT {
            tunnel.lock().unwrap_or_else(PoisonError::into_inner).take()
        } else {
            None
        };
        async move {
            match tunnel {
                Some(tunnel) => connect(request, &shared, &cut, tunnel),
                None => exchange(request, &shared, &door, &cut).await,
            }
        }
    });
    let served = http1::Builder::new().timer(TokioTimer::new()).serve_connection(wire, service);
    // Faults and impatient clients cause errors here. The log has the requests.
    let _ = served.with_upgrades().await;
    drop(tunnel);
    if let Ok((host, upgrade)) = opened.await {
        inside(host, upgrade, shared.clone(), cut.clone()).await;
    }
}

type Tunnel = tokio::sync::oneshot::Sender<(String, hyper::upgrade::OnUpgrade)>;

/// Responds to CONNECT. If a service serves the host, sends the upgraded connection to `tunnel`.
fn connect(
    request: hyper::Request<Incoming>,
    shared: &Shared,
    cut: &Cut,
    tunnel: Tunnel,
) -> io::Result<Response> {
    let host = host_of(request.uri(), None);
    let Some(service) = shared.service(&host) else {
        let (parts, _) = request.into_parts();
        return Ok(unknown(&host, &parts, &shared.log));
    };
    if !service.reachable(&host) {
        cut.reset();
        return Err(dropped());
    }
    // The receiver is dropped only together with the connection.
    let _ = tunnel.send((host, hyper::upgrade::on(request)));
    Ok(http::Response::new(empty()))
}

/// Serves the requests in a tunnel.
async fn inside(host: String, upgrade: hyper::upgrade::OnUpgrade, shared: Arc<Shared>, cut: Cut) {
    let Ok(config) = shared.ca.config(&host) else {
        return;
    };
    let Ok(upgraded) = upgrade.await else { return };
    let accepting = TlsAcceptor::from(config).accept(TokioIo::new(upgraded));
    // A client that does not trust the CA certificate ends the handshake and reports that itself.
    let Ok(stream) = accepting.await else { return };
    let door = Door::Tunnel(host);
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let (shared, door, cut) = (Arc::clone(&shared), door.clone(), cut.clone());
        async move { exchange(request, &shared, &door, &cut).await }
    });
    let mut builder = http1::Builder::new();
    // Faults and impatient clients cause errors here. The log has the requests.
    let _ = builder.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
}

/// Handles one request. An error drops the connection.
async fn exchange(
    request: hyper::Request<Incoming>,
    shared: &Arc<Shared>,
    door: &Door,
    cut: &Cut,
) -> io::Result<Response> {
    let (parts, incoming) = request.into_parts();
    let (host, service) = behind(door, shared, &parts);
    let Some(service) = service else { return Ok(unknown(&host, &parts, &shared.log)) };
    if !service.reachable(&host) {
        cut.reset();
        return Err(dropped());
    }
    let operation = service.operation(&host, &parts.method, &parts.uri, &parts.headers);
    let exchange = LogHandle::begin(&shared.log, &host, &parts);
    let trouble = Trouble::take(&shared.faults, &host, &operation.name, &parts);
    exchange.note(|entry| {
        entry.service = operation.service.to_owned();
        entry.operation.clone_from(&operation.name);
        entry.repository.clone_from(&operation.repository);
        entry.action.clone_from(&operation.action);
        entry.fault = trouble.effect.as_ref().map(|effect| format!("{effect:?}"));
    });
    let body = incoming.map_err(Into::into).boxed_unsync();
    let body = Counting::wrap(body, exchange.clone(), Direction::Request);
    let request = Request {
        host,
        method: parts.method,
        uri: parts.uri,
        headers: parts.headers,
        body: trouble.wrap(Direction::Request, body, cut),
        operation,
        log_handle: exchange.clone(),
        effect: trouble.effect.clone().filter(|_| trouble.concerns.is_none()),
    };
    let mut response = match early(trouble.effect.as_ref()).await {
        Some(response) => response,
        None => service.serve(request).await,
    };
    if response.extensions_mut().remove::<HangUp>().is_some() {
        cut.reset();
    }
    trouble.lose_answer(cut)?;
    exchange.note(|entry| entry.status = Some(response.status().as_u16()));
    Ok(response.map(|body| {
        let body = trouble.wrap(Direction::Response, body, cut);
        Counting::wrap(body, exchange, Direction::Response)
    }))
}

/// Returns the host of a request and its service.
fn behind(door: &Door, shared: &Shared, parts: &http::request::Parts) -> (String, Option<Arc<dyn Service>>) {
    let named = parts.headers.get(http::header::HOST).and_then(|value| value.to_str().ok());
    let named = host_of(&parts.uri, named);
    match door {
        Door::Tunnel(host) => (host.clone(), shared.service(host)),
        Door::Only(service) => (named, Some(Arc::clone(service))),
        Door::Proxy => {
            let service = shared.service(&named);
            (named, service)
        }
    }
}

/// The fault that hits a request.
struct Trouble {
    effect: Option<Effect>,
    /// Body that the effect applies to. `None` if it applies to the whole exchange.
    concerns: Option<Direction>,
}

impl Trouble {
    fn take(faults: &Faults, host: &str, operation: &str, parts: &http::request::Parts) -> Self {
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
        let effect = faults.take(host, operation, target);
        let concerns = effect.as_ref().and_then(|effect| direction(effect, &parts.method));
        Self { effect, concerns }
    }

    /// Applies the effect if it belongs to this body.
    fn wrap(&self, body: Direction, inner: Body, cut: &Cut) -> Body {
        match &self.effect {
            Some(effect) if self.concerns == Some(body) => Faulty::wrap(inner, effect.clone(), cut.clone()),
            _ => inner,
        }
    }

    /// Fails if the fault drops the whole response. By then the service has processed the request.
    fn lose_answer(&self, cut: &Cut) -> io::Result<()> {
        match (&self.effect, self.concerns) {
            (Some(Effect::Reset { after_bytes: 0, .. }), Some(Direction::Response)) => cut.reset(),
            (Some(Effect::Truncate { after_bytes: 0, .. }), Some(Direction::Response))
            | (Some(Effect::Truncate { .. }), Some(Direction::Request)) => return Err(dropped()),
            _ => {}
        }
        if cut.is_reset() { Err(dropped()) } else { Ok(()) }
    }
}

/// Returns the response of a fault that replaces the service's response.
async fn early(effect: Option<&Effect>) -> Option<Response> {
    match effect? {
        Effect::Status { code, headers, body } => {
            let headers: Vec<_> =
                headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            Some(response(*code, &headers, full(body.clone())))
        }
        Effect::Redirect { location } => Some(response(307, &[("location", location)], empty())),
        Effect::Delay { ms } => {
            tokio::time::sleep(Duration::from_millis(*ms)).await;
            None
        }
        _ => None,
    }
}

/// Error that drops a connection on purpose.
fn dropped() -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}

/// Returns status 502 for a host without a service.
fn unknown(host: &str, parts: &http::request::Parts, log: &Arc<Log>) -> Response {
    LogHandle::begin(log, host, parts).note(|entry| entry.status = Some(502));
    let text = format!("aws-emulator: nobody serves {host}\n");
    response(502, &[("content-type", "text/plain")], full(text))
}

/// Returns the host of a request in lower case without port.
fn host_of(uri: &Uri, named: Option<&str>) -> String {
    let named = uri.host().or(named).unwrap_or_default();
    let without_port = match named.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => named,
    };
    without_port.to_ascii_lowercase()
}
