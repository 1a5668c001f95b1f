//! Emulates Lambda: asynchronous events, each handled by a process of the real program.
//!
//! A [`Function`] queues events and starts a sandbox if none is idle. It kills a process at its timeout,
//! and retries failed events as Lambda does. Events that fail permanently go to the on-failure hook.
//! Programs invoke functions through [`LambdaApi`].

mod api;
mod output;
mod queue;
mod record;
mod runtime_api;
mod sandbox;
mod settings;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::{Notify, Semaphore};
use tokio::task::AbortHandle;
use tokio::time::timeout;

pub use api::LambdaApi;
pub use record::FailureCondition;
pub use sandbox::{Outcome, SandboxInfo};
pub use settings::FunctionSettings;

use crate::ids;
use output::Output;
use sandbox::{Sandbox, SandboxHandle};

/// An event and its attempts.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// Request ID, which is the same in all attempts.
    pub request_id: String,
    /// The event.
    pub event: Value,
    /// Finished attempts.
    pub attempts: Vec<Attempt>,
    /// True if no further attempt follows.
    pub done: bool,
    /// Reason of a permanent failure.
    pub failure_condition: Option<FailureCondition>,
    /// Trace ID, which Lambda uses to detect that a function invokes itself.
    pub trace_id: String,
    queued: Instant,
    /// Number of deliveries in progress: more than one if the event was delivered again.
    deliveries: usize,
}

impl Invocation {
    /// Returns the outcome of the last attempt.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.attempts.last().map(|attempt| &attempt.outcome)
    }
}

/// One attempt at an event.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Process ID, unless the process could not be started.
    pub pid: Option<u32>,
    /// Outcome.
    pub outcome: Outcome,
    /// Duration with the start of the process.
    pub duration: Duration,
}

/// Callback for the record of a failed event.
pub type FailureHook = Arc<dyn Fn(Value) + Send + Sync>;

/// A Lambda function. Dropping it kills its processes.
pub struct Function {
    inner: Arc<Inner>,
}

struct Inner {
    settings: FunctionSettings,
    output: Arc<Output>,
    permits: Semaphore,
    idle: Mutex<Vec<Sandbox>>,
    handles: Mutex<Vec<Arc<SandboxHandle>>>,
    running: Mutex<BTreeMap<String, Arc<SandboxHandle>>>,
    events: Mutex<BTreeMap<String, Invocation>>,
    changed: Notify,
    rejected_calls: Arc<Mutex<Vec<String>>>,
    hook: Mutex<Option<FailureHook>>,
    tasks: Mutex<Vec<AbortHandle>>,
}

impl Function {
    /// Creates a function. The first event starts its first process.
    pub fn new(settings: FunctionSettings) -> Arc<Self> {
        let permits = Semaphore::new(settings.concurrency);
        Arc::new(Self {
            inner: Arc::new(Inner {
                settings,
                output: Arc::default(),
                permits,
                idle: Mutex::default(),
                handles: Mutex::default(),
                running: Mutex::default(),
                events: Mutex::default(),
                changed: Notify::new(),
                rejected_calls: Arc::default(),
                hook: Mutex::default(),
                tasks: Mutex::default(),
            }),
        })
    }

    /// Returns the settings.
    pub fn settings(&self) -> &FunctionSettings {
        &self.inner.settings
    }

    /// Queues an event and returns its request ID.
    pub fn invoke_async(&self, event: Value) -> String {
        let trace_id = format!("Root=1-{}-{};Sampled=0", ids::hex(8), ids::hex(24));
        self.invoke_traced(event, trace_id)
    }

    /// Queues an event with a trace ID, and returns its request ID.
    pub fn invoke_traced(&self, event: Value, trace_id: String) -> String {
        let request_id = ids::uuid();
        let invocation = Invocation {
            request_id: request_id.clone(),
            event,
            attempts: Vec::new(),
            done: false,
            failure_condition: None,
            queued: Instant::now(),
            trace_id,
            deliveries: 0,
        };
        lock(&self.inner.events).insert(request_id.clone(), invocation);
        self.redeliver(&request_id);
        request_id
    }

