//! The Runtime API of one sandbox, on a loopback port.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};
use tokio::task::{AbortHandle, JoinSet};

use crate::ids;
use crate::timestamp;

/// Lambda's limit of a function's response in bytes.
const RESPONSE_LIMIT: usize = 6 * 1024 * 1024;

/// An event for a sandbox.
#[derive(Clone, Debug)]
pub(super) struct NextInvocation {
    pub(super) request_id: String,
    pub(super) arn: String,
    pub(super) trace_id: String,
    pub(super) deadline: SystemTime,
    pub(super) payload: Bytes,
}

/// A call of the program to its Runtime API.
#[derive(Debug)]
pub(super) enum RuntimeCall {
    /// Request for the next event.
    Next,
    /// Success of the invocation.
    Response(Bytes),
    /// Failure of the invocation or of the initialization.
    Error(Bytes),
}

/// The Runtime API's server.
pub(super) struct RuntimeApi {
    address: SocketAddr,
    state: Arc<State>,
    listener: AbortHandle,
}

struct State {
    queue: Mutex<Queue>,
    arrived: Notify,
    calls: mpsc::UnboundedSender<RuntimeCall>,
    on_rejected: Box<dyn Fn(String) + Send + Sync>,
}

#[derive(Default)]
struct Queue {
    waiting: Option<NextInvocation>,
    /// Request ID and invocation ID of the event in progress.
    running: Option<(String, String)>,
}

impl RuntimeApi {
    /// Opens the port. Calls `on_rejected` for each call that Lambda would reject.
    pub(super) async fn open(
        calls: mpsc::UnboundedSender<RuntimeCall>,
        on_rejected: impl Fn(String) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let queue = Mutex::default();
        let state =
            Arc::new(State { queue, arrived: Notify::new(), calls, on_rejected: Box::new(on_rejected) });
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            // Connections end with the listener, because the set aborts them when it is dropped.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                let service = service_fn(move |request| respond(Arc::clone(&state), request));
                let io = TokioIo::new(stream);
                connections.spawn(http1::Builder::new().serve_connection(io, service));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, state, listener: task.abort_handle() })
    }

    /// Returns host and port for `AWS_LAMBDA_RUNTIME_API`.
    pub(super) fn address(&self) -> String {
        self.address.to_string()
    }

    /// Sends an event to the program, which has requested one.
    pub(super) fn deliver(&self, invocation: NextInvocation) {
        self.state.lock().waiting = Some(invocation);
        self.state.arrived.notify_one();
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for an event and marks it as in progress.
    async fn next(&self) -> http::Response<Full<Bytes>> {
        // Sending fails only if the sandbox has ended together with the program.
        let _ = self.calls.send(RuntimeCall::Next);
        let (invocation, invocation_id) = loop {
            if let Some(next) = self.take_next() {
                break next;
            }
            self.arrived.notified().await;
        };
        let deadline = timestamp::since_epoch(invocation.deadline).as_millis();
        http::Response::builder()
            .header("content-type", "application/json")
            .header("lambda-runtime-aws-request-id", invocation.request_id)
            .header("lambda-runtime-deadline-ms", deadline.to_string())
            .header("lambda-runtime-invoked-function-arn", invocation.arn)
            .header("lambda-runtime-trace-id", invocation.trace_id)
            .header("lambda-runtime-invocation-id", invocation_id)
            .body(Full::new(invocation.payload))
            .expect("ids and ARNs are valid headers")
    }

    fn take_next(&self) -> Option<(NextInvocation, String)> {
        let mut queue = self.lock();
        let invocation = queue.waiting.take()?;
        let invocation_id = ids::uuid();
        queue.running = Some((invocation.request_id.clone(), invocation_id.clone()));
        Some((invocation, invocation_id))
    }

    /// Ends the invocation in progress. Returns false if it is another one.
    fn finish(&self, request_id: &str, invocation_id: Option<&str>) -> bool {
        let mut queue = self.lock();
        let ours = queue.running.as_ref().is_some_and(|(request, invocation)| {
            request == request_id && invocation_id.is_none_or(|given| given == invocation)
        });
        if ours {
            queue.running = None;
        }
        ours
    }
}

async fn respond(
    state: Arc<State>,
    request: http::Request<Incoming>,
) -> Result<http::Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let call = format!("{} {}", parts.method, parts.uri.path());
    let path: Vec<&str> = parts.uri.path().trim_matches('/').split('/').collect();
    let invocation_id = parts.headers.get("lambda-runtime-invocation-id");
    let invocation_id = invocation_id.and_then(|value| value.to_str().ok());
    let runtime_call = match (&parts.method, path.as_slice()) {
        (&Method::GET, ["2018-06-01", "runtime", "invocation", "next"]) => {
            return Ok(state.next().await);
        }
        (&Method::POST, ["2018-06-01", "runtime", "invocation", id, end @ ("response" | "error")]) => {
            if !state.finish(id, invocation_id) {
                (state.on_rejected)(format!("{call}: no such invocation is running"));
                return Ok(error_response(StatusCode::BAD_REQUEST, "InvalidRequestID", &call));
            }
            if *end == "response" { RuntimeCall::Response } else { RuntimeCall::Error }
        }
        (&Method::POST, ["2018-06-01", "runtime", "init", "error"]) => RuntimeCall::Error,
        _ => {
            (state.on_rejected)(format!("{call}: not part of the emulated Runtime API"));
            return Ok(error_response(StatusCode::NOT_FOUND, "NotImplemented", &call));
        }
    };
    let Ok(body) = Limited::new(body, RESPONSE_LIMIT).collect().await else {
        (state.on_rejected)(format!("{call}: the body is too large or incomplete"));
        return Ok(error_response(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", &call));
    };
    let _ = state.calls.send(runtime_call(body.to_bytes()));
    Ok(json_response(StatusCode::ACCEPTED, "{\"status\":\"OK\"}\n".to_owned()))
}

fn error_response(code: StatusCode, kind: &str, call: &str) -> http::Response<Full<Bytes>> {
    let body = serde_json::json!({ "errorType": kind, "errorMessage": call });
    json_response(code, body.to_string())
}

fn json_response(code: StatusCode, body: String) -> http::Response<Full<Bytes>> {
    let mut response = http::Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = code;
    response
}
