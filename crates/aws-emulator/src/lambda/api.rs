//! Lambda's API, for programs that invoke functions or read their settings: `Invoke` and
//! `GetFunctionConfiguration` (<https://docs.aws.amazon.com/lambda/latest/api/>).

use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, Uri};
use serde_json::{Value, json};

use super::{Function, Outcome, lock};
use crate::api::{ApiError, Caller, Denials, check_signature, hosts};
use crate::body::{empty, full, read};
use crate::bucket::decode;
use crate::fault::Effect;
use crate::service::{Operation, Request, Response, Service, json_response, response};

/// Lambda's limit of an asynchronous event in bytes.
const EVENT_LIMIT: usize = 1024 * 1024;

/// `lambda.<region>.amazonaws.com` with two actions.
pub struct LambdaApi {
    region: String,
    functions: Mutex<Vec<Arc<Function>>>,
    denials: Mutex<Denials>,
}

/// An emulated action on a function, which the path names.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Action {
    Invoke(String),
    GetFunctionConfiguration(String),
}

impl Action {
    fn parse(method: &Method, path: &str) -> Option<Self> {
        let (name, action) = path.strip_prefix("/2015-03-31/functions/")?.split_once('/')?;
        match (method, action) {
            (&Method::POST, "invocations") => Some(Self::Invoke(decode(name))),
            (&Method::GET, "configuration") => Some(Self::GetFunctionConfiguration(decode(name))),
            _ => None,
        }
    }

    fn function(&self) -> &str {
        let (Self::Invoke(name) | Self::GetFunctionConfiguration(name)) = self;
        name
    }

    /// Returns the IAM action.
    fn permission(&self) -> &'static str {
        match self {
            Self::Invoke(_) => "lambda:InvokeFunction",
            Self::GetFunctionConfiguration(_) => "lambda:GetFunctionConfiguration",
        }
    }
}

impl LambdaApi {
    /// Creates the API of a Region. Add it with [`crate::Emulator::add`].
    pub fn new(region: &str) -> Arc<Self> {
        Arc::new(Self { region: region.to_owned(), functions: Mutex::default(), denials: Mutex::default() })
    }

    /// Adds a function, which can then be invoked by name or ARN.
    pub fn add(&self, function: &Arc<Function>) {
        lock(&self.functions).push(Arc::clone(function));
    }

    /// Denies actions such as `lambda:GetFunctionConfiguration` on functions. Both are patterns with `*`.
    pub fn deny(&self, action: &str, resource: &str) {
        lock(&self.denials).add(action, resource);
    }

    async fn call(&self, request: Request) -> Response {
        if let Some(Effect::ApiError { error, message }) = &request.effect {
            return error_response(error_status(error), error, message);
        }
        let Some(action) = Action::parse(&request.method, request.path()) else {
            let message = format!("{} {} is not emulated", request.method, request.path());
            return error_response(501, "NotImplemented", &message);
        };
        let function = match self.authorize(&request, &action) {
            Ok(function) => function,
            Err(error) => return error_response(error_status(error.name), error.name, &error.message),
        };
        match action {
            Action::Invoke(_) => invoke(&function, request).await,
            Action::GetFunctionConfiguration(_) => json_response(200, &configuration(&function)),
        }
    }

    /// Checks signature and permission, and returns the function.
    fn authorize(&self, request: &Request, action: &Action) -> Result<Arc<Function>, ApiError> {
        check_signature(request, &self.region, "lambda")?;
        let functions = lock(&self.functions);
        let name = action.function();
        let found = functions.iter().find(|function| is_named(function, name));
        let account = functions.first().map_or("", |function| &function.settings().account);
        let partition = hosts::partition(&self.region);
        let arn = match found {
            Some(function) => function.settings().arn(),
            None if name.starts_with("arn:") => name.to_owned(),
            None => format!("arn:{partition}:lambda:{}:{account}:function:{name}", self.region),
        };
        let caller = Caller::of(&request.headers, account, &self.region);
        lock(&self.denials).check(&caller, action.permission(), &arn)?;
        let missing = || ApiError::new("ResourceNotFoundException", format!("Function not found: {arn}"));
        found.cloned().ok_or_else(missing)
    }
}

