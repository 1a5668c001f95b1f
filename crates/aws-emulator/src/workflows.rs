//! Step Functions, as far as a program follows an execution: `StartExecution`, `DescribeExecution`, `ListMapRuns`
//! and `DescribeMapRun` (<https://docs.aws.amazon.com/step-functions/latest/apireference/>). No state machine is
//! interpreted: a test scripts the progress and the end of an execution.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, Uri};
use serde_json::{Value, json};

use crate::api::{Api, ApiError, Caller, Denials, JsonVersion, now};
use crate::ids;
use crate::service::{Operation, Request, Response, Service};

static API: Api = Api {
    service: "states",
    log_service: "states",
    target_prefix: "AWSStepFunctions.",
    hosts: &["states", "states-fips"],
    dual_stack_hosts: &["states", "states-fips"],
    json: JsonVersion::V1_0("com.amazonaws.swf.service.v2.model"),
};

/// Characters that a name of an execution must not contain, besides white space and control characters.
const FORBIDDEN: &str = "<>{}[]?*\"#%\\^|~`$&,;:/";

/// Executions of one account and Region. Add it with [`crate::Emulator::add`].
pub struct Workflows {
    account: String,
    region: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    state_machines: Vec<String>,
    scripts: VecDeque<Script>,
    executions: Vec<Execution>,
    denials: Denials,
}

/// Progress and end of an execution.
#[derive(Default)]
pub struct Script {
    /// Counts of the Map Run after each request for the state. The execution ends after the last one.
    pub counts: Vec<Counts>,
    /// Error and cause. `None` if the execution succeeds.
    pub failure: Option<(String, String)>,
    /// Status at the end, instead of `SUCCEEDED` or `FAILED`.
    pub status: Option<&'static str>,
    /// Called at the start with the name of the execution, for the objects that the workflow writes.
    pub on_start: Option<OnStart>,
}

/// Receives the name of a started execution.
pub type OnStart = Box<dyn FnOnce(&str) + Send>;

/// Items of a Map Run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// All items.
    pub total: u64,
    /// Items that succeeded.
    pub succeeded: u64,
    /// Items that failed.
    pub failed: u64,
}

struct Execution {
    name: String,
    arn: String,
    map_run: String,
    input: String,
    started: f64,
    script: Script,
    /// Number of requests for the state.
    requests: usize,
}

impl Execution {
    /// Returns true if the last counts were returned. The first request finds no execution.
    fn has_ended(&self) -> bool {
        self.requests > self.script.counts.len() + 1
    }

    fn status(&self) -> &'static str {
        match (&self.script.failure, self.script.status) {
            _ if !self.has_ended() => "RUNNING",
            (_, Some(status)) => status,
            (Some(_), None) => "FAILED",
            (None, None) => "SUCCEEDED",
        }
    }

    fn describe(&self) -> Value {
        let mut description = json!({
            "executionArn": self.arn,
            "name": self.name,
            "startDate": self.started,
            "status": self.status(),
            "input": self.input,
            "inputDetails": {"included": true},
            "redriveCount": 0,
        });
        if self.has_ended() {
            description["stopDate"] = json!(now());
            if let Some((error, cause)) = &self.script.failure {
                description["error"] = json!(error);
                description["cause"] = json!(cause);
            }
        }
        description
    }

    fn describe_map_run(&self) -> Value {
        let at = self.requests.saturating_sub(2).min(self.script.counts.len().saturating_sub(1));
        let Counts { total, succeeded, failed } = self.script.counts.get(at).copied().unwrap_or_default();
        let counts = json!({
            "pending": total - succeeded - failed,
            "running": 0,
            "succeeded": succeeded,
            "failed": failed,
            "timedOut": 0,
            "aborted": 0,
            "total": total,
            "resultsWritten": 0,
        });
        json!({
            "mapRunArn": self.map_run,
            "executionArn": self.arn,
            "status": if self.has_ended() { "SUCCEEDED" } else { "RUNNING" },
            "startDate": self.started,
            "maxConcurrency": 6,
            "toleratedFailurePercentage": 100.0,
            "toleratedFailureCount": 0,
            "itemCounts": counts,
            "executionCounts": counts,
        })
    }
}

impl Workflows {
    /// Creates the API without a state machine.
    pub fn new(account: &str, region: &str) -> Arc<Self> {
        Arc::new(Self { account: account.to_owned(), region: region.to_owned(), state: Mutex::default() })
    }

    /// Creates a state machine, and returns its ARN.
    pub fn create(&self, name: &str) -> String {
        let arn = self.arn(&format!("stateMachine:{name}"));
        self.lock().state_machines.push(arn.clone());
        arn
    }

    /// Sets the progress and the end of the next execution.
    pub fn script(&self, script: Script) {
        self.lock().scripts.push_back(script);
    }

    /// Returns the names of all executions, oldest first.
    pub fn executions(&self) -> Vec<String> {
        self.lock().executions.iter().map(|execution| execution.name.clone()).collect()
    }

    /// Denies actions such as `states:StartExecution` on resources. Both are patterns with `*`.
    pub fn deny(&self, action: &str, resource: &str) {
        self.lock().denials.add(action, resource);
    }