    /// Invokes the function and returns the outcome. Lambda never repeats a synchronous invocation.
    pub async fn invoke_sync(&self, event: &Value) -> Outcome {
        let trace_id = format!("Root=1-{}-{};Sampled=0", ids::hex(8), ids::hex(24));
        queue::attempt_once(&self.inner, ids::uuid(), event, trace_id).await
    }

    /// Delivers a known event again, as Lambda can do at any time.
    pub fn redeliver(&self, request_id: &str) {
        if let Some(invocation) = lock(&self.inner.events).get_mut(request_id) {
            invocation.done = false;
            invocation.deliveries += 1;
        }
        let task = tokio::spawn(queue::deliver(Arc::clone(&self.inner), request_id.to_owned()));
        let mut tasks = lock(&self.inner.tasks);
        tasks.retain(|task| !task.is_finished());
        tasks.push(task.abort_handle());
    }

    /// Calls `hook` with the record of each event that fails permanently, like an on-failure destination.
    pub fn on_failure(&self, hook: impl Fn(Value) + Send + Sync + 'static) {
        *lock(&self.inner.hook) = Some(Arc::new(hook));
    }

    /// Sends these records to another function.
    pub fn on_failure_invoke(&self, destination: &Arc<Self>) {
        let destination = Arc::downgrade(destination);
        self.on_failure(move |record| {
            if let Some(destination) = destination.upgrade() {
                destination.invoke_async(record);
            }
        });
    }

    /// Returns all events in no particular order.
    pub fn invocations(&self) -> Vec<Invocation> {
        lock(&self.inner.events).values().cloned().collect()
    }

    /// Returns an event.
    pub fn invocation(&self, request_id: &str) -> Option<Invocation> {
        lock(&self.inner.events).get(request_id).cloned()
    }

    /// Waits until no further attempt at an event follows. Returns `None` after `limit`.
    pub async fn wait_until_finished(&self, request_id: &str, limit: Duration) -> Option<Invocation> {
        let wait = async {
            loop {
                let changed = self.inner.changed.notified();
                match self.invocation(request_id) {
                    Some(invocation) if !invocation.done => changed.await,
                    found => return found,
                }
            }
        };
        timeout(limit, wait).await.ok().flatten()
    }

    /// Waits until no event is queued or in progress. Returns false after `limit`.
    pub async fn wait_until_idle(&self, limit: Duration) -> bool {
        let wait = async {
            loop {
                let changed = self.inner.changed.notified();
                if self.invocations().iter().all(|invocation| invocation.done) {
                    return;
                }
                changed.await;
            }
        };
        timeout(limit, wait).await.is_ok()
    }

    /// Kills the process that handles an event. Returns false if there is none.
    pub fn kill(&self, request_id: &str) -> bool {
        let handle = lock(&self.inner.running).get(request_id).cloned();
        handle.inspect(|handle| handle.kill()).is_some()
    }

    /// Stops the process that handles an event with SIGSTOP, which simulates a system call that does not
    /// return. Returns false if there is none.
    pub fn freeze(&self, request_id: &str) -> bool {
        let handle = lock(&self.inner.running).get(request_id).cloned();
        handle.is_some_and(|handle| handle.freeze())
    }

    /// Ends all idle sandboxes, so that the next event causes a cold start.
    pub fn discard_idle(&self) {
        lock(&self.inner.idle).clear();
    }

    /// Returns all sandboxes, oldest first.
    pub fn sandboxes(&self) -> Vec<SandboxInfo> {
        lock(&self.inner.handles).iter().map(|handle| handle.info()).collect()
    }

    /// Returns the output of all sandboxes by lines.
    pub fn output(&self) -> Vec<String> {
        self.inner.output.lines()
    }

    /// Returns the output lines that contain an event's request ID.
    pub fn output_of(&self, request_id: &str) -> Vec<String> {
        let mut lines = self.output();
        lines.retain(|line| line.contains(request_id));
        lines
    }

    /// Returns the calls to the Runtime API that Lambda would reject.
    pub fn rejected_calls(&self) -> Vec<String> {
        lock(&self.inner.rejected_calls).clone()
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        for task in lock(&self.inner.tasks).drain(..) {
            task.abort();
        }
        lock(&self.inner.idle).clear();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