async fn invoke(function: &Function, request: Request) -> Response {
    let kind = request.header("x-amz-invocation-type").unwrap_or("RequestResponse").to_owned();
    if !matches!(kind.as_str(), "Event" | "RequestResponse") {
        let call = format!("{} {}", request.method, request.path());
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
    if kind == "RequestResponse" {
        return synchronous_response(function.invoke_sync(&event).await);
    }
    let request_id = match trace_id {
        Some(trace_id) => function.invoke_traced(event, trace_id),
        None => function.invoke_async(event),
    };
    response(202, &[("x-amzn-requestid", &request_id)], empty())
}

/// Returns the response to a synchronous invocation. The status is 200 also if the function failed
/// (<https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>).
fn synchronous_response(outcome: Outcome) -> Response {
    let error = |kind: &str, message: String| json!({"errorType": kind, "errorMessage": message}).to_string();
    let failed = match outcome {
        Outcome::Response(body) => return response(200, &[], full(body)),
        Outcome::Error(body) => body,
        Outcome::Timeout => error("Sandbox.Timedout", "Task timed out".to_owned()),
        Outcome::Crash(status) => error("Runtime.ExitError", format!("Runtime exited with error: {status}")),
    };
    response(200, &[("x-amz-function-error", "Unhandled")], full(failed))
}

/// Variables that Lambda sets itself, so that no function has them as settings
/// (<https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html>).
const RESERVED: [&str; 5] =
    ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION"];

/// Returns the settings of a function
/// (<https://docs.aws.amazon.com/lambda/latest/api/API_GetFunctionConfiguration.html>).
fn configuration(function: &Function) -> Value {
    let settings = function.settings();
    let variables = settings.environment.iter().filter(|(name, _)| !RESERVED.contains(&name.as_str()));
    let variables = variables.map(|(name, value)| (name.clone(), json!(value))).collect();
    json!({
        "FunctionName": settings.name,
        "FunctionArn": settings.arn(),
        "Role": settings.role(),
        "Runtime": "provided.al2023",
        "Handler": "bootstrap",
        "PackageType": "Zip",
        "Architectures": ["arm64"],
        "MemorySize": settings.memory,
        "Timeout": settings.timeout.as_secs(),
        "Version": "$LATEST",
        "State": "Active",
        "LastUpdateStatus": "Successful",
        "Environment": {"Variables": Value::Object(variables)},
    })
}

impl Service for LambdaApi {
    fn serves(&self, host: &str) -> bool {
        host == format!("lambda.{}.{}", self.region, hosts::partition_of(&self.region).suffix)
    }

    fn operation(&self, _: &str, method: &Method, uri: &Uri, _: &HeaderMap) -> Operation {
        let action = Action::parse(method, uri.path());
        let name = action.map_or("lambda:unknown", |action| action.permission());
        Operation { action: Some(name.to_owned()), ..Operation::new("lambda", name) }
    }

    fn serve(&self, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(self.call(request))
    }
}

fn is_named(function: &Function, name: &str) -> bool {
    let settings = function.settings();
    name == settings.name || name == settings.arn()
}

/// Returns the status of an error (<https://docs.aws.amazon.com/lambda/latest/api/CommonErrors.html>).
fn error_status(name: &str) -> u16 {
    match name {
        "AccessDeniedException"
        | "ExpiredTokenException"
        | "IncompleteSignatureException"
        | "InvalidSignatureException"
        | "MissingAuthenticationTokenException"
        | "UnrecognizedClientException" => 403,
        "ResourceNotFoundException" => 404,
        "TooManyRequestsException" => 429,
        "ServiceException" => 500,
        _ => 400,
    }
}

fn error_response(status: u16, kind: &str, message: &str) -> Response {
    let body = json!({ "Type": "User", "Message": message });
    let headers = [("content-type", "application/json"), ("x-amzn-errortype", kind)];
    response(status, &headers, full(body.to_string()))
}
