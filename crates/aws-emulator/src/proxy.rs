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
use crate::faulty_body::{FaultyBody, affected_body};
use crate::identity::AccessKeys;
use crate::log::{Log, LogHandle};
use crate::service::{ConnectionReset, Request, Response, Service, response};
use crate::stream::{ResetHandle, ResettableStream};

/// State that all connections share.
pub(crate) struct ProxyState {
    pub(crate) ca: CertificateAuthority,
    pub(crate) log: Arc<Log>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) services: RwLock<Vec<Arc<dyn Service>>>,
    pub(crate) access_keys: Arc<AccessKeys>,
}

impl ProxyState {
    fn service(&self, host: &str) -> Option<Arc<dyn Service>> {
        let services = self.services.read().unwrap_or_else(PoisonError::into_inner);
        services.iter().find(|service| service.serves(host)).cloned()
    }
}

/// Rule by which a connection selects the service for a request.
#[derive(Clone)]
enum Routing {
    /// By the host name of each request. CONNECT opens a tunnel.
    ByHost,
    /// By the host that CONNECT named.
    Tunnel(String),
    /// Always the same service.
    Fixed(Arc<dyn Service>),
}

/// Listens and serves all connections until the returned task is aborted.
pub(crate) async fn listen(
    state: Arc<ProxyState>,
    address: SocketAddr,
    fixed: Option<Arc<dyn Service>>,
) -> io::Result<(SocketAddr, tokio::task::AbortHandle)> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let routing = fixed.map_or(Routing::ByHost, Routing::Fixed);
    let task = tokio::spawn(async move {
        // Connections end with the listener, because the set aborts them when it is dropped.
        let mut connections = tokio::task::JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                    connections.spawn(serve_connection(stream, Arc::clone(&state), routing.clone()));
                },
                Some(_) = connections.join_next() => {}
            }
        }
    });
    Ok((address, task.abort_handle()))
}

async fn serve_connection(stream: TcpStream, state: Arc<ProxyState>, routing: Routing) {
    // A failure costs only latency.
    let _ = stream.set_nodelay(true);
    let reset_handle = ResetHandle::default();
    let stream = TokioIo::new(ResettableStream::new(stream, reset_handle.clone()));
    let (tunnel, opened) = tokio::sync::oneshot::channel();
    let tunnel = std::sync::Mutex::new(Some(tunnel));
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let (state, routing, reset_handle) = (Arc::clone(&state), routing.clone(), reset_handle.clone());
        let tunnel = if request.method() == Method::CONNECT {
            tunnel.lock().unwrap_or_else(PoisonError::into_inner).take()
        } else {
            None
        };
        async move {
            match tunnel {
                Some(tunnel) => respond_to_connect(request, &state, &reset_handle, tunnel),
                None => handle_request(request, &state, &routing, &reset_handle).await,
            }
        }
    });
    let served = http1::Builder::new().timer(TokioTimer::new()).serve_connection(stream, service);
    // Faults and impatient clients cause errors here. The log has the requests.
    let _ = served.with_upgrades().await;
    drop(tunnel);
    if let Ok((host, upgrade)) = opened.await {
        serve_tunnel(host, upgrade, state.clone(), reset_handle.clone()).await;
    }
}

type Tunnel = tokio::sync::oneshot::Sender<(String, hyper::upgrade::OnUpgrade)>;

/// Responds to CONNECT. If a service serves the host, sends the upgraded connection to `tunnel`.
fn respond_to_connect(
    request: hyper::Request<Incoming>,
    state: &ProxyState,
    reset_handle: &ResetHandle,
    tunnel: Tunnel,
) -> io::Result<Response> {
    let host = host_of(request.uri(), None);
    let Some(service) = state.service(&host) else {
        let (parts, _) = request.into_parts();
        return Ok(unknown_host(&host, &parts, &state.log));
    };
    if !service.reachable(&host) {
        reset_handle.reset();
        return Err(dropped_connection());
    }
    // The receiver is dropped only together with the connection.
    let _ = tunnel.send((host, hyper::upgrade::on(request)));
    Ok(http::Response::new(empty()))
}

/// Serves the requests in a tunnel.
async fn serve_tunnel(
    host: String,
    upgrade: hyper::upgrade::OnUpgrade,
    state: Arc<ProxyState>,
    reset_handle: ResetHandle,
) {
    let Ok(config) = state.ca.config(&host) else {
        return;
    };
    let Ok(upgraded) = upgrade.await else { return };
    let accepting = TlsAcceptor::from(config).accept(TokioIo::new(upgraded));
    // A client that does not trust the CA certificate ends the handshake and reports that itself.
    let Ok(stream) = accepting.await else { return };
    let routing = Routing::Tunnel(host);
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let (state, routing, reset_handle) = (Arc::clone(&state), routing.clone(), reset_handle.clone());
        async move { handle_request(request, &state, &routing, &reset_handle).await }
    });
    let mut builder = http1::Builder::new();
    // Faults and impatient clients cause errors here. The log has the requests.
    let _ = builder.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
}

