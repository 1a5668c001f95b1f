//! Lambda's Invoke API, for programs that invoke functions.

use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, Uri};
use serde_json::{Value, json};

use super::{Function, lock};
use crate::actions_seen;
use crate::body::{empty, full, read};
use crate::bucket::decode;
use crate::ids;
use crate::service::{Operation, Request, Response, Service, response};

/// Lambda's limit of an asynchronous event in bytes.
const EVENT_LIMIT: usize = 1024 * 1024;

/// IAM action of an invocation.
const INVOKE: &str = "lambda:InvokeFunction";

/// `lambda.<region>.amazonaws.com` with the action Invoke only.
pub struct LambdaApi {
    host: String,
    functions: Mutex<Vec<Arc<Function>>>,
}

impl LambdaApi {
    /// Creates the API of a Region. Add it with [`crate::Emulator::add`].
    pub fn new(region: &str) -> Arc<Self> {
        let host = format!("lambda.{region}.{}", ids::suffix(region));
        Arc::new(Self { host, functions: Mutex::default() })
    }

    /// Adds a function, which can then be invoked by name or ARN.
    pub fn add(&self, function: &Arc<Function>) {
        lock(&self.functions).push(Arc::clone(function));
    }

    async fn invoke(&self, request: Request) -> Response {
        let call = format!("{} {}", request.method, request.path());
        let Some(name) = function_name(&request.method, request.path()) else {
            return error_response(501, "NotImplemented", &format!("{call} is not emulated"));
        };
        actions_seen::record(actions_seen::program_name(&request.headers).as_deref(), INVOKE);
        let found = lock(&self.functions).iter().find(|function| is_named(function, &name)).cloned();
        let Some(function) = found else {
            return error_response(404, "ResourceNotFoundException", &format!("Function not found: {name}"));
        };
        let kind = request.header("x-amz-invocation-type").unwrap_or("RequestResponse").to_owned();
        if kind != "Event" {
            let message = format!("{call} with invocation type {kind} is not emulated");
            return error_response(501, "NotImplemented", &message);
        }
        let trace_id = request.header("x-amzn-trace-id").map(ToOwned::to_owned);
        let Ok(body) = read(request.body, EVENT_LIMIT).await else {
            return error_response(413, "RequestTooLargeException", "the event exceeds 1 MiB");
        };
        let Ok(event) = serde_json::from_slice::<Value>(&body) else {
            return error_response(400, "InvalidRequestContentException", "the event is not JSON");
        };
        let request_id = match trace_id {
            Some(trace_id) => function.invoke_traced(event, trace_id),
            None => function.invoke_async(event),
        };
        response(202, &[("x-amzn-requestid", &request_id)], empty())
    }
}

impl Service for LambdaApi {
    fn serves(&self, host: &str) -> bool {
        host == self.host
    }

    fn operation(&self, _: &str, method: &Method, uri: &Uri, _: &HeaderMap) -> Operation {
        let invoke = function_name(method, uri.path()).is_some();
        let name = if invoke { INVOKE } else { "lambda:unknown" };
        Operation { action: Some(name.to_owned()), ..Operation::new("lambda", name) }
    }

    fn serve(&self, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(self.invoke(request))
    }
}

/// Returns the function name or ARN in the path of an Invoke call.
fn function_name(method: &Method, path: &str) -> Option<String> {
    let name = path.strip_prefix("/2015-03-31/functions/")?.strip_suffix("/invocations")?;
    (method == Method::POST).then(|| decode(name))
}

fn is_named(function: &Function, name: &str) -> bool {
    let settings = function.settings();
    name == settings.name || name == settings.arn()
}

fn error_response(status: u16, kind: &str, message: &str) -> Response {
    let body = json!({ "Type": "User", "Message": message });
    let headers = [("content-type", "application/json"), ("x-amzn-errortype", kind)];
    response(status, &headers, full(body.to_string()))
}