    /// Removes all denials.
    pub fn allow_everything(&self) {
        self.lock().denials.clear();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn arn(&self, resource: &str) -> String {
        let partition = ids::partition(&self.region);
        format!("arn:{partition}:states:{}:{}:{resource}", self.region, self.account)
    }

    fn start(&self, caller: &Caller, input: &Value) -> Result<Value, ApiError> {
        let state_machine = required(input, "stateMachineArn")?;
        let mut state = self.lock();
        state.denials.check(caller, "states:StartExecution", state_machine)?;
        if !state.state_machines.iter().any(|arn| arn == state_machine) {
            let message = format!("State Machine Does Not Exist: '{state_machine}'");
            return Err(ApiError::new("StateMachineDoesNotExist", message));
        }
        let text = input["input"].as_str().unwrap_or("{}");
        if serde_json::from_str::<Value>(text).is_err() {
            return Err(ApiError::new("InvalidExecutionInput", "Invalid State Machine Execution Input"));
        }
        let name = input["name"].as_str().map_or_else(ids::uuid, ToOwned::to_owned);
        let is_forbidden = |c: char| c.is_whitespace() || c.is_control() || FORBIDDEN.contains(c);
        if name.is_empty() || name.len() > 80 || name.contains(is_forbidden) {
            return Err(ApiError::new("InvalidName", format!("Invalid Name: '{name}'")));
        }
        let machine = state_machine.rsplit(':').next().unwrap_or_default();
        let arn = self.arn(&format!("execution:{machine}:{name}"));
        if let Some(known) = state.executions.iter().find(|execution| execution.arn == arn) {
            if known.input == text && !known.has_ended() {
                return Ok(json!({"executionArn": arn, "startDate": known.started}));
            }
            let message = format!("Execution Already Exists: '{arn}'");
            return Err(ApiError::new("ExecutionAlreadyExists", message));
        }
        let mut script = state.scripts.pop_front().unwrap_or_default();
        if let Some(on_start) = script.on_start.take() {
            on_start(&name);
        }
        let (input, started) = (text.to_owned(), now());
        let map_run = self.arn(&format!("mapRun:{machine}/Images:{}", ids::uuid()));
        let output = json!({"executionArn": arn, "startDate": started});
        state.executions.push(Execution { name, arn, map_run, input, started, script, requests: 0 });
        Ok(output)
    }

    fn describe(&self, caller: &Caller, input: &Value) -> Result<Value, ApiError> {
        let arn = required(input, "executionArn")?;
        let mut state = self.lock();
        state.denials.check(caller, "states:DescribeExecution", arn)?;
        let found = state.executions.iter_mut().find(|execution| execution.arn == arn);
        let execution = found.ok_or_else(|| no_execution(arn))?;
        execution.requests += 1;
        // The API is eventually consistent
        // (https://docs.aws.amazon.com/step-functions/latest/apireference/API_DescribeExecution.html).
        if execution.requests == 1 { Err(no_execution(arn)) } else { Ok(execution.describe()) }
    }

    fn list_map_runs(&self, caller: &Caller, input: &Value) -> Result<Value, ApiError> {
        let arn = required(input, "executionArn")?;
        let state = self.lock();
        state.denials.check(caller, "states:ListMapRuns", arn)?;
        let found = state.executions.iter().find(|execution| execution.arn == arn);
        let execution = found.ok_or_else(|| no_execution(arn))?;
        // The Map Run starts after the first state.
        let runs = match execution.script.counts.is_empty() || execution.requests < 2 {
            true => json!([]),
            false => json!([{
                "executionArn": arn,
                "mapRunArn": execution.map_run,
                "stateMachineArn": execution.map_run.replace("mapRun", "stateMachine"),
                "startDate": execution.started,
            }]),
        };
        Ok(json!({"mapRuns": runs}))
    }

    fn describe_map_run(&self, caller: &Caller, input: &Value) -> Result<Value, ApiError> {
        let arn = required(input, "mapRunArn")?;
        let state = self.lock();
        state.denials.check(caller, "states:DescribeMapRun", arn)?;
        let found = state.executions.iter().find(|execution| execution.map_run == arn);
        let missing = || ApiError::new("ResourceNotFound", format!("Resource not found: '{arn}'"));
        Ok(found.ok_or_else(missing)?.describe_map_run())
    }
}

fn no_execution(arn: &str) -> ApiError {
    ApiError::new("ExecutionDoesNotExist", format!("Execution Does Not Exist: '{arn}'"))
}

fn required<'a>(input: &'a Value, name: &str) -> Result<&'a str, ApiError> {
    input[name].as_str().ok_or_else(|| {
        let message = format!(
            "1 validation error detected: Value null at '{name}' failed to satisfy constraint: Member must not be null"
        );
        ApiError::new("ValidationException", message)
    })
}

impl Service for Workflows {
    fn serves(&self, host: &str) -> bool {
        API.region(host).is_some_and(|region| region == self.region)
    }

    fn operation(&self, _: &str, _: &Method, _: &Uri, headers: &HeaderMap) -> Operation {
        API.operation(headers)
    }

    fn serve(&self, request: Request) -> BoxFuture<'_, Response> {
        let execute = |_: &str, caller: &Caller, action: &str, input: &Value| match action {
            "StartExecution" => self.start(caller, input),
            "DescribeExecution" => self.describe(caller, input),
            "ListMapRuns" => self.list_map_runs(caller, input),
            "DescribeMapRun" => self.describe_map_run(caller, input),
            _ => Err(API.unknown(action)),
        };
        Box::pin(API.respond(&self.account, request, execute))
    }
}