/// Handles one request. An error drops the connection.
async fn handle_request(
    request: hyper::Request<Incoming>,
    state: &Arc<ProxyState>,
    routing: &Routing,
    reset_handle: &ResetHandle,
) -> io::Result<Response> {
    let (parts, incoming) = request.into_parts();
    let (host, service) = route(routing, state, &parts);
    let Some(service) = service else { return Ok(unknown_host(&host, &parts, &state.log)) };
    if !service.reachable(&host) {
        reset_handle.reset();
        return Err(dropped_connection());
    }
    let operation = service.operation(&host, &parts.method, &parts.uri, &parts.headers);
    let log_handle = LogHandle::add_entry(&state.log, &host, &parts);
    let fault = RequestFault::take(&state.faults, &host, &operation.name, &parts);
    log_handle.update(|entry| {
        entry.service = operation.service.to_owned();
        entry.operation.clone_from(&operation.name);
        entry.repository.clone_from(&operation.repository);
        entry.action.clone_from(&operation.action);
        entry.fault = fault.effect.as_ref().map(|effect| format!("{effect:?}"));
    });
    let body = incoming.map_err(Into::into).boxed_unsync();
    let body = Counting::wrap(body, log_handle.clone(), Direction::Request);
    let request = Request {
        host,
        method: parts.method,
        uri: parts.uri,
        headers: parts.headers,
        body: fault.wrap(Direction::Request, body, reset_handle),
        operation,
        log_handle: log_handle.clone(),
        effect: fault.effect.clone().filter(|_| fault.affected.is_none()),
        access_keys: Arc::clone(&state.access_keys),
    };
    let mut response = match injected_response(fault.effect.as_ref()).await {
        Some(response) => response,
        None => service.serve(request).await,
    };
    if response.extensions_mut().remove::<ConnectionReset>().is_some() {
        reset_handle.reset();
    }
    fault.drop_response(reset_handle)?;
    log_handle.update(|entry| entry.status = Some(response.status().as_u16()));
    Ok(response.map(|body| {
        let body = fault.wrap(Direction::Response, body, reset_handle);
        Counting::wrap(body, log_handle, Direction::Response)
    }))
}

/// Returns the host of a request and its service.
fn route(
    routing: &Routing,
    state: &ProxyState,
    parts: &http::request::Parts,
) -> (String, Option<Arc<dyn Service>>) {
    let named = parts.headers.get(http::header::HOST).and_then(|value| value.to_str().ok());
    let named = host_of(&parts.uri, named);
    match routing {
        Routing::Tunnel(host) => (host.clone(), state.service(host)),
        Routing::Fixed(service) => (named, Some(Arc::clone(service))),
        Routing::ByHost => {
            let service = state.service(&named);
            (named, service)
        }
    }
}

/// The fault that hits a request.
struct RequestFault {
    effect: Option<Effect>,
    /// Body that the effect applies to. `None` if it applies to the whole exchange.
    affected: Option<Direction>,
}

impl RequestFault {
    fn take(faults: &Faults, host: &str, operation: &str, parts: &http::request::Parts) -> Self {
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
        let effect = faults.hit(host, operation, target);
        let affected = effect.as_ref().and_then(|effect| affected_body(effect, &parts.method));
        Self { effect, affected }
    }

    /// Applies the effect if it belongs to this body.
    fn wrap(&self, body: Direction, inner: Body, reset_handle: &ResetHandle) -> Body {
        match &self.effect {
            Some(effect) if self.affected == Some(body) => {
                FaultyBody::wrap(inner, effect.clone(), reset_handle.clone())
            }
            _ => inner,
        }
    }

    /// Fails if the fault drops the whole response. By then the service has processed the request.
    fn drop_response(&self, reset_handle: &ResetHandle) -> io::Result<()> {
        match (&self.effect, self.affected) {
            (Some(Effect::Reset { after_bytes: 0, .. }), Some(Direction::Response)) => reset_handle.reset(),
            (Some(Effect::Truncate { after_bytes: 0, .. }), Some(Direction::Response))
            | (Some(Effect::Truncate { .. }), Some(Direction::Request)) => return Err(dropped_connection()),
            _ => {}
        }
        if reset_handle.is_reset() { Err(dropped_connection()) } else { Ok(()) }
    }
}

/// Returns the response of a fault that replaces the service's response.
async fn injected_response(effect: Option<&Effect>) -> Option<Response> {
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
fn dropped_connection() -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}

/// Returns status 502 for a host without a service.
fn unknown_host(host: &str, parts: &http::request::Parts, log: &Arc<Log>) -> Response {
    LogHandle::add_entry(log, host, parts).update(|entry| entry.status = Some(502));
    let text = format!("aws-emulator: no service for {host}\n");
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
