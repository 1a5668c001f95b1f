//! A sandbox: one process of the program, its Runtime API and its exit.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use tokio::process::{Child, Command};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::output::Output;
use super::runtime_api::{NextInvocation, RuntimeApi, RuntimeCall};
use super::settings::FunctionSettings;

/// What can be seen of a sandbox from outside.
#[derive(Clone, Debug, Default)]
pub struct SandboxInfo {
    /// Process id.
    pub pid: u32,
    /// From the start of the process until it asked for its first event.
    pub init: Option<Duration>,
    /// Processor time that it used until then.
    pub init_cpu: Option<Duration>,
    /// Most memory that was ever resident, in KiB (`VmHWM`).
    pub peak_memory: u64,
    /// Events it was given.
    pub invocations: usize,
    /// How the process ended, when it has.
    pub exit: Option<String>,
}

/// How one attempt at an event ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The function returned this.
    Response(String),
    /// The function returned this error.
    Error(String),
    /// The function was killed when its time was over.
    Timeout,
    /// The process ended, with this status or signal.
    Crash(String),
}

impl Outcome {
    /// Whether the event needs no retry.
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Response(_))
    }
}

/// The part of a sandbox that lives on in the function's list.
pub(super) struct SandboxHandle {
    info: Mutex<SandboxInfo>,
    kill: Notify,
}

impl SandboxHandle {
    /// The present state, with the memory peak read anew while the process lives.
    pub(super) fn info(&self) -> SandboxInfo {
        let mut info = self.info.lock().unwrap_or_else(PoisonError::into_inner);
        if info.exit.is_none()
            && let Some(peak) = peak_memory(info.pid)
        {
            info.peak_memory = info.peak_memory.max(peak);
        }
        info.clone()
    }

    /// Kills the process.
    pub(super) fn kill(&self) {
        self.kill.notify_one();
    }

    /// Stops the process where it is.
    pub(super) fn freeze(&self) -> bool {
        let pid = i32::try_from(self.info().pid).ok().and_then(rustix::process::Pid::from_raw);
        pid.is_some_and(|pid| rustix::process::kill_process(pid, rustix::process::Signal::STOP).is_ok())
    }

    fn note(&self, change: impl FnOnce(&mut SandboxInfo)) {
        change(&mut self.info.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// A running sandbox, in the hands of whoever uses it. Dropping it kills the process.
pub(super) struct Sandbox {
    pub(super) handle: Arc<SandboxHandle>,
    api: RuntimeApi,
    calls: mpsc::UnboundedReceiver<RuntimeCall>,
    exit: watch::Receiver<Option<String>>,
    monitor: AbortHandle,
    started: Instant,
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.handle.info();
        // The monitor owns the process, which is killed when it is dropped.
        self.monitor.abort();
        self.handle.note(|info| {
            info.exit.get_or_insert_with(|| "signal: killed".to_owned());
        });
    }
}

impl Sandbox {
    /// Starts a process.
    pub(super) async fn start(
        settings: &FunctionSettings,
        output: &Arc<Output>,
        on_rejected: impl Fn(String) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let (sender, calls) = mpsc::unbounded_channel();
        let api = RuntimeApi::open(sender, on_rejected).await?;
        let started = Instant::now();
        let mut child = Command::new(&settings.binary)
            .env_clear()
            .envs(settings.sandbox_environment(&api.address()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        // The pipes end with the process; so do these tasks.
        if let Some(stdout) = child.stdout.take() {
            tokio::spawn(Arc::clone(output).capture(stdout));
        }
        if let Some(stderr) = child.stderr.take() {
            tokio::spawn(Arc::clone(output).capture(stderr));
        }
        let info = SandboxInfo { pid: child.id().unwrap_or_default(), ..SandboxInfo::default() };
        let handle = Arc::new(SandboxHandle { info: Mutex::new(info), kill: Notify::new() });
        let (exited, exit) = watch::channel(None);
        let monitor = tokio::spawn(monitor(child, Arc::clone(&handle), exited)).abort_handle();
        Ok(Self { handle, api, calls, exit, monitor, started })
    }

    /// Waits until the program asks for an event.
    ///
    /// # Errors
    ///
    /// What became of it instead.
    pub(super) async fn ready(&mut self, limit: Duration) -> Result<(), Outcome> {
        match timeout(limit, self.next_call()).await {
            Ok(Ok(RuntimeCall::Next)) => {
                let init = self.started.elapsed();
                self.handle.note(|info| {
                    if info.init.is_none() {
                        info.init = Some(init);
                        info.init_cpu = processor_time(info.pid);
                    }
                });
                Ok(())
            }
            Ok(Ok(RuntimeCall::Error(body))) => Err(Outcome::Error(text(&body))),
            Ok(Ok(RuntimeCall::Response(_))) => Err(Outcome::Crash("sent a response before it requested an event".to_owned())),
            Ok(Err(status)) => Err(Outcome::Crash(status)),
            Err(_) => Err(Outcome::Timeout),
        }
    }

    /// Gives a program that is ready one event, and waits for the end of that.
    pub(super) async fn run(&mut self, mut invocation: NextInvocation, limit: Duration) -> Outcome {
        self.handle.note(|info| info.invocations += 1);
        invocation.deadline = SystemTime::now() + limit;
        self.api.deliver(invocation);
        let outcome = match timeout(limit, self.next_call()).await {
            Ok(Ok(RuntimeCall::Response(body))) => Outcome::Response(text(&body)),
            Ok(Ok(RuntimeCall::Error(body))) => Outcome::Error(text(&body)),
            Ok(Ok(RuntimeCall::Next)) => Outcome::Crash("requested the next event before it sent a response".to_owned()),
            Ok(Err(status)) => Outcome::Crash(status),
            Err(_) => Outcome::Timeout,
        };
        self.handle.info();
        outcome
    }

    /// Waits for what the program says next; `Err` is its exit.
    async fn next_call(&mut self) -> Result<RuntimeCall, String> {
        let Self { calls, exit, .. } = self;
        tokio::select! {
            // What was call before the end counts.
            biased;
            Some(call) = calls.recv() => Ok(call),
            ended = exit.wait_for(Option::is_some) => {
                Err(ended.ok().and_then(|status| status.clone()).unwrap_or_default())
            }
        }
    }
}

/// Waits for the end of the process, or kills it.
async fn monitor(mut child: Child, handle: Arc<SandboxHandle>, exited: watch::Sender<Option<String>>) {
    let status = tokio::select! {
        status = child.wait() => status,
        () = handle.kill.notified() => {
            handle.info();
            // It may have ended meanwhile; waiting tells.
            let _ = child.start_kill();
            child.wait().await
        }
    };
    let status = status.map_or_else(|error| error.to_string(), describe);
    handle.note(|info| info.exit = Some(status.clone()));
    exited.send_replace(Some(status));
}

/// In Lambda's words.
fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(9)) => "signal: killed".to_owned(),
        (None, signal) => format!("signal: {}", signal.unwrap_or_default()),
    }
}

fn text(body: &Bytes) -> String {
    String::from_utf8_lossy(body).into_owned()
}

/// Most memory that was ever resident, in KiB.
fn peak_memory(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}

/// Processor time that the threads of a process have used, those that ended left out. `stat` counts
/// these too, but in steps of 10 ms.
fn processor_time(pid: u32) -> Option<Duration> {
    let mut nanoseconds = 0;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task")).ok()? {
        let text = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        nanoseconds += text.split(' ').next()?.parse::<u64>().ok()?;
    }
    Some(Duration::from_nanos(nanoseconds))
}
