//! Lambda for one machine: asynchronous events, each run by a process of the real program.
//!
//! A [`Function`] queues events, starts a sandbox for every event that finds no idle one, kills
//! what overruns its time, and tries failed events again as Lambda does. What finally fails goes
//! to the on-failure hook. [`LambdaApi`] lets programs invoke functions by themselves.

mod invoke_api;
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

pub use invoke_api::LambdaApi;
pub use record::FailureCondition;
pub use sandbox::{Outcome, SandboxInfo};
pub use settings::FunctionSettings;

use crate::ids;
use output::Output;
use sandbox::{Sandbox, SandboxHandle};

/// What becomes of an event and its attempts.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// The id that Lambda gave the event; the same on every retry.
    pub request_id: String,
    /// The event.
    pub event: Value,
    /// Every attempt that has ended.
    pub attempts: Vec<Attempt>,
    /// Whether nothing more will happen.
    pub done: bool,
    /// Why it was given up, if it was.
    pub failure_condition: Option<FailureCondition>,
    /// The trace that it belongs to, by which Lambda tells that a function invokes itself.
    pub trace_id: String,
    queued: Instant,
    /// Deliveries under way: one, or more when the event was delivered again.
    deliveries: usize,
}

impl Invocation {
    /// How the last attempt ended.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.attempts.last().map(|attempt| &attempt.outcome)
    }
}

/// One attempt at an event.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The process; none when it could not be started.
    pub pid: Option<u32>,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took, the start of the process included.
    pub duration: Duration,
}

/// A function that takes the record of a failed event.
pub type FailureHook = Arc<dyn Fn(Value) + Send + Sync>;

/// A function; when it is dropped, its processes are killed.
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
    refusals: Arc<Mutex<Vec<String>>>,
    hook: Mutex<Option<FailureHook>>,
    tasks: Mutex<Vec<AbortHandle>>,
}

impl Function {
    /// Makes a function; no process is started before the first event.
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
                refusals: Arc::default(),
                hook: Mutex::default(),
                tasks: Mutex::default(),
            }),
        })
    }

    /// The settings it was made with.
    pub fn settings(&self) -> &FunctionSettings {
        &self.inner.settings
    }

    /// Queues an event and gives its request id.
    pub fn invoke_async(&self, event: Value) -> String {
        let trace_id = format!("Root=1-{}-{};Sampled=0", ids::hex(8), ids::hex(24));
        self.invoke_traced(event, trace_id)
    }

    /// Queues an event that belongs to a chain of invocations.
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

    /// Delivers an event that is known once more, as Lambda may do at any time.
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

    /// Hands the records of events that were given up to `hook`: an on-failure destination.
    pub fn on_failure(&self, hook: impl Fn(Value) + Send + Sync + 'static) {
        *lock(&self.inner.hook) = Some(Arc::new(hook));
    }

    /// Sends those records to another function.
    pub fn on_failure_invoke(&self, destination: &Arc<Self>) {
        let destination = Arc::downgrade(destination);
        self.on_failure(move |record| {
            if let Some(destination) = destination.upgrade() {
                destination.invoke_async(record);
            }
        });
    }

    /// Every event so far, in no particular order.
    pub fn invocations(&self) -> Vec<Invocation> {
        lock(&self.inner.events).values().cloned().collect()
    }

    /// What is known of an event.
    pub fn invocation(&self, request_id: &str) -> Option<Invocation> {
        lock(&self.inner.events).get(request_id).cloned()
    }

    /// Waits until nothing more will happen to an event; none when that takes too long.
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

    /// Waits until no event is queued or at invocation; tells whether that came to pass.
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

    /// Kills the process that works on an event; tells whether there is one.
    pub fn kill(&self, request_id: &str) -> bool {
        let handle = lock(&self.inner.running).get(request_id).cloned();
        handle.inspect(|handle| handle.kill()).is_some()
    }

    /// Stops the process that works on an event without ending it, as a call into the kernel that
    /// does not return would; tells whether there is one.
    pub fn freeze(&self, request_id: &str) -> bool {
        let handle = lock(&self.inner.running).get(request_id).cloned();
        handle.is_some_and(|handle| handle.freeze())
    }

    /// Ends every idle sandbox, so that the next event meets a cold start.
    pub fn discard_idle(&self) {
        lock(&self.inner.idle).clear();
    }

    /// Every sandbox so far, oldest first.
    pub fn sandboxes(&self) -> Vec<SandboxInfo> {
        lock(&self.inner.handles).iter().map(|handle| handle.info()).collect()
    }

    /// What all sandboxes wrote, line by line.
    pub fn output(&self) -> Vec<String> {
        self.inner.output.lines()
    }

    /// The lines that carry an event's request id.
    pub fn output_of(&self, request_id: &str) -> Vec<String> {
        let mut lines = self.output();
        lines.retain(|line| line.contains(request_id));
        lines
    }

    /// Calls to the Runtime API that Lambda would have refused.
    pub fn rejected_calls(&self) -> Vec<String> {
        lock(&self.inner.refusals).clone()
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
